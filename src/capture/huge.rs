//! Huge pages of the target, which a snapshot splits: noted before, made whole afterwards.
//!
//! Knows which stretches were huge; knows nothing of why they no longer are.

use std::os::fd::AsFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use serde::Serialize;

use super::pages::PageMap;
use crate::format::ranges::{Ranges, minus, union};
use crate::process::facts::is_ending;
use crate::process::maps::{Kind, Mapping};
use crate::process::sys;

/// Size of a huge page on x86-64, and on aarch64 with pages of 4 KB.
const HUGE: u64 = 2 << 20;
/// What one call is given: the kernel holds the target's memory map meanwhile.
const AT_ONCE: u64 = 16 << 20;

/// What came of making pages huge again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Collapsed {
    /// Bytes that were split and are huge again.
    pub again: u64,
    /// Bytes that stayed split.
    pub left: u64,
    /// Why; none if nothing stayed split.
    pub why: Option<StaySplit>,
}

/// Why pages stayed split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub(crate) enum StaySplit {
    /// It takes CAP_SYS_NICE.
    NoRight,
    /// There is no memory in one piece.
    NoMemory,
    /// The kernel has no such call.
    OldKernel,
    /// The kernel could not just now.
    NotNow,
}

impl StaySplit {
    /// In words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            StaySplit::NoRight => "rjcore needs CAP_SYS_NICE to join them again",
            StaySplit::NoMemory => "there is no memory in one piece to join them again",
            StaySplit::OldKernel => "the kernel cannot join them again (6.1 can)",
            StaySplit::NotNow => {
                "the kernel could not join them now, and does so by itself in time"
            }
        }
    }
}

/// The stretches that lie in huge pages now.
pub(crate) fn stretches(maps: &[Mapping], pages: &PageMap) -> Ranges {
    let private = maps.iter().filter(|m| m.kind() == Kind::Anonymous);
    let runs = private.flat_map(|m| pages.present(m).unwrap_or_default());
    union(runs.filter(|r| r.huge).map(|r| (r.start, r.end)).collect())
}

/// Makes those of `before` huge again that are not any more. What the process itself freed
/// meanwhile, and all of it if it has ended, is not split but gone.
pub(crate) fn collapse(pid: i32, before: &[(u64, u64)], pages: &PageMap) -> Collapsed {
    let mut done = Collapsed::default();
    let Some(pidfd) = Pid::from_raw(pid).and_then(|p| pidfd_open(p, PidfdFlags::empty()).ok())
    else {
        return done;
    };
    let mut refused = None;
    for &(start, end) in before {
        let mut at = start.next_multiple_of(HUGE);
        while at < end & !(HUGE - 1) {
            let next = (at + AT_ONCE).min(end & !(HUGE - 1));
            let split = split(pages, at, next);
            if split.is_empty() {
                at = next;
                continue;
            }
            // All at once where that is possible, which is quicker.
            if let Err(e) = sys::collapse(pidfd.as_fd(), at, next) {
                refused = refused.or(e.raw_os_error());
            }
            let left = self::split(pages, at, next);
            let bytes = |r: &Ranges| r.iter().map(|r| r.1 - r.0).sum::<u64>();
            done.left += bytes(&left);
            done.again += bytes(&minus(&split, &left));
            at = next;
        }
    }
    if is_ending(pid) {
        return Collapsed::default();
    }
    if done.left > 0 {
        done.why = Some(match refused {
            Some(libc::EPERM) => StaySplit::NoRight,
            Some(libc::ENOMEM) => StaySplit::NoMemory,
            Some(libc::ENOSYS | libc::EINVAL) => StaySplit::OldKernel,
            _ => StaySplit::NotNow,
        });
    }
    done
}

/// The parts of `start..end`, whole huge pages each, that are there in small pages. Just these
/// addresses: what is mapped there now may be something else.
fn split(pages: &PageMap, start: u64, end: u64) -> Ranges {
    let now = pages.present(&Mapping::plain(start, end)).unwrap_or_default();
    let small = union(now.iter().filter(|r| !r.huge).map(|r| (r.start, r.end)).collect());
    let whole = |r: &(u64, u64)| (r.0.next_multiple_of(HUGE), r.1 & !(HUGE - 1));
    small.iter().map(whole).filter(|r| r.0 < r.1).collect()
}

/// The bytes of private memory that lie in huge pages of the pool (hugetlbfs): when the process
/// writes to one that it shares with a child, and the pool has no other, the kernel takes the page
/// out of the child. So a child is no snapshot of them.
pub(crate) fn from_pool(pid: i32, maps: &[Mapping]) -> u64 {
    let mounts = procfs::process::Process::new(pid).and_then(|p| p.mountinfo());
    let mounts = mounts.map(|m| m.0).unwrap_or_default();
    let device = |text: &str| -> Option<u64> {
        let (major, minor) = text.split_once(':')?;
        Some(major.parse::<u64>().ok()? << 32 | minor.parse::<u64>().ok()?)
    };
    let pools = mounts.iter().filter(|m| m.fs_type == "hugetlbfs");
    let pools: Vec<u64> = pools.filter_map(|m| device(&m.majmin)).collect();
    let of_pool = |m: &&Mapping| m.clean() == b"/anon_hugepage" || pools.contains(&m.file.0);
    maps.iter().filter(|m| !m.shared && m.has_file()).filter(of_pool).map(Mapping::bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has ended, or freed its memory, has nothing that stayed split.
    #[test]
    fn what_is_gone_is_not_split() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("sleep");
        let pid = child.id() as i32;
        let pages = PageMap::open(pid).expect("its page map");
        let before = [(64 * HUGE, 96 * HUGE)];
        assert_eq!(collapse(pid, &before, &pages), Collapsed::default());
        child.kill().expect("kill");
        child.wait().expect("its end");
        assert_eq!(collapse(pid, &before, &pages), Collapsed::default());
    }
}
