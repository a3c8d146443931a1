//! /proc/PID/maps: what a process has mapped, and which of it a core must hold.
//!
//! Knows the kernel's names for special mappings, and of HotSpot only the names of the files
//! that a reader needs; knows nothing of which pages are there.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::format::files::{Parts, is_counters, is_vm_file};

/// Page size of the machines that capture runs on.
pub(crate) const PAGE: u64 = 4096;

/// One line of /proc/PID/maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// `p_flags` of its segment: 4 read, 2 write, 1 execute.
    pub flags: u32,
    /// Writes reach the file or the other processes.
    pub shared: bool,
    /// Where in the file `start` lies, in bytes.
    pub offset: u64,
    /// Device and inode of the file; 0 without one.
    pub file: (u64, u64),
    /// The path or the kernel's name for it, unescaped; empty for plain anonymous memory.
    pub name: Vec<u8>,
    /// The process can write to the file through this or another mapping.
    pub written_file: bool,
    /// The process runs code of the file, through this or another mapping.
    pub code_file: bool,
    /// It has parts of the file as memory of its own that it may write to, and not the file's start: so the VM maps a CDS
    /// archive, whatever its name.
    pub archive_file: bool,
}

/// What a mapping is to a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Private memory: its pages are the process's own, absent ones are zero.
    Anonymous,
    /// Private mapping of a file: changed pages are the process's own.
    PrivateFile,
    /// Shared mapping of a file that lies on a disk, or of one without a name that the process
    /// cannot write to: an index that was deleted while it was read.
    SharedFile,
    /// Shared memory without a name that lasts (memfd, SysV, unlinked files that are written to):
    /// a heap of ZGC's.
    SharedMemory,
    /// The vDSO: code that the kernel lends.
    Vdso,
    /// The kernel's own data, and devices: not to be read.
    Foreign,
}

impl Mapping {
    /// A stretch of plain memory.
    pub(crate) fn plain(start: u64, end: u64) -> Mapping {
        let (flags, shared, offset, file, name) = (6, false, 0, (0, 0), Vec::new());
        let (written_file, code_file, archive_file) = (false, false, false);
        Mapping {
            start,
            end,
            flags,
            shared,
            offset,
            file,
            name,
            written_file,
            code_file,
            archive_file,
        }
    }

    /// Bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// The name without ` (deleted)`.
    pub(crate) fn clean(&self) -> &[u8] {
        self.name.strip_suffix(b" (deleted)").unwrap_or(&self.name)
    }

    /// Whether the file has no name any more.
    fn is_deleted(&self) -> bool {
        self.name.ends_with(b" (deleted)")
    }

    /// Whether NT_FILE lists it: the kernel lists what has a file behind it.
    pub(crate) fn has_file(&self) -> bool {
        self.file.1 != 0
    }

    /// What it is to a core.
    pub(crate) fn kind(&self) -> Kind {
        let name = self.clean();
        // The file systems that are usually mounted below /dev.
        let on_disk = name.starts_with(b"/dev/shm/") || name.starts_with(b"/dev/hugepages");
        let device = name.starts_with(b"/dev/") && !on_disk;
        // What never had a name is the process's own, whoever may write to it now.
        let nameless = [&b"/memfd:"[..], b"/SYSV", b"/dev/zero", b"/anon_hugepage"];
        let nameless = nameless.iter().any(|n| name.starts_with(n));
        if name == b"[vdso]" {
            Kind::Vdso
        } else if name.starts_with(b"[v") || (device && name != b"/dev/zero") {
            // [vvar], [vvar_vclock], [vsyscall]; a graphics card.
            Kind::Foreign
        } else if !self.has_file() || (!self.shared && name == b"/anon_hugepage") {
            Kind::Anonymous
        } else if !self.shared {
            Kind::PrivateFile
        } else if self.is_deleted() && (nameless || self.written_file) {
            Kind::SharedMemory
        } else {
            Kind::SharedFile
        }
    }

