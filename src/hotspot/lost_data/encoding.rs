//! How pointers are written, by pairs whose other end is known: a mirror's header is that of
//! java.lang.Class, an array's mirror refers to that of its elements.

use super::super::pointers::KlassForm;
use super::super::unexported::COMPACT_KLASS_SHIFT;
use super::classes::FoundClasses;
use super::search::Search;

/// Fields of a mirror lie below this.
const MAX_OFFSET: u64 = 256;
/// Larger shifts have no VM.
const MAX_SHIFT: u64 = 16;
/// Of so many mirrors in a hundred the object behind must be of a known class. Those at the ends
/// of buffers have none behind them.
const FOLLOWED: usize = 90;
/// Mirrors that are looked at, at most.
const SAMPLE: usize = 2000;

/// What was found.
pub struct Encoding {
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
    pub fn klass(&self, s: &Search, at: u64) -> Option<u64> {
        bits(s, at, self.form).map(|b| self.klass_base.wrapping_add(b << self.klass_shift))
    }
}

/// The one encoding that holds for all pairs.
pub fn find(s: &Search, c: &FoundClasses) -> Result<Encoding, String> {
    let class = c.named("java/lang/Class").ok_or("there is no java.lang.Class")?;
    let mut mirrors: Vec<u64> = c.mirrors.values().copied().collect();
    mirrors.sort_unstable();
    let mut oops = oops(s, c);
    let (narrow_oops, oop_base, oop_shift) = match oops.len() {
        1 => oops.remove(0),
        n => return Err(format!("{n} encodings of references fit")),
    };
    let alignment = match oop_shift {
        shift if narrow_oops && shift > 3 => 1 << shift,
        _ if mirrors.iter().any(|m| m % 16 != 0) => 8,
        _ => return Err("the alignment of objects is not to be told".into()),
    };
    let compact_shift = s.tables.constant("markWord::klass_shift");
    let compact_shift = compact_shift.and_then(|s| u32::try_from(s).ok()).filter(|s| *s < 64);
    let compact_shift = compact_shift.unwrap_or(COMPACT_KLASS_SHIFT);
    let forms = [KlassForm::Wide, KlassForm::Narrow, KlassForm::Compact(compact_shift)];
    // All mirrors are of one class.
    let common = |form: KlassForm| {
        let mut all = mirrors.iter().map(|m| bits(s, *m, form));
        let first = all.next()??;
        all.all(|b| b == Some(first)).then_some(first).filter(|b| *b != 0)
    };
    let mut found = Vec::new();
    for form in forms {
        let Some(first) = common(form) else { continue };
        let shifts = if form == KlassForm::Wide { 0..=0 } else { 0..=MAX_SHIFT };
        for klass_shift in shifts {
            let klass_base = match form {
                KlassForm::Wide if first == class => 0,
                KlassForm::Wide => continue,
                _ => class.wrapping_sub(first << klass_shift),
            };
            let klass =
                |at: u64| bits(s, at, form).map(|b| klass_base.wrapping_add(b << klass_shift));
            let offset = oop_size_offset(s, &mirrors, alignment, |at| {
                klass(at).is_some_and(|k| c.mirrors.contains_key(&k))
            });
            if let Some(oop_size_offset) = offset {
                found.push(Encoding {
                    narrow_oops,
                    oop_base,
                    oop_shift,
                    narrow_klass: form == KlassForm::Narrow
                        || matches!(form, KlassForm::Compact(_)),
                    compact: matches!(form, KlassForm::Compact(_)),
                    klass_base,
                    klass_shift,
                    oop_size_offset,
                    alignment,
                    form,
                });
            }
        }
    }
    match found.len() {
        1 => found.pop().ok_or_else(String::new),
        n => Err(format!("{n} encodings of class pointers fit")),
    }
}

/// The bits of the header at `at` that tell the class.
fn bits(s: &Search, at: u64, form: KlassForm) -> Option<u64> {
    match form {
        KlassForm::Wide => s.mem.u64(at.wrapping_add(8)).ok(),
        KlassForm::Narrow => s.mem.u32(at.wrapping_add(8)).ok().map(u64::from),
        KlassForm::Compact(shift) => s.mem.u64(at).ok().map(|mark| mark >> shift),
    }
}

/// (narrow, base, shift) by the references from the mirrors of arrays to those of their elements.
/// Whether they are narrow the arrays' layout helpers tell, which hold log2 of their bytes.
fn oops(s: &Search, c: &FoundClasses) -> Vec<(bool, u64, u64)> {
    let pair =
        |(array, element): &(u64, u64)| Some((*c.mirrors.get(array)?, *c.mirrors.get(element)?));
    let pairs: Vec<(u64, u64)> = c.arrays.iter().filter_map(pair).collect();
    let width = |(array, _): &(u64, u64)| {
        let at = array.wrapping_add(s.fields.klass_layout_helper.opt()?);
        Some(s.mem.u32(at).ok()? & 0x3f)
    };
    let are = |log2| c.arrays.iter().all(|a| width(a) == Some(log2));
    let mut out = Vec::new();
    let mut keep = |fits: (bool, u64, u64)| {
        if are(if fits.0 { 2 } else { 3 }) && !out.contains(&fits) {
            out.push(fits);
        }
    };
    for offset in (8..MAX_OFFSET).step_by(4) {
        let wide = |(from, to): &(u64, u64)| s.mem.u64(from.wrapping_add(offset)) == Ok(*to);
        if pairs.len() > 2 && pairs.iter().all(wide) {
            keep((false, 0, 0));
        }
        for shift in 0..=8 {
            let base = |(from, to): &(u64, u64)| {
                let bits = u64::from(s.mem.u32(from.wrapping_add(offset)).ok()?);
                to.checked_sub(bits << shift).filter(|_| bits != 0)
            };
            let mut bases = pairs.iter().map(base);
            let first = bases.next().flatten();
            if let Some(base) = first
                && pairs.len() > 2
                && bases.all(|b| b == Some(base))
                && base <= s.reserved.0
            {
                keep((true, base, shift));
            }
        }
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
