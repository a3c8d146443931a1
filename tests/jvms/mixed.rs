//! `rjcore stack --mixed` against gdb's backtraces of the same core, frame by frame.
//!
//! gdb knows native frames only: it is compared down to where a thread's Java frames begin. Below them the
//! sources say what must stand there.

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, jdk, jdks, rjcore, run, text, tool};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const FLAGS: [&str; 2] = ["-Xmx64m", "-XX:ReservedCodeCacheSize=32m"];

/// A frame as gdb prints it: 0 where it leaves the address out, which it does for the innermost; the function,
/// and those that were inlined into it.
#[derive(Debug)]
struct Gdb {
    pc: u64,
    names: Vec<String>,
}

/// What is left of a function's name without parameters, return type, and what libc calls its aliases.
fn plain(name: &str) -> &str {
    let name = name.split(['(', '[', '@', '.']).next().unwrap_or("").trim();
    let name = name.trim_start_matches('_').trim_start_matches("GI_").trim_start_matches('_');
    let name = name.strip_prefix("libc_").unwrap_or(name);
    name.trim_end_matches("_impl").trim_end_matches("64")
}

fn gdb(core: &Path, java: &Path) -> BTreeMap<u64, Vec<Gdb>> {
    let mut cmd = Command::new(tool("gdb"));
    cmd.args(["-batch", "-nx", "-ex", "set print frame-arguments none"]);
    cmd.args(["-ex", "set backtrace past-main on"]);
    let said = text(cmd.args(["-ex", "thread apply all bt"]).arg(java).arg(core));
    let mut out: BTreeMap<u64, Vec<Gdb>> = BTreeMap::new();
    let mut at = 0;
    for line in said.lines() {
        if let Some((_, lwp)) = line.strip_prefix("Thread ").and_then(|l| l.split_once("(LWP ")) {
            at = lwp.trim_end_matches([')', ':', ' ']).parse().expect("a number");
        } else if let Some(frame) = line.strip_prefix('#').filter(|_| at != 0) {
            let frame = frame.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
            let frames = out.entry(at).or_default();
            let (pc, name) = match frame.strip_prefix("0x").and_then(|f| f.split_once(" in ")) {
                Some((pc, name)) => (u64::from_str_radix(pc, 16).expect("an address"), name),
                None => (0, frame),
            };
            let name = plain(name).to_owned();
            match frames.last_mut() {
                Some(last) if pc == 0 => last.names.push(name),
                _ => frames.push(Gdb { pc, names: vec![name] }),
            }
        }
    }
    assert!(out.len() > 20, "gdb sees {} threads:\n{said}", out.len());
    out
}

fn address(v: &Value) -> u64 {
    let hex = v.as_str().and_then(|s| s.strip_prefix("0x")).unwrap_or_else(|| panic!("{v}"));
    u64::from_str_radix(hex, 16).expect("hex")
}

/// The native frames of a stack behind as many Java ones.
fn run_at(stack: &Value, before: usize) -> Vec<&Value> {
    let all = stack["native"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter(|f| f["before"] == before).collect()
}

/// How many frames, how many of them with names, are those of gdb; and how many gdb has after them.
fn same(who: &str, ours: &[&Value], theirs: &[Gdb]) -> (usize, usize, usize) {
    let (mut named, mut rest, mut last) = (0, theirs, 0);
    for a in ours {
        assert_eq!(a["trust"], "exact", "{who}: {a}");
        let pc = address(&a["pc"]);
        // From debug information gdb makes frames of jumps to other functions, too: all within libc.
        while let [b, more @ ..] = rest
            && b.pc != 0
            && b.pc != pc
            && last != 0
            && b.pc.abs_diff(last) < 1 << 20
        {
            rest = more;
        }
        let [b, more @ ..] = rest else { panic!("{who}: gdb has no {a}: {theirs:x?}") };
        assert!(b.pc == 0 || b.pc == pc, "{who}: {a}, {b:x?}");
        (rest, last) = (more, pc);
        let Some(name) = a["function"].as_str().map(plain) else { continue };
        // gdb tells what templates return.
        let same = |n: &String| n == name || n.ends_with(&format!(" {name}"));
        if !b.names.iter().any(|n| n == "??" || n.is_empty()) {
            assert!(b.names.iter().any(same), "{who}: {name}, {b:x?}");
            named += 1;
        }
    }
    (ours.len(), named, rest.len())
}

fn names<'v>(frames: &[&'v Value]) -> Vec<&'v str> {
    frames.iter().map(|f| f["function"].as_str().unwrap_or("?")).collect()
}

