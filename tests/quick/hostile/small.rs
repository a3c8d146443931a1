//! Small files that promise much: whatever numbers stand in a few kilobytes, they take no more than a few megabytes.

use std::fs;

use super::{Asked, OF_BOTH, OF_CORES, Victim, mutants};
use crate::hprof_input::sample;
use crate::support::child::Command;
use crate::support::{Scratch, run};
use crate::synth::{Core, R, RW, libjvm};

/// What a dump of 1.6 MB takes, threads and all, is below 6 MB.
const MEMORY: u64 = 12 << 20;

fn dump() -> Vec<u8> {
    sample("1.0.2", 8, true).bytes
}

fn core() -> Vec<u8> {
    let mut core = Core { align: 8, ..Core::default() };
    let base = 0x7f00_0000_0000;
    core.thread(1, 6, 0x7fff_0000_0010).files(
        1,
        &[(base, base + 0x3000, 0, "/opt/jdk/lib/server/libjvm.so"), (base, base + 1, 0, "/x")],
    );
    core.load(base, 0x4000, R, &libjvm(&[7; 20], 0)[..0x400]);
    core.load(0x7fff_0000_0000, 0x1000, RW, &[1; 64]);
    core.build()
}

fn mutants_of(name: &str, whole: Vec<u8>, count: u64, asked: &[Asked]) {
    let dir = Scratch::new(&format!("hostile-small-{name}"));
    let path = dir.path("small");
    fs::write(&path, &whole).expect("a file");
    let objects = vec!["0x10000048".into(), "0x7f0000000000".into()];
    let victim = Victim { path, whole, objects, memory: MEMORY, dir };
    victim.mutants(count, mutants::of_small, asked, |_, _, _| {});
}

#[test]
fn a_small_dump_takes_little_memory() {
    let dump = dump();
    assert!(dump.len() < 4096, "{} bytes", dump.len());
    mutants_of("dump", dump, 400, &OF_BOTH);
}

#[test]
fn a_small_core_takes_little_memory() {
    let core = core();
    assert!(core.len() < 4096, "{} bytes", core.len());
    mutants_of("core", core, 300, &[&OF_CORES[..], &OF_BOTH].concat());
}

/// A window that is larger than the memory that there may be is an error, not the end.
#[test]
fn a_small_archive_takes_little_memory() {
    let dir = Scratch::new("hostile-small");
    for (name, pack) in [
        ("zst", &["zstd", "-q", "--ultra", "--long=31", "-c"][..]),
        ("xz", &["xz", "-9", "-c"]),
        ("gz", &["gzip", "-c"]),
        ("bz2", &["bzip2", "-c"]),
        ("lz4", &["lz4", "-q", "-c"]),
        ("tar", &["tar", "-P", "-cf", "-"]),
        ("zip", &["zip", "-q", "-j", "-"]),
    ] {
        let plain = dir.path("small.core");
        fs::write(&plain, core()).expect("a file");
        let packed = run(Command::new(pack[0]).args(&pack[1..]).arg(&plain)).stdout;
        assert!(packed.len() < 16 << 10, "{name}: {} bytes", packed.len());
        mutants_of(name, packed, 40, &[&["info"], &["leaks"]]);
    }
}
