//! The top-level records, read once from front to back: names, classes, frames and traces by where they lie, and the
//! heap dump cut into pieces.

use std::collections::HashMap;
use std::ops::Range;

use super::bytes::Bytes;
use super::format::{MAGIC, RECORD_HEADER, tag};
use super::loss::{Hole, Loss, is_known};
use super::sub;
use crate::error::{Error, Result};

/// A heap dump's record that is longer is cut into pieces of about this size, so that all cores have work (JDK 8
/// writes one for the whole heap).
const PIECE: usize = 4 << 20;
/// Bytes of a version that the header may have.
const MAX_VERSION: usize = 32;
/// The versions whose records are known; Android's is 1.0.3.
const VERSIONS: [&[u8]; 3] = [b"1.0.1", b"1.0.2", b"1.0.3"];

/// A frame of a stack trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub method: u64,
    pub file: u64,
    pub class: u32,
    pub line: i32,
}

/// All but the objects.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Bytes of an id.
    pub id: usize,
    /// The header's version, `1.0.2`.
    pub version: String,
    /// When the dump was taken, in ms since 1970; 0 where that is not known.
    pub time: u64,
    /// Where each name's bytes lie.
    pub names: HashMap<u64, Range<usize>>,
    /// Class ids by serial, and their names' ids by class id.
    pub serials: HashMap<u32, u64>,
    pub class_names: HashMap<u64, u64>,
    pub frames: HashMap<u64, Frame>,
    /// Where the ids of a stack trace's frames lie, by its serial.
    pub traces: HashMap<u32, Range<usize>>,
    /// Sub-records of the heap dump, in order; none crosses the end of its piece.
    pub pieces: Vec<Range<usize>>,
    pub loss: Loss,
}

/// Whether a file that starts so is an HPROF.
pub fn is_hprof(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

impl Outline {
    /// Reads it; `label` names the file. An error where the file is no HPROF, or of a version that is not known.
    pub(super) fn read(label: &std::path::Path, data: &[u8]) -> Result<Outline> {
        let not = |what: String| Error::NotAnHprof { path: label.into(), what };
        let version = data.strip_prefix(MAGIC).ok_or_else(|| not("not an HPROF file".into()))?;
        let end = version.iter().take(MAX_VERSION).position(|b| *b == 0);
        let cut = || not("an HPROF file that ends within its header".into());
        let version = match end.and_then(|end| version.get(..end)) {
            Some(version) => version,
            None if version.len() < MAX_VERSION => return Err(cut()),
            None => return Err(not("an HPROF file of an unknown version".into())),
        };
        let text = version.escape_ascii().to_string();
        if !VERSIONS.contains(&version) {
            return Err(not(format!(
                "an HPROF file of version {text}; 1.0.1, 1.0.2 and Android's 1.0.3 can be read"
            )));
        }
        let mut bytes = Bytes::new(data, MAGIC.len() + version.len() + 1..data.len(), 8);
        let (id, time) = (bytes.u4().ok_or_else(cut)?, bytes.u8().ok_or_else(cut)?);
        if id != 4 && id != 8 {
            return Err(not(format!("an HPROF file with ids of {id} bytes; they are 4 or 8")));
        }
        bytes.id = id as usize;
        let mut outline = Outline { id: bytes.id, version: text, time, ..Outline::default() };
        outline.records(data, bytes);
        Ok(outline)
    }

    fn records(&mut self, data: &[u8], mut bytes: Bytes) {
        let (mut segments, mut ended) = (false, false);
        while bytes.left() > 0 {
            let start = bytes.at();
            let (Some(tag), Some(_), Some(len)) = (bytes.u1(), bytes.u4(), bytes.u4()) else {
                // A cut within a record's header: how long the record is, is not known.
                self.loss.cut_rest = (data.len() - start) as u64;
                self.loss.cut_off = RECORD_HEADER as u64 - self.loss.cut_rest;
                return;
            };
            let (len, at) = (len as usize, bytes.at());
            let there = len.min(bytes.left());
            let is_heap = matches!(tag, tag::HEAP_DUMP | tag::HEAP_DUMP_SEGMENT);
            self.loss.cut_off = (len - there) as u64;
            match tag {
                _ if is_heap => self.heap(data, at..at + there),
                _ if there < len => self.loss.cut_rest = there as u64,
                _ => {
                    let record = Bytes::new(data, at..at + len, self.id);
                    if self.record(tag, record).is_none() {
                        self.loss.short_records += 1;
                    }
                }
            }
            segments |= tag == tag::HEAP_DUMP_SEGMENT;
            ended |= tag == tag::HEAP_DUMP_END;
            bytes.take(there);
        }
        self.loss.no_heap = self.pieces.is_empty();
        self.loss.no_end = segments && !ended;
    }

    fn record(&mut self, tag: u8, mut r: Bytes) -> Option<()> {
        match tag {
            tag::UTF8 => {
                let id = r.id()?;
                let text = r.at()..r.at() + r.left();
                self.names.entry(id).or_insert(text);
            }
            tag::LOAD_CLASS => {
                let (serial, class) = (r.u4()?, r.id()?);
                r.u4()?;
                let name = r.id()?;
                self.serials.entry(serial).or_insert(class);
                self.class_names.entry(class).or_insert(name);
            }
            tag::FRAME => {
                let (id, method) = (r.id()?, r.id()?);
                r.id()?;
                let (file, class, line) = (r.id()?, r.u4()?, r.u4()? as i32);
                self.frames.entry(id).or_insert(Frame { method, file, class, line });
            }
            tag::TRACE => {
                let serial = r.u4()?;
                r.u4()?;
                let count = r.u4()? as usize;
                let frames = r.at()..r.at() + count.checked_mul(r.id)?;
                r.take(frames.len())?;
                self.traces.entry(serial).or_insert(frames);
            }
            tag if !is_known(tag) => *self.loss.unknown.entry(tag).or_default() += 1,
            _ => {}
        }
        Some(())
    }

    /// Cuts one record's sub-records into pieces. A short one is a piece by itself, which whoever reads it finds whole
    /// or not.
    fn heap(&mut self, data: &[u8], range: Range<usize>) {
        if range.len() <= 2 * PIECE && self.loss.cut_off == 0 {
            self.pieces.push(range);
            return;
        }
        let mut bytes = Bytes::new(data, range.clone(), self.id);
        let mut from = range.start;
        loop {
            let at = bytes.at();
            if at - from >= PIECE || bytes.left() == 0 {
                self.pieces.push(from..at);
                from = at;
            }
            if bytes.left() == 0 {
                return;
            }
            if let Err(why) = sub::next(&mut bytes) {
                self.pieces.push(from..at);
                let bytes = (range.end - at) as u64;
                match (why, self.loss.cut_off) {
                    // The last one, of which the end of the file took a part.
                    (sub::Stop::Short, 1..) => self.loss.cut_rest = bytes,
                    _ => self.loss.hole(Hole { at, bytes, why }),
                }
                return;
            }
        }
    }

    /// A name's bytes, modified UTF-8; none where the file does not have it.
    pub(super) fn name<'d>(&self, data: &'d [u8], id: u64) -> Option<&'d [u8]> {
        data.get(self.names.get(&id)?.clone())
    }
}
