//! Small formats: the counters of jvmstat, and words that people or targets give.

use std::collections::HashSet;

use crate::native::fuzzed;
use crate::output::find::Query;
use crate::perfdata as counters;
use crate::process::maps;

/// A PerfData region.
pub(super) fn perfdata(data: &[u8]) {
    for counter in counters::parse(data).values() {
        let _ = (counter.number(), counter.text());
    }
}

pub(super) fn perfdata_seeds() -> Vec<Vec<u8>> {
    // PerfDataPrologue, then entries: perfMemory.hpp.
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let entry = |kind: u8, len: u32, name: &[u8], value: &[u8]| {
        let name_at = 20;
        let value_at = (name_at + name.len() as u32 + 1).next_multiple_of(8);
        let mut out = words(&[value_at + value.len() as u32, name_at, len]);
        out.extend([kind, 0, 1, 3]);
        out.extend(value_at.to_le_bytes());
        out.extend(name);
        out.resize(value_at as usize, 0);
        out.extend(value);
        out
    };
    let entries = [
        entry(b'J', 0, b"sun.rt.createVmEndTime", &77u64.to_le_bytes()),
        entry(b'B', 8, b"java.rt.vmArgs", b"-Xmx1g\0\0"),
    ];
    let mut out = words(&[0xc0c0_feca]);
    out.extend([1, 2, 0, 1]);
    out.extend(words(&[32 + entries.concat().len() as u32, 0, 0, 0, 32, 2]));
    out.extend(entries.concat());
    vec![out]
}

/// Names of C++, lines of /proc/PID/maps, expressions of `find`.
pub(super) fn words(data: &[u8]) {
    fuzzed::name(data);
    let lines: HashSet<&[u8]> = data.split(|b| *b == b'\n').collect();
    for mapping in lines.into_iter().filter_map(maps::parse) {
        let _ = (mapping.bytes(), mapping.clean(), mapping.is_needed());
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Err(mistake) = Query::parse(text, 5)
    {
        let _ = mistake.text(text);
    }
}

pub(super) fn word_seeds() -> Vec<Vec<u8>> {
    [
        "_ZN10JavaThread3runEv",
        "_ZNSt6vectorIiSaIiEE9push_backERKi",
        "_Z1fI1aI1aIiEES0_EvT_S1_",
        "7f0000000000-7f0000001000 r-xp 00001000 08:01 77                         /opt/x y (deleted)\n",
        "class=java.lang.String and retained>1K",
        "not (size>=16 or text=\"a*b\") and field.name=\"x\" and length<4",
        "package=com.acme.* and referrers>0",
    ]
    .map(|t| t.as_bytes().to_vec())
    .into()
}
