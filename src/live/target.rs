//! A process as the other modules see it: what /proc says, its threads, and whether it is a JVM.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;

use super::identity::{Identity, Rights};
use super::mounts;
use crate::format::files::is_counters;
use crate::process::facts::{Facts, Thread, ids};
use crate::process::maps::{self, Mapping};

/// What makes a process a JVM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hotspot {
    /// It has this mapped.
    Mapped(Box<Mapping>),
    /// Its maps may not be looked at, but its threads are called as HotSpot's are.
    ByThreads,
    /// It is none.
    No,
}

/// A process.
#[derive(Debug)]
pub(crate) struct Target {
    /// Ids, state, signals.
    pub facts: Facts,
    /// Its arguments, as the kernel has them.
    pub arguments: Vec<String>,
    /// All its threads that still run.
    pub threads: Vec<Thread>,
    /// What makes it a JVM.
    pub hotspot: Hotspot,
    /// The libjvm.so files that it runs code of: one, but for launchers that probe several.
    pub libjvms: Vec<Mapping>,
    /// The file of its counters, if it has one mapped.
    counters: Option<Mapping>,
    /// Its effective user and group.
    pub effective: Identity,
    /// What it may do.
    pub rights: Rights,
}

/// A directory of a process's, as it is reached from here.
#[derive(Debug)]
pub(crate) struct ReachedDirectory {
    /// Opened for its path only (O_PATH).
    pub directory: OwnedFd,
    /// Its name from here.
    pub path: PathBuf,
    /// Its name to the process.
    pub inside: String,
}

/// The largest libjvm.so, one with debug information, has 500 MB.
const MAX_FILE: u64 = 1 << 30;
/// A file of options is shorter.
const MAX_TEXT: u64 = 1 << 20;

/// Names of threads that each HotSpot from 8 on has once it runs, as long as the kernel lets them
/// be (15 characters).
pub(crate) const VM_THREAD: &str = "VM Thread";
const SIGNAL_DISPATCHER: &str = "Signal Dispatch";
const VM_PERIODIC: &str = "VM Periodic Tas";
/// The one that serves the attach door.
pub(crate) const ATTACH_LISTENER: &str = "Attach Listener";

impl Target {
    /// Reads it; errors are those of /proc.
    pub(crate) fn read(pid: i32) -> io::Result<Target> {
        let facts = Facts::read(pid)?;
        let arguments = fs::read(format!("/proc/{pid}/cmdline"))?;
        let arguments = strings(&arguments);
        let threads = threads(pid);
        let effective = Identity { uid: facts.status.euid, gid: facts.status.egid };
        let rights = Rights {
            ids: effective,
            groups: facts.status.groups.clone(),
            capabilities: if same_users(pid) { facts.status.capeff } else { 0 },
        };
        let mut libjvms = Vec::new();
        let (hotspot, counters) = match look(&rights, || maps::read(pid)) {
            Ok(maps) => {
                libjvms = maps::libjvms(&maps).cloned().collect();
                let libjvm = libjvms.first().cloned();
                let path = |m: &Mapping| String::from_utf8_lossy(m.clean()).into_owned();
                let counters = maps.iter().find(|m| is_counters(&path(m))).cloned();
                (libjvm.map_or(Hotspot::No, |m| Hotspot::Mapped(Box::new(m))), counters)
            }
            Err(_) => {
                let has = |name: &str| threads.iter().any(|t| t.name == name);
                let vm = has(VM_THREAD) && (has(SIGNAL_DISPATCHER) || has(VM_PERIODIC));
                (if vm { Hotspot::ByThreads } else { Hotspot::No }, None)
            }
        };
        Ok(Target { facts, arguments, threads, hotspot, libjvms, counters, effective, rights })
    }

    /// Looks at what the kernel shows of a process to itself, to its user and to CAP_SYS_PTRACE:
    /// as this process, and where that is refused once more with the process's own rights.
    pub(crate) fn look<T: Send>(&self, at: impl Fn() -> io::Result<T> + Sync) -> io::Result<T> {
        look(&self.rights, at)
    }

    /// Opens a directory that the process names `inside`: through its root, else, where the
    /// kernel does not show that, under the same name here if it is the same directory.
    pub(crate) fn reach(&self, inside: &Path) -> io::Result<ReachedDirectory> {
        let pid = self.pid();
        let name = inside.to_string_lossy().into_owned();
        let below = inside.strip_prefix("/").unwrap_or(inside);
        let root = format!("/proc/{pid}/root");
        let through = self.look(|| {
            let root = openat(CWD, root.as_str(), DIRECTORY, Mode::empty())?;
            let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
            // Links with absolute names are meant from the process's root.
            match openat2(&root, below, DIRECTORY, Mode::empty(), ResolveFlags::IN_ROOT) {
                Err(Errno::NOSYS) => Ok(openat(&root, below, DIRECTORY, Mode::empty())?),
                other => Ok(other?),
            }
        });
        match through {
            Ok(directory) => {
                let path = Path::new(&root).join(below);
                // The short name where both mean the same.
                let own = fs::metadata(inside).ok().map(|m| (m.dev(), m.ino()));
                let there = fstat(&directory).ok().map(|s| (s.st_dev, s.st_ino));
                let path = if own.is_some() && own == there { inside.to_owned() } else { path };
                Ok(ReachedDirectory { directory, path, inside: name })
            }
            Err(e)
                if e.kind() == io::ErrorKind::PermissionDenied
                    && mounts::same(pid, inside) == Some(true) =>
            {
                let directory = openat(CWD, inside, DIRECTORY, Mode::empty()).map_err(|_| e)?;
                Ok(ReachedDirectory { directory, path: inside.to_owned(), inside: name })
            }
            Err(e) => Err(e),
        }
    }

