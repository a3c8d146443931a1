//! Cores without NT_FILE: an aarch64 process with pages of 64 KB, whose libraries only ld.so's own list names.

use std::path::Path;

use rjcore::corefile::{CoreFile, FileMapping, Sysroot, write_core};
use rjcore::error::Error;

use super::{HEAP, bytes, dir, noise, open_bytes, put, sysroot};
use crate::synth::{Core, R, RW, RX};

const PAGE: u64 = 0x1_0000;
const JVM: u64 = 0xffff_8000_0000;
/// Where its data is mapped, and where its dynamic section is.
const DATA: u64 = JVM + 0x4_0000;
const DYNAMIC: u64 = JVM + 0x4_8100;
const LD_SO: u64 = 0xffff_9000_0000;
const DEBUG: u64 = LD_SO + 0x3_0118;
const PROGRAM: u64 = 0xaaaa_0000_0000;
const STACK: u64 = 0xffff_f000_0000;
/// Where the list is.
const LIST: u64 = 0xaaaa_1000_0000;
const NAMES: u64 = LIST + 0x8000;

fn words(out: &mut [u8], at: u64, values: &[u64]) {
    for (i, v) in values.iter().enumerate() {
        out[at as usize + i * 8..][..8].copy_from_slice(&v.to_le_bytes());
    }
}

fn text(out: &mut [u8], at: u64, s: &str) {
    out[at as usize..][..s.len()].copy_from_slice(s.as_bytes());
}

/// Code at 0..0x1_8000, data at 0x4_8000..0x5_0000 and bss after it; the dynamic section at 0x4_8100 has its
/// addresses moved by `bias`, as ld.so does. `code` is the size of the code, a fact of the build.
fn library(fill: u8, code: u64, bias: u64) -> Vec<u8> {
    let mut out = vec![fill; 0x2_0000];
    out[..0x1000].fill(0);
    text(&mut out, 0, "\x7fELF\x02\x01\x01");
    out[16..20].copy_from_slice(&[3, 0, 183, 0]);
    words(&mut out, 32, &[64]);
    out[52..58].copy_from_slice(&[64, 0, 56, 0, 3, 0]);
    words(&mut out, 64, &[1 | 5 << 32, 0, 0, 0, 0x1_8000, 0x1_8000, PAGE]);
    words(&mut out, 120, &[1 | 6 << 32, 0x1_8000, 0x4_8000, 0, 0x8000, 0x1_0000, PAGE]);
    words(&mut out, 176, &[2 | 6 << 32, 0x1_8100, 0x4_8100, 0, 0x80, 0x80, 8]);
    let at = |vaddr: u64| bias.wrapping_add(vaddr);
    let dynamic =
        [14, 7, 5, at(0x800), 6, at(0x400), 10, 0x300, 12, at(0x1000), 13, at(0x1000 + code)];
    words(&mut out, 0x1_8100, &dynamic);
    words(
        &mut out,
        0x1_8100 + dynamic.len() as u64 * 8,
        &[21, if bias == 0 { 0 } else { 77 }, 0, 0],
    );
    out
}

fn the_file() -> Vec<u8> {
    library(b'T', 0x9000, 0)
}

/// What a test changes.
struct Process {
    auxv: Vec<u64>,
    /// ld.so's data, its start at [`LD_SO`] + 0x3_0000.
    ld_so: Vec<u8>,
    list: Vec<u8>,
    /// Of libjvm's code the core has so many bytes.
    code: usize,
    path: String,
}

