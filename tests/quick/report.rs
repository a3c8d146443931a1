//! `rjcore report`: one file that needs nothing else, whatever names stand in the heap.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::support::hprof_file::{Class, File, Value};
use crate::support::{Scratch, dep, rjcore, run, text};

/// What a heap may be full of to hurt who reads the page.
const HOSTILE: [&str; 10] = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "\"><svg onload=alert(1)>",
    "]]> & &lt; &#60;",
    "`|` **bold** [a](http://evil.example/) @root",
    "\u{202e}gnp.exe\u{2028}\u{2029}\u{0}\u{1b}[2J",
    "' onmouseover='alert(1)",
    "${7*7}{{7*7}}",
    "https://evil.example/x.js",
];

const OBJECT: u64 = 0x1000;
const CLASS: u64 = 0x1100;
const STRING: u64 = 0x1200;
const THREAD: u64 = 0x1300;
const ARRAY: u64 = 0x1400;
const APP: u64 = 0x1500;
const FIRST: u64 = 0x10_0000;

/// A heap in which classes, fields, threads and strings have such names.
fn hostile() -> File {
    let mut f = File::new("1.0.2", 8);
    let plain = ["java/lang/Object", "java/lang/Class", "java/lang/String", "java/lang/Thread"];
    let classes = [OBJECT, CLASS, STRING, THREAD, ARRAY, APP];
    let names = plain.iter().chain(&["[Ljava/lang/Object;", "App", "value", "name", "ALL"]);
    for (id, text) in (1..).zip(names.copied().chain(HOSTILE)) {
        f.utf8(id, text);
    }
    for (id, class) in (1..).zip(classes) {
        f.load(class, id);
    }
    let hostile = |i: u64| 10 + i;
    let of_name = |i: u64| 0x2000 + i * 0x100;
    for i in 0..HOSTILE.len() as u64 {
        f.load(of_name(i), hostile(i));
    }
    let mut class = |id: u64, super_class, fields: &[(u64, u8)], statics: &[(u64, Value)]| {
        f.class(&Class { id, super_class, fields, statics, ..Class::default() });
    };
    class(OBJECT, 0, &[], &[]);
    class(CLASS, OBJECT, &[], &[]);
    class(STRING, OBJECT, &[(7, 2)], &[]);
    class(THREAD, OBJECT, &[(8, 2)], &[]);
    class(ARRAY, OBJECT, &[], &[]);
    class(APP, OBJECT, &[], &[(9, Value::Ref(FIRST))]);
    for i in 0..HOSTILE.len() as u64 {
        class(of_name(i), OBJECT, &[(hostile(i), 2)], &[]);
    }
    let mut all = Vec::new();
    let mut next = FIRST + 0x1000;
    for (i, name) in (0..).zip(HOSTILE) {
        let (object, string, chars, thread) = (next, next + 0x20, next + 0x60, next + 0x1000);
        next += 0x4000;
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        f.primitives(chars, 5, units.len() as u32 / 2, &units);
        f.instance(string, STRING, &[Value::Ref(chars)]);
        f.instance(object, of_name(i), &[Value::Ref(string)]);
        f.instance(thread, THREAD, &[Value::Ref(string)]);
        f.sub(0x08, thread, &[(i as u32 + 1).to_be_bytes(), 0u32.to_be_bytes()].concat());
        all.extend([object, string]);
    }
    f.objects(FIRST, ARRAY, &all);
    f.sub(0x05, APP, &[]);
    f.sub(0x05, OBJECT, &[]);
    f.flush(0x1c);
    f.record(0x2c, &[]);
    f
}

fn core(name: &str) -> PathBuf {
    dep(&format!("testdata/cores/{name}.core.zst"))
}

fn page(input: &Path, args: &[&str]) -> String {
    text(rjcore().arg("report").arg(input).args(args).args(["-o", "-"]))
}

/// The elements of a page as (start of the tag, text up to the next tag), read as browsers do where text is escaped.
fn tags(page: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let tag = &rest[at..];
        let end = tag.find('>').unwrap_or_else(|| panic!("{}", &tag[..tag.len().min(100)]));
        out.push(&tag[..=end]);
        // Nothing in a script or a style is a tag but its end.
        let raw = ["script", "style"].into_iter().find(|n| tag[1..].starts_with(n));
        rest = match raw {
            Some(name) => &tag[tag.find(&format!("</{name}")).expect("its end")..],
            None => &tag[end..],
        };
    }
    out
}

/// What stands in the elements of that name.
fn contents<'p>(page: &'p str, name: &str) -> Vec<(&'p str, &'p str)> {
    let mut out = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find(&format!("<{name}")) {
        let tag = &rest[at..];
        let start = tag.find('>').expect("the tag's end") + 1;
        let end = tag.find(&format!("</{name}>")).expect("the element's end");
        out.push((&tag[..start], &tag[start..end]));
        rest = &tag[end..];
    }
    out
}

