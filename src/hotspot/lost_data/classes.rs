//! Classes, by the mirrors that lead back to them; the list of class loaders, by the classes.

use std::collections::{HashMap, HashSet};

use super::MAX_CANDIDATES;
use super::search::{Search, Tally};
use crate::hotspot::classes::Links;

/// Fields of a mirror lie below this.
const MAX_OFFSET: u64 = 256;
/// Fewer are loaded by no JVM that came to its program.
const LEAST: usize = 100;
/// Of the classes found that many must be in the loaders' lists: those of a loader that died are in
/// none.
const LISTED: usize = 90;

/// What was found.
pub(super) struct FoundClasses {
    /// By klass.
    pub mirrors: HashMap<u64, u64>,
    /// The mirrors.
    objects: HashSet<u64>,
    pub names: HashMap<u64, Vec<u8>>,
    /// Klasses of object arrays with their elements'.
    pub arrays: Vec<(u64, u64)>,
    /// java_lang_Class::_klass_offset.
    pub klass_offset: u64,
    /// java_lang_Class::_array_klass_offset.
    pub array_offset: u64,
    /// ClassLoaderDataGraph::_head.
    pub cld_head: u64,
}

impl FoundClasses {
    /// Whether it is a klass: one that its mirror leads back to or, from 28 on, another one of the
    /// same class of arrays.
    pub(super) fn is_klass(&self, s: &Search, klass: u64) -> bool {
        self.mirrors.contains_key(&klass)
            || s.object(klass, s.fields.klass_mirror).is_some_and(|m| self.objects.contains(&m))
    }

    /// The boot loader's class of this name; there is no other of java.lang.
    pub(super) fn named(&self, name: &str) -> Option<u64> {
        let found = self.names.iter().find(|(_, n)| n.as_slice() == name.as_bytes());
        found.map(|(klass, _)| *klass)
    }
}

/// All classes that can be proven.
pub(super) fn find(s: &Search) -> Result<FoundClasses, String> {
    let f = s.fields;
    let mut back = Tally::default();
    let mut found = Vec::new();
    for klass in s.klasses() {
        let facts = || {
            let name = s.symbol(s.word(klass, f.klass_name)?)?;
            let mirror = s.object(klass, f.klass_mirror)?;
            let bytes = s.mem.slice(mirror, MAX_OFFSET).ok()?;
            let words = bytes.as_chunks::<8>().0.iter().enumerate().skip(1);
            let leading = words.filter(|(_, w)| u64::from_le_bytes(**w) == klass);
            let places: Vec<u64> = leading.map(|(i, _)| i as u64 * 8).collect();
            (!places.is_empty()).then_some((name, mirror, places))
        };
        if let Some((name, mirror, places)) = facts() {
            places.iter().for_each(|p| back.add(*p));
            found.push((klass, name, mirror, places));
        }
    }
    let none = || format!("{} classes were found by their mirrors, too few", found.len());
    let klass_offset = back.winner(found.len(), 90).filter(|_| found.len() >= LEAST);
    let klass_offset = klass_offset.ok_or_else(none)?;
    found.retain(|k| k.3.contains(&klass_offset));
    let mirrors: HashMap<u64, u64> = found.iter().map(|k| (k.0, k.2)).collect();
    let names = found.iter().map(|k| (k.0, k.1.to_vec())).collect();
    let arrays = object_arrays(s, &mirrors);
    let array_offset = array_offset(s, &mirrors, &arrays, klass_offset)
        .ok_or("where a mirror has its array class is not to be found")?;
    let cld_head = cld_head(s, &mirrors)?;
    let objects = mirrors.values().copied().collect();
    let out =
        FoundClasses { mirrors, objects, names, arrays, klass_offset, array_offset, cld_head };
    match (out.named("java/lang/Object"), out.named("java/lang/Class")) {
        (Some(_), Some(_)) => Ok(out),
        _ => Err("java.lang.Object or java.lang.Class is not among the classes found".into()),
    }
}

/// Those of the klasses that are arrays of objects, with their elements' klasses.
fn object_arrays(s: &Search, mirrors: &HashMap<u64, u64>) -> Vec<(u64, u64)> {
    let f = s.fields;
    let is_array = |klass: u64| {
        let at = klass.wrapping_add(f.klass_layout_helper.opt()?);
        Some(s.mem.i32(at).ok()? < 0)
    };
    let pair = |klass: &u64| {
        is_array(*klass).filter(|is| *is)?;
        let element = s.word(*klass, f.obj_array_element)?;
        mirrors.contains_key(&element).then_some((*klass, element))
    };
    mirrors.keys().filter_map(pair).collect()
}

fn array_offset(
    s: &Search,
    mirrors: &HashMap<u64, u64>,
    arrays: &[(u64, u64)],
    klass_offset: u64,
) -> Option<u64> {
    let mut places = Tally::default();
    for (array, element) in arrays {
        let mirror = mirrors.get(element)?;
        let offsets = (8..MAX_OFFSET).step_by(8).filter(|o| *o != klass_offset);
        for offset in offsets {
            if s.mem.u64(mirror.wrapping_add(offset)) == Ok(*array) {
                places.add(offset);
            }
        }
    }
    places.winner(arrays.len(), 90)
}

/// The list's newest entry: the one that no other leads to and that leads to all others.
fn cld_head(s: &Search, mirrors: &HashMap<u64, u64>) -> Result<u64, String> {
    let f = s.fields;
    let links = Links::find(f).map_err(|e| e.to_string())?;
    let loader_of = |klass: u64| s.mem.u64(klass.wrapping_add(links.back)).ok();
    // A loader's list holds classes of its own.
    let is_loader = |cld: &u64| {
        let first = s.mem.u64(cld.wrapping_add(links.klasses));
        first.is_ok_and(|k| loader_of(k) == Some(*cld))
    };
    let back = match f.klass_loader_data.opt() {
        Some(_) => mirrors.keys().filter_map(|k| loader_of(*k)),
        None => return Err("Klass::_class_loader_data is not in the tables".into()),
    };
    let loaders: HashSet<u64> = back.filter(is_loader).collect();
    let next = |cld: u64| s.word(cld, f.cld_next).filter(|n| *n != 0);
    let followed: HashSet<u64> = loaders.iter().filter_map(|c| next(*c)).collect();
    let heads: Vec<u64> = loaders.iter().copied().filter(|c| !followed.contains(c)).collect();
    if heads.len() > MAX_CANDIDATES {
        return Err(format!("{} lists of class loaders", heads.len()));
    }
    // The listed classes from each head on.
    let reach = |head: u64| {
        let (mut met, mut classes) = (HashSet::new(), 0);
        let mut cld = Some(head);
        while let Some(at) = cld.filter(|c| met.insert(*c)) {
            let mut klass = s.mem.u64(at.wrapping_add(links.klasses)).unwrap_or(0);
            while klass != 0 && loader_of(klass) == Some(at) && met.insert(klass) {
                classes += usize::from(mirrors.contains_key(&klass));
                klass = s.mem.u64(klass.wrapping_add(links.next)).unwrap_or(0);
            }
            cld = next(at);
        }
        (classes, head)
    };
    match heads.into_iter().map(reach).max() {
        Some((n, head)) if n * 100 >= mirrors.len() * LISTED => Ok(head),
        best => Err(format!(
            "of {} classes only {} are in a list of class loaders",
            mirrors.len(),
            best.map_or(0, |b| b.0)
        )),
    }
}
