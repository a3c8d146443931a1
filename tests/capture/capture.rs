//! What `rjcore capture` writes: a core of one instant, whole, small, and readable by others.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use crate::support::child::Command;
use crate::support::epoch::{epochs, of_one_instant};
use crate::support::schema::Checker;
use crate::support::{Jvm, PATIENTLY, Scratch, jdk, library, rjcore, run, text};
use rjcore::corefile::{CoreFile, OpenOptions};
use serde_json::Value;

const SMALL: [&str; 3] =
    ["-Xmx64m", "-XX:CompressedClassSpaceSize=16m", "-XX:ReservedCodeCacheSize=32m"];
const METHODS: [&str; 3] = ["fork", "precopy", "stop"];

/// Captures and answers the report.
fn capture(pid: u32, out: &Path, args: &[&str]) -> Value {
    let mut cmd = rjcore();
    cmd.args(["capture", PATIENTLY, &pid.to_string(), "--json", "--overwrite", "-o"])
        .arg(out)
        .args(args);
    let json = serde_json::from_str(&text(&mut cmd)).expect("JSON");
    Checker::new().check("capture", &json, "capture");
    json
}

fn open(core: &Path) -> CoreFile {
    CoreFile::open(core, &OpenOptions::default()).expect("a core")
}

fn number(json: &Value, key: &str) -> u64 {
    json[key].as_u64().unwrap_or_else(|| panic!("no {key} in {json}"))
}

fn one_instant(version: u32, gc: &[&str]) {
    let dir = Scratch::new(&format!("instant-{version}{}", gc[0]));
    // ZGC of 17 has its memory at three addresses; all of its data is in the core once.
    let jvm = Jvm::start(version, &[&["-Xmx256m"][..], gc].concat(), "Epoch 48", &dir);
    let core = dir.path("core");
    for method in METHODS {
        for _ in 0..3 {
            let report = capture(jvm.pid(), &core, &["--snapshot", method, "--no-check"]);
            assert_eq!(report["method"], method);
            of_one_instant(method, &epochs(&open(&core), 48));
        }
    }
    let chosen = capture(jvm.pid(), &core, &["--no-check"]);
    let shared = gc.contains(&"-XX:+UseZGC");
    assert_eq!(chosen["method"], if shared { "precopy" } else { "fork" }, "{chosen}");
    of_one_instant("auto", &epochs(&open(&core), 48));
}

#[test]
fn one_instant_g1_jdk17() {
    one_instant(17, &["-XX:+UseG1GC"]);
}

#[test]
fn one_instant_parallel_huge_pages_jdk25() {
    one_instant(25, &["-XX:+UseParallelGC", "-XX:+UseTransparentHugePages"]);
}

#[test]
fn one_instant_z_jdk17() {
    one_instant(17, &["-XX:+UseZGC"]);
}

#[test]
fn one_instant_z_jdk25() {
    one_instant(25, &["-XX:+UseZGC"]);
}

/// What `report` expected of a method, in ms.
fn predicted(report: &Value, method: &str) -> f64 {
    let all = report["predicted"].as_array().expect("predictions");
    let of = all.iter().find(|p| p["method"] == method);
    of.and_then(|p| p["pause_ms"].as_f64()).unwrap_or_else(|| panic!("no {method} in {report}"))
}

/// A heap whose page tables a fork would copy for long is copied while the JVM runs, and doctor says so beforehand.
#[test]
fn what_stops_it_the_shortest() {
    let dir = Scratch::new("shortest");
    let heap = ["-Xms1g", "-Xmx1g", "-XX:+AlwaysPreTouch", "-XX:+UseG1GC"];
    let jvm = Jvm::start(17, &heap, "Sample", &dir);
    let core = dir.path("core");
    let pid = jvm.pid().to_string();
    let mut doctor = rjcore();
    doctor.args(["doctor", "--capture", "--json", &pid]).current_dir(dir.path(""));
    let foreseen: Value = serde_json::from_str(&text(&mut doctor)).expect("JSON");
    Checker::new().check("doctor", &foreseen, "doctor");
    let foreseen = &foreseen["capture"];
    assert_eq!(
        (&foreseen["method"], &foreseen["refused"]),
        (&"precopy".into(), &Value::Array(vec![]))
    );
    // On a busy machine the page tables may take as long to look through as a fork does to copy them: that is said.
    let longer = |report: &Value| report["refused"][0]["code"] == "longer_stop";
    let mut reports = (0..5).map(|_| capture(jvm.pid(), &core, &[]));
    let report = reports.find(|report| !longer(report)).expect("a shorter stop in one of five");
    assert_eq!(
        (&report["method"], &report["reason"]),
        (&"precopy".into(), &"shortest_stop".into())
    );
    let (fork, precopy) = (predicted(&report, "fork"), predicted(&report, "precopy"));
    assert!(20.0 < fork && precopy < fork, "{report}");
    // The page tables are the same as a moment ago; the threads may not be.
    assert!((predicted(foreseen, "fork") / fork - 1.0).abs() < 0.2, "{foreseen} {fork}");
    // What is not worth a copy is forked.
    let small = Jvm::start(17, &SMALL, "Sample", &dir);
    let report = capture(small.pid(), &core, &[]);
    assert_eq!((&report["method"], &report["refused"]), (&"fork".into(), &Value::Array(vec![])));
    assert!(predicted(&report, "fork") <= 20.0, "{report}");
}

