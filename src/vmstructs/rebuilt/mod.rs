//! The tables of a libjvm whose data is lost, made anew of its file: relocated, and filled as its
//! static initialisers fill them.
//!
//! Sound because nothing writes to the tables afterwards. What cannot be known is left out.

mod image;
mod initializers;

use std::ops::Range;

use image::{Image, State};
use initializers::follow;

use super::table::MAX_ROWS;
use crate::symbols::Library;

/// Instructions of all initialisers: libjvm has some hundred of them, the longest of 2,000.
const MAX_STEPS: usize = 5_000_000;

/// What is rebuilt: bytes and where they were.
pub type Piece = (u64, Vec<u8>);

/// A libjvm's data, of its file.
#[derive(Debug)]
pub struct Rebuilt<'f>(Image<'f>);

impl<'f> Rebuilt<'f> {
    /// Of the `file` that was loaded with `bias`; says why not in words.
    pub fn new(file: &'f [u8], bias: u64) -> Result<Rebuilt<'f>, String> {
        Ok(Rebuilt(Image::new(file, bias)?))
    }

    /// Where all data was, zeroed data included.
    pub fn data(&self) -> Range<u64> {
        self.0.data.clone()
    }

    /// Where ld.so made it read-only: vtables lie there.
    pub fn relro(&self) -> Range<u64> {
        self.0.relro.clone()
    }

    /// What is read-only.
    pub fn constants(&self) -> Vec<Piece> {
        let mut out = Vec::new();
        // Beyond the last whole page it is not protected.
        let end = self.0.relro.end & !0xfff;
        self.0.known(self.0.relro.start..end, |at, bytes| out.push((at, bytes.to_vec())));
        out
    }

    /// The four tables and what describes them. `library` has the symbols.
    pub fn tables(&mut self, library: &Library) -> Result<Vec<Piece>, String> {
        let parts = parts(&self.0, library)?;
        fill(&mut self.0, &parts)?;
        let mut out = Vec::new();
        for part in parts {
            self.0.known(part, |at, bytes| out.push((at, bytes.to_vec())));
        }
        Ok(out)
    }

    /// The word at `at` as the file has it, relocated: of a static that nobody changes.
    pub fn word(&self, at: u64) -> Option<u64> {
        self.0.word(at)
    }
}

/// Where the tables and all that is exported of them lie.
fn parts(image: &Image, library: &Library) -> Result<Vec<Range<u64>>, String> {
    let exported = library.all().map(|(_, at, size)| at..at.saturating_add(size));
    let mut out: Vec<Range<u64>> = exported.filter(|e| e.end > e.start).collect();
    for (table, stride) in
        [("Structs", 48), ("Types", 40), ("IntConstants", 16), ("LongConstants", 16)]
    {
        let start = library.address(&format!("gHotSpotVM{table}")).and_then(|at| image.word(at));
        let start = start.ok_or(format!("it has no gHotSpotVM{table}"))?;
        // The names are in the file: a row without one ends the table.
        let rows = (0..MAX_ROWS).map(|i| start.wrapping_add(i * stride));
        let rows = rows.take_while(|row| image.word(*row).is_some_and(|name| name != 0));
        out.push(start..start.saturating_add((rows.count() as u64 + 1) * stride));
    }
    out.sort_by_key(|r| r.start);
    Ok(out)
}

/// Follows all initialisers. That of vmStructs.cpp always writes some of the tables' rows, as some
/// are no constants to any compiler; that it was followed to its end proves that all is written.
fn fill(image: &mut Image, parts: &[Range<u64>]) -> Result<(), String> {
    let not =
        |why: &str| format!("the initialiser that fills the tables could not be followed{why}");
    let is_part = |at: u64| {
        let i = parts.partition_point(|p| p.end <= at);
        parts.get(i).is_some_and(|p| p.start <= at)
    };
    let (mut followed, mut left) = (false, MAX_STEPS);
    for start in image.initializers.clone() {
        let (writes, end) = follow(image, start, &mut left);
        if !writes.iter().any(|w| is_part(w.at)) {
            continue;
        }
        if let Err(stopped) = end {
            let at = stopped.at.wrapping_sub(image.bias);
            return Err(not(&format!(": {} at {at:#x} of the file", stopped.what)));
        }
        for w in writes {
            match w.bytes {
                Some(bytes) => {
                    image.write(w.at, bytes.get(..w.len).unwrap_or(&bytes), State::Written)
                }
                None => image.write(w.at, [0; 16].get(..w.len).unwrap_or(&[0; 16]), State::Unknown),
            };
        }
        followed = true;
    }
    if followed { Ok(()) } else { Err(not("")) }
}
