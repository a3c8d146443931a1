//! One cell: HotSpot's own dump and histogram of a program, a core of it, and rjcore's dump and histogram of that.

use crate::support::child::Command;
use crate::support::compare::{Difference, Differences, compare, tlab_fillers};
use crate::support::counts::{
    counted_differently, counted_otherwise, jcmd_histogram, mended, rjcore_histogram,
};
use crate::support::graph::pair;
use crate::support::hprof::Dump;
use crate::support::{Jvm, PATIENTLY, Scratch, classes, jdk, jdks, rjcore, run};
use crate::table::{Archive, Cell, Taker};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Keeps cores small and the JVM's threads as they are.
const COMMON: [&str; 3] =
    ["-Xmx64m", "-XX:CompressedClassSpaceSize=16m", "-XX:ReservedCodeCacheSize=32m"];
/// Compiler threads that come and go are objects that come and go. 8 has no such flag, nor such threads.
const SAME_THREADS: &str = "-XX:-UseDynamicNumberOfCompilerThreads";

/// Where HotSpot dumps what can be reached: of some 35,000 objects those to which only a word left over on a stack
/// leads, which HotSpot knows to be no reference any more.
const LEFT_ON_STACKS: usize = 700;
/// And what only the attach listener held while it dumped.
const ATTACH_LISTENER: usize = 4;

/// What a cell gives.
#[derive(Debug, Default)]
pub struct Figures {
    /// In HotSpot's dump.
    pub objects: usize,
    /// Bytes of the heap that rjcore could not read as objects.
    pub unparsed: u64,
    /// The core's size on disk.
    pub core_bytes: u64,
    /// What the comparison found, and what else is wrong; empty is a pass.
    pub wrong: Vec<String>,
    /// How many differences there are; `wrong` names the first ones.
    pub differences: usize,
    pub dumping: Duration,
    pub all: Duration,
}

/// The classes in a jar: archives of classes do not take directories.
fn jar(dir: &Scratch) -> PathBuf {
    let jar = dir.path("classes.jar");
    let mut cmd = Command::new(jdk(17).join("bin/jar"));
    run(cmd.arg("cf").arg(&jar).arg("-C").arg(classes()).arg(".").env("LC_ALL", "C.UTF-8"));
    jar
}

/// Makes the archive that the cell asks for; returns the flags that use it.
fn archive(cell: &Cell, flags: &[&str], jar: &Path, dir: &Scratch) -> Vec<String> {
    let java = |more: &[String]| {
        let mut cmd = jdks::command(cell.jdk, "java");
        cmd.args(flags).args(more).arg("-cp").arg(jar).current_dir(dir.path(""));
        cmd
    };
    let option = |name: &str, file: &str| format!("-XX:{name}={}", dir.path(file).display());
    let file = match cell.form.archive {
        Archive::Own => return Vec::new(),
        Archive::Static => {
            run(java(&[option("DumpLoadedClassList", "classes.list")]).arg("Everything"));
            let list = option("SharedClassListFile", "classes.list");
            run(&mut java(&["-Xshare:dump".into(), list, option("SharedArchiveFile", "app.jsa")]));
            "app.jsa"
        }
        Archive::Dynamic => {
            run(java(&[option("ArchiveClassesAtExit", "app.jsa")]).arg("Everything"));
            "app.jsa"
        }
        Archive::Aot => {
            run(java(&[option("AOTCacheOutput", "app.aot")]).arg("Everything"));
            return vec![option("AOTCache", "app.aot")];
        }
    };
    assert!(dir.path(file).exists(), "no archive was made");
    vec![option("SharedArchiveFile", file)]
}

/// A core, and what rjcore needs to read it.
struct Taken {
    core: PathBuf,
    sysroot: Vec<String>,
    /// gdb lost stacks: those threads' frames are not there, and rjcore must say so.
    lost_stacks: bool,
}

fn take(cell: &Cell, jvm: Jvm, dir: &Scratch) -> Taken {
    let core = dir.path("taken.core");
    let (sysroot, lost_stacks) = (Vec::new(), false);
    match cell.form.taker {
        Taker::Capture => {
            run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
            Taken { core, sysroot, lost_stacks }
        }
        Taker::Gcore => {
            let lost_stacks = jvm.gcore(&core);
            Taken { core, sysroot, lost_stacks }
        }
        Taker::Kernel => {
            let root = jdks::root().display().to_string();
            Taken { core: jvm.abort(dir), sysroot: vec!["--sysroot".into(), root], lost_stacks }
        }
    }
}

