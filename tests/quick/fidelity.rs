//! Sample cores with objects' headers overwritten: what is missing is exactly that, and the report says where it was,
//! what it costs, and which references lead there now. What there was tells the dump of the core before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::child::Command;
use crate::support::hprof::{Dump, Kind};
use crate::support::schema::Checker;
use crate::support::{Scratch, dep, rjcore, run};

/// Bytes of a header: mark, klass, an array's length or a field.
const HEADER: usize = 16;

/// A core's bytes, and where the memory lies in them.
struct Core {
    bytes: Vec<u8>,
    /// Address, offset in the file, bytes.
    loads: Vec<(u64, u64, u64)>,
}

impl Core {
    fn open(name: &str, dir: &Scratch) -> Core {
        let core = dir.path(name);
        let packed = dep(&format!("testdata/cores/{name}.core.zst"));
        run(Command::new("zstd").args(["-q", "-d", "-f"]).arg(packed).arg("-o").arg(&core));
        let bytes = fs::read(&core).expect("the unpacked core");
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let (table, count) = (word(32) as usize, u16::from_le_bytes([bytes[56], bytes[57]]));
        let headers = (0..usize::from(count)).map(|i| table + i * 56);
        let loads = headers.filter(|at| bytes[*at] == 1);
        let loads = loads.map(|at| (word(at + 16), word(at + 8), word(at + 32))).collect();
        Core { bytes, loads }
    }

    /// The bytes at an address.
    fn at(&mut self, addr: u64, len: usize) -> &mut [u8] {
        let load = self.loads.iter().find(|l| (l.0..l.0 + l.2).contains(&addr));
        let load = load.unwrap_or_else(|| panic!("{addr:#x} is not in the core"));
        let at = (load.1 + addr - load.0) as usize;
        &mut self.bytes[at..at + len]
    }

    fn write(&self, dir: &Scratch, name: &str) -> PathBuf {
        let path = dir.path(name);
        fs::write(&path, &self.bytes).expect("the core");
        path
    }
}

fn ask(args: &[&str], core: &Path) -> Output {
    rjcore().args(args).arg(core).output().expect("rjcore")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the report")).expect("JSON")
}

/// A dump with its report, which keeps to its schema.
fn dumped(core: &Path, dir: &Scratch, name: &str) -> (Dump, Value, Option<i32>) {
    let (out, report) = (dir.path(&format!("{name}.hprof")), dir.path(&format!("{name}.json")));
    let out_text = out.to_str().expect("UTF-8");
    let said = ask(&["dump", "-o", out_text, "--report", report.to_str().expect("UTF-8")], core);
    let report = json(&report);
    Checker::new().check("fidelity", &report, name);
    assert_eq!(report["file"], out_text);
    (Dump::open(&out), report, said.status.code())
}

/// All references to each object that stand in objects, not in classes: by the holder's words without its address.
fn referrers(dump: &Dump, to: &BTreeSet<u64>) -> BTreeMap<u64, Vec<String>> {
    let mut out: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    dump.references(&mut |id, holder| {
        if to.contains(&id) {
            out.entry(id).or_default().push(holder());
        }
    });
    out
}

