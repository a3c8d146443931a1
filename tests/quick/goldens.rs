//! What the commands say of the sample cores is what is in testdata/goldens, to the byte; of a dump, its length and
//! checksum. That these are right is for other tests to show, against HotSpot's own.
//!
//! `RJCORE_BLESS=1` writes them anew: look at each difference before it is committed.

use std::fs;
use std::path::Path;

use crate::support::{Scratch, dep, rjcore, run};

/// The name of a file in testdata/goldens/CORE, and the command.
const GOLDENS: [(&str, &[&str]); 12] = [
    ("info.txt", &["info"]),
    ("histo.txt", &["histo"]),
    ("retained.txt", &["retained"]),
    ("retained-class.txt", &["retained", "--by", "class"]),
    ("leaks.txt", &["leaks", "--min", "50K", "--share", "5"]),
    ("tree.txt", &["tree", "--top", "8"]),
    ("waste.txt", &["waste", "--top", "5"]),
    ("threads.txt", &["threads", "--details", "2", "--top", "4"]),
    ("loaders.txt", &["loaders", "--top", "5"]),
    ("refs.txt", &["refs", "--top", "5"]),
    ("stack.txt", &["stack"]),
    ("locals.txt", &["stack", "--locals"]),
];

fn is_golden(core: &str, name: &str, said: &[u8]) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/goldens").join(core);
    let path = place.join(name);
    if std::env::var_os("RJCORE_BLESS").is_some() {
        fs::create_dir_all(&place).expect("a directory");
        fs::write(&path, said).expect("a golden");
    }
    let golden = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if golden == said {
        return;
    }
    let [golden, said] = [&golden[..], said].map(|t| String::from_utf8_lossy(t).into_owned());
    let (mut a, mut b) = (golden.lines(), said.lines());
    for line in 1.. {
        let (a, b) = (a.next(), b.next());
        assert!(a == b && a.is_some(), "{core}/{name}:{line}: was {a:?}, is {b:?}");
    }
}

fn goldens(core: &str) {
    let file = format!("{core}.core.zst");
    dep(&format!("testdata/cores/{file}"));
    // The name as it was given is part of what is said, and so is the time zone.
    let ours = |args: &[&str]| {
        let mut cmd = rjcore();
        cmd.current_dir(dep("testdata/cores")).env("TZ", "UTC").args(args).arg(&file);
        run(&mut cmd).stdout
    };
    for (name, args) in GOLDENS {
        is_golden(core, name, &ours(args));
    }
    let dir = Scratch::new("goldens");
    let out = dir.path("heap.hprof");
    ours(&["dump", "-o", out.to_str().expect("UTF-8")]);
    let dump = fs::read(&out).expect("the dump");
    let mut sum = flate2::Crc::new();
    sum.update(&dump);
    let line = format!("{} bytes, CRC-32 {:08x}\n", dump.len(), sum.sum());
    is_golden(core, "dump.txt", line.as_bytes());
}

#[test]
fn jdk17_serial() {
    goldens("jdk17-serial");
}

#[test]
fn jdk17_g1() {
    goldens("jdk17-g1");
}

#[test]
fn jdk17_g1_aarch64() {
    goldens("jdk17-g1-aarch64");
}

#[test]
fn jdk25_serial() {
    goldens("jdk25-serial");
}

#[test]
fn jdk25_g1() {
    goldens("jdk25-g1");
}

/// A sample core without goldens would be none.
#[test]
fn each_sample_core_is_here() {
    let cores = fs::read_dir(dep("testdata/cores")).expect("samples").flatten();
    let cores = cores.filter_map(|e| e.file_name().into_string().ok());
    let mut cores: Vec<_> =
        cores.filter_map(|n| Some(n.strip_suffix(".core.zst")?.to_owned())).collect();
    cores.sort();
    let known = ["jdk17-g1", "jdk17-g1-aarch64", "jdk17-serial", "jdk25-g1", "jdk25-serial"];
    assert_eq!(cores, known);
}