impl Process {
    /// As qemu's user mode leaves it: no page of any code.
    fn new(path: &str) -> Process {
        let mut ld_so = vec![0; PAGE as usize];
        words(&mut ld_so, 0x118, &[1, LIST, LD_SO + 0x1234, 0, LD_SO]);
        // What only looks like it: no list, another version, a break-point elsewhere.
        words(&mut ld_so, 0x20, &[1, 0x1000, LD_SO + 0x1234, 0, LD_SO]);
        words(&mut ld_so, 0x60, &[9, LIST, LD_SO + 0x1234, 0, LD_SO]);
        words(&mut ld_so, 0xa0, &[1, LIST, 0x1234, 0, LD_SO]);
        let mut list = vec![0; PAGE as usize];
        // The program, the vDSO, ld.so, libjvm.so: l_addr, l_name, l_ld, l_next, l_prev.
        let at = |i: u64| LIST + i * 0x100;
        words(&mut list, 0, &[PROGRAM, NAMES, PROGRAM + 0x100, at(1), 0]);
        words(&mut list, 0x100, &[0xffff_a000_0000, NAMES + 8, 0xffff_a000_0100, at(2), at(0)]);
        words(&mut list, 0x200, &[LD_SO, NAMES + 0x40, LD_SO + 0x3_0008, at(3), at(1)]);
        words(&mut list, 0x300, &[JVM, NAMES + 0x80, DYNAMIC, 0, at(2)]);
        text(&mut list, 0x8008, "linux-vdso.so.1");
        text(&mut list, 0x8040, "/lib/ld-linux-aarch64.so.1");
        text(&mut list, 0x8080, path);
        let auxv = vec![3, PROGRAM + 64, 4, 56, 5, 9, 6, PAGE, 7, LD_SO, 31, STACK + 0x500, 0, 0];
        Process { auxv, ld_so, list, code: 0, path: path.into() }
    }

    fn build(&self) -> Vec<u8> {
        let mut core = Core { machine: 183, align: PAGE, ..Core::default() };
        let auxv: Vec<u8> = self.auxv.iter().flat_map(|v| v.to_le_bytes()).collect();
        core.thread(7, 6, STACK + 0x4000).note("CORE", 6, &auxv);
        let mut stack = noise(PAGE as usize);
        text(&mut stack, 0x500, "/opt/jdk/bin/java\0");
        let there = library(b'P', 0x9000, JVM);
        core.full(HEAP, &noise(2 * PAGE as usize));
        core.load(PROGRAM, PAGE, RX, &[]).full(LIST, &self.list);
        core.load(JVM, 2 * PAGE, RX, &there[..self.code]);
        core.load(JVM + 2 * PAGE, 2 * PAGE, 0, &[]);
        core.full(DATA, &[&[0; 0x8000], &there[0x1_8000..]].concat());
        core.load(LD_SO, 3 * PAGE, RX, &[]).full(LD_SO + 3 * PAGE, &self.ld_so);
        core.full(STACK, &stack);
        core.build()
    }

    fn open(&self) -> CoreFile {
        open_bytes(&self.build()).unwrap()
    }

    /// The error without any file.
    fn refused(&self) -> String {
        let error = self.open().lay_backing_files(&Sysroot::default()).unwrap_err();
        assert!(matches!(error, Error::NoJvm { .. }), "{error}");
        format!("{error}; {:?}", error.advice())
    }
}

/// What ld.so maps of [`library`] on this machine: the file's second page is mapped twice.
fn mapped(path: &str) -> [FileMapping; 2] {
    let map = |start, end, file_offset| FileMapping { start, end, file_offset, path: path.into() };
    [map(JVM, JVM + 2 * PAGE, 0), map(DATA, DATA + PAGE, 0x1_0000)]
}

fn of_jvm(core: &CoreFile) -> Vec<FileMapping> {
    core.mappings().iter().filter(|m| m.file_name() == "libjvm.so").cloned().collect()
}

