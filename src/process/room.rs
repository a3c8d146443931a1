//! Whether there is memory for a snapshot: on the machine, and in the target's cgroup, to which
//! the copies of pages that it writes to after a fork are charged.
//!
//! Knows /proc/meminfo and both versions of the cgroup files; changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::{Current, Meminfo};

use super::cgroup::groups;

/// Room in bytes; `u64::MAX` where nothing limits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// MemAvailable of the machine.
    pub machine: u64,
    /// What the target's cgroups still let it take.
    pub target: u64,
    /// What rjcore's own cgroups still let it take.
    pub own: u64,
    /// At the limit of the target's cgroup all processes in it are killed, not only the first that
    /// can be spared (memory.oom.group; Kubernetes sets it).
    pub all_die: bool,
}

impl Room {
    /// Reads it for the target `pid`.
    pub fn read(pid: i32) -> Room {
        let own = std::process::id() as i32;
        let (target, own) = (Gauge::of(pid).left(), Gauge::of(own).left());
        Room { machine: on_machine(), target, own, all_die: all_die(pid) }
    }

    /// What rjcore may take for a copy of its own.
    pub fn for_copy(&self) -> u64 {
        self.machine.min(self.own)
    }
}

/// MemAvailable of the machine, in bytes.
pub fn on_machine() -> u64 {
    Meminfo::current().ok().and_then(|m| m.mem_available).unwrap_or(u64::MAX)
}

/// The memory cgroup of a process and those above it, to be looked at again and again.
#[derive(Debug)]
pub struct Gauge(Vec<(PathBuf, Files)>);

impl Gauge {
    /// Finds the groups of `pid`.
    pub fn of(pid: i32) -> Gauge {
        let groups = groups(pid, "memory").into_iter();
        Gauge(groups.flat_map(|g| up(&g.root, &g.dir, if g.unified { V2 } else { V1 })).collect())
    }

    /// The least that one of them has left, in bytes.
    pub fn left(&self) -> u64 {
        self.0.iter().filter_map(|(dir, files)| room_of(dir, *files)).min().unwrap_or(u64::MAX)
    }
}

/// Whether the group of `pid`, or one above, is killed as a whole.
fn all_die(pid: i32) -> bool {
    groups(pid, "memory").iter().filter(|g| g.unified).any(|g| {
        let mut dirs = g.dir.ancestors().take_while(|d| d.starts_with(&g.root));
        dirs.any(|d| fs::read_to_string(d.join("memory.oom.group")).is_ok_and(|s| s.trim() == "1"))
    })
}

/// Limit, usage, and what of the usage is page cache that can be dropped (a key of memory.stat).
type Files = [&'static str; 3];
const V1: Files = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];
const V2: Files = ["memory.max", "memory.current", "inactive_file"];

/// A group and those above it.
fn up(root: &Path, group: &Path, files: Files) -> Vec<(PathBuf, Files)> {
    let groups = group.ancestors().take_while(|dir| dir.starts_with(root));
    groups.map(|dir| (dir.to_owned(), files)).collect()
}

fn room_of(group: &Path, [limit, usage, cache]: Files) -> Option<u64> {
    let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok();
    // "max" is no number: no limit.
    let (limit, usage): (u64, u64) = (number(limit)?, number(usage)?);
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|l| l.strip_prefix(cache)?.trim().parse().ok()).unwrap_or(0);
    Some(limit.saturating_sub(usage.saturating_sub(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_cgroups() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            fs::create_dir_all(dir.path().join("a/b")).expect("groups");
            fs::write(dir.path().join(name), text).expect("a file");
        };
        write("memory.max", "max\n");
        write("a/memory.max", "1000\n");
        write("a/memory.current", "700\n");
        write("a/memory.stat", "anon 5\ninactive_file 100\n");
        write("a/b/memory.max", "5000\n");
        write("a/b/memory.current", "10\n");
        let left = |files| Gauge(up(dir.path(), &dir.path().join("a/b"), files)).left();
        assert_eq!(left(V2), 400);
        write("memory.limit_in_bytes", "300\n");
        write("memory.usage_in_bytes", "100\n");
        assert_eq!(left(V1), 200);
        assert!(Room::read(std::process::id() as i32).machine > 1 << 20);
    }
}
