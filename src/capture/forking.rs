//! The way by fork: what it can hold, the stop, and what is saved of the child.
//!
//! Knows the steps; how a child is made and kept is `fork`'s matter.

use std::io;
use std::time::SystemTime;

use super::fork::{Child, POOL};
use super::huge;
use super::image::{Image, Workers};
use super::inject::Injector;
use super::plan::{self, Saved};
use super::shared::{self, objects};
use super::target::{Failure, Snapshot, Target};
use super::watch::MemoryNeeded;
use super::writer::Failed;
use crate::format::ranges::Ranges;
use crate::process::maps::{self, Kind, Mapping};

impl Target<'_> {
    /// A snapshot by a fork, which is given up when less than half of `least` is free.
    pub(super) fn fork(&self, least: MemoryNeeded) -> Result<Snapshot, Failure> {
        self.fork_can_hold()?;
        self.refuse_too_long(self.to_fork())?;
        let injector = Injector::new(Some(self.cpu), self.pid, &self.maps)?;
        let mut objects = objects(self.pid, &self.maps);
        for o in &mut objects {
            let place = o.image.add(&o.extents, self.staging);
            place.map_err(|e| Failure::Refused(format!("no memory for shared memory: {e}")))?;
            // Only to have the memory at hand.
            o.image.prepare(&o.data(&o.extents, &self.maps, &self.pages).unwrap_or_default());
        }
        let known = self.thread_facts();
        let frozen = self.freeze(&known, &mut || Ok(()))?;
        let at = SystemTime::now();
        // Nothing can end the copy of page tables before it is done.
        if frozen.is_overdue(self.to_fork()) {
            self.give_up(frozen, false);
            return Err(self.too_long());
        }
        let threads = self.threads(&frozen, known);
        let mut in_stop = 0;
        if !objects.is_empty() {
            let lost = |e: io::Error| self.lost(&e.to_string());
            let maps = maps::read(self.pid).map_err(lost)?;
            self.same_program(&maps)?;
            shared::follow(&mut objects, self.pid, &maps, self.staging).map_err(lost)?;
            for o in &mut objects {
                let data = o.data(&o.extents, &maps, &self.pages).map_err(lost)?;
                let workers = Workers::all(self.options.threads);
                in_stop += o.copy(&data, workers, &maps, &self.memory, &|| Ok(()));
            }
        }
        let mut thread =
            injector.borrow_one(&frozen.threads, &self.maps).map_err(Failure::Refused)?;
        let forked = thread.fork();
        let back = thread.give_back();
        let pause = frozen.release();
        let child = forked.map_err(|e| Failure::Refused(format!("the fork failed: {e}")))?;
        let died = |e: io::Error| Failure::Refused(format!("its snapshot was lost: {e}"));
        let mut child = Child::adopt(self.pid, child, &injector, least).map_err(died)?;
        back.map_err(|e| self.error(&format!("a borrowed thread was lost: {e}")))?;
        let maps = maps::read(child.pid).map_err(died)?;
        if let Some(why) = child.ended() {
            return Err(Failure::Refused(why));
        }
        self.same_program(&maps)?;
        if let Some(m) = child.lacks(&self.maps, &maps) {
            return Err(Failure::Refused(format!(
                "memory at {:#x} is marked such that no child inherits it (MADV_DONTFORK)",
                m.start
            )));
        }
        let flags = child.flags();
        let pool = |m: &&Mapping| !m.shared && flags.pool.contains(&m.start);
        if maps.iter().any(|m| pool(&m)) {
            return Err(Failure::Refused(POOL.into()));
        }
        let bad: Ranges = objects.iter().flat_map(|o| o.failed_addresses(&maps)).collect();
        let mut kept = Vec::with_capacity(maps.len());
        for m in maps {
            if flags.wiped.contains(&m.start) {
                let saved = Saved { runs: Vec::new(), rest_is_zero: false };
                kept.push((m, saved, plan::Holder::Memory));
                continue;
            }
            let present = match m.kind() {
                Kind::Anonymous | Kind::PrivateFile => child.pages.present(&m),
                _ => Ok(Vec::new()),
            };
            let present = present.map_err(died)?;
            child.holds(&m, &present);
            let end = m.has_file().then(|| maps::file_end(self.pid, &m)).flatten();
            let saved = plan::saved(&m, &present, self.options.full, end);
            kept.push((m, saved, plan::Holder::Memory));
        }
        let held = kept.iter().map(|(m, s, _)| (m, &s.runs[..]));
        let bad = [bad, self.unmade(held)].concat();
        Ok(Snapshot {
            at,
            pause,
            threads: threads.states(self.pid),
            maps: kept,
            shared: objects,
            image: Image::default(),
            child: Some(child),
            in_stop,
            rounds: Vec::new(),
            bad,
        })
    }

    /// Whether a fork would freeze all of its private memory.
    pub(super) fn fork_can_hold(&self) -> Result<(), Failure> {
        let pool = huge::from_pool(self.pid, &self.maps);
        if pool > 0 {
            return Err(Failure::Refused(POOL.into()));
        }
        if self.handles_faults {
            return Err(Failure::Refused(
                "it handles faults in its memory itself (userfaultfd), for which a fork may wait"
                    .into(),
            ));
        }
        Ok(())
    }

    /// What a snapshot held when it was taken and does not hold any more. Where another way can
    /// be tried, that is an error: this one did not keep its promise.
    pub(super) fn lost_by(&self, child: &Child) -> io::Result<Ranges> {
        let lost = child.lost()?;
        if lost.is_empty() || self.options.method.is_some() {
            return Ok(lost);
        }
        let bytes: u64 = lost.iter().map(|r| r.1 - r.0).sum();
        let what = format!("the kernel took {} KB of memory out of the snapshot", bytes >> 10);
        Err(io::Error::other(Failed::SourceLost(what)))
    }
}
