//! `rjcore check`: its verdict on a core is what `dump` then does, with the files at hand and without.
//! And bundles, which are made to be whole anywhere: `scripts/gcore.sh PID OUT.tar`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::child::Command;
use crate::support::{Jvm, Scratch, dep, jdk, rjcore, run};
use rjcore::corefile::{CoreFile, Sysroot, write_core};
use rjcore::heap::Heap;
use rjcore::hotspot::Vm;
use rjcore::hotspot::gc::Space;
use rjcore::output::check::{Check, Verdict};
use serde_json::Value;

const FLAGS: [&str; 6] = [
    "-XX:+UseSerialGC",
    "-Xmx16m",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=16m",
    // An archive that lies elsewhere is written to on the spot, and then no page of it is lacking.
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:ArchiveRelocationMode=0",
];
/// Private and shared anonymous memory, ELF headers, private huge pages: Linux's default.
const LINUX_FILTER: &str = "0x33";

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn said(cmd: &mut Command) -> (i32, String, String) {
    let out = cmd.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{cmd:?}: {e}"));
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let Output { status, stdout, stderr } = out;
    (status.code().unwrap_or(-1), text(&stdout), text(&stderr))
}

/// What check says of a core: as JSON, after its screen said the same with the same exit code.
fn check(core: &Path, more: &[&str], code: i32) -> Value {
    let (text_code, text, err) = said(rjcore().arg("check").arg(core).args(more));
    assert_eq!(text_code, code, "{text}{err}");
    let (json_code, json, err) = said(rjcore().args(["check", "--json"]).arg(core).args(more));
    assert_eq!(json_code, code, "{json}{err}");
    let json: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json}"));
    let line = json["text"].as_str().expect("a line");
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    // On the screen what may be done about it follows.
    let (_, advice) = joined.rsplit_once(&line).unwrap_or_else(|| panic!("no {line:?}: {text}"));
    assert_eq!(advice.starts_with("; "), !json["advice"].is_null(), "{text}{json}");
    assert_eq!(advice.is_empty(), json["advice"].is_null(), "{text}{json}");
    json
}

fn dump(core: &Path, out: &Path, more: &[&str], code: i32) -> Vec<u8> {
    let mut cmd = rjcore();
    cmd.arg("dump").arg(core).args(more).args(["--overwrite", "-o"]).arg(out);
    let (got, _, err) = said(&mut cmd);
    assert_eq!(got, code, "{cmd:?}: {err}");
    fs::read(out).unwrap_or_default()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|v| v.as_str().expect("a string")).collect()
}

fn filter(pid: u32) -> PathBuf {
    format!("/proc/{pid}/coredump_filter").into()
}

fn filter_is(pid: u32, want: &str) {
    let now = fs::read_to_string(filter(pid)).expect("coredump_filter");
    assert_eq!(u32::from_str_radix(now.trim(), 16), u32::from_str_radix(&want[2..], 16), "{now}");
}

/// A JDK of its own that can be taken away, and a program that sits still in it.
struct Guest {
    dir: Scratch,
    home: PathBuf,
    jvm: Jvm,
}

impl Guest {
    fn start(name: &str, version: u32, gc: &str) -> Guest {
        let dir = Scratch::new(name);
        let home = dir.path("a jdk");
        // Debian's has links that lead nowhere: they are copied as links.
        run(Command::new("cp").arg("-a").arg(jdk(version)).arg(&home));
        let mut flags = FLAGS;
        flags[0] = gc;
        let jvm = Jvm::start_from(&home, &flags, "Sample", &dir);
        fs::write(filter(jvm.pid()), LINUX_FILTER).expect("coredump_filter");
        Guest { dir, home, jvm }
    }

    /// Moves the JDK away; returns where it is now.
    fn take_away(&self) -> PathBuf {
        let kept = self.dir.path("kept");
        fs::rename(&self.home, &kept).expect("rename");
        kept
    }
}

/// gcore.sh with these programs before those of the PATH.
fn bundle(pid: u32, out: &Path, programs: Option<&Path>) -> (i32, String) {
    let mut cmd = Command::new(dep("scripts/gcore.sh"));
    cmd.arg(pid.to_string()).arg(out);
    if let Some(programs) = programs {
        let path = std::env::var("PATH").expect("PATH");
        cmd.env("PATH", format!("{}:{path}", programs.display()));
    }
    let (code, out, err) = said(&mut cmd);
    (code, out + &err)
}

