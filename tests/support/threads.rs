//! Thread dumps as text: `jcmd Thread.print -l -e` against `rjcore stack`.

use std::collections::BTreeMap;

/// Threads that run, or that the jcmd itself moves.
fn moves(name: &str) -> bool {
    name.starts_with("Spin ") || name == "Attach Listener" || name.contains("CompilerThread")
}

/// A thread dump: per thread its lines, without what is time or is not in a core; under "deadlocks" what
/// follows the threads.
fn parse(dump: &str) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut at = String::new();
    for line in dump.lines() {
        if at == "deadlocks" || line.starts_with("Found one Java-level") {
            at = "deadlocks".into();
        } else if let Some((name, rest)) = line.strip_prefix('"').and_then(|l| l.split_once('"')) {
            // Virtual threads may all have no name.
            at = if rest.ends_with(" virtual") { rest.into() } else { name.into() };
            let varies = ["cpu=", "elapsed=", "allocated=", "defined_classes="];
            let words = rest.split(' ').filter(|w| !varies.iter().any(|v| w.starts_with(v)));
            let words: Vec<&str> = words.collect();
            assert!(out.insert(at.clone(), vec![words.join(" ")]).is_none(), "two {name:?}");
            continue;
        } else if line.starts_with("JNI global") {
            at = "JNI".into();
        }
        if !at.is_empty() && (at == "deadlocks" || !line.trim().is_empty()) {
            out.entry(at.clone()).or_default().push(line.into());
        }
    }
    out
}

/// All threads that did not move must be the same; `also` says which others may differ.
pub fn same(theirs: &str, ours: &str, also: &dyn Fn(&str) -> bool) -> usize {
    let (a, b) = (parse(theirs), parse(ours));
    let mut equal = 0;
    for (name, lines) in &a {
        // A carrier whose virtual thread runs.
        let spins = lines.iter().any(|l| l.contains("Stacks.spin("));
        if moves(name) || also(name) || spins {
            continue;
        }
        let ours = b.get(name).unwrap_or_else(|| panic!("{name:?} is missing"));
        assert_eq!(lines, ours, "{name}: HotSpot, then rjcore");
        equal += 1;
    }
    equal
}