/// Overwrites the headers of every `nth` node of hash maps, none beside another one.
fn damaged(name: &str, nth: usize) {
    let dir = Scratch::new(&format!("fidelity-{name}"));
    let mut core = Core::open(name, &dir);
    let whole = core.write(&dir, "whole");
    let (before, report, code) = dumped(&whole, &dir, "before");
    assert_eq!((code, &report["whole"]), (Some(0), &true.into()), "{report:#}");
    assert_eq!(
        (&report["losses"], &report["gaps"]["dangling"]["references"]),
        (&Value::Array(Vec::new()), &0.into())
    );

    let is_node = |c: &str| c.ends_with("HashMap$Node");
    let nodes = before
        .objects
        .iter()
        .filter(|(_, o)| o.kind == Kind::Instance && is_node(&before.class_name(o)));
    let starts: Vec<u64> = before.objects.keys().chain(before.classes.keys()).copied().collect();
    let starts: BTreeSet<u64> = starts.into_iter().collect();
    let mut gone = BTreeSet::new();
    for (id, _) in nodes.step_by(nth) {
        let beside = starts.range(..id).next_back().is_some_and(|b| gone.contains(b));
        // The report has the first thousand one by one.
        if !beside && gone.len() < 1000 {
            core.at(*id, HEADER).fill(0x5b);
            gone.insert(*id);
        }
    }
    assert!(gone.len() > 20, "only {}", gone.len());
    let broken = core.write(&dir, "broken");
    let (after, report, code) = dumped(&broken, &dir, "after");
    assert_eq!((code, &report["whole"]), (Some(3), &false.into()));

    // Exactly these are missing.
    let lost: BTreeSet<u64> =
        before.objects.keys().filter(|id| !after.objects.contains_key(id)).copied().collect();
    same(&lost, &gone, "lost");
    let new = after.objects.keys().filter(|id| !before.objects.contains_key(id)).count();
    assert_eq!(new, 0, "objects that there were not");

    // Each is told with its address, and its bytes: up to the next object.
    let stretches = report["gaps"]["stretches"].as_array().expect("stretches");
    let told: BTreeSet<u64> = stretches.iter().map(|s| address(&s["start"])).collect();
    same(&told, &gone, "told");
    for s in stretches {
        let (start, end) = (address(&s["start"]), address(&s["end"]));
        let next = starts.range(start + 1..).next();
        assert!(end > start && next.is_none_or(|n| end <= *n), "{s}");
    }
    let spaces = report["spaces"].as_array().expect("spaces");
    let sum =
        |field: &str| spaces.iter().map(|s| s[field].as_u64().expect("a number")).sum::<u64>();
    assert_eq!(sum("unparsable"), report["gaps"]["damaged_bytes"].as_u64().expect("bytes"));
    assert_eq!(sum("unparsable_stretches"), gone.len() as u64);
    let all = ["walked", "skipped", "dormant", "unparsable", "absent"].map(sum);
    assert_eq!(all.iter().sum::<u64>(), sum("used"));

    // The references that lead there: those from what is gone itself went with it.
    let to_gone = referrers(&before, &gone);
    let holders = to_gone.values().flatten();
    let from_gone = |h: &&String| {
        let mut words = h.split(' ').filter_map(|word| word.strip_prefix("0x"));
        words.any(|w| u64::from_str_radix(w, 16).is_ok_and(|holder| gone.contains(&holder)))
    };
    let expected = holders.filter(|h| !from_gone(h)).count() as u64;
    let dangling = &report["gaps"]["dangling"];
    assert_eq!(dangling["references"], expected, "{dangling:#}");
    let from = dangling["from"].as_array().expect("from");
    assert_eq!(
        from.iter().map(|f| f["references"].as_u64().expect("a number")).sum::<u64>(),
        expected
    );
    let next = from.iter().find(|f| f["class"] == "java.util.HashMap$Node");
    assert!(next.is_none_or(|f| f["field"] == "next"), "{dangling:#}");
    let codes: Vec<_> =
        report["losses"].as_array().expect("losses").iter().map(|l| &l["code"]).collect();
    assert_eq!(codes, ["unparsable", "dangling"]);

    // The dumps themselves say the same to who reads them, beside what they always refer to and leave out.
    let of_dump = |name: &str| {
        let report = dir.path("of-dump.json");
        let args = ["histo", "--overwrite", "--report", report.to_str().expect("UTF-8")];
        let said = ask(&args, &dir.path(name));
        assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
        let report = json(&report);
        Checker::new().check("fidelity", &report, name);
        report["gaps"]["dangling"]["references"].as_u64().expect("a number")
    };
    assert_eq!(of_dump("after.hprof") - of_dump("before.hprof"), expected);

    refused(&broken, &dir);
}

/// The same addresses, or those that differ.
fn same(found: &BTreeSet<u64>, expected: &BTreeSet<u64>, what: &str) {
    let more: Vec<_> = found.difference(expected).collect();
    let less: Vec<_> = expected.difference(found).collect();
    assert!(more.is_empty() && less.is_empty(), "{what}: more {more:x?}, less {less:x?}");
}

fn address(value: &Value) -> u64 {
    let text = value.as_str().and_then(|t| t.strip_prefix("0x")).expect("an address");
    u64::from_str_radix(text, 16).expect("an address")
}

/// --strict gives no dump of a core that lost something, and the report says why.
fn refused(broken: &Path, dir: &Scratch) {
    let (out, report) = (dir.path("strict.hprof"), dir.path("strict.json"));
    let [out_text, report_text] = [&out, &report].map(|p| p.to_str().expect("UTF-8"));
    let said = ask(&["dump", "--strict", "-o", out_text, "--report", report_text], broken);
    let words = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{words}");
    assert!(
        words.contains("nothing was written") && words.contains("heap that is not readable"),
        "{words}"
    );
    assert!(!out.exists());
    let report = json(&report);
    assert_eq!((&report["file"], &report["whole"]), (&Value::Null, &false.into()));
    let said = ask(&["histo", "--strict"], broken);
    assert_eq!((said.status.code(), said.stdout.len()), (Some(1), 0));
}