/// The dump of a bundle, with no JDK, is that of its core beside the JDK.
fn a_bundle_is_whole(version: u32, gc: &str, end: &str) {
    let guest = Guest::start(&format!("check-bundle-{version}"), version, gc);
    let dir = &guest.dir;
    let pid = guest.jvm.pid();
    let file = dir.path(&format!("bundle.{end}"));
    let (code, text) = bundle(pid, &file, None);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("stands still"), "{text}");
    filter_is(pid, LINUX_FILTER);
    assert_eq!(fs::metadata(&file).expect("the bundle").permissions().mode() & 0o777, 0o600);
    let left = fs::read_dir(dir.path("")).expect("the directory").flatten();
    let left: Vec<_> = left.filter(|e| e.file_name().as_encoded_bytes()[0] == b'.').collect();
    assert!(left.is_empty(), "{left:?}");

    run(Command::new("tar").arg("-C").arg(dir.path("")).arg("-xf").arg(&file));
    let core = dir.path("core");
    let out = dir.path("out.hprof");
    let want = dump(&core, &out, &[], 0);
    assert!(want.len() > 500_000, "a dump of {} bytes", want.len());
    let manifest = fs::read_to_string(dir.path("MANIFEST")).expect("MANIFEST");
    let files = manifest.lines().filter(|l| l.contains(" files/") && !l.starts_with('#'));
    let mut archives = 0;
    for line in files {
        let [size, sum, id, name] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let member = dir.path(name);
        assert_eq!(size, member.metadata().expect("a member").len().to_string(), "{line}");
        let sha = crate::support::text(Command::new("sha256sum").arg(&member));
        assert_eq!(sha.split(' ').next(), Some(sum), "{line}");
        let real = Path::new("/").join(name.strip_prefix("files/").expect("files/"));
        assert!(fs::read(&member).expect("it") == fs::read(&real).expect("the original"), "{line}");
        match name.ends_with("libjvm.so") {
            true => assert!(id.len() == 40, "{line}"),
            false => archives += 1,
        }
    }
    assert!(manifest.contains("/libjvm.so\n"), "{manifest}");
    assert_eq!(archives, usize::from(version == 17), "{manifest}");

    // Beside the JDK the bare core is whole with its files, and the bundle by itself.
    let jvm = guest.home.join("lib/server/libjvm.so");
    let beside = check(&core, &[], 0);
    assert_eq!(beside["verdict"], "with_files", "{beside}");
    let archive = guest.home.join("lib/server/classes.jsa");
    let mut needed = vec![utf8(&jvm)];
    if version == 17 {
        needed.insert(0, utf8(&archive));
    }
    assert_eq!(strings(&beside["take_along"]), needed);
    guest.take_away();
    let gone = check(&core, &[], 1);
    assert_eq!(gone["verdict"], "unreadable", "{gone}");
    let whole = check(&file, &[], 0);
    assert_eq!(whole["verdict"], "self_contained", "{whole}");
    let files = whole["files"].as_array().expect("files");
    for path in needed {
        let file = files.iter().find(|f| f["path"] == path).expect(path);
        assert_eq!(file["source"]["bundled"], true, "{file}");
        assert_eq!(file["source"]["proven"], true, "{file}");
        let name = format!("bundle.{end}:files{path}");
        assert!(file["source"]["file"].as_str().is_some_and(|f| f.ends_with(&name)), "{file}");
    }
    assert!(dump(&file, &out, &[], 0) == want, "the bundle's dump differs");
}

#[test]
fn a_bundle_is_whole_tar_zst_jdk17_g1() {
    a_bundle_is_whole(17, "-XX:+UseG1GC", "tar.zst");
}

#[test]
fn a_bundle_is_whole_tar_jdk25_serial() {
    a_bundle_is_whole(25, "-XX:+UseSerialGC", "tar");
}

