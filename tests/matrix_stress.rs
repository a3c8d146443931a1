//! Captures at random moments of a JVM that allocates and collects all the time, for each JDK x collector: each
//! core is dumped, readers that others wrote open the dump, and its objects that say what they must hold are looked at.
//!
//! `cargo test` runs few; `scripts/matrix.sh --stress` all, with jhsdb on some of the same cores. RJCORE_CELL names
//! one, RJCORE_RESULT the file that its figures go to, RJCORE_KEEP a directory for the cores that show a wrong object.

mod support;

#[path = "matrix/jhsdb.rs"]
mod jhsdb;
#[path = "matrix/opened.rs"]
mod opened;
#[path = "matrix/table.rs"]
#[allow(dead_code, reason = "forms are for tests/matrix.rs")]
mod table;
#[path = "matrix/told.rs"]
mod told;

use crate::support::child::Command;
use opened::Readers;
use std::env::var_os;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::stress::{SMALL, Stress, capture};
use support::{Scratch, jdks, rjcore, tool};
use table::{Collector, collectors};

const METHODS: [&str; 3] = ["fork", "precopy", "stop"];
/// Longer than any dump of so small a heap takes.
const DUMP_LIMIT: &str = "60";

/// What many cores of one JVM gave.
#[derive(Debug, Default)]
struct Figures {
    captures: usize,
    /// Dumped without any gap.
    whole: usize,
    /// Taken in the middle of a stop-the-world collection, as rjcore says.
    collecting: usize,
    /// Largest and summed bytes of the heap that were no objects.
    worst_unparsed: u64,
    all_unparsed: u64,
    /// Objects that say what they must hold: those that were looked at, and those that did not hold it, outside
    /// of collections and in them.
    told: usize,
    wrong: Vec<String>,
    wrong_collecting: usize,
    /// Of those in collections: what rjcore itself says is half moved.
    said: usize,
    jhsdb: Vec<String>,
}

/// Numbers that depend on the cell only.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// One core: rjcore's dump of it, within a time, which others open.
fn one(core: &Path, out: &Path, readers: &mut Readers, found: &mut Figures) {
    let mut cmd = Command::new(tool("timeout"));
    cmd.args(["-s", "KILL", DUMP_LIMIT]).arg(rjcore().get_program());
    cmd.arg("dump").arg(core).arg("-o").arg(out).args(["--overwrite", "--json"]);
    let answer = cmd.stdin(Stdio::null()).output().expect("timeout starts");
    let said = String::from_utf8_lossy(&answer.stderr);
    let code = answer.status.code();
    assert!(matches!(code, Some(0 | 3)) && !said.contains("panicked"), "{}: {said}", answer.status);
    let json: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    readers.open(out, json["objects"].as_u64().expect("a number"));
    let gaps = &json["gaps"];
    let unparsed = gaps["damaged_bytes"].as_u64().unwrap_or(0);
    // One that moves nothing costs nothing.
    let collecting = gaps["collection"]["affected"] == true;
    found.captures += 1;
    found.whole += usize::from(code == Some(0));
    found.collecting += usize::from(collecting);
    found.worst_unparsed = found.worst_unparsed.max(unparsed);
    found.all_unparsed += unparsed;
    let (told, wrong) = told::look(out);
    found.told += told;
    if collecting {
        // A stretch of damage that starts at an address that is named.
        let stretches = gaps["stretches"].as_array().cloned().unwrap_or_default();
        let said = |wrong: &String| {
            let starts = stretches.iter().filter_map(|s| s["start"].as_str());
            starts.clone().any(|start| wrong.split([' ', ':']).any(|word| word == start))
        };
        let (told, silent): (Vec<_>, Vec<_>) = wrong.into_iter().partition(said);
        found.said += told.len();
        found.wrong_collecting += silent.len();
    } else {
        found.wrong.extend(wrong);
    }
}

/// What the JVM does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Threads of all kinds.
    Busy,
    /// One full collection after the other.
    Full,
}