/// What holds of every page.
fn check(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">") && page.ends_with("</html>"));
    // The policy allows the one script and the one style, and they are what it says.
    let policy = page.split("http-equiv=\"Content-Security-Policy\" content=\"").nth(1);
    let policy = policy.expect("a policy").split('"').next().expect("its end");
    let hash =
        |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    let styles = contents(page, "style");
    let scripts = contents(page, "script");
    let (data, code): (Vec<_>, Vec<_>) =
        scripts.into_iter().partition(|(tag, _)| tag.contains("type=\"application/json\""));
    assert_eq!((styles.len(), code.len()), (1, 1));
    let expected = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
        hash(code[0].1),
        hash(styles[0].1)
    );
    assert_eq!(policy.replace("&#39;", "'"), expected);
    assert!(styles[0].1.len() + code[0].1.len() < 25_000);
    for (_, data) in &data {
        assert!(!data.contains(['<', '>', '&']), "{}", &data[..data.len().min(200)]);
        let data: Json = serde_json::from_str(data).expect("JSON");
        shape(&data);
    }
    // Nothing that is loaded, no handlers, no styles in attributes.
    for tag in tags(page) {
        let name = tag.trim_start_matches(['<', '/']);
        let name = name.split([' ', '>']).next().expect("a name");
        let known = "a body caption code details div g h1 h2 h3 head header html li main meta nav ol p pre rect script \
                     section style summary svg table tbody td text th thead title tr ul !DOCTYPE";
        assert!(known.split_whitespace().any(|k| k == name), "{tag}");
        for (at, _) in tag.match_indices('=') {
            let attribute = tag[..at].rsplit(' ').next().expect("a name");
            let quoted = tag[..at].matches('"').count() % 2 == 1;
            let bad =
                attribute.starts_with("on") || ["style", "src", "action"].contains(&attribute);
            assert!(quoted || !bad, "{tag}");
            if attribute == "href" && !quoted {
                assert!(tag[at..].starts_with("=\"#"), "{tag}");
            }
        }
    }
    assert!(!styles[0].1.contains("url(") && !styles[0].1.contains("@import"));
    let code = code[0].1.replace("http://www.w3.org/2000/svg", "");
    assert!(!["http:", "https:", "fetch(", "innerHTML", "eval("].iter().any(|w| code.contains(w)));
    // What a reader without eyes, or with keys alone, needs.
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
    assert!(!page.contains("<th>") && page.contains("class=\"skip\" href=\"#summary\""));
    for link in page.split("href=\"#").skip(1).map(|l| l.split('"').next().expect("its end")) {
        assert!(page.contains(&format!("id=\"{link}\"")), "{link}");
    }
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|l| l.split('"').next()).collect();
    let mut apart = ids.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), ids.len(), "{ids:?}");
}

/// A picture's boxes lie in those before them, and what lies in one is no larger.
fn shape(data: &Json) {
    let list = |name: &str| -> Vec<u64> {
        let all = data[name].as_array().unwrap_or_else(|| panic!("{name}"));
        all.iter().map(|n| n.as_u64().expect("a number")).collect()
    };
    let (parents, values, own) = (list("parent"), list("value"), list("own"));
    let names = data["names"].as_array().expect("names").len() as u64;
    assert!(list("name").iter().all(|n| *n < names));
    let mut inside = own;
    for (i, parent) in parents.iter().enumerate().skip(1) {
        assert!(*parent < i as u64);
        inside[*parent as usize] += values[i];
    }
    for (i, (sum, value)) in inside.iter().zip(&values).enumerate() {
        assert!(sum <= value, "box {i}: {sum} in {value}");
    }
}

/// Of small heaps nothing is estimated: all that is in a box adds up to it.
fn adds_up(page: &str) {
    let scripts = contents(page, "script");
    let data: Json = serde_json::from_str(scripts[0].1).expect("JSON");
    let list = |name: &str| -> Vec<u64> {
        data[name]
            .as_array()
            .expect("a list")
            .iter()
            .map(|n| n.as_u64().expect("a number"))
            .collect()
    };
    let (parents, values, own, flags) = (list("parent"), list("value"), list("own"), list("flags"));
    assert!(flags.iter().all(|f| f & 1 == 0));
    let mut inside = own;
    let mut is_open = vec![false; values.len()];
    for (i, parent) in parents.iter().enumerate().skip(1) {
        inside[*parent as usize] += values[i];
        is_open[*parent as usize] = true;
    }
    assert!(values.len() > 500, "{} boxes", values.len());
    for i in (0..values.len()).filter(|i| is_open[*i]) {
        assert_eq!(inside[i], values[i], "box {i}");
    }
}

