//! What a capture would do, without a touch of the process.
//!
//! Knows what each method needs; tries none.

use procfs::process::Process;
use serde::Serialize;

use super::inject::{Injector, is_filtered};
use super::report::{Method, Prediction, Refused, WhyNot};
use super::target::{Failure, Target};
use super::watch::MemoryNeeded;
use super::{Options, opened};
use crate::error::Result;
use crate::process::room::Room;
use crate::process::sys::uffd;

/// CAP_SYS_ADMIN in capability masks: what sets a seccomp filter aside.
const SYS_ADMIN: u64 = 1 << 21;

/// What a capture would do.
#[derive(Debug, Serialize)]
pub(crate) struct Foresight {
    /// The method that it would try first; stop is always possible.
    pub method: Method,
    /// Why, for people.
    pub reason_text: String,
    /// What stands in the way of the others.
    pub refused: Vec<Refused>,
    /// How long the process would stand still, where that can be told before.
    pub predicted: Vec<Prediction>,
}

/// Looks at `pid` as a capture does before it stops anything.
///
/// Errors: as those of [`super::capture`] where it may not be captured at all.
pub(crate) fn foresee(pid: i32, options: &Options<'_>) -> Result<Foresight> {
    let (target, room, anonymous) = opened(pid, options)?;
    let mut refused = Vec::new();
    let mut first = None;
    for way in target.ways(anonymous, &mut refused) {
        if way.is_settled(&refused) {
            continue;
        }
        match target.lacks(way.method, &room, anonymous) {
            Some((code, text)) => refused.push(Refused { method: way.method, code, text }),
            None => first = first.or(Some(way)),
        }
    }
    let (method, reason_text) =
        first.map_or((Method::Stop, String::new()), |way| (way.method, way.text));
    Ok(Foresight { method, reason_text, refused, predicted: target.predicted().clone() })
}

impl Target<'_> {
    /// What a method needs and does not have here.
    fn lacks(&self, method: Method, room: &Room, anonymous: u64) -> Option<(WhyNot, String)> {
        let failed = |text: String| Some((WhyNot::Failed, text));
        if method == Method::Stop {
            return None;
        }
        if method == Method::Fork {
            if let Some(short) = MemoryNeeded::for_fork(anonymous, room.all_die).missing(room) {
                return Some((WhyNot::NoRoom, short.to_string()));
            }
            if let Err(Failure::Refused(text)) = self.fork_can_hold() {
                return failed(text);
            }
        }
        match Injector::new(Some(self.cpu), self.pid, &self.maps).map_err(Failure::from) {
            Err(Failure::UnknownCpu(text)) => return Some((WhyNot::UnknownCpu, text)),
            Err(Failure::Refused(text)) => return failed(text),
            _ => {}
        }
        if method == Method::Precopy {
            if let Err(e) = uffd::own() {
                return failed(format!("{}: {e}", super::track::OLD_KERNEL));
            }
            if is_filtered(self.pid) && !may_suspend_filters() {
                return failed(super::track::FILTERED.into());
            }
        }
        None
    }
}

/// Whether rjcore may set seccomp filters aside: with CAP_SYS_ADMIN, and where it has none itself.
fn may_suspend_filters() -> bool {
    let status = Process::myself().and_then(|own| own.status());
    status.is_ok_and(|s| s.capeff & SYS_ADMIN != 0 && s.seccomp.unwrap_or(0) == 0)
}
