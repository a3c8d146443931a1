//! What the JVM's words say of commands that write a file, whatever its result code: JDK 8 to the newest. And the
//! file itself: where it lies, and how it is brought to who asked.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Output;

use crate::support::child::Command;
use crate::support::{Jvm, Scratch, as_nobody, jdk, jdks, rjcore, run, text, tool};
use serde_json::Value;

const FLAGS: [&str; 2] = ["-Xmx64m", "-XX:+UseSerialGC"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn attach(pid: u32, line: &str, dir: &Path) -> Output {
    let mut cmd = rjcore();
    cmd.args(["attach", "--timeout", "300", &pid.to_string()]).args(line.split(' '));
    cmd.current_dir(dir).output().expect("rjcore starts")
}

/// Each of these is done once and refused once.
fn exit_codes(version: u32) {
    let dir = Scratch::new(&format!("answers-{version}"));
    let here = dir.path("");
    let jvm = jdks::start(version, &FLAGS, "Sample", &dir);
    let pid = jvm.pid();
    let has = text(&mut {
        let mut cmd = rjcore();
        cmd.args(["attach", &pid.to_string(), "help"]);
        cmd
    });
    let mut tried = 0;
    let mut check = |command: &str, good: &str, bad: &str, wanted: Option<&str>| {
        if !has.lines().any(|l| l.trim() == command) {
            return;
        }
        tried += 1;
        for (line, code) in [(bad, 1), (good, 0)] {
            if line.is_empty() {
                continue;
            }
            let line = line.replace("HERE", here.to_str().expect("UTF-8").trim_end_matches('/'));
            let out = attach(pid, &line, &here);
            assert_eq!(out.status.code(), Some(code), "{version} {line}: {out:?}");
            if code == 1 {
                assert!(said(&out).contains("rjcore capture"), "{}", said(&out));
            }
        }
        if let Some(file) = wanted {
            let bytes = fs::metadata(dir.path(file)).map_or(0, |m| m.len());
            assert!(bytes > 0, "{version} {command}: no {file}");
        }
    };
    check("GC.heap_dump", "GC.heap_dump HERE/a.hprof", "GC.heap_dump /no/a.hprof", Some("a.hprof"));
    // It is there already; and one that the JVM is not told of.
    assert_ne!(
        attach(pid, &format!("GC.heap_dump {}", dir.path("a.hprof").display()), &here)
            .status
            .code(),
        Some(0)
    );
    check(
        "Thread.dump_to_file",
        "Thread.dump_to_file HERE/t",
        "Thread.dump_to_file /no/t",
        Some("t"),
    );
    check("Thread.dump_to_file", "", "Thread.dump_to_file HERE/t", None);
    check("JFR.start", "JFR.start name=r", "JFR.start name=q filename=/no/q.jfr", None);
    check(
        "JFR.dump",
        "JFR.dump name=r filename=HERE/r.jfr",
        "JFR.dump name=r filename=/no/r.jfr",
        Some("r.jfr"),
    );
    check("JFR.dump", "", "JFR.dump name=none filename=HERE/n.jfr", None);
    check(
        "JFR.stop",
        "JFR.stop name=r filename=HERE/s.jfr",
        "JFR.stop name=r filename=/no/s.jfr",
        Some("s.jfr"),
    );
    check("VM.log", "VM.log output=HERE/l what=gc", "VM.log output=/no/l what=gc", None);
    check("System.dump_map", "System.dump_map -F=HERE/m", "System.dump_map -F=/no/m", Some("m"));
    check("VM.cds", "", "VM.cds static_dump /no/c.jsa", None);
    // It cannot archive classes of a directory, and makes no file.
    check("VM.cds", "", "VM.cds static_dump HERE/c.jsa", None);
    check("VM.cds", "", "VM.cds dynamic_dump HERE/d.jsa", None);
    // A file of its own choice came with 23.
    let (good, bad) = match version {
        23.. => ("Compiler.perfmap HERE/p", "Compiler.perfmap /no/p"),
        _ => ("Compiler.perfmap", ""),
    };
    check("Compiler.perfmap", good, bad, None);
    check(
        "VM.set_flag",
        "VM.set_flag HeapDumpOnOutOfMemoryError true",
        "VM.set_flag MaxHeapSize 1",
        None,
    );
    check("Compiler.directives_add", "", "Compiler.directives_add /no/d", None);
    // What writes no file and tells nothing of what was asked: its code is 0, too.
    check("VM.log", "VM.log list", "VM.log output=HERE/l2 what=nosuchtag", None);
    check("VM.native_memory", "", "VM.native_memory summary", None);
    check("JFR.check", "JFR.check", "JFR.check name=none", None);
    // 21 answers nothing at all.
    if version > 21 {
        check("JFR.view", "", "JFR.view nosuch", None);
    }
    check("help", "help GC.run", "help GC.nosuch", None);
    for (line, code) in [("printflag UseSerialGC", 0), ("printflag NoSuch", 1)] {
        let out = attach(pid, line, &here);
        assert_eq!(out.status.code(), Some(code), "{version} {line}: {out:?}");
    }
    check("JVMTI.agent_load", "", "JVMTI.agent_load /no/a.so", None);
    assert!(tried >= if version == 8 { 1 } else { 8 }, "only {tried} commands");
    // The fixed command, too.
    let out = attach(pid, "dumpheap /no/such/directory/x.hprof", &here);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
}

macro_rules! exit_codes {
    ($($name:ident: $version:expr;)*) => { $(
        #[test]
        fn $name() { exit_codes($version); }
    )* };
}

exit_codes! {
    exit_codes_jdk8: 8;
    exit_codes_jdk11: 11;
    exit_codes_jdk17: 17;
    exit_codes_jdk21: 21;
    exit_codes_jdk25: 25;
    exit_codes_newest: jdks::newest();
}

/// The disk ends in the middle: from 25 on the JVM has sent its 0 by then.
#[test]
fn a_full_disk() {
    for version in [17, 25] {
        let dir = Scratch::new(&format!("answers-full-{version}"));
        let small = dir.path("small");
        fs::create_dir(&small).expect("a directory");
        let mut cmd = Command::new(tool("unshare"));
        cmd.args(["--mount", "--propagation", "private", "sh", "-c"]);
        cmd.arg("mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"").arg(&small);
        let jvm = Jvm::start_by(cmd, &jdk(version), &FLAGS, "Sample", &dir);
        let file = small.join("x.hprof");
        for command in ["GC.heap_dump", "dumpheap"] {
            let out = attach(jvm.pid(), &format!("{command} {}", file.display()), &dir.path(""));
            assert_eq!(out.status.code(), Some(1), "{version}: {out:?}");
            let there = format!("/proc/{}/root{}", jvm.pid(), file.display());
            fs::remove_file(there).expect("what fitted");
        }
    }
}

/// Root in a directory that the JVM's user may not enter: doctor's own next command works, and nothing stays behind.
#[test]
fn a_dump_is_fetched() {
    let dir = Scratch::new("answers-fetch");
    let (mine, its) = (dir.path("mine"), dir.path("its"));
    for (path, mode) in [(&mine, 0o700), (&its, 0o777)] {
        fs::create_dir(path).expect("a directory");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
    }
    let mut by = Command::new("sh");
    by.args(["-c", "cd \"$0\" && exec \"$@\""]).arg(&its).arg(as_nobody().get_program());
    by.args(as_nobody().get_args());
    let jvm = Jvm::start_by(by, &jdk(17), &FLAGS, "Sample", &dir);
    let pid = jvm.pid();
    let doctor = rjcore().args(["doctor", "--json", &pid.to_string()]).current_dir(&mine).output();
    let value: Value = serde_json::from_slice(&doctor.expect("rjcore").stdout).expect("JSON");
    assert_eq!(value["next"], format!("rjcore attach --fetch {pid} heap.hprof"), "{value:#}");
    // Without it, the way out is named, and nothing is asked of the JVM.
    let out = attach(pid, "heap.hprof", &mine);
    assert_eq!(out.status.code(), Some(1));
    assert!(said(&out).contains("rjcore attach --fetch"), "{}", said(&out));
    let fetch = |words: &str| {
        let mut cmd = rjcore();
        cmd.args(["attach", "--fetch", &pid.to_string()]).args(words.split(' '));
        cmd.current_dir(&mine);
        cmd
    };
    let own = fs::metadata(&mine).expect("a directory").uid();
    for (words, file) in [
        ("heap.hprof", "heap.hprof"),
        ("GC.heap_dump -all b.hprof", "b.hprof"),
        ("Compiler.codelist", ""),
    ] {
        if file.is_empty() {
            assert_eq!(fetch(words).output().expect("rjcore").status.code(), Some(2));
            continue;
        }
        run(&mut fetch(words));
        let meta = fs::metadata(mine.join(file)).expect("the dump");
        assert_eq!((meta.uid(), meta.mode() & 0o077), (own, 0), "{file}");
        let start = fs::read(mine.join(file)).expect("the dump");
        assert!(start.starts_with(b"JAVA PROFILE") && start.len() as u64 == meta.len());
        // What is there is not replaced, unless asked for.
        assert_ne!(fetch(words).output().expect("rjcore").status.code(), Some(0));
    }
    let mut again = rjcore();
    again.args(["attach", "--fetch", "--overwrite", &pid.to_string(), "heap.hprof"]);
    run(again.current_dir(&mine));
    // Nor is a recording that goes on.
    let out = fetch("JFR.start filename=r.jfr").output().expect("rjcore");
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    // One that fails leaves nothing on either side.
    fs::create_dir(mine.join("not-empty")).expect("a directory");
    assert_ne!(
        fetch("GC.heap_dump no/such/x.hprof").output().expect("rjcore").status.code(),
        Some(0)
    );
    for place in [Path::new("/tmp"), &its] {
        let left = fs::read_dir(place).expect("a directory").flatten();
        let prefix = ".rjcore-";
        let left: Vec<_> = left
            .map(|e| e.file_name())
            .filter(|n| n.to_string_lossy().starts_with(prefix))
            .collect();
        assert!(left.is_empty() || place == Path::new("/tmp"), "{left:?}");
    }
    // As jcmd has it, a relative name is the JVM's: where the file lies is said.
    let out = attach(pid, "GC.heap_dump rel.hprof", &mine);
    assert!(out.status.success(), "{}", said(&out));
    assert!(said(&out).contains(its.join("rel.hprof").to_str().expect("UTF-8")), "{}", said(&out));
}

/// A number or a main class does for each command that reads a core, and a main class where a process id goes.
#[test]
fn what_people_type() {
    let dir = Scratch::new("answers-typed");
    let here = dir.path("");
    // A name that no other JVM on this machine has.
    let name = format!("Typed{}", std::process::id());
    let source = format!(
        "public class {name} {{ public static void main(String[] a) throws Exception {{ \
         System.out.println(\"READY \"); System.in.read(); }} }}"
    );
    let file = dir.path(&format!("{name}.java"));
    fs::write(&file, source).expect("a source");
    run(Command::new(jdk(17).join("bin/javac")).arg(&file));
    let start = || {
        let mut cmd = Command::new(jdk(17).join("bin/java"));
        cmd.args(FLAGS).arg("-cp").arg(&here).arg(&name);
        Jvm::launch(cmd, Vec::new(), &dir)
    };
    let jvm = start();
    let pid = jvm.pid().to_string();
    let name = name.as_str();
    let rjcore_in = |words: &[&str]| {
        let mut cmd = rjcore();
        cmd.args(words).current_dir(&here);
        cmd.output().expect("rjcore starts")
    };
    let out = |words: &[&str]| {
        let out = rjcore_in(words);
        assert!(out.status.success(), "{words:?}: {}", said(&out));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    for who in [pid.as_str(), name] {
        assert!(out(&["stack", who, "--no-heap"]).contains("\n\"main\" "));
        assert!(out(&["histo", who]).contains("java.lang.String"));
        assert!(out(&["info", who]).contains(name));
        assert!(out(&["check", who]).contains("whole"));
        out(&["trim", who, "-o", "small"]);
        out(&["dump", who, "-o", "a.hprof"]);
        out(&["dump", "--pid", who, "-o", "b.hprof"]);
        assert!(out(&["attach", who, "GC.heap_info"]).contains("generation"));
        assert!(out(&["doctor", who]).contains(name));
        out(&["capture", who, "-o", "core"]);
        for file in ["small", "a.hprof", "b.hprof", "core"] {
            let path = dir.path(file);
            assert!(fs::metadata(&path).is_ok_and(|m| m.len() > 100_000), "{file}");
            fs::remove_file(path).expect("the file");
        }
    }
    // A file of that name is meant first.
    fs::write(dir.path(name), "no core").expect("a file");
    assert_eq!(rjcore_in(&["info", name]).status.code(), Some(1));
    fs::remove_file(dir.path(name)).expect("the file");
    let _other = start();
    for words in [
        &["attach", name, "stack"][..],
        &["doctor", name],
        &["capture", name, "-o", "x"],
        &["dump", "--pid", name, "-o", "x"],
        &["stack", name],
    ] {
        let out = rjcore_in(words);
        assert_eq!(out.status.code(), Some(2), "{words:?}: {}", said(&out));
        assert!(said(&out).contains(&pid), "{words:?}: {}", said(&out));
    }
    assert_eq!(rjcore_in(&["attach", "No.such", "stack"]).status.code(), Some(1));
    assert_eq!(rjcore_in(&["stack", "nosuch"]).status.code(), Some(1));
    let gone = rjcore_in(&["histo", "4194304"]);
    assert!(said(&gone).contains("no such process"), "{}", said(&gone));
    assert!(!dir.path("x").exists());
}

/// The command to run instead is the one for what was asked.
#[test]
fn what_to_run_instead() {
    let dir = Scratch::new("answers-instead");
    let flags = [&FLAGS[..], &["-XX:+DisableAttachMechanism"]].concat();
    let jvm = Jvm::start(17, &flags, "Sample", &dir);
    let pid = jvm.pid();
    for (line, instead) in [
        ("stack", "rjcore stack PID"),
        ("Thread.print -l", "rjcore stack PID"),
        ("inspectheap -live", "rjcore histo PID"),
        ("GC.class_histogram", "rjcore histo PID"),
        ("x.hprof", "rjcore dump PID -o x.hprof"),
        ("VM.flags", "rjcore info PID"),
    ] {
        let out = attach(pid, line, &dir.path(""));
        assert_eq!(out.status.code(), Some(1));
        let instead = instead.replace("PID", &pid.to_string());
        assert!(said(&out).contains(&instead), "{line}: {}", said(&out));
    }
}

/// Who is a JVM, and what it runs.
#[test]
fn ps_names_what_runs() {
    let dir = Scratch::new("answers-ps");
    let rows = || -> Vec<Value> {
        let all: Value =
            serde_json::from_str(&text(rjcore().args(["ps", "--json"]))).expect("JSON");
        all["jvms"].as_array().expect("a list").clone()
    };
    let main = |pid: u32| {
        let rows = rows();
        let row = rows.iter().find(|r| r["pid"] == pid);
        row.map(|r| r["main"].as_str().unwrap_or("-").to_owned())
    };
    // A program that reads libjvm.so is none.
    let libjvm = jdk(17).join("lib/server/libjvm.so");
    let python = "import mmap,sys; f=open(sys.argv[1],'rb'); \
                  m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ); print('READY ',flush=True); input()";
    let mut cmd = Command::new(tool("python3"));
    cmd.args(["-c", python]).arg(&libjvm);
    let reader = Jvm::launch(cmd, Vec::new(), &dir);
    assert_eq!(main(reader.pid()), None);
    let capture = rjcore().args(["capture", "-o", "-", &reader.pid().to_string()]).output();
    let capture = capture.expect("rjcore starts");
    assert!(said(&capture).contains("is not a HotSpot JVM"), "{}", said(&capture));
    // A launcher of its own, and an option's value that looks like a class.
    let options = dir.path("arguments");
    fs::write(&options, "-Xmx24m").expect("a file");
    let flags = [&format!("@{}", options.display())[..], "-XX:+UseSerialGC"];
    for counters in ["-XX:+UsePerfData", "-XX:-UsePerfData"] {
        let jvm = Jvm::start(17, &[&flags[..], &[counters]].concat(), "Sample", &dir);
        assert_eq!(main(jvm.pid()).as_deref(), Some("Sample"), "{counters}");
    }
    let mut javac = Command::new(jdk(17).join("bin/jshell"));
    javac.args(["-s", "-"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut javac = javac.spawn().expect("jshell");
    let found = || main(javac.id());
    crate::support::proc::until("jshell is a JVM", || found().is_some_and(|m| m != "jshell"));
    assert_eq!(found().as_deref(), Some("jdk.jshell/jdk.internal.jshell.tool.JShellToolProvider"));
    javac.kill().expect("kill");
    javac.wait().expect("its end");
}
