//! The VM's own symbols, which name injected fields: by their texts, whose order is in the file.

use std::collections::{HashMap, HashSet};

use super::classes::FoundClasses;
use super::search::Search;
use crate::hotspot::classes::FieldReader;

/// `vmSymbols.hpp`: among the first texts, one behind the other in libjvm's rodata.
const FIRST: &[u8] = b"java/lang/System\0java/lang/Object\0java/lang/Class\0";
/// HotSpot has some 1,500.
const MAX_SYMBOLS: usize = 4096;
/// Bytes of all their texts.
const MAX_TEXTS: usize = 256 << 10;

/// The numbers of those that were found, with their Symbols.
///
/// What the first text's number is the fields tell that are injected into java.lang.Class: where
/// the classes, the array classes and the sizes are was found by other means.
pub(super) fn find(
    s: &Search,
    classes: &FoundClasses,
    oop_size_offset: u64,
) -> Result<Vec<(u64, u64)>, String> {
    let texts = texts(s).ok_or("the texts of the VM's symbols are not in libjvm.so")?;
    let class = classes.named("java/lang/Class").ok_or("there is no java.lang.Class")?;
    let fields = FieldReader::with_numbers(s.mem, s.tables, s.fields).and_then(|r| r.read(class));
    let fields = fields.map_err(|e| e.to_string())?;
    let first = |text: &[u8], offset: u64| {
        let field = fields.iter().find(|i| i.injected && u64::from(i.offset) == offset)?;
        field.name.checked_sub(texts.iter().position(|t| *t == text)? as u64)
    };
    let proven = first(b"klass", classes.klass_offset).filter(|n| {
        first(b"array_klass", classes.array_offset) == Some(*n)
            && first(b"oop_size", oop_size_offset) == Some(*n)
    });
    let proven = proven.ok_or("the numbers of the VM's symbols could not be proven")?;
    let wanted: HashMap<&[u8], u64> =
        texts.iter().enumerate().map(|(i, text)| (*text, i as u64 + proven)).collect();
    let longest = wanted.keys().map(|t| t.len()).max().unwrap_or(0);
    let used: HashSet<usize> = wanted.keys().map(|t| t.len()).filter(|n| *n > 0).collect();
    let lengths: Vec<bool> = (0..=longest).map(|n| used.contains(&n)).collect();
    let length = s.fields.symbol_length.get().map_err(|e| e.to_string())?;
    // Each text is one Symbol; of freed ones the text may be left.
    let mut found: HashMap<u64, HashSet<u64>> = HashMap::new();
    s.words(|at, word| {
        let bytes = word.to_le_bytes();
        let len = bytes.get(length as usize..length as usize + 2);
        let len = len.and_then(|l| l.try_into().ok()).map(u16::from_le_bytes);
        if len.is_some_and(|len| lengths.get(usize::from(len)) == Some(&true))
            && let Some(text) = s.symbol(at)
            && let Some(number) = wanted.get(text)
        {
            found.entry(*number).or_default().insert(at);
        }
    });
    // What classes are named by is the one in use.
    let f = s.fields;
    let names: HashSet<u64> =
        classes.mirrors.keys().filter_map(|k| s.word(*k, f.klass_name)).collect();
    let choose = |at: HashSet<u64>| match at.len() {
        1 => at.into_iter().next(),
        _ => at.into_iter().filter(|a| names.contains(a) || is_permanent(s, *a)).min(),
    };
    Ok(found.into_iter().filter_map(|(number, at)| Some((number, choose(at)?))).collect())
}

/// `symbol.hpp`: the reference count of one that is never freed has all bits set.
fn is_permanent(s: &Search, at: u64) -> bool {
    let count = if s.fields.symbol_length.opt() == Some(0) { 2 } else { 0 };
    s.mem.u16(at.wrapping_add(count)) == Ok(u16::MAX)
}

/// Their texts, in order.
fn texts<'a>(s: &Search<'a>) -> Option<Vec<&'a [u8]>> {
    let libjvm = s.core.libjvm()?;
    let end = s.core.libjvm_data().first()?.0;
    for (from, to) in s.mem.present(libjvm.start, end) {
        let bytes = s.mem.slice(from, to - from).ok()?;
        if let Some(texts) = memchr::memmem::find(bytes, FIRST).and_then(|at| bytes.get(at..)) {
            let texts = texts.get(..MAX_TEXTS).unwrap_or(texts);
            return Some(texts.split(|b| *b == 0).take(MAX_SYMBOLS).collect());
        }
    }
    None
}