    /// Opens the process's working directory, for its path only.
    pub(crate) fn working_directory(&self) -> io::Result<OwnedFd> {
        let link = format!("/proc/{}/cwd", self.pid());
        self.look(|| Ok(openat(CWD, link.as_str(), DIRECTORY, Mode::empty())?))
    }

    /// Of several libjvm.so, takes the one that begins at `start` for the JVM's.
    pub(crate) fn choose(&mut self, start: u64) {
        if let Some(libjvm) = self.libjvms.iter().find(|m| m.start == start) {
            self.hotspot = Hotspot::Mapped(Box::new(libjvm.clone()));
        }
    }

    /// Its id here.
    pub(crate) fn pid(&self) -> i32 {
        self.facts.pid
    }

    /// The thread of this name.
    pub(crate) fn thread(&self, name: &str) -> Option<&Thread> {
        self.threads.iter().find(|t| t.name == name)
    }

    /// Whether it is still the process that was looked at, not another one with its id.
    pub(crate) fn is_same(&self) -> bool {
        Facts::read(self.pid()).is_ok_and(|f| f.stat.starttime == self.facts.stat.starttime)
    }

    /// The variables of its environment; `None` if they may not be looked at.
    pub(crate) fn environment(&self) -> Option<Vec<(String, String)>> {
        let path = format!("/proc/{}/environ", self.pid());
        let all = self.look(|| fs::read(&path)).ok()?;
        let pair = |s: String| s.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
        Some(strings(&all).into_iter().filter_map(pair).collect())
    }

    /// A small text that the process names `file`, from its working directory if relative; `None`
    /// if it cannot be read.
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        let file = Path::new(file);
        let (directory, name) = (file.parent()?, file.file_name()?);
        let directory = match directory.is_absolute() {
            true => self.reach(directory).ok()?.directory,
            false => {
                let below =
                    if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
                let cwd = self.working_directory().ok()?;
                self.look(|| Ok(openat(&cwd, below, DIRECTORY, Mode::empty())?)).ok()?
            }
        };
        let read = || -> io::Result<String> {
            // A fifo would wait for a writer.
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let file = fs::File::from(openat(&directory, name, flags, Mode::empty())?);
            let mut text = Vec::new();
            file.take(MAX_TEXT).read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        self.look(read).ok()
    }

    /// The bytes of the counters' file; `None` without one, or without the right to read it.
    pub(crate) fn counters(&self) -> Option<Vec<u8>> {
        self.open(self.counters.as_ref()?)
    }

    /// The bytes of a file that it has mapped, if it is still the one that a path leads to.
    pub(crate) fn open(&self, m: &Mapping) -> Option<Vec<u8>> {
        self.paths(m).into_iter().find_map(|path| {
            let read = || -> io::Result<Option<Vec<u8>>> {
                let file = fs::File::open(&path)?;
                if file.metadata()?.ino() != m.file.1 {
                    return Ok(None);
                }
                let mut bytes = Vec::new();
                file.take(MAX_FILE).read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            };
            self.look(read).ok()?
        })
    }

    /// Where a file that it has mapped may be found from here: by the kernel's own link, which
    /// only root may use, by its root, by its bare name.
    pub(crate) fn paths(&self, m: &Mapping) -> Vec<PathBuf> {
        let pid = self.pid();
        let name = String::from_utf8_lossy(m.clean()).into_owned();
        vec![
            format!("/proc/{pid}/map_files/{:x}-{:x}", m.start, m.end).into(),
            format!("/proc/{pid}/root{name}").into(),
            name.into(),
        ]
    }

    /// Whether a namespace of it (`mnt`, `pid`, `user`) is that of this process; `None` if that
    /// is not to be seen.
    pub(crate) fn shares(&self, namespace: &str) -> Option<bool> {
        shares(&self.rights, self.pid(), namespace)
    }

    /// Whether its root is that of this process; `None` if that is not to be seen.
    pub(crate) fn shares_root(&self) -> Option<bool> {
        let id = |path: String| fs::metadata(path).map(|m| (m.dev(), m.ino()));
        let other = format!("/proc/{}/root/.", self.pid());
        Some(id("/proc/self/root/.".into()).ok()? == self.look(|| id(other.clone())).ok()?)
    }
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn look<T: Send>(rights: &Rights, at: impl Fn() -> io::Result<T> + Sync) -> io::Result<T> {
    match at() {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && rights.ids.is_ours_to_take() => {
            rights.run(&at).unwrap_or(Err(e))
        }
        other => other,
    }
}

fn shares(rights: &Rights, pid: i32, namespace: &str) -> Option<bool> {
    let link = |who: &str| fs::read_link(format!("/proc/{who}/ns/{namespace}"));
    let other = pid.to_string();
    Some(link("self").ok()? == look(rights, || link(&other)).ok()?)
}

/// Whether user ids and capabilities mean the same to the process as to this one.
fn same_users(pid: i32) -> bool {
    let link = |who: &str| fs::read_link(format!("/proc/{who}/ns/user")).ok();
    // The kernel shows everybody's ids, and not everybody's namespaces.
    let ids = |who: &str| fs::read(format!("/proc/{who}/uid_map")).ok();
    let other = pid.to_string();
    match (link("self"), link(&other)) {
        (Some(own), Some(other)) => own == other,
        _ => ids("self").is_some_and(|own| ids(&other) == Some(own)),
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
pub(crate) fn threads(pid: i32) -> Vec<Thread> {
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
