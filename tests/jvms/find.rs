//! Objects found by an expression, in programs of which the answer is known by construction: from a core, from rjcore's
//! dump of it, and from HotSpot's own dump of the same process.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, run, text};

/// What tests/java/Found.java makes of a number.
struct Leaf {
    id: i64,
}

impl Leaf {
    fn name(&self) -> Option<String> {
        let word = if self.id % 5 == 0 { "葉" } else { "leaf" };
        (self.id % 3 != 0).then(|| format!("{word} {}", self.id))
    }

    fn owner(&self) -> Leaf {
        Leaf { id: self.id / 10 }
    }
}

type Test = fn(&Leaf) -> bool;

/// Expressions over leaves, and what they mean.
const MEANT: &[(&str, Test)] = &[
    ("field.flag=true", |l| l.id % 2 == 0),
    ("field.flag!=true", |l| l.id % 2 != 0),
    ("field.letter=\"c\"", |l| l.id % 26 == 2),
    ("field.letter>=120", |l| l.id % 26 >= 23),
    ("field.letter~'[x-z]'", |l| l.id % 26 >= 23),
    ("field.b<0", |l| (l.id as i8) < 0),
    ("field.s<=-990", |l| l.id >= 990),
    ("field.l>1G", |l| l.id * 1_000_000_007 > 1 << 30),
    ("field.l=999000006993", |l| l.id == 999),
    ("field.f>=499.5", |l| l.id >= 999),
    ("field.d<-249", |l| l.id > 996),
    ("field.d=-0.25", |l| l.id == 1),
    ("field.name=null", |l| l.id % 3 == 0),
    ("field.name!=null and not field.name!=null", |_| false),
    ("field.name~\"^(leaf|葉) \\d*5$\"", |l| l.name().is_some_and(|n| n.ends_with('5'))),
    ("field.name='leaf 7'", |l| l.id == 7),
    ("field.name!='leaf 7'", |l| l.id != 7),
    ("field.name!~leaf", |l| !l.name().is_some_and(|n| n.contains("leaf"))),
    ("field.boxed.value>990", |l| l.id > 990),
    ("field.owner.id=7", |l| l.owner().id == 7),
    ("field.owner.owner.name=\"leaf 1\"", |l| l.owner().owner().id == 1),
    ("field.load!=null", |l| l.id % 100 == 0),
    ("field.id<3 or field.id>=998 and field.flag=true", |l| {
        l.id < 3 || l.id >= 998 && l.id % 2 == 0
    }),
    ("(field.id<3 or field.id>=998) and field.flag=true", |l| {
        (l.id < 3 || l.id >= 998) && l.id % 2 == 0
    }),
    ("retained>20000", |l| l.id % 100 == 0),
    ("retained<=20000 and field.load=null and strength=strong", |l| l.id % 100 != 0),
];

fn ask(input: &Path, args: &[&str]) -> Value {
    let said = text(rjcore().arg("find").arg(input).args(args).arg("--json"));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["whole"], true, "{said}");
    said
}

fn count(input: &Path, expression: &str) -> u64 {
    ask(input, &[expression, "--count"])["count"].as_u64().expect("a number")
}

/// The numbers of the leaves that were found.
fn numbers(input: &Path, expression: &str) -> BTreeSet<i64> {
    let expression = format!("class=Found$Leaf and ({expression})");
    let found = ask(input, &[&expression, "--all", "--show", "field.id"]);
    let all = found["objects"].as_array().expect("objects").iter();
    all.map(|o| o["fields"][0]["value"].as_i64().expect("a number")).collect()
}

fn found(name: &str, version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("find-{name}"));
    let common = ["-Xmx64m", "-XX:ReservedCodeCacheSize=32m", "-Xint"];
    let jvm = Jvm::start(version, &[&common, flags].concat(), "Found", &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    let theirs = dir.path("theirs.hprof");
    jvm.heap_dump(&theirs);
    drop(jvm);
    let ours = dir.path("ours.hprof");
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours));
    for input in [&core, &ours, &theirs] {
        for (expression, test) in MEANT {
            let meant: BTreeSet<i64> = (0..1000).filter(|id| test(&Leaf { id: *id })).collect();
            assert_eq!(numbers(input, expression), meant, "{input:?}: {expression}");
        }
        for (expression, meant) in [
            ("is Found$Base and not is Found$Other", 1000),
            // Each class's nearest field of that name.
            ("is Found$Base and field.id~'^other \\d$' and strength=strong", 7),
            ("is Found$Base and field.id<5", 5),
            // Not the fillers of unused room, which HotSpot's dump has.
            ("class=int[] and length>=5000 and strength=strong", 10),
            ("class=int[] and length=5900 and strength=strong", 1),
            ("class=java.util.HashMap and field.size=321", 1),
            ("is java.util.AbstractMap and length=321", 1),
            ("text~'^key \\d+$' and length=7", 221),
            // Thirteen names, and the beginning that they have in common.
            ("text~'^葉 ' and length<=4", 14),
            ("class=Found$Leaf[] and retained>200K", 1),
            ("is Found$Base[] and retained>200K", 1),
            ("class=java.lang.Class and label=Found$Leaf", 1),
            ("class=java.lang.Thread and label=main", 1),
        ] {
            assert_eq!(count(input, expression), meant, "{input:?}: {expression}");
        }
    }
    // What nothing holds strongly, where the JVM did not collect it.
    assert_eq!(count(&core, "class=Found$Other and strength=weak"), 3);
    // By a super class, by an interface that another extends, and what is in it.
    for (expression, meant) in [
        ("is Found$Tagged", 10),
        ("is Found$Marked and strength=strong", 7),
        ("not is Found$Tagged and is Found$Base", 1000),
        ("is java.util.Map and length=321", 1),
        ("is java.lang.Cloneable and class=Found$Leaf[] and retained>200K", 1),
    ] {
        assert_eq!(count(&core, expression), meant, "{expression}");
    }
    // A dump does not tell what implements an interface, and this is said. Of a class with heirs or fields there is no doubt.
    for input in [&ours, &theirs] {
        let mut cmd = rjcore();
        cmd.args(["find", "--json", "--count"]).arg(input).arg("is Found$Tagged");
        let out = cmd.output().expect("rjcore starts");
        assert_eq!(out.status.code(), Some(3));
        let said: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let gap = &said["gaps"]["metadata"][0];
        assert_eq!((&said["count"], &gap["code"]), (&0.into(), &"interfaces".into()), "{said}");
        assert!(gap["text"].as_str().is_some_and(|t| t.contains("Found$Tagged")), "{said}");
        assert_eq!(count(input, "is java.util.AbstractMap and length=321"), 1);
    }
    let [a, b] = [&core, &ours].map(|input| {
        let all = ask(input, &["is Found$Base and retained>0", "--all", "--show", "field.name"]);
        let mut all = all["objects"].clone();
        for one in all.as_array_mut().expect("objects") {
            // Of all that is held a dump has less.
            one.as_object_mut().expect("an object").remove("share");
        }
        all
    });
    assert!(a.as_array().is_some_and(|all| all.len() == 1010));
    assert_eq!(a, b);
}

#[test]
fn jdk17_g1() {
    found("jdk17-g1", 17, &["-XX:+UseG1GC"]);
}

#[test]
fn jdk25_serial() {
    found("jdk25-serial", 25, &["-XX:+UseSerialGC"]);
}
