//! How pointers are written, by pairs whose other end is known: a mirror's header is that of
//! java.lang.Class, static fields refer to objects.

use std::collections::HashSet;

use super::super::pointers::KlassForm;
use super::super::unexported::COMPACT_KLASS_SHIFT;
use super::classes::FoundClasses;
use super::search::Search;
use crate::hotspot::classes::{FieldReader, is_reference};

/// Fields of a mirror lie below this.
const MAX_OFFSET: u64 = 256;
/// Larger shifts have no VM.
const MAX_SHIFT: u64 = 16;
/// Of so many mirrors in a hundred the object behind must be of a known class. Those at the ends
/// of buffers have none behind them.
const FOLLOWED: usize = 90;
/// So many static references are needed, and so many in a hundred of them must lead to objects:
/// a class that was unloaded since may have been found, too.
const LEAST: usize = 50;
const DECODED: usize = 98;
/// Mirrors that are looked at, at most.
const SAMPLE: usize = 2000;

/// What was found.
pub(super) struct Encoding {
    pub narrow_oops: bool,
    pub oop_base: u64,
    pub oop_shift: u64,
    pub narrow_klass: bool,
    pub compact: bool,
    pub klass_base: u64,
    pub klass_shift: u64,
    /// java_lang_Class::_oop_size_offset.
    pub oop_size_offset: u64,
    pub alignment: u64,
    form: KlassForm,
}

impl Encoding {
    /// The class of the object at `at`.
    pub(super) fn klass(&self, s: &Search, at: u64) -> Option<u64> {
        bits(s, at, self.form).map(|b| self.klass_base.wrapping_add(b << self.klass_shift))
    }
}

/// The one encoding that holds for all that is known.
pub(super) fn find(s: &Search, c: &FoundClasses) -> Result<Encoding, String> {
    let mut mirrors: Vec<u64> = c.mirrors.values().copied().collect();
    mirrors.sort_unstable();
    // Objects lie at multiples of it, and of so many mirrors not all at multiples of more.
    let bits = mirrors.iter().fold(0, |bits, m| bits | m);
    let alignment = 1 << bits.trailing_zeros().clamp(3, 8);
    // One behind the other there may be nothing but mirrors, so that several fit until references
    // to all sorts of objects are followed.
    let mut found = Vec::new();
    let mut why = "no encoding of class pointers fits".to_owned();
    for klass in klass_encodings(s, c, &mirrors, alignment)? {
        let is_object =
            |at: u64| s.in_heap(at) && klass.klass(s, at).is_some_and(|k| c.is_klass(s, k));
        match oops(s, c, is_object) {
            Ok((narrow_oops, oop_base, oop_shift)) => {
                found.push(Encoding { narrow_oops, oop_base, oop_shift, ..klass });
            }
            Err(e) => why = e,
        }
    }
    match found.len() {
        1 => found.pop().ok_or(why),
        0 => Err(why),
        n => Err(format!("{n} encodings of pointers fit")),
    }
}

/// What headers may say, references left open.
fn klass_encodings(
    s: &Search,
    c: &FoundClasses,
    mirrors: &[u64],
    alignment: u64,
) -> Result<Vec<Encoding>, String> {
    let class = c.named("java/lang/Class").ok_or("there is no java.lang.Class")?;
    let compact = s.tables.constant("markWord::klass_shift");
    let compact = compact.and_then(|s| u32::try_from(s).ok()).filter(|s| *s < 64);
    let compact = KlassForm::Compact(compact.unwrap_or(COMPACT_KLASS_SHIFT));
    let mut found = Vec::new();
    for form in [KlassForm::Wide, KlassForm::Narrow, compact] {
        // All mirrors are of one class.
        let mut all = mirrors.iter().map(|m| bits(s, *m, form));
        let Some(first) = all.next().flatten().filter(|b| *b != 0) else { continue };
        if !all.all(|b| b == Some(first)) || form == KlassForm::Wide && first != class {
            continue;
        }
        let shifts = if form == KlassForm::Wide { 0..=0 } else { 0..=MAX_SHIFT };
        for klass_shift in shifts {
            let mut encoding = Encoding {
                narrow_oops: false,
                oop_base: 0,
                oop_shift: 0,
                narrow_klass: form != KlassForm::Wide,
                compact: form == compact,
                klass_base: class.wrapping_sub(first << klass_shift),
                klass_shift,
                oop_size_offset: 0,
                alignment,
                form,
            };
            let is_object = |at| encoding.klass(s, at).is_some_and(|k| c.is_klass(s, k));
            if let Some(offset) = oop_size_offset(s, mirrors, alignment, is_object) {
                encoding.oop_size_offset = offset;
                found.push(encoding);
            }
        }
    }
    Ok(found)
}

/// The bits of the header at `at` that tell the class.
fn bits(s: &Search, at: u64, form: KlassForm) -> Option<u64> {
    match form {
        KlassForm::Wide => s.mem.u64(at.wrapping_add(8)).ok(),
        KlassForm::Narrow => s.mem.u32(at.wrapping_add(8)).ok().map(u64::from),
        KlassForm::Compact(shift) => s.mem.u64(at).ok().map(|mark| mark >> shift),
    }
}

