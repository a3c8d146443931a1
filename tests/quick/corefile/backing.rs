//! Which files are laid under a core's pages, and where they must not be.

use std::fs;
use std::path::{Path, PathBuf};

use rjcore::corefile::Sysroot;
use rjcore::error::{Advice, Error};

use super::{
    BASE, DATA, HEAP, ID, JSA, OTHER, dir, hex, jvm_core, noise, open_bytes, page, put, sysroot,
};
use crate::synth::{Core, PAGE, R, RW, RX, libjvm};

#[test]
fn given_libjvm_must_be_the_one() {
    let dir = dir();
    let core = jvm_core("/nowhere/libjvm.so").build();
    let lay = |jvm: &Path| {
        open_bytes(&core).unwrap().lay_backing_files(&sysroot(Some(jvm), &[])).unwrap_err()
    };
    let wrong = put(dir.path().join("wrong.so"), &libjvm(&OTHER, b'W'));
    let error = lay(&wrong);
    let Error::WrongJvm { path, found, expected } = &error else { panic!("{error}") };
    assert_eq!((path, found, expected), (&wrong, &hex(&OTHER), &hex(&ID)));
    let text = error.to_string();
    assert!(text.contains(&hex(&OTHER)) && text.contains(&hex(&ID)), "{text}");

    let error = lay(&dir.path().join("none.so"));
    assert!(matches!(&error, Error::Io { path, .. } if path.ends_with("none.so")), "{error}");
    for content in [&b"#!/bin/sh\n"[..], b"", &libjvm(&ID, 0)[..40]] {
        let error = lay(&put(dir.path().join("text.so"), content));
        let text = error.to_string();
        assert!(matches!(&error, Error::NotALibjvm { .. }), "{text}");
        assert!(text.contains("text.so"), "{text}");
        assert_eq!(error.advice(), Some(Advice::GiveLibjvm));
    }
    let error = lay(dir.path());
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn files_are_looked_up_in_order() {
    let dir = dir();
    let at = |p: &str| dir.path().join(p);
    let recorded = at("real/libjvm.so");
    let recorded = recorded.to_str().unwrap();
    let inside = format!("root1{recorded}");
    let inside2 = format!("root2{recorded}");
    // Best first; each is taken away after it was found.
    let order = ["jvm.so", &inside, "root1/libjvm.so", &inside2, "root2/libjvm.so"];
    for (i, name) in order.iter().chain(&["real/libjvm.so"]).enumerate() {
        put(at(name), &libjvm(&ID, b'0' + i as u8));
    }
    let file = jvm_core(recorded).build();
    let roots = [at("root1"), at("root2")];
    let roots: Vec<&Path> = roots.iter().map(PathBuf::as_path).collect();
    let found = |jvm: Option<&Path>| {
        let mut core = open_bytes(&file).unwrap();
        assert_eq!(core.lay_backing_files(&sysroot(jvm, &roots)).unwrap(), []);
        let used = core.libjvm_file().unwrap().to_owned();
        assert_eq!(core.backing().len(), 1, "nothing was lacking in the data");
        let b = &core.backing()[0];
        assert_eq!((b.start, b.bytes, b.proven), (BASE, 0x2000, true));
        assert_eq!(b.file, used);
        assert_eq!(core.memory().u8(DATA), Ok(b'P'), "the process's own page wins");
        (used, core.memory().u8(BASE + 0x1000).unwrap())
    };
    for (i, name) in order.iter().chain(&["real/libjvm.so"]).enumerate() {
        let jvm = at("jvm.so");
        let (used, fill) = found((i == 0).then_some(jvm.as_path()));
        assert_eq!((used, fill), (at(name), b'0' + i as u8));
        if i == 1 {
            // Another build in the way is passed over.
            put(at(name), &libjvm(&OTHER, b'W'));
        } else {
            fs::remove_file(at(name)).unwrap();
        }
    }
    let mut core = open_bytes(&file).unwrap();
    let missing = core.lay_backing_files(&sysroot(None, &roots)).unwrap();
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].missing_bytes, missing[0].tried.len()), (0x2000, 5));
    assert!(core.memory().u8(BASE + 0x1000).is_err());
}

