//! Threads that have the same stack, together: the largest groups first.

use std::collections::HashMap;
use std::fmt::Write;

use serde::Serialize;

use super::{Frame, Stack, ThreadDump, text};

/// Threads of one stack.
#[derive(Debug, Serialize)]
pub struct Group<'d> {
    /// How many.
    pub count: usize,
    /// `java.lang.Thread.State`, or `virtual`.
    pub state: &'d str,
    /// Their names, in the dump's order.
    pub threads: Vec<&'d str>,
    /// Their frames; what they lock is left out, it is not the same.
    pub frames: Vec<Frame>,
    /// Why the walk ended before the bottom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<&'d str>,
}

/// Groups all Java threads of a dump, virtual ones too.
pub fn groups(d: &ThreadDump) -> Vec<Group<'_>> {
    let mut out: Vec<Group> = Vec::new();
    let mut by_stack: HashMap<(&str, Vec<Frame>), usize> = HashMap::new();
    let mut add = |name, state, s: &'_ Stack, broken| {
        let bare = |f: &Frame| Frame {
            locks: Vec::new(),
            values: Vec::new(),
            kind: "",
            trust: "",
            ..f.clone()
        };
        let frames: Vec<Frame> = s.frames.iter().map(bare).collect();
        let group = *by_stack.entry((state, frames.clone())).or_insert_with(|| {
            out.push(Group { count: 0, state, threads: Vec::new(), frames, broken });
            out.len() - 1
        });
        out[group].count += 1;
        out[group].threads.push(name);
    };
    for t in &d.threads {
        add(t.name.as_str(), t.state.unwrap_or("carrier"), &t.stack, t.stack.broken.as_deref());
        if let Some(c) = &t.carries {
            add(c.name.as_str(), "virtual, mounted", &c.stack, c.stack.broken.as_deref());
        }
    }
    for t in &d.virtual_threads {
        add(t.name.as_str(), "virtual", &t.stack, t.stack.broken.as_deref());
    }
    out.sort_by_key(|g| std::cmp::Reverse(g.count));
    out
}

/// The groups as text, with at most this many names each.
pub fn group_text(d: &ThreadDump) -> String {
    const NAMES: usize = 10;
    let mut out = format!("Thread groups of {}:\n\n", d.vm);
    for g in groups(d) {
        let names: Vec<String> = g.threads.iter().take(NAMES).map(|n| format!("\"{n}\"")).collect();
        let more = g.count - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let count = crate::output::report::count(g.count as u64, "thread", "threads");
        let _ = writeln!(out, "{count}: {}{more}", names.join(", "));
        let _ = writeln!(out, "   java.lang.Thread.State: {}", g.state);
        for f in &g.frames {
            text::frame(f, &mut out);
        }
        if let Some(why) = g.broken {
            let _ = writeln!(out, "\t- (the stack goes on, but cannot be read: {why})");
        }
        out.push('\n');
    }
    out
}
