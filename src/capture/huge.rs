//! Huge pages of the target, which a snapshot splits: noted before, made whole afterwards.
//!
//! Knows which stretches were huge; knows nothing of why they no longer are.

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::maps::{Kind, Mapping};
use super::pages::PageMap;
use super::ranges::{Ranges, minus, union};
use super::sys;

/// Size of a huge page on x86-64, and on aarch64 with pages of 4 KB.
const HUGE: u64 = 2 << 20;
/// What one call is given: the kernel holds the target's memory map meanwhile.
const AT_ONCE: u64 = 16 << 20;

/// What came of making pages huge again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collapsed {
    /// Bytes that were split and are huge again.
    pub again: u64,
    /// Bytes that stayed split.
    pub left: u64,
}

/// The stretches that lie in huge pages now.
pub fn stretches(maps: &[Mapping], pages: &PageMap) -> Ranges {
    let private = maps.iter().filter(|m| m.kind() == Kind::Anonymous);
    let runs = private.flat_map(|m| pages.present(m).unwrap_or_default());
    union(runs.filter(|r| r.huge).map(|r| (r.start, r.end)).collect())
}

/// Makes those of `before` huge again that are not any more.
pub fn collapse(pid: i32, before: &[(u64, u64)], pages: &PageMap) -> Collapsed {
    let mut done = Collapsed::default();
    // Just these addresses: what is mapped there now may be something else.
    let split = |start, end| {
        let now = pages.present(&Mapping::plain(start, end)).unwrap_or_default();
        let huge: Ranges = now.iter().filter(|r| r.huge).map(|r| (r.start, r.end)).collect();
        minus(&[(start, end)], &huge)
    };
    let fd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    for &(start, end) in before {
        for (from, to) in split(start, end) {
            let (from, to) = (from.next_multiple_of(HUGE), to & !(HUGE - 1));
            let mut at = from;
            while at < to {
                let next = (at + AT_ONCE).min(to);
                if let Some(fd) = &fd {
                    // Memory that is gone, or no memory for a huge page: counted below.
                    let _ = sys::collapse(std::os::fd::AsFd::as_fd(fd), at, next);
                }
                let left: u64 = split(at, next).iter().map(|r| r.1 - r.0).sum();
                done.left += left;
                done.again += next - at - left;
                at = next;
            }
        }
    }
    done
}
