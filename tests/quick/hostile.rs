//! Real cores with bytes changed at random: rjcore may say that it cannot, or what it stepped over. It
//! never dies, never hangs, and never says "whole" of a heap whose headers are gone.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;

use crate::support::child::Command;
use crate::support::{Scratch, dep, rjcore, run};

/// A small generator with a fixed seed: a failure names its seed and comes back.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn unpacked(name: &str, dir: &Scratch) -> Vec<u8> {
    let core = dir.path(name);
    run(Command::new("zstd")
        .args(["-q", "-d", "-f"])
        .arg(dep(&format!("testdata/cores/{name}.core.zst")))
        .arg("-o")
        .arg(&core));
    fs::read(&core).expect("the unpacked core")
}

/// Runs a command on the core, bounded in time; returns its exit code.
fn code(command: &str, core: &Path, dir: &Scratch, what: &str) -> i32 {
    let mut cmd = rjcore();
    cmd.arg(command).arg(core).stdout(Stdio::null()).stdin(Stdio::null());
    let words = fs::File::create(dir.path("words")).expect("a file");
    if matches!(command, "info" | "check") {
        // Their report is where they say what is damaged.
        cmd.stdout(words.try_clone().expect("a second handle"));
    }
    cmd.stderr(words);
    if command == "stack" {
        cmd.args(["--mixed", "--locals"]);
    }
    if command == "dump" {
        cmd.args(["-o", "/dev/null", "--overwrite"]);
    }
    let mut child = cmd.spawn().expect("rjcore runs");
    let status = child.wait().expect("its status");
    let text = fs::read_to_string(dir.path("words")).unwrap_or_default();
    let code = status.code().unwrap_or_else(|| panic!("{what}: {command}: {status}: {text}"));
    assert!(matches!(code, 0 | 1 | 3), "{what}: {command} ended with {code}: {text}");
    assert!(code == 0 || !text.is_empty(), "{what}: {command} ended with {code} and no word");
    assert!(!text.contains("panicked"), "{what}: {command}: {text}");
    code
}

/// What one mutant has otherwise than its core: where, and the bytes there.
type Change = Vec<(usize, Vec<u8>)>;

const COMMANDS: [&str; 5] = ["dump", "histo", "stack", "check", "info"];

/// One way of going wrong, by the seed: bits, bytes, words, pointers that lead elsewhere, pages in each other's place,
/// headers and notes.
fn change(bytes: &[u8], random: &mut Random) -> Change {
    let mut below = |n: usize| random.next() as usize % n;
    let (len, page) = (bytes.len(), 4096);
    let word = |at: usize| bytes[at..at + 8].to_vec();
    match below(8) {
        0 => (0..=below(10))
            .map(|_| (below(len), below(8)))
            .map(|(at, bit)| (at, vec![bytes[at] ^ 1 << bit]))
            .collect(),
        1 => (0..300).map(|_| (below(len), vec![below(256) as u8])).collect(),
        2 => (0..10_000).map(|_| (page + below(len - page), vec![below(256) as u8])).collect(),
        // Words that a reader does sums with.
        3 => {
            const EDGES: [u64; 8] =
                [0, 1, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, i64::MAX as u64, u64::MAX];
            (0..200).map(|_| (below(len / 8) * 8, EDGES[below(8)].to_le_bytes().to_vec())).collect()
        }
        // A pointer-like word becomes another one: all addresses are right, none of them here.
        4 => {
            let is_pointer = |at: &usize| matches!(word(*at)[..], [_, _, _, _, _, 1..=0x7f, 0, 0]);
            let pointers: Vec<usize> =
                (0..20_000).map(|_| below(len / 8 - 1) * 8).filter(is_pointer).collect();
            pointers.windows(2).take(500).map(|two| (two[0], word(two[1]))).collect()
        }
        5 => {
            let (a, b) = (below(len / page - 1) * page, below(len / page - 1) * page);
            vec![(a, bytes[b..b + page].to_vec()), (b, bytes[a..a + page].to_vec())]
        }
        // Klasses and tables are made of small numbers: one moves a little.
        6 => (0..2_000)
            .map(|_| below(len / 4) * 4)
            .map(|at| (at, vec![bytes[at].wrapping_add(1)]))
            .collect(),
        _ => (0..20).map(|_| (below(4 * page), vec![below(256) as u8])).collect(),
    }
}

/// Mutants of a core, each through one of the commands; every tenth is cut off. `RJCORE_MUTANTS` sets how many of each
/// core, `RJCORE_FIRST_MUTANT` where they begin.
fn mutants(name: &str) {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |n| n.parse().expect("a number"))
    };
    let first = number("RJCORE_FIRST_MUTANT", 1);
    let dir = Scratch::new(&format!("hostile-{name}"));
    let whole = unpacked(name, &dir);
    let core = dir.path("mutant");
    fs::write(&core, &whole).expect("the core");
    let file = fs::OpenOptions::new().write(true).open(&core).expect("the core");
    let write = |at: usize, bytes: &[u8]| file.write_all_at(bytes, at as u64).expect("written");
    for seed in first..first + number("RJCORE_MUTANTS", 600) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let changes = change(&whole, &mut random);
        changes.iter().for_each(|(at, bytes)| write(*at, bytes));
        let cut = seed.is_multiple_of(10).then(|| random.next() as usize % whole.len());
        if let Some(cut) = cut {
            file.set_len(cut as u64).expect("cut");
        }
        let command = COMMANDS[random.next() as usize % COMMANDS.len()];
        code(command, &core, &dir, &format!("{name}, mutant {seed}"));
        changes.iter().for_each(|(at, bytes)| write(*at, &whole[*at..*at + bytes.len()]));
        if let Some(cut) = cut {
            file.set_len(cut as u64).expect("cut");
            write(cut, &whole[cut..]);
        }
    }
    assert!(fs::read(&core).expect("the core") == whole, "the changes were not undone");
}

#[test]
fn mutants_jdk17_serial() {
    mutants("jdk17-serial");
}

#[test]
fn mutants_jdk17_g1() {
    mutants("jdk17-g1");
}

#[test]
fn mutants_jdk17_g1_aarch64() {
    mutants("jdk17-g1-aarch64");
}

#[test]
fn mutants_jdk25_serial() {
    mutants("jdk25-serial");
}

#[test]
fn mutants_jdk25_g1() {
    mutants("jdk25-g1");
}

/// Every 64th page wiped: there is damage in any heap, and the exit code says so.
#[test]
fn wiped_pages_are_reported() {
    let dir = Scratch::new("hostile-wiped");
    let core = dir.path("wiped");
    let mut bytes = unpacked("jdk17-g1", &dir);
    let (mut pages, first) = (0, 64);
    for page in bytes.chunks_mut(4096).skip(first).step_by(64) {
        page.fill(0xa5);
        pages += 1;
    }
    assert!(pages > 10, "the sample core is too small for this test");
    fs::write(&core, &bytes).expect("the core");
    for command in ["histo", "dump"] {
        assert_ne!(code(command, &core, &dir, "wiped"), 0, "{command} says whole");
    }
}