#[test]
fn files_tell_where_they_are_mapped() {
    let dir = dir();
    let recorded = dir.path().join("real/libjvm.so");
    let process = Process::new(recorded.to_str().unwrap());
    let elsewhere = put(dir.path().join("jvm.so"), &the_file());
    let root = put(dir.path().join("root/libjvm.so"), &the_file());
    let with_jvm = sysroot(Some(&elsewhere), &[]);
    let with_root = sysroot(None, &[root.parent().unwrap()]);
    for (sysroot, used) in [(&with_jvm, &elsewhere), (&with_root, &root)] {
        let mut core = process.open();
        assert_eq!((core.page_size(), core.cpu().facts().machine), (PAGE, 183));
        assert_eq!(core.libjvm_base(), Some(JVM));
        assert_eq!(core.libjvm_build_id(), None);
        let names: Vec<&str> = core.mappings().iter().map(|m| m.path.as_str()).collect();
        assert_eq!(names, ["/opt/jdk/bin/java", &process.path, "/lib/ld-linux-aarch64.so.1"]);
        assert_eq!(core.lay_backing_files(sysroot).unwrap(), []);
        assert_eq!(of_jvm(&core), mapped(&process.path));
        assert_eq!(core.libjvm_file(), Some(used.as_path()));
        let b = &core.backing()[0];
        assert_eq!((b.start, b.bytes, b.proven), (JVM, 2 * PAGE, true));
        assert_eq!(bytes(core.memory(), JVM + 0x1000, 16), [b'T'; 16]);
        assert_eq!(core.memory().u8(DATA + 0x9000), Ok(b'P'), "the process's own page wins");
    }
}

#[test]
fn headers_in_the_core_tell_it_too() {
    let mut process = Process::new("/opt/jdk/lib/server/libjvm.so");
    process.code = PAGE as usize;
    let core = process.open();
    assert_eq!(of_jvm(&core), mapped(&process.path));
}

#[test]
fn the_programs_own_pointer_to_the_list() {
    let mut process = Process::new("/opt/jdk/lib/server/libjvm.so");
    // No AT_BASE, but the program's headers: PT_PHDR, PT_DYNAMIC, and DT_DEBUG in that.
    process.auxv = vec![3, LIST + 0x4040, 4, 56, 5, 2, 6, PAGE, 0, 0];
    words(&mut process.list, 0x4040, &[6 | 4 << 32, 64, 64, 64, 112, 112, 8]);
    words(&mut process.list, 0x4078, &[2 | 6 << 32, 0x200, 0x200, 0x200, 64, 64, 8]);
    words(&mut process.list, 0x4200, &[1, 1, 21, DEBUG, 0, 0]);
    assert_eq!(process.open().libjvm_base(), Some(JVM));
    // Not to be moved: no PT_PHDR, addresses as they are.
    words(&mut process.list, 0x4040, &[1 | 4 << 32, 64, 64, 64, 112, 112, 8]);
    words(&mut process.list, 0x4078, &[2 | 6 << 32, 0x200, LIST + 0x4200, 0, 64, 64, 8]);
    assert_eq!(process.open().libjvm_base(), Some(JVM));
    // A dynamic section without an end.
    for at in (0x4200..0x8000).step_by(16) {
        words(&mut process.list, at, &[1, 1]);
    }
    assert_eq!(process.open().libjvm_base(), None);
    assert!(process.refused().contains("GiveLibjvm"));
}

#[test]
fn another_build_is_refused() {
    let dir = dir();
    let process = Process::new("/nowhere/libjvm.so");
    let other = put(dir.path().join("root/libjvm.so"), &library(b'W', 0x9008, 0));
    let error = process.open().lay_backing_files(&sysroot(Some(&other), &[])).unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, Error::NoJvm { .. }), "{said}");
    assert!(said.contains("another build") && said.contains("root/libjvm.so"), "{said}");

    let mut core = process.open();
    let missing = core.lay_backing_files(&sysroot(None, &[other.parent().unwrap()])).unwrap();
    assert_eq!(missing.len(), 1);
    assert!(missing[0].why.text.contains("another build"), "{}", missing[0].why.text);
    assert_eq!(core.libjvm_file(), None);
    assert!(core.memory().u8(JVM + 0x1000).is_err());
    // A file without a dynamic section is none.
    let mut none = the_file();
    none[176] = 4;
    let none = put(dir.path().join("none.so"), &none);
    assert!(process.open().lay_backing_files(&sysroot(Some(&none), &[])).is_err());
}

