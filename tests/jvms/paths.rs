//! Paths to objects that a program holds in known ways, and what is shown of them: from the core, and from its dump.

use std::path::Path;

use serde_json::{Value, json};

use crate::roots::library;
use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, run, text};

fn ask(input: &Path, command: &str, what: &str, more: &[&str]) -> Value {
    let said = text(rjcore().arg(command).arg(input).arg(what).arg("--json").args(more));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["whole"], true, "{said}");
    said
}

/// A path's steps: by what, and to an object of which class.
fn steps(path: &Value) -> Vec<String> {
    let one = |step: &Value| {
        let by = step["by"].as_str().expect("by");
        let name = step["name"].as_str().unwrap_or("");
        let name = match (by, step["index"].as_u64()) {
            ("element", Some(index)) => format!("[{index}]"),
            ("root", _) => "root".into(),
            ("local", _) => format!("local {}", name.split('(').next().unwrap_or("")),
            ("static", _) => format!("static {name}"),
            _ => format!(".{name}"),
        };
        let times = match step["times"].as_u64() {
            Some(1) => String::new(),
            times => format!(" x {}", times.expect("times")),
        };
        let class = match step["class"].as_str() {
            Some("java.lang.Class") => {
                format!("class {}", step["label"].as_str().expect("a label"))
            }
            class => class.expect("a class").into(),
        };
        format!("{name}{times} {class}")
    };
    path["steps"].as_array().expect("steps").iter().map(one).collect()
}

fn paths(input: &Path, what: &str, more: &[&str]) -> Vec<Vec<String>> {
    let said = ask(input, "paths", what, more);
    said["paths"].as_array().unwrap_or_else(|| panic!("{said}")).iter().map(steps).collect()
}

/// The steps are these, but for the index of a hash.
fn assert_steps(found: &[String], expected: &[&str]) {
    let fits = |found: &String, expected: &&str| match expected.strip_prefix("[*]") {
        Some(rest) => found.starts_with('[') && found.ends_with(rest),
        None => found == expected,
    };
    let all = found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| fits(f, e));
    assert!(all, "{found:#?} is not {expected:#?}");
}

fn known_paths(input: &Path) {
    let only = |what: &str| {
        let mut all = paths(input, what, &[]);
        assert_eq!(all.len(), 1, "{what}: {all:#?}");
        all.remove(0)
    };
    let class = "root class Paths";
    assert_steps(
        &only("Paths$Cached"),
        &[
            class,
            "static CACHE java.util.HashMap",
            ".table java.util.HashMap$Node[]",
            "[*] java.util.HashMap$Node",
            ".value Paths$Cached",
        ],
    );
    assert_steps(
        &only("Paths$OfThread"),
        &[
            "root java.lang.Thread",
            ".threadLocals java.lang.ThreadLocal$ThreadLocalMap",
            ".table java.lang.ThreadLocal$ThreadLocalMap$Entry[]",
            "[*] java.lang.ThreadLocal$ThreadLocalMap$Entry",
            ".value Paths$OfThread",
        ],
    );
    // Locals of the frame that has the object, by its method.
    for path in paths(input, "Paths$OfFrame", &[]) {
        assert_eq!(path[0], "root java.lang.Thread");
        assert!(path[1].starts_with("local Paths.") && path.len() == 2, "{path:?}");
    }
    // The nearest first, none of which leads through the object itself.
    let twice = paths(input, "Paths$Twice", &[]);
    assert_eq!(twice.len(), 2, "{twice:#?}");
    let array = [class, "static array java.lang.Object[]", "[7] Paths$Twice"];
    assert_steps(&twice[0], &array);
    let outer = [class, "static outer Paths$Outer", ".inner Paths$Inner", ".held Paths$Twice"];
    assert_steps(&twice[1], &outer);
    assert_eq!(paths(input, "Paths$Twice", &["--top", "1"]).len(), 1);
    // A list's links are not told one by one.
    let list = "static list Paths$Link";
    let deep = [class, list, ".next x 999 Paths$Link", ".item Paths$Deep"];
    assert_steps(&only("Paths$Deep"), &deep);
    assert_eq!(ask(input, "paths", "Paths$Deep", &[])["paths"][0]["length"], 1001);
    // Weak references do not count, unless they are asked for.
    let weakly = ask(input, "paths", "Paths$Weakly", &[]);
    assert_eq!((&weakly["tree"]["objects"], &weakly["unreached"]), (&json!(0), &json!(1)));
    let weakly = ask(input, "paths", "Paths$Weakly", &["--weak"]);
    assert_eq!(weakly["object"]["strength"], "weak", "{weakly}");
    let path = &weakly["paths"][0];
    let expected = [class, "static weak java.lang.ref.WeakReference", ".referent Paths$Weakly"];
    assert_steps(&steps(path), &expected);
    assert_eq!(path["steps"][2]["strength"], "weak");
    // A handle of native code.
    let arrays = text(
        rjcore().arg("retained").arg(input).args(["--class", "int[]", "--json", "--top", "100000"]),
    );
    let arrays: Value = serde_json::from_str(&arrays).expect("JSON");
    let of_handle = arrays["objects"].as_array().expect("objects").iter();
    let of_handle: Vec<&Value> = of_handle.filter(|o| o["shallow"] == 16 + 4 * 9101 + 4).collect();
    assert_eq!(of_handle.len(), 1);
    let address = of_handle[0]["object"].as_str().expect("an address");
    let handle = ask(input, "paths", address, &[]);
    assert_eq!(
        (&handle["paths"][0]["root"], &handle["paths"][0]["length"]),
        (&json!("jni_global"), &json!(0))
    );
    // Many objects: one tree.
    let many = ask(input, "paths", "Paths$Many", &[]);
    assert_eq!(many["tree"]["objects"], 501);
    assert_eq!(many["tree"]["retained"], 501 * 16);
    let branches: Vec<(u64, &str, u64, u64)> = many["tree"]["branches"]
        .as_array()
        .expect("branches")
        .iter()
        .map(|b| {
            let name = b["name"].as_str().unwrap_or("[]");
            let number = |field: &str| b[field].as_u64().expect("a number");
            (number("depth"), name, number("objects"), number("holders"))
        })
        .collect();
    let root = branches[0].1;
    assert_eq!(
        branches,
        [
            (0, root, 501, 1),
            (1, "many", 500, 1),
            (2, "elementData", 500, 1),
            (3, "[]", 500, 500),
            (1, "one", 1, 1),
        ]
    );
}

