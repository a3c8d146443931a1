//! What the commands write as JSON: the sample cores' answers, compared exactly, and each command's against its
//! schema in docs/schema, of which docs/json.md names every field.
//!
//! `RJCORE_BLESS=1` writes the golden files in testdata/json anew; look at the difference before you keep it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::support::schema::{Checker, all_schemas};
use super::support::{Scratch, rjcore};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What is asked of each sample core, and the schema of the answer.
const ASKED: [(&str, &str); 24] = [
    ("info", "info"),
    ("info --properties", "info"),
    ("histo", "histo"),
    ("histo --by-space --top 5", "histo"),
    ("retained --top 30", "retained"),
    ("retained --like mat --top 30", "retained"),
    ("retained --by class --top 50", "retained"),
    ("retained --by root", "retained"),
    ("leaks --min 50K --share 5", "leaks"),
    ("paths CORE Sample$Order --top 5", "paths"),
    ("paths CORE java.util.HashMap --weak --top 4", "paths"),
    ("waste --top 5", "waste"),
    ("tree --top 8", "tree"),
    ("threads --top 4", "threads"),
    ("loaders --top 5", "loaders"),
    ("memory", "memory"),
    ("refs --top 5", "refs"),
    ("find CORE class=Sample$Order --top 5", "find"),
    ("stack", "stack"),
    ("stack --locals", "stack"),
    ("stack --group", "stack-group"),
    ("check", "check"),
    ("dump", "dump"),
    ("trim", "trim"),
];

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// The sample cores by name.
fn cores() -> Vec<(String, PathBuf)> {
    let all = fs::read_dir(path("testdata/cores")).expect("the sample cores").flatten();
    let mut all: Vec<_> = all
        .filter_map(|e| {
            let name = e.file_name().into_string().ok()?;
            Some((name.strip_suffix(".core.zst")?.to_owned(), e.path()))
        })
        .collect();
    all.sort();
    assert!(all.len() >= 5, "{all:?}");
    all
}

/// The answer to `words` about a core.
fn ask(words: &str, core: &Path, dir: &Scratch) -> Value {
    let mut cmd = rjcore();
    // The core comes last, or where it is named.
    let (before, after) = words.split_once(" CORE").unwrap_or((words, ""));
    cmd.args(before.split(' ')).arg("--json").arg(core).args(after.split_whitespace());
    if words == "dump" || words == "trim" {
        cmd.arg("--overwrite").arg("-o").arg(dir.path("out"));
    }
    let out = cmd.stdin(Stdio::null()).output().expect("rjcore starts");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(matches!(out.status.code(), Some(0 | 3)), "{words}: {said}");
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{words}: {e}: {said}"))
}

/// Leaves out what is not the same on all machines: where the files lie, and how long it took.
fn without_machine(value: &mut Value) {
    for (parent, field) in
        [("/core", "path"), ("", "core"), ("", "file"), ("", "seconds"), ("", "bytes")]
    {
        let at = value.pointer_mut(parent).and_then(Value::as_object_mut);
        // A trimmed core's headers have the running rjcore's version, and so its own length.
        let own = |v: &Value| !v.is_object();
        if let Some(at) = at.filter(|o| o.get(field).is_some_and(own)) {
            at.insert(field.into(), "(of this machine)".into());
        }
    }
}

