//! Cores of aarch64 JVMs, read here: JVMs of scripts/setup-aarch64.sh run in qemu's user mode, which writes the
//! guest's own core when they are killed. It lists no mapped files and holds no page of a library's code.

use crate::support::child::Command;
use crate::support::compare::{compare, everything, tlab_fillers};
use crate::support::counts::{counted_differently, jcmd_histogram, rjcore_histogram};
use crate::support::proc::{state, until};
use crate::support::threads::same;
use crate::support::{Jvm, Scratch, classes, dep, jdk, rjcore, run, text, tool};
use std::path::{Path, PathBuf};
use std::process::Output;

/// Small cores, and threads that stay as they are.
const COMMON: [&str; 5] = [
    "-Xmx32m",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=32m",
    "-XX:-UseDynamicNumberOfCompilerThreads",
    "-XX:TieredStopAtLevel=1",
];

fn root(version: u32) -> PathBuf {
    let root = dep(&format!(".test-deps/aarch64/{version}/root"));
    root.canonicalize().expect("a root")
}

fn libjvm(version: u32) -> PathBuf {
    root(version).join(format!("usr/lib/jvm/java-{version}-openjdk-arm64/lib/server/libjvm.so"))
}

/// A program past its READY in the emulator. To the machine's own jcmd that is the JVM.
fn start(version: u32, flags: &[&str], program: &str, dir: &Scratch) -> Jvm {
    let root = root(version);
    let mut cmd = Command::new("sh");
    cmd.args(["-c", "ulimit -c unlimited; exec \"$0\" -L \"$@\""]);
    cmd.arg(tool("qemu-aarch64-static")).arg(&root);
    cmd.arg(root.join(format!("usr/lib/jvm/java-{version}-openjdk-arm64/bin/java")));
    cmd.args(COMMON).args(flags).arg("-cp").arg(classes()).arg(program);
    Jvm::launch(cmd, vec![jdk(version).join("bin/jcmd").into()], dir)
}

/// Kills it; the guest's core is in `dir`.
fn abort(jvm: Jvm, dir: &Scratch) -> PathBuf {
    let pid = jvm.pid();
    // The emulator is killed as well, and its own core is not wanted.
    std::fs::write(format!("/proc/{pid}/coredump_filter"), "0").expect("its filter");
    run(Command::new("kill").args(["-ABRT", &pid.to_string()]));
    let ended = || state(pid as i32).is_none_or(|s| s == 'Z');
    until("the emulator has written the core", ended);
    drop(jvm);
    let files = std::fs::read_dir(dir.path("")).expect("the scratch directory");
    let mut files = files.map(|e| e.expect("an entry").path());
    let core =
        files.find(|p| p.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"qemu_")));
    core.expect("a core of the guest")
}

fn dump(core: &Path, out: &Path, more: &[&str]) -> Output {
    let mut cmd = rjcore();
    cmd.arg("dump").arg(core).arg("-o").arg(out).arg("--overwrite").args(more);
    run(&mut cmd)
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn json(args: &[&str], core: &Path) -> serde_json::Value {
    serde_json::from_str(&text(rjcore().args(args).arg("--json").arg(core))).expect("JSON")
}

/// Dump, histogram and threads as HotSpot has them, and the ways to find its libjvm.
fn faithful(version: u32, gc: &str) {
    let dir = Scratch::new(&format!("aarch64-{version}-{gc}"));
    let jvm = start(version, &[&format!("-XX:+Use{gc}GC")], "Everything", &dir);
    let hotspot = dir.path("hotspot.hprof");
    jvm.heap_dump(&hotspot);
    let live = jcmd_histogram(&jvm.jcmd(&["GC.class_histogram", "-all"]));
    let core = abort(jvm, &dir);

    let ours = dir.path("ours.hprof");
    dump(&core, &ours, &[]);
    let (a, b) = everything(&hotspot, &ours);
    let mut d = compare(&a, &b);
    tlab_fillers(&a, &mut d);
    assert!(d.is_empty(), "{d}");

    let off = counted_differently(&live, &rjcore_histogram(&core, &[]));
    assert!(off.is_empty(), "{off:#?}");

    let info = json(&["info"], &core);
    assert_eq!(info["core"]["machine"], "aarch64", "{info}");
    let said = text(rjcore().arg("info").arg(&core));
    for word in ["aarch64", "SIGABRT", "Everything", gc] {
        assert!(said.contains(word), "no {word} in:\n{said}");
    }
    libjvm_is_found(version, &dir, &core, &bytes(&ours));
}

/// At its recorded path, by `--sysroot` and by `--jvm`; a trimmed core needs none.
fn libjvm_is_found(version: u32, dir: &Scratch, core: &Path, whole: &[u8]) {
    let (small, out) = (dir.path("small.core"), dir.path("again.hprof"));
    run(rjcore().arg("trim").arg(core).arg("-o").arg(&small));
    dump(&small, &out, &[]);
    assert!(bytes(&out) == whole, "the trimmed core gives another dump");
    let verdict = &json(&["check"], &small)["verdict"];
    assert_eq!(verdict, "self_contained", "of the trimmed core");

    let checked = json(&["check"], core);
    let file = &checked["files"][0];
    let path = libjvm(version);
    assert_eq!(file["source"]["file"].as_str(), path.to_str(), "{checked}");
    assert_eq!(file["source"]["proven"], true, "{checked}");

    // Another name, as on another machine.
    let copy = dir.path("elsewhere/libjvm.so");
    std::fs::create_dir_all(dir.path("elsewhere")).expect("a directory");
    std::fs::copy(&path, &copy).expect("a copy");
    let given = copy.to_str().expect("UTF-8");
    dump(core, &out, &["--jvm", given]);
    assert!(bytes(&out) == whole, "another dump with --jvm");
    let at = dir.path("elsewhere");
    dump(core, &out, &["--sysroot", at.to_str().expect("UTF-8")]);
    assert!(bytes(&out) == whole, "another dump with --sysroot");

    // Another build is refused, by its dynamic section alone.
    let other = libjvm(if version == 17 { 25 } else { 17 });
    let mut cmd = rjcore();
    let said =
        cmd.arg("dump").arg(core).arg("-o").arg(&out).arg("--overwrite").arg("--jvm").arg(other);
    let said = said.output().expect("rjcore runs");
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(1), "{err}");
    assert!(err.contains("another build") && err.contains("--jvm"), "{err}");

    // Without the auxiliary vector nothing leads to ld.so's list: the libjvm given is found by its image.
    let mut lost = bytes(core);
    hide_auxv(&mut lost);
    let blind = dir.path("blind.core");
    std::fs::write(&blind, lost).expect("a core");
    let said = rjcore().arg("dump").arg(&blind).arg("-o").arg(&out).arg("--overwrite").output();
    let said = said.expect("rjcore runs");
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.code() == Some(1) && err.contains("--jvm"), "{err}");
    dump(&blind, &out, &["--jvm", given]);
    assert!(bytes(&out) == whole, "another dump by the image alone");
}

