//! `rjcore info` against what the JVM itself counts and what was done to it: collections by the management
//! beans, how it died, who sent the signal, how long it ran, which JDK it is.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, jdks, rjcore, run, text};
use serde_json::Value;

const FLAGS: [&str; 2] = ["-Xmx64m", "-XX:ReservedCodeCacheSize=32m"];

fn info(core: &Path, more: &[&str]) -> Value {
    let root = jdks::root();
    let mut cmd = rjcore();
    cmd.arg("info").arg(core).arg("--json").args(more).arg("--sysroot").arg(root);
    serde_json::from_str(&text(&mut cmd)).expect("JSON")
}

fn captured(jvm: &Jvm, dir: &Scratch) -> PathBuf {
    let core = dir.path("captured");
    let mut cmd = rjcore();
    run(cmd
        .args(["capture", PATIENTLY])
        .arg(jvm.pid().to_string())
        .arg("--overwrite")
        .arg("-o")
        .arg(&core));
    core
}

/// The collector's own counts, as the program read them from the management beans.
fn beans(info: &Value) -> Vec<(String, u64)> {
    let said = info["vm"]["properties"]["collected.counts"].as_str().expect("the counts");
    let parts =
        said.split(';').filter(|p| !p.is_empty()).map(|p| p.split_once('=').expect("a count"));
    parts.map(|(name, n)| (name.to_owned(), n.parse().expect("a number"))).collect()
}

/// The counts are those of the beans, name by name (of ZGC and Shenandoah), and in sum.
fn counted(version: u32, flags: &[&str], spaces: &[&str], by_name: bool) -> Value {
    let dir = Scratch::new(&format!("info-{version}-{}", flags.concat().replace([':', '='], "")));
    let jvm = jdks::start(version, &[&FLAGS, flags].concat(), "Collected", &dir);
    let info = info(&captured(&jvm, &dir), &["--properties"]);
    let heap = &info["heap"];
    let beans = beans(&info);
    println!("{version} {flags:?}: {beans:?} {heap}");
    let is_pause = |name: &str| name.ends_with(" Pauses");
    let sum: u64 = beans.iter().filter(|b| !is_pause(&b.0)).map(|b| b.1).sum();
    assert!(sum >= 3, "{beans:?}");
    assert_eq!(heap["collections"], sum, "{beans:?}");
    let mut named: Vec<(String, u64)> = heap["collections_by_name"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| {
            (c["name"].as_str().expect("a name").into(), c["count"].as_u64().expect("a count"))
        })
        .collect();
    if by_name {
        let mut beans = beans;
        beans.sort();
        named.sort();
        assert_eq!(named, beans);
    } else {
        assert_eq!(named.iter().map(|n| n.1).sum::<u64>(), sum);
    }
    let shown = heap["spaces"].as_array().expect("spaces").iter().map(|s| s["space"].as_str());
    let shown: Vec<&str> = shown.map(|s| s.expect("a name")).collect();
    assert_eq!(shown, spaces);
    // start and capture are known: the time between them is, in any JDK.
    let (start, up) = (&info["vm"]["started_ms"], &info["vm"]["uptime_ms"]);
    let captured = info["core"]["captured"]["captured_ms"].as_u64().expect("a time");
    assert_eq!(start.as_u64().expect("a time") + up.as_u64().expect("a time"), captured);
    assert_eq!(info["vm"]["jdk"], version);
    assert_eq!(
        info["vm"]["properties"]["java.specification.version"],
        match version {
            8 => "1.8".into(),
            n => n.to_string(),
        }
    );
    let regions = |v: &Value| v["regions"].as_u64().expect("a number");
    let kinds: u64 = heap["region_kinds"].as_array().expect("a list").iter().map(regions).sum();
    assert_eq!(kinds > 0, by_name, "{heap}");
    // A ZGC with generations says of each kind of page whose it is.
    let generations = heap["region_kinds"].to_string();
    let has_both = generations.contains("\"young\"") && generations.contains("\"old\"");
    assert_eq!(has_both, spaces[0] == "eden" && by_name, "{heap}");
    info
}

macro_rules! counts {
    ($($name:ident: $version:expr, $flags:expr, $spaces:expr, $by_name:expr;)*) => { $(
        #[test]
        fn $name() {
            counted($version, &$flags, &$spaces, $by_name);
        }
    )* };
}

const EXPERIMENTAL: &str = "-XX:+UnlockExperimentalVMOptions";
const GENERATIONS: &str = "-XX:ShenandoahGCMode=generational";

counts! {
    shenandoah_11: 11, [EXPERIMENTAL, "-XX:+UseShenandoahGC"], ["regular", "humongous"], true;
    shenandoah_21: 21, ["-XX:+UseShenandoahGC"], ["regular", "humongous"], true;
    shenandoah_25: 25, ["-XX:+UseShenandoahGC"], ["regular", "humongous"], true;
    shenandoah_with_generations: 26, [EXPERIMENTAL, "-XX:+UseShenandoahGC", GENERATIONS],
        ["young", "old", "humongous"], true;
    shenandoah_newest: jdks::newest(), ["-XX:+UseShenandoahGC"], ["regular", "humongous"], true;
    z_without_generations: 17, ["-XX:+UseZGC"], ["regular", "humongous"], true;
    z_with_generations: 21, ["-XX:+UseZGC", "-XX:+ZGenerational"], ["eden", "old", "humongous"], true;
    z_25: 25, ["-XX:+UseZGC"], ["eden", "old", "humongous"], true;
    z_newest: jdks::newest(), ["-XX:+UseZGC"], ["eden", "old", "humongous"], true;
    g1_25: 25, ["-XX:+UseG1GC"], ["eden", "old", "humongous"], false;
    parallel_8: 8, ["-XX:+UseParallelGC"], ["eden", "survivor", "old"], false;
}