/// Whatever goes wrong, the process's filter is as before and nothing is left behind.
#[test]
fn a_failed_bundle_leaves_no_trace() {
    let dir = Scratch::new("check-failed-bundle");
    let jvm = Jvm::start(25, &FLAGS, "Sample", &dir);
    let pid = jvm.pid();
    fs::write(filter(pid), LINUX_FILTER).expect("coredump_filter");
    let programs = dir.path("bin");
    let seen = dir.path("seen");
    let program = |name: &str, script: &str| {
        let _ = fs::remove_dir_all(&programs);
        fs::create_dir_all(&programs).expect("a directory");
        let path = programs.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
    };
    let place = dir.path("place");
    fs::create_dir_all(&place).expect("a directory");
    let fails = |words: &str| {
        let (code, text) = bundle(pid, &place.join("a.tar.zst"), Some(&programs));
        assert!(code != 0 && text.contains(words), "{code}: {text}");
        filter_is(pid, LINUX_FILTER);
        let left: Vec<_> = fs::read_dir(&place).expect("the place").collect();
        assert!(left.is_empty(), "{left:?}");
    };
    let note = format!("cat /proc/{pid}/coredump_filter >> '{}'", utf8(&seen));
    program("gdb", &format!("{note}; echo no luck"));
    fails("no luck");
    assert_eq!(fs::read_to_string(&seen).expect("gdb was run"), "00000013\n");
    program("df", "echo head; echo /dev/x 100 90 10 90% /");
    fails("no room");
    program("zstd", "echo the disk is full >&2; exit 1");
    fails("the disk is full");
    // Ended from outside while gdb works.
    program("gdb", &format!("{note}; kill -TERM $PPID; sleep 0.3"));
    fails("");
    assert_eq!(fs::read_to_string(&seen).expect("gdb was run"), "00000013\n".repeat(2));

    let (code, text) = bundle(pid, &place.join("a.tar.gz"), None);
    assert!(code == 1 && text.contains(".tar.zst"), "{code}: {text}");
    let (code, text) = bundle(std::process::id(), &place.join("a.tar"), None);
    assert!(code == 1 && text.contains("no libjvm.so"), "{code}: {text}");
}

#[test]
fn files_at_hand_and_gone() {
    let guest = Guest::start("check-files", 17, "-XX:+UseSerialGC");
    let dir = &guest.dir;
    let out = dir.path("out.hprof");
    // All that HotSpot asks for by default: private files, too.
    fs::write(filter(guest.jvm.pid()), "0x3f").expect("coredump_filter");
    let full = dir.path("full");
    guest.jvm.gcore(&full);
    fs::write(filter(guest.jvm.pid()), LINUX_FILTER).expect("coredump_filter");
    let bare = dir.path("bare");
    guest.jvm.gcore(&bare);
    let jvm = guest.home.join("lib/server/libjvm.so");

    let here = check(&full, &[], 0);
    assert_eq!(here["verdict"], "self_contained", "{here}");
    assert_eq!(here["take_along"], Value::Array(vec![]));
    let here = check(&bare, &[], 0);
    assert_eq!(here["verdict"], "with_files", "{here}");
    assert!(strings(&here["take_along"]).contains(&utf8(&jvm)), "{here}");
    let (of_full, of_bare) = (dump(&full, &out, &[], 0), dump(&bare, &out, &[], 0));

    let kept = guest.take_away();
    assert_eq!(check(&full, &[], 0)["verdict"], "self_contained");
    assert!(dump(&full, &out, &[], 0) == of_full, "self-contained, it said");
    let _ = fs::remove_file(&out);
    let gone = check(&bare, &[], 1);
    assert_eq!(gone["verdict"], "unreadable");
    let line = gone["text"].as_str().expect("a line");
    assert_eq!(gone["advice"], "give_libjvm", "{gone}");
    for words in ["cannot be dumped", "libjvm.so", utf8(&jvm)] {
        assert!(line.contains(words), "no {words} in {line}");
    }
    let files = gone["files"].as_array().expect("files");
    let lacking = files.iter().find(|f| f["path"] == utf8(&jvm)).expect("libjvm.so");
    assert!(lacking["missing"].as_u64().is_some_and(|n| n > 1 << 20), "{lacking}");
    assert_eq!(strings(&lacking["tried"]), [utf8(&jvm)]);
    assert_eq!(dump(&bare, &out, &[], 1), b"");

    let server = kept.join("lib/server");
    let half = check(&bare, &["--jvm", utf8(&server.join("libjvm.so"))], 1);
    let line = half["text"].as_str().expect("a line");
    assert!(line.contains(utf8(&guest.home.join("lib/server/classes.jsa"))), "{line}");
    let root = ["--sysroot", utf8(&server)];
    let found = check(&bare, &root, 0);
    assert_eq!(found["verdict"], "with_files", "{found}");
    assert!(strings(&found["take_along"]).contains(&utf8(&server.join("libjvm.so"))), "{found}");
    assert!(dump(&bare, &out, &root, 0) == of_bare, "the dump differs");
    let other = jdk(25).join("lib/server/libjvm.so");
    let (code, text, err) = said(rjcore().arg("check").arg(&bare).args(["--jvm", utf8(&other)]));
    assert!(code == 1 && err.contains("build-id"), "{text}{err}");

    // The same by hand: what lies beside the core in a tar is its own.
    let tar = dir.path("by hand.tar");
    let mut cmd = Command::new("tar");
    cmd.arg("-C").arg(dir.path("")).arg("-cf").arg(&tar).arg("bare");
    run(cmd.arg("-C").arg(&server).args(["libjvm.so", "classes.jsa"]));
    assert_eq!(check(&tar, &[], 0)["verdict"], "self_contained");
    assert!(dump(&tar, &out, &[], 0) == of_bare, "the tar's dump differs");
}

