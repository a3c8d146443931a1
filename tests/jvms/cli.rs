//! The commands on cores of a real JVM: what they print, write, refuse, and answer.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::child::Command;
use crate::support::{Jvm, Scratch, classes, dep, jdk, rjcore, run, text};
use rjcore::corefile::{CoreFile, Sysroot};
use rjcore::heap::Heap;
use rjcore::hotspot::Vm;
use rjcore::hotspot::gc::Space;

const FLAGS: [&str; 5] = [
    "-Xmx16m",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=16m",
    "-Dcli.test=Grüße\u{7}",
    "-XX:+UsePerfData",
];

fn core(dir: &Scratch, version: u32, gc: &str) -> PathBuf {
    let jvm = Jvm::start(version, &[&FLAGS[..], &[gc]].concat(), "Sample", dir);
    let core = dir.path("gcore");
    jvm.gcore(&core);
    core
}

fn answer(cmd: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = cmd.output().expect("rjcore starts");
    let text = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// The usage error of a command, with the words that it must hold.
fn refused(cmd: &mut Command, words: &str) {
    let (code, out, err) = answer(cmd);
    assert_eq!((code, out.as_str()), (2, ""), "{cmd:?}: {err}");
    assert!(err.contains(words), "{cmd:?}: {err}");
}

fn json(cmd: &mut Command) -> serde_json::Value {
    serde_json::from_str(&text(cmd)).expect("JSON")
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The trimmed core gives the same dump and the same facts, with no JDK at hand.
fn trimmed(version: u32, gc: &str) {
    let dir = Scratch::new(&format!("cli-trim-{version}"));
    let core = core(&dir, version, gc);
    let (whole, small) = (dir.path("whole.hprof"), dir.path("small.hprof"));
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&whole));
    let whole = bytes(&whole);
    assert!(whole.len() > 500_000, "a dump of {} bytes", whole.len());
    for name in ["small.core", "small.core.zst"] {
        let out = dir.path(name);
        run(rjcore().arg("trim").arg(&core).arg("-o").arg(&out));
        run(rjcore().arg("dump").arg(&out).arg("-o").arg(&small).arg("--overwrite"));
        assert!(bytes(&small) == whole, "the dump of {name} differs from that of the core");
        let most = core.metadata().expect("the core").len() / 2;
        assert!(out.metadata().expect("the new core").len() < most, "{name} is hardly smaller");
        let facts = |core: &Path| {
            let mut info = json(rjcore().arg("info").arg(core).args(["--json", "--properties"]));
            info["core"] = serde_json::Value::Null;
            info
        };
        let (a, b) = (facts(&core), facts(&out));
        for part in ["vm", "heap", "damaged"] {
            assert_eq!(a[part], b[part], "{part} of {name}");
        }
    }
    refused(
        rjcore().arg("trim").arg(&core).arg("--overwrite").arg("-o").arg(&core),
        "is the core itself",
    );
}

#[test]
fn a_trimmed_core_gives_the_same_dump_jdk17_g1() {
    trimmed(17, "-XX:+UseG1GC");
}

#[test]
fn a_trimmed_core_gives_the_same_dump_jdk25_serial() {
    trimmed(25, "-XX:+UseSerialGC");
}

/// As capture takes it; the bytes do not depend on the threads.
#[test]
fn trim_compresses_as_it_is_told() {
    let dir = Scratch::new("cli-trim-zstd");
    let sample = dep("testdata/cores/jdk17-serial.core.zst");
    let trimmed = |name: &str, args: &[&str]| {
        let out = dir.path(name);
        run(rjcore().arg("trim").arg(&sample).arg("--overwrite").args(args).arg("-o").arg(&out));
        bytes(&out)
    };
    let unpacked = |packed: &[u8]| zstd::decode_all(packed).expect("a zstd archive");
    let plain = trimmed("small.core", &[]);
    let packed = trimmed("small.zst", &["--threads", "1"]);
    assert!(unpacked(&packed) == plain);
    assert!(trimmed("small.zst", &["--threads", "2"]) == packed);
    assert!(trimmed("small", &["--zstd"]) == packed, "as by its name");
    let small = trimmed("small", &["--zstd=19"]);
    assert!(small.len() < packed.len() && packed.len() < trimmed("small", &["--zstd=1"]).len());
    assert!(unpacked(&small) == plain);
    let out = run(rjcore().arg("trim").arg(&sample).args(["--zstd", "-o", "-"])).stdout;
    assert!(out == packed);
    let many = dir.path("many");
    refused(rjcore().arg("trim").arg(&sample).args(["--zstd=20", "-o"]).arg(&many), "--zstd");
}

