//! Cores as people pack them, and as pipes bring them: told by their content, whatever they are called.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::child::Command;
use crate::support::{Scratch, dep, rjcore, run, text, tool};
use rjcore::corefile::CoreFile;

const PACKERS: [&str; 5] = ["zstd", "gzip", "xz", "lz4", "bzip2"];

/// A sample core as it is.
fn sample(dir: &Scratch) -> PathBuf {
    let core = dir.path("core");
    let packed = dep("testdata/cores/jdk17-serial.core.zst");
    run(Command::new(tool("zstd")).args(["-dq"]).arg(packed).arg("-o").arg(&core));
    core
}

/// `file` packed under a name that does not tell.
fn packed(packer: &str, file: &Path, dir: &Scratch) -> PathBuf {
    let to = dir.path(&format!("{packer}.bin"));
    let out = run(Command::new(tool(packer)).args(["-q", "-c", "-1"]).arg(file));
    fs::write(&to, out.stdout).expect("room");
    to
}

fn histogram(core: &Path) -> String {
    text(rjcore().args(["histo", "--json"]).arg(core))
}

fn refused(core: &Path) -> String {
    let out = rjcore().arg("histo").arg(core).output().expect("rjcore");
    assert_eq!(out.status.code(), Some(1));
    assert!(out.stdout.is_empty());
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn every_packing_is_read() {
    let dir = Scratch::new("packed-all");
    let core = sample(&dir);
    let whole = histogram(&core);
    let bytes = fs::read(&core).expect("the core");
    for packer in PACKERS {
        let file = packed(packer, &core, &dir);
        assert_eq!(histogram(&file), whole, "{packer}");

        // Two archives one behind the other are one.
        let (a, b) = (dir.path("a"), dir.path("b"));
        fs::write(&a, &bytes[..bytes.len() / 3]).expect("room");
        fs::write(&b, &bytes[bytes.len() / 3..]).expect("room");
        let two = [packed(packer, &a, &dir), packed(packer, &b, &dir)];
        let part = |f: &Path, dir: &Scratch| fs::read(packed(packer, f, dir)).expect("a part");
        let joined = [part(&a, &dir), part(&b, &dir)].concat();
        fs::write(&two[0], joined).expect("room");
        assert_eq!(histogram(&two[0]), whole, "{packer}, twice");

        // Cut off: what came before is there, and the rest is known to be missing.
        let mut cut = fs::read(packed(packer, &core, &dir)).expect("the archive");
        cut.truncate(cut.len() * 3 / 4);
        fs::write(&file, &cut).expect("room");
        let opened = CoreFile::open(&file, &Default::default()).expect("the first part of a core");
        let missing = opened.truncation().expect("a cut").missing_bytes;
        assert!(missing > 1 << 20 && missing < bytes.len() as u64, "{packer}: {missing}");

        // Damaged: not taken for a cut.
        let mut damaged = fs::read(packed(packer, &core, &dir)).expect("the archive");
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0x55);
        fs::write(&file, &damaged).expect("room");
        let said = refused(&file);
        assert!(said.contains(&format!("damaged {packer} archive")), "{said}");
        assert!(said.contains("bin") && said.contains("unpacked bytes"), "{said}");
    }
}

/// What tapes and block devices add, what a copy that went on too long adds, and the older formats.
#[test]
fn behind_the_end_and_older_formats() {
    let dir = Scratch::new("packed-ends");
    let core = sample(&dir);
    let whole = histogram(&core);
    for packer in ["gzip", "bzip2", "xz"] {
        let archive = fs::read(packed(packer, &core, &dir)).expect("the archive");
        let file = dir.path("padded");
        fs::write(&file, [&archive[..], &[0; 100_000]].concat()).expect("room");
        assert_eq!(histogram(&file), whole, "{packer}, and zeros");
        if packer != "xz" {
            fs::write(&file, [&archive[..], b"and other bytes"].concat()).expect("room");
            assert_eq!(histogram(&file), whole, "{packer}, and other bytes");
        }
    }
    for (packer, option) in [("lz4", "-lqc"), ("xz", "-1qc")] {
        let mut cmd = Command::new(tool(packer));
        if packer == "xz" {
            cmd.arg("--format=lzma");
        }
        let file = dir.path("older");
        fs::write(&file, run(cmd.arg(option).arg(&core)).stdout).expect("room");
        assert_eq!(histogram(&file), whole, "{packer}");
    }
    fs::write(dir.path("x"), b"7z\xbc\xaf\x27\x1c\0\x04 and more").expect("room");
    assert!(refused(&dir.path("x")).contains("a 7z archive"));
}