/// What the VM runs below a thread's Java code.
fn bottom(t: &Value) {
    let (name, stack) = (t["name"].as_str().expect("a name"), &t["stack"]);
    assert_eq!(stack["native_broken"], Value::Null, "{name}: {stack}");
    let java = stack["frames"].as_array().expect("frames").len();
    let run = run_at(stack, java);
    let names = names(&run);
    let ran = |n: &str| names.contains(&n);
    match name {
        "main" => assert!(ran("JavaMain") && ran("jni_CallStaticVoidMethod"), "{name}: {names:?}"),
        "DestroyJavaVM" => {}
        _ => assert!(ran("thread_native_entry"), "{name}: {names:?}"),
    }
    // Of threads that run no Java it is the only run.
    let called = names.first() == Some(&"JavaCalls::call_helper");
    assert_eq!(java > 0, called, "{name}: {names:?}");
}

fn like_gdb(core: &Path, java: &Path) {
    let dump: Value =
        serde_json::from_str(&text(rjcore().arg("stack").arg(core).args(["--mixed", "--json"])))
            .expect("JSON");
    let theirs = gdb(core, java);
    let threads = |name: &str| dump[name].as_array().expect("threads");
    let (mut frames, mut in_java) = ((0, 0), 0);
    for t in threads("threads") {
        bottom(t);
        let carries = !t["carries"].is_null();
        let stack = if carries { &t["carries"]["stack"] } else { &t["stack"] };
        let run = run_at(stack, 0);
        in_java += usize::from(run.is_empty());
        let nid = t["nid"].as_u64().expect("an id");
        let n = same(&t["name"].to_string(), &run, &theirs[&nid]);
        frames = (frames.0 + n.0, frames.1 + n.1);
    }
    let (java_threads, mut others) = (frames, 0);
    let known = dump["other_threads"].as_array().map_or(&[][..], Vec::as_slice);
    for t in threads("vm_threads").iter().chain(known) {
        let (nid, stack) = (t["nid"].as_u64().expect("an id"), &t["stack"]);
        assert_eq!(stack["native_broken"], Value::Null, "{t}");
        let run = run_at(stack, 0);
        let n = same(&t["name"].to_string(), &run, &theirs[&nid]);
        assert_eq!(n.2, 0, "{t}: {:x?}", theirs[&nid]);
        frames = (frames.0 + n.0, frames.1 + n.1);
        others += 1;
    }
    println!("{java_threads:?} of Java threads, {frames:?} of all; {in_java} caught in Java");
    assert!(java_threads.1 > 100 && others > 5 && frames.1 > java_threads.1 + 30, "{frames:?}");
    assert!(in_java < 5, "{in_java} threads have no native frames");
    // One that is not the VM's own started the process. A kernel's core has no name for some others.
    let starts = |t: &&Value| t["stack"]["native"].to_string().contains("CallJavaMainInNewThread");
    assert_eq!(known.iter().filter(starts).count(), 1, "{known:#?}");
}

