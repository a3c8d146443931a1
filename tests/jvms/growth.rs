//! What a command costs grows with what a core holds, and not with its square.
//!
//! Instructions are counted, by valgrind, and not time: twice as many classes, loaders, threads, frames, monitors,
//! mappings, handles or regions may take twice as many more of them, and hardly more.

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, dep, rjcore, run, text, tool};
use std::path::Path;

/// Interpreted: what is compiled, and when, is chance.
const FLAGS: [&str; 6] = [
    "-Xint",
    "-Xms16m",
    "-Xmx300m",
    "-XX:CompressedClassSpaceSize=64m",
    "-XX:-UseContainerSupport",
    "-XX:ParallelGCThreads=2",
];

/// Instructions that `rjcore args core` executes.
fn steps(args: &[&str], core: &Path) -> f64 {
    let mut cmd = Command::new(tool("valgrind"));
    cmd.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    cmd.arg(rjcore().get_program()).args(args).arg(core);
    let said = run(&mut cmd).stderr;
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find_map(|l| l.split_once("I   refs:"));
    let (_, count) = line.unwrap_or_else(|| panic!("no count: {said}"));
    count.trim().replace(',', "").parse().expect("a number")
}

/// Checks what `counts` things, twice and four times as many cost: what comes on top each time.
fn linear(what: &str, [one, two, four]: [f64; 3]) {
    let (first, second) = (two - one, four - two);
    eprintln!("{what}: {one:.0}, then {first:.0} and {second:.0} more");
    // The cores' JVMs differ in more than that; a square would make it four times as many.
    let most = 2.6 * first.max(0.0) + 0.05 * one;
    assert!(second <= most, "{what}: {first:.0} instructions more, then {second:.0} more");
}

/// JVMs with `n`, `2 n` and `4 n` of a kind; `commands` read their cores.
fn grows(kind: &str, gc: &str, n: u64, commands: &[&[&str]]) {
    let dir = Scratch::new(&format!("growth-{kind}"));
    let mut counts = vec![[0.0; 3]; commands.len()];
    for (i, times) in [1, 2, 4].into_iter().enumerate() {
        let core = dir.path("core");
        let flags = [&FLAGS[..], &[gc]].concat();
        let jvm = Jvm::start(17, &flags, &format!("Growing {kind} {}", n * times), &dir);
        let pid = jvm.pid().to_string();
        text(
            rjcore()
                .args(["capture", PATIENTLY, &pid, "--overwrite", "--no-check", "-o"])
                .arg(&core),
        );
        drop(jvm);
        for (command, counts) in commands.iter().zip(&mut counts) {
            counts[i] = steps(command, &core);
        }
    }
    for (command, counts) in commands.iter().zip(counts) {
        linear(&format!("{} of {n} {kind}", command[0]), counts);
    }
}

const SERIAL: &str = "-XX:+UseSerialGC";
const DUMP: &[&str] = &["dump", "--threads", "1", "-o", "/dev/null"];
const HISTO: &[&str] = &["histo", "--threads", "1"];
const STACK: &[&str] = &["stack", "--threads", "1", "--locals"];
const INFO: &[&str] = &["info", "--threads", "1"];
const MEMORY: &[&str] = &["memory", "--threads", "1"];
const CHECK: &[&str] = &["check", "--threads", "1"];

#[test]
fn classes() {
    grows("classes", SERIAL, 500, &[DUMP, HISTO, INFO, MEMORY]);
}

#[test]
fn loaders() {
    grows("loaders", SERIAL, 100, &[DUMP, INFO]);
}

/// Half of them own a monitor and a lock that one of the others waits for.
#[test]
fn threads() {
    grows("threads", SERIAL, 60, &[DUMP, STACK, INFO, MEMORY]);
}

#[test]
fn frames() {
    grows("frames", SERIAL, 1000, &[DUMP, STACK]);
}

#[test]
fn monitors() {
    grows("monitors", SERIAL, 1000, &[DUMP, STACK]);
}

/// Segments, and entries of NT_FILE.
#[test]
fn mappings() {
    grows("mappings", SERIAL, 1000, &[DUMP, INFO, CHECK, MEMORY]);
}

/// In Shenandoah's search all of an OopStorage's blocks are roots, and so are all threads and classes.
#[test]
fn handles_and_roots() {
    const SHENANDOAH: &str = "-XX:+UseShenandoahGC";
    grows("strings", SHENANDOAH, 4000, &[DUMP]);
    grows("threads", SHENANDOAH, 60, &[DUMP]);
    grows("classes", SHENANDOAH, 500, &[HISTO]);
}

#[test]
fn regions() {
    grows("regions", "-XX:+UseG1GC", 40, &[DUMP, INFO, CHECK]);
}

/// More threads than chunks or CPUs are of no use: the cost stays.
#[test]
fn workers() {
    let sample = dep("testdata/cores/jdk17-g1.core.zst");
    let dir = Scratch::new("growth-workers");
    let core = dir.path("core");
    run(Command::new(tool("zstd")).args(["-dq"]).arg(sample).arg("-o").arg(&core));
    for command in [&["histo"][..], &["dump", "-o", "/dev/null"]] {
        let with = |n: &str| steps(&[command, &["--threads", n]].concat(), &core);
        let (few, many) = (with("16"), with("4096"));
        assert!(many < few * 1.2, "{command:?}: {few:.0} with 16, {many:.0} with 4,096");
    }
}