/// Has byte arrays seem to reach into what lies behind them, as old bytes do in memory that was given out and is not
/// written yet: these are missing, and no object behind them.
fn stretched(name: &str) {
    /// Between two of them: a piece of the heap is looked at again a few times only.
    const APART: u64 = 64 << 10;
    let dir = Scratch::new(&format!("stretched-{name}"));
    let mut core = Core::open(name, &dir);
    let (before, ..) = dumped(&core.write(&dir, "whole"), &dir, "before");
    let starts: BTreeSet<u64> = before.objects.keys().copied().collect();
    let mut chosen = BTreeMap::new();
    for (id, o) in before.objects.iter().filter(|(_, o)| o.kind == Kind::Primitives(8)) {
        let next = id + (16 + before.bytes(o).len() as u64).next_multiple_of(8);
        // Those behind it are small ones, so that they are seen to follow one another.
        let few = starts.range(next..next + 512).count() > 8;
        let far = chosen.last_key_value().is_none_or(|(last, _)| id - last > APART);
        if starts.contains(&next) && few && far {
            let length = (next + 8 - id - 16) as u32;
            core.at(id + 12, 4).copy_from_slice(&length.to_le_bytes());
            chosen.insert(*id, next);
        }
    }
    assert!(chosen.len() > 5, "only {}", chosen.len());
    let (after, report, code) = dumped(&core.write(&dir, "broken"), &dir, "after");
    assert_eq!(code, Some(3));
    let kept: BTreeSet<u64> = after.objects.keys().copied().collect();
    same(&(&starts - &kept), &chosen.keys().copied().collect(), "lost");
    assert!(kept.is_subset(&starts), "objects that there were not");
    let told = report["gaps"]["stretches"].as_array().expect("stretches").iter();
    let told = told.inspect(|s| assert_eq!(s["kind"], "overlap"));
    let told = told.map(|s| (address(&s["start"]), address(&s["end"])));
    assert_eq!(told.collect::<BTreeMap<_, _>>(), chosen);
}

#[test]
fn objects_behind_what_seems_to_reach_over_them() {
    stretched("jdk17-serial");
    stretched("jdk25-g1");
}

#[test]
fn overwritten_headers_jdk17_serial() {
    damaged("jdk17-serial", 3);
}

#[test]
fn overwritten_headers_jdk17_g1() {
    damaged("jdk17-g1", 2);
}

#[test]
fn overwritten_headers_jdk25_g1() {
    damaged("jdk25-g1", 2);
}

/// Whole pages are overwritten: what has its class there is missing, and all else is there, however large the objects are.
#[test]
fn overwritten_pages() {
    let dir = Scratch::new("fidelity-pages");
    let mut core = Core::open("jdk17-serial", &dir);
    let (before, ..) = dumped(&core.write(&dir, "whole"), &dir, "before");
    let first = *before.objects.keys().next().expect("an object");
    let last = *before.objects.keys().last().expect("an object");
    let pages: Vec<u64> = (first / 4096 + 2..last / 4096)
        .step_by(9)
        .map(|page| page * 4096)
        .filter(|page| before.objects.range(page - 4096..page + 8192).count() > 30)
        .collect();
    assert!(pages.len() > 5, "{}", pages.len());
    for page in &pages {
        core.at(*page, 4096).fill(0x5b);
    }
    let (after, report, _) = dumped(&core.write(&dir, "broken"), &dir, "after");
    // A header's first word, the mark, is not needed.
    let page_of_class = |id: u64| (id + 8) / 4096 * 4096;
    let gone = |id: &&u64| pages.contains(&page_of_class(**id));
    let expected: BTreeSet<u64> = before.objects.keys().filter(gone).copied().collect();
    let lost: BTreeSet<u64> =
        before.objects.keys().filter(|id| !after.objects.contains_key(id)).copied().collect();
    same(&lost, &expected, "lost");
    assert!(after.objects.keys().all(|id| before.objects.contains_key(id)));
    let stretches = report["gaps"]["stretches"].as_array().expect("stretches");
    for s in stretches {
        assert!(pages.contains(&page_of_class(address(&s["start"]))), "{s}");
    }
}

