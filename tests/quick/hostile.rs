//! Real cores, and dumps of theirs, with bytes changed at random: rjcore may say that it cannot, or what it stepped over.
//! It never dies, never hangs, takes no more memory than it needs for the whole file, and never says "whole" of a heap
//! whose headers are gone, or of a file whose end is.

mod mutants;
mod small;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::support::child::Command;
use crate::support::{Scratch, dep, rjcore, run};
use mutants::{Change, Random};

/// A command with its arguments behind the file; `OBJ` is an object's address.
type Asked = &'static [&'static str];

/// What reads cores only.
const OF_CORES: [Asked; 17] = [
    &["dump", "-o", "/dev/null", "--overwrite"],
    &["dump", "-o", "/dev/null", "--overwrite"],
    &["dump", "-o", "/dev/null", "--overwrite", "--gz", "--json"],
    &["dump", "-o", "/dev/null", "--overwrite", "--redact", "all"],
    &["histo"],
    &["histo", "--by-space", "--json"],
    &["stack", "--mixed", "--locals"],
    &["stack", "--mixed", "--locals", "--json"],
    &["stack", "--group"],
    &["stack", "--folded", "--no-heap"],
    &["stack", "--flame", "/dev/null", "--overwrite"],
    &["check"],
    &["info"],
    &["info", "--json"],
    &["trim", "-o", "/dev/null", "--overwrite"],
    &["memory", "--threads-top", "3"],
    &["trim", "-o", "/dev/null", "--overwrite", "--zstd"],
];

/// What reads cores and HPROF files.
const OF_BOTH: [Asked; 17] = [
    &["retained"],
    &["retained", "--by", "class", "--json"],
    &["leaks", "--min", "1K", "--share", "1"],
    &["report", "-o", "/dev/null", "--overwrite"],
    &["report", "-o", "/dev/null", "--overwrite", "--md", "--json"],
    &["tree", "--expand", "--depth", "20"],
    &["tree", "OBJ", "--json"],
    &["paths", "OBJ"],
    &["paths", "java.lang.String", "--weak", "--json"],
    &["show", "OBJ"],
    &["find", "class=java.lang.* and retained>100", "--json-lines"],
    &["find", "text=*a*"],
    &["waste"],
    &["threads"],
    &["loaders"],
    &["refs"],
    &["diff", "FILE", "--by", "package"],
];

/// Of these files: some three times what the whole ones take.
const MEMORY: u64 = 160 << 20;
/// What it says where it is not enough.
const NO_MEMORY: &str = "the system gives it no more memory";
/// Seconds of a CPU that it may take: far more than for the whole file on any machine.
const SECONDS: u64 = 300;

/// A file that goes wrong in many ways, and what it was made of.
struct Victim {
    path: PathBuf,
    whole: Vec<u8>,
    /// Addresses of some of its objects.
    objects: Vec<String>,
    /// Bytes of memory of its own that a command may take for it.
    memory: u64,
    dir: Scratch,
}

impl Victim {
    /// Of a sample core, unpacked.
    fn core(name: &str) -> Victim {
        let dir = Scratch::new(&format!("hostile-{name}"));
        let path = dir.path("mutant");
        run(Command::new("zstd")
            .args(["-q", "-d", "-f"])
            .arg(dep(&format!("testdata/cores/{name}.core.zst")))
            .arg("-o")
            .arg(&path));
        let whole = fs::read(&path).expect("the unpacked core");
        let found = run(rjcore().arg("find").arg(&path).args(["class=java.lang.Thread", "--json"]));
        let found: Value = serde_json::from_slice(&found.stdout).expect("JSON");
        let objects = found["objects"].as_array().expect("objects").iter();
        let objects = objects.map(|o| o["object"].as_str().expect("an address").into()).collect();
        Victim { path, whole, objects, memory: MEMORY, dir }
    }

    /// Of an HPROF dump of a sample core.
    fn dump(name: &str) -> Victim {
        let core = Victim::core(name);
        let path = core.dir.path("mutant.hprof");
        run(rjcore().arg("dump").arg(&core.path).arg("-o").arg(&path));
        let whole = fs::read(&path).expect("the dump");
        Victim { path, whole, ..core }
    }

    /// Runs a command on it, bounded in time and memory; answers its exit code.
    fn code(&self, asked: Asked, random: &mut Random, what: &str) -> i32 {
        let [out, err] = ["out", "err"].map(|n| self.dir.path(n));
        let mut cmd = rjcore();
        cmd.arg(asked[0]).arg(&self.path).args(["--threads", "2"]);
        for arg in &asked[1..] {
            match *arg {
                "OBJ" => cmd.arg(&self.objects[random.below(self.objects.len())]),
                "FILE" => cmd.arg(&self.path),
                arg => cmd.arg(arg),
            };
        }
        let [to_out, to_err] = [&out, &err].map(|p| fs::File::create(p).expect("a file"));
        cmd.stdin(Stdio::null()).stdout(to_out).stderr(to_err);
        let mut child = cmd.spawn().expect("rjcore runs");
        for (resource, most) in [(Resource::Data, self.memory), (Resource::Cpu, SECONDS)] {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            // It may be over already.
            let _ = prlimit(Some(child.pid()), resource, limit);
        }
        let status = child.wait().expect("its status");
        let [out, said] = [out, err].map(|p| fs::read(p).unwrap_or_default());
        let said = String::from_utf8_lossy(&said);
        let asked = asked.join(" ");
        let code = status.code().unwrap_or_else(|| panic!("{what}: {asked}: {status}: {said}"));
        // `find` and its kin: 2 where what was asked for is not there any more.
        assert!(matches!(code, 0..=3), "{what}: {asked} ended with {code}: {said}");
        assert!(
            code == 0 || !said.is_empty() || !out.is_empty(),
            "{what}: {asked}: {code}, no word"
        );
        for fault in ["panicked", NO_MEMORY] {
            assert!(!said.contains(fault), "{what}: {asked}: {said}");
        }
        if asked.contains("--json") && matches!(code, 0 | 3) {
            let mut values = serde_json::Deserializer::from_slice(&out).into_iter::<Value>();
            assert!(values.all(|v| v.is_ok()), "{what}: {asked}: no JSON");
        }
        code
    }

