//! The commands that answer who holds the memory, on HPROF files of all forms: each of them opens each, and tells what is
//! missing in it.

use serde_json::Value;

use super::hprof_input::{AN_APP, at, name, sample};
use crate::support::hprof_file::File;
use crate::support::schema::Checker;
use crate::support::{Scratch, rjcore};

/// The commands, with FILE and APP (the address of an object) in their places, and the schema of the answer.
const COMMANDS: [(&str, &str); 11] = [
    ("retained FILE", "retained"),
    ("leaks FILE --min 1 --share 1", "leaks"),
    ("report FILE --overwrite -o FILE.html", "report"),
    ("tree FILE --depth 5", "tree"),
    ("paths FILE App", "paths"),
    ("show FILE APP", "show"),
    ("find FILE class=App --show retained,field.value", "find"),
    ("waste FILE", "waste"),
    ("threads FILE --details 3", "threads"),
    ("loaders FILE", "loaders"),
    ("refs FILE", "refs"),
];

/// Files, and what is said of those that are not whole.
fn forms() -> Vec<(&'static str, File, Option<&'static str>)> {
    let without_end = || {
        let mut f = sample("1.0.2", 8, true);
        f.bytes.truncate(f.bytes.len() - 9);
        f
    };
    let mut cut = sample("1.0.2", 4, true);
    cut.bytes.truncate(cut.bytes.len() - 30);
    // Android's: 1.0.3, heaps by name, roots and arrays of its own.
    let mut android = sample("1.0.3", 4, true);
    android.bytes.truncate(android.bytes.len() - 9);
    let heap = android.id(name("App"));
    android.sub(0xfe, 0x4100, &heap);
    android.sub(0xc3, at(30), &[&[0; 4][..], &3u32.to_be_bytes(), &[10]].concat());
    for tag in [0x89, 0x8a, 0x8b, 0x8c, 0x8d] {
        android.sub(tag, at(30), &[]);
    }
    android.sub(0x8e, at(30), &[0; 8]);
    android.sub(0x90, at(30), &[]);
    android.flush(0x1c);
    android.record(0x2c, &[]);
    // As other JVMs' tools write it: without threads and stacks, one record, roots of no known kind.
    let mut other = sample("1.0.1", 4, false);
    other.sub(0xff, at(AN_APP), &[]);
    other.sub(0x08, at(AN_APP), &[0; 8]);
    other.flush(0x0c);
    vec![
        ("4-byte ids", sample("1.0.2", 4, true), None),
        ("one HEAP_DUMP", sample("1.0.1", 8, false), None),
        ("one HEAP_DUMP with 4-byte ids", sample("1.0.1", 4, false), None),
        ("no END", without_end(), Some("HEAP_DUMP_END")),
        ("cut off", cut, Some("cut off")),
        ("Android's", android, None),
        ("several HEAP_DUMPs", other, None),
    ]
}

#[test]
fn every_command_opens_every_form() {
    let dir = Scratch::new("hprof-answers");
    let file = dir.path("heap.hprof");
    let mut schemas = Checker::new();
    for (form, of, gap) in forms() {
        std::fs::write(&file, &of.bytes).expect("room");
        for (words, schema) in COMMANDS {
            let path = file.to_str().expect("UTF-8");
            let words = words.replace("FILE", path).replace("APP", &format!("{:#x}", at(AN_APP)));
            let what = format!("{form}: {words}");
            let out = rjcore().args(words.split(' ')).arg("--json").output().expect("rjcore");
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(
                out.status.code(),
                Some(if gap.is_some() { 3 } else { 0 }),
                "{what}: {said}"
            );
            let answer: Value = serde_json::from_slice(&out.stdout).expect("JSON");
            schemas.check(schema, &answer, &what);
            assert_eq!(answer["whole"], gap.is_none(), "{what}");
            let gaps = answer["gaps"].to_string();
            assert!(gap.is_none_or(|gap| gaps.contains(gap)), "{what}: {gaps}");
            assert!(answer["sizes"].is_string(), "{what}");
            match schema {
                "find" => assert_eq!(answer["count"], 1, "{what}"),
                "show" => assert_eq!(answer["class"], "App", "{what}"),
                "paths" => assert_eq!(answer["object"]["class"], "App", "{what}"),
                _ => {}
            }
            // For people the same.
            let out = rjcore().args(words.split(' ')).output().expect("rjcore");
            assert_eq!(out.status.code(), Some(if gap.is_some() { 3 } else { 0 }), "{what}");
            let said = String::from_utf8_lossy(&out.stderr);
            assert!(gap.is_none_or(|gap| said.contains(gap)), "{what}: {said}");
        }
    }
}