#[test]
fn golden_json_of_the_sample_cores() {
    let dir = Scratch::new("json-golden");
    let rewrite = std::env::var_os("RJCORE_BLESS").is_some();
    let mut schemas = Checker::new();
    let mut other = Vec::new();
    for (name, core) in cores() {
        for (words, schema) in ASKED {
            let mut found = ask(words, &core, &dir);
            schemas.check(schema, &found, &format!("{words} {name}"));
            without_machine(&mut found);
            let text = serde_json::to_string_pretty(&found).expect("JSON") + "\n";
            let file =
                path("testdata/json").join(format!("{name}.{}.json", words.replace(' ', "")));
            let packed = file.with_extension("json.zst");
            let known = fs::read(&packed).ok().and_then(|p| zstd::decode_all(&p[..]).ok());
            if rewrite && known.as_deref() == Some(text.as_bytes()) {
                // The same text may be packed otherwise.
                continue;
            }
            if rewrite {
                fs::create_dir_all(path("testdata/json")).expect("a directory");
                let packed_text = zstd::encode_all(text.as_bytes(), 19).expect("zstd");
                fs::write(&packed, packed_text).expect("the golden file");
                continue;
            }
            let golden = fs::File::open(&packed)
                .unwrap_or_else(|e| panic!("{}: {e}: set RJCORE_BLESS=1", packed.display()));
            let golden = String::from_utf8(zstd::decode_all(golden).expect("zstd")).expect("UTF-8");
            let mut lines = golden.lines().zip(text.lines());
            if golden != text {
                let first = lines.find(|(a, b)| a != b);
                other.push(format!("{name}: {words}: {first:?}"));
            }
        }
    }
    assert!(!rewrite, "the golden files were written, and not compared");
    assert!(other.is_empty(), "{}", other.join("\n"));
}

/// Native frames depend on this machine's libraries; their form does not.
#[test]
fn native_frames_keep_to_the_schema() {
    let dir = Scratch::new("json-mixed");
    let (name, core) = cores().remove(1);
    let found = ask("stack --mixed", &core, &dir);
    Checker::new().check("stack", &found, &name);
    assert!(found.to_string().contains("\"native\":[{"), "no native frame");
}

/// Each field, and each value that a program may meet, is in docs/json.md, and so is each command's schema.
#[test]
fn the_document_names_all_of_the_schemas() {
    let document = fs::read_to_string(path("docs/json.md")).expect("docs/json.md");
    let named: BTreeSet<&str> = document.split('`').skip(1).step_by(2).collect();
    let mut lacking = BTreeSet::new();
    let mut seen = 0;
    for (name, schema) in all_schemas() {
        if !document.contains(&format!("schema/{name}.json")) {
            lacking.insert(format!("schema/{name}.json"));
        }
        words(&schema, &mut |word| {
            seen += 1;
            if !named.contains(word) {
                lacking.insert(format!("{name}: {word}"));
            }
        });
    }
    assert!(seen > 300, "only {seen} words in the schemas");
    assert!(lacking.is_empty(), "docs/json.md lacks {lacking:#?}");
}

/// The names of fields and the values of enumerations.
fn words(schema: &Value, found: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(all) => {
            for (key, value) in all {
                match (key.as_str(), value) {
                    ("properties", Value::Object(fields)) => {
                        fields.iter().for_each(|(name, s)| {
                            found(name);
                            words(s, found);
                        });
                    }
                    ("enum", Value::Array(values)) => {
                        values.iter().filter_map(Value::as_str).for_each(&mut *found);
                    }
                    (_, value) => words(value, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|s| words(s, found)),
        _ => {}
    }
}

/// The check of a field that no schema has, of one that is missing and of a value that is none of those listed.
#[test]
fn what_is_not_in_the_schema_is_found() {
    let dir = Scratch::new("json-other");
    let right = ask("check", &cores()[0].1, &dir);
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut value = right.clone();
        change(&mut value);
        let checked =
            std::panic::catch_unwind(|| Checker::new().check("check", &value, "a changed answer"));
        assert!(checked.is_err(), "{value:#}");
    };
    Checker::new().check("check", &right, "the answer");
    wrong(&|v| v["verdict"] = "perhaps".into());
    wrong(&|v| v["new"] = 1.into());
    wrong(&|v| v["files"][0]["new"] = 1.into());
    wrong(&|v| drop(v.as_object_mut().expect("an object").remove("threads")));
    wrong(&|v| v["schema"] = 2.into());
}
