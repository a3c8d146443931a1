//! Shared memory of the target: what a fork does not isolate, and what is mapped at several
//! addresses but saved once. ZGC's heap is such.
//!
//! Knows files and their holes; knows nothing of collectors.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::image::{Image, Read, Workers};
use super::pages::PageMap;
use super::plan::SharedPlan;
use crate::format::ranges::{Ranges, minus, union};
use crate::process::maps::{Kind, Mapping};

/// One piece of shared memory.
#[derive(Debug)]
pub(super) struct Object {
    /// Device and inode.
    pub file: (u64, u64),
    /// Opened, where the kernel lets us; then its own data ranges are known.
    open: Option<File>,
    /// The parts of it that are mapped, as offsets, in order and disjoint.
    pub extents: Ranges,
    /// The copy; its addresses are offsets.
    pub image: Image,
    /// The file's state when its holes were last looked for; none where a change a moment later
    /// might not show.
    seen: Option<Stamp>,
}

/// What changes with a file's holes and not with writes to its mappings.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    changed: (i64, i64),
    blocks: u64,
}

/// Some ticks of the clock that stamps files: a change within the same tick leaves no other stamp.
const TICKS: Duration = Duration::from_millis(50);

/// The shared memory that is mapped in `maps`.
pub(super) fn objects(pid: i32, maps: &[Mapping]) -> Vec<Object> {
    let mut out: Vec<Object> = Vec::new();
    for m in maps.iter().filter(|m| m.kind() == Kind::SharedMemory) {
        let extent = (m.offset, m.offset + m.bytes());
        match out.iter_mut().find(|o| o.file == m.file) {
            Some(o) => o.extents.push(extent),
            None => out.push(Object {
                file: m.file,
                open: open(pid, m),
                extents: vec![extent],
                image: Image::default(),
                seen: None,
            }),
        }
    }
    for o in &mut out {
        o.extents = union(std::mem::take(&mut o.extents));
    }
    out
}

/// Makes `objects`, which were mapped a moment ago, those that are mapped in `maps`. ZGC maps
/// and unmaps its heap as it runs.
pub(super) fn follow(
    objects: &mut Vec<Object>,
    pid: i32,
    maps: &[Mapping],
    staging: Option<&Path>,
) -> io::Result<()> {
    for mut now in self::objects(pid, maps) {
        match objects.iter_mut().find(|o| o.file == now.file) {
            Some(o) => {
                // What was mapped before, and not in between, has its place still.
                o.image.add(&minus(&now.extents, &o.image.places(0, u64::MAX)), staging)?;
                o.extents = now.extents;
            }
            None => {
                now.image.add(&now.extents, staging)?;
                objects.push(now);
            }
        }
    }
    Ok(())
}

/// Root may follow map_files; everyone who may trace the process may open its descriptors, and
/// HotSpot keeps that of its heap.
fn open(pid: i32, m: &Mapping) -> Option<File> {
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", m.start, m.end);
    File::open(link).ok().or_else(|| {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        links.map(|e| e.path()).find_map(|link| {
            let meta = fs::metadata(&link).ok()?;
            let same = meta.ino() == m.file.1 && meta.is_file();
            same.then(|| File::open(link).ok()).flatten()
        })
    })
}

fn stamp(file: &File) -> Option<Stamp> {
    let meta = file.metadata().ok()?;
    Some(Stamp { changed: (meta.ctime(), meta.ctime_nsec()), blocks: meta.blocks() })
}

impl Stamp {
    fn is_old(&self) -> bool {
        let nanos = u32::try_from(self.changed.1).unwrap_or(0);
        let since = u64::try_from(self.changed.0).ok().map(|s| Duration::new(s, nanos));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since.is_some_and(|since| since + TICKS < now)
    }
}

