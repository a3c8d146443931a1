//! Stacks of threads that were caught while they ran Java code: how many are walked to their bottom.
//!
//! `RJCORE_CAPTURES=100` is the full run; `RJCORE_JHSDB=1` lets jhsdb of the same JDK read the same cores, and
//! prints its figures beside rjcore's.

use crate::support::{PATIENTLY, Scratch, jdks, rjcore};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const FLAGS: [&str; 4] = [
    "-Xmx64m",
    "-XX:ReservedCodeCacheSize=32m",
    "-XX:CompileCommand=quiet",
    "-XX:CompileCommand=exclude,Spinning::*Interpreted",
];
/// Kinds of threads in tests/java/Spinning.
const KINDS: usize = 9;
const METHODS: [&str; 3] = ["fork", "precopy", "stop"];

fn captures() -> usize {
    std::env::var("RJCORE_CAPTURES").ok().and_then(|n| n.parse().ok()).unwrap_or(5)
}

/// Whether frames, innermost first, end where all stacks of a kind end.
fn whole(kind: &str, methods: &[String]) -> bool {
    // The thread's own run(), the lambda expression's class's run(), its method, and what that calls.
    let [.., called, lambda, "run", "run"] =
        &methods.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return false;
    };
    *called == kind && lambda.starts_with("lambda$main$")
}

/// Per kind: what is wrong with its stack, or nothing.
type Seen = BTreeMap<String, Result<bool, String>>;

/// By rjcore: `Ok` says whether any frame is guessed.
fn rjcores(core: &Path, mixed: bool) -> Seen {
    let mut cmd = rjcore();
    cmd.arg("stack").arg(core).args(["--json", "--no-heap"]).arg("--sysroot").arg(jdks::root());
    let out = cmd.args(mixed.then_some("--mixed")).output().expect("rjcore");
    let json: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let mut seen = Seen::new();
    for t in json["threads"].as_array().expect("threads") {
        let Some(kind) = t["name"].as_str().and_then(|n| n.strip_prefix("Spin ")) else { continue };
        let frames = t["stack"]["frames"].as_array().expect("frames");
        let text = |f: &Value, name: &str| f[name].as_str().expect("text").to_owned();
        let methods: Vec<String> = frames.iter().map(|f| text(f, "method")).collect();
        let guessed = frames.iter().any(|f| f["trust"] == "guessed");
        let broken = &t["stack"]["broken"];
        let state = match broken.is_null() && whole(kind, &methods) {
            true => Ok(guessed),
            false => Err(format!("{broken} {methods:?}")),
        };
        seen.insert(kind.to_owned(), state);
    }
    assert_eq!(seen.len(), KINDS, "{seen:?}");
    seen
}

/// By jhsdb jstack.
fn jhsdbs(version: u32, core: &Path) -> Seen {
    let java = format!("/usr/lib/jvm/java-{version}-openjdk-amd64/bin/java");
    let mut cmd = jdks::command(version, "jhsdb");
    cmd.args(["jstack", "--exe", &java]).arg("--core").arg(core);
    let out = cmd.output().expect("jhsdb");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut stacks: BTreeMap<String, (Vec<String>, bool)> = BTreeMap::new();
    let mut at = None;
    for line in said.lines() {
        if let Some((name, _)) = line.strip_prefix('"').and_then(|l| l.split_once('"')) {
            at = name.strip_prefix("Spin ").map(str::to_owned);
        }
        let Some(kind) = &at else { continue };
        let stack = stacks.entry(kind.clone()).or_default();
        // " - java.lang.Thread.run() @bci=1, line=840 (Compiled frame)"
        if let Some(frame) = line.strip_prefix(" - ").filter(|l| l.contains(" @bci=")) {
            let method = frame.split('(').next().unwrap_or("");
            stack.0.push(method.rsplit('.').next().unwrap_or("").to_owned());
        }
        stack.1 |= line.contains("Error occurred") || line.contains("sun.jvm.hotspot.");
    }
    let state = |kind: &str, s: &(Vec<String>, bool)| match !s.1 && whole(kind, &s.0) {
        true => Ok(false),
        false => Err(format!("{} {:?}", if s.1 { "an exception" } else { "" }, s.0)),
    };
    let mut seen: Seen = stacks.iter().map(|(k, s)| (k.clone(), state(k, s))).collect();
    // It may have given up before.
    let kinds = ["loops", "loopsInterpreted", "recursion", "maths", "mathsInterpreted", "copies"];
    for kind in kinds.iter().chain(&["allocates", "calls", "locks"]) {
        seen.entry((*kind).to_owned()).or_insert_with(|| Err("not there".into()));
    }
    seen
}

#[derive(Debug, Default)]
struct Count {
    whole: usize,
    guessed: usize,
    all: usize,
}

impl Count {
    fn add(&mut self, who: &str, seen: &Seen) {
        for (kind, state) in seen {
            self.all += 1;
            match state {
                Ok(guessed) => {
                    self.whole += 1;
                    self.guessed += usize::from(*guessed);
                }
                Err(what) => println!("{who}: {kind}: {what:.400}"),
            }
        }
    }
}

fn spinning(version: u32) {
    let dir = Scratch::new(&format!("spinning-{version}"));
    let jvm = jdks::start(version, &FLAGS, "Spinning", &dir);
    let core = dir.path("core");
    let (mut ours, mut mixed, mut theirs) = (Count::default(), Count::default(), Count::default());
    let n = captures();
    for i in 0..n {
        std::thread::sleep(Duration::from_millis(17 * (i as u64 % 13)));
        let mut cmd = rjcore();
        cmd.args([
            "capture",
            PATIENTLY,
            &jvm.pid().to_string(),
            "--overwrite",
            "--snapshot",
            METHODS[i % 3],
        ]);
        let out = cmd.arg("-o").arg(&core).output().expect("rjcore");
        // 3: into a pause, or a stack of those that are counted here.
        assert!(matches!(out.status.code(), Some(0 | 3)), "{out:?}");
        let seen = rjcores(&core, false);
        if std::env::var_os("RJCORE_KEEP").is_some() && seen.values().any(Result::is_err) {
            std::fs::copy(&core, dir.path(&format!("bad-{i}"))).expect("a copy");
        }
        ours.add("rjcore", &seen);
        mixed.add("rjcore --mixed", &rjcores(&core, true));
        if std::env::var_os("RJCORE_JHSDB").is_some() {
            theirs.add("jhsdb", &jhsdbs(version, &core));
        }
        if i % 10 == 9 {
            println!("{version}, {i}: {ours:?}, {mixed:?}, {theirs:?}");
        }
    }
    println!("{version}: rjcore {ours:?}, --mixed {mixed:?}, jhsdb {theirs:?}");
    assert_eq!(ours.all, n * KINDS);
    for c in [&ours, &mixed] {
        assert!(c.whole * 100 >= c.all * 99 || c.all - c.whole <= 1, "{version}: {c:?}");
    }
    assert!(theirs.all == 0 || theirs.whole > 0, "jhsdb read nothing: {theirs:?}");
}

#[test]
fn jdk17() {
    spinning(17);
}

#[test]
fn jdk25() {
    spinning(25);
}
