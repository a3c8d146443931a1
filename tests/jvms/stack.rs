//! `rjcore stack` against `jcmd Thread.print -l -e` of the same process, thread by thread; and the stacks
//! and their roots in `rjcore dump` against HotSpot's own dump.
//!
//! Each test starts tests/java/Stacks, whose threads stand still but for those named "Spin ...".

use crate::support::child::Command;
use crate::support::compare::compare;
use crate::support::hprof::Dump;
use crate::support::proc::until;
use crate::support::threads::same;
use crate::support::{Jvm, PATIENTLY, Scratch, jdks, rjcore, run, text, tool};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const FLAGS: [&str; 2] = ["-Xmx64m", "-XX:ReservedCodeCacheSize=32m"];

/// The stack of a thread that runs must end where all its stacks end.
fn spins(dump: &Value) {
    let threads = dump["threads"].as_array().expect("threads");
    let spinning: Vec<_> = threads
        .iter()
        .filter(|t| t["name"].as_str().expect("a name").starts_with("Spin "))
        .collect();
    assert_eq!(spinning.len(), 3);
    for t in spinning {
        assert_eq!(t["stack"]["broken"], Value::Null, "{t}");
        let frames = t["stack"]["frames"].as_array().expect("frames");
        let names: Vec<&str> =
            frames.iter().map(|f| f["method"].as_str().expect("a name")).collect();
        assert!(
            names.len() >= 4 && names.ends_with(&["run", "run"][..]) || names.contains(&"runWith"),
            "{names:?}"
        );
        assert!(names.iter().any(|n| n.starts_with("lambda$main$")), "{names:?}");
    }
}

/// A frame of a thread that runs: what it holds may change.
fn runs(frame: &str) -> bool {
    let own = [
        "spin(",
        "inlined(",
        "lambda$main$19(",
        "lambda$main$20(",
        "lambda$main$21(",
        "lambda$virtual$28(",
    ];
    // The Zero VM computes sines in Java.
    let maths =
        ["java/lang/Math.", "java/lang/StrictMath.", "java/lang/FdLibm", "java/lang/Double."];
    own.iter().any(|f| frame.contains(&format!("Stacks.{f}")))
        || maths.iter().any(|f| frame.starts_with(f))
}

/// Frames and roots in the dumps, without those of threads that run.
fn same_in_dumps(version: u32, hotspot: &Path, ours: &Path) {
    let (a, b) = (Dump::open(hotspot), Dump::open(ours));
    let mut d = compare(&a, &b);
    let (frames, roots) = (d.frames, d.frame_roots);
    let wrong = d.take(|d| match d.kind {
        // 21 knows no virtual threads in its dumps: their frames are their carriers'.
        "stack" if version == 21 && d.right.contains("Continuation.run()V") => false,
        "stack" => !runs(&d.left) && !runs(&d.right),
        "frame root" => !runs(&d.field),
        _ => false,
    });
    println!("frames {frames:?}, roots in frames {roots:?}");
    assert!(frames.0 > 700, "{frames:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn faithful(version: u32, jvm: Jvm, dir: &Scratch, flags: &[&str]) {
    let (hotspot, core, ours) =
        (dir.path("hotspot.hprof"), dir.path("core"), dir.path("ours.hprof"));
    let is_8 = version == 8;
    let print: &[&str] = if is_8 { &["Thread.print", "-l"] } else { &["Thread.print", "-l", "-e"] };
    jvm.heap_dump(&hotspot);
    let theirs = jvm.jcmd(print);
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    let stack = |more: &[&str]| text(rjcore().arg("stack").arg(&core).args(flags).args(more));
    let printed = stack(&[]);
    // 21 prints no mounted virtual threads; 8 counts handles that are not in use.
    let also =
        |name: &str| name.starts_with("ForkJoinPool") && version == 21 || is_8 && name == "JNI";
    let equal = same(&theirs, &printed, &also);
    println!("{version}: {equal} threads equal");
    assert!(equal > 30, "{equal} threads compared");
    assert_eq!(printed.matches("\nFound one Java-level deadlock:\n").count(), 2);
    let json: Value = serde_json::from_str(&stack(&["--json"])).expect("JSON");
    spins(&json);
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&ours).args(flags));
    same_in_dumps(version, &hotspot, &ours);
}

#[test]
fn jdk17() {
    let dir = Scratch::new("stack-17");
    faithful(17, Jvm::start(17, &FLAGS, "Stacks", &dir), &dir, &[]);
}

