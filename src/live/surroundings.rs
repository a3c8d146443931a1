//! What lies around a JVM: its namespaces and files, its cgroup, and the room for a dump.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::diagnosis::{Findings, Reason, Weight};
use super::files::Place;
use super::jvm::Told;
use super::target::Target;
use crate::capture::room::Room;

/// Less than this left in its cgroup, and a dump (its buffers, the page cache) may end the JVM.
const LEAST_MEMORY: u64 = 64 << 20;

/// Other process ids, and other files under the same names.
pub(super) fn places(target: &Target, f: &mut Findings) {
    let pid = target.pid();
    if target.shares("pid") == Some(false) {
        f.add(
            Weight::Note,
            Reason::OtherPids,
            format!("it lives in another PID namespace, where it is {}", target.facts.inner),
            format!("NSpid in /proc/{pid}/status"),
            String::new(),
        );
    }
    let tmp = |path: String| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let own_tmp = tmp("/tmp".into()) == tmp(format!("/proc/{pid}/root/tmp"));
    let others = [
        (target.shares("mnt") == Some(false), "mount namespace"),
        (target.shares_root() == Some(false), "root"),
        (!own_tmp, "/tmp"),
    ];
    let others: Vec<&str> = others.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    if !others.is_empty() {
        f.add(
            Weight::Note,
            Reason::OtherFiles,
            format!("it has another {}: files that it writes lie there", others.join(", ")),
            format!("/proc/{pid}/ns/mnt, /proc/{pid}/root"),
            format!("look for them under /proc/{pid}/root"),
        );
    }
}

/// Whether a dump has room, in memory and on the disk.
pub(super) fn room(target: &Target, told: &Told, f: &mut Findings) {
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
    let place = Place::of(target, Path::new("heap.hprof"));
    let free = place.as_ref().ok().and_then(|p| Some((p.here.parent()?.to_owned(), p.free()?)));
    if let (Some((directory, free)), Some(used)) = (free, told.jvm.heap_used)
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
