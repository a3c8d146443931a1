//! Instances and bytes per class, as jcmd and rjcore count them.

use super::rjcore;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Instances and bytes per class name; classes of one name by several loaders are added up.
pub type Counts = BTreeMap<String, (u64, u64)>;

/// `GC.class_histogram`: "   1:   9033   5282216  [B (java.base@25)" a line.
pub fn jcmd_histogram(text: &str) -> Counts {
    let mut counts = Counts::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.len() >= 4
            && words[0].ends_with(':')
            && words[0][..words[0].len() - 1].parse::<u32>().is_ok()
        {
            add(
                &mut counts,
                words[3],
                words[1].parse().expect("instances"),
                words[2].parse().expect("bytes"),
            );
        }
    }
    assert!(counts.len() > 100, "no histogram:\n{text}");
    counts
}

fn add(counts: &mut Counts, name: &str, instances: u64, bytes: u64) {
    let c = counts.entry(name.to_owned()).or_default();
    *c = (c.0 + instances, c.1 + bytes);
}

/// `rjcore histo --json`: {"classes": [{"name": "[B", "instances": 1, "bytes": 16}, ...], ...}. One with gaps
/// will do: the dump tells them.
pub fn rjcore_histogram(core: &Path, more: &[&str]) -> Counts {
    let answer = rjcore().arg("histo").arg(core).arg("--json").args(more).output();
    let answer = answer.expect("rjcore starts");
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(matches!(answer.status.code(), Some(0 | 3)), "{}: {said}", answer.status);
    let json: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    let mut counts = Counts::new();
    for c in json["classes"].as_array().expect("classes") {
        let number = |key: &str| c[key].as_u64().unwrap_or_else(|| panic!("no {key} in {c}"));
        add(&mut counts, c["name"].as_str().expect("name"), number("instances"), number("bytes"));
    }
    counts
}

/// jcmd of 8 decodes a few hundred bytes at a time, and so spoils a character that lies across: such a name gets
/// that of the class in `core` that it fits.
pub fn mended(live: Counts, core: &Counts) -> Counts {
    let mut out = Counts::new();
    for (name, (instances, bytes)) in live {
        let whole = name.split_once('\u{fffd}').and_then(|(start, rest)| {
            let end = rest.trim_start_matches('\u{fffd}');
            core.keys().find(|n| n.starts_with(start) && n[start.len()..].ends_with(end))
        });
        add(&mut out, whole.unwrap_or(&name), instances, bytes);
    }
    out
}

/// What is not equal, class by class; of the classes that HotSpot fills TLABs' ends with (see
/// `compare::tlab_fillers`), jcmd may count some more, as it fills them for its count.
pub fn counted_differently(live: &Counts, core: &Counts) -> Vec<String> {
    let fillers = |name: &str| {
        name == "[I" || name == "java.lang.Object" || name.contains("jdk.internal.vm.Filler")
    };
    live.keys()
        .chain(core.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|n| {
            let (l, c) = (live.get(*n).unwrap_or(&(0, 0)), core.get(*n).unwrap_or(&(0, 0)));
            let filled = fillers(n) && l.0 >= c.0 && l.0 - c.0 <= 40 && l.1 >= c.1;
            l != c && !filled
        })
        .map(|n| format!("{n}: jcmd {:?}, rjcore {:?}", live.get(n), core.get(n)))
        .collect()
}

/// The same where `core` has what a word left over on a stack leads to, and nothing that the attach listener
/// held: at most so many more instances altogether, and so many fewer.
pub fn counted_otherwise(live: &Counts, core: &Counts, more: u64, fewer: u64) -> Vec<String> {
    let (mut above, mut below, mut lines) = (0, 0, Vec::new());
    for name in live.keys().chain(core.keys()).collect::<BTreeSet<_>>() {
        let (l, c) = (live.get(name).unwrap_or(&(0, 0)), core.get(name).unwrap_or(&(0, 0)));
        above += c.0.saturating_sub(l.0);
        below += l.0.saturating_sub(c.0);
        if l != c {
            lines.push(format!("{name}: jcmd {l:?}, rjcore {c:?}"));
        }
    }
    if above > more || below > fewer { lines } else { Vec::new() }
}