#[test]
fn jdk25_with_virtual_threads() {
    let dir = Scratch::new("stack-25");
    faithful(25, Jvm::start(25, &FLAGS, "Stacks virtual", &dir), &dir, &[]);
}

macro_rules! others {
    ($($name:ident: $version:expr, $program:literal;)*) => { $(
        #[test]
        fn $name() {
            let dir = Scratch::new(&format!("stack-{}", stringify!($name)));
            let jvm = jdks::start($version, &FLAGS, $program, &dir);
            let root = jdks::root();
            faithful($version, jvm, &dir, &["--sysroot", root.to_str().expect("UTF-8")]);
        }
    )* };
}

others! {
    jdk8: 8, "Stacks";
    jdk11: 11, "Stacks";
    jdk21: 21, "Stacks virtual";
    jdk26: 26, "Stacks virtual";
    newest: jdks::newest(), "Stacks virtual";
}

/// 8 sets no collector's flag on a machine of one CPU, nor where ParNew alone is asked for: the heap is Serial's.
#[test]
fn jdk8_that_chose_no_collector() {
    for flag in ["-XX:+NeverActAsServerClassMachine", "-XX:+UseParNewGC"] {
        let dir = Scratch::new("stack-8-no-collector");
        let jvm = jdks::start(8, &[&FLAGS[..], &[flag]].concat(), "Stacks", &dir);
        assert!(!jvm.jcmd(&["VM.flags"]).contains("UseSerialGC"));
        let root = jdks::root();
        faithful(8, jvm, &dir, &["--sysroot", root.to_str().expect("UTF-8")]);
    }
}

/// What a compiled Object.wait has lost of its object: 8 prints nothing, later ones say so.
#[test]
fn compiled_waits() {
    for (version, says) in [(8, false), (17, true)] {
        let dir = Scratch::new(&format!("stack-compiled-waits-{version}"));
        let compiled = ["-Xcomp", "-XX:CompileCommand=compileonly,java.lang.Object::wait*"];
        let flags = [&FLAGS[..], &compiled, &["-XX:CompileCommand=quiet"]].concat();
        let jvm = jdks::start(version, &flags, "Stacks", &dir);
        let print: &[&str] =
            if version == 8 { &["Thread.print", "-l"] } else { &["Thread.print", "-l", "-e"] };
        let (theirs, core) = (jvm.jcmd(print), dir.path("core"));
        run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
        drop(jvm);
        let ours = text(rjcore().arg("stack").arg(&core).arg("--sysroot").arg(jdks::root()));
        assert!(same(&theirs, &ours, &|name| name == "JNI") > 30);
        assert_eq!(theirs.contains("<no object reference available>"), says, "{theirs}");
    }
}

/// The VM's own threads: those that HotSpot lists, and no other, by their whole names.
fn vm_threads(version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("stack-vm-threads-{version}"));
    let jvm = jdks::start(version, flags, "Sample", &dir);
    let theirs = jvm.jcmd(&["Thread.print"]);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    let ours = text(rjcore().arg("stack").arg(&core).arg("--sysroot").arg(jdks::root()));
    let names = |printed: &str| {
        let own = printed.lines().filter(|l| l.starts_with('"') && !l.contains("\" #"));
        let mut names: Vec<String> =
            own.map(|l| l.split('"').nth(1).expect("a name").into()).collect();
        names.sort();
        names
    };
    let theirs = names(&theirs);
    assert!(theirs.len() >= 2, "{theirs:?}");
    assert_eq!(theirs, names(&ours), "{version} {flags:?}: HotSpot, then rjcore");
}

#[test]
fn names_of_vm_threads() {
    vm_threads(8, &["-Xmx64m", "-XX:+UseG1GC", "-XX:+UseStringDeduplication"]);
    vm_threads(8, &["-zero", "-Xmx64m"]);
    vm_threads(11, &["-Xmx64m", "-XX:+UseShenandoahGC"]);
    vm_threads(17, &["-Xmx64m", "-XX:StartFlightRecording"]);
    vm_threads(25, &["-Xmx64m", "-XX:StartFlightRecording:jdk.CPUTimeSample#enabled=true"]);
    vm_threads(jdks::newest(), &["-Xmx64m", "-XX:StartFlightRecording", "-Xlog:async"]);
}

/// The Zero VM, whose interpreter is C++.
fn zero(version: u32, program: &str) {
    let dir = Scratch::new(&format!("stack-zero-{version}"));
    let flags: Vec<&str> = ["-zero"].into_iter().chain(FLAGS).collect();
    let jvm = jdks::start(version, &flags, program, &dir);
    let root = jdks::root();
    faithful(version, jvm, &dir, &["--sysroot", root.to_str().expect("UTF-8")]);
}

