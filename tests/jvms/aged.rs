//! Generational ZGC moves objects, and comes to the stacks of threads that wait much later: their references have no
//! colour, and lead to where objects were. tests/java/Aged makes such threads, and has the memory used again.
//! The core is taken before HotSpot writes a dump: that would make it look through all stacks.

use std::collections::BTreeMap;

use crate::support::hprof::{Dump, JAVA_FRAME};
use crate::support::{PATIENTLY, Scratch, classes, jdks, rjcore, run};

/// As in tests/java/Aged.
const FIRST: usize = 9400;
const THREADS: usize = 6;
const DEPTH: usize = 40;
const HALF_WAY: usize = 10;

fn each_frame_has_its_object(name: &str, version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("aged-{name}"));
    let flags = [&["-XX:+UseZGC", "-XX:-ZProactive"], flags].concat();
    let jvm = jdks::start_from(classes(), version, &flags, "Aged", &dir);
    let (core, ours) = (dir.path("core"), dir.path("ours.hprof"));
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours).arg("--sysroot").arg(jdks::root()));
    let dump = Dump::open(&ours);
    assert_eq!(dump.problems, Vec::<String>::new());
    let mut held = BTreeMap::new();
    for root in dump.roots.keys().filter(|r| r.tag == JAVA_FRAME) {
        let Some(object) = dump.objects.get(&root.id) else {
            assert!(dump.classes.contains_key(&root.id), "no object: {root:?}");
            continue;
        };
        let bytes = dump.bytes(object);
        let length = bytes.len() / 4;
        let made = FIRST..FIRST + THREADS * DEPTH;
        if dump.class_name(object) == "int[]" && made.contains(&length) {
            let first = u32::from_be_bytes(bytes[..4].try_into().expect("an int"));
            *held.entry((length, first as usize)).or_insert(0) += 1;
        }
    }
    let alive = (0..THREADS).flat_map(|thread| {
        let innermost = if thread % 2 == 0 { HALF_WAY } else { 0 };
        (innermost..DEPTH).map(move |n| FIRST + thread * DEPTH + n)
    });
    let want: BTreeMap<_, _> = alive.map(|length| ((length, length * 7), 1)).collect();
    assert_eq!(held, want);
}

#[test]
fn interpreted_jdk21() {
    each_frame_has_its_object("21", 21, &["-XX:+ZGenerational", "-Xmx192m", "-Xint"]);
}

#[test]
fn compiled_jdk25() {
    each_frame_has_its_object(
        "25",
        25,
        &["-Xmx160m", "-Xcomp", "-XX:CompileCommand=compileonly,Aged::*"],
    );
}

#[test]
fn interpreted_newest() {
    each_frame_has_its_object("newest", jdks::newest(), &["-Xmx160m", "-Xint"]);
}
