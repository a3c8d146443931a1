//! What lies around a JVM: its namespaces and files, its cgroup, and the room for a dump.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::fstat;

use super::diagnosis::{Findings, Reason, Weight};
use super::files::FilePlace;
use super::jvm::JvmFacts;
use super::mounts;
use super::target::Target;
use crate::process::room::Room;

/// Less than this left in its cgroup, and a dump (its buffers, the page cache) may end the JVM.
const LEAST_MEMORY: u64 = 64 << 20;

/// Other process ids, and other files under the same names; `directory` is where it has its
/// temporary ones.
pub(super) fn places(target: &Target, directory: &str, f: &mut Findings) {
    let pid = target.pid();
    let ids = target.facts.status.nspid.as_ref().map_or(1, Vec::len);
    if target.shares("pid").unwrap_or(ids == 1) && ids == 1 {
        // The same ids here and there.
    } else {
        f.add(
            Weight::Note,
            Reason::OtherPids,
            format!("it lives in another PID namespace, where it is {}", target.facts.inner),
            format!("NSpid in /proc/{pid}/status"),
            String::new(),
        );
    }
    let tmp = |path: PathBuf| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let own = tmp(directory.into());
    let theirs = target.reach(directory.as_ref()).ok().and_then(|r| {
        let stat = fstat(&r.directory).ok()?;
        Some((stat.st_dev, stat.st_ino))
    });
    let same_tmp = match theirs {
        Some(theirs) => Some(own == Some(theirs)),
        None => mounts::same(pid, Path::new(directory)),
    };
    // Equal mounts mean an equal root, too; of other ones nobody knows which of both it is.
    let mounts = mounts::same_all(pid);
    let all = [
        (target.shares("mnt").or(mounts), "mount namespace"),
        (target.shares_root().or(mounts.filter(|same| *same)), "root"),
        (same_tmp, directory),
    ];
    let of = |wanted: Option<bool>| -> Vec<&str> {
        all.iter().filter(|(same, _)| *same == wanted).map(|(_, name)| *name).collect()
    };
    let (others, unseen) = (of(Some(false)), of(None));
    if !others.is_empty() {
        f.add(
            Weight::Note,
            Reason::OtherFiles,
            format!("it has another {}: files that it writes lie there", others.join(", ")),
            format!("/proc/{pid}/ns/mnt, /proc/{pid}/root, /proc/{pid}/mountinfo"),
            format!("look for them under /proc/{pid}/root"),
        );
    }
    if !unseen.is_empty() && !f.has(Reason::UnseenFiles) {
        f.add(
            Weight::Note,
            Reason::UnseenFiles,
            format!("whether it has another {} could not be seen", unseen.join(", ")),
            format!("/proc/{pid}/root and /proc/{pid}/ns/mnt are not shown to rjcore"),
            String::new(),
        );
    }
}

/// Whether a dump has room, in memory and on the disk.
pub(super) fn room(target: &Target, facts: &JvmFacts, f: &mut Findings) {
    let pid = target.pid();
    let room = Room::read(pid);
    let least = room.target.min(room.machine);
    if least < LEAST_MEMORY {
        f.add(
            Weight::Warning,
            Reason::Memory,
            format!("{} MB of memory are left to it: a dump may end it", least >> 20),
            match room.target < room.machine {
                true => "the limit of its cgroup".into(),
                false => "MemAvailable in /proc/meminfo".into(),
            },
            "free some first".into(),
        );
    }
    let place = FilePlace::of(target, Path::new("heap.hprof"));
    let free = place.as_ref().ok().and_then(|p| Some((p.here.parent()?.to_owned(), p.free()?)));
    if let (Some((directory, free)), Some(used)) = (free, facts.jvm.heap_used)
        && free < used
    {
        f.add(
            Weight::Warning,
            Reason::Disk,
            format!("a dump would take some {} MB, and {} MB are free", used >> 20, free >> 20),
            directory.display().to_string(),
            "give a file elsewhere".into(),
        );
    }
}
