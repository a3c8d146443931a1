//! The snapshot by copying: all within the stop, or most of it before, while the target runs.
//!
//! Knows rounds and stops; the pages written to are `track`'s matter, what is left for the stop is `rest`'s.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant, SystemTime};

use super::copied::{Copy, is_clean, is_private, no_place, refused_place};
use super::freeze::Frozen;
use super::image::Workers;
use super::plan::{Holder, Saved};
use super::predict::{ms, to_copy};
use super::report::Method;
use super::rest::Remaining;
use super::shared::follow;
use super::target::{Failure, Snapshot, Target};
use super::track::Tracker;
use crate::format::ranges::{Ranges, minus, union};
use crate::process::facts::Thread;
use crate::process::maps::{self, Kind, Mapping};
use crate::process::sys;

/// Rounds end once this little was written to meanwhile.
const LITTLE: u64 = 4 << 20;

/// Before each stop, rounds go on for as long as each has at most half as much to copy as the one before, but not below so
/// much, and not for more than so many.
const SETTLED: u64 = 512 << 10;
const SETTLING: usize = 6;

/// More than this is not copied within the stop of a pre-copy, as long as there is hope for less:
/// about 6 ms. After every [`PATIENCE`] stops that were given up for it, twice as much is.
const BOUND: u64 = 8 << 20;
const PATIENCE: usize = 3;
/// How many stops are given up for that in all.
const TRIES: usize = 12;

/// Where copies go to a file, at most so much is kept in memory until the stop is over.
const ASIDE: u64 = 256 << 20;

/// Stops the target, copies all, lets it go on.
pub(super) fn stop(target: &Target<'_>) -> Result<Snapshot, Failure> {
    let mut copy = Copy::new(target)?;
    copy.ahead()?;
    let known = target.thread_facts();
    let frozen = target.freeze(&known, &mut || Ok(()))?;
    let rest = copy.rest(None)?;
    copy.finish(frozen, known, rest, Vec::new())
}

/// Copies while the target runs, again and again what it wrote to meanwhile, and only the rest
/// within the stop. It is refused if that will not be shorter than `below`.
pub(super) fn precopy(target: &Target<'_>, below: Option<Duration>) -> Result<Snapshot, Failure> {
    let patience = target.patience();
    let mut tracker = Tracker::new(target.pid, &target.maps, &patience)?;
    let mut copy = Copy::new(target)?;
    tracker.watch(&target.maps);
    distrust_replaced(target, &mut tracker, &target.maps)?;
    let mut rounds: Vec<u64> = Vec::new();
    loop {
        target.check()?;
        let round = copy.round(&mut tracker, rounds.is_empty())?;
        rounds.push(round);
        // From now on it counts how soon a round is done.
        copy.workers = Workers::beside(target.options.threads);
        // What the stop will have to copy is about what this round had to.
        let shrinks = rounds.len() < 3 || round < rounds[rounds.len() - 2];
        if rounds.len() > 1 && (round < LITTLE || !shrinks) {
            break;
        }
        if rounds.len() as u32 >= target.options.rounds {
            break;
        }
    }
    let rest = rounds.last().copied().unwrap_or(0);
    // Where precopy was not asked for, a fork was not possible, and to copy the rest within the
    // stop is less than to copy all.
    let asked = target.options.method.is_some();
    if asked && rounds.len() > 1 && rest > target.options.dirty_limit && target.fork_isolates() {
        return Err(Failure::Refused(format!(
            "it writes to {} MB while they are copied, more than the limit of {} MB; a fork stops \
             it for less",
            rest >> 20,
            target.options.dirty_limit >> 20
        )));
    }
    let known = target.thread_facts();
    let predicted = copy.rehearse(&tracker)? + target.to_stop_threads(&known);
    target.predict(Method::Precopy, predicted);
    target.refuse_too_long(predicted)?;
    if let Some(below) = below.filter(|below| predicted > *below) {
        let (this, other) = (ms(predicted), ms(below));
        return Err(Failure::Longer(format!(
            "it would stop it for about {this}, since it writes to much memory; a fork does for {other}"
        )));
    }
    let mut tries = 0;
    loop {
        // The last ones when all is ready: what it writes to from then on is copied in the stop.
        let frozen = target.freeze(&known, &mut || copy.settle(&mut tracker, &mut rounds))?;
        let rest = copy.rest(Some(&tracker))?;
        // A moment in which it writes to much is followed by another one.
        if rest.bytes() > BOUND << (tries / PATIENCE) && tries < TRIES {
            tries += 1;
            target.give_up(frozen, false);
            target.check()?;
            continue;
        }
        return copy.finish(frozen, known, rest, rounds);
    }
}

