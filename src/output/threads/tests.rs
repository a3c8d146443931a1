//! What frames hold, against brute force: let one frame after the other return, and mark again.

use std::collections::BTreeMap;

use super::names::pattern;
use super::shares::{Share, Shares};
use crate::graph::dominators::tests::{Toy, quiet};
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Root, RootKind, Strength};

/// The object that is the toy's thread.
const THREAD: usize = 1;
/// Frames of the thread.
const FRAMES: u64 = 4;

/// A graph whose one thread runs, with locals in its frames.
fn toy(seed: u64) -> Toy {
    let mut toy = Toy::random(seed);
    toy.roots.retain(|r| r.kind != RootKind::Frame);
    let root = |kind, i: usize, frame| Root { kind, place: toy.places[i], thread: Some(0), frame };
    let mut roots = vec![root(RootKind::Thread, THREAD, None)];
    let mut left = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..left % 7 {
        left = left.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1) ^ left >> 29;
        let (object, frame) = ((left >> 33) as usize % toy.places.len(), (left >> 20) % FRAMES);
        roots.push(root(RootKind::Frame, object, Some(frame as u32)));
    }
    toy.roots.extend(roots);
    toy
}

/// Bytes that can be reached when the frames below `from` have returned, or without the thread.
fn reached(toy: &Toy, from: u32, without_thread: bool) -> u64 {
    let mut met = vec![false; toy.places.len()];
    met[THREAD] = without_thread;
    let mut bytes = 0;
    let roots = toy.roots.iter().filter(|r| r.kind != RootKind::Frame);
    let mut todo: Vec<usize> = roots.map(|r| toy.at(r.place)).collect();
    let holds = toy.holds(Rule::Strong);
    while let Some(at) = todo.pop() {
        if std::mem::replace(&mut met[at], true) {
            continue;
        }
        bytes += toy.own(at);
        // Its locals stand among what the toy's thread holds: they are added by frame.
        let own = holds.iter().filter(|h| h.0 == Some(at) && h.2 == Strength::Strong);
        match at {
            THREAD => {
                todo.extend(toy.edges[at].iter().filter(|e| e.1 == Strength::Strong).map(|e| e.0));
                let locals = toy.roots.iter().filter(|r| r.frame.is_some_and(|f| f >= from));
                todo.extend(locals.map(|r| toy.at(r.place)));
            }
            _ => todo.extend(own.map(|h| h.1)),
        }
    }
    bytes
}

#[test]
fn each_frame_holds_what_goes_when_it_returns() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let (mut held, mut several) = (0, 0);
    for seed in 0..5000 {
        let toy = toy(seed);
        let tree =
            Dominators::<Toy, u32>::find(&toy, Rule::Strong, &pool, quiet()).expect("a tree");
        let shares = Shares::find(&tree);
        assert_eq!(shares.threads.len(), 1);
        let thread = &shares.threads[0];
        let mut frames = BTreeMap::new();
        for (share, bytes) in &thread.shares {
            if let Share::Frame(Some(frame)) = share {
                assert!(frames.insert(*frame, *bytes).is_none(), "seed {seed}");
            }
        }
        for frame in 0..FRAMES as u32 {
            let truth = reached(&toy, frame, false) - reached(&toy, frame + 1, false);
            assert_eq!(frames.get(&frame).copied().unwrap_or(0), truth, "seed {seed}, {frame}");
            held += u32::from(truth > 0);
        }
        several += u32::from(frames.values().filter(|bytes| **bytes > 0).count() > 1);
        let all: u64 = thread.shares.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(all, reached(&toy, 0, false) - reached(&toy, 0, true), "seed {seed}");
    }
    assert!(held > 3000 && several > 500, "{held}, {several}");
}

#[test]
fn names_that_differ_in_digits_are_one() {
    assert_eq!(pattern("http-nio-8080-exec-12"), "http-nio-*-exec-*");
    assert_eq!(pattern("main"), "main");
    assert_eq!(pattern("7"), "*");
    assert_eq!(pattern(""), "");
}
