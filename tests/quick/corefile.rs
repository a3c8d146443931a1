//! The core reader and writer against cores made byte by byte.

mod backing;
mod bundle;
mod linkmap;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, iter};

use crate::support::child::Command;
use crate::synth::{Core, PAGE, R, RW, RX, libjvm};
use proptest::prelude::*;
use rjcore::corefile::{CoreFile, Memory, OpenOptions, Sysroot, write_core};
use rjcore::error::{Advice, Error};
use tempfile::TempDir;

const BASE: u64 = 0x7f00_0000_0000;
const DATA: u64 = BASE + 0x3000;
const HEAP: u64 = 0x7_0000_0000;
const JSA: u64 = 0x8_0000_0000;
const ID: [u8; 20] = [0xab; 20];
const OTHER: [u8; 20] = [0xcd; 20];

fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(path: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

fn open(path: &Path) -> Result<CoreFile, Error> {
    CoreFile::open(path, &OpenOptions::default())
}

fn open_bytes(bytes: &[u8]) -> Result<CoreFile, Error> {
    let dir = dir();
    open(&put(dir.path().join("core"), bytes))
}

/// Bytes that do not compress and differ from place to place.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    let next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        Some(x as u8)
    };
    iter::from_fn(next).take(len).collect()
}

fn page(byte: u8) -> Vec<u8> {
    vec![byte; PAGE as usize]
}

fn bytes(memory: &Memory, addr: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    memory.read_into(addr, &mut out).unwrap();
    out
}

/// A core as the kernel writes it, of a process with libjvm.so at `recorded`: of its text
/// only the first page, its data in full.
fn jvm_core(recorded: &str) -> Core {
    let mut core = Core::default();
    core.thread(4711, 6, 0x1122).full(HEAP, &page(b'H'));
    core.load(BASE, 0x3000, RX, &libjvm(&ID, b'T')[..PAGE as usize]);
    core.full(DATA, &page(b'P'));
    let files = [(BASE, DATA, 0, recorded), (DATA, DATA + PAGE, 0x2000, recorded)];
    core.files(PAGE, &files);
    core
}

fn sysroot(jvm: Option<&Path>, roots: &[&Path]) -> Sysroot {
    let roots = roots.iter().map(|&r| r.into()).collect();
    Sysroot { jvm: jvm.map(Into::into), roots, ..Sysroot::default() }
}

#[test]
fn what_was_not_saved_faults() {
    let mut core = Core::default();
    core.load(HEAP, 3 * PAGE, RW, &page(7)).load(BASE, PAGE, R, &[]);
    // Bytes that follow in the file, and must not be taken for the rest of the first load.
    core.full(JSA, &[page(8), page(9), page(9)].concat());
    let core = open_bytes(&core.build()).unwrap();
    let m = core.memory();
    assert_eq!(m.u8(HEAP + PAGE - 1), Ok(7));
    for addr in [HEAP - 1, HEAP + PAGE, HEAP + PAGE - 7, HEAP + 2 * PAGE, BASE, u64::MAX] {
        let fault = m.u64(addr).unwrap_err();
        assert_eq!((fault.addr, fault.len), (addr, 8));
    }
    assert!(m.cstr(HEAP, 1 << 20).is_err(), "a string that runs out of the saved page");
    assert_eq!(core.truncation(), None);
}

#[test]
fn unsorted_segments() {
    let mut core = Core::default();
    for i in [5u8, 0, 3, 1, 4] {
        core.full(HEAP + u64::from(i) * PAGE, &page(i));
    }
    let core = open_bytes(&core.build()).unwrap();
    for i in [0u8, 1, 3, 4, 5] {
        assert_eq!(core.memory().u8(HEAP + u64::from(i) * PAGE), Ok(i));
    }
    assert!(core.memory().u8(HEAP + 2 * PAGE).is_err());
    assert_eq!(bytes(core.memory(), HEAP + PAGE - 1, 2), [0, 1], "across segments");
    assert!(core.segments().is_sorted_by_key(|s| s.start));
}

