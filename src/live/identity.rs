//! Taking on another process's effective user, groups and capabilities, in one thread and for one
//! errand.
//!
//! HotSpot compares the credentials that a client had when it connected (SO_PEERCRED) with its
//! own effective ids; before JDK 11 (JDK-8197387) it refuses even root. Knows nothing else of HotSpot.

use std::io;
use std::thread;

use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::{
    CapabilitySet, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

/// Effective ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Identity {
    /// That of this process.
    pub(crate) fn own() -> Identity {
        Identity { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    /// Whether this process may act as these: they are its own, or it has CAP_SETUID and
    /// CAP_SETGID.
    pub(crate) fn is_ours_to_take(self) -> bool {
        const BOTH: u64 = 1 << 7 | 1 << 6;
        let ours = || capabilities(None).map_or(0, |c| c.effective.bits());
        Identity::own() == self || ours() & BOTH == BOTH
    }
}

/// All that decides what a process may do with files and with other processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Its effective ids.
    pub ids: Identity,
    /// Its further groups.
    pub groups: Vec<u32>,
    /// Its effective capabilities; none where they count in another user namespace.
    pub capabilities: u64,
}

impl Rights {
    /// Runs `errand` with these, as far as this process has them to give: in a thread of its own
    /// if they are others than ours. The calls change that thread alone, and it ends with the
    /// errand.
    pub(crate) fn run<T: Send>(&self, errand: impl FnOnce() -> T + Send) -> io::Result<T> {
        let ours = capabilities(None)?;
        let wanted = CapabilitySet::from_bits_retain(self.capabilities);
        if self.ids == Identity::own() && ours.effective & !wanted == CapabilitySet::empty() {
            return Ok(errand());
        }
        thread::scope(|scope| {
            let changed = move || -> io::Result<T> {
                if self.ids != Identity::own() {
                    let group = |g: &u32| Gid::from_raw(*g);
                    set_thread_groups(&self.groups.iter().map(group).collect::<Vec<_>>())?;
                    set_thread_res_gid(None, Gid::from_raw(self.ids.gid), None)?;
                    // Only the effective id, which the file system's follows.
                    set_thread_res_uid(None, Uid::from_raw(self.ids.uid), None)?;
                }
                let mut sets = capabilities(None)?;
                sets.effective = sets.permitted & wanted;
                set_capabilities(None, sets)?;
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
        let none = |ids| Rights { ids, groups: vec![65534], capabilities: 0 };
        assert_eq!(none(own).run(Identity::own).expect("our own"), own);
        let other = Identity { uid: 65534, gid: 65534 };
        let effective = || capabilities(None).expect("ours").effective;
        let before = effective();
        match own.uid {
            0 => {
                assert_eq!(none(other).run(Identity::own).expect("root may"), other);
                // Those of root that another root has not, an errand for it has not either.
                assert_eq!(none(own).run(effective).expect("root may"), CapabilitySet::empty());
                let some = CapabilitySet::CHOWN;
                let chown = Rights { capabilities: some.bits(), ..none(other) };
                assert_eq!(chown.run(effective).expect("root may"), some);
            }
            _ => assert!(none(other).run(Identity::own).is_err()),
        }
        assert_eq!((Identity::own(), effective()), (own, before));
    }
}