impl Copy<'_> {
    /// What can be done before the stop: memory touched, and files' pages that nobody changes.
    fn ahead(&mut self) -> Result<(), Failure> {
        let target = self.target;
        for m in target.maps.iter().filter(|m| is_private(m)) {
            let present = target.pages.present(m).unwrap_or_default();
            let saved = self.saved(m, &present);
            if is_clean(m, &present) {
                self.copy_private(&saved.runs).map_err(refused_place)?;
            } else {
                self.image.prepare(&saved.runs);
            }
        }
        for o in &mut self.shared {
            // Only to have the memory at hand.
            let data = o.data(&o.extents, &target.maps, &target.pages).unwrap_or_default();
            o.image.prepare(&data);
        }
        Ok(())
    }

    /// Copies private memory; what has no place yet gets one.
    fn copy_private(&mut self, runs: &[(u64, u64)]) -> io::Result<()> {
        let target = self.target;
        let places = runs.iter().flat_map(|r| self.image.places(r.0, r.1)).collect::<Ranges>();
        self.image.add(&minus(runs, &places), target.staging)?;
        let read = |a, b: &mut [u8]| in_time(self.deadline).and_then(|()| target.read(a, b));
        self.copied += self.image.copy(runs, self.workers, &read);
        Ok(())
    }

    fn copy_shared(&mut self, index: usize, ranges: &[(u64, u64)], maps: &[Mapping]) {
        let (workers, memory) = (self.workers, &self.target.memory);
        let in_time = || in_time(self.deadline);
        self.copied += self.shared[index].copy(ranges, workers, maps, memory, &in_time);
    }

    /// One round: what was written to since the last one, or all in the first. Answers bytes.
    fn round(&mut self, tracker: &mut Tracker, first: bool) -> Result<u64, Failure> {
        let (target, before) = (self.target, self.copied);
        let (maps, mut came) = match first {
            true => (target.maps.clone(), Vec::new()),
            false => self.watch_new(tracker)?,
        };
        for m in maps.iter().filter(|m| is_private(m)) {
            // Protected first, then copied: what is written to in between is seen next time. A
            // mapping that came in its place is left out, and then copied in the stop.
            let written = match tracker.watches(m) {
                true => target.pages.written(m, true, false).map_err(unseen)?,
                false => Vec::new(),
            };
            if first {
                let present = target.pages.present(m).map_err(unseen)?;
                if tracker.watches(m) || is_clean(m, &present) {
                    let runs = self.saved(m, &present).runs;
                    self.copy_private(&runs).map_err(refused_place)?;
                }
            } else {
                self.copy_private(&written).map_err(refused_place)?;
            }
        }
        let mut written = vec![Ranges::new(); self.shared.len()];
        for (object, written) in self.shared.iter().zip(&mut written) {
            for m in object.views(&maps).filter(|m| tracker.watches(m)).collect::<Vec<_>>() {
                let scan = || target.pages.written(m, true, true);
                match scan() {
                    Ok(runs) => written.extend(runs.into_iter().map(|r| m.to_file(r))),
                    Err(_) if tracker.watch_again(m) && scan().is_ok() => came.push(m.clone()),
                    Err(_) => tracker.distrust(m),
                }
            }
        }
        distrust_replaced(target, tracker, &came)?;
        for (i, written) in written.into_iter().enumerate() {
            let object = &mut self.shared[i];
            let mut ranges = match first {
                true => object.data(&object.extents, &maps, &target.pages).map_err(unseen)?,
                // Of what came since, all: it may have been written to through a mapping that is gone.
                false => {
                    let came = object.views(&came).map(|m| m.to_file((m.start, m.end))).collect();
                    let came = object.data(&union(came), &maps, &target.pages).map_err(unseen)?;
                    [written, came].concat()
                }
            };
            ranges.extend(object.follow_holes(&maps, &target.pages).map_err(unseen)?);
            self.copy_shared(i, &union(ranges), &maps);
        }
        Ok(self.copied - before)
    }

    /// Rounds until little is left.
    fn settle(&mut self, tracker: &mut Tracker, rounds: &mut Vec<u64>) -> Result<(), Failure> {
        let mut before = u64::MAX;
        for _ in 0..SETTLING {
            let round = self.round(tracker, false)?;
            rounds.push(round);
            if round <= SETTLED || round > before / 2 {
                break;
            }
            before = round;
        }
        Ok(())
    }

    /// About how long it will stand still but for its threads: what is done in the stop, while it runs, but for the copy.
    fn rehearse(&mut self, tracker: &Tracker) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let bytes = self.rest(Some(tracker))?.bytes();
        Ok(begun.elapsed() + to_copy(bytes))
    }

    /// Watches what was mapped since, so that not all of it is left for the stop. Answers what is
    /// mapped now, and what of it is watched from now on.
    fn watch_new(
        &mut self,
        tracker: &mut Tracker,
    ) -> Result<(Vec<Mapping>, Vec<Mapping>), Failure> {
        let target = self.target;
        let maps = maps::read(target.pid).map_err(|e| target.error(&e.to_string()))?;
        let unwatched = maps.iter().filter(|m| !tracker.watches(m)).cloned().collect::<Vec<_>>();
        let came = unwatched.into_iter().filter(|m| tracker.watch_again(m)).collect();
        follow(&mut self.shared, target.pid, &maps, target.staging).map_err(refused_place)?;
        Ok((maps, came))
    }

    /// Copies the rest within the stop, reads the registers, and lets the target run on.
    fn finish(
        mut self,
        frozen: Frozen,
        known: HashMap<i32, Thread>,
        rest: Remaining,
        rounds: Vec<u64>,
    ) -> Result<Snapshot, Failure> {
        let target = self.target;
        let at = SystemTime::now();
        let before = self.copied;
        self.deadline = frozen.deadline();
        self.workers = Workers::all(target.options.threads);
        let threads = target.threads(&frozen, known);
        let aside = target.staging.is_some() && rest.bytes() <= ASIDE;
        let Remaining { maps, private, shared } = rest;
        for image in self.images() {
            image.forget_failed();
            if aside {
                image.copy_aside();
            }
        }
        for rest in &private {
            self.copy_private(&rest.copy).map_err(|e| target.error(&no_place(&e)))?;
        }
        for (i, ranges) in shared.iter().enumerate() {
            self.copy_shared(i, ranges, &maps);
        }
        if self.images().any(|image| image.lacks_any()) {
            if !target.has_memory() {
                return Err(target.lost("its memory is gone").into());
            }
            if frozen.is_overdue(Duration::ZERO) {
                target.give_up(frozen, false);
                return Err(target.too_long());
            }
        }
        let pause = frozen.release();
        self.images().for_each(|image| image.bring_in(Workers::beside(target.options.threads)));
        let mut kept = Vec::with_capacity(maps.len());
        for (m, rest) in maps.iter().zip(private) {
            rest.gone.iter().for_each(|&(start, end)| self.image.drop_pages(start, end));
            let runs = if is_private(m) { self.image.runs(m.start, m.end) } else { Ranges::new() };
            kept.push(Saved { runs, rest_is_zero: rest.rest_is_zero });
        }
        let mut bad: Ranges = self.image.failed().to_vec();
        self.shared.iter().for_each(|o| bad.extend(o.failed_addresses(&maps)));
        bad.extend(target.unmade(maps.iter().zip(&kept).map(|(m, s)| (m, &s.runs[..]))));
        Ok(Snapshot {
            at,
            pause,
            threads: threads.states(target.pid),
            maps: maps.into_iter().zip(kept).map(|(m, s)| (m, s, Holder::Image)).collect(),
            shared: self.shared,
            image: self.image,
            child: None,
            in_stop: self.copied - before,
            rounds,
            bad: union(bad),
        })
    }
}