#[test]
fn a_jdk_8_is_no_jdk_25() {
    let info = counted(8, &["-XX:+UseG1GC"], &["regular", "humongous"], false);
    assert!(info["vm"]["java_version"].as_str().expect("a version").starts_with("1.8.0_"));
    let version = info["vm"]["version"].as_str().expect("a version");
    assert!(version.starts_with("25."), "{version}");
}

/// HotSpot aborts for an OutOfMemoryError: its own words are told.
fn crashes(version: u32) {
    let dir = Scratch::new(&format!("info-crash-{version}"));
    let java = jdks::command(version, "java");
    let mut cmd = Command::new("sh");
    cmd.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
    cmd.arg(java.get_program()).args(java.get_args());
    cmd.args(["-Xmx16m", "-XX:ReservedCodeCacheSize=16m", "-XX:+CrashOnOutOfMemoryError"]);
    cmd.args(["-XX:ErrorFile=/dev/null", "-cp"]).arg(crate::support::classes()).arg("Exhausted");
    cmd.current_dir(dir.path("")).stdout(std::process::Stdio::null());
    assert!(!cmd.status().expect("a JVM").success(), "it did not crash");
    let info = info(&found(&dir), &[]);
    assert_eq!(info["core"]["killed_by"]["name"], "SIGABRT");
    assert_eq!(info["core"]["killed_by"]["thread"], "filler");
    let memory = &info["core"]["out_of_memory"];
    assert_eq!(memory["reported"], "OutOfMemory encountered: Java heap space", "{memory}");
}

fn found(dir: &Scratch) -> PathBuf {
    let names = std::fs::read_dir(dir.path("")).expect("the directory").flatten();
    let mut cores = names.filter(|e| e.file_name().to_string_lossy().starts_with("core"));
    cores.next().expect("a core: sysctl kernel.core_pattern=core").path()
}

#[test]
fn an_error_that_crashes_jdk8() {
    crashes(8);
}

#[test]
fn an_error_that_crashes_jdk17() {
    crashes(17);
}

#[test]
fn an_error_that_crashes_newest() {
    crashes(jdks::newest());
}

/// A JVM that had run out of memory and was killed later: the errors are in its heap, and who killed it is known.
#[test]
fn an_error_before_a_kill() {
    let dir = Scratch::new("info-kill");
    let start = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis() as u64;
    let jvm =
        Jvm::start(17, &["-Xmx16m", "-XX:ReservedCodeCacheSize=16m"], "Exhausted survive", &dir);
    let (pid, core) = (jvm.pid(), jvm.abort(&dir));
    let info = info(&core, &[]);
    let killed = &info["core"]["killed_by"];
    assert_eq!((&killed["name"], &killed["code"]), (&"SIGABRT".into(), &0.into()));
    let sender = &killed["sender"];
    assert_eq!((&sender["is_itself"], &sender["uid"]), (&false.into(), &0.into()), "{killed}");
    // `kill`, a child of this process.
    assert!(sender["pid"].as_u64().is_some_and(|p| p > 1 && p != u64::from(pid)), "{killed}");
    let memory = &info["core"]["out_of_memory"];
    assert_eq!(memory["reported"], Value::Null);
    assert_eq!(memory["thrown"][0]["message"], "Java heap space", "{memory}");
    assert!(info["vm"]["started_ms"].as_u64().is_some_and(|ms| ms >= start));
}

/// HotSpot runs the command before it throws the error, so nothing in the heap may tell.
#[test]
fn a_kill_for_an_error() {
    let dir = Scratch::new("info-kill-for");
    let flags = ["-Xmx32m", "-XX:OnOutOfMemoryError=kill -ABRT %p"];
    let jvm = Jvm::start(17, &flags, "Sample", &dir);
    let core = jvm.abort(&dir);
    let info = info(&core, &[]);
    assert_eq!(info["core"]["out_of_memory"]["command"], "kill -ABRT %p");
    let text = text(rjcore().arg("info").arg(core));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("-XX:OnOutOfMemoryError runs `kill -ABRT %p`"), "{text}");
}

/// A JVM that never ran out of memory has the errors that the VM makes in advance, and none that was thrown.
#[test]
fn errors_that_wait_are_none() {
    let dir = Scratch::new("info-none");
    let jvm = Jvm::start(17, &FLAGS, "Sample", &dir);
    let info = info(&jvm.abort(&dir), &[]);
    assert_eq!(info["core"]["out_of_memory"], Value::Null);
    assert_eq!(info["core"]["killed_by"]["sender"]["is_itself"], false);
}