#[test]
fn a_list_that_cannot_be_walked() {
    let whole = || Process::new("/opt/jdk/lib/server/libjvm.so");
    let no_auxv = || Process { auxv: vec![0, 0], ..whole() };
    let mut no_debug = whole();
    no_debug.ld_so.fill(0);
    let mut missing = whole();
    words(&mut missing.list, 0x218, &[0x1234_5678]);
    let mut circle = whole();
    words(&mut circle.list, 0x218, &[LIST + 0x100]);
    let mut endless = whole();
    for i in 0..2000 {
        words(&mut endless.list, 0x318 + i * 8, &[LIST + 0x308 + i * 8]);
    }
    for (process, why) in [
        (no_auxv(), "NT_AUXV"),
        (no_debug, "is not in it"),
        (missing, "breaks off after 4 entries"),
        (circle, "runs in a circle"),
    ] {
        let said = process.refused();
        assert!(
            said.contains(why) && said.contains("NT_FILE") && said.contains("GiveLibjvm"),
            "{said}"
        );
        given_libjvm_is_found_by_its_image(&process);
    }
    // libjvm was met before.
    assert_eq!(endless.open().libjvm_base(), Some(JVM));
}

fn given_libjvm_is_found_by_its_image(process: &Process) {
    let dir = dir();
    let any_name = put(dir.path().join("any-name"), &the_file());
    let mut core = process.open();
    assert_eq!(core.lay_backing_files(&sysroot(Some(&any_name), &[])).unwrap(), []);
    assert_eq!(core.libjvm_base(), Some(JVM));
    if core.page_size() == PAGE {
        assert_eq!(of_jvm(&core), mapped("libjvm.so"));
    }
    assert_eq!(core.memory().u8(JVM + 0x1000), Ok(b'T'));
    assert_eq!(core.backing().iter().map(|b| b.proven).collect::<Vec<_>>(), [true]);

    let other = put(dir.path().join("other"), &library(b'W', 0x9008, 0));
    let error = process.open().lay_backing_files(&sysroot(Some(&other), &[])).unwrap_err();
    let said = format!("{error}; {:?}", error.advice());
    assert!(said.contains("nor is") && said.contains("GiveLibjvm"), "{said}");
}

#[test]
fn names_that_cannot_be_read() {
    let path = "/opt/jdk/lib/server/libjvm.so";
    // Nowhere, at the end of memory, and without an end.
    for name in [0x1234, u64::MAX, LIST + PAGE - 4] {
        let mut process = Process::new(path);
        words(&mut process.list, 0x208, &[name]);
        process.list[0xfffc..].fill(b'x');
        let core = process.open();
        assert_eq!(core.libjvm_base(), Some(JVM), "{name:#x}");
        assert_eq!(core.mappings().len(), 2);
    }
    let mut process = Process::new(path);
    process.list[0x8080..].fill(b'/');
    assert_eq!(process.open().libjvm_base(), None);
}

#[test]
fn absurd_addresses() {
    for bias in [0, 1, u64::MAX, u64::MAX - PAGE, 1 << 63, HEAP + 3] {
        let mut process = Process::new("/opt/jdk/lib/server/libjvm.so");
        words(&mut process.list, 0x300, &[bias, NAMES + 0x80, bias]);
        let mut core = process.open();
        assert!(core.mappings().iter().all(|m| m.start < m.end));
        _ = core.lay_backing_files(&Sysroot::default());
        assert!(core.backing().is_empty());
    }
    for page in [0, 1, 4095, 12288, 1 << 20, u64::MAX] {
        let mut process = Process::new("/opt/jdk/lib/server/libjvm.so");
        process.auxv[7] = page;
        assert_eq!(process.open().page_size(), 4096);
    }
}