/// (narrow, base, shift). Whether references are narrow the arrays' layout helpers tell, which hold
/// log2 of their bytes. What is told of a base and a shift must make objects of all static fields.
fn oops(
    s: &Search,
    c: &FoundClasses,
    is_object: impl Fn(u64) -> bool,
) -> Result<(bool, u64, u64), String> {
    let width = |(array, _): &(u64, u64)| {
        let at = array.wrapping_add(s.fields.klass_layout_helper.opt()?);
        Some(s.mem.u32(at).ok()? & 0x3f)
    };
    let narrow = match c.arrays.first().and_then(width) {
        Some(log2 @ (2 | 3)) if c.arrays.iter().all(|a| width(a) == Some(log2)) => log2 == 2,
        _ => return Err("the arrays disagree on the size of references".into()),
    };
    let slots = static_slots(s, c);
    let read = |at: &u64| match narrow {
        true => s.mem.u32(*at).map(u64::from).ok(),
        false => s.mem.u64(*at).ok(),
    };
    let values: Vec<u64> = slots.iter().filter_map(read).filter(|v| *v != 0).collect();
    let fits = |(base, shift): &(u64, u64)| {
        let good = values.iter().filter(|v| is_object(base.wrapping_add(**v << shift))).count();
        values.len() >= LEAST && good * 100 >= values.len() * DECODED
    };
    let mut found = bases(s, c, narrow);
    found.retain(fits);
    match found[..] {
        [(base, shift)] => Ok((narrow, base, shift)),
        _ => Err(format!(
            "{} encodings of references fit {} static fields",
            found.len(),
            values.len()
        )),
    }
}

/// What may be base and shift: those by which the mirrors of arrays refer to those of their
/// elements, and those that HotSpot chooses by where the heap lies (`compressedOops.cpp`).
fn bases(s: &Search, c: &FoundClasses, narrow: bool) -> Vec<(u64, u64)> {
    if !narrow {
        return vec![(0, 0)];
    }
    let pair =
        |(array, element): &(u64, u64)| Some((*c.mirrors.get(array)?, *c.mirrors.get(element)?));
    let pairs: Vec<(u64, u64)> = c.arrays.iter().filter_map(pair).collect();
    let mut out = vec![(0, 0), (0, 3)];
    for offset in (8..MAX_OFFSET).step_by(4) {
        for shift in 0..=8 {
            let base = |(from, to): &(u64, u64)| {
                let bits = u64::from(s.mem.u32(from.wrapping_add(offset)).ok()?);
                to.checked_sub(bits << shift).filter(|base| bits != 0 && *base <= s.reserved.0)
            };
            let mut all = pairs.iter().map(base);
            if let Some(base) = all.next().flatten()
                && all.all(|b| b == Some(base))
            {
                out.push((base, shift));
            }
        }
    }
    // A page in front of the heap that nobody may read stands for null.
    let page = s.core.page_size();
    out.extend([(s.reserved.0, 3), (s.reserved.0.saturating_sub(page), 3)]);
    out.sort_unstable();
    out.dedup();
    out
}

/// Where mirrors have their classes' static references.
fn static_slots(s: &Search, c: &FoundClasses) -> Vec<u64> {
    let Ok(reader) = FieldReader::with_numbers(s.mem, s.tables, s.fields) else {
        return Vec::new();
    };
    let arrays: HashSet<u64> = c.arrays.iter().map(|a| a.0).collect();
    let mut out = Vec::new();
    for (klass, mirror) in c.mirrors.iter().filter(|(k, _)| !arrays.contains(k)) {
        let fields = reader.read(*klass).unwrap_or_default();
        let references =
            fields.iter().filter(|i| i.is_static && !i.injected && is_reference(i.kind));
        out.extend(references.map(|i| mirror.wrapping_add(u64::from(i.offset))));
    }
    out
}

/// Where a mirror has its size in words: behind that many an object follows.
fn oop_size_offset(
    s: &Search,
    mirrors: &[u64],
    alignment: u64,
    is_object: impl Fn(u64) -> bool,
) -> Option<u64> {
    let step = mirrors.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<u64> = mirrors.iter().copied().step_by(step).collect();
    let mut best = (0, 0);
    for offset in (8..MAX_OFFSET).step_by(4) {
        let follows = |mirror: &&u64| {
            let words = s.mem.i32(mirror.wrapping_add(offset)).unwrap_or(0);
            let bytes = u64::try_from(words).unwrap_or(0) * 8;
            (offset..1 << 20).contains(&bytes)
                && is_object(mirror.wrapping_add(bytes.next_multiple_of(alignment)))
        };
        let count = sample.iter().filter(follows).count();
        if count > best.0 {
            best = (count, offset);
        }
    }
    (best.0 * 100 >= sample.len() * FOLLOWED).then_some(best.1)
}