#[test]
fn samples_are_self_contained() {
    for (name, collector) in [
        ("jdk17-serial", "Serial"),
        ("jdk17-g1", "G1"),
        ("jdk25-serial", "Serial"),
        ("jdk25-g1", "G1"),
        ("jdk17-g1-aarch64", "G1"),
    ] {
        let core = dep(&format!("testdata/cores/{name}.core.zst"));
        let json = check(&core, &[], 0);
        assert_eq!(json["verdict"], "self_contained", "{json}");
        assert_eq!(json["text"], "whole: rjcore dump needs nothing but this file");
        assert_eq!(json["core"], utf8(&core));
        assert_eq!(json["truncated"], Value::Null);
        assert_eq!(json["heap"]["collector"], collector);
        assert_eq!(json["heap"]["absent"], 0);
        assert_eq!(json["heap"]["stretches"], Value::Array(vec![]));
        assert_eq!(json["damaged"], Value::Array(vec![]));
        for number in ["threads", "mapped_files"] {
            assert!(json[number].as_u64().is_some_and(|n| n > 5), "{number}: {json}");
        }
        for number in ["classes", "java_threads", "roots"] {
            assert!(json["vm"][number].as_u64().is_some_and(|n| n > 5), "{number}: {json}");
        }
        let version = json["vm"]["version"].as_str().expect("a version");
        assert!(name[3..].starts_with(&version[..2]), "{version}");
        let files = json["files"].as_array().expect("files");
        assert!(files.iter().any(|f| f["path"].as_str().is_some_and(|p| p.ends_with("libjvm.so"))));
        for f in files {
            assert!(f["mapped"].as_u64() >= f["in_core"].as_u64(), "{f}");
        }
    }
}

