//! Bundles: a tar with the core and the files that lie under it, read where they lie.

use std::fs;
use std::io::{Seek, Write};
use std::path::Path;

use proptest::prelude::*;
use rjcore::corefile::{CoreFile, OpenOptions, Sysroot};
use rjcore::error::Error;

use super::{
    BASE, DATA, HEAP, ID, JSA, OTHER, bytes, dir, exercise, jvm_core, noise, open, open_bytes,
    page, put, sysroot,
};
use crate::support::child::Command;
use crate::synth::{Core, PAGE, R, libjvm};

const RECORDED: &str = "/opt/no such jdk/lib/server/libjvm.so";

/// A tar of these members.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        out.append_data(&mut header, name, *content).unwrap();
    }
    out.into_inner().unwrap()
}

/// GNU tar's own, of the files in `dir`.
fn gnu_tar(dir: &Path, args: &[&str]) -> Vec<u8> {
    let out =
        Command::new("tar").arg("-C").arg(dir).args(["-cf", "-"]).args(args).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn laid(bundle: &[u8]) -> CoreFile {
    let mut core = open_bytes(bundle).unwrap();
    assert_eq!(core.lay_backing_files(&Sysroot::default()).unwrap(), []);
    core
}

/// What every good bundle of `jvm_core` shows.
fn check(core: &CoreFile, member: &str) {
    assert_eq!(core.truncation(), None);
    assert_eq!(core.threads()[0].tid, 4711);
    assert_eq!(core.raw_notes().count(), 1);
    assert_eq!(bytes(core.memory(), HEAP, PAGE as usize), page(b'H'));
    assert_eq!(bytes(core.memory(), DATA, PAGE as usize), page(b'P'), "the core's page wins");
    assert_eq!(core.memory().u8(BASE + 0x1000), Ok(b'T'), "the member's page");
    let [b] = core.backing() else { panic!("{:?}", core.backing()) };
    assert!(b.proven && b.bundled, "{b:?}");
    assert_eq!(b.file, Path::new(&format!("{}:{member}", core.path().display())));
}

#[test]
fn files_of_a_bundle_lie_under_its_core() {
    let core = jvm_core(RECORDED).build();
    let jvm = libjvm(&ID, b'T');
    let long = format!("{}/files{RECORDED}", "deep".repeat(40));
    for name in [&format!("files{RECORDED}"), "libjvm.so", &long] {
        for first in [true, false] {
            let mut members = vec![("MANIFEST", &b"words\n"[..]), ("x/core", &core), (name, &jvm)];
            if !first {
                members.swap(1, 2);
            }
            let bundle = tar(&members);
            check(&laid(&bundle), name);
            check(&laid(&zstd::encode_all(&bundle[..], 1).unwrap()), name);
        }
    }
    // The pages of the bundle are its core's own; those of another file are not.
    let bundle = tar(&[("core", &core), ("libjvm.so", &jvm)]);
    let mut alone = open_bytes(&bundle).unwrap();
    let sysroot = Sysroot { alone: true, ..Sysroot::default() };
    assert_eq!(alone.lay_backing_files(&sysroot).unwrap(), []);
    check(&alone, "libjvm.so");
    check(&alone.alone(), "libjvm.so");
}

#[test]
fn posix_and_gnu_tars() {
    let dir = dir();
    let name = format!("files{RECORDED}");
    put(dir.path().join("core"), &jvm_core(RECORDED).build());
    put(dir.path().join(&name), &libjvm(&ID, b'T'));
    for format in ["--format=gnu", "--format=pax", "--format=ustar"] {
        check(&laid(&gnu_tar(dir.path(), &[format, "core", "files"])), &name);
    }
}

#[test]
fn the_core_alone() {
    let dir = dir();
    let jvm = put(dir.path().join("libjvm.so"), &libjvm(&ID, b'T'));
    let file = jvm_core(jvm.to_str().unwrap()).build();
    // `alone` looks at no recorded path, no root and no --jvm.
    let mut core = open_bytes(&file).unwrap();
    let nowhere = Sysroot { alone: true, ..sysroot(Some(&jvm), &[dir.path()]) };
    let missing = core.lay_backing_files(&nowhere).unwrap();
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].missing_bytes, missing[0].tried.len()), (0x2000, 0));
    assert!(
        missing[0].why.text.contains("no other was to be looked at"),
        "{}",
        missing[0].why.text
    );
    assert_eq!(core.backing(), []);
    // What was laid from a file beside the core is not the core's own.
    let mut core = open_bytes(&file).unwrap();
    assert_eq!(core.lay_backing_files(&Sysroot::default()).unwrap(), []);
    assert!(core.memory().u8(BASE + 0x1000).is_ok());
    let alone = core.alone();
    assert!(alone.memory().u8(BASE + 0x1000).is_err());
    assert_eq!(alone.memory().u8(DATA), Ok(b'P'));
    assert_eq!(alone.backing(), []);
    assert_eq!(alone.mappings(), core.mappings());
    assert_eq!(alone.libjvm_build_id(), core.libjvm_build_id());
}