#[test]
fn hostile_names_stay_text() {
    let dir = Scratch::new("report-hostile");
    let file = dir.path("a.hprof");
    std::fs::write(&file, hostile().bytes).expect("room");
    let page = page(&file, &[]);
    check(&page);
    // They are there: of threads all, as they are.
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(page.contains("\\u{1b}[2J") && !page.contains('\u{1b}') && !page.contains('\0'));
    assert!(page.contains("This is an HPROF file") && page.contains("Only a core has them"));
    let md = self::page(&file, &["--md"]);
    for line in md.lines() {
        // Outside of code spans there is nothing that a name brought.
        let outside: String = line.split('`').step_by(2).collect();
        let spans = line.matches('`').count();
        assert!(spans % 2 == 0 || line == "```", "{line}");
        assert!(
            !["alert", "evil", "@root", "onload"].iter().any(|w| outside.contains(w)),
            "{line}"
        );
        if line.starts_with('|') {
            let head = md.lines().find(|l| l.starts_with('|')).expect("a table");
            assert!(line.matches('|').count() >= 4 && head.starts_with('|'), "{line}");
        }
    }
    assert!(md.contains("\\u{60}\\u{7c}\\u{60} **bold**"), "{md}");
}

#[test]
fn sample_cores_are_whole_pages() {
    for name in ["jdk17-g1", "jdk17-serial", "jdk25-g1", "jdk25-serial", "jdk17-g1-aarch64"] {
        let core = core(name);
        let one = page(&core, &["--threads", "1"]);
        check(&one);
        adds_up(&one);
        assert!(one == page(&core, &["--threads", "2"]), "{name}: other bytes with two threads");
        for id in [
            "summary",
            "suspects",
            "holders",
            "waste",
            "classes",
            "threads",
            "process",
            "settings",
            "collector",
            "gaps",
        ] {
            assert!(one.contains(&format!("<section id=\"{id}\"")), "{name}: {id}");
        }
        // tests/java/Sample.java.
        for said in ["Sample$Shop", "Sample$Order", "Nothing: all of it was read.", "Of 1", "clerk"]
        {
            assert!(one.contains(said), "{name}: {said}");
        }
        let md = page(&core, &["--md"]);
        assert!(md.len() <= 60_000 && md.contains("Sample$Shop"), "{name}");
    }
}

/// The tables say what the other commands say.
#[test]
fn figures_are_those_of_the_commands() {
    let core = core("jdk17-g1");
    let one = page(&core, &["--md"]);
    let ask = |args: &[&str]| -> Json {
        let said = text(rjcore().args(args).arg(&core).arg("--json"));
        serde_json::from_str(&said).expect("JSON")
    };
    let retained = ask(&["retained", "--by", "class", "--top", "5"]);
    for group in retained["groups"].as_array().expect("groups") {
        let row = format!(" {:.1} % |", group["share"].as_f64().expect("a share"));
        let name = format!("`{}`", group["name"].as_str().expect("a name"));
        assert!(one.lines().any(|l| l.contains(&name) && l.contains(&row)), "{group}");
    }
    let info = ask(&["info"]);
    for (flag, value) in info["vm"]["flags"].as_object().expect("flags") {
        let row = format!("| `{flag}` | `{}` |", value.as_str().expect("a value"));
        assert!(one.contains(&row) || value == "", "{row}");
    }
    assert!(one.contains(info["heap"]["collector"].as_str().expect("a collector")));
}

#[test]
fn pages_keep_to_the_size() {
    let dir = Scratch::new("report-size");
    let core = core("jdk25-g1");
    let whole = page(&core, &[]).len();
    let mut least = whole;
    for limit in [200_000, 100_000, 70_000] {
        let small = page(&core, &["--max-size", &limit.to_string()]);
        check(&small);
        assert!(small.len() <= limit && small.len() < least, "{} of {limit}", small.len());
        least = small.len();
    }
    let out = dir.path("a.html");
    let mut cmd = rjcore();
    let refused = cmd.arg("report").arg(&core).args(["--max-size", "1K", "-o"]).arg(&out);
    let refused = refused.output().expect("rjcore");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("bytes at least"), "{said}");
    assert!(!out.exists());
    let summary = text(
        rjcore()
            .arg("report")
            .arg(&core)
            .arg("--json")
            .args(["--max-size", "150000", "-o"])
            .arg(&out),
    );
    let summary: Json = serde_json::from_str(&summary).expect("JSON");
    let bytes = std::fs::metadata(&out).expect("the page").len();
    assert_eq!(summary["bytes_written"], bytes);
    assert!(summary["boxes_shown"].as_u64() < summary["boxes"].as_u64(), "{summary}");
    // The file is not replaced unasked.
    let again = rjcore().arg("report").arg(&core).arg("-o").arg(&out).output().expect("rjcore");
    assert_eq!(again.status.code(), Some(2));
    run(rjcore().arg("report").arg(&core).args(["--overwrite", "-o"]).arg(&out));
}