#[test]
fn more_segments_than_e_phnum_holds() {
    const COUNT: u64 = 70_001;
    // Steps that let 16 bytes each lie packed in the file and yet in pages of their own.
    let addr = |i: u64| HEAP + i * (PAGE + 16);
    let word = |i: u64| (i * 0x0101_0101_0101).to_le_bytes().repeat(2);
    let mut core = Core { align: 16, ..Core::default() };
    core.thread(1, 0, 0);
    (0..COUNT).for_each(|i| _ = core.full(addr(i), &word(i)));
    let check = |file: &[u8]| {
        assert_eq!((&file[56..58], &file[60..62]), (&[0xff, 0xff][..], &[1, 0][..]));
        let core = open_bytes(file).unwrap();
        assert_eq!(core.segments().len() as u64, COUNT);
        assert_eq!(core.threads().len(), 1);
        assert_eq!(core.truncation(), None);
        for i in 0..COUNT {
            assert_eq!(bytes(core.memory(), addr(i), 16), word(i));
            assert!(core.memory().u8(addr(i) + 16).is_err());
        }
        core
    };
    let file = core.build();
    let core = check(&file);
    let mut out = Vec::new();
    let size = write_core(&mut out, &core, &[(0, u64::MAX)]).unwrap();
    assert_eq!(size, out.len() as u64);
    let shoff = u64::from_le_bytes(out[40..48].try_into().unwrap()) as usize;
    assert_eq!(out[shoff + 44..shoff + 48], (COUNT as u32 + 1).to_le_bytes(), "sh_info");
    check(&out);

    // The section header with the count is lost first.
    let cut = open_bytes(&file[..file.len() - 64 - 16]).unwrap();
    assert_eq!(cut.segments().len() as u64, COUNT);
    assert_eq!(cut.truncation().unwrap().missing_bytes, 16);
}

#[test]
fn sparse_file() {
    const HOLE: u64 = 1 << 30;
    let dir = dir();
    let mut core = Core::default();
    core.full(HEAP, &page(1));
    let mut file = core.build();
    // The one load (program header 1) is said to be longer than what was written.
    for at in [64 + 56 + 32, 64 + 56 + 40] {
        file[at..at + 8].copy_from_slice(&HOLE.to_le_bytes());
    }
    let start = file.len() as u64 - PAGE;
    let path = put(dir.path().join("core"), &file);
    let sparse = File::options().write(true).open(&path).unwrap();
    sparse.set_len(start + HOLE).unwrap();
    sparse.write_all_at(&[9], start + HOLE - 1).unwrap();
    assert!(sparse.metadata().unwrap().blocks() * 512 < HOLE / 2, "the file is not sparse");
    let core = open(&path).unwrap();
    assert_eq!(core.truncation(), None);
    assert_eq!(core.memory().u8(HEAP), Ok(1));
    assert_eq!(core.memory().u64(HEAP + HOLE / 2), Ok(0), "a hole is zeros that were saved");
    assert_eq!(core.memory().u8(HEAP + HOLE - 1), Ok(9));
    assert!(core.memory().u8(HEAP + HOLE).is_err());
}

#[test]
fn cut_off_core_says_what_is_missing() {
    let mut core = Core::default();
    let (a, b, c) = (HEAP, BASE, BASE + (1 << 30));
    core.files(PAGE, &[(b, b + 7 * PAGE, 0, "/opt/b.jsa"), (c, c + 7 * PAGE, 0, "/lib/c.so")]);
    for start in [a, b, c] {
        core.full(start, &noise(7 * PAGE as usize));
    }
    let file = core.build();
    assert_eq!(open_bytes(&file).unwrap().truncation(), None);
    for percent in [10, 50, 90] {
        let cut = file.len() * percent / 100;
        let core = open_bytes(&file[..cut]).unwrap();
        let message = core.truncation().unwrap().to_string();
        let missing = file.len() - cut;
        assert!(message.contains(&format!(": {missing} bytes are missing")), "{message}");
        // Loads are 7 pages each, after one page of headers.
        for (i, name) in ["anonymous memory", "/opt/b.jsa", "/lib/c.so"].iter().enumerate() {
            let hit = cut < (1 + 7 * (i + 1)) * PAGE as usize;
            assert_eq!(message.contains(name), hit, "{percent} %: {name}: {message}");
        }
        for (i, start) in [a, b, c].into_iter().enumerate() {
            let there = cut.saturating_sub((1 + 7 * i) * PAGE as usize).min(7 * PAGE as usize);
            let at = start + there as u64;
            assert!(there == 0 || core.memory().u8(at - 1).is_ok());
            assert!(core.memory().u8(at).is_err());
        }
    }
}

#[test]
fn cut_off_headers_and_notes() {
    let file = jvm_core("/opt/libjvm.so").build();
    let notes_at = 64 + 4 * 56;
    for (cut, want) in [
        (63, "within the ELF header, after 63 bytes"),
        (64 + 56, "cut off within the program headers: 1 of 4"),
    ] {
        let error = open_bytes(&file[..cut]).unwrap_err();
        assert!(matches!(&error, Error::NotACore { what, .. } if what.contains(want)), "{error}");
    }
    let mut core = open_bytes(&file[..notes_at + 40]).unwrap();
    let t = core.truncation().unwrap().clone();
    assert!(t.notes_missing > 0 && t.missing_bytes > t.notes_missing);
    assert!(t.to_string().contains(&format!("{} of them notes", t.notes_missing)));
    let error = core.lay_backing_files(&Sysroot::default()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::CutOff(_)) && text.contains("within its notes"), "{text}");
}