/// The heap of an idle ZGC is in the capture as in the kernel's own core.
fn heap_of_z(version: u32) {
    let dir = Scratch::new(&format!("z-{version}"));
    let flags = ["-Xmx64m", "-XX:+UseZGC", "-XX:ReservedCodeCacheSize=32m"];
    let jvm = Jvm::start(version, &flags, "Sample", &dir);
    let mut cores = BTreeMap::new();
    for method in METHODS {
        let file = dir.path(method);
        let report = capture(jvm.pid(), &file, &["--snapshot", method]);
        assert_eq!(report["check"], "self_contained", "{report}");
        // Three views count three times in the resident size of 17.
        let (disk, resident) = (number(&report, "disk_bytes"), number(&report, "resident_bytes"));
        assert!(disk <= resident + resident / 10 + (24 << 20), "{disk} of {resident}");
        cores.insert(method, open(&file));
    }
    let kernel = open(&jvm.abort(&dir));
    let views = kernel.mappings().iter().filter(|m| m.path.contains("java_heap"));
    let views: Vec<_> = views.map(|m| (m.start, m.end)).collect();
    let mut compared = 0;
    for (method, core) in &cores {
        for &(start, end) in &views {
            let (mut a, mut b) = (vec![0; (end - start) as usize], vec![1; (end - start) as usize]);
            kernel.memory().read_into(start, &mut a).expect("in the kernel's core");
            core.memory().read_into(start, &mut b).unwrap_or_else(|f| panic!("{method}: {f}"));
            assert!(a == b, "{method}: {start:#x}-{end:#x} differs");
            compared += a.iter().filter(|x| **x != 0).count();
        }
    }
    assert!(compared > 1 << 20, "only {compared} bytes of heap");
}

#[test]
fn the_heap_of_z_jdk17() {
    heap_of_z(17);
}

#[test]
fn the_heap_of_z_jdk25() {
    heap_of_z(25);
}