    /// Whether a reader on another machine needs the file's pages.
    pub(crate) fn is_needed(&self) -> bool {
        // A library that was replaced: its code is nowhere else. Data files are not asked for.
        let gone = self.kind() == Kind::PrivateFile && self.is_deleted() && self.code_file;
        let path = String::from_utf8_lossy(self.clean());
        let is_archive = self.kind() == Kind::PrivateFile && self.archive_file;
        gone || is_archive || is_vm_file(&path) || is_counters(&path)
    }
}

/// Whether it is of a file that is called as the JVM's own library.
pub(crate) fn is_libjvm(m: &Mapping) -> bool {
    m.clean().ends_with(b"/libjvm.so")
}

/// The first mapping of each libjvm.so that is loaded as a library, which makes a process a JVM:
/// with code that may run, unlike in a program that only reads the file, as rjcore itself does.
pub(crate) fn libjvms(maps: &[Mapping]) -> impl Iterator<Item = &Mapping> {
    let runs = |file| maps.iter().any(|m| m.file == file && m.flags & 1 != 0);
    let is_first = |m: &&Mapping| m.offset == 0 && is_libjvm(m);
    maps.iter().filter(move |m| is_first(m) && runs(m.file))
}

/// Reads the maps of a process or of one of its threads.
pub(crate) fn read(pid: i32) -> io::Result<Vec<Mapping>> {
    let text = fs::read(format!("/proc/{pid}/maps"))?;
    let mut maps: Vec<Mapping> = text.split(|b| *b == b'\n').filter_map(parse).collect();
    relate(&mut maps);
    Ok(maps)
}

/// What is true of one mapping of a file is true of the file.
fn relate(maps: &mut [Mapping]) {
    #[derive(Default)]
    struct File {
        is_written: bool,
        has_code: bool,
        parts: Parts,
    }
    let mut files: HashMap<(u64, u64), File> = HashMap::new();
    for m in maps.iter().filter(|m| m.has_file()) {
        let file = files.entry(m.file).or_default();
        file.is_written |= m.written_file;
        file.has_code |= m.code_file;
        file.parts.add(m.offset, !m.shared && m.flags & 2 != 0);
    }
    for m in maps.iter_mut().filter(|m| m.has_file()) {
        if let Some(file) = files.get(&m.file) {
            (m.written_file, m.code_file) = (file.is_written, file.has_code);
            m.archive_file = file.parts.are_of_archive();
        }
    }
}

/// `start-end perms offset major:minor inode    name`
pub(crate) fn parse(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |b| *b == b' ');
    let mut field = || std::str::from_utf8(fields.next()?).ok();
    let hex = |s: &str| u64::from_str_radix(s, 16).ok();
    let (start, end) = field()?.split_once('-')?;
    let perms = field()?.as_bytes();
    let offset = hex(field()?)?;
    let (major, minor) = field()?.split_once(':')?;
    let device = hex(major)? << 32 | hex(minor)?;
    let inode = field()?.parse().ok()?;
    let name = unescape(fields.next().unwrap_or(b"").trim_ascii_start());
    let flag = |i: usize, letter: u8, bit| if perms.get(i) == Some(&letter) { bit } else { 0 };
    let flags = flag(0, b'r', 4) | flag(1, b'w', 2) | flag(2, b'x', 1);
    let shared = perms.get(3) == Some(&b's');
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        flags,
        shared,
        written_file: shared && flags & 2 != 0,
        code_file: flags & 1 != 0,
        archive_file: false,
        offset,
        file: (device, inode),
        name,
    })
    .filter(|m| m.start < m.end && m.offset.checked_add(m.end - m.start).is_some())
}