/// A collection under way has moved an array and looks at it in pieces: the new copy's length says how far that is. The
/// old copy, which is none of the objects, still ends where it did.
#[test]
fn an_old_copy_has_its_own_length() {
    let dir = Scratch::new("fidelity-moved");
    let mut core = Core::open("jdk17-serial", &dir);
    let whole = core.write(&dir, "whole");
    let (before, ..) = dumped(&whole, &dir, "before");
    let length = |id: &u64| before.bytes(&before.objects[id]).len() / 8;
    let arrays = before.objects.iter().filter(|(_, o)| o.kind == Kind::Objects);
    let arrays: Vec<u64> = arrays
        .filter(|(_, o)| before.class_name(o).replace('/', ".") == "[Ljava.lang.Object;")
        .map(|(id, _)| *id)
        .collect();
    let old = arrays.iter().copied().max_by_key(length).expect("an array");
    let new = arrays.iter().copied().find(|id| (1..20).contains(&length(id))).expect("a short one");
    assert!(length(&old) > 64, "{}", length(&old));

    // The heap says that it collects, and the header where the object is.
    let jvm = rjcore::Jvm::open(&whole).expect("the core");
    let fields = &jvm.vm().fields;
    let heap = jvm.vm().mem.u64(fields.collected_heap.get().expect("a field")).expect("the heap");
    core.at(heap + fields.gc_active.get().expect("a field"), 1).fill(1);
    // A collection has all TLABs filled up, and takes them away.
    let (ints, _) =
        before.objects.iter().find(|(_, o)| o.kind == Kind::Primitives(10)).expect("int[]");
    let klass = core.at(ints + 8, 4).to_vec();
    let tlab =
        fields.thread_tlab.get().expect("a field") + fields.tlab_start.get().expect("a field");
    for t in &jvm.heap().threads {
        core.at(t.addr + tlab, 8).fill(0);
        if let Some((top, end)) = t.tlab_gap.filter(|gap| gap.1 - gap.0 >= 16) {
            let length = (end - top - 16) / 4;
            let filler =
                [&1_u64.to_le_bytes()[..], &klass, &(length as u32).to_le_bytes()].concat();
            core.at(top, 16).copy_from_slice(&filler);
        }
    }
    core.at(old, 8).copy_from_slice(&(new | 3).to_le_bytes());
    let (after, report, code) = dumped(&core.write(&dir, "moved"), &dir, "after");
    assert_eq!(code, Some(3));
    // The sample core lacks most pages of what fills TLABs up.
    let tlabs: Vec<_> = jvm.heap().threads.iter().filter_map(|t| t.tlab_gap).collect();
    for s in report["gaps"]["stretches"].as_array().expect("stretches") {
        let (start, end) = (address(&s["start"]), address(&s["end"]));
        assert!(tlabs.iter().any(|t| t.0 <= start && end <= t.1), "{s}");
    }
    let lost: BTreeSet<u64> =
        before.objects.keys().filter(|id| !after.objects.contains_key(id)).copied().collect();
    same(&lost, &BTreeSet::from([old]), "lost");
    let new = after.objects.iter().filter(|(id, _)| !before.objects.contains_key(id));
    assert!(new.clone().all(|(_, o)| o.kind == Kind::Primitives(10)), "beside what fills TLABs up");
    let codes = report["losses"].as_array().expect("losses").iter().map(|l| &l["code"]);
    assert_eq!(codes.filter(|code| *code != "absent").collect::<Vec<_>>(), ["collection"]);
}

/// Of a whole core --strict gives the same dump, and what cannot be meant is refused before any work.
#[test]
fn strict_and_report_arguments() {
    let dir = Scratch::new("fidelity-arguments");
    let core = dep("testdata/cores/jdk25-serial.core.zst");
    let path = |name: &str| dir.path(name).to_str().expect("UTF-8").to_owned();
    let (plain, strict, report) = (path("plain"), path("strict"), path("report"));
    assert_eq!(ask(&["dump", "-o", &plain], &core).status.code(), Some(0));
    let said = ask(&["dump", "--strict", "--report", &report, "-o", &strict], &core);
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(fs::read(&plain).expect("a dump") == fs::read(&strict).expect("a dump"));
    for args in [
        &["dump", "--strict", "-o", "-"][..],
        &["dump", "-o", &path("x"), "--report", &path("x")],
        &["dump", "-o", &path("x"), "--report", "-"],
        &["dump", "-o", &path("x"), "--report", &report],
        &["histo", "--report", &report],
    ] {
        let said = ask(args, &core);
        assert_eq!(
            said.status.code(),
            Some(2),
            "{args:?}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        assert!(!Path::new(&path("x")).exists());
    }
    // The core itself is never the report.
    let said = ask(&["histo", "--overwrite", "--report", core.to_str().expect("UTF-8")], &core);
    assert_eq!(said.status.code(), Some(2));
}