/// Runs a cell. Panics where it cannot go on; what it finds wrong is in the figures.
pub fn figures(cell: &Cell) -> Figures {
    let start = Instant::now();
    let dir = Scratch::new(&format!("matrix-{}", cell.to_string().replace(' ', "-")));
    let mut flags = COMMON.to_vec();
    if cell.jdk >= 11 {
        flags.push(SAME_THREADS);
    }
    flags.extend(cell.collector.flags.iter().chain(cell.form.flags));
    let (path, more) = match cell.form.archive {
        Archive::Own => (classes(), Vec::new()),
        _ => {
            let jar = jar(&dir);
            let making: Vec<&str> =
                flags.iter().copied().filter(|f| !cell.form.flags.contains(f)).collect();
            let more = archive(cell, &making, &jar, &dir);
            (jar, more)
        }
    };
    flags.extend(more.iter().map(String::as_str));
    let jvm = jdks::start_from(path, cell.jdk, &flags, "Everything", &dir);
    let (hotspot, ours) = (dir.path("hotspot.hprof"), dir.path("ours.hprof"));
    jvm.heap_dump(&hotspot);
    let live = jcmd_histogram(&jvm.jcmd(&["GC.class_histogram", "-all"]));
    let taken = take(cell, jvm, &dir);
    let core = &taken.core;
    let sysroot: Vec<&str> = taken.sysroot.iter().map(String::as_str).collect();

    let mut found = Figures { core_bytes: on_disk(core), ..Figures::default() };
    let dumping = Instant::now();
    let cut_short = dump(&taken, &ours, &sysroot, &mut found);
    found.dumping = dumping.elapsed();
    if ours.exists() {
        same_heap(cell, &hotspot, &ours, &cut_short, &mut found);
        let counted = rjcore_histogram(core, &sysroot);
        let live = mended(live, &counted);
        let off = if cell.collector.moves {
            counted_otherwise(&live, &counted, LEFT_ON_STACKS as u64, ATTACH_LISTENER as u64)
        } else {
            counted_differently(&live, &counted)
        };
        found.differences += off.len();
        found.wrong.extend(off.into_iter().take(5));
    }
    found.all = start.elapsed();
    found
}

fn on_disk(file: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(file).expect("the core").blocks() * 512
}

/// rjcore's dump. One with gaps goes on, but is no pass; answers what it said of stacks that gdb lost.
fn dump(taken: &Taken, out: &Path, sysroot: &[&str], found: &mut Figures) -> Vec<String> {
    let mut cmd = rjcore();
    cmd.arg("dump").arg(&taken.core).arg("-o").arg(out).arg("--json").args(sysroot);
    let answer = cmd.stdin(Stdio::null()).output().expect("rjcore starts");
    let mut told = Vec::new();
    let mut collecting = false;
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(&answer.stdout) {
        found.unparsed = json["gaps"]["damaged_bytes"].as_u64().unwrap_or(0);
        collecting = json["gaps"]["collection"]["affected"] == true;
        let all = json["gaps"]["metadata"].as_array().cloned().unwrap_or_default();
        told.extend(all.iter().map(|line| line["text"].as_str().expect("text").to_owned()));
    }
    let lost = |line: &String| line.contains("ends early: its stack is zero at");
    let only_stacks =
        taken.lost_stacks && !collecting && found.unparsed == 0 && told.iter().all(lost);
    if only_stacks && answer.status.code() == Some(3) {
        return told;
    }
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr);
        let said = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>();
        let said = said.join(" / ");
        found.wrong.push(format!("dump: {}: {said}", answer.status));
        found.differences += 1;
    }
    Vec::new()
}