#[test]
fn zstd_is_unpacked() {
    let mut core = Core::default();
    let data = noise(1 << 20);
    core.thread(3, 0, 0).full(HEAP, &data).full(BASE, &vec![0; 1 << 20]);
    let file = core.build();
    let dir = dir();
    let whole = zstd::encode_all(&file[..], 1).unwrap();
    let (a, b) = file.split_at(file.len() / 3);
    let mut frames = b"\x50\x2a\x4d\x18\x04\0\0\0skip".to_vec();
    frames.extend(zstd::encode_all(a, 1).unwrap());
    frames.extend(zstd::encode_all(b, 3).unwrap());
    for packed in [&whole, &frames] {
        let path = put(dir.path().join("core.zst"), packed);
        let seen = Mutex::new((0, 0));
        let progress = |done, total| *seen.lock().unwrap() = (done, total);
        let core = CoreFile::open(&path, &OpenOptions { progress: Some(&progress) }).unwrap();
        assert_eq!(*seen.lock().unwrap(), (packed.len() as u64, packed.len() as u64));
        assert_eq!(core.truncation(), None);
        assert_eq!(core.threads().len(), 1);
        assert_eq!(bytes(core.memory(), HEAP, data.len()), data);
        assert_eq!(bytes(core.memory(), BASE, 1 << 20), vec![0; 1 << 20]);
        assert_eq!(core.path(), path);
    }

    // Cut off: what could be unpacked is there, and the rest is known to be missing.
    for packed in [&whole, &frames] {
        let core = open_bytes(&packed[..packed.len() * 3 / 4]).unwrap();
        let missing = core.truncation().unwrap().missing_bytes;
        let saved = (2u64 << 20) - missing;
        assert!(saved > 1 << 18 && missing > 1 << 20, "{missing}");
        let saved = saved as usize;
        assert_eq!(bytes(core.memory(), HEAP, saved), data[..saved]);
        assert!(core.memory().u8(HEAP + saved as u64).is_err());
    }

    // Damaged, at the start and after megabytes: not taken for a cut.
    let mut start = whole.clone();
    start[12] ^= 0xff;
    start.truncate(300);
    for mut damaged in [start, whole] {
        damaged.extend(noise(4096));
        let error = open_bytes(&damaged).unwrap_err().to_string();
        assert!(error.contains("damaged zstd archive"), "{error}");
    }
}

#[test]
fn written_core_is_the_same_memory() {
    let dir = dir();
    let jvm = put(dir.path().join("libjvm.so"), &libjvm(&ID, b'T'));
    let mut core = jvm_core(jvm.to_str().unwrap());
    core.machine = 183;
    core.notes.clear();
    core.thread(99, 11, 5).files(
        PAGE,
        &[
            (BASE, DATA, 0, jvm.to_str().unwrap()),
            (DATA, DATA + PAGE, 0x2000, jvm.to_str().unwrap()),
        ],
    );
    let mut core = open_bytes(&core.build()).unwrap();
    assert_eq!(core.lay_backing_files(&Sysroot::default()).unwrap(), []);
    let mut out = Vec::new();
    // Half of the heap's page, and all of libjvm, in no order and overlapping.
    let ranges = [(BASE + 0x1800, DATA + 1), (HEAP + 100, HEAP + 101), (BASE, BASE + 0x2000)];
    write_core(&mut out, &core, &ranges).unwrap();
    let copy = open_bytes(&out).unwrap();
    assert_eq!(copy.truncation(), None);
    assert_eq!(copy.cpu().facts().machine, 183);
    assert_eq!((copy.threads(), copy.mappings()), (core.threads(), core.mappings()));
    assert_eq!(copy.threads()[0].regs.len(), 34 * 8);
    assert_eq!(copy.libjvm_build_id(), Some(hex(&ID).as_str()));
    assert_eq!(bytes(copy.memory(), HEAP, PAGE as usize), page(b'H'));
    let text = bytes(copy.memory(), BASE, 0x3000);
    assert_eq!(text, libjvm(&ID, b'T'), "pages that came from the file");
    assert_eq!(bytes(copy.memory(), DATA, PAGE as usize), page(b'P'));
    let flags: Vec<_> = copy.segments().iter().map(|s| (s.start, s.flags)).collect();
    assert_eq!(flags, [(HEAP, RW), (BASE, RX), (DATA, RW)]);
    for s in copy.segments() {
        assert_eq!((s.offset % PAGE, s.filesz), (s.start % PAGE, s.memsz));
    }

    // Only what was read, as trim does.
    core.memory_mut().record_touched();
    core.memory().u64(BASE + 0x1ffc).unwrap();
    let touched = core.memory().touched_ranges();
    assert_eq!(touched, [(BASE + 0x1000, BASE + 0x3000)]);
}

