//! `rjcore diff`: against the difference of two answers of `retained`, of cores and of their dumps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::schema::Checker;
use crate::support::{Scratch, dep, rjcore, run, text};

fn core(name: &str) -> PathBuf {
    dep(&format!("testdata/cores/{name}.core.zst"))
}

fn diff(before: &Path, after: &Path, args: &[&str]) -> Value {
    let mut cmd = rjcore();
    cmd.arg("diff").arg(before).arg(after).args(args).arg("--json");
    let found = serde_json::from_str(&text(&mut cmd)).expect("JSON");
    Checker::new().check("diff", &found, &format!("{args:?}"));
    found
}

fn list<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of[field].as_array().unwrap_or_else(|| panic!("{field} of {of}"))
}

/// Of each group objects, shallow and retained bytes, by `retained`.
fn groups(core: &Path, by: &str) -> BTreeMap<String, [i64; 3]> {
    let mut cmd = rjcore();
    cmd.args(["retained", "--by", by, "--top", "1000000", "--json"]).arg(core);
    let found: Value = serde_json::from_str(&text(&mut cmd)).expect("JSON");
    let mut out: BTreeMap<String, [i64; 3]> = BTreeMap::new();
    for group in list(&found, "groups") {
        // Hidden classes and loaders have addresses in their names.
        let name = group["name"].as_str().expect("a name");
        let name = name.split(" @ ").next().unwrap_or(name);
        let hidden = name.split_once("/0x").or_else(|| name.split_once("+0x"));
        let name = hidden.map_or(name, |(name, _)| name);
        let sums = out.entry(name.into()).or_default();
        for (sum, field) in sums.iter_mut().zip(["objects", "shallow", "retained"]) {
            *sum += group[field].as_i64().expect("a number");
        }
    }
    out
}

/// Each group changed by what two answers of `retained` differ in.
#[test]
fn groups_are_the_difference_of_two_answers() {
    let cores = ["jdk17-g1", "jdk25-g1"].map(core);
    for by in ["class", "package", "loader", "thread", "root"] {
        let [before, after] = cores.each_ref().map(|core| groups(core, by));
        let found = diff(&cores[0], &cores[1], &["--by", by, "--top", "1000000"]);
        let mut changed = 0;
        for name in before.keys().chain(after.keys().filter(|n| !before.contains_key(*n))) {
            let [old, new] = [&before, &after].map(|side| side.get(name).copied());
            let of: Vec<&Value> =
                list(&found, "groups").iter().filter(|g| g["name"] == name.as_str()).collect();
            if old == new {
                assert!(of.is_empty(), "{by} {name} did not change");
                continue;
            }
            changed += 1;
            let [of] = of[..] else { panic!("{by} {name}: {of:?}") };
            let presence = match (old, new) {
                (None, _) => "new",
                (_, None) => "gone",
                _ => "both",
            };
            assert_eq!(of["presence"], presence, "{by} {name}");
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            for (i, field) in ["objects", "shallow", "retained"].into_iter().enumerate() {
                assert_eq!(of["before"][field], old[i], "{by} {name}");
                assert_eq!(of["after"][field], new[i], "{by} {name}");
                assert_eq!(of[format!("{field}_change")], new[i] - old[i], "{by} {name}");
            }
        }
        assert_eq!(found["group_count"], changed, "{by}");
        assert!(changed > 0, "{by}");
    }
}

/// Nothing changed between a core and itself; the program's own objects are the same in its dump.
#[test]
fn the_same_heap_twice() {
    let dir = Scratch::new("diff-same");
    for name in ["jdk17-serial", "jdk25-g1"] {
        let core = core(name);
        let found = diff(&core, &core, &[]);
        for count in ["group_count", "grown_count", "strong_change"] {
            assert_eq!(found[count], 0, "{name}: {count}");
        }
        let said = text(rjcore().arg("diff").arg(&core).arg(&core));
        assert!(said.contains("No class changed."), "{said}");
        let dump = dir.path("heap.hprof");
        run(rjcore().args(["dump", "--overwrite", "-o"]).arg(&dump).arg(&core));
        let found = diff(&core, &dump, &["--class", "Sample*", "--min", "1"]);
        assert_eq!(found["group_count"], 0, "{found}");
    }
}

/// A limit that is exceeded is the exit code 1; the answer is there all the same.
#[test]
fn limits() {
    let (before, after) = (core("jdk25-g1"), core("jdk17-g1"));
    let ask = |limits: &[&str]| {
        let mut cmd = rjcore();
        cmd.arg("diff").arg(&before).arg(&after).args(["--top", "1", "--json"]);
        limits.iter().for_each(|l| {
            cmd.args(["--fail-if", l]);
        });
        let out = cmd.output().expect("rjcore starts");
        let found: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        let exceeded: Vec<bool> = found["gates"]
            .as_array()
            .map(|all| all.iter().map(|g| g["exceeded"] == true).collect())
            .unwrap_or_default();
        (out.status.code(), exceeded)
    };
    let both = groups(&before, "class").get("java.lang.String").copied().expect("Strings");
    let strings = groups(&after, "class").get("java.lang.String").copied().expect("Strings");
    let grown = strings[0] - both[0];
    assert!(grown > 0, "{both:?} {strings:?}");
    let limit = |by: i64| format!("objects(java.lang.String) > +{by}");
    assert_eq!(ask(&[&limit(grown)]), (Some(0), vec![false]));
    assert_eq!(ask(&["objects > 100G", &limit(grown - 1)]), (Some(1), vec![false, true]));
    assert_eq!(ask(&["retained > 10%"]).0, Some(2));
    let out = rjcore().args(["diff", "-", "-"]).output().expect("rjcore starts");
    assert_eq!(out.status.code(), Some(2));
}