/// The object that a static field of Paths holds.
fn of_field(input: &Path, field: &str) -> Value {
    let classes = ask(input, "retained", "--class=java.lang.Class", &["--top", "100000"]);
    let mut classes = classes["objects"].as_array().expect("objects").iter();
    let class = classes.find(|o| o["label"] == "Paths").expect("the class");
    let class = class["object"].as_str().expect("an address");
    let shown = ask(input, "show", class, &["--top", "100"]);
    let mut statics = shown["statics"].as_array().expect("static fields").iter();
    let of = statics.find(|f| f["name"] == field).expect("the field");
    ask(input, "show", of["object"].as_str().expect("an object"), &[])
}

fn known_contents(input: &Path) {
    let cache = of_field(input, "CACHE");
    let entry = &cache["collection"]["entries"][0];
    assert_eq!(
        (&cache["collection"]["kind"], &cache["collection"]["size"]),
        (&json!("map"), &json!(1))
    );
    assert_eq!(entry["key"]["label"], "the key");
    let cached = ask(input, "show", entry["value"]["object"].as_str().expect("an object"), &[]);
    let mut values: Vec<(&str, &str, &str)> = cached["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .map(|f| {
            let text = |field: &str| f[field].as_str();
            let value = text("value").or(text("label")).unwrap_or("");
            (text("name").expect("a name"), text("type").expect("a type"), value)
        })
        .collect();
    values.sort_unstable();
    assert_eq!(
        values,
        [
            ("boxed", "object", "4711"),
            ("half", "double", "0.5"),
            ("large", "long", "1099511627776"),
            ("letter", "char", "120"),
            ("nothing", "null", ""),
            ("number", "int", "42"),
            ("text", "object", "plain text"),
            ("yes", "boolean", "true"),
        ]
    );
    assert_eq!(cached["strength"], "strong");
    let referrers = &cached["referrers"];
    assert_eq!(
        (&referrers["objects"], &referrers["first"][0]["garbage"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(referrers["first"][0]["class"], "java.util.HashMap$Node");
    assert_eq!(referrers["first"][0]["references"][0]["name"], "value");
    assert_eq!(cached["dominator"]["class"], "java.util.HashMap$Node");
    let retains = cached["retains"].as_array().expect("classes");
    assert!(retains.iter().any(|k| k["class"] == "Paths$Cached" && k["objects"] == 1), "{cached}");
    let sum: u64 = retains.iter().map(|k| k["bytes"].as_u64().expect("bytes")).sum();
    assert_eq!(cached["retained"], sum);
    for (field, kind, size) in [
        ("names", "list", 3),
        ("tree", "map", 2),
        ("shared", "map", 1),
        ("deque", "deque", 2),
        ("queue", "queue", 1),
        ("many", "list", 500),
    ] {
        let of = of_field(input, field);
        assert_eq!(
            (&of["collection"]["kind"], &of["collection"]["size"]),
            (&json!(kind), &json!(size)),
            "{field}"
        );
        let entries = of["collection"]["entries"].as_array().expect("entries");
        assert_eq!(entries.len(), size.min(20), "{field}");
    }
    let names = of_field(input, "names");
    let label = |i: usize| &names["collection"]["entries"][i]["value"]["label"];
    assert_eq!([label(0), label(1), label(2)], ["one", "two", "three"]);
    // An array by its elements.
    let array = of_field(input, "array");
    assert_eq!(
        (&array["length"], &array["elements"][7]["class"]),
        (&json!(20), &json!("Paths$Twice"))
    );
    assert_eq!(array["elements"][6]["type"], "null");
}

fn known(version: u32) {
    let dir = Scratch::new(&format!("paths-{version}"));
    let library = library("roots.c", &dir);
    let flags = ["-Xmx128m", "-XX:ReservedCodeCacheSize=32m", "-Xint", "-XX:+UseSerialGC"];
    let jvm = Jvm::start(version, &flags, &format!("Paths {}", library.display()), &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    // The live JVM says the same.
    let live = paths(Path::new(&jvm.pid().to_string()), "Paths$Twice", &[]);
    assert_eq!(live, paths(&core, "Paths$Twice", &[]));
    drop(jvm);
    let dump = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&dump));
    for input in [&core, &dump] {
        known_paths(input);
        known_contents(input);
    }
    let same = |what: &str| assert_eq!(paths(&core, what, &[]), paths(&dump, what, &[]), "{what}");
    for what in ["Paths$Cached", "Paths$OfThread", "Paths$OfFrame", "Paths$Twice", "Paths$Deep"] {
        same(what);
    }
}

#[test]
fn of_jdk17() {
    known(17);
}

#[test]
fn of_jdk25() {
    known(25);
}