impl Object {
    /// The parts of `extents` that hold data. Without an open file: those that a mapping of
    /// it has touched.
    pub(super) fn data(
        &self,
        extents: &[(u64, u64)],
        maps: &[Mapping],
        pages: &PageMap,
    ) -> io::Result<Ranges> {
        let Some(file) = &self.open else {
            let mut touched = Ranges::new();
            for m in self.views(maps) {
                let runs = pages.present(m)?;
                touched.extend(runs.iter().map(|r| m.to_file((r.start, r.end))));
            }
            let touched = union(touched);
            return Ok(minus(&touched, &minus(&touched, extents)));
        };
        let mut out = Vec::new();
        for &(start, end) in extents {
            let mut at = start;
            while at < end {
                let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
                    Ok(data) => data,
                    // Nothing but a hole is left.
                    Err(Errno::NXIO) => break,
                    // A file system that cannot tell: all of it may be data.
                    Err(_) => at,
                };
                let hole = rustix::fs::seek(file, SeekFrom::Hole(data)).unwrap_or(end).min(end);
                if data >= end || hole <= data {
                    break;
                }
                out.push((data, hole));
                at = hole;
            }
        }
        Ok(out)
    }

    /// Forgets of the copy what is a hole by now, which no watch of pages tells; answers the data
    /// that it does not have. Without an open file nothing tells holes from what is not mapped.
    pub(super) fn follow_holes(&mut self, maps: &[Mapping], pages: &PageMap) -> io::Result<Ranges> {
        let Some(file) = &self.open else { return Ok(Ranges::new()) };
        self.seen = stamp(file).filter(Stamp::is_old);
        let data = self.data(&self.extents, maps, pages)?;
        for (start, end) in minus(&self.extents, &data) {
            self.image.drop_pages(start, end);
        }
        Ok(minus(&data, &self.image.runs(0, u64::MAX)))
    }

    /// Whether holes may have come or gone since they were last looked for.
    pub(super) fn may_have_new_holes(&self) -> bool {
        self.open.as_ref().is_some_and(|file| self.seen.is_none() || stamp(file) != self.seen)
    }

    /// For the layout of the core.
    pub(super) fn plan(&self) -> SharedPlan {
        let data = self.image.runs(0, u64::MAX);
        SharedPlan { file: self.file, extents: self.extents.clone(), data }
    }

    /// Its mappings.
    pub(super) fn views<'m>(&self, maps: &'m [Mapping]) -> impl Iterator<Item = &'m Mapping> {
        let file = self.file;
        maps.iter().filter(move |m| m.kind() == Kind::SharedMemory && m.file == file)
    }

    /// The addresses under which offsets are mapped that could not be read, or of which nobody
    /// can tell whether they hold data: it is not open, and no mapping here has touched them.
    pub(super) fn failed_addresses(&self, maps: &[Mapping]) -> Ranges {
        let unknown = match self.open {
            Some(_) => Vec::new(),
            None => minus(&self.extents, &self.image.runs(0, u64::MAX)),
        };
        let failed = union([self.image.failed(), &unknown].concat());
        let of = |m: &Mapping| {
            let (start, end) = m.to_file((m.start, m.end));
            let failed = failed.iter().map(move |f| (f.0.max(start), f.1.min(end)));
            let back = m.start.wrapping_sub(m.offset);
            failed.filter(|f| f.0 < f.1).map(move |f| (f.0 + back, f.1 + back)).collect::<Ranges>()
        };
        self.views(maps).flat_map(of).collect()
    }

    /// Copies `ranges` of it, in offsets, as long as `in_time` allows it. Answers the bytes.
    pub(super) fn copy(
        &mut self,
        ranges: &[(u64, u64)],
        workers: Workers,
        maps: &[Mapping],
        memory: &File,
        in_time: &(dyn Fn() -> io::Result<()> + Sync),
    ) -> u64 {
        let views: Vec<Mapping> = self.views(maps).cloned().collect();
        let by_view = |offset: u64, buf: &mut [u8]| {
            in_time()?;
            let inside = |m: &&Mapping| m.offset <= offset && offset < m.offset + m.bytes();
            let m = views.iter().find(inside).ok_or(io::ErrorKind::NotFound)?;
            memory.read_exact_at(buf, m.start + (offset - m.offset))
        };
        let Some(file) = &self.open else { return self.image.copy(ranges, workers, &by_view) };
        let read: Read<'_> =
            &|offset, buf| in_time().and_then(|()| file.read_exact_at(buf, offset));
        self.image.copy(ranges, workers, read)
    }
}

impl Mapping {
    /// A range of its addresses as offsets in its file.
    pub(crate) fn to_file(&self, range: (u64, u64)) -> (u64, u64) {
        (range.0 - self.start + self.offset, range.1 - self.start + self.offset)
    }
}
