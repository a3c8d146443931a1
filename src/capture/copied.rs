//! The copy of a process while it is made: its private memory, its shared memory, and what of both is saved.
//!
//! Knows what goes into it; `copy` fills it, `rest` says what is left.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use super::image::{Image, Workers};
use super::pages::Run;
use super::plan::{Saved, saved};
use super::shared::{Object, objects};
use super::target::{Failure, Target};
use crate::format::ranges::Ranges;
use crate::process::maps::{self, Kind, Mapping};

/// The copy while it is made.
pub(super) struct Copy<'t> {
    pub target: &'t Target<'t>,
    pub image: Image,
    pub shared: Vec<Object>,
    /// Where files end, looked up before the stop.
    pub file_ends: HashMap<(u64, u64), u64>,
    pub copied: u64,
    pub workers: Workers,
    /// When the target has stood still for too long: from then on nothing more is read.
    pub deadline: Option<Instant>,
}

impl<'t> Copy<'t> {
    pub(super) fn new(target: &'t Target<'t>) -> Result<Copy<'t>, Failure> {
        let mut image = Image::default();
        image.add(&private(&target.maps), target.staging).map_err(refused_place)?;
        let mut shared = objects(target.pid, &target.maps);
        for o in &mut shared {
            o.image.add(&o.extents, target.staging).map_err(refused_place)?;
        }
        let of_files =
            target.maps.iter().filter(|m| m.has_file() && m.kind() != Kind::SharedMemory);
        let file_ends = of_files
            .filter_map(|m| Some(((m.start, m.end), maps::file_end(target.pid, m)?)))
            .collect();
        let workers = Workers::behind(target.options.threads);
        Ok(Copy { target, image, shared, file_ends, copied: 0, workers, deadline: None })
    }

    pub(super) fn saved(&self, m: &Mapping, present: &[Run]) -> Saved {
        let end = self.file_ends.get(&(m.start, m.end)).copied();
        saved(m, present, self.target.options.full, end)
    }

    pub(super) fn images(&mut self) -> impl Iterator<Item = &mut Image> {
        std::iter::once(&mut self.image).chain(self.shared.iter_mut().map(|o| &mut o.image))
    }
}

/// The private mappings that can be written to: their pages get a place ahead of time.
fn private(maps: &[Mapping]) -> Ranges {
    let kind = |m: &&Mapping| matches!(m.kind(), Kind::Anonymous | Kind::PrivateFile);
    let writable = maps.iter().filter(|m| m.flags & 2 != 0).filter(kind);
    writable.map(|m| (m.start, m.end)).collect()
}

pub(super) fn no_place(e: &io::Error) -> String {
    format!("no memory for a copy: {e}")
}

pub(super) fn refused_place(e: io::Error) -> Failure {
    Failure::Refused(no_place(&e))
}

/// Whether its pages go into the image.
pub(super) fn is_private(m: &Mapping) -> bool {
    !matches!(m.kind(), Kind::SharedMemory | Kind::Foreign)
}

/// A file's pages that the process can neither have changed nor change without a new mapping.
pub(super) fn is_clean(m: &Mapping, present: &[Run]) -> bool {
    m.kind() == Kind::Vdso
        || (m.kind() == Kind::PrivateFile && m.flags & 2 == 0 && present.iter().all(|r| r.file))
}