#[test]
fn deleted_files() {
    let dir = dir();
    let jvm = put(dir.path().join("libjvm.so"), &libjvm(&ID, b'T'));
    let name = format!("{} (deleted)", jvm.display());
    let mut core = open_bytes(&jvm_core(&name).build()).unwrap();
    assert_eq!(core.libjvm().unwrap().clean_path(), jvm.to_str().unwrap());
    assert_eq!(core.lay_backing_files(&Sysroot::default()).unwrap(), []);
    assert_eq!(core.memory().u8(BASE + 0x1000), Ok(b'T'), "the build-id proves it");

    // Nothing proves that an archive by the old name is the old one.
    let jsa = put(dir.path().join("x/classes.jsa"), &page(b'J'));
    let name = format!("{} (deleted)", jsa.display());
    let mut core = Core::default();
    core.load(JSA, PAGE, R, &[]).files(PAGE, &[(JSA, JSA + PAGE, 0, &name)]);
    let mut core = open_bytes(&core.build()).unwrap();
    let missing = core.lay_backing_files(&Sysroot::default()).unwrap();
    assert_eq!(missing.len(), 1);
    assert!(missing[0].why.text.contains("deleted"), "{}", missing[0].why.text);
    assert!(core.memory().u8(JSA).is_err());
}

#[test]
fn gdb_names_offsets_in_bytes() {
    let dir = dir();
    let jvm = put(dir.path().join("libjvm.so"), &libjvm(&ID, b'T'));
    let jvm = jvm.to_str().unwrap();
    let mut core = Core::default();
    core.load(BASE, PAGE, RX, &libjvm(&ID, 0)[..PAGE as usize]).full(DATA, &page(b'P'));
    core.files(1, &[(DATA, DATA + PAGE, 0x2000, jvm), (BASE, DATA, 0, jvm)]);
    let mut core = open_bytes(&core.build()).unwrap();
    assert_eq!(core.mapping_at(DATA).unwrap().file_offset, 0x2000);
    assert_eq!(core.lay_backing_files(&Sysroot::default()).unwrap(), []);
    assert_eq!(core.memory().u8(DATA - 1), Ok(b'T'));
}

/// The file's bytes are those before relocation: they must not pass for the process's.
#[test]
fn written_pages_are_never_the_files() {
    let dir = dir();
    let jvm = put(dir.path().join("libjvm.so"), &libjvm(&ID, b'T'));
    let path = jvm.to_str().unwrap();
    // Trimmed, or cut off: the data's page is lost.
    let mut trimmed = jvm_core(path);
    trimmed.loads.pop();
    let whole = jvm_core(path).build();
    let cut = &whole[..whole.len() - PAGE as usize];
    for (file, why) in [(&trimmed.build()[..], "trimmed"), (cut, "cut off")] {
        let mut core = open_bytes(file).unwrap();
        let missing = core.lay_backing_files(&Sysroot::default()).unwrap();
        assert_eq!(missing.len(), 1);
        assert_eq!((missing[0].mapping.start, missing[0].missing_bytes), (DATA, PAGE));
        assert!(missing[0].why.text.contains(why), "{}", missing[0].why.text);
        assert!(core.memory().u8(DATA).is_err());
        // The file's last page belongs to the text too, at another address.
        assert_eq!(core.memory().u8(DATA - 1), Ok(b'T'));
    }
    // The kernel says that nobody wrote to it.
    let mut untouched = jvm_core(path);
    untouched.loads.last_mut().unwrap().bytes.clear();
    let mut core = open_bytes(&untouched.build()).unwrap();
    assert_eq!(core.lay_backing_files(&Sysroot::default()).unwrap(), []);
    assert_eq!(core.memory().u8(DATA + PAGE - 1), Ok(b'T'));

    let jsa = put(dir.path().join("x/classes.jsa"), &noise(4 * PAGE as usize));
    let path = jsa.to_str().unwrap();
    let archive = |loads: &[(u64, u64, u64)]| {
        let mut core = Core::default();
        core.full(HEAP, &page(0)).files(PAGE, &[(JSA, JSA + 4 * PAGE, 0, path)]);
        for &(at, memsz, filesz) in loads {
            core.load(JSA + at * PAGE, memsz * PAGE, RW, &vec![b'P'; (filesz * PAGE) as usize]);
        }
        let mut core = open_bytes(&core.build()).unwrap();
        let missing = core.lay_backing_files(&Sysroot::default()).unwrap();
        missing.iter().map(|m| m.missing_bytes / PAGE).sum::<u64>()
    };
    assert_eq!(archive(&[(1, 1, 1), (3, 1, 1)]), 2, "trimmed");
    assert_eq!(archive(&[(0, 4, 4)]), 0, "saved");
    assert_eq!(archive(&[]), 0, "left out by gcore");
    assert_eq!(archive(&[(0, 4, 0)]), 0, "left out by the kernel");
    assert_eq!(archive(&[(0, 4, 1)]), 0, "left out by the kernel but for the first page");
}