#[test]
fn info_and_histo_say_what_the_jvm_was() {
    let dir = Scratch::new("cli-info");
    let core = core(&dir, 17, "-XX:+UseG1GC");
    let info = json(rjcore().arg("info").arg(&core).args(["--json", "--properties"]));
    let vm = &info["vm"];
    assert!(vm["version"].as_str().is_some_and(|v| v.starts_with("17.")), "{vm}");
    assert_eq!(vm["arguments"]["jvm_args"][0], "-Xmx16m");
    assert_eq!(vm["arguments"]["java_command"], "Sample");
    assert_eq!(vm["flags"]["MaxHeapSize"], "16777216");
    assert_eq!(vm["properties"]["cli.test"], "Grüße\u{7}");
    assert_eq!(vm["properties"]["java.specification.version"], "17");
    assert_eq!(info["heap"]["collector"], "G1");
    assert_eq!(info["core"]["killed_by"], serde_json::Value::Null);
    let shown = text(rjcore().arg("info").arg(&core).arg("--properties"));
    assert!(shown.contains("cli.test=Grüße\\u{7}\n"), "control characters go out raw:\n{shown}");
    assert!(!shown.contains('\u{7}'), "control characters go out raw");

    let all = json(rjcore().arg("histo").arg(&core).args(["--json", "--by-space"]));
    let classes = all["classes"].as_array().expect("classes");
    for key in ["instances", "bytes"] {
        let number = |v: &serde_json::Value| v[key].as_u64().expect("a number");
        assert_eq!(classes.iter().map(number).sum::<u64>(), number(&all["total"]), "{key}");
        for class in classes.iter().chain([&all]) {
            let spaces = class["spaces"].as_object().expect("spaces");
            let whole = if class["total"].is_null() { class } else { &class["total"] };
            assert_eq!(spaces.values().map(number).sum::<u64>(), number(whole), "{key} {class}");
        }
    }
    assert!(all["spaces"].as_object().expect("spaces").len() > 1, "one space only");
    let table = text(rjcore().arg("histo").arg(&core).args(["--top", "3"]));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 6, "head, line, three rows, total:\n{table}");
    let name = lines[0].find("class name").expect("a column");
    assert_eq!(lines[2].get(name - 1..name + 1), Some(" ["), "columns do not line up:\n{table}");
}

/// What a newcomer needs who adds a JDK: each row as the tables have it, and what rjcore would use.
#[test]
fn info_shows_the_tables() {
    let sample = dep("testdata/cores/jdk17-serial.core.zst");
    let shown = text(rjcore().arg("info").arg(&sample).arg("--tables"));
    let has = |line: &str| shown.lines().any(|l| l == line);
    assert!(has("field Klass::_name 24 Symbol*"), "{shown}");
    assert!(has("constant InstanceKlass::loaded 1"), "{shown}");
    assert!(has("size OopHandle 8"), "{shown}");
    assert!(has("lacking ConstantPool::_resolved_references"), "8 alone has it:\n{shown}");
    assert!(shown.lines().any(|l| l.starts_with("static Universe::_collectedHeap 0x")), "{shown}");
}

/// The core that the kernel writes of a crash names the thread that crashed.
fn crashed(version: u32) {
    let dir = Scratch::new(&format!("cli-crash-{version}"));
    let status = Command::new("sh")
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
        .arg(jdk(version).join("bin/java"))
        .args(&FLAGS[..3])
        .arg("-XX:ErrorFile=hs_err.log")
        .arg("-cp")
        .arg(classes())
        .arg("Crash")
        .current_dir(dir.path(""))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(!status.expect("a JVM").success(), "it did not crash");
    let files = std::fs::read_dir(dir.path("")).expect("the directory");
    let mut files = files.map(|e| e.expect("an entry").path());
    let core =
        files.find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("core")));
    let core = core.expect("no core: sysctl kernel.core_pattern=core, as the other tests need");
    let info = json(rjcore().arg("info").arg(&core).arg("--json"));
    assert_eq!(info["core"]["killed_by"]["name"], "SIGABRT");
    assert_eq!(info["core"]["killed_by"]["thread"], "crasher");
    assert_eq!(info["vm"]["crashed_thread"]["name"], "crasher");
    assert_eq!(info["core"]["killed_by"]["sender"]["is_itself"], true);
    assert_eq!(info["core"]["out_of_memory"], serde_json::Value::Null);
    assert!(info["vm"]["started_ms"].as_u64().is_some_and(|ms| ms > 1_600_000_000_000), "{info}");
}

