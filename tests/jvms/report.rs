//! `rjcore report` in a real browser, Debian's Chromium: seen at three sizes, clicked and stepped through; and what it says
//! of JVMs of which it is known.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::child::Command;
use crate::support::{Jvm, PATIENTLY, Scratch, dep, rjcore, run, text};

fn page(input: &str, out: &Path, args: &[&str]) -> String {
    run(rjcore().arg("report").arg(input).args(args).arg("-o").arg(out));
    std::fs::read_to_string(out).expect("the page")
}

fn core_of(jvm: &Jvm, dir: &Scratch) -> PathBuf {
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    core
}

/// What tests/browser/page.cjs saw of a page.
fn seen(page: &Path, dir: &Scratch) -> Value {
    let playwright = dep(".test-deps/browser/node_modules/playwright-core");
    let script = dep("tests/browser/page.cjs");
    assert!(Path::new("/usr/bin/chromium").exists(), "no chromium: run scripts/setup.sh");
    let pictures = dir.path("pictures");
    std::fs::create_dir_all(&pictures).expect("a directory");
    let seen = text(Command::new("node").arg(script).arg(playwright).arg(page).arg(&pictures));
    serde_json::from_str(&seen).expect("JSON")
}

fn list<'v>(of: &'v Value, field: &str) -> Vec<&'v str> {
    let all = of[field].as_array().unwrap_or_else(|| panic!("{field} of {of}"));
    all.iter().map(|v| v.as_str().expect("text")).collect()
}

#[test]
fn in_a_browser() {
    let dir = Scratch::new("report-browser");
    let jvm = Jvm::start(17, &["-Xmx128m", "-Xint"], "Stacks", &dir);
    let core = core_of(&jvm, &dir);
    drop(jvm);
    let file = dir.path("report.html");
    page(core.to_str().expect("UTF-8"), &file, &[]);
    let seen = seen(&file, &dir);
    // Nothing was refused by the policy, no error, and nothing asked for.
    assert_eq!(list(&seen, "messages"), [""; 0]);
    assert_eq!(list(&seen, "requests"), [""; 0]);
    for size in ["phone", "laptop", "wide"] {
        let of = &seen["sizes"][size];
        assert_eq!(of["wide"], 0, "{size} has to be moved sideways");
        // Who holds the memory, the flame graph, and the process's memory in two widths, one of them shown.
        assert!(of["charts"].as_array().is_some_and(|c| c.len() == 4), "{size}: {of}");
        let shown = of["charts"].as_array().expect("widths").iter().filter(|w| **w != 0);
        assert_eq!(shown.count(), 3, "{size}: {of}");
    }
    // WCAG's AA.
    for scheme in ["light", "dark"] {
        let least = &seen["contrast"][scheme];
        assert!(least["ratio"].as_f64().is_some_and(|r| r >= 4.5), "{scheme}: {least}");
    }
    let trail = |step: &str| list(&seen[step], "trail").len();
    let at = |step: &str| seen[step]["at"].as_str().unwrap_or_else(|| panic!("{step}")).to_owned();
    // By mouse: in, and back to where it was.
    assert_eq!([trail("start"), trail("clicked"), trail("back")], [1, 2, 1]);
    assert!(at("back").starts_with(list(&seen["clicked"], "trail")[1]), "{seen}");
    // By keys alone.
    let focused = ["tabbed", "first", "moved", "entered", "left", "down", "below", "above"];
    assert!(focused.iter().all(|step| seen[*step]["focused"] == true), "{seen}");
    assert_ne!(at("first"), at("moved"));
    assert_eq!([trail("tabbed"), trail("entered"), trail("left")], [1, 2, 1]);
    // What is said is what has the focus.
    for step in focused {
        let name = at(step).split(", ").next().expect("a name").to_owned();
        let said = seen[step]["said"].as_str().expect("text");
        assert!(said.starts_with(&name), "{step}: {name}: {said}");
    }
    assert!(trail("below") > trail("icicle") && trail("above") == trail("below") - 1, "{seen}");
    assert!(seen["flame"].as_u64().is_some_and(|n| n > 30), "{}", seen["flame"]);
    // Without script there is all but the click-through.
    let still = &seen["still"];
    let words = still["text"].as_str().expect("text");
    for said in ["Summary", "Objects that retain the most", "Deadlock left", "UseG1GC", "Found one"]
    {
        assert!(words.contains(said), "{said}: {words}");
    }
    assert!(still["shown"] == true && still["svg"].as_u64().is_some_and(|n| n > 10), "{still}");
}

/// From a core, a live JVM and an HPROF file the same is said of who holds the memory (tests/java/Holders.java).
#[test]
fn from_all_inputs() {
    for version in [17, 25] {
        let dir = Scratch::new("report-inputs");
        let flags = ["-Xmx128m", "-XX:ReservedCodeCacheSize=32m", "-Xint", "-Dmy.password=hidden7"];
        let jvm = Jvm::start(version, &flags, "Holders", &dir);
        let (core, dump) = (core_of(&jvm, &dir), dir.path("heap.hprof"));
        let live = page(&jvm.pid().to_string(), &dir.path("live.md"), &["--md"]);
        drop(jvm);
        run(rjcore().arg("dump").arg(&core).arg("-o").arg(&dump));
        let of_core = page(core.to_str().expect("UTF-8"), &dir.path("core.md"), &["--md"]);
        let of_dump = page(dump.to_str().expect("UTF-8"), &dir.path("dump.md"), &["--md"]);
        for said in ["Holders$GarbageToo", "Holders$Owner", "3,000,032", "4,000,048"] {
            for (from, page) in [("core", &of_core), ("live", &live), ("dump", &of_dump)] {
                assert!(page.contains(said), "{version}: {from}: {said}: {page}");
            }
        }
        for said in
            ["## Collector and spaces", "`-Xint`", "`-Dmy.password=(not shown)`", "### Deadlocks"]
        {
            assert!(of_core.contains(said) && live.contains(said), "{version}: {said}");
            assert!(!of_dump.contains(said), "{version}: {said}");
        }
        assert!(!of_core.contains("hidden7") && of_dump.contains("Only a core has them"));
    }
}