#[test]
fn an_open_file_without_a_name() {
    let core = jvm_core(RECORDED).build();
    let bundle = tar(&[("core", &core), ("libjvm.so", &libjvm(&ID, b'T'))]);
    for content in [&core, &bundle, &zstd::encode_all(&core[..], 1).unwrap()] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        assert_eq!(file.stream_position().unwrap(), content.len() as u64);
        let core = CoreFile::from_file(Path::new("the core"), file, &OpenOptions::default());
        let core = core.unwrap();
        assert_eq!(core.path(), Path::new("the core"));
        assert_eq!(core.memory().u8(HEAP), Ok(b'H'));
    }
    let file = tempfile::tempfile().unwrap();
    let error = CoreFile::from_file(Path::new("the core"), file, &OpenOptions::default());
    let text = error.unwrap_err().to_string();
    assert!(text.starts_with("the core: ") && text.contains("empty"), "{text}");
}

/// A member of another build is passed over; --jvm comes before the bundle, the bundle before
/// the recorded path.
#[test]
fn order_and_proof() {
    let dir = dir();
    let recorded = put(dir.path().join("jdk/libjvm.so"), &libjvm(&ID, b'D'));
    let given = put(dir.path().join("given.so"), &libjvm(&ID, b'G'));
    let path = recorded.to_str().unwrap();
    let core = jvm_core(path).build();
    let (right, wrong) = (libjvm(&ID, b'T'), libjvm(&OTHER, b'W'));
    let inside = format!("files{path}");
    let fill = |bundle: &[u8], jvm: Option<&Path>| {
        let mut core = open_bytes(bundle).unwrap();
        assert_eq!(core.lay_backing_files(&sysroot(jvm, &[])).unwrap(), []);
        assert_eq!(core.backing().len(), 1);
        (core.memory().u8(BASE + 0x1000).unwrap(), core.backing()[0].bundled)
    };
    let both = tar(&[("core", &core), (&inside, &wrong), ("libjvm.so", &right)]);
    assert_eq!(fill(&both, None), (b'T', true));
    assert_eq!(fill(&both, Some(&given)), (b'G', false));
    let bad = tar(&[("core", &core), (&inside, &wrong)]);
    assert_eq!(fill(&bad, None), (b'D', false));
    fs::remove_file(&recorded).unwrap();
    let mut core = open_bytes(&bad).unwrap();
    let missing = core.lay_backing_files(&Sysroot::default()).unwrap();
    assert_eq!((missing.len(), missing[0].tried.len()), (1, 2));
    assert!(missing[0].why.text.contains("build-id"), "{}", missing[0].why.text);
}

#[test]
fn archives_of_one_name_keep_apart() {
    let mut core = Core::default();
    let (a, b, c) = (JSA, JSA + PAGE, JSA + 2 * PAGE);
    core.load(JSA, 3 * PAGE, R, &[]);
    core.files(
        PAGE,
        &[
            (a, a + PAGE, 0, "/srv/a/app.jsa"),
            (b, b + PAGE, 0, "/srv/b/app.jsa"),
            (c, c + PAGE, 0, "/srv/c/other.jsa (deleted)"),
        ],
    );
    let core = core.build();
    let (pa, pb, pc) = (page(b'a'), page(b'b'), page(b'c'));
    let bundle = |members: &[(&str, &[u8])]| {
        let mut all = vec![("core", &core[..])];
        all.extend(members);
        let mut core = open_bytes(&tar(&all)).unwrap();
        core.lay_backing_files(&Sysroot::default()).unwrap();
        [a, b, c].map(|at| core.memory().u8(at).ok())
    };
    let all: [(&str, &[u8]); 3] =
        [("f/srv/b/app.jsa", &pb), ("f/srv/a/app.jsa", &pa), ("other.jsa", &pc)];
    assert_eq!(bundle(&all), [Some(b'a'), Some(b'b'), Some(b'c')]);
    // The other's archive is never taken by its bare name, a lone one is.
    assert_eq!(bundle(&all[..1]), [None, Some(b'b'), None]);
    assert_eq!(bundle(&[("app.jsa", &pa)])[0], Some(b'a'));
}