/// gdb's threads of a core: kernel's id to the function that it stands in.
fn gdb_threads(version: u32, core: &Path) -> BTreeMap<u32, String> {
    let mut cmd = Command::new("gdb");
    cmd.args(["-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "info threads"]);
    let said = text(
        cmd.args(["-ex", "thread 1", "-ex", "bt"]).arg(jdk(version).join("bin/java")).arg(core),
    );
    assert!(said.contains("JLI_Launch"), "no backtrace of the first thread:\n{said}");
    // "* 1    Thread 0x7f.. (LWP 12) 0x00007f.. in __futex_... () from /lib..": a long line may be cut by warnings.
    let text = said.replace('\n', " ");
    let threads = text.split("(LWP ").skip(1).filter_map(|t| {
        let (tid, rest) = t.split_once(')')?;
        let function = rest.split(" (").next()?.split_whitespace().last()?;
        Some((tid.parse().ok()?, function.to_owned()))
    });
    threads.collect()
}

/// Lines of `jhsdb jmap --histo` with their counts, and the stacks of `jhsdb jstack`.
fn jhsdb(core: &Path) -> (Vec<String>, Vec<String>) {
    let tool = |args: &[&str]| {
        let mut cmd = Command::new(jdk(17).join("bin/jhsdb"));
        text(cmd.args(args).arg("--exe").arg(jdk(17).join("bin/java")).arg("--core").arg(core))
    };
    let rows = tool(&["jmap", "--histo"]);
    let row = |l: &&str| l.split_once(':').is_some_and(|(n, _)| n.trim().parse::<u32>().is_ok());
    let rows: Vec<String> = rows.lines().filter(row).map(str::to_owned).collect();
    let stacks = tool(&["jstack"]);
    let frames = stacks.lines().filter(|l| l.starts_with(" - ")).map(str::to_owned).collect();
    (rows, frames)
}

#[test]
fn gdb_and_jhsdb_read_it_as_they_read_gcores() {
    let dir = Scratch::new("others");
    let flags = ["-Xmx16m", "-XX:+UseSerialGC", "-XX:CompressedClassSpaceSize=16m"];
    let jvm = Jvm::start(17, &flags, "Sample", &dir);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", jvm.pid())).expect("tasks").count();
    let (gcore, ours) = (dir.path("gcore"), dir.path("ours"));
    jvm.gcore(&gcore);
    let (threads, theirs) = (gdb_threads(17, &gcore), jhsdb(&gcore));
    assert!(threads.len() >= tasks && theirs.0.len() > 100 && theirs.1.len() > 5);
    for method in METHODS {
        capture(jvm.pid(), &ours, &["--snapshot", method]);
        assert_eq!(gdb_threads(17, &ours), threads, "{method}: gdb's threads");
        assert_eq!(jhsdb(&ours), theirs, "{method}: jhsdb");
        let core = open(&ours);
        assert_eq!(core.threads().len(), tasks, "{method}");
        assert_eq!(core.psinfo().map(|p| p.pid), Some(jvm.pid() as i32));
        assert!(!core.auxv().is_empty());
        let known = core.thread_names();
        let names: Vec<_> = core.threads().iter().map(|t| known.get(&t.tid).copied()).collect();
        assert!(names.contains(&Some("VM Thread")) && names.contains(&Some("clerk")), "{names:?}");
    }
}

#[test]
fn outputs_and_the_report() {
    let dir = Scratch::new("capture-outputs");
    let jvm = Jvm::start(17, &[&SMALL[..], &["-XX:+UseG1GC"]].concat(), "Sample", &dir);
    let pid = jvm.pid().to_string();
    // The name by default; nobody else may read it; nothing else is left.
    let said = run(rjcore().args(["capture", PATIENTLY, &pid]).current_dir(dir.path("")));
    let core = dir.path(&format!("core.{pid}"));
    let meta = core.metadata().expect("core.PID");
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert!(meta.blocks() * 512 < meta.len() / 2, "no holes: {} of {}", meta.blocks(), meta.len());
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("stood still for") && said.contains("needs nothing but this file"),
        "{said}"
    );
    let again = rjcore()
        .args(["capture", PATIENTLY, &pid])
        .current_dir(dir.path(""))
        .output()
        .expect("runs");
    assert_eq!(again.status.code(), Some(2), "an existing core is not replaced");
    let names: Vec<_> = std::fs::read_dir(dir.path("")).expect("the directory").flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");

    let report = capture(jvm.pid(), &core, &[]);
    assert_eq!((&report["pid"], &report["method"]), (&jvm.pid().into(), &"fork".into()));
    assert_eq!(report["check"], "self_contained");
    assert_eq!(number(&report, "bytes"), core.metadata().expect("the core").len());
    assert!(report["pause_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{report}");
    assert!(number(&report, "threads") > 10 && report["reason"].is_string(), "{report}");
    let (disk, resident) = (number(&report, "disk_bytes"), number(&report, "resident_bytes"));
    // All of libjvm and the archive is in it, of which a small JVM has a part in memory.
    assert!(disk <= resident + resident / 10 + (24 << 20), "{disk} bytes for {resident} resident");
    assert!(disk >= number(&report, "data_bytes"));

    let objects = |args: &[&std::ffi::OsStr]| {
        let mut cmd = rjcore();
        cmd.args(["dump", "--json", "--overwrite", "-o"]).arg(dir.path("heap.hprof")).args(args);
        let json: Value = serde_json::from_str(&text(&mut cmd)).expect("JSON");
        assert_eq!(json["whole"], true, "{json}");
        (number(&json, "objects"), number(&json, "heap_bytes"), json)
    };
    let plain = objects(&[core.as_os_str()]);
    // Compressed, streamed, streamed and compressed, with all files, straight to a dump: the same heap.
    let zst = dir.path("core.zst");
    // By its name alone.
    let report = capture(jvm.pid(), &zst, &[]);
    assert_eq!(report["check"], "self_contained");
    assert!(number(&report, "bytes") < number(&report, "data_bytes") / 2);
    let full = dir.path("full");
    let report = capture(jvm.pid(), &full, &["--full"]);
    assert!(number(&report, "disk_bytes") > disk + (50 << 20), "no lib/modules: {report}");
    let mut files = vec![zst, full];
    for args in [&[][..], &["--zstd=3"]] {
        let out = dir.path(&format!("stream{}", args.len()));
        let file = std::fs::File::create(&out).expect("a file");
        let mut cmd = rjcore();
        cmd.args(["capture", PATIENTLY, &pid, "-o", "-"])
            .args(args)
            .stdout(file)
            .stderr(Stdio::piped());
        let said = cmd.output().expect("rjcore runs");
        assert!(
            said.status.success() && String::from_utf8_lossy(&said.stderr).contains("not checked")
        );
        files.push(out);
    }
    for file in &files {
        let seen = objects(&[file.as_os_str()]);
        assert_eq!((seen.0, seen.1), (plain.0, plain.1), "{}", file.display());
    }
    let live = objects(&["--pid".as_ref(), pid.as_ref()]);
    assert_eq!((live.0, live.1), (plain.0, plain.1), "dump --pid");
    assert_eq!(live.2["capture"]["method"], "fork");
    let info = text(rjcore().arg("info").arg(&core));
    assert!(info.contains("by rjcore") && info.contains("(fork)"), "{info}");
}

#[test]
fn memory_that_a_fork_does_not_copy() {
    let dir = Scratch::new("capture-fork");
    let library = library("fork.c", &dir);
    let secret = b"secret of rjcoresecret of rjcore";
    for (how, method) in [("dont", "precopy"), ("wipe", "fork")] {
        let mut cmd = Command::new("env");
        cmd.env("LD_PRELOAD", &library).env("FORK", how);
        let flags = [&SMALL[..], &["-XX:+UseSerialGC"]].concat();
        let jvm = Jvm::start_by(cmd, &jdk(17), &flags, "Sample", &dir);
        let file = dir.path("core");
        let report = capture(jvm.pid(), &file, &[]);
        assert_eq!(report["method"], method, "{report}");
        let core = open(&file);
        let mut page = core.memory().present(0, u64::MAX).filter_map(|(start, end)| {
            let bytes = core.memory().slice(start, end - start).expect("present");
            bytes.windows(secret.len()).position(|w| w == secret)
        });
        // What a fork wipes is a secret; what it does not copy is memory like any other.
        assert_eq!(page.next().is_some(), how == "dont", "{how}");
        if how == "dont" {
            assert_eq!(report["refused"][0]["method"], "fork");
            assert!(report["refused"][0]["text"].to_string().contains("MADV_DONTFORK"), "{report}");
        }
    }
}

/// AnonHugePages of a process, in kB.
fn huge(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps");
    let line = rollup.lines().find_map(|l| l.strip_prefix("AnonHugePages:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn huge_pages_are_whole_again() {
    let dir = Scratch::new("capture-huge");
    let flags = ["-Xmx256m", "-XX:+UseParallelGC", "-XX:+UseTransparentHugePages"];
    let jvm = Jvm::start(17, &flags, "Epoch 96", &dir);
    let enabled = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let possible = enabled.is_ok_and(|e| !e.contains("[never]"));
    let before = huge(jvm.pid());
    assert_eq!(before > 90 << 10, possible, "{before} kB of huge pages");
    for method in METHODS {
        let report = capture(jvm.pid(), &dir.path("core"), &["--snapshot", method]);
        let after = huge(jvm.pid());
        assert!(after >= before / 10 * 9, "{method}: {before} kB before, {after} after: {report}");
    }
}

/// The dump of a capture equals that of gcore's core of the same idle JVM, with the JDK out of reach.
#[test]
fn nothing_else_is_needed() {
    let dir = Scratch::new("capture-alone");
    let home = dir.path("jdk");
    run(Command::new("cp").arg("-aL").arg(jdk(25)).arg(&home));
    let flags = [&SMALL[..], &["-XX:+UseG1GC"]].concat();
    let jvm = Jvm::start_from(&home, &flags, "Everything", &dir);
    let (gcore, theirs) = (dir.path("gcore"), dir.path("gcore.hprof"));
    jvm.gcore(&gcore);
    run(rjcore().arg("dump").arg(&gcore).arg("-o").arg(&theirs));
    let mut cores = Vec::new();
    for method in METHODS {
        let core = dir.path(method);
        capture(jvm.pid(), &core, &["--snapshot", method]);
        cores.push(core);
    }
    drop(jvm);
    std::fs::rename(&home, dir.path("away")).expect("rename");
    let theirs = std::fs::read(&theirs).expect("a dump");
    for core in cores {
        let ours = dir.path("ours.hprof");
        run(rjcore().arg("dump").arg(&core).arg("--overwrite").arg("-o").arg(&ours));
        let ours = std::fs::read(&ours).expect("a dump");
        // The header's last 8 bytes are the time.
        assert_eq!(ours.len(), theirs.len(), "{}", core.display());
        assert!(ours[31..] == theirs[31..], "{} gives another dump", core.display());
    }
}
