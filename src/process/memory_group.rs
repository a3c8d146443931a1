//! The memory control groups of a process: limits, what is taken, how often a limit was met.
//!
//! Knows the files of both versions of control groups.

use std::fs;
use std::path::Path;

use super::cgroup::{self, Group};
use super::room::{V1, V2};
use crate::format::memory_map::{GroupEvent, MemoryGroup};

/// Version 1 says "no limit" by a number near 2^63.
const NO_LIMIT: u64 = 1 << 62;

/// The group of `pid`, and those above it that have a limit, from the inside out.
pub(crate) fn groups(pid: i32) -> Vec<MemoryGroup> {
    cgroup::groups(pid, "memory").iter().flat_map(up).collect()
}

fn up(own: &Group) -> Vec<MemoryGroup> {
    let dirs = own.dir.ancestors().take_while(|dir| dir.starts_with(&own.root));
    let all = dirs.filter_map(|dir| read(dir, own.unified).map(|group| (dir == own.dir, group)));
    all.filter(|(is_own, group)| *is_own || group.limit.is_some()).map(|(_, group)| group).collect()
}

fn text(dir: &Path, file: &str) -> Option<String> {
    fs::read_to_string(dir.join(file)).ok()
}

/// A number; none where the file says "max".
fn number(dir: &Path, file: &str) -> Option<u64> {
    text(dir, file)?.trim().parse().ok().filter(|n| *n < NO_LIMIT)
}

/// The lines of a file that are a name and a number.
fn lines(dir: &Path, file: &str) -> Vec<GroupEvent> {
    let line = |l: &str| {
        let (name, count) = l.split_once(' ')?;
        Some(GroupEvent { name: name.into(), count: count.trim().parse().ok()? })
    };
    text(dir, file).unwrap_or_default().lines().filter_map(line).collect()
}

fn read(dir: &Path, unified: bool) -> Option<MemoryGroup> {
    let [limit, usage, cache] = if unified { V2 } else { V1 };
    let (limit, usage) = (number(dir, limit), number(dir, usage)?);
    let cache = lines(dir, "memory.stat").into_iter().find(|l| l.name == cache);
    let group = MemoryGroup {
        path: dir.display().to_string(),
        limit,
        usage,
        inactive_file: cache.map_or(0, |l| l.count),
        ..MemoryGroup::default()
    };
    if unified {
        return Some(MemoryGroup {
            swap_limit: number(dir, "memory.swap.max"),
            swap: number(dir, "memory.swap.current"),
            events: lines(dir, "memory.events"),
            ..group
        });
    }
    // In version 1 swap is counted with memory, and events by what version 2 calls them.
    let both = number(dir, "memory.memsw.limit_in_bytes").zip(limit);
    let both_used = number(dir, "memory.memsw.usage_in_bytes");
    let mut events = lines(dir, "memory.oom_control");
    events.retain(|e| e.name == "oom_kill");
    let failed = number(dir, "memory.failcnt");
    events.extend(failed.map(|count| GroupEvent { name: "max".into(), count }));
    Some(MemoryGroup {
        swap_limit: both.map(|(both, limit)| both.saturating_sub(limit)),
        swap: both_used.map(|both| both.saturating_sub(usage)),
        events,
        ..group
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions() {
        let root = tempfile::tempdir().expect("a directory");
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).expect("groups");
        let write = |dir: &Path, files: &[(&str, &str)]| {
            files.iter().for_each(|(name, text)| fs::write(dir.join(name), text).expect("a file"));
        };
        let stat = "anon 5\ninactive_file 100\ntotal_inactive_file 200\n";
        write(
            &inner,
            &[("memory.max", "max\n"), ("memory.current", "700\n"), ("memory.stat", stat)],
        );
        write(&inner, &[("memory.events", "low 0\nmax 3\noom_kill 1\n")]);
        write(&root.path().join("a"), &[("memory.max", "1000\n"), ("memory.current", "900\n")]);
        write(root.path(), &[("memory.current", "5000\n")]);
        let groups = |unified| up(&Group { unified, root: root.path().into(), dir: inner.clone() });
        let found = groups(true);
        let sums: Vec<_> = found.iter().map(|g| (g.limit, g.usage, g.working_set())).collect();
        assert_eq!(sums, [(None, 700, 600), (Some(1000), 900, 900)]);
        let events: Vec<_> = found[0].events.iter().map(|e| (&e.name[..], e.count)).collect();
        assert_eq!(events, [("low", 0), ("max", 3), ("oom_kill", 1)]);
        let huge = "9223372036854771712\n";
        write(&inner, &[("memory.limit_in_bytes", huge), ("memory.usage_in_bytes", "800\n")]);
        write(
            &inner,
            &[("memory.failcnt", "4\n"), ("memory.oom_control", "under_oom 0\noom_kill 2\n")],
        );
        let found = groups(false);
        assert_eq!((found[0].limit, found[0].working_set()), (None, 600));
        let events: Vec<_> = found[0].events.iter().map(|e| (&e.name[..], e.count)).collect();
        assert_eq!(events, [("oom_kill", 2), ("max", 4)]);
    }
}
