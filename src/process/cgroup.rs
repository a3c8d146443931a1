//! Where a process's control groups lie on this machine, whichever version they are of and wherever they are mounted.
//!
//! Knows /proc/PID/cgroup, the list of mounts, and how a group is frozen.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::ProcessCGroup;
use procfs::process::{MountInfo, Process};

/// A control group, as a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Whether it is of version 2, which has one hierarchy for all controllers.
    pub unified: bool,
    /// Where its hierarchy is mounted: no group lies above.
    pub root: PathBuf,
    /// The group's own directory.
    pub dir: PathBuf,
}

/// The groups of `pid` that may have files of `controller`: version 1's for it, and version 2's.
pub(crate) fn groups(pid: i32, controller: &str) -> Vec<Group> {
    let groups = Process::new(pid).and_then(|p| p.cgroups());
    let mounts = Process::myself().and_then(|p| p.mountinfo());
    let (Ok(groups), Ok(mounts)) = (groups, mounts) else { return Vec::new() };
    groups.0.iter().filter_map(|g| place(g, &mounts.0, controller)).collect()
}

/// A process that the kernel does not let run because of its group (docker pause).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frozen {
    /// The file that says so.
    pub file: PathBuf,
    /// The command that lets it run again.
    pub thaw: String,
}

/// Whether the group of `pid`, or one above, is frozen.
pub(crate) fn frozen(pid: i32) -> Option<Frozen> {
    groups(pid, "freezer").into_iter().find_map(|g| {
        let (state, frozen, asked, file, thawed) = match g.unified {
            true => ("cgroup.events", "frozen 1", "cgroup.freeze", "cgroup.freeze", "0"),
            false => {
                ("freezer.state", "FROZEN", "freezer.self_freezing", "freezer.state", "THAWED")
            }
        };
        let read = |dir: &Path, file: &str| fs::read_to_string(dir.join(file)).unwrap_or_default();
        if !read(&g.dir, state).lines().any(|l| l == frozen) {
            return None;
        }
        // Perhaps a group above is the one that was asked to freeze.
        let mut all = g.dir.ancestors().take_while(|d| d.starts_with(&g.root));
        let group = all.find(|d| read(d, asked).trim() == "1").unwrap_or(&g.dir);
        let thaw = format!("echo {thawed} > {}", group.join(file).display());
        Some(Frozen { file: g.dir.join(state), thaw })
    })
}

fn place(group: &ProcessCGroup, mounts: &[MountInfo], controller: &str) -> Option<Group> {
    let unified = group.hierarchy == 0;
    if !unified && !group.controllers.iter().any(|c| c == controller) {
        return None;
    }
    let mount = mounts.iter().find(|m| match unified {
        true => m.fs_type == "cgroup2",
        false => m.fs_type == "cgroup" && m.super_options.contains_key(controller),
    })?;
    // In a container, what is mounted may be a group within the hierarchy, and another name for it.
    let path = Path::new(&group.pathname);
    let inner = path.strip_prefix(&mount.root).or(path.strip_prefix("/")).ok()?;
    let root = mount.mount_point.clone();
    Some(Group { unified, dir: root.join(inner), root })
}
