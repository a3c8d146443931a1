//! What of a process is not copied yet.
//!
//! Knows what changed since it was copied, by page tables and by the holes of shared files; copies nothing.

use std::io;

use rayon::prelude::*;

use super::copied::{Copy, is_clean, is_private};
use super::shared::follow;
use super::target::Failure;
use super::track::Tracker;
use crate::format::ranges::{Ranges, both, minus, union};
use crate::process::maps::{self, Kind, Mapping};

/// What is to be copied within the stop.
pub(super) struct Remaining {
    pub maps: Vec<Mapping>,
    /// Of each mapping.
    pub private: Vec<PrivateRest>,
    /// What of each shared object is not copied yet, as offsets.
    pub shared: Vec<Ranges>,
}

/// The same of a private mapping.
#[derive(Default)]
pub(super) struct PrivateRest {
    /// What is not copied yet, or was written to since.
    pub copy: Ranges,
    /// What may have been copied and is not there any more, or not to be saved.
    pub gone: Ranges,
    /// The other pages are zero.
    pub rest_is_zero: bool,
}

impl Remaining {
    pub(super) fn bytes(&self) -> u64 {
        let private = self.private.iter().map(|p| &p.copy);
        private.chain(&self.shared).flatten().map(|r| r.1 - r.0).sum()
    }
}

impl Copy<'_> {
    /// What is not copied yet: within the stop, what has to be.
    pub(super) fn rest(&mut self, tracker: Option<&Tracker>) -> Result<Remaining, Failure> {
        let target = self.target;
        let maps = maps::read(target.pid).map_err(|e| target.error(&e.to_string()))?;
        target.same_program(&maps)?;
        // What could not be read before is asked for again, if it is still there.
        let failed = union(self.image.failed().to_vec());
        let watched = |m: &&Mapping| tracker.is_some_and(|t| is_private(m) && t.watches(m));
        let ranges: Ranges = maps.iter().filter(watched).map(|m| (m.start, m.end)).collect();
        // Where it cannot be told, all counts as changed.
        let changed = target.pages.changed(&ranges).unwrap_or(ranges);
        let changed = union([changed, failed].concat());
        let lost = |e: io::Error| target.lost(&e.to_string());
        let present = target.pages.present_in(&changed).map_err(lost)?;
        let private = maps.par_iter().map(|m| match watched(&m) {
            true => self.watched_rest(m, &changed, &present),
            false => self.private_rest(m),
        });
        let private = private.collect::<io::Result<_>>().map_err(lost)?;
        let shared = self.shared_rest(tracker, &maps).map_err(lost)?;
        Ok(Remaining { maps, private, shared })
    }

    /// Of a watched mapping. `changed` is all that may differ from the copy, `present` what of that is there.
    fn watched_rest(
        &self,
        m: &Mapping,
        changed: &[(u64, u64)],
        present: &[(u64, u64)],
    ) -> io::Result<PrivateRest> {
        let here = [(m.start, m.end)];
        let written: Ranges = both(&here, present).collect();
        if m.kind() == Kind::Anonymous {
            // What is neither there nor protected was given back: of a large heap nothing else is looked at.
            let changed: Ranges = both(&here, changed).collect();
            let gone = minus(&changed, &written);
            return Ok(PrivateRest { copy: written, gone, rest_is_zero: true });
        }
        let saved = self.saved(m, &self.target.pages.present(m)?);
        let copy = union([written, self.missing(m, &saved.runs)].concat());
        let gone = minus(&here, &saved.runs);
        Ok(PrivateRest { copy, gone, rest_is_zero: saved.rest_is_zero })
    }

    /// Of a mapping that is not watched.
    fn private_rest(&self, m: &Mapping) -> io::Result<PrivateRest> {
        if !is_private(m) {
            return Ok(PrivateRest::default());
        }
        let target = self.target;
        // An error is no empty mapping.
        let present = target.pages.present(m)?;
        let saved = self.saved(m, &present);
        let gone = minus(&[(m.start, m.end)], &saved.runs);
        let clean = is_clean(m, &present) && target.maps.contains(m);
        let copy = if clean { self.missing(m, &saved.runs) } else { saved.runs };
        Ok(PrivateRest { copy, gone, rest_is_zero: saved.rest_is_zero })
    }

    fn missing(&self, m: &Mapping, wanted: &[(u64, u64)]) -> Ranges {
        minus(wanted, &self.image.runs(m.start, m.end))
    }

    /// What is missing of each shared object.
    fn shared_rest(
        &mut self,
        tracker: Option<&Tracker>,
        maps: &[Mapping],
    ) -> io::Result<Vec<Ranges>> {
        let target = self.target;
        follow(&mut self.shared, target.pid, maps, target.staging)?;
        let mut out = Vec::with_capacity(self.shared.len());
        for i in 0..self.shared.len() {
            out.push(match tracker {
                None => self.shared[i].data(&self.shared[i].extents, maps, &target.pages)?,
                Some(tracker) => {
                    let (mut written, unwatched) = self.shared_written(i, tracker, maps);
                    // Written to through a mapping that is gone: all data of it; the rest is
                    // a hole by now.
                    let data = self.shared[i].data(&unwatched, maps, &target.pages)?;
                    let image = &mut self.shared[i].image;
                    minus(&unwatched, &data).iter().for_each(|h| image.drop_pages(h.0, h.1));
                    written.extend(data);
                    if self.shared[i].may_have_new_holes() {
                        written.extend(self.shared[i].follow_holes(maps, &target.pages)?);
                    }
                    union(written)
                }
            });
        }
        Ok(out)
    }

    /// For the stop: what was written to through watched mappings of a shared object, and what is
    /// mapped where nobody watched; both as offsets.
    fn shared_written(
        &self,
        index: usize,
        tracker: &Tracker,
        maps: &[Mapping],
    ) -> (Ranges, Ranges) {
        let (mut written, mut unwatched) = (Ranges::new(), Ranges::new());
        for m in self.shared[index].views(maps) {
            let seen = match tracker.watches(m) {
                true => self.target.pages.written(m, false, true).ok(),
                false => None,
            };
            match seen {
                Some(runs) => written.extend(runs.into_iter().map(|r| m.to_file(r))),
                None => unwatched.push(m.to_file((m.start, m.end))),
            }
        }
        (union(written), union(unwatched))
    }
}