/// First versions of JFR's event classes, which HotSpot replaced while it loaded them and frees at the next collection
/// (which Epsilon never makes). HotSpot names them in LOAD_CLASS and as roots, and writes no CLASS_DUMP of them; rjcore
/// leaves them out.
fn replaced_events(a: &Dump, d: &mut Differences) {
    let loaded_only = d.take(|d| d.kind == "broken left" && d.left.ends_with("without CLASS_DUMP"));
    let is_one = |d: &Difference| {
        let named = format!(" {:#x} without", d.id);
        d.kind == "root sticky class"
            && (d.left.as_str(), d.right.as_str()) == ("1", "0")
            && loaded_only.iter().any(|l| l.left.contains(&named))
    };
    let roots = d.take(is_one);
    let twins = |d: &Difference| {
        let name = d.left.split(' ').nth(1).unwrap_or_default();
        a.classes.values().any(|c| c.name == name)
    };
    // Each was a root, and has a class of its name that took its place.
    if roots.len() != loaded_only.len() || !loaded_only.iter().all(twins) {
        d.list.extend(loaded_only.into_iter().chain(roots));
    }
}

/// Takes out what may differ where HotSpot dumps what it can reach, while nothing runs.
fn reachable(d: &mut Differences) {
    let left = d.take(|d| d.kind == "object right only");
    let gone = d.take(|d| {
        d.kind == "object left only"
            && matches!(d.class.as_str(), "java/lang/String" | "byte[]" | "char[]")
    });
    // A collection that was still under way at the dump told the time when it ended.
    d.take(|d| {
        (d.kind, d.class.as_str(), d.field.as_str())
            == ("static", "java/lang/ref/SoftReference", "clock")
    });
    if left.len() > LEFT_ON_STACKS {
        d.list.extend(left);
    }
    if gone.len() > ATTACH_LISTENER {
        d.list.extend(gone);
    }
}

/// HotSpot's dump against rjcore's, object by object.
fn same_heap(cell: &Cell, hotspot: &Path, ours: &Path, cut_short: &[String], found: &mut Figures) {
    let (a, b) = (Dump::open(hotspot), Dump::open(ours));
    // A comparison of nothing with nothing would pass too.
    assert!(a.objects.len() > 15_000 && a.classes.len() > 400, "HotSpot's dump is too small");
    let names = a.class_names();
    for class in ["Everything$Primitives", "Everything$Bottom", "Everything$Größe漢字"] {
        assert!(names.contains(class), "no {class} in HotSpot's dump");
    }
    let mut d = compare(&a, &b);
    if cell.collector.moves {
        reachable(&mut d);
        let paired = pair(&a, &b);
        found.differences += paired.differences.len();
        found.wrong.extend(paired.differences.into_iter().take(5));
        if paired.objects * 10 < a.objects.len() * 9 {
            found.differences += 1;
            found.wrong.push(format!("{} of {} paired", paired.objects, a.objects.len()));
        }
    } else {
        tlab_fillers(&a, &mut d);
    }
    // As many threads without frames as rjcore said.
    let frameless = d.take(|d| d.kind == "stack" && d.right == "- of 0");
    if frameless.len() > cut_short.len() {
        d.list.extend(frameless);
    }
    replaced_events(&a, &mut d);
    if cell.jdk == 21 {
        // HotSpot names unmounted virtual threads as roots from 22 on (JDK-8299426), rjcore always; Everything has
        // one.
        let is_one = |d: &Difference| {
            (d.kind, d.class.as_str()) == ("root thread", "java/lang/VirtualThread")
                && (d.left.as_str(), d.right.as_str()) == ("0", "1")
        };
        let virtual_thread = d.take(is_one);
        if virtual_thread.len() != 1 {
            d.list.extend(virtual_thread);
        }
    }
    found.objects = a.objects.len();
    found.differences += d.list.len();
    let first = |d: &Difference| {
        format!("{}: {} {:#x} {}: {} | {}", d.kind, d.class, d.id, d.field, d.left, d.right)
    };
    // The first of each kind tell most.
    let mut kinds: Vec<&str> = Vec::new();
    for x in &d.list {
        if kinds.iter().filter(|k| **k == x.kind).count() < 2 {
            kinds.push(x.kind);
            found.wrong.push(first(x));
        }
    }
    for kind in ["object left only", "object right only", "root JNI global", "root sticky class"] {
        let n = d.list.iter().filter(|x| x.kind == kind).count();
        if n > 2 {
            found.wrong.push(format!("{kind}: {n} in all"));
        }
    }
}