#[test]
fn every_bundle_is_read() {
    let dir = Scratch::new("packed-bundles");
    let core = sample(&dir);
    let whole = histogram(&core);
    let tar = dir.path("tar");
    let place = core.parent().expect("a directory");
    run(Command::new("tar").arg("-C").arg(place).arg("-cf").arg(&tar).arg("core"));
    for packer in PACKERS {
        assert_eq!(histogram(&packed(packer, &tar, &dir)), whole, "tar by {packer}");
        // A core that is compressed inside the bundle.
        packed(packer, &core, &dir);
        let inner = format!("{packer}.bin");
        run(Command::new("tar").arg("-C").arg(place).arg("-cf").arg(&tar).arg(&inner));
        assert_eq!(histogram(&tar), whole, "{packer} in a tar");
        let zip = dir.path("in.zip");
        let _ = fs::remove_file(&zip);
        run(Command::new(tool("zip")).current_dir(place).args(["-q", "in.zip", &inner]));
        assert_eq!(histogram(&zip), whole, "{packer} in a zip");
        run(Command::new("tar").arg("-C").arg(place).arg("-cf").arg(&tar).arg("core"));
    }
    for level in ["-0", "-6"] {
        let zip = dir.path("out.zip");
        let _ = fs::remove_file(&zip);
        fs::write(dir.path("notes.txt"), "no core").expect("room");
        let mut cmd = Command::new(tool("zip"));
        run(cmd.current_dir(place).args(["-q", level, "out.zip", "notes.txt", "core"]));
        assert_eq!(histogram(&zip), whole, "zip {level}");
        let len = fs::metadata(&zip).expect("the zip").len();
        File::options().write(true).open(&zip).and_then(|f| f.set_len(len / 2)).expect("to cut");
        let said = refused(&zip);
        assert!(said.contains("out.zip") && said.contains("damaged or cut off"), "{said}");
    }
    fs::copy(&core, dir.path("core2")).expect("room");
    let mut cmd = Command::new(tool("zip"));
    run(cmd.current_dir(place).args(["-q", "-1", "two.zip", "core", "core2"]));
    assert!(refused(&dir.path("two.zip")).contains("2 cores (core, core2)"));
    let mut cmd = Command::new(tool("zip"));
    run(cmd.current_dir(place).args(["-q", "none.zip", "notes.txt"]));
    assert!(refused(&dir.path("none.zip")).contains("a zip without a core"));
}

/// A core_pattern with `|`, `ssh ... cat core | rjcore`, `<(...)` of a shell.
#[test]
fn every_command_reads_pipes() {
    let dir = Scratch::new("packed-pipes");
    let core = sample(&dir);
    let gz = packed("gzip", &core, &dir);
    let from = |file: &Path, pipe: bool, args: &[&str]| {
        let mut cat = Command::new("cat").arg(file).stdout(Stdio::piped()).spawn().expect("cat");
        let input = match pipe {
            true => Stdio::from(cat.stdout.take().expect("piped")),
            false => File::open(file).expect("the core").into(),
        };
        let out = rjcore().args(args).stdin(input).output().expect("rjcore");
        let _ = cat.kill();
        cat.wait().expect("the end of cat");
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let hprof = dir.path("out.hprof").display().to_string();
    let small = dir.path("small.core").display().to_string();
    let commands: [&[&str]; 6] = [
        &["histo", "-"],
        &["info", "-"],
        &["stack", "-"],
        &["check", "-"],
        &["dump", "-", "--overwrite", "-o", &hprof],
        &["trim", "-", "--overwrite", "-o", &small],
    ];
    for args in commands {
        let mut all = Vec::new();
        for (file, pipe) in [(&core, false), (&core, true), (&gz, false), (&gz, true)] {
            let mut said = from(file, pipe, args);
            let written = if args.contains(&hprof.as_str()) { &hprof } else { &small };
            said.extend(fs::read(written).unwrap_or_default());
            let _ = fs::remove_file(written);
            all.push(said);
        }
        // `info` tells the size of the file, which a pipe has not.
        if args[0] != "info" {
            assert!(all.iter().all(|a| *a == all[0]), "{args:?}");
        }
        assert!(!all[0].is_empty() || args[0] == "trim");
    }
    let said = text(
        Command::new("bash")
            .args(["-c", "\"$0\" histo --json <(cat \"$1\")"])
            .arg(rjcore().get_program())
            .arg(&gz),
    );
    assert_eq!(said, histogram(&core));
}

/// Unpacked in TMPDIR; where there is no room, that is said.
#[test]
fn no_room_to_unpack() {
    let dir = Scratch::new("packed-room");
    let gz = packed("gzip", &sample(&dir), &dir);
    let mut cmd = Command::new("unshare");
    cmd.args(["--mount", "--propagation", "private", "sh", "-c"]);
    cmd.arg("mount -t tmpfs -o size=1m none \"$1\" && TMPDIR=$1 exec \"$0\" histo \"$2\"");
    fs::create_dir(dir.path("tmp")).expect("a directory");
    let out = cmd.arg(rjcore().get_program()).arg(dir.path("tmp")).arg(&gz).output();
    let out = out.expect("unshare");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("no room in") && said.contains("TMPDIR"), "{said}");
}
