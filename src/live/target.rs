//! A process as the other modules see it: what /proc says, its threads, and whether it is a JVM.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::identity::Identity;
use crate::capture::maps::{self, Mapping};
use crate::capture::process::{Facts, Thread, ids};

/// What makes a process a JVM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hotspot {
    /// It has this mapped.
    Mapped(Box<Mapping>),
    /// Its maps may not be looked at, but its threads are called as HotSpot's are.
    ByThreads,
    /// It is none.
    No,
}

/// A process.
#[derive(Debug)]
pub struct Target {
    /// Ids, state, signals.
    pub facts: Facts,
    /// Its arguments, as the kernel has them.
    pub arguments: Vec<String>,
    /// All its threads that still run.
    pub threads: Vec<Thread>,
    /// What makes it a JVM.
    pub hotspot: Hotspot,
    /// The file of its counters, if it has one mapped.
    counters: Option<Mapping>,
    /// Its user as it started, in case that it changed.
    pub effective: Identity,
}

/// The largest libjvm.so, one with debug information, has 500 MB.
const MAX_FILE: u64 = 1 << 30;

/// Names of threads that each HotSpot from 8 on has once it runs, as long as the kernel lets them
/// be (15 characters).
pub const VM_THREAD: &str = "VM Thread";
const SIGNAL_DISPATCHER: &str = "Signal Dispatch";
const VM_PERIODIC: &str = "VM Periodic Tas";
/// The one that serves the attach door.
pub const ATTACH_LISTENER: &str = "Attach Listener";

impl Target {
    /// Reads it; errors are those of /proc.
    pub fn read(pid: i32) -> io::Result<Target> {
        let facts = Facts::read(pid)?;
        let arguments = fs::read(format!("/proc/{pid}/cmdline"))?;
        let arguments = strings(&arguments);
        let threads = threads(pid);
        let (hotspot, counters) = match maps::read(pid) {
            Ok(maps) => {
                let libjvm = maps.iter().find(|m| maps::is_libjvm(m)).cloned();
                let path = |m: &Mapping| String::from_utf8_lossy(m.clean()).into_owned();
                let counters = maps.iter().find(|m| maps::is_counters(&path(m))).cloned();
                (libjvm.map_or(Hotspot::No, |m| Hotspot::Mapped(Box::new(m))), counters)
            }
            Err(_) => {
                let has = |name: &str| threads.iter().any(|t| t.name == name);
                let vm = has(VM_THREAD) && (has(SIGNAL_DISPATCHER) || has(VM_PERIODIC));
                (if vm { Hotspot::ByThreads } else { Hotspot::No }, None)
            }
        };
        let effective = Identity { uid: facts.status.euid, gid: facts.status.egid };
        Ok(Target { facts, arguments, threads, hotspot, counters, effective })
    }

    /// Its id here.
    pub fn pid(&self) -> i32 {
        self.facts.pid
    }

    /// The thread of this name.
    pub fn thread(&self, name: &str) -> Option<&Thread> {
        self.threads.iter().find(|t| t.name == name)
    }

    /// Whether it is still the process that was looked at, not another one with its id.
    pub fn is_same(&self) -> bool {
        Facts::read(self.pid()).is_ok_and(|f| f.stat.starttime == self.facts.stat.starttime)
    }

    /// The variables of its environment that hold options of the VM; empty if it may not be
    /// looked at.
    pub fn environment(&self) -> Vec<(String, String)> {
        let all = fs::read(format!("/proc/{}/environ", self.pid())).unwrap_or_default();
        let pair = |s: String| s.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
        strings(&all).into_iter().filter_map(pair).collect()
    }

    /// The bytes of the counters' file; `None` without one, or without the right to read it.
    pub fn counters(&self) -> Option<Vec<u8>> {
        self.open(self.counters.as_ref()?)
    }

    /// The bytes of a file that it has mapped, if it is still the one that a path leads to.
    pub fn open(&self, m: &Mapping) -> Option<Vec<u8>> {
        let right = |path: &PathBuf| fs::metadata(path).is_ok_and(|d| d.ino() == m.file.1);
        let file = fs::File::open(self.paths(m).into_iter().find(right)?).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Where a file that it has mapped may be found from here: by the kernel's own link, which
    /// only root may use, by its root, by its bare name.
    pub fn paths(&self, m: &Mapping) -> Vec<PathBuf> {
        let pid = self.pid();
        let name = String::from_utf8_lossy(m.clean()).into_owned();
        vec![
            format!("/proc/{pid}/map_files/{:x}-{:x}", m.start, m.end).into(),
            format!("/proc/{pid}/root{name}").into(),
            name.into(),
        ]
    }

    /// Whether a namespace of it (`mnt`, `pid`, `user`) is that of this process; `None` if it
    /// may not be looked at.
    pub fn shares(&self, namespace: &str) -> Option<bool> {
        let link = |who: &str| fs::read_link(format!("/proc/{who}/ns/{namespace}")).ok();
        Some(link("self")? == link(&self.pid().to_string())?)
    }

    /// Whether its root is that of this process.
    pub fn shares_root(&self) -> Option<bool> {
        let id = |path: String| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
        Some(id("/proc/self/root/.".into())? == id(format!("/proc/{}/root/.", self.pid()))?)
    }
}

fn strings(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|b| *b == 0).map(|s| String::from_utf8_lossy(s).into_owned()).collect()
}

/// The threads of a process that still run.
pub fn threads(pid: i32) -> Vec<Thread> {
    let mut tids = ids(&format!("/proc/{pid}/task")).unwrap_or_default();
    tids.sort_unstable();
    tids.into_iter().filter_map(|tid| Thread::read(pid, tid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ourselves() {
        let own = std::process::id() as i32;
        let target = Target::read(own).expect("ourselves");
        assert_eq!(target.hotspot, Hotspot::No);
        assert_eq!(target.arguments, std::env::args().collect::<Vec<_>>());
        assert!(target.is_same() && target.threads.iter().any(|t| t.tid == own));
        assert_eq!((target.shares("mnt"), target.shares_root()), (Some(true), Some(true)));
        assert_eq!(target.effective, Identity::own());
        assert_eq!(target.counters(), None);
        assert_eq!(strings(b"a\0\0b\0"), ["a", "", "b"]);
        assert_eq!(strings(b""), [""; 0]);
    }
}
