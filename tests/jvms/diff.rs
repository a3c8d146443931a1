//! `rjcore diff` of programs of which it is known what grew: a core, a dump of HotSpot's own, and a live JVM.

use serde_json::Value;

use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, text};

const FLAGS: [&str; 2] = ["-Xmx200m", "-XX:+UseSerialGC"];
const ORDER: u64 = 16 + 176;
const NODE: u64 = 32;
/// Integers from 128 on are made anew.
const INTEGER: u64 = 16;

fn grown(version: u32) {
    let dir = Scratch::new(&format!("diff-{version}"));
    let (core, dump) = (dir.path("before.core"), dir.path("after.hprof"));
    let start = |orders: u64| Jvm::start(version, &FLAGS, &format!("Piles {orders}"), &dir);
    let jvm = start(20_000);
    let pid = jvm.pid().to_string();
    text(rjcore().args(["capture", PATIENTLY, &pid, "-o"]).arg(&core));
    drop(jvm);
    let jvm = start(60_000);
    jvm.heap_dump(&dump);
    let pid = jvm.pid().to_string();
    for after in [dump.as_os_str(), pid.as_ref()] {
        let said = text(rjcore().arg("diff").arg(&core).arg(after).args(["--json", "--top", "5"]));
        let found: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(found["whole"], true, "{said}");
        let first = &found["grown"][0];
        let steps: Vec<String> = first["path"]
            .as_array()
            .expect("a path")
            .iter()
            .map(|s| {
                format!(
                    "{}/{}",
                    s["field"].as_str().unwrap_or(""),
                    s["class"].as_str().expect("a class")
                )
            })
            .collect();
        let path = [
            "/class Piles",
            "ORDERS/java.util.HashMap",
            "table/java.util.HashMap$Node[]",
            "/java.util.HashMap$Node",
        ];
        assert_eq!(steps, path, "{said}");
        // Some share a place of the table with another, which holds them.
        assert_eq!(first["after"]["objects"], 60_000);
        assert_eq!(first["objects_change"], 40_000);
        assert_eq!(first["retained_change"].as_u64(), Some(40_000 * (NODE + INTEGER + ORDER)));
        let groups = found["groups"].as_array().expect("groups");
        let of = |name: &str| groups.iter().find(|g| g["name"] == name).expect("a group");
        assert_eq!(of("Piles$Order")["retained_change"].as_u64(), Some(40_000 * ORDER));
        assert_eq!(of("Piles$Order")["before"]["objects"], 20_000);
    }
    let mut cmd = rjcore();
    cmd.arg("diff").arg(&core).arg(&dump).args(["--fail-if", "retained(Piles*) > +100%"]);
    let out = cmd.output().expect("rjcore starts");
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(said.contains("retained(Piles*) > +100%: exceeded"), "{said}");
}

#[test]
fn what_grew_jdk17() {
    grown(17);
}

#[test]
fn what_grew_jdk25() {
    grown(25);
}
