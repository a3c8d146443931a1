//! Instances and bytes per class, as jcmd and rjcore count them.

use super::{rjcore, text};
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

/// `rjcore histo --json`: {"classes": [{"name": "[B", "instances": 1, "bytes": 16}, ...], ...}.
pub fn rjcore_histogram(core: &Path, more: &[&str]) -> Counts {
    let json = text(rjcore().arg("histo").arg(core).arg("--json").args(more));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let mut counts = Counts::new();
    for c in json["classes"].as_array().expect("classes") {
        let number = |key: &str| c[key].as_u64().unwrap_or_else(|| panic!("no {key} in {c}"));
        add(&mut counts, c["name"].as_str().expect("name"), number("instances"), number("bytes"));
    }
    counts
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