/// The kernel writes a line feed in a path as `\012` (seq_path).
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        match tail {
            [b'0', b'1', b'2', after @ ..] if byte == b'\\' => {
                out.push(b'\n');
                rest = after;
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    out
}

/// Where the file's last page ends, for mappings that reach beyond it; `None` if unknown.
pub(crate) fn file_end(pid: i32, m: &Mapping) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    // The link is for root only; the path through the process's root must lead to the same file.
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", m.start, m.end);
    let inner = std::ffi::OsStr::from_bytes(m.name.strip_prefix(b"/")?);
    let through_root = Path::new(&format!("/proc/{pid}/root")).join(inner);
    let meta = fs::metadata(link).or_else(|_| fs::metadata(through_root)).ok()?;
    (meta.ino() == m.file.1).then(|| meta.len().next_multiple_of(PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Mapping {
        parse(line.as_bytes()).expect("a mapping")
    }

    #[test]
    fn lines_of_every_kind() {
        for (line, kind) in [
            ("7f00-8f00 rw-p 00000000 00:00 0 ", Kind::Anonymous),
            ("7f00-8f00 rw-p 00000000 00:00 0                          [heap]", Kind::Anonymous),
            ("7f00-8f00 rw-p 00000000 00:0f 12 /anon_hugepage (deleted)", Kind::Anonymous),
            ("7f00-8f00 r--p 00000000 fe:00 812 /usr/lib/libc.so.6", Kind::PrivateFile),
            ("7f00-8f00 r--s 00000000 fe:00 812 /usr/lib/jvm/lib/modules", Kind::SharedFile),
            ("7f00-8f00 rw-s 00000000 00:01 9 /memfd:java_heap (deleted)", Kind::SharedMemory),
            ("7f00-8f00 rw-s 00000000 00:01 9 /dev/zero (deleted)", Kind::SharedMemory),
            ("7f00-8f00 rw-s 00000000 00:05 9 /dev/nvidia0", Kind::Foreign),
            ("7f00-8f00 r--p 00000000 00:00 0 [vvar]", Kind::Foreign),
            ("7f00-8f00 r-xp 00000000 00:00 0 [vdso]", Kind::Vdso),
        ] {
            assert_eq!(one(line).kind(), kind, "{line}");
        }
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"8f00-7f00 rw-p 00000000 00:00 0 "), None);
        let m = one("7f00-8f00 r-xs 00002000 fe:01 77      /a b\\012c (deleted)");
        assert_eq!((m.flags, m.shared, m.offset, m.file), (5, true, 0x2000, (0xfe << 32 | 1, 77)));
        assert_eq!(m.name, b"/a b\nc (deleted)");
    }

    #[test]
    fn files_that_readers_need() {
        let needed = |path| one(&format!("7f00-8f00 r--s 00000000 fe:00 5 {path}")).is_needed();
        for path in ["/x/server/libjvm.so", "/x/classes_nocoops.jsa", "/tmp/hsperfdata_me/12"] {
            assert!(needed(path), "{path}");
        }
        for path in ["/x/libjvm.so.debug", "/x/modules", "/tmp/hsperfdata_me", "/a.jsa/b"] {
            assert!(!needed(path), "{path}");
        }
        assert!(one("7f00-8f00 r-xp 00000000 fe:00 5 /x/server/libjvm.so (deleted)").is_needed());
        assert!(one("7f00-8f00 r-xp 00000000 fe:00 5 /x/libc.so (deleted)").is_needed());
        assert!(!one("7f00-8f00 r-xp 00000000 fe:00 5 /x/libc.so").is_needed());
    }

    /// A file without a name that nobody can write to is not memory; one view that can be written
    /// to makes all views of it memory.
    #[test]
    fn deleted_files() {
        let kinds = |lines: &[&str]| {
            let mut maps: Vec<Mapping> = lines.iter().map(|l| one(l)).collect();
            relate(&mut maps);
            maps.iter().map(Mapping::kind).collect::<Vec<_>>()
        };
        let read = "7f00-8f00 r--s 00000000 fe:00 5 /index/_0.cfs (deleted)";
        let write = "8f00-9f00 rw-s 00000000 fe:00 5 /index/_0.cfs (deleted)";
        let other = "8f00-9f00 rw-s 00000000 fe:00 6 /heap (deleted)";
        assert_eq!(kinds(&[read, other]), [Kind::SharedFile, Kind::SharedMemory]);
        assert_eq!(kinds(&[read, write]), [Kind::SharedMemory; 2]);
        let memfd = "7f00-8f00 r--s 00000000 00:01 5 /memfd:java_heap (deleted)";
        assert_eq!(kinds(&[memfd]), [Kind::SharedMemory]);
        let pool = "7f00-8f00 rw-p 00000000 00:0f 5 /anon_hugepage (deleted)";
        assert_eq!(kinds(&[pool]), [Kind::Anonymous]);
        let mounted = "7f00-8f00 rw-s 00000000 00:20 5 /dev/hugepages/java (deleted)";
        assert_eq!(kinds(&[mounted]), [Kind::SharedMemory]);
        // A library that was replaced is needed, all of it; a data file is not.
        let needed = |lines: &[&str]| {
            let mut maps: Vec<Mapping> = lines.iter().map(|l| one(l)).collect();
            relate(&mut maps);
            maps.iter().map(Mapping::is_needed).collect::<Vec<_>>()
        };
        let head = "7f00-8f00 r--p 00000000 fe:00 5 /lib/libc.so.6 (deleted)";
        let code = "8f00-9f00 r-xp 00001000 fe:00 5 /lib/libc.so.6 (deleted)";
        let data = "9f00-af00 r--p 00000000 fe:00 7 /data/terms (deleted)";
        assert_eq!(needed(&[head, code, data]), [true, true, false]);
        let archive = "9f00-af00 r--p 00000000 fe:00 8 /jdk/classes.jsa (deleted)";
        let modules = "9f00-af00 r--s 00000000 fe:00 9 /jdk/lib/modules (deleted)";
        assert_eq!(needed(&[archive, modules]), [true, false]);
        // An archive by another name: parts that may be written to, and never its start.
        let written = "8000-9000 rw-p 00001000 fe:00 9 /srv/shop/own.dat";
        let read = "9000-a000 r--p 00002000 fe:00 9 /srv/shop/own.dat";
        assert_eq!(needed(&[written, read]), [true, true]);
        let start = "7000-8000 r--p 00000000 fe:00 9 /srv/shop/own.dat";
        assert_eq!(needed(&[start, written, read]), [false; 3]);
        assert_eq!(needed(&[read]), [false]);
        assert_eq!(kinds(&[modules]), [Kind::SharedFile]);
    }

    #[test]
    fn libraries_that_run() {
        let maps = [
            one("1000-2000 r--p 00000000 fe:00 5 /a/libjvm.so"),
            one("2000-3000 r-xp 00001000 fe:00 5 /a/libjvm.so"),
            one("4000-5000 r--p 00000000 fe:00 6 /b/libjvm.so"),
            one("6000-7000 r-xp 00000000 fe:00 7 /c/libjvm.so (deleted)"),
            one("8000-9000 r-xp 00000000 fe:00 8 /c/libc.so"),
        ];
        let starts: Vec<u64> = libjvms(&maps).map(|m| m.start).collect();
        assert_eq!(starts, [0x1000, 0x6000]);
    }

    #[test]
    fn our_own_maps() {
        let maps = read(std::process::id() as i32).expect("maps");
        let here = our_own_maps as *const () as u64;
        let m = maps.iter().find(|m| m.start <= here && here < m.end).expect("our text");
        assert_eq!((m.flags & 1, m.kind()), (1, Kind::PrivateFile));
        assert!(file_end(std::process::id() as i32, m).is_some_and(|e| e >= m.offset + m.bytes()));
        assert!(maps.iter().any(|m| m.kind() == Kind::Vdso));
    }
}