impl Load {
    fn name(self) -> &'static str {
        match self {
            Load::Busy => "stress",
            Load::Full => "full",
        }
    }

    /// Whether a collector is asked to do that: others collect while the program runs on.
    fn fits(self, collector: &Collector) -> bool {
        self == Load::Busy || ["serial", "parallel", "cms", "g1"].contains(&collector.name)
    }
}

/// So many captures are tried until one falls into a collection, where that is what is to be seen.
const UNTIL_COLLECTING: usize = 80;

/// `captures` cores of a JVM, `compared` of them read by jhsdb, too. `collecting`: and more, until one of them was taken in
/// a collection.
fn figures(
    jdk: u32,
    collector: &Collector,
    load: Load,
    captures: usize,
    compared: usize,
    collecting: bool,
) -> Figures {
    let dir = Scratch::new(&format!("matrix-{}-{jdk}-{}", load.name(), collector.name));
    // Epsilon never collects: it needs room, and less to do.
    let (program, room) = match collector.name {
        _ if load == Load::Full => ("StopStress 2 1 400 500000", "-Xmx160m"),
        "epsilon" => ("StopStress 200 1 100", "-Xmx4g"),
        gc if gc.starts_with("zgc") => ("StopStress 2 2 400", "-Xmx128m"),
        _ => ("StopStress 2 2 400", "-Xmx64m"),
    };
    let flags = [&SMALL, collector.flags, &[room]].concat();
    let jvm = jdks::start(jdk, &flags, program, &dir);
    let mut stress = Stress::of(jvm);
    let mut readers = Readers::start();
    let mut random = Random(u64::from(jdk) * 31 + collector.name.len() as u64);
    let (core, out) = (dir.path("taken.core"), dir.path("ours.hprof"));
    let mut found = Figures::default();
    for i in 0..UNTIL_COLLECTING.max(captures) {
        if i >= captures && !(collecting && found.collecting == 0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(random.below(250)));
        let method = METHODS[i % METHODS.len()];
        // A core with gaps does not take the place of a whole one, and collections are what is asked for.
        let _ = std::fs::remove_file(&core);
        let asked = ["--snapshot", method, "--retries", "0"];
        let answer = capture(stress.pid(), &core, &asked).output();
        let answer = answer.expect("rjcore starts");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(matches!(answer.status.code(), Some(0 | 3)), "{method}: {}: {said}", answer.status);
        let (collecting, wrong) = (found.collecting, found.wrong.len() + found.wrong_collecting);
        one(&core, &out, &mut readers, &mut found);
        if found.wrong.len() + found.wrong_collecting > wrong
            && let Some(kept) = var_os("RJCORE_KEEP")
        {
            let kept = Path::new(&kept).join(format!("{jdk}-{}-{i}.core", collector.name));
            std::fs::copy(&core, kept).expect("room for a core");
        }
        if i < compared {
            let when = if found.collecting > collecting { "in a collection: " } else { "" };
            found.jhsdb.push(format!("{when}{}", jhsdb::beside(jdk, &core)));
        }
    }
    let when = format!("{captures} captures");
    stress.is_clean(&when);
    stress.ends(&when);
    found
}

/// A line for scripts/matrix.sh.
fn line(jdk: u32, collector: &Collector, load: Load) -> String {
    let start = Instant::now();
    let run = catch_unwind(AssertUnwindSafe(|| figures(jdk, collector, load, 20, 1, false)));
    let (verdict, found) = match run {
        Ok(found) => (if found.wrong.is_empty() { "passed" } else { "differs" }, found),
        Err(e) => {
            let said = e.downcast_ref::<String>().cloned().unwrap_or_default();
            ("failed", Figures { wrong: vec![said], ..Figures::default() })
        }
    };
    let wrong = found.wrong.join(" ;; ").replace(['\n', '\t'], " / ");
    let wrong: String = wrong.chars().take(2000).collect();
    format!(
        "{jdk}\t{}\t{}\t{verdict}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:.0}\t{wrong}\t{}\n",
        collector.name,
        load.name(),
        found.captures,
        found.whole,
        found.collecting,
        found.worst_unparsed,
        found.all_unparsed,
        found.told,
        found.wrong.len(),
        found.wrong_collecting,
        found.jhsdb.join(" ;; ").replace(['\n', '\t'], " / "),
        start.elapsed().as_secs_f64(),
        found.said,
    )
}

