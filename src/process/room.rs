//! Whether there is memory for a snapshot: on the machine, and in the target's cgroup, to which
//! the copies of pages that it writes to after a fork are charged.
//!
//! Knows /proc/meminfo and both versions of the cgroup files; changes nothing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use procfs::{FromRead, Meminfo};

use super::cgroup::groups;

/// Room in bytes; `u64::MAX` where nothing limits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
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
    pub(crate) fn read(pid: i32) -> Room {
        let own = std::process::id() as i32;
        let target = MemoryGauge::of(pid);
        let (machine, target, own) =
            (target.machine(), target.group(), MemoryGauge::of(own).group());
        Room { machine, target, own, all_die: all_die(pid) }
    }

    /// What rjcore itself may take, without a target.
    pub(crate) fn here() -> u64 {
        let own = MemoryGauge::of(std::process::id() as i32);
        own.machine().min(own.group())
    }

    /// What rjcore may take for a copy of its own.
    pub(crate) fn for_copy(&self) -> u64 {
        self.machine.min(self.own)
    }
}

/// The memory of the machine, and of the memory cgroup of a process and those above it. Its files stay open, to be looked
/// at again and again.
#[derive(Debug)]
pub(crate) struct MemoryGauge {
    meminfo: Option<File>,
    groups: Vec<Group>,
}

impl MemoryGauge {
    /// Finds the groups of `pid`.
    pub(crate) fn of(pid: i32) -> MemoryGauge {
        let groups = groups(pid, "memory").into_iter();
        let groups = groups.flat_map(|g| up(&g.root, &g.dir, if g.unified { V2 } else { V1 }));
        MemoryGauge { meminfo: File::open("/proc/meminfo").ok(), groups: groups.collect() }
    }

    /// MemAvailable of the machine, in bytes.
    pub(crate) fn machine(&self) -> u64 {
        let text = self.meminfo.as_ref().and_then(text);
        let meminfo = text.and_then(|t| Meminfo::from_read(t.as_bytes()).ok());
        meminfo.and_then(|m| m.mem_available).unwrap_or(u64::MAX)
    }

    /// The least that one of the groups has left, in bytes.
    pub(crate) fn group(&self) -> u64 {
        self.groups.iter().filter_map(Group::left).min().unwrap_or(u64::MAX)
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
pub(super) const V1: Files =
    ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];
pub(super) const V2: Files = ["memory.max", "memory.current", "inactive_file"];

/// A control group's files.
#[derive(Debug)]
struct Group {
    limit: File,
    usage: File,
    stat: Option<File>,
    /// The key of `stat`.
    cache: &'static str,
}

/// A group and those above it, as far as they have such files.
fn up(root: &Path, group: &Path, [limit, usage, cache]: Files) -> Vec<Group> {
    let groups = group.ancestors().take_while(|dir| dir.starts_with(root));
    let opened = groups.filter_map(|dir| {
        let open = |file: &str| File::open(dir.join(file)).ok();
        Some(Group { limit: open(limit)?, usage: open(usage)?, stat: open("memory.stat"), cache })
    });
    opened.collect()
}

impl Group {
    fn left(&self) -> Option<u64> {
        // "max" is no number: no limit.
        let number = |file: &File| text(file)?.trim().parse::<u64>().ok();
        let (limit, usage) = (number(&self.limit)?, number(&self.usage)?);
        let stat = self.stat.as_ref().and_then(text).unwrap_or_default();
        let of_line = |l: &str| l.strip_prefix(self.cache)?.trim().parse().ok();
        let cache = stat.lines().find_map(of_line).unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(cache)))
    }
}

/// What a file of the kernel says now.
fn text(file: &File) -> Option<String> {
    let (mut out, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match file.read_at(&mut piece, out.len() as u64).ok()? {
            0 => return String::from_utf8(out).ok(),
            n => out.extend_from_slice(&piece[..n]),
        }
    }
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
        let left = |files| {
            let groups = up(dir.path(), &dir.path().join("a/b"), files);
            MemoryGauge { meminfo: None, groups }.group()
        };
        assert_eq!(left(V2), 400);
        write("memory.limit_in_bytes", "300\n");
        write("memory.usage_in_bytes", "100\n");
        assert_eq!(left(V1), 200);
        assert!(Room::read(std::process::id() as i32).machine > 1 << 20);
    }
}
