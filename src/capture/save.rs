//! From a snapshot to the core of it, and to what is said of the capture.

use std::time::{Duration, UNIX_EPOCH};

use super::choose::Way;
use super::fork::Child;
use super::notes::{self, ThreadState};
use super::plan::{self, SharedPlan};
use super::report::Report;
use super::shared::Object;
use super::target::{Snapshot, Target};
use super::{AttemptError, Progress, writer};
use crate::error::{Advice, Error};
use crate::format::notes::{Origin, ThreadName};
use crate::format::out::CoreOut;
use crate::process::maps::Mapping;

impl Target<'_> {
    /// Writes the core and lets the snapshot go.
    pub(super) fn write(
        &self,
        way: Way,
        snapshot: Snapshot,
        out: &mut dyn CoreOut,
    ) -> Result<Report, AttemptError> {
        let Way { method, reason, text: reason_text, .. } = way;
        let at = snapshot.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let named = |t: &ThreadState| ThreadName { tid: t.facts.inner, name: t.facts.name.clone() };
        let origin = Origin {
            version: env!("CARGO_PKG_VERSION").into(),
            captured_ms: at.as_millis() as u64,
            method: method.name().into(),
            pid: self.pid,
            threads: snapshot.threads.iter().map(named).collect(),
        };
        let Snapshot { maps, threads, shared, image, child, bad, .. } = snapshot;
        let mappings: Vec<Mapping> = maps.iter().map(|m| m.0.clone()).collect();
        let memory = self.options.memory;
        let notes = notes::notes(self.cpu, &self.facts, &threads, &mappings, &origin, memory);
        let plans: Vec<SharedPlan> = shared.iter().map(Object::plan).collect();
        let layout = plan::lay(self.cpu, notes.len() as u64, &maps, &plans);
        let total = layout.pieces.iter().map(|p| p.len).sum();
        (self.options.progress)(Progress::Total(total));
        let progress = |n| (self.options.progress)(Progress::Done(n));
        let how = writer::Writing {
            zstd: self.options.zstd,
            threads: self.options.threads,
            progress: &progress,
        };
        let memory = child.as_ref().map_or(&self.memory, |c| &c.memory);
        let source = |holder: plan::Holder, addr: u64, buf: &mut [u8]| match holder {
            plan::Holder::Memory => std::os::unix::fs::FileExt::read_exact_at(memory, buf, addr),
            plan::Holder::Image => image.read(addr, buf),
            plan::Holder::Shared(i) => shared[i].image.read(addr, buf),
        };
        let pages = writer::Pages {
            read: &source,
            ended: &|| child.as_ref().and_then(Child::ended),
            lost: &|| child.as_ref().map_or(Ok(Vec::new()), |c| self.lost_by(c)),
        };
        let written = writer::write(out, &layout, &notes, &bad, &pages, &how);
        // Now, not later: until then the process pays for each page that it writes to.
        drop(child);
        let written = written.map_err(|e| match e.downcast::<writer::Failed>() {
            Ok(writer::Failed::SourceLost(why)) => AttemptError::Snapshot(method, why),
            Ok(writer::Failed::CannotCorrect(what)) => AttemptError::Failed(Error::Capture {
                pid: self.pid,
                what,
                advice: Some(Advice::UncompressedFile),
            }),
            Err(e) => AttemptError::Failed(Error::from_write(e)),
        })?;
        let given_up = self.given_up().clone();
        let status = &self.facts.status;
        let resident = status.vmrss.unwrap_or(0) + status.vmswap.unwrap_or(0);
        Ok(Report {
            pid: self.pid,
            method,
            reason,
            reason_text,
            refused: Vec::new(),
            pause_ms: ms(snapshot.pause),
            predicted: self.predicted().clone(),
            given_up_ms: given_up.pauses.iter().copied().map(ms).collect(),
            retries: given_up.collecting,
            collecting: given_up.caught,
            threads: threads.len(),
            core_bytes: layout.size,
            data_bytes: written.data,
            resident_bytes: resident << 10,
            copied_in_stop: snapshot.in_stop,
            rounds: snapshot.rounds,
            huge_again: 0,
            huge_split: 0,
            huge_split_reason: None,
            unreadable: written.bad,
        })
    }
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}