/// Pages taken out of the middle of a space: told with their place, and dump tells them too.
#[test]
fn a_hole_in_the_heap() {
    const HOLE: u64 = 64 << 10;
    let dir = Scratch::new("check-hole");
    for name in ["jdk17-serial", "jdk25-g1"] {
        let path = dep(&format!("testdata/cores/{name}.core.zst"));
        let mut core = CoreFile::open(&path, &Default::default()).expect("a core");
        let alone = Sysroot { alone: true, ..Sysroot::default() };
        let missing = core.lay_backing_files(&alone).expect("a list of files");
        assert_eq!(Check::of(&core, &missing, 2).verdict(), Verdict::SelfContained);
        let vm = Vm::open(&core).expect("a VM");
        let heap = Heap::open(&vm).expect("a heap");
        let regions = heap.collected.regions.iter().filter(|r| r.space == Space::Old);
        let region = regions.max_by_key(|r| r.top - r.start).expect("a region");
        let from = (region.start + (region.top - region.start) / 4) & !4095;
        let to = from + HOLE;
        assert!(to < region.top, "{name}: too small");
        let holed = dir.path(name);
        let mut out = fs::File::create(&holed).expect("a file");
        write_core(&mut out, &core, &[(0, from), (to, u64::MAX)]).expect("a core");

        let json = check(&holed, &[], 3);
        assert_eq!(json["verdict"], "gaps", "{json}");
        let line = json["text"].as_str().expect("a line");
        assert!(line.starts_with("gaps: ") && line.contains(" old "), "{line}");
        assert!(json["heap"]["absent"].as_u64() >= Some(HOLE), "{json}");
        assert!(!line.contains(".jsa"), "no file has what was anonymous memory: {line}");
        let stretches = json["heap"]["stretches"].as_array().expect("stretches");
        let covers = |s: &&Value| {
            s["space"] == "old" && address(&s["start"]) <= from && address(&s["end"]) >= to
        };
        assert_eq!(stretches.iter().filter(covers).count(), 1, "{json}");
        dump(&holed, &dir.path("out.hprof"), &[], 3);
    }
}

/// Of a cut-off core, check says what dump will come to.
#[test]
fn cut_cores() {
    let dir = Scratch::new("check-cut");
    let jvm = Jvm::start(17, &FLAGS, "Sample", &dir);
    let core = jvm.abort(&dir);
    let len = core.metadata().expect("the core").len();
    let out = dir.path("out.hprof");
    let mut codes = Vec::new();
    for percent in [95, 50, 10] {
        let file = fs::OpenOptions::new().write(true).open(&core).expect("the core");
        file.set_len(len / 100 * percent).expect("truncate");
        let (code, ..) =
            said(rjcore().arg("dump").arg(&core).args(["--overwrite", "-o"]).arg(&out));
        let json = check(&core, &[], code);
        assert!(matches!(code, 1 | 3), "{percent} %: {json}");
        codes.push(code);
        let lost = json["truncated"]["text"].as_str().expect("a cut");
        assert!(lost.contains("bytes are missing"), "{lost}");
        let line = json["text"].as_str().expect("a line");
        assert!(line.contains("cop"), "says to copy it again: {line}");
        match code {
            3 => assert_eq!(json["verdict"], "gaps"),
            _ => assert_eq!(json["verdict"], "unreadable"),
        }
    }
    assert!(codes.contains(&1), "{codes:?}");
}

#[test]
fn a_collector_that_moves_objects() {
    let dir = Scratch::new("check-zgc");
    let jvm = Jvm::start(25, &["-Xmx32m", "-XX:+UseZGC"], "Sample", &dir);
    let core = jvm.abort(&dir);
    let json = check(&core, &[], 0);
    assert_eq!(json["verdict"], "self_contained", "{json}");
    let mut opened = CoreFile::open(&core, &Default::default()).expect("a core");
    let missing = opened.lay_backing_files(&Sysroot::default()).expect("files");
    assert_eq!(Check::of(&opened, &missing, 2).verdict(), Verdict::SelfContained);
}

#[test]
fn no_core_at_all() {
    let dir = Scratch::new("check-none");
    let text = dir.path("text");
    fs::write(&text, "hello\n").expect("a file");
    for (path, words) in [(&text, "not an ELF file"), (&dir.path("none"), "No such file")] {
        let (code, out, err) = said(rjcore().arg("check").arg(path));
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(words) && err.contains(utf8(path)), "{err}");
    }
    let sleep = Command::new("sleep").arg("100").spawn();
    let mut sleep = sleep.expect("sleep");
    let core = dir.path("core");
    crate::support::gcore(sleep.id(), &core);
    sleep.kill().expect("kill");
    sleep.wait().expect("wait");
    let json = check(&core, &[], 1);
    assert_eq!(json["verdict"], "unreadable");
    assert!(json["text"].as_str().is_some_and(|l| l.contains("no libjvm.so")), "{json}");
}

/// An address as JSON has it: "0x7f00".
fn address(v: &Value) -> u64 {
    let text = v.as_str().and_then(|t| t.strip_prefix("0x")).expect("an address");
    u64::from_str_radix(text, 16).expect("hexadecimal")
}