#[test]
fn zero8() {
    zero(8, "Stacks");
}

#[test]
fn zero17() {
    zero(17, "Stacks");
}

/// From 25 on the Zero VM itself prints a thread's innermost frame only, and dumps no more; what Java code
/// sees of the stacks is whole.
#[test]
fn zero_newest() {
    let dir = Scratch::new("stack-zero-newest");
    let flags: Vec<&str> = ["-zero"].into_iter().chain(FLAGS).collect();
    let jvm = jdks::start(jdks::newest(), &flags, "Stacks", &dir);
    let (seen, core) = (dir.path("seen"), dir.path("core"));
    jvm.jcmd(&["Thread.dump_to_file", seen.to_str().expect("UTF-8")]);
    // A thread that runs may be caught where the VM's own frame for it is half made: another time it is not.
    let ours = (0..8).find_map(|_| {
        let mut capture = rjcore();
        capture.args(["capture", PATIENTLY, "--overwrite"]).arg(jvm.pid().to_string());
        run(capture.arg("-o").arg(&core));
        let mut stack = rjcore();
        let out = stack.arg("stack").arg(&core).args(["--json", "--no-heap"]).output();
        let out = out.expect("rjcore starts");
        assert!(matches!(out.status.code(), Some(0 | 3)), "{}", out.status);
        out.status.success().then_some(out.stdout)
    });
    let ours = ours.expect("a core with whole stacks");
    drop(jvm);
    let ours: Value = serde_json::from_slice(&ours).expect("JSON");
    let frame = |f: &Value| {
        let text = |name: &str| f[name].as_str().unwrap_or_default().to_owned();
        let at = match (f["native"] == true, f["line"].as_u64()) {
            (true, _) => "Native Method".into(),
            (_, Some(line)) => format!("{}:{line}", text("file")),
            _ => text("file"),
        };
        format!("{}.{}({at})", text("class"), text("method"))
    };
    let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for t in ours["threads"].as_array().expect("threads") {
        assert_eq!(t["stack"]["broken"], Value::Null, "{t}");
        let frames = t["stack"]["frames"].as_array().expect("frames").iter();
        // Java hides those of lambda expressions' classes, of method handles, and some of its own.
        let hidden = ["$$Lambda", "java.lang.Thread.runWith(", "java.lang.invoke.", "invokeImpl("];
        let frames = frames.map(frame).filter(|f| !hidden.iter().any(|h| f.contains(h)));
        of.insert(t["name"].as_str().expect("a name").into(), frames.collect());
    }
    let (mut equal, mut frames) = (0, 0);
    let seen = std::fs::read_to_string(&seen).expect("a dump");
    for thread in seen.split("\n\n").filter(|t| t.starts_with('#')) {
        let name = thread.split('"').nth(1).expect("a name");
        if name.starts_with("Spin ") || name == "Attach Listener" {
            continue;
        }
        let at = |l: &str| {
            let at = l.trim_start().strip_prefix("at ")?;
            Some(at.rsplit_once('/').filter(|m| !m.0.contains('(')).map_or(at, |m| m.1).to_owned())
        };
        let theirs: Vec<String> = thread.lines().filter_map(at).collect();
        assert_eq!(theirs, of[name], "{name}: Java, then rjcore");
        (equal, frames) = (equal + 1, frames + theirs.len());
    }
    println!("{equal} threads, {frames} frames");
    assert!(equal > 20 && frames > 600, "{equal} threads, {frames} frames");
}

/// A kernel's core names no threads: the VM's own are found through their thread pointers.
#[test]
fn a_kernels_core() {
    let dir = Scratch::new("stack-kernel");
    let jvm = Jvm::start(17, &FLAGS, "Stacks", &dir);
    let theirs = jvm.jcmd(&["Thread.print", "-l", "-e"]);
    let core = jvm.abort(&dir);
    let ours = text(rjcore().arg("stack").arg(&core));
    // abort closes what "Reading" reads.
    assert!(same(&theirs, &ours, &|name| name == "Reading") > 30);
    assert!(ours.contains("\n\"GC Thread#0\" os_prio=0 cpu="), "{ours}");
}