#[test]
fn archive_of_another_jdk_is_refused() {
    let dir = dir();
    let jsa = put(dir.path().join("classes.jsa"), &page(b'J'));
    let mut core = jvm_core("/nowhere/libjvm.so");
    core.load(JSA, PAGE, R, &[]);
    core.notes.clear();
    core.files(
        PAGE,
        &[(JSA, JSA + PAGE, 0, jsa.to_str().unwrap()), (BASE, DATA, 0, "/nowhere/libjvm.so")],
    );
    let file = core.build();
    for (id, there) in [(OTHER, false), (ID, true)] {
        put(dir.path().join("libjvm.so"), &libjvm(&id, 0));
        let mut core = open_bytes(&file).unwrap();
        core.lay_backing_files(&Sysroot::default()).unwrap();
        assert_eq!(core.memory().u8(JSA).is_ok(), there);
    }
    put(&jsa, &page(b'J')[..100]);
    put(dir.path().join("libjvm.so"), &libjvm(&ID, 0));
    let mut core = open_bytes(&file).unwrap();
    core.lay_backing_files(&Sysroot::default()).unwrap();
    assert_eq!(core.memory().u8(JSA + 99), Ok(b'J'), "a file need not fill its last page");
    assert!(core.memory().u8(JSA + 100).is_err());
}

/// A file of which parts are mapped, and not the start: saved and writable they are a CDS archive's. What the kernel left out
/// of such a file is shared, a database's say, and nobody misses it.
#[test]
fn an_archive_by_any_name() {
    for (saved, found) in [(&page(b'J')[..], 1), (&[], 0)] {
        let mut core = jvm_core("/nowhere/libjvm.so");
        core.load(JSA, PAGE, RW, saved);
        core.load(JSA + PAGE, PAGE, R, &[]);
        core.notes.clear();
        let own = "/srv/own.dat";
        core.files(
            PAGE,
            &[
                (JSA, JSA + PAGE, PAGE, own),
                (JSA + PAGE, JSA + 2 * PAGE, 2 * PAGE, own),
                (BASE, DATA, 0, "/nowhere/libjvm.so"),
            ],
        );
        let mut core = open_bytes(&core.build()).unwrap();
        let missing = core.lay_backing_files(&Sysroot::default()).unwrap();
        let of_it = missing.iter().filter(|m| m.mapping.path == own);
        assert_eq!(of_it.count(), found, "{missing:?}");
        assert_eq!(core.archives().contains(own), found == 1);
    }
}

#[test]
fn no_list_of_mapped_files() {
    let mut core = Core::default();
    core.full(HEAP, &page(1));
    let mut core = open_bytes(&core.build()).unwrap();
    assert!(core.mappings().is_empty() && core.libjvm_build_id().is_none());
    let error = core.lay_backing_files(&Sysroot::default()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::NoJvm { .. }) && text.contains("NT_FILE"), "{text}");
}
