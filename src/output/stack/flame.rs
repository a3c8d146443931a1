//! A flame graph of the threads at the moment of the core, as SVG: as wide as threads are many.

use std::io::{self, Write};

use inferno::flamegraph::{self, Options};

use super::{Stack, ThreadDump};
use crate::error::{Error, Result};

/// Writes the SVG. The same core gives the same picture.
pub fn write(d: &ThreadDump, out: &mut dyn Write) -> Result<()> {
    let lines = lines(d);
    let mut options = Options::default();
    options.title = "Threads".into();
    options.subtitle = Some(d.vm.clone());
    options.count_name = "threads".into();
    options.deterministic = true;
    let lines = lines.iter().map(String::as_str);
    let drawn = flamegraph::from_lines(&mut options, lines, out);
    drawn.map_err(|e: io::Error| Error::from_write(e))
}

/// Stacks as flame graphs take them: outermost frame first, a count behind; sorted.
fn lines(d: &ThreadDump) -> Vec<String> {
    let line = |s: &Stack| {
        let frames = s.frames.iter().rev().map(|f| format!("{}.{}", f.class, f.method));
        let broken = s.broken.as_ref().map(|_| "(not read)".to_owned());
        let all: Vec<String> = broken.into_iter().chain(frames).collect();
        (!all.is_empty()).then(|| format!("{} 1", all.join(";")))
    };
    let java = d
        .threads
        .iter()
        .flat_map(|t| [line(&t.stack), t.carries.as_ref().and_then(|c| line(&c.stack))]);
    let unmounted = d.virtual_threads.iter().map(|t| line(&t.stack));
    let mut out: Vec<String> = java.chain(unmounted).flatten().collect();
    out.sort();
    // A picture must show something.
    if out.is_empty() {
        out.push("(no Java frames) 1".into());
    }
    out
}
