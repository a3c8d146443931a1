//! Taking on another process's effective user and group, in one thread and for one errand.
//!
//! HotSpot compares the credentials that a client had when it connected (SO_PEERCRED) with its
//! own effective ids; before JDK 11 (JDK-8197387) it refuses even root. Knows nothing else of HotSpot.

use std::io;
use std::thread;

use procfs::process::Process;
use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Effective ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Identity {
    /// That of this process.
    pub fn own() -> Identity {
        Identity { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    /// Whether this process may act as these: they are its own, or it has CAP_SETUID and
    /// CAP_SETGID.
    pub fn is_ours_to_take(self) -> bool {
        const BOTH: u64 = 1 << 7 | 1 << 6;
        let capabilities = || Process::myself().and_then(|p| p.status()).map_or(0, |s| s.capeff);
        Identity::own() == self || capabilities() & BOTH == BOTH
    }

    /// Runs `errand` as these; in a thread of its own if they are others than ours. The calls
    /// change that thread alone, and it ends with the errand.
    pub fn run<T: Send>(self, errand: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self == Identity::own() {
            return Ok(errand());
        }
        thread::scope(|scope| {
            let changed = move || -> io::Result<T> {
                let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
                set_thread_groups(&[])?;
                set_thread_res_gid(None, gid, None)?;
                // Only the effective id, which the file system's follows.
                set_thread_res_uid(None, uid, None)?;
                Ok(errand())
            };
            let worker =
                thread::Builder::new().name("errand".into()).spawn_scoped(scope, changed)?;
            worker.join().map_err(|_| io::Error::other("an errand as another user failed"))?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_changes() {
        let own = Identity::own();
        assert_eq!(own.run(Identity::own).expect("our own"), own);
        let other = Identity { uid: 65534, gid: 65534 };
        match own.uid {
            0 => assert_eq!(other.run(Identity::own).expect("root may"), other),
            _ => assert!(other.run(Identity::own).is_err()),
        }
        assert_eq!(Identity::own(), own);
    }
}
