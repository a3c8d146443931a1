//! What people and their tools read: the histogram beside jcmd's, folded stacks, and JSON whose values are values.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, dep, jdks, rjcore, run, text};
use inferno::flamegraph;
use serde_json::Value;

const FLAGS: [&str; 3] = ["-Xmx64m", "-XX:ReservedCodeCacheSize=32m", "-XX:+UseSerialGC"];

fn captured(jvm: &Jvm, dir: &Scratch) -> std::path::PathBuf {
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    core
}

/// Lines without their rank, from the head on.
fn table(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|l| !l.starts_with(" num "));
    lines.map(|l| l.split_once(": ").map_or(l, |(_, rest)| rest)).collect()
}

/// The two histograms are the same text, but for the few lines of what jcmd itself needs and of the arrays that it
/// fills TLABs with.
fn diffs_with_jcmd(version: u32) {
    let dir = Scratch::new(&format!("people-histo-{version}"));
    let jvm = jdks::start(version, &FLAGS, "Sample", &dir);
    // What the attach itself makes is there from the first time on.
    jvm.jcmd(&["GC.class_histogram", "-all"]);
    let theirs = jvm.jcmd(&["GC.class_histogram", "-all"]);
    let ours = text(rjcore().arg("histo").arg(captured(&jvm, &dir)));
    let (theirs, ours) = (table(&theirs), table(&ours));
    assert_eq!(ours[..2], theirs[..2], "the head");
    assert_eq!(ours[0].contains("(module)"), version > 8);
    let end = |t: &[&str]| t.last().is_some_and(|l| l.starts_with("Total "));
    assert!(end(&ours) && end(&theirs));
    let width = |t: &[&str]| t.last().map(|l| l.len());
    assert_eq!(width(&ours), width(&theirs));
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (ours.iter().collect(), theirs.iter().collect());
    let same = a.intersection(&b).count();
    let other: Vec<_> = a.symmetric_difference(&b).collect();
    println!("{version}: {same} lines are the same, {other:?}");
    assert!(same > 100 && other.len() <= 20, "{other:#?}");
    // Lines of one size stand in the same order.
    let common = |t: &[&str]| -> Vec<String> {
        t.iter().filter(|l| a.contains(l) && b.contains(l)).map(|l| (*l).to_owned()).collect()
    };
    assert_eq!(common(&ours), common(&theirs));
}

#[test]
fn the_histogram_diffs_with_jcmds_jdk8() {
    diffs_with_jcmd(8);
}

#[test]
fn the_histogram_diffs_with_jcmds_jdk17() {
    diffs_with_jcmd(17);
}

#[test]
fn the_histogram_diffs_with_jcmds_newest() {
    diffs_with_jcmd(jdks::newest());
}

/// A line for each thread, virtual ones by their own names; and what draws flame graphs takes them.
#[test]
fn folded_stacks() {
    let dir = Scratch::new("people-folded");
    let jvm = Jvm::start(25, &FLAGS[..2], "Stacks virtual", &dir);
    let core = captured(&jvm, &dir);
    let folded = text(rjcore().arg("stack").arg(&core).arg("--folded"));
    let all: Value =
        serde_json::from_str(&text(rjcore().arg("stack").arg(&core).arg("--json"))).expect("JSON");
    let has_frames = |t: &&Value| !t["stack"]["frames"].as_array().expect("frames").is_empty();
    let list = |key: &str| all[key].as_array().expect("a list").clone();
    let (threads, unmounted) = (list("threads"), list("virtual_threads"));
    let carried: Vec<Value> =
        threads.iter().map(|t| t["carries"].clone()).filter(|c| !c.is_null()).collect();
    assert_eq!(carried.len(), 2);
    let want = [&threads, &unmounted, &carried].map(|t| t.iter().filter(has_frames).count());
    let lines: Vec<(&str, u64)> = folded
        .lines()
        .map(|l| l.rsplit_once(' ').expect("a count"))
        .map(|(stack, n)| (stack, n.parse().expect("a number")))
        .collect();
    assert_eq!(lines.iter().map(|l| l.1).sum::<u64>() as usize, want.iter().sum::<usize>());
    // The mounted ones are not lost with their carriers: name, then frames down to where it runs.
    for name in ["mounted", "pinned"] {
        let line = lines.iter().find(|l| l.0.split(';').next() == Some(name));
        let (stack, n) = line.unwrap_or_else(|| panic!("no {name}:\n{folded}"));
        assert_eq!(*n, 1);
        assert!(stack.contains(";java.lang.VirtualThread.run;"), "{stack}");
    }
    let mut svg = Vec::new();
    let mut options = flamegraph::Options::default();
    flamegraph::from_lines(&mut options, folded.lines(), &mut svg).expect("a picture");
    let svg = String::from_utf8(svg).expect("UTF-8");
    assert!(svg.contains("<title>mounted (1 samples, "), "{svg:.3000}");
    // A core of rjcore's has CPU times in ticks of 10 ms: no digit more than that.
    let printed = text(rjcore().arg("stack").arg(&core));
    let times: Vec<&str> =
        printed.split(" cpu=").skip(1).filter_map(|t| t.split(' ').next()).collect();
    assert!(times.len() > 20, "{printed}");
    assert!(
        times.iter().all(|t| *t == "0ms" || t.ends_with("0ms") && !t.contains('.')),
        "{times:?}"
    );
    let spinning = threads.iter().find(|t| t["name"] == "Spin compiled").expect("the thread");
    assert!(spinning["cpu_ms"].is_u64() && spinning["cpu_ms"].as_u64() > Some(0), "{spinning}");
}