fn named(name: &str) -> (u32, &'static Collector, Load) {
    let mut words = name.split(' ');
    let jdk: u32 = words.next().and_then(|w| w.parse().ok()).expect("a JDK");
    let gc = words.next().unwrap_or_default();
    let found = collectors(jdk).find(|c| c.name == gc);
    let load = if words.next() == Some("full") { Load::Full } else { Load::Busy };
    (jdk, found.unwrap_or_else(|| panic!("JDK {jdk} has no {gc:?}")), load)
}

/// Runs few captures, none of which may show a wrong object.
fn few(jdk: u32, gc: &str) {
    let (_, collector, load) = named(&format!("{jdk} {gc}"));
    let found = figures(jdk, collector, load, 5, 0, false);
    println!("{jdk} {gc}: {found:?}");
    assert_eq!(found.captures, 5);
    assert!(found.told > 5 * 1000, "{found:?}");
    assert_eq!(found.wrong, Vec::<String>::new());
}

#[test]
fn jdk8_cms() {
    few(8, "cms");
}

#[test]
fn jdk11_parallel() {
    few(11, "parallel");
}

/// Full collections that slide objects together: what the headers tell is made use of.
#[test]
fn jdk17_serial_full() {
    let (_, collector, load) = named("17 serial full");
    let found = figures(17, collector, load, 8, 0, true);
    println!("{found:?}");
    assert!(found.collecting > 0, "{found:?}");
    assert_eq!((found.wrong_collecting, found.wrong.len()), (0, 0), "{found:?}");
}

#[test]
fn newest_g1() {
    few(jdks::newest(), "g1");
}

/// G1 marks in its bitmap then: it does not say what is dead.
#[test]
fn newest_g1_full() {
    let newest = jdks::newest();
    let (_, collector, load) = named(&format!("{newest} g1 full"));
    let found = figures(newest, collector, load, 8, 0, false);
    println!("{found:?}");
    assert!(found.told > 8 * 8000, "{found:?}");
    assert_eq!((found.wrong_collecting, found.wrong.len()), (0, 0), "{found:?}");
}

/// Until 23 its full collection leaves no word in headers. Where a region is just being filled no table says how far.
#[test]
fn jdk8_parallel_full() {
    let (_, collector, load) = named("8 parallel full");
    let found = figures(8, collector, load, 8, 0, true);
    println!("{found:?}");
    assert!(found.collecting > 0, "{found:?}");
    assert_eq!(found.wrong.len(), 0, "{found:?}");
    // Without its tables they are 8 in 100 and more.
    assert!(
        found.told > found.captures * 7500 && found.wrong_collecting * 100 < found.told,
        "{found:?}"
    );
}

/// Each JDK has the collectors that all have; and runs the cell that the environment names.
#[test]
fn table_is_whole() {
    let mut names = String::new();
    for jdk in table::jdks() {
        let of: Vec<&str> = collectors(jdk).map(|c| c.name).collect();
        assert!(["serial", "parallel", "g1"].iter().all(|n| of.contains(n)), "{jdk}: {of:?}");
        for load in [Load::Busy, Load::Full] {
            let fit = collectors(jdk).filter(|c| load.fits(c));
            names.extend(fit.map(|c| format!("{jdk} {} {}\n", c.name, load.name())));
        }
    }
    if let Some(list) = var_os("RJCORE_CELLS") {
        support::classes();
        std::fs::write(list, names).expect("the list of cells");
    }
    if let Some(name) = var_os("RJCORE_CELL") {
        let (jdk, collector, load) = named(name.to_str().expect("UTF-8"));
        let out = var_os("RJCORE_RESULT").expect("RJCORE_RESULT");
        std::fs::write(out, line(jdk, collector, load)).expect("the result");
    }
}
