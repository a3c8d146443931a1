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

fn example(name: &str) -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_rjcore")).with_file_name("examples").join(name);
    assert!(built.exists(), "{}: build it by `cargo build --examples`", built.display());
    printed(&built, &[CORE])
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
    let text = example("histogram");
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
    let text = example("objects");
    let number = |line| words(line)[0].parse::<u64>().expect("bytes");
    let sum: u64 = text.lines().map(number).sum();
    let histo = rjcore(&["histo", "--json", CORE]);
    let classes = histo["classes"].as_array().expect("classes").iter();
    let arrays = classes.filter(|c| c["name"].as_str().is_some_and(|n| n.starts_with('[')));
    assert_eq!(sum, arrays.map(|c| c["bytes"].as_u64().expect("bytes")).sum::<u64>());
}

#[test]
fn threads() {
    let text = example("threads");
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
