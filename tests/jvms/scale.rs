//! A heap of 256 GB with more than 2^31 objects, made from a small real core: most regions share the same bytes of the
//! file, so that it takes no room.
//!
//! The core is of JDK 17 with G1, whose region table is for 256 GB. Its entries, all but those of the regions in use, are
//! made to point to descriptors of regions that are full: of java.lang.Object, or of one int[] each. HotSpot's own dump
//! tells where an Object and an int[] are, whose headers are copied.

use crate::support::child::Command;
use crate::support::hprof::Dump;
use crate::support::{Jvm, PATIENTLY, Scratch, rjcore, text, tool};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

const REGION: u64 = 32 << 20;
const HEAP: u64 = 256 << 30;
/// Regions full of Objects of 16 bytes: more than 2^31 of them.
const DENSE: u64 = 1100;
const OBJECT: u64 = 16;
/// An int[]'s header, without compressed oops.
const INTS_HEADER: u64 = 16;
/// Where the descriptors go: nothing of the process is there.
const DESCRIPTORS: u64 = 0x2000_0000_0000;

/// Anonymous memory that rjcore may take, threads' stacks included. Its own heap grows with the regions, not with
/// the bytes.
const MEMORY: u64 = 200 << 20;

fn word(bytes: &[u8], at: u64) -> u64 {
    let at = at as usize;
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// A program header of PT_LOAD.
#[derive(Clone, Copy)]
struct Load {
    vaddr: u64,
    offset: u64,
    filesz: u64,
    memsz: u64,
}

/// A core file that is changed in place.
struct Core {
    file: fs::File,
    notes: Vec<u8>,
    loads: Vec<Load>,
    len: u64,
}

impl Core {
    fn open(path: &Path) -> Core {
        let file = fs::File::options().read(true).write(true).open(path).expect("the core");
        let mut head = [0; 64];
        file.read_exact_at(&mut head, 0).expect("an ELF header");
        let count = u16::from_le_bytes([head[56], head[57]]) as usize;
        let mut table = vec![0; count * 56];
        file.read_exact_at(&mut table, word(&head, 32)).expect("program headers");
        let (mut notes, mut loads) = (Vec::new(), Vec::new());
        for h in table.chunks(56) {
            match h[0] {
                1 => loads.push(Load {
                    vaddr: word(h, 16),
                    offset: word(h, 8),
                    filesz: word(h, 32),
                    memsz: word(h, 40),
                }),
                4 => notes.extend(h),
                _ => {}
            }
        }
        let len = file.metadata().expect("the core").len().next_multiple_of(4096);
        Core { file, notes, loads, len }
    }

    fn place(&self, addr: u64) -> u64 {
        let inside = |l: &&Load| l.vaddr <= addr && addr < l.vaddr + l.filesz;
        let load = self.loads.iter().find(inside).unwrap_or_else(|| panic!("no {addr:#x}"));
        load.offset + (addr - load.vaddr)
    }

    fn read(&self, addr: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.file.read_exact_at(&mut out, self.place(addr)).expect("memory");
        out
    }

    fn word(&self, addr: u64) -> u64 {
        word(&self.read(addr, 8), 0)
    }

    /// Appends bytes; answers where they are in the file.
    fn append(&mut self, bytes: &[u8]) -> u64 {
        let at = self.len;
        self.file.write_all_at(bytes, at).expect("room");
        self.len = (at + bytes.len() as u64).next_multiple_of(4096);
        at
    }

    /// Takes `start..end` out of the segments: something else is said to be there.
    fn forget(&mut self, start: u64, end: u64) {
        let mut out = Vec::new();
        for l in &self.loads {
            let (from, to) = (l.vaddr, l.vaddr + l.memsz);
            if from < start.min(to) {
                let memsz = start.min(to) - from;
                out.push(Load { memsz, filesz: l.filesz.min(memsz), ..*l });
            }
            if end.max(from) < to {
                let skip = end.max(from) - from;
                out.push(Load {
                    vaddr: from + skip,
                    offset: l.offset + skip,
                    filesz: l.filesz.saturating_sub(skip),
                    memsz: to - from - skip,
                });
            }
        }
        self.loads = out;
    }

    /// Writes the program headers anew.
    fn finish(mut self) {
        self.loads.sort_by_key(|l| l.vaddr);
        let mut table = std::mem::take(&mut self.notes);
        for l in &self.loads {
            table.extend([1u32, 6].iter().flat_map(|v| v.to_le_bytes()));
            let words = [l.offset, l.vaddr, 0, l.filesz, l.memsz, 1];
            table.extend(words.iter().flat_map(|v| v.to_le_bytes()));
        }
        let count = u16::try_from(table.len() / 56).expect("fewer than 2^16 segments");
        let at = self.append(&table);
        self.file.write_all_at(&at.to_le_bytes(), 32).expect("e_phoff");
        self.file.write_all_at(&count.to_le_bytes(), 56).expect("e_phnum");
        // No section headers: the core had them only to tell of more segments than e_phnum holds.
        self.file.write_all_at(&[0; 8], 40).expect("e_shoff");
        self.file.write_all_at(&[0; 4], 60).expect("e_shnum");
    }
}

/// What `info --tables` says: fields' offsets, statics' addresses, constants.
fn tables(core: &Path) -> BTreeMap<String, u64> {
    let said = text(rjcore().arg("info").arg(core).arg("--tables"));
    let line = |l: &str| {
        let mut words = l.split(' ');
        let (kind, name, value) = (words.next()?, words.next()?, words.next()?);
        let value = match (kind, value.strip_prefix("0x")) {
            ("static", Some(hex)) => u64::from_str_radix(hex, 16).ok()?,
            ("field", _) => value.parse().ok()?,
            ("size" | "constant", _) => value.parse().ok()?,
            _ => return None,
        };
        Some((name.to_owned(), value))
    };
    said.lines().filter_map(line).collect()
}

/// rjcore within so much anonymous memory.
fn bounded(args: &[&str], core: &Path) -> Command {
    let mut cmd = Command::new(tool("prlimit"));
    cmd.arg(format!("--data={MEMORY}")).arg(rjcore().get_program()).args(args).arg(core);
    cmd
}

fn histogram(core: &Path) -> BTreeMap<String, (u64, u64)> {
    let said = text(&mut bounded(&["histo", "--json"], core));
    let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let number = |v: &serde_json::Value| v.as_u64().expect("a number");
    let mut out = BTreeMap::new();
    for c in json["classes"].as_array().expect("classes") {
        let name = c["name"].as_str().expect("a name").to_owned();
        out.insert(name, (number(&c["instances"]), number(&c["bytes"])));
    }
    let total = &json["total"];
    out.insert("total".into(), (number(&total["instances"]), number(&total["bytes"])));
    out
}

#[test]
fn a_heap_of_256_gb_with_more_than_2_31_objects() {
    let dir = Scratch::new("scale");
    let flags = ["-XX:+UseG1GC", "-XX:G1HeapRegionSize=32m", "-Xms64m", "-Xmx256g"];
    let small = ["-XX:CompressedClassSpaceSize=16m", "-XX:ReservedCodeCacheSize=32m"];
    let jvm = Jvm::start(17, &[&flags[..], &small].concat(), "Sample", &dir);
    let (dump, core) = (dir.path("hotspot.hprof"), dir.path("core"));
    jvm.heap_dump(&dump);
    text(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    let before = histogram(&core);
    let dump = Dump::open(&dump);
    let t = tables(&core);
    let mut big = Core::open(&core);

    let header = |class: &str| {
        let mut all = dump.objects.iter();
        let (id, _) = all.find(|(_, o)| dump.class_name(o) == class).expect(class);
        let mut header = big.read(*id, 16);
        header[..8].copy_from_slice(&1u64.to_le_bytes()); // unlocked, no hash
        header
    };
    let (object, mut ints) = (header("java/lang/Object"), header("int[]"));
    let length = (REGION - INTS_HEADER) / 4;
    ints[12..16].copy_from_slice(&(length as u32).to_le_bytes());
    let dense = big.append(&object.repeat((REGION / OBJECT) as usize));
    let sparse = big.append(&ints);
    big.len = sparse + REGION; // a hole: the elements are 0

    let heap = big.word(t["Universe::_collectedHeap"]);
    let table = heap + t["G1CollectedHeap::_hrm"] + t["HeapRegionManager::_regions"];
    let base = big.word(table + t["G1HeapRegionTable::_base"]);
    let regions = big.word(table + t["G1HeapRegionTable::_length"]);
    assert_eq!(regions, HEAP / REGION);
    let entries: Vec<u64> = (0..regions).map(|i| big.word(base + i * 8)).collect();
    let used = entries.iter().filter(|e| **e != 0).count() as u64;
    assert!(entries[used as usize..].iter().all(|e| *e == 0), "the first regions are in use");

    // A region in use lends its descriptor; every address in it moves along.
    let of = |entry: u64| {
        let at = |name: &str| big.word(entry + t[&format!("HeapRegion::{name}")]);
        (at("_bottom"), at("_top"), at("_end"))
    };
    let old = entries.iter().copied().find(|e| *e != 0 && of(*e).1 > of(*e).0).expect("a region");
    let (bottom, _, end) = of(old);
    let size = t["HeapRegion"];
    let model = big.read(old, size as usize);
    let start = of(entries[0]).0;
    let mut descriptors = Vec::new();
    for i in used..regions {
        let own = start + i * REGION;
        let mut bytes = model.clone();
        for at in (0..size & !7).step_by(8) {
            let value = word(&bytes, at);
            if (bottom..=end).contains(&value) {
                let moved = (value - bottom + own).to_le_bytes();
                bytes[at as usize..][..8].copy_from_slice(&moved);
            }
        }
        for field in ["_top", "_end"] {
            let at = t[&format!("HeapRegion::{field}")] as usize;
            bytes[at..at + 8].copy_from_slice(&(own + REGION).to_le_bytes());
        }
        let tag = if i - used < DENSE { "OldMask" } else { "StartsHumongousTag" };
        let at = (t["HeapRegion::_type"] + t["HeapRegionType::_tag"]) as usize;
        let tag = t[&format!("HeapRegionType::{tag}")] as u32;
        bytes[at..at + 4].copy_from_slice(&tag.to_le_bytes());
        let entry = DESCRIPTORS + descriptors.len() as u64;
        big.file.write_all_at(&entry.to_le_bytes(), big.place(base + i * 8)).expect("the table");
        descriptors.extend(bytes);
    }
    let offset = big.append(&descriptors);
    big.forget(start + used * REGION, start + regions * REGION);
    let len = descriptors.len() as u64;
    big.loads.push(Load { vaddr: DESCRIPTORS, offset, filesz: len, memsz: len });
    for i in used..regions {
        let vaddr = start + i * REGION;
        let offset = if i - used < DENSE { dense } else { sparse };
        big.loads.push(Load { vaddr, offset, filesz: REGION, memsz: REGION });
    }
    big.finish();

    let after = histogram(&core);
    let more = |name: &str| {
        let (a, b) = (after[name], before.get(name).copied().unwrap_or_default());
        (a.0 - b.0, a.1 - b.1)
    };
    let objects = DENSE * (REGION / OBJECT);
    let arrays = regions - used - DENSE;
    assert!(objects > 1 << 31);
    assert_eq!(more("java.lang.Object"), (objects, DENSE * REGION));
    assert_eq!(more("[I"), (arrays, arrays * REGION));
    assert_eq!(more("total"), (objects + arrays, (regions - used) * REGION));
}