#[test]
fn sparse_members() {
    let dir = dir();
    let mut core = jvm_core(RECORDED);
    core.full(JSA, &[page(b'1'), vec![0; 1 << 20], page(b'2')].concat());
    let core = core.build();
    // `tar -S` finds the holes: write the file with them.
    let path = dir.path().join("core");
    put(&path, &[]);
    let sparse = "cp --sparse=always /dev/stdin core";
    let mut cp = Command::new("sh");
    cp.args(["-c", sparse]).current_dir(dir.path()).stdin(std::process::Stdio::piped());
    let mut child = cp.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&core).unwrap();
    assert!(child.wait().unwrap().success());
    put(dir.path().join("libjvm.so"), &libjvm(&ID, b'T'));
    let bundle = gnu_tar(dir.path(), &["-S", "--format=gnu", "core", "libjvm.so"]);
    assert!(bundle.len() < core.len() - (1 << 19), "no hole was left out");
    let core = laid(&bundle);
    check(&core, "libjvm.so");
    assert_eq!(core.memory().u8(JSA + PAGE - 1), Ok(b'1'));
    assert_eq!(core.memory().u8(JSA + PAGE), Ok(0), "a hole is zeros that were saved");
    assert_eq!(core.memory().u8(JSA + PAGE + (1 << 20)), Ok(b'2'));

    let bundle = gnu_tar(dir.path(), &["-S", "--format=pax", "core", "libjvm.so"]);
    let text = open_bytes(&bundle).unwrap_err().to_string();
    assert!(text.contains("sparse") && text.contains("--sparse"), "{text}");
}

#[test]
fn tars_that_are_no_bundle() {
    let core = jvm_core(RECORDED).build();
    let jvm = libjvm(&ID, b'T');
    let cases: [(&str, Vec<u8>, &[&str]); 2] = [
        (
            "no core",
            tar(&[("MANIFEST", b"x"), ("libjvm.so", &jvm)]),
            &["without a core", "2 files"],
        ),
        (
            "two",
            tar(&[("core.1", &core), ("core.2", &core)]),
            &["2 cores", "core.1, core.2", "unpack"],
        ),
    ];
    let dir = dir();
    for (name, content, words) in cases {
        let error = open(&put(dir.path().join(name), &content)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::NotACore { .. }), "{name}: {text}");
        for word in words {
            assert!(text.contains(word), "{name}: no {word:?} in {text}");
        }
        assert!(text.contains(name), "{name}: {text}");
    }
}

/// What a cut-off bundle lacks is told as of a cut-off core.
#[test]
fn cut_off_bundles() {
    let mut core = jvm_core(RECORDED);
    core.full(JSA, &noise(16 * PAGE as usize));
    let core = core.build();
    let jvm = libjvm(&ID, b'T');
    let bundle = tar(&[("libjvm.so", &jvm), ("core", &core)]);
    let end = 512 + jvm.len() + 512 + core.len();
    let mut cut = open_bytes(&bundle[..end - 3 * PAGE as usize]).unwrap();
    assert_eq!(cut.truncation().unwrap().missing_bytes, 3 * PAGE);
    assert_eq!(cut.lay_backing_files(&Sysroot::default()).unwrap(), []);
    assert_eq!(cut.memory().u8(BASE + 0x1000), Ok(b'T'));
    assert!(cut.memory().u8(JSA + 13 * PAGE - 1).is_ok());
    assert!(cut.memory().u8(JSA + 13 * PAGE).is_err(), "the tar's end is not the core's");
    // Core first: the files are lost before.
    let bundle = tar(&[("core", &core), ("libjvm.so", &jvm)]);
    let mut cut = open_bytes(&bundle[..512 + core.len() + 600]).unwrap();
    assert_eq!(cut.truncation(), None);
    let missing = cut.lay_backing_files(&Sysroot::default()).unwrap();
    assert!(!missing.is_empty() && missing[0].mapping.file_name() == "libjvm.so");
    let text = open_bytes(&bundle[..700]).unwrap_err().to_string();
    assert!(text.contains("cut off"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn damaged_bundle_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        fix in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let dir = dir();
        let core = jvm_core("/nowhere/libjvm.so").build();
        let mut file = tar(&[("libjvm.so", &libjvm(&ID, b'T')), ("core", &core)]);
        let second = 512 + 3 * PAGE as usize;
        for (at, value) in flips {
            // Headers: most of the rest is data.
            let at = at.index(1024);
            file[if at < 512 { at } else { second + at - 512 }] = value;
        }
        // With the right sums a damaged header is believed.
        for at in [0, second].into_iter().filter(|_| fix) {
            let header = &mut file[at..at + 512];
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        exercise(&put(dir.path().join("bundle"), &file), dir.path());
    }
}