#[test]
fn what_is_no_core() {
    let dir = dir();
    let core = jvm_core("/opt/libjvm.so").build();
    let with = |at: usize, v: &[u8]| {
        let mut c = core.clone();
        c[at..at + v.len()].copy_from_slice(v);
        c
    };
    let mut big_endian = with(5, &[2]);
    big_endian[16..20].copy_from_slice(&[0, 4, 0, 62]);
    let cases: [(&str, Vec<u8>, &str); 13] = [
        ("empty", vec![], "empty"),
        ("text", b"Hello, world\n".to_vec(), "not an ELF file"),
        ("executable", fs::read(env::current_exe().unwrap()).unwrap(), "executable, not a core"),
        ("static", with(16, &[2]), "ELF executable, not a core"),
        ("hprof", b"JAVA PROFILE 1.0.2\0\0\0\0\x08".to_vec(), "HPROF heap dump already"),
        ("32-bit", with(4, &[1]), "32-bit"),
        ("big-endian", big_endian, "big-endian"),
        ("machine", with(18, &[8, 0]), "machine 8"),
        ("gzip", b"\x1f\x8b\x08\0".to_vec(), "damaged gzip archive"),
        ("zip", b"PK\x03\x04".to_vec(), "a zip that is damaged or cut off"),
        ("zeros", vec![0; 8192], "not written completely"),
        ("no segments", with(56, &[0, 0]), "without program headers"),
        ("header sizes", with(54, &[32]), "of an unknown size"),
    ];
    for (name, content, want) in cases {
        let path = put(dir.path().join(name), &content);
        let error = open(&path).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::NotACore { .. }), "{name}: {text}");
        assert!(text.contains(want) && text.contains(name), "{name}: {text}");
    }
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    let error = open(&dir.path().join("none")).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if path.ends_with("none")), "{error}");
}

/// Root may read a file of mode 000, so root runs this test again as nobody.
#[test]
fn unreadable_file() {
    const NOBODY: u32 = 65534;
    if let Some(path) = env::var_os("RJCORE_TEST_UNREADABLE") {
        let error = open(Path::new(&path)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Io { .. }), "{text}");
        assert!(text.contains("secret.core"), "{text}");
        assert_eq!(error.advice(), Some(Advice::CheckPermission), "{text}");
        return;
    }
    let dir = dir();
    let path = put(dir.path().join("secret.core"), &jvm_core("/x/libjvm.so").build());
    let mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode));
    mode(dir.path(), 0o755).unwrap();
    mode(&path, 0).unwrap();
    // A copy, since nobody need not reach the directory of the original.
    let test = dir.path().join("test");
    fs::copy(env::current_exe().unwrap(), &test).unwrap();
    mode(&test, 0o755).unwrap();
    let mut again = Command::new(test);
    again.args(["--exact", "corefile::unreadable_file"]).env("RJCORE_TEST_UNREADABLE", &path);
    again.current_dir("/");
    if fs::metadata(&path).unwrap().uid() == 0 {
        again.ids(NOBODY);
    }
    let out = again.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

/// Uses all that the reader offers; only that it ends and does not panic matters.
fn exercise(path: &Path, root: &Path) {
    let Ok(mut core) = open(path) else { return };
    _ = core.lay_backing_files(&sysroot(None, &[root]));
    _ = core.lay_backing_files(&sysroot(Some(&root.join("libjvm.so")), &[]));
    _ = core.truncation().map(|t| t.to_string().len());
    core.memory_mut().record_touched();
    for s in core.segments() {
        for at in [s.start, s.start.wrapping_add(s.memsz).wrapping_sub(4), s.offset] {
            _ = (core.memory().u64(at), core.memory().string(at), core.mapping_at(at));
        }
    }
    let touched = core.memory().touched_ranges();
    for ranges in [&touched[..], &[(0, u64::MAX)]] {
        let mut out = Vec::new();
        write_core(&mut out, &core, ranges).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn damaged_core_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        headers in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let dir = dir();
        put(dir.path().join("libjvm.so"), &libjvm(&ID, b'T'));
        let mut file = jvm_core("/nowhere/libjvm.so").build();
        // Half of the cases hit headers and notes only: most of the file is plain data.
        let len = if headers { 64 + 4 * 56 + 700 } else { file.len() };
        for (at, value) in flips {
            file[at.index(len)] = value;
        }
        file[..4].copy_from_slice(b"\x7fELF");
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        exercise(&put(dir.path().join("core"), &file), dir.path());
    }
}
