//! Which method takes the snapshot: the first that does, of those that do for this process.

use super::copy;
use super::report::{Method, Refused, WhyNot};
use super::target::{Failure, SMALL_SHARED, Snapshot, Target};
use super::watch::MemoryNeeded;
use crate::error::{Advice, Error, Result};
use crate::process::room::Room;

impl Target<'_> {
    /// Takes the snapshot by the first method that does.
    pub(super) fn take(
        &self,
        room: &Room,
        anonymous: u64,
        refused: &mut Vec<Refused>,
    ) -> Result<(Method, String, Snapshot)> {
        let shared = self.shared_bytes();
        let least = MemoryNeeded::for_fork(anonymous, room.all_die);
        let fork_why = "a fork stops it for the copy of its page tables only";
        let precopy_why = "copied while it ran, and again what it wrote to meanwhile";
        let stop_why = "copied while it stood still";
        let order: Vec<(Method, String)> = match self.options.method {
            Some(method) => vec![(method, "as asked for".into())],
            None if shared > SMALL_SHARED => {
                let heap =
                    format!("{} MB of shared memory are not isolated by a fork", shared >> 20);
                if refused.is_empty() {
                    let text = heap.clone();
                    let code = WhyNot::SharedMemory;
                    refused.push(Refused { method: Method::Fork, code, text });
                }
                vec![
                    (Method::Precopy, format!("{heap}; {precopy_why}")),
                    (Method::Stop, format!("{heap}; {stop_why}")),
                ]
            }
            None => vec![
                (Method::Fork, fork_why.into()),
                (Method::Precopy, precopy_why.into()),
                (Method::Stop, stop_why.into()),
            ],
        };
        // A pre-copy that was asked for may turn out not to end.
        let asked = self.options.method.is_some();
        let earlier: Vec<Method> = refused.iter().map(|r| r.method).collect();
        for (method, reason) in order.into_iter().filter(|o| !earlier.contains(&o.0)) {
            self.check()?;
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
                Method::Precopy => copy::precopy(self),
                Method::Stop => copy::stop(self),
            };
            match result {
                Ok(snapshot) => return Ok((method, reason, snapshot)),
                Err(Failure::Failed(e)) => return Err(e),
                Err(Failure::Refused(text)) => {
                    refused.push(Refused { method, code: WhyNot::Failed, text });
                }
                Err(Failure::UnknownCpu(text)) => {
                    refused.push(Refused { method, code: WhyNot::UnknownCpu, text });
                }
            }
        }
        let whys: Vec<String> =
            refused.iter().map(|r| format!("{}: {}", r.method.name(), r.text)).collect();
        Err(Error::Capture {
            pid: self.pid,
            what: format!("no snapshot could be taken ({})", whys.join("; ")),
            advice: asked.then_some(Advice::AnyMethod),
        })
    }
}
