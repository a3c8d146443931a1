//! Threads that have the same stack, together: the largest groups first.

use std::collections::HashMap;
use std::fmt::Write;
use std::rc::Rc;

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

#[derive(Default)]
struct Groups<'d> {
    all: Vec<Group<'d>>,
    by_stack: HashMap<(&'d str, Vec<Frame>), usize>,
}

impl<'d> Groups<'d> {
    /// The group of a stack.
    fn find(&mut self, state: &'d str, s: &'d Stack) -> usize {
        let bare = |f: &Frame| Frame {
            locks: Vec::new(),
            values: Vec::new(),
            kind: "",
            trust: "",
            ..f.clone()
        };
        let frames: Vec<Frame> = s.frames.iter().map(bare).collect();
        *self.by_stack.entry((state, frames.clone())).or_insert_with(|| {
            let broken = s.broken.as_deref();
            self.all.push(Group { count: 0, state, threads: Vec::new(), frames, broken });
            self.all.len() - 1
        })
    }

    fn add(&mut self, group: usize, name: &'d str) {
        self.all[group].count += 1;
        self.all[group].threads.push(name);
    }
}

/// Groups all Java threads of a dump, virtual ones too.
pub fn groups(d: &ThreadDump) -> Vec<Group<'_>> {
    let mut groups = Groups::default();
    for t in &d.threads {
        let group = groups.find(t.state.unwrap_or("carrier"), &t.stack);
        groups.add(group, &t.name);
        if let Some(c) = &t.carries {
            let group = groups.find("virtual, mounted", &c.stack);
            groups.add(group, &c.name);
        }
    }
    // Those that share a stack are looked up by it once.
    let mut shared: HashMap<*const Stack, usize> = HashMap::new();
    for t in &d.virtual_threads {
        let group = shared.entry(Rc::as_ptr(&t.stack));
        let group = *group.or_insert_with(|| groups.find("virtual", &t.stack));
        groups.add(group, &t.name);
    }
    let mut out = groups.all;
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
