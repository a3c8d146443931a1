//! The threads' stacks as boxes in boxes: state, thread, frames from the outermost on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::document::shown;
use super::picture::{Node, Picture, WORDS};
use crate::output::stack::ThreadDump;
use crate::output::stack::flame::lines;
use crate::output::stack::folded::threads;

/// Frames of a stack that are shown; what was called by more is left out.
const DEPTH: usize = 1000;
/// Boxes at most.
const BOXES: usize = 60_000;

/// A box, and those in it by their names.
#[derive(Default)]
struct Bar {
    name: String,
    threads: u64,
    inside: BTreeMap<String, usize>,
}

/// The picture of a dump's threads, and how many idle ones of pools are not drawn.
pub(super) fn of_threads(dump: &ThreadDump) -> (Picture, u64) {
    let (lines, hidden) = lines(threads(dump), false);
    let mut all = vec![Bar { name: "all threads".into(), ..Bar::default() }];
    for line in &lines {
        let (stack, count) = line.rsplit_once(' ').unwrap_or((line, "1"));
        let count: u64 = count.parse().unwrap_or(1);
        let mut at = 0;
        all[0].threads += count;
        for name in stack.split(';').take(DEPTH) {
            let new = all.len();
            let inside = *all[at].inside.entry(name.to_owned()).or_insert(new);
            if inside == new {
                all.push(Bar { name: name.to_owned(), ..Bar::default() });
            }
            at = inside;
            all[at].threads += count;
        }
    }
    (picture(&all), hidden)
}

/// The largest boxes first, each behind the one that it lies in.
fn picture(all: &[Bar]) -> Picture {
    let mut out = Picture::default();
    let mut names: BTreeMap<&str, u32> = BTreeMap::new();
    // The box, and the number of the one that it lies in.
    let mut next = BinaryHeap::from([(all[0].threads, Reverse(0usize), 0u32)]);
    while let Some((value, Reverse(at), parent)) = next.pop() {
        if out.nodes.len() >= BOXES {
            break;
        }
        let of = &all[at];
        let number = out.nodes.len() as u32;
        let name = *names.entry(&of.name).or_insert_with(|| {
            out.names.push(shown(&of.name));
            out.names.len() as u32 - 1
        });
        let inside = of.inside.values();
        let below: u64 = inside.clone().map(|b| all[*b].threads).sum();
        let flags = if at == 0 { WORDS } else { 0 };
        let own = value - below;
        out.nodes.push(Node { parent, name, value, count: value, own, flags, object: None });
        next.extend(inside.map(|b| (all[*b].threads, Reverse(*b), number)));
    }
    out
}
