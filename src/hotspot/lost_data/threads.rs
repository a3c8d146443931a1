//! Java threads, by their objects that lead back to them; their list, by its entries.

use std::collections::{HashMap, HashSet};

use super::MAX_CANDIDATES;
use super::classes::FoundClasses;
use super::encoding::Encoding;
use super::search::{Search, Set};

/// Bytes of a stack.
const STACK: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 30;
/// Bytes of a java.lang.Thread.
const MAX_THREAD_OBJECT: u64 = 256;

/// Words behind a TLAB's end: an object's header, and what the CPU fetches ahead of allocations.
const MIN_RESERVE: u64 = 2;
const MAX_RESERVE: u64 = 1 << 10;

/// Where the list hangs.
pub(super) struct FoundThreads {
    /// The static, and what it holds.
    pub at: Option<u64>,
    pub value: u64,
    /// The JavaThreads.
    pub all: Set,
    /// Words behind a TLAB's end that hold no object: ThreadLocalAllocBuffer's
    /// _reserve_for_allocation_prefetch.
    pub tlab_reserve: Option<u64>,
}

/// The list of all that can be proven.
pub(super) fn find(
    s: &Search,
    classes: &FoundClasses,
    encoding: &Encoding,
    tops: &[u64],
) -> Result<FoundThreads, String> {
    let f = s.fields;
    let is_java = |at: &u64| is_thread(s, *at) == Some(true);
    let threads: Set = s.objects().filter(is_java).collect();
    if threads.is_empty() {
        return Err("no Java thread was found".into());
    }
    let (at, value) = match (f.thread_first.opt(), f.thread_next.opt()) {
        (Some(at), Some(_)) => (Some(at), first(s, &threads)?),
        _ => (f.thread_list.opt(), list(s, &threads)?),
    };
    let is_object = |at: u64| encoding.klass(s, at).is_some_and(|k| classes.is_klass(s, k));
    let tlab_reserve = tlab_reserve(s, &threads, tops, is_object);
    Ok(FoundThreads { at, value, all: threads, tlab_reserve })
}

/// Behind the end of each TLAB comes the next object, after so many words. What comes most often
/// at the start of another TLAB or at the end of all is right: in between, old objects may be left
/// that look like new ones.
fn tlab_reserve(
    s: &Search,
    threads: &Set,
    tops: &[u64],
    is_object: impl Fn(u64) -> bool,
) -> Option<u64> {
    let f = s.fields;
    let tlab = |t: u64| t.wrapping_add(f.thread_tlab.opt().unwrap_or(0));
    let all = |field| threads.iter().filter_map(move |t| s.word(tlab(t), field));
    let starts: Set = all(f.tlab_start).chain(tops.iter().copied()).collect();
    let ends: Vec<u64> = all(f.tlab_end).filter(|end| s.in_heap(*end)).collect();
    let exact = |words: u64| ends.iter().filter(|end| starts.contains(*end + words * 8)).count();
    let fits = |words: &u64| {
        let mut next = ends.iter().map(|end| end + words * 8);
        next.all(|at| starts.contains(at) || is_object(at))
    };
    let fitting = (MIN_RESERVE..MAX_RESERVE).filter(fits).filter(|_| !ends.is_empty());
    // The first of those with the most.
    fitting.max_by_key(|words| (exact(*words), std::cmp::Reverse(*words)))
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
fn first(s: &Search, threads: &Set) -> Result<u64, String> {
    let next = |t: u64| s.word(t, s.fields.thread_next).filter(|n| *n != 0);
    let followed: HashSet<u64> = threads.iter().filter_map(next).collect();
    let reach = |head: u64| {
        let mut met = HashSet::new();
        let mut at = Some(head);
        while let Some(t) = at.filter(|t| met.insert(*t)) {
            at = next(t);
        }
        (met.iter().filter(|t| threads.contains(**t)).count(), head)
    };
    let heads: Vec<u64> = threads.iter().filter(|t| !followed.contains(t)).collect();
    if heads.len() > MAX_CANDIDATES {
        return Err(format!("{} lists of threads", heads.len()));
    }
    match heads.into_iter().map(reach).max() {
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
fn list(s: &Search, threads: &Set) -> Result<u64, String> {
    let f = s.fields;
    let (Some(length), Some(array)) = (f.threads_length.opt(), f.threads_array.opt()) else {
        return Err("ThreadsList is not in the tables".into());
    };
    // Where an array of threads starts, and how many of the threads follow.
    let mut runs: HashMap<u64, usize> = HashMap::new();
    let mut start = None;
    s.words(|at, word| {
        let is_thread = threads.contains(word);
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
    let starts: Set = runs.keys().copied().collect();
    let (mut best, mut looked) = ((0, 0, 0), 0);
    s.words(|at, word| {
        if !starts.contains(word) {
            return;
        }
        let list = at.wrapping_sub(array);
        let len = s.mem.u32(list.wrapping_add(length)).unwrap_or(0) as usize;
        // It must hold all of them, and has few others: those that are being made have no object yet.
        if !(threads.len()..=2 * threads.len() + 64).contains(&len) || looked == MAX_CANDIDATES {
            return;
        }
        looked += 1;
        let entries = (0..len as u64).map(|i| s.mem.u64(word.wrapping_add(i * 8)).unwrap_or(0));
        let known: HashSet<u64> = entries.filter(|t| threads.contains(*t)).collect();
        // The most threads, the fewest others; of equal ones the first.
        let score = (known.len(), usize::MAX - len, list);
        if (score.0, score.1) > (best.0, best.1) {
            best = score;
        }
    });
    match best {
        (n, _, list) if n == threads.len() => Ok(list),
        (n, ..) => Err(format!("of {} Java threads only {n} are in a list", threads.len())),
    }
}