#[test]
fn groups_and_limits() {
    let dir = Scratch::new("stack-groups");
    let jvm = Jvm::start(25, &FLAGS, "Stacks virtual", &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    let stack = |more: &[&str]| text(rjcore().arg("stack").arg(&core).args(more));
    let groups: Value = serde_json::from_str(&stack(&["--group", "--json"])).expect("JSON");
    let all = groups["groups"].as_array().expect("groups");
    let parked = all.iter().find(|g| g["kind"] == "virtual").expect("a group");
    assert_eq!(parked["count"], 5);
    assert!(parked["frames"].to_string().contains("deepPark"), "{parked}");
    let counts: Vec<_> = all.iter().map(|g| g["count"].as_u64()).collect();
    assert!(counts.is_sorted_by(|a, b| a >= b), "{counts:?}");
    assert!(stack(&["--group"]).contains("\n5 threads: "));
    let all: Value = serde_json::from_str(&stack(&["--json", "--virtual", "2"])).expect("JSON");
    assert_eq!(all["virtual_threads"].as_array().expect("a list").len(), 2);
    assert_eq!(all["virtual_thread_count"], 6);
    assert!(stack(&["--virtual", "2"]).contains("(4 more virtual threads; "));
    let carried =
        all["threads"].as_array().expect("threads").iter().filter(|t| !t["carries"].is_null());
    let names: Vec<_> = carried.map(|t| t["carries"]["name"].as_str().expect("a name")).collect();
    assert_eq!(
        {
            let mut n = names;
            n.sort();
            n
        },
        ["mounted", "pinned"]
    );
    let svg = dir.path("threads.svg");
    let draw = ["--flame", svg.to_str().expect("UTF-8")];
    stack(&[draw[0], draw[1], "--flame-all"]);
    let whole = std::fs::read_to_string(&svg).expect("a picture");
    assert!(
        whole.contains("<svg") && whole.contains("<title>Stacks.deepPark (5 threads"),
        "{whole:.2000}"
    );
    // Those that wait at the same place are as wide as one, and their box says how many they are.
    std::fs::remove_file(&svg).expect("the picture");
    stack(&draw);
    let first = std::fs::read_to_string(&svg).expect("a picture");
    for title in
        ["Stacks.deepPark (1 threads", "RUNNABLE (", "main (1 threads", " (5 threads) (1 threads"]
    {
        assert!(first.contains(title), "{title}: {first:.2000}");
    }
    assert!(!rjcore().arg("stack").arg(&core).args(draw).status().expect("rjcore").success());
    stack(&[draw[0], draw[1], "--overwrite"]);
    assert_eq!(std::fs::read_to_string(&svg).expect("a picture"), first);
    let quick: Value = serde_json::from_str(&stack(&["--json", "--no-heap"])).expect("JSON");
    assert_eq!(quick["virtual_thread_count"], 0);
    assert_eq!(quick["threads"][0]["synchronizers"], Value::Null);
    assert_eq!(quick["deadlocks"].as_array().expect("deadlocks").len(), 2);
}

#[test]
fn locals() {
    let dir = Scratch::new("stack-locals");
    let jvm = Jvm::start(17, &FLAGS, "Stacks", &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    let printed = text(rjcore().arg("stack").arg(&core).args(["--locals", "--no-heap"]));
    let small = dir.path("small.core");
    run(rjcore().arg("trim").arg(&core).arg("-o").arg(&small));
    let trimmed = text(rjcore().arg("stack").arg(&small).args(["--locals", "--no-heap"]));
    assert!(trimmed == printed, "a trimmed core has other stacks");
    let nested = printed.split("\tat Stacks.nested(").nth(1).expect("the frame");
    let nested = nested.split("\tat ").next().expect("its lines");
    // void nested(int a, long b, double d, String s), called with 1, 2, 3, "four".
    for line in [
        "local 1: 1\n",
        "local 2: 2 (long)\n",
        "local 4: 3.0 (double)\n",
        " (a java.lang.String) \"four\"\n",
        " (a java.lang.Object)\n",
        " (a Stacks)\n",
    ] {
        assert!(nested.contains(line), "{line}: {nested}");
    }
    // A long is one value, and what nothing uses at this place is none.
    for slot in ["local 3:", "local 5:", "local 9:", "local 10:", "stack "] {
        assert!(!nested.contains(slot), "{slot} {nested}");
    }
    // static native void sleep(long): its argument, and nothing of what the VM keeps behind it.
    let native = printed.split("Thread.sleep(java.base").nth(1).expect("the frame");
    let native = native.split("\tat ").next().expect("its lines");
    let lines: Vec<&str> = native.lines().skip(1).collect();
    assert_eq!(lines, ["\t  local 0: 1000000000 (long)"], "{native}");
    let all: Value =
        serde_json::from_str(&text(rjcore().arg("stack").arg(&core).args(["--locals", "--json"])))
            .expect("JSON");
    let threads = all["threads"].as_array().expect("threads");
    let main = threads.iter().find(|t| t["name"] == "main").expect("main");
    let frames = main["stack"]["frames"].as_array().expect("frames");
    let values = |t: &Value| t["stack"]["frames"].as_array().expect("frames").clone();
    let nested = threads.iter().find(|t| t["name"] == "Nested").expect("the thread");
    let nested = values(nested).into_iter().find(|f| f["method"] == "nested").expect("the frame");
    let slots: Vec<_> = nested["values"].as_array().expect("values").iter().collect();
    let of = |slot: u64| slots.iter().find(|s| s["slot"] == slot).expect("a slot");
    assert_eq!((&of(2)["type"], &of(2)["value"]), (&"long".into(), &"2".into()));
    assert_eq!((&of(4)["type"], &of(4)["value"]), (&"double".into(), &"3.0".into()));
    assert_eq!((&of(6)["text"], &of(6)["cut"]), (&"four".into(), &false.into()));
    let first = &frames.last().expect("a frame")["values"][0];
    // main's arguments: none were given.
    assert_eq!((&first["class"], &first["length"]), (&"[Ljava.lang.String;".into(), &0.into()));
}

/// A core that is cut off within its stacks: the threads that are there are told, and that some are not.
#[test]
fn a_cut_off_core_ends_stacks_not_the_command() {
    let dir = Scratch::new("stack-cut");
    let jvm = Jvm::start(17, &FLAGS, "Stacks", &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY]).arg(jvm.pid().to_string()).arg("-o").arg(&core));
    drop(jvm);
    let length = std::fs::metadata(&core).expect("a core").len();
    let file = std::fs::OpenOptions::new().write(true).open(&core).expect("a core");
    file.set_len(length / 8 * 7).expect("a shorter core");
    let out = Command::new(env!("CARGO_BIN_EXE_rjcore"))
        .arg("stack")
        .arg(&core)
        .output()
        .expect("rjcore");
    assert!(matches!(out.status.code(), Some(1 | 3)), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("cut off"));
}

