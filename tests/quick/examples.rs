//! The programs in `examples`, run on a sample core, say what the program says.

use std::path::Path;

use crate::support::child::Command;

const CORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cores/jdk17-serial.core.zst");

/// What a program prints about the sample core.
fn printed(program: &Path, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output();
    let out = out.unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    assert!(
        out.status.success(),
        "{}: {}",
        program.display(),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).expect("text")
}

fn example(name: &str, arguments: &[&str]) -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_rjcore")).with_file_name("examples").join(name);
    assert!(built.exists(), "{}: build it by `cargo build --examples`", built.display());
    printed(&built, &[&[CORE], arguments].concat())
}

fn rjcore(arguments: &[&str]) -> serde_json::Value {
    let text = printed(Path::new(env!("CARGO_BIN_EXE_rjcore")), arguments);
    serde_json::from_str(&text).expect("JSON")
}

/// A line's words.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn histogram() {
    let text = example("histogram", &[]);
    let histo = rjcore(&["histo", "--json", "--top", "10", CORE]);
    let classes = histo["classes"].as_array().expect("classes");
    assert_eq!((text.lines().count(), classes.len()), (10, 10));
    for (line, class) in text.lines().zip(classes) {
        let of = |key: &str| class[key].to_string().trim_matches('"').to_owned();
        assert_eq!(words(line), [of("instances"), of("bytes"), of("name")]);
    }
}

#[test]
fn objects() {
    let text = example("objects", &[]);
    let number = |line| words(line)[0].parse::<u64>().expect("bytes");
    let sum: u64 = text.lines().map(number).sum();
    let histo = rjcore(&["histo", "--json", CORE]);
    let classes = histo["classes"].as_array().expect("classes").iter();
    let arrays = classes.filter(|c| c["name"].as_str().is_some_and(|n| n.starts_with('[')));
    assert_eq!(sum, arrays.map(|c| c["bytes"].as_u64().expect("bytes")).sum::<u64>());
}

#[test]
fn threads() {
    let text = example("threads", &[]);
    let stack = rjcore(&["stack", "--json", CORE]);
    let threads = stack["threads"].as_array().expect("threads");
    assert_eq!(text.lines().count(), threads.len());
    for (line, thread) in text.lines().zip(threads) {
        let name = thread["name"].as_str().expect("a name");
        let top = match &thread["stack"]["frames"][0] {
            serde_json::Value::Null => "no Java frame".to_owned(),
            f => format!("{}.{}", f["class"], f["method"]).replace('"', ""),
        };
        assert!(line.starts_with(name) && line.ends_with(&top), "{line}: {name}, {top}");
    }
}

/// tests/java/Sample.java: orders are held by the map in a static field, and weakly by another.
#[test]
fn paths() {
    let text = example("paths", &["Sample$Order"]);
    let steps: Vec<(&str, &str)> = text
        .lines()
        .map(|line| {
            let (how, what) = line.split_once(": ").expect("how, and what");
            (how, what.split(" at ").next().expect("a class"))
        })
        .collect();
    let shop = steps.iter().position(|s| s.0 == "static ORDERS").expect("the map");
    assert!(steps[0].0.starts_with("root "), "{text}");
    assert_eq!(steps[shop - 1].1, "java.lang.Class", "{text}");
    assert_eq!(
        [&steps[shop..=shop + 1], &steps[shop + 3..]].concat(),
        [
            ("static ORDERS", "java.util.HashMap"),
            (".table", "[Ljava.util.HashMap$Node;"),
            (".value", "Sample$Order"),
        ]
    );
    let (how, what) = steps[shop + 2];
    assert!(how.starts_with('[') && what == "java.util.HashMap$Node", "{text}");
    // Only a weak reference would lead from there.
    assert!(!text.contains("latest"), "{text}");
    assert_eq!(example("paths", &["no.Such"]), "no object of no.Such is held\n");
}
