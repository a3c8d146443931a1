//! Which method takes the snapshot: the one that stops this process for the shortest time, of those that do for it.

use std::time::Duration;

use rustix::fs::statvfs;

use super::copy;
use super::predict::{SHORT, ms, to_copy};
use super::report::{Method, Reason, Refused, WhyNot};
use super::target::{Failure, SMALL_SHARED, Snapshot, Target};
use super::watch::MemoryNeeded;
use crate::error::{Advice, Error, Result};
use crate::process::room::Room;

/// A method, and why it is taken.
pub(super) struct Way {
    pub method: Method,
    pub reason: Reason,
    /// The same for people.
    pub text: String,
    /// It is not taken if it turns out to stop the process for longer than this.
    below: Option<Duration>,
}

impl Way {
    fn new(method: Method, reason: Reason, text: impl Into<String>) -> Way {
        Way { method, reason, text: text.into(), below: None }
    }

    /// Whether it need not be tried any more.
    pub(super) fn is_settled(&self, refused: &[Refused]) -> bool {
        // One that is only taken if it is better than the next may be tried again as the last.
        let last = self.method == Method::Precopy && self.below.is_none();
        let again = |why| last && matches!(why, WhyNot::LongerStop | WhyNot::NoRoom);
        refused.iter().any(|r| r.method == self.method && !again(r.code))
    }
}

impl Target<'_> {
    /// Takes the snapshot by the first method that does.
    pub(super) fn take(
        &self,
        room: &Room,
        anonymous: u64,
        refused: &mut Vec<Refused>,
    ) -> Result<(Way, Snapshot)> {
        let least = MemoryNeeded::for_fork(anonymous, room.all_die);
        for way in self.ways(anonymous, refused) {
            self.check()?;
            if way.is_settled(refused) {
                continue;
            }
            let method = way.method;
            let result = match method {
                // Also where it was asked for: it may cost the process its life.
                Method::Fork => match least.missing(room) {
                    Some(short) => {
                        let text = short.to_string();
                        refused.push(Refused { method, code: WhyNot::NoRoom, text });
                        continue;
                    }
                    None => self.fork(least),
                },
                Method::Precopy => copy::precopy(self, way.below),
                Method::Stop => copy::stop(self),
            };
            let (code, text) = match result {
                Ok(snapshot) => return Ok((way, snapshot)),
                Err(Failure::Failed(e)) => return Err(e),
                Err(Failure::Refused(text)) => (WhyNot::Failed, text),
                Err(Failure::Longer(text)) => (WhyNot::LongerStop, text),
                Err(Failure::UnknownCpu(text)) => (WhyNot::UnknownCpu, text),
            };
            refused.push(Refused { method, code, text });
        }
        let whys: Vec<String> =
            refused.iter().map(|r| format!("{}: {}", r.method.name(), r.text)).collect();
        Err(Error::Capture {
            pid: self.pid,
            what: format!("no snapshot could be taken ({})", whys.join("; ")),
            // A pre-copy that was asked for may turn out not to end.
            advice: self.options.method.is_some().then_some(Advice::AnyMethod),
        })
    }

    /// The methods in the order in which they are tried.
    pub(super) fn ways(&self, anonymous: u64, refused: &mut Vec<Refused>) -> Vec<Way> {
        let shared = self.shared_bytes();
        let threads = self.to_stop_threads(&self.thread_facts());
        let pause = self.to_fork() + to_copy(shared) + threads;
        self.predict(Method::Fork, pause);
        if let Some(method) = self.options.method {
            return vec![Way::new(method, Reason::AsAskedFor, "as asked for")];
        }
        let precopy_why = "copied while it ran, and again what it wrote to meanwhile";
        let stop_why = "copied while it stood still";
        let precopy = Way::new(Method::Precopy, Reason::OthersRefused, precopy_why);
        let stop = Way::new(Method::Stop, Reason::OthersRefused, stop_why);
        if shared > SMALL_SHARED {
            let heap = format!("{} MB of shared memory are not isolated by a fork", shared >> 20);
            if refused.is_empty() {
                let code = WhyNot::SharedMemory;
                refused.push(Refused { method: Method::Fork, code, text: heap.clone() });
            }
            let because = |way: Way| Way { text: format!("{heap}; {}", way.text), ..way };
            return vec![because(precopy), because(stop)];
        }
        let fork_why = "a fork stops it for the copy of its page tables only";
        let fork = Way::new(Method::Fork, Reason::ShortestStop, fork_why);
        if pause <= SHORT {
            return vec![fork, precopy, stop];
        }
        if !self.has_room_for_copy(anonymous) {
            let text = format!("there is no room for a copy of its {} MB", anonymous >> 20);
            let (method, code) = (Method::Precopy, WhyNot::NoRoom);
            if refused.iter().all(|r| r.method != method) {
                refused.push(Refused { method, code, text });
            }
            return vec![fork, precopy, stop];
        }
        let text = format!("{precopy_why}; a fork would have stopped it for about {}", ms(pause));
        let first =
            Way { below: Some(pause), ..Way::new(Method::Precopy, Reason::ShortestStop, text) };
        vec![first, fork, precopy, stop]
    }

    /// Whether a copy of its memory costs the machine nothing but time: it has the memory, or the disk has room for the
    /// copy and for the core.
    fn has_room_for_copy(&self, anonymous: u64) -> bool {
        let Some(directory) = self.staging else { return true };
        let room = statvfs(directory).map(|v| v.f_bavail.saturating_mul(v.f_frsize));
        room.is_ok_and(|room| room / 5 > anonymous / 2)
    }
}