/// Makes NT_AUXV a note of another kind.
fn hide_auxv(core: &mut [u8]) {
    let note =
        [&5u32.to_le_bytes()[..], &304u32.to_le_bytes(), &6u32.to_le_bytes(), b"CORE\0"].concat();
    let front = &core[..1 << 20];
    let at = front.windows(note.len()).position(|w| w == note).expect("NT_AUXV");
    core[at + 8] = 0x77;
}

#[test]
fn serial_jdk17() {
    faithful(17, "Serial");
}

#[test]
fn g1_jdk17() {
    faithful(17, "G1");
}

#[test]
fn serial_jdk25() {
    faithful(25, "Serial");
}

#[test]
fn g1_jdk25() {
    faithful(25, "G1");
}

/// Stacks as HotSpot prints them, walked to their bottom; and native frames below and above.
fn stacks(version: u32) {
    assert!(
        (0..8).any(|_| stacks_are_whole(version)),
        "a thread that computes always hides a frame"
    );
}

/// The same of one JVM. False where a thread that computes was caught where its frame cannot be told, which must be said.
fn stacks_are_whole(version: u32) -> bool {
    let dir = Scratch::new(&format!("aarch64-stacks-{version}"));
    let jvm = start(version, &["-XX:+UseSerialGC"], "Stacks", &dir);
    let theirs = jvm.jcmd(&["Thread.print", "-l", "-e"]);
    let core = abort(jvm, &dir);
    let said = rjcore().arg("stack").arg(&core).output().expect("rjcore");
    let ours = String::from_utf8_lossy(&said.stdout).into_owned();
    println!("{}", String::from_utf8_lossy(&said.stderr));
    // The emulator's core has no names of threads: those of the VM's own are not known.
    let own = |name: &str| theirs.contains(&format!("\n\"{name}\" os_prio="));
    let equal = same(&theirs, &ours, &|name| name == "Reading" || own(name));
    assert!(equal > 28, "{equal} threads compared");
    assert_eq!(ours.matches("\nFound one Java-level deadlock:\n").count(), 2);

    let mut cmd = rjcore();
    cmd.args(["stack", "--mixed", "--json", "--sysroot"]).arg(root(version)).arg(&core);
    let out = cmd.output().expect("rjcore");
    let mixed: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let threads = mixed["threads"].as_array().expect("threads").iter();
    let broken: Vec<_> = threads.clone().filter(|t| !t["stack"]["broken"].is_null()).collect();
    let computes =
        |t: &&serde_json::Value| t["name"].as_str().is_some_and(|n| n.starts_with("Spin "));
    assert!(broken.iter().all(computes), "{broken:?}");
    assert_eq!(out.status.code(), Some(if broken.is_empty() { 0 } else { 3 }));
    if !broken.is_empty() {
        return false;
    }
    for t in threads {
        let name = &t["name"];
        let text = |f: &serde_json::Value, what: &str| f[what].as_str().unwrap_or("?").to_owned();
        let frames = t["stack"]["frames"].as_array().expect("frames");
        let methods: Vec<String> = frames.iter().map(|f| text(f, "method")).collect();
        if name == "main" {
            let lines: Vec<_> = frames.iter().map(|f| f["line"].as_u64()).collect();
            assert!(methods.ends_with(&["sleepForever".into(), "main".into()]), "{methods:?}");
            assert!(lines.ends_with(&[Some(51), Some(131)]), "{lines:?}");
        } else if name.as_str().is_some_and(|n| n.starts_with("Spin ")) {
            assert_eq!(methods.last().map(String::as_str), Some("run"), "{name}: {methods:?}");
        }
        let native = t["stack"]["native"].as_array().expect("native frames");
        let functions: Vec<String> = native.iter().map(|f| text(f, "function")).collect();
        assert_eq!(t["stack"]["native_broken"], serde_json::Value::Null, "{name}: {functions:?}");
        let bottom = if name == "main" { "JavaMain" } else { "thread_native_entry" };
        assert!(functions.iter().any(|f| f == bottom), "{name}: {functions:?}");
    }
    true
}

#[test]
fn stacks_jdk17() {
    stacks(17);
}

#[test]
fn stacks_jdk25() {
    stacks(25);
}