/// gdb stops a JVM as its signal handler begins, on a stack that is full: the frames are those of the
/// Java code that the signal met, down to the thread's bottom. JDK 17.
#[test]
fn in_a_signal_handler() {
    let dir = Scratch::new("stack-signal");
    // Compiled code fails at the stack's banging, in whatever method.
    let jvm = Jvm::start(17, &["-Xmx64m", "-XX:ReservedCodeCacheSize=32m"], "Overflows", &dir);
    // By the last of the compilers.
    until("it is compiled", || {
        let all = jvm.jcmd(&["Compiler.codelist"]);
        let mut all = all.lines().filter(|l| l.contains(" Overflows.depth("));
        all.any(|l| l.split_whitespace().nth(1) == Some("4"))
    });
    let core = dir.path("core");
    let mut gdb = Command::new(tool("gdb"));
    gdb.args(["-nx", "-batch", "-iex", "set debuginfod enabled off", "-p", &jvm.pid().to_string()]);
    for command in
        ["handle SIGSEGV nostop noprint pass", "break JVM_handle_linux_signal", "continue"]
    {
        gdb.args(["-ex", command]);
    }
    let said = text(gdb.arg("-ex").arg(format!("gcore {}", core.display())).args(["-ex", "kill"]));
    assert!(said.contains("Saved corefile"), "{said}");
    drop(jvm);
    let json = text(rjcore().arg("stack").arg(&core).args(["--json", "--no-heap"]));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let threads = json["threads"].as_array().expect("threads");
    let t = threads.iter().find(|t| t["name"] == "overflowing").expect("the thread");
    assert_eq!(t["vm_state"], "thread_in_Java", "{said}");
    assert_eq!(t["stack"]["broken"], Value::Null);
    let frames = t["stack"]["frames"].as_array().expect("frames");
    let methods: Vec<&str> = frames.iter().map(|f| f["method"].as_str().expect("a name")).collect();
    let deep = methods.iter().take_while(|m| **m == "depth").count();
    assert!(deep > 1000, "{deep} of {}", methods.len());
    assert_eq!(methods[deep..], ["overflowing", "run", "run"]);
    // What is inlined where it was met stands near it; no caller is less than sure.
    let trust: Vec<&str> = frames.iter().map(|f| f["trust"].as_str().expect("a word")).collect();
    let near = trust.iter().take_while(|t| **t == "near").count();
    assert!((1..20).contains(&near), "{near}");
    assert!(trust[near..].iter().all(|t| *t == "exact"), "{:?}", &trust[..near + 20]);
}