/// As `trim` does: pages of the process's size, and a list of the files that were found.
#[test]
fn a_written_core_has_the_list() {
    let dir = dir();
    let process = Process::new("/opt/jdk/lib/server/libjvm.so");
    let file = put(dir.path().join("libjvm.so"), &the_file());
    let mut core = process.open();
    assert_eq!(core.lay_backing_files(&sysroot(Some(&file), &[])).unwrap(), []);
    core.memory_mut().record_touched();
    for at in [JVM, JVM + 0x1_1000, DYNAMIC, HEAP + PAGE + 8] {
        core.memory().u64(at).unwrap();
    }
    let mut out = Vec::new();
    write_core(&mut out, &core, &core.memory().touched_ranges()).unwrap();
    let mut small = open_bytes(&out).unwrap();
    assert_eq!(small.mappings(), core.mappings());
    assert_eq!((small.page_size(), small.cpu().facts().machine), (PAGE, 183));
    assert_eq!(small.threads()[0].regs.len(), 34 * 8);
    let segments: Vec<_> = small.segments().iter().map(|s| (s.start, s.filesz, s.flags)).collect();
    let expected = [(HEAP + PAGE, PAGE, RW), (JVM, 2 * PAGE, RX), (DATA, PAGE, RW)];
    assert_eq!(segments, expected);
    for s in small.segments() {
        assert_eq!((s.offset % PAGE, s.memsz), (0, s.filesz));
    }
    let align = alignments(&out);
    assert!(!align.is_empty() && align.iter().all(|&a| a == PAGE), "{align:x?}");
    let sealed = Sysroot { alone: true, ..Sysroot::default() };
    assert_eq!(small.lay_backing_files(&sealed).unwrap(), []);
    for (at, len) in [(JVM, 2 * PAGE), (DATA, PAGE), (HEAP + PAGE, PAGE)] {
        let read = |c: &CoreFile| bytes(c.memory(), at, len as usize);
        assert!(read(&small) == read(&core), "{at:#x}");
    }
    // A second time there is a list already.
    let mut again = Vec::new();
    write_core(&mut again, &small, &[(0, u64::MAX)]).unwrap();
    assert_eq!(open_bytes(&again).unwrap().mappings(), core.mappings());
}

/// `p_align` of each PT_LOAD.
fn alignments(core: &[u8]) -> Vec<u64> {
    let word = |at: usize| u64::from_le_bytes(core[at..at + 8].try_into().unwrap());
    let count = u16::from_le_bytes([core[56], core[57]]).into();
    let headers = (0..count).map(|i: usize| word(32) as usize + i * 56);
    headers.filter(|&h| core[h..h + 4] == [1, 0, 0, 0]).map(|h| word(h + 48)).collect()
}

#[test]
fn a_list_of_the_kernels_is_taken_alone() {
    let process = Process::new("/opt/jdk/lib/server/libjvm.so");
    let mut core = Core { machine: 183, align: PAGE, ..Core::default() };
    let auxv: Vec<u8> = process.auxv.iter().flat_map(|v| v.to_le_bytes()).collect();
    core.note("CORE", 6, &auxv).files(PAGE, &[(HEAP, HEAP + PAGE, 0, "/tmp/file")]);
    core.full(HEAP, &noise(PAGE as usize)).full(LIST, &process.list);
    core.load(LD_SO + 2 * PAGE, PAGE, R, &[]).full(LD_SO + 3 * PAGE, &process.ld_so);
    let core = open_bytes(&core.build()).unwrap();
    let names: Vec<&Path> = core.mappings().iter().map(|m| Path::new(&m.path)).collect();
    assert_eq!(names, [Path::new("/tmp/file")]);
    assert_eq!(core.libjvm(), None);
}

/// The words that lead to the list, each changed in turn: it ends, whatever they say.
#[test]
fn every_pointer_may_lie() {
    let dir = dir();
    let file = put(dir.path().join("libjvm.so"), &the_file());
    let wrong = [0, 1, LIST, LIST + 0x100, NAMES, DEBUG, u64::MAX - 7, 1 << 63, HEAP];
    for (at, value) in (0..20).flat_map(|i| wrong.map(|v| (i, v))) {
        let mut process = Process::new("/opt/jdk/lib/server/libjvm.so");
        process.code = PAGE as usize;
        words(&mut process.list, at / 5 * 0x100 + at % 5 * 8, &[value]);
        _ = process.open().lay_backing_files(&sysroot(Some(&file), &[]));
        words(&mut process.ld_so, 0x118 + at % 5 * 8, &[value]);
        process.auxv[at as usize / 2] = value;
        let mut core = process.open();
        assert!(core.mappings().len() < 8);
        _ = core.lay_backing_files(&sysroot(Some(&file), &[]));
    }
}
