//! Threads that have the same stack, together: the largest groups first.

use std::collections::HashMap;
use std::fmt::Write;
use std::rc::Rc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Place, Role, Stack, ThreadDump, text};
use crate::error::Remark;

/// Threads of one stack.
#[derive(Debug, Serialize)]
pub struct Group<'d> {
    /// How many.
    pub count: usize,
    /// What they are and do.
    #[serde(flatten, serialize_with = "kind_and_state")]
    pub role: Role,
    /// Their names, in the dump's order.
    pub threads: Vec<&'d str>,
    /// Where their frames are; what else there is of a frame is not the same in all threads.
    pub frames: Vec<&'d Place>,
    /// Why the walk ended before the bottom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<&'d Remark>,
}

/// A role as JSON has it: what the threads are, and of Java threads their state.
fn kind_and_state<S: Serializer>(role: &Role, s: S) -> Result<S::Ok, S::Error> {
    let mut map = s.serialize_map(Some(2))?;
    map.serialize_entry("kind", role.code())?;
    map.serialize_entry("state", &role.state())?;
    map.end()
}

#[derive(Default)]
struct Groups<'d> {
    all: Vec<Group<'d>>,
    by_stack: HashMap<(Role, Vec<&'d Place>), usize>,
}

impl<'d> Groups<'d> {
    /// The group of a stack.
    fn find(&mut self, role: Role, s: &'d Stack) -> usize {
        let frames: Vec<&Place> = s.frames.iter().map(|f| &f.place).collect();
        *self.by_stack.entry((role, frames.clone())).or_insert_with(|| {
            let broken = s.broken.as_ref();
            self.all.push(Group { count: 0, role, threads: Vec::new(), frames, broken });
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
        let group = groups.find(Role::of(t), &t.stack);
        groups.add(group, &t.name);
        if let Some(c) = &t.carries {
            let group = groups.find(Role::MountedVirtual, &c.stack);
            groups.add(group, &c.name);
        }
    }
    // Those that share a stack are looked up by it once.
    let mut shared: HashMap<*const Stack, usize> = HashMap::new();
    for t in &d.virtual_threads {
        let group = shared.entry(Rc::as_ptr(&t.stack));
        let group = *group.or_insert_with(|| groups.find(Role::Virtual, &t.stack));
        groups.add(group, &t.name);
    }
    let mut out = groups.all;
    out.sort_by_key(|g| std::cmp::Reverse(g.count));
    out
}

/// The groups as text, with at most this many names each.
pub fn group_text(vm: &str, groups: &[Group]) -> String {
    const NAMES: usize = 10;
    let mut out = format!("Thread groups of {vm}:\n\n");
    for g in groups {
        let names: Vec<String> = g.threads.iter().take(NAMES).map(|n| format!("\"{n}\"")).collect();
        let more = g.count - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let count = crate::output::report::count(g.count as u64, "thread", "threads");
        let _ = writeln!(out, "{count}: {}{more}", names.join(", "));
        let _ = writeln!(out, "   java.lang.Thread.State: {}", g.role);
        for f in &g.frames {
            text::frame(f, &mut out);
        }
        if let Some(Remark { text, .. }) = g.broken {
            let _ = writeln!(out, "\t- (the stack goes on, but cannot be read: {text})");
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::stack::JavaState;

    #[test]
    fn kinds_and_states() {
        let json = |role| {
            let (threads, frames) = (Vec::new(), Vec::new());
            let group = Group { count: 0, role, threads, frames, broken: None };
            let json = serde_json::to_value(&group).expect("JSON");
            (json["kind"].clone(), json["state"].clone())
        };
        let null = serde_json::Value::Null;
        let parked = Role::Platform(Some(JavaState::Parked));
        assert_eq!(json(parked), ("platform".into(), "WAITING (parking)".into()));
        // Attached, and without a java.lang.Thread yet.
        assert_eq!(json(Role::Platform(None)), ("platform".into(), null.clone()));
        assert_eq!(json(Role::Carrier), ("carrier".into(), null));
    }
}