#[test]
fn jdk17() {
    let dir = Scratch::new("mixed-17");
    let jvm = Jvm::start(17, &FLAGS, "Stacks", &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    like_gdb(&core, &jdk(17).join("bin/java"));
}

#[test]
fn a_kernels_core_of_jdk25() {
    let dir = Scratch::new("mixed-25");
    let jvm = Jvm::start(25, &FLAGS, "Stacks virtual", &dir);
    let core = jvm.abort(&dir);
    like_gdb(&core, &jdk(25).join("bin/java"));
}

/// Takes an ELF file's notes away, its build-id with them: PT_NOTE becomes PT_NULL.
fn without_notes(file: &Path) {
    let mut bytes = std::fs::read(file).expect("a library");
    let word =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4"));
    // e_phoff, e_phentsize, e_phnum.
    let (first, size, count) =
        (word(&bytes, 32), word(&bytes, 54) & 0xffff, word(&bytes, 56) & 0xffff);
    let notes: Vec<usize> = (0..count)
        .map(|i| (first + i * size) as usize)
        .filter(|at| word(&bytes, *at) == 4)
        .collect();
    assert!(!notes.is_empty());
    for at in notes {
        bytes[at..at + 4].fill(0);
    }
    std::fs::write(file, bytes).expect("a library");
}

/// Temurin's libjvm.so until 21 has no build-id: that the file is the right one its dynamic section says, and
/// that another is not, whatever else is in memory where its section would be.
#[test]
fn a_libjvm_without_a_build_id() {
    let dir = Scratch::new("mixed-no-build-id");
    let home = dir.path("jdk");
    run(Command::new("cp").arg("-rs").arg(jdk(17)).arg(&home));
    for file in ["bin/java", "lib/server/libjvm.so"] {
        std::fs::remove_file(home.join(file)).expect("a link");
        std::fs::copy(jdk(17).join(file), home.join(file)).expect("a copy");
    }
    let libjvm = home.join("lib/server/libjvm.so");
    without_notes(&libjvm);
    let jvm = Jvm::start_from(&home, &FLAGS, "Stacks", &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    let stack = |jvm: &Path| {
        let mut cmd = rjcore();
        cmd.arg("stack").arg(&core).args(["--mixed", "--json", "--no-heap"]);
        cmd.arg("--jvm").arg(jvm).output().expect("rjcore")
    };
    let out = stack(&libjvm);
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let dump: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let mut natives = 0;
    for t in dump["threads"].as_array().expect("threads") {
        let own = t["stack"]["native"].as_array().expect("native frames");
        assert!(own.iter().all(|f| f["trust"] == "exact"), "{t}");
        natives += own.len();
    }
    assert!(natives > 100, "{natives}");
    // One of another build, without an id as well.
    let other = dir.path("libjvm.so");
    std::fs::copy(jdk(25).join("lib/server/libjvm.so"), &other).expect("a copy");
    without_notes(&other);
    let out = stack(&other);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("of another build") && out.stdout.is_empty(), "{said}");
}

/// A process of another root: its libc is not this machine's. Without its files the frames say that they are
/// guessed, or end; with them they are whole.
#[test]
fn libraries_of_another_root() {
    let dir = Scratch::new("mixed-root");
    let jvm = jdks::start(jdks::newest(), &FLAGS, "Stacks virtual", &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    let stack = || {
        let mut cmd = rjcore();
        cmd.arg("stack").arg(&core).args(["--mixed", "--json"]);
        cmd
    };
    let root = jdks::root();
    let whole: Value =
        serde_json::from_str(&text(stack().arg("--sysroot").arg(&root))).expect("JSON");
    let threads = whole["threads"].as_array().expect("threads");
    for t in threads {
        bottom(t);
        let natives = t["stack"]["native"].as_array().expect("native frames");
        assert!(natives.iter().all(|f| f["trust"] == "exact"), "{t}");
    }
    let said = stack().output().expect("rjcore");
    let blind: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let mut sure = 0;
    for (t, whole) in blind["threads"].as_array().expect("threads").iter().zip(threads) {
        let pcs = |t: &Value, trust: &str| -> Vec<(u64, u64)> {
            let all = t["stack"]["native"].as_array().map_or(&[][..], Vec::as_slice);
            let all = all.iter().filter(|f| trust.is_empty() || f["trust"] == trust);
            all.map(|f| (f["before"].as_u64().expect("a number"), address(&f["pc"]))).collect()
        };
        let all = pcs(whole, "");
        let exact = pcs(t, "exact");
        assert!(exact.iter().all(|f| all.contains(f)), "{t}");
        sure += exact.len();
        // Java frames do not depend on them.
        if !t["name"].as_str().expect("a name").starts_with("Spin ") {
            assert_eq!(t["stack"]["frames"], whole["stack"]["frames"]);
        }
    }
    // libjvm's own are in the core.
    assert!(sure > 100, "{sure}");
    let guessed = said.stdout.windows(9).any(|w| w == b"\"guessed\"");
    assert!(guessed || said.status.code() == Some(3), "{:?}", said.status);
}