#[test]
fn a_crash_names_its_thread_jdk17() {
    crashed(17);
}

#[test]
fn a_crash_names_its_thread_jdk25() {
    crashed(25);
}

#[test]
fn outputs_are_refused_and_gaps_have_their_exit_code() {
    let dir = Scratch::new("cli-refusals");
    let core = core(&dir, 17, "-XX:+UseSerialGC");
    let out = dir.path("out.hprof");
    std::fs::write(dir.path("gcore.hprof"), "mine").expect("a file");
    // Without -o it has the core's name, and replaces nothing.
    refused(rjcore().arg("dump").arg(&core).current_dir(dir.path("")), "exists already");
    run(rjcore().arg("dump").arg(&core).arg("--gz").current_dir(dir.path("")));
    assert!(bytes(&dir.path("gcore.hprof.gz")).starts_with(&[0x1f, 0x8b]));
    assert_eq!(bytes(&dir.path("gcore.hprof")), b"mine");
    refused(rjcore().arg("histo").arg(&core).args(["--threads", "0"]), "--threads");
    refused(rjcore().arg("dump").arg(&core).args(["--gz=10", "-o", "x"]), "--gz");
    refused(rjcore().arg("dump").arg(&core).args(["--json", "-o", "-"]), "standard output");
    std::fs::write(&out, "mine").expect("a file");
    refused(rjcore().arg("dump").arg(&core).arg("-o").arg(&out), "exists already");
    assert_eq!(bytes(&out), b"mine");

    let json =
        json(rjcore().arg("dump").arg(&core).args(["--json", "--overwrite", "-o"]).arg(&out));
    assert_eq!(json["bytes_written"], bytes(&out).len());
    assert_eq!(json["whole"], true);
    let (code, _, err) = answer(rjcore().arg("histo").arg("/etc/passwd"));
    assert_eq!(code, 1, "{err}");
    assert!(err.starts_with("rjcore: /etc/passwd: "), "{err}");
    let full = std::fs::File::create("/dev/full").expect("/dev/full");
    let (code, _, err) = answer(rjcore().arg("histo").arg(&core).stdout(full));
    assert_eq!(code, 1, "{err}");

    // Overwrite a stretch of the old generation: the rest is dumped, the gap is told.
    let mut opened = CoreFile::open(&core, &Default::default()).expect("a core");
    opened.lay_backing_files(&Sysroot::default()).expect("a list of files");
    let vm = Vm::open(&opened).expect("a VM");
    let heap = Heap::open(&vm).expect("a heap");
    let old = heap.collected.regions.iter().find(|r| r.space == Space::Old);
    let old = old.expect("an old generation");
    assert!(old.top - old.start > 32 << 10, "a small one: {old:?}");
    let start = (old.start + (old.top - old.start) / 4) & !4095;
    let segments = opened.segments();
    let s = segments.iter().find(|s| (s.start..s.start + s.filesz).contains(&start));
    let s = s.expect("the heap's segment");
    let at = s.offset + (start - s.start);
    let file = std::fs::OpenOptions::new().write(true).open(&core).expect("the core");
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], at).expect("written");
    let (code, _, err) =
        answer(rjcore().arg("dump").arg(&core).arg("--overwrite").arg("-o").arg(&out));
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("no loaded class in the header"), "{err}");
    let (code, _, err) = answer(rjcore().arg("histo").arg(&core));
    assert_eq!(code, 3, "{err}");
}

#[test]
fn help_man_and_completions_come_from_one_definition() {
    for command in ["dump", "histo", "info", "trim", "check", "ps", "doctor", "attach"] {
        let help = text(rjcore().args([command, "--help"]));
        assert!(help.contains("Examples:"), "{help}");
        assert!(text(rjcore().arg("man")).contains(&format!("rjcore\\-{command}")));
        assert!(text(rjcore().args(["completions", "bash"])).contains(command));
    }
}
