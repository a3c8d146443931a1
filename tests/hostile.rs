//! Real cores with bytes changed at random: rjcore may say that it cannot, or what it stepped over. It
//! never dies, never hangs, and never says "whole" of a heap whose headers are gone.

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Scratch, dep, rjcore, run};

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
    run(std::process::Command::new("zstd")
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
    let limit = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        if Instant::now() > limit {
            child.kill().expect("kill");
            panic!("{what}: {command} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = fs::read_to_string(dir.path("words")).unwrap_or_default();
    let code = status.code().unwrap_or_else(|| panic!("{what}: {command}: {status}: {text}"));
    assert!(matches!(code, 0 | 1 | 3), "{what}: {command} ended with {code}: {text}");
    assert!(code == 0 || !text.is_empty(), "{what}: {command} ended with {code} and no word");
    assert!(!text.contains("panicked"), "{what}: {command}: {text}");
    code
}

fn flipped(name: &str) {
    let dir = Scratch::new(&format!("hostile-{name}"));
    let whole = unpacked(name, &dir);
    let core = dir.path("flipped");
    for seed in 1..=12u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut bytes = whole.clone();
        // Few changes find the lone pointer, many find the rest. The ELF header stays: other tests
        // break it, and behind it everything is reached.
        for _ in 0..[10, 300, 10_000][seed as usize % 3] {
            let at = 4096 + random.next() as usize % (bytes.len() - 4096);
            bytes[at] = random.next() as u8;
        }
        fs::write(&core, &bytes).expect("the core");
        for command in ["info", "histo", "dump", "check", "stack"] {
            code(command, &core, &dir, &format!("{name}, seed {seed}"));
        }
    }
}

#[test]
fn flipped_bytes_jdk17_serial() {
    flipped("jdk17-serial");
}

#[test]
fn flipped_bytes_jdk25_g1() {
    flipped("jdk25-g1");
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