/// Where another part of a shared file came to lie between the reading of the maps and the watch,
/// what is written there would count for the part that was there before.
fn distrust_replaced(
    target: &Target<'_>,
    tracker: &mut Tracker,
    watched: &[Mapping],
) -> Result<(), Failure> {
    let now = maps::read(target.pid).map_err(|e| target.error(&e.to_string()))?;
    for m in watched.iter().filter(|m| m.kind() == Kind::SharedMemory) {
        let i = now.partition_point(|n| n.start < m.start);
        if now.get(i) != Some(m) {
            tracker.distrust(m);
        }
    }
    Ok(())
}

fn in_time(deadline: Option<Instant>) -> io::Result<()> {
    match deadline {
        Some(deadline) if Instant::now() > deadline => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

/// Which pages there are, or were written to, cannot be told.
fn unseen(e: io::Error) -> Failure {
    Failure::Refused(format!("its page map cannot be read: {e}"))
}

impl Target<'_> {
    /// Reads private memory of the target itself.
    fn read(&self, addr: u64, buf: &mut [u8]) -> io::Result<()> {
        match sys::read_process(self.pid, addr, buf) {
            Ok(n) if n == buf.len() => Ok(()),
            // Memory without read access can only be read this way.
            _ => self.memory.read_exact_at(buf, addr),
        }
    }
}
