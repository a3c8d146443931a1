//! Java threads, by their objects that lead back to them; their list, by its entries.

use std::collections::{HashMap, HashSet};

use super::classes::FoundClasses;
use super::encoding::Encoding;
use super::search::Search;

/// Bytes of a stack.
const STACK: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 30;
/// Bytes of a java.lang.Thread.
const MAX_THREAD_OBJECT: u64 = 256;
/// More threads than Linux allows by default.
const MAX_THREADS: u32 = 1 << 22;

/// Words behind a TLAB's end: an object's header, and what the CPU fetches ahead of allocations.
const MIN_RESERVE: u64 = 2;
const MAX_RESERVE: u64 = 1 << 10;

/// Where the list hangs.
pub struct FoundThreads {
    /// The static, and what it holds.
    pub at: Option<u64>,
    pub value: u64,
    pub count: usize,
    /// Words behind a TLAB's end that hold no object: ThreadLocalAllocBuffer's
    /// _reserve_for_allocation_prefetch.
    pub tlab_reserve: Option<u64>,
}

/// The list of all that can be proven.
pub fn find(
    s: &Search,
    classes: &FoundClasses,
    encoding: &Encoding,
    tops: &[u64],
) -> Result<FoundThreads, String> {
    let f = s.fields;
    let mut threads = HashSet::new();
    s.words(|at, word| {
        if s.is_vtable(word) && is_thread(s, at) == Some(true) {
            threads.insert(at);
        }
    });
    if threads.is_empty() {
        return Err("no Java thread was found".into());
    }
    let (at, value) = match (f.thread_first.opt(), f.thread_next.opt()) {
        (Some(at), Some(_)) => (Some(at), first(s, &threads)?),
        _ => (f.thread_list.opt(), list(s, &threads)?),
    };
    let is_object =
        |at: u64| encoding.klass(s, at).is_some_and(|k| classes.mirrors.contains_key(&k));
    let tlab_reserve = tlab_reserve(s, &threads, tops, is_object);
    Ok(FoundThreads { at, value, count: threads.len(), tlab_reserve })
}

/// Behind the end of each TLAB comes the next object, or the end of all, after so many words.
fn tlab_reserve(
    s: &Search,
    threads: &HashSet<u64>,
    tops: &[u64],
    is_object: impl Fn(u64) -> bool,
) -> Option<u64> {
    let f = s.fields;
    let tops: HashSet<u64> = tops.iter().copied().collect();
    let tlab = |t: &u64| t.wrapping_add(f.thread_tlab.opt().unwrap_or(0));
    let ends = threads.iter().filter_map(|t| s.word(tlab(t), f.tlab_end));
    let ends: Vec<u64> = ends.filter(|end| s.in_heap(*end)).collect();
    let fits = |words: &u64| {
        let follows = |end: &u64| end + words * 8;
        // By chance one may look like an object; all of them do not.
        ends.iter().map(follows).all(|at| tops.contains(&at) || is_object(at))
    };
    (MIN_RESERVE..MAX_RESERVE).find(fits).filter(|_| !ends.is_empty())
}

/// Whether a JavaThread is at `at`: a stack, and an object that leads back.
fn is_thread(s: &Search, at: u64) -> Option<bool> {
    let f = s.fields;
    let base = s.word(at, f.thread_stack_base)?;
    let size = s.word(at, f.thread_stack_size)?;
    if !STACK.contains(&size) || base < size || !(base | size).is_multiple_of(4096) {
        return Some(false);
    }
    let object = s.object(at, f.thread_obj)?;
    let words = s.mem.slice(object, MAX_THREAD_OBJECT).ok()?.as_chunks::<8>().0;
    // java.lang.Thread::eetop.
    Some(words.iter().any(|w| u64::from_le_bytes(*w) == at))
}

/// The head of a linked list: no other thread leads to it, and all others are behind it.
fn first(s: &Search, threads: &HashSet<u64>) -> Result<u64, String> {
    let next = |t: u64| s.word(t, s.fields.thread_next).filter(|n| *n != 0);
    let followed: HashSet<u64> = threads.iter().filter_map(|t| next(*t)).collect();
    let reach = |head: u64| {
        let mut met = HashSet::new();
        let mut at = Some(head);
        while let Some(t) = at.filter(|t| met.insert(*t)) {
            at = next(t);
        }
        (met.intersection(threads).count(), head)
    };
    let heads = threads.iter().filter(|t| !followed.contains(t));
    match heads.map(|h| reach(*h)).max() {
        Some((n, head)) if n == threads.len() => Ok(head),
        best => Err(format!(
            "of {} Java threads only {} are in a list",
            threads.len(),
            best.map_or(0, |b| b.0)
        )),
    }
}

/// The ThreadsList that holds all of them. Older ones may be left: they lack some, or hold some
/// that ended.
fn list(s: &Search, threads: &HashSet<u64>) -> Result<u64, String> {
    let f = s.fields;
    let (Some(length), Some(array)) = (f.threads_length.opt(), f.threads_array.opt()) else {
        return Err("ThreadsList is not in the tables".into());
    };
    // Where an array of threads starts, and how many of the threads follow.
    let mut runs: HashMap<u64, usize> = HashMap::new();
    let mut start = None;
    s.words(|at, word| {
        let is_thread = threads.contains(&word);
        match start.filter(|(_, next)| *next == at && is_thread) {
            Some((first, _)) => {
                *runs.entry(first).or_default() += 1;
                start = Some((first, at + 8));
            }
            None if is_thread => {
                runs.insert(at, 1);
                start = Some((at, at + 8));
            }
            None => start = None,
        }
    });
    let mut best = (0, 0, 0);
    s.words(|at, word| {
        if !runs.contains_key(&word) {
            return;
        }
        let list = at.wrapping_sub(array);
        let len = s.mem.u32(list.wrapping_add(length)).unwrap_or(0);
        if len == 0 || len > MAX_THREADS {
            return;
        }
        let entries = (0..u64::from(len)).map(|i| s.mem.u64(word.wrapping_add(i * 8)).unwrap_or(0));
        let known: HashSet<u64> = entries.filter(|t| threads.contains(t)).collect();
        // The most threads, the fewest others; of equal ones the first.
        let score = (known.len(), usize::MAX - len as usize, list);
        if (score.0, score.1) > (best.0, best.1) {
            best = score;
        }
    });
    match best {
        (n, _, list) if n == threads.len() => Ok(list),
        (n, ..) => Err(format!("of {} Java threads only {n} are in a list", threads.len())),
    }
}