    /// Mutants, each through one of the commands; every tenth is cut off as well. `RJCORE_MUTANTS` sets how many percent
    /// of those that a whole run has, `RJCORE_FIRST_MUTANT` where they begin.
    fn mutants(
        &self,
        count: u64,
        change: impl Fn(&[u8], &mut Random) -> Change,
        asked: &[Asked],
        check: impl Fn(&str, i32, bool),
    ) {
        let number = |name: &str, default: u64| {
            std::env::var(name).map_or(default, |n| n.parse().expect("a number"))
        };
        let first = number("RJCORE_FIRST_MUTANT", 1);
        let count = (count * number("RJCORE_MUTANTS", 100)).div_ceil(100);
        let file = fs::OpenOptions::new().write(true).open(&self.path).expect("the file");
        let write = |at: usize, bytes: &[u8]| file.write_all_at(bytes, at as u64).expect("written");
        for seed in first..first + count {
            let mut random = Random::of(seed);
            let changes = change(&self.whole, &mut random);
            changes.iter().for_each(|(at, bytes)| write(*at, bytes));
            let cut = seed.is_multiple_of(10).then(|| random.below(self.whole.len()));
            if let Some(cut) = cut {
                file.set_len(cut as u64).expect("cut");
            }
            let asked = asked[random.below(asked.len())];
            let what = format!("{}, mutant {seed}", self.dir.name());
            let code = self.code(asked, &mut random, &what);
            check(&format!("{what}: {}", asked.join(" ")), code, cut.is_some());
            changes.iter().for_each(|(at, bytes)| write(*at, &self.whole[*at..*at + bytes.len()]));
            if let Some(cut) = cut {
                file.set_len(cut as u64).expect("cut");
                write(cut, &self.whole[cut..]);
            }
        }
        assert!(fs::read(&self.path).expect("it") == self.whole, "the changes were not undone");
    }
}

/// Mutants of a core.
fn of_core(name: &str) {
    let both = [&OF_CORES[..], &OF_CORES, &OF_BOTH].concat();
    Victim::core(name).mutants(390, mutants::of_core, &both, |what, code, cut| {
        assert!(code != 0 || !cut, "{what} says nothing of the end that is gone");
    });
}

#[test]
fn mutants_jdk17_serial() {
    of_core("jdk17-serial");
}

#[test]
fn mutants_jdk17_g1() {
    of_core("jdk17-g1");
}

#[test]
fn mutants_jdk17_g1_aarch64() {
    of_core("jdk17-g1-aarch64");
}

#[test]
fn mutants_jdk25_serial() {
    of_core("jdk25-serial");
}

#[test]
fn mutants_jdk25_g1() {
    of_core("jdk25-g1");
}

#[test]
fn mutants_of_a_dump() {
    Victim::dump("jdk25-g1").mutants(660, mutants::of_dump, &OF_BOTH, |what, code, cut| {
        assert!(code != 0 || !cut, "{what} says nothing of the end that is gone");
    });
}

/// Archives have checksums: nothing that comes out of a damaged one is called whole.
fn of_archive(pack: &[&str]) {
    let plain = Victim::dump("jdk17-serial");
    let packed = run(Command::new(pack[0]).args(&pack[1..]).arg("-c").arg(&plain.path)).stdout;
    fs::write(&plain.path, &packed).expect("the archive");
    let victim = Victim { whole: packed, ..plain };
    victim.mutants(130, mutants::of_archive, &OF_BOTH, |what, code, cut| {
        assert!(code != 0 || !cut, "{what} says nothing of the end that is gone");
    });
}

#[test]
fn mutants_of_a_gzip_archive() {
    of_archive(&["gzip", "-1"]);
}

#[test]
fn mutants_of_a_zstd_archive() {
    of_archive(&["zstd", "-q"]);
}

#[test]
fn mutants_of_an_xz_archive() {
    of_archive(&["xz", "-0"]);
}

/// Every 64th page wiped: there is damage in any heap, and the exit code says so.
#[test]
fn wiped_pages_are_reported() {
    let victim = Victim::core("jdk17-g1");
    let mut bytes = victim.whole.clone();
    let (mut pages, first) = (0, 64);
    for page in bytes.chunks_mut(4096).skip(first).step_by(64) {
        page.fill(0xa5);
        pages += 1;
    }
    assert!(pages > 10, "the sample core is too small for this test");
    fs::write(&victim.path, &bytes).expect("the core");
    for asked in OF_CORES.iter().chain(&OF_BOTH) {
        // Neither walks the heap.
        if !matches!(asked[0], "info" | "stack") {
            let code = victim.code(asked, &mut Random::of(1), "wiped");
            assert_ne!(code, 0, "{} says whole", asked.join(" "));
        }
    }
}