/// Names whose values are addresses.
const ADDRESSES: [&str; 11] =
    ["address", "start", "end", "base", "id", "tid", "sp", "list", "object", "monitor", "pc"];

/// Goes through all of a document: `path` says where.
fn look(path: &str, v: &Value, wrong: &mut Vec<String>) {
    match v {
        Value::Object(all) => {
            for (key, v) in all {
                let path = format!("{path}.{key}");
                // The kernel's ids of threads are numbers.
                let kernels = path.ends_with("killed_by.tid") || path.contains("captured.threads");
                if ADDRESSES.contains(&key.as_str()) && v.is_number() && !kernels {
                    wrong.push(format!("{path} is a number: {v}"));
                }
                if v == ""
                    && key != "name"
                    && !path.contains(".properties.")
                    && !path.contains(".flags.")
                {
                    wrong.push(format!("{path} is empty"));
                }
                look(&path, v, wrong);
            }
        }
        Value::Array(all) => {
            if all.len() == 2 && all.iter().all(Value::is_number) {
                wrong.push(format!("{path} is a bare pair: {v}"));
            }
            all.iter().for_each(|v| look(&format!("{path}[]"), v, wrong));
        }
        Value::String(text) => {
            let digits = text.strip_prefix("0x").filter(|_| !text.contains(' '));
            if digits.is_some_and(|d| u64::from_str_radix(d, 16).is_err()) {
                wrong.push(format!("{path} is no address: {text}"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn json(args: &[&str], core: &Path) -> Value {
    let out = rjcore().arg(args[0]).arg(core).args(&args[1..]).output().expect("rjcore");
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {out:?}"))
}

/// Every command's JSON, of whole cores and of one that is cut off.
#[test]
fn json_has_addresses_as_text_and_no_bare_pairs() {
    let dir = Scratch::new("people-json");
    let out = dir.path("out");
    let out = out.to_str().expect("UTF-8");
    let sample = dep("testdata/cores/jdk25-g1.core.zst");
    let plain = dir.path("plain");
    run(Command::new("zstd").args(["-d", "-q"]).arg(&sample).arg("-o").arg(&plain));
    let length = std::fs::metadata(&plain).expect("a core").len();
    let mut wrong = Vec::new();
    for cut in [false, true] {
        if cut {
            let file = std::fs::OpenOptions::new().write(true).open(&plain).expect("a core");
            file.set_len(length / 100 * 97).expect("a shorter one");
        }
        for args in [
            &["info", "--json", "--properties"][..],
            &["check", "--json"],
            &["histo", "--json", "--by-space"],
            &["dump", "--json", "--overwrite", "-o", out],
            &["stack", "--json", "--locals"],
            &["stack", "--json", "--mixed"],
            &["stack", "--json", "--group"],
        ] {
            if cut && args[0] != "info" && args[0] != "check" {
                let code = rjcore().arg(args[0]).arg(&plain).args(&args[1..]).output();
                if code.expect("rjcore").status.code() == Some(1) {
                    continue;
                }
            }
            look(&args.join(" "), &json(args, &plain), &mut wrong);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let cut = json(&["info", "--json"], &plain);
    assert!(cut["truncated"]["missing_bytes"].as_u64() >= Some(length / 100 * 2), "{cut}");
    assert!(cut["truncated"]["segments"][0]["start"].is_string(), "{cut}");
    let group = json(&["stack", "--json", "--group"], &sample);
    assert!(group["vm"].as_str().is_some_and(|v| v.contains("(25.")), "{group}");
    assert!(group.get("taken_ms").is_some());
    assert!(group["groups"][0]["frames"][0].get("kind").is_none(), "{group}");
}
