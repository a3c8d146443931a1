//! A flame graph of the threads at the moment of the core, as SVG: as wide as threads are many.

use std::io::{self, Write};

use inferno::flamegraph::{self, Options};

use super::{Part, Stack, ThreadDump};
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
        let name = |part: Part| match part {
            Part::Java(f) => format!("{}.{}", f.class, f.method),
            Part::Native(f) => f.function.clone().unwrap_or_else(|| {
                let path = f.library.as_deref().unwrap_or("(no library)");
                path.rsplit('/').next().unwrap_or(path).to_owned()
            }),
            Part::NativeEnd(_) => "(not read)".to_owned(),
        };
        let broken = s.broken.as_ref().map(|_| "(not read)".to_owned());
        let mut all: Vec<String> = s.parts().map(name).chain(broken).collect();
        all.reverse();
        // What flame graphs part frames by.
        all.iter_mut().for_each(|n| *n = n.replace(';', ":"));
        (!all.is_empty()).then(|| format!("{} 1", all.join(";")))
    };
    let java = d
        .threads
        .iter()
        .flat_map(|t| [line(&t.stack), t.carries.as_ref().and_then(|c| line(&c.stack))]);
    let unmounted = d.virtual_threads.iter().map(|t| line(&t.stack));
    let others = d.vm_threads.iter().chain(&d.other_threads);
    let others = others.map(|t| line(t.stack.as_ref()?));
    let mut out: Vec<String> = java.chain(unmounted).chain(others).flatten().collect();
    out.sort();
    // A picture must show something.
    if out.is_empty() {
        out.push("(no Java frames) 1".into());
    }
    out
}
