//! What each thread alone holds: by its frames, by its thread locals, and by the rest of its java.lang.Thread.
//!
//! What a thread has in its frames hangs on its object in the dominator tree. Which frame (or thread local) of it holds
//! what is found among the few objects that the thread dominates directly (`shares`). What two threads have in their
//! frames is held by neither alone; it is told apart ([`Report::shared`]).

mod locals;
mod names;
mod shares;
#[cfg(test)]
mod tests;
mod text;

pub use text::text;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::retained::{Held, class_name, held_at, share};
use crate::address::{Address, hex};
use crate::graph::dominators::Dominators;
use crate::graph::{Id, ObjectGraph, Strength};
use locals::Keys;
use shares::{Share, Shares};

/// Objects of a frame that are listed.
const OBJECTS: usize = 20;
/// Threads of a shared object that are named.
const NAMED: usize = 10;

/// What only a core tells of a thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VmFacts {
    /// Bytes that it has allocated since it started.
    pub allocated: Option<u64>,
    /// Bytes of its buffer for allocation, and of those the ones that are used.
    pub tlab: Option<(u64, u64)>,
}

/// All threads.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// What all of them hold, also those that are not listed.
    pub totals: Totals,
    /// Those that retain the most.
    pub threads: Vec<ThreadHeld>,
    /// All that fit the filters, also those that are not listed.
    pub thread_count: u64,
    /// Threads whose names differ in digits alone, together; those that retain the most.
    pub names: Vec<NameGroup>,
    /// What the values of a java.lang.ThreadLocal retain in all threads together; the first.
    pub thread_locals: Vec<KeyGroup>,
    /// Objects in the frames of several threads, so that none of them holds them alone.
    pub shared: Vec<Shared>,
}

/// Bytes that threads hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many threads there are.
    pub threads: u64,
    /// Virtual ones among them that no carrier runs.
    pub unmounted: u64,
    /// Held by their objects: the sum of the next three. What a virtual thread holds that another thread alone holds is
    /// in both.
    pub retained: u64,
    /// By their frames.
    pub frames: u64,
    /// By their thread locals, also inheritable ones.
    pub thread_locals: u64,
    /// By the rest of their objects.
    pub rest: u64,
    /// Bytes that they have allocated; none where no core tells.
    pub allocated: Option<u64>,
    /// Bytes of their buffers for allocation (TLABs).
    pub tlab: Option<u64>,
    /// Bytes of those that are used.
    pub tlab_used: Option<u64>,
}

/// A thread and what it holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThreadHeld {
    /// Its name.
    pub name: String,
    /// Its java.lang.Thread.
    #[serde(serialize_with = "hex")]
    pub object: u64,
    /// That object's class.
    pub class: String,
    /// How it is held itself: a thread that runs strongly.
    #[serde(serialize_with = "super::retained::strength_name")]
    pub strength: Strength,
    /// Bytes that would be freed with it.
    pub retained: u64,
    /// Of all that is held as strongly, in percent.
    pub share: f64,
    /// Bytes below it that only weaker references hold.
    pub weaker: u64,
    /// By its frames.
    pub frames_retained: u64,
    /// By its thread locals, also inheritable ones.
    pub thread_locals_retained: u64,
    /// By the rest of its object.
    pub rest: u64,
    /// Bytes that it has allocated; none where no core tells.
    pub allocated: Option<u64>,
    /// Bytes of its buffer for allocation (TLAB).
    pub tlab: Option<u64>,
    /// Bytes of that which are used.
    pub tlab_used: Option<u64>,
    /// The innermost frame.
    pub top_frame: Option<String>,
    /// The frames that hold something, innermost first; of threads that are told in detail.
    pub frames: Vec<FrameHeld>,
    /// Its thread locals, those that retain the most first; of threads that are told in detail.
    pub thread_locals: Vec<LocalHeld>,
}

/// A frame and what it holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrameHeld {
    /// Its number, 0 is the innermost; none for native code without a Java frame.
    pub frame: Option<u32>,
    /// `java.lang.Object.wait(Object.java:338)`.
    pub text: String,
    /// Bytes that would be freed when it returns.
    pub retained: u64,
    /// Of those what only several of its objects, or of the frames that it called, hold together.
    pub joint: u64,
    /// How many objects it holds alone.
    pub object_count: u64,
    /// Those of them that retain the most.
    pub objects: Vec<Held>,
    /// How many more it has that others hold as well.
    pub shared_count: u64,
    /// Those of them that retain the most.
    pub shared: Vec<Held>,
}

/// A thread local's value in a thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LocalHeld {
    /// The class of its key; none where the key is gone.
    pub key_class: Option<String>,
    /// The key.
    pub key: Option<Address>,
    /// The static field that holds the key, where there is one: `com.acme.Context.CURRENT`.
    pub key_name: Option<String>,
    /// An InheritableThreadLocal.
    pub inheritable: bool,
    /// Its value; none where that is null.
    pub value: Option<Held>,
    /// Bytes that would be freed with the entry: 0 where others hold the value as well.
    pub retained: u64,
}

/// Threads whose names differ in digits alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NameGroup {
    /// `http-nio-*-exec-*`.
    pub name: String,
    /// How many.
    pub threads: u64,
    /// Bytes that they retain, each by itself.
    pub retained: u64,
    /// By their frames.
    pub frames: u64,
    /// By their thread locals.
    pub thread_locals: u64,
    /// By the rest of their objects.
    pub rest: u64,
    /// Bytes that they have allocated; none where no core tells.
    pub allocated: Option<u64>,
}

/// What the values of a java.lang.ThreadLocal retain in all threads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyGroup {
    /// The class of the key; none of values whose key is gone.
    pub key_class: Option<String>,
    /// The key; none where it is gone.
    pub key: Option<Address>,
    /// The static field that holds the key.
    pub key_name: Option<String>,
    /// How many threads have a value.
    pub threads: u64,
    /// The class of the first value.
    pub value_class: Option<String>,
    /// Bytes that would be freed with the values.
    pub retained: u64,
}

/// An object in the frames of several threads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shared {
    /// The object.
    #[serde(flatten)]
    pub object: Held,
    /// How many threads.
    pub thread_count: u64,
    /// The first of them, by name.
    pub threads: Vec<String>,
}

/// What is to be listed.
pub struct Wanted<'a> {
    /// Whether threads of this name are.
    pub name: &'a dyn Fn(&str) -> bool,
    /// Those that retain fewer bytes are not.
    pub least: u64,
    /// So many threads, groups and thread locals.
    pub top: usize,
    /// So many of them with all that they hold.
    pub detailed: usize,
}

/// What all threads hold. `facts` tells what a core knows of a thread by the address of its object; none where there is
/// no core.
pub fn report<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    facts: Option<&HashMap<u64, VmFacts>>,
    wanted: &Wanted<'_>,
) -> Report {
    let graph = tree.graph();
    let shares = Shares::find(tree);
    let keys = Keys::find(graph);
    let mut all: Vec<(usize, ThreadHeld)> = Vec::new();
    for (index, of) in shares.threads.iter().enumerate() {
        let name = &graph.threads()[of.thread].name;
        if (wanted.name)(name) {
            let known = facts.and_then(|f| f.get(&graph.address(of.place)).copied());
            all.push((index, thread(tree, of, known.unwrap_or_default())));
        }
    }
    all.retain(|(_, t)| t.retained >= wanted.least);
    all.sort_by_key(|(index, t)| (Reverse(t.retained), Reverse(t.weaker), *index));
    let mut totals = totals(&all, facts.is_some());
    totals.unmounted = all.iter().filter(|(i, _)| shares.threads[*i].unmounted).count() as u64;
    totals.retained = totals.frames + totals.thread_locals + totals.rest;
    let mut groups = names::groups(all.iter().map(|(_, t)| t), facts.is_some());
    groups.truncate(wanted.top);
    let own = all.iter().map(|(index, _)| &shares.threads[*index]);
    let mut thread_locals = locals::by_key(tree, &keys, own);
    thread_locals.truncate(wanted.top);
    let thread_count = all.len() as u64;
    all.truncate(wanted.top);
    for (index, of) in all.iter_mut().take(wanted.detailed) {
        let share = &shares.threads[*index];
        of.frames = frames(tree, share);
        of.thread_locals = locals::of_thread(tree, &keys, share.place);
    }
    let threads = all.into_iter().map(|(_, t)| t).collect();
    let shared = shared(tree, wanted);
    Report { totals, threads, thread_count, names: groups, thread_locals, shared }
}

fn thread<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    of: &shares::Thread<I>,
    facts: VmFacts,
) -> ThreadHeld {
    let graph = tree.graph();
    let known = &graph.threads()[of.thread];
    let by = |wanted: fn(Share) -> bool| -> u64 {
        of.shares.iter().filter(|(s, _)| wanted(*s)).map(|(_, bytes)| bytes).sum()
    };
    let (retained, strength) = (tree.retained(of.number), tree.strength(of.number));
    ThreadHeld {
        name: known.name.clone(),
        object: graph.address(of.place),
        class: class_name(graph, graph.class_of(of.place)),
        strength,
        retained,
        share: share(retained, tree.held(strength)),
        weaker: tree.weaker(of.number),
        frames_retained: by(|s| matches!(s, Share::Frame(_))),
        thread_locals_retained: by(|s| matches!(s, Share::Locals | Share::Inheritable)),
        rest: by(|s| s == Share::Rest),
        allocated: facts.allocated,
        tlab: facts.tlab.map(|(size, _)| size),
        tlab_used: facts.tlab.map(|(_, used)| used),
        top_frame: known.frames.first().map(|f| f.to_string()),
        frames: Vec::new(),
        thread_locals: Vec::new(),
    }
}

fn totals(all: &[(usize, ThreadHeld)], is_core: bool) -> Totals {
    let zero = is_core.then_some(0);
    let mut out = Totals { allocated: zero, tlab: zero, tlab_used: zero, ..Totals::default() };
    let add = |sum: &mut Option<u64>, more: Option<u64>| {
        *sum = sum.map(|s| s.saturating_add(more.unwrap_or(0)));
    };
    for (_, of) in all {
        out.threads += 1;
        out.frames += of.frames_retained;
        out.thread_locals += of.thread_locals_retained;
        out.rest += of.rest;
        add(&mut out.allocated, of.allocated);
        add(&mut out.tlab, of.tlab);
        add(&mut out.tlab_used, of.tlab_used);
    }
    out
}

/// What each frame holds, innermost first.
fn frames<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    of: &shares::Thread<I>,
) -> Vec<FrameHeld> {
    let known = &tree.graph().threads()[of.thread];
    let strength = tree.strength(of.number);
    let mut out: Vec<FrameHeld> = Vec::new();
    for (frame, place, alone) in &of.locals {
        let same = out.last().is_some_and(|last| last.frame == *frame);
        if !same {
            let text = frame.and_then(|f| known.frames.get(f as usize));
            let held = of.shares.iter().find(|(share, _)| *share == Share::Frame(*frame));
            out.push(FrameHeld {
                frame: *frame,
                text: text.map_or_else(|| "native code".into(), |t| t.to_string()),
                retained: held.map_or(0, |(_, bytes)| *bytes),
                joint: 0,
                object_count: 0,
                objects: Vec::new(),
                shared_count: 0,
                shared: Vec::new(),
            });
        }
        let Some(last) = out.last_mut() else { continue };
        let (count, list) = match alone {
            true => (&mut last.object_count, &mut last.objects),
            false => (&mut last.shared_count, &mut last.shared),
        };
        *count += 1;
        list.extend(held_at(tree, *place, strength));
    }
    for frame in &mut out {
        let single: u64 = frame.objects.iter().map(|o| o.retained).sum();
        frame.joint = frame.retained.saturating_sub(single);
        for list in [&mut frame.objects, &mut frame.shared] {
            list.sort_by_key(|h| (Reverse(h.retained), h.object));
            list.truncate(OBJECTS);
        }
    }
    out
}

/// The objects in frames of several threads that no single object holds, those that retain the most first.
fn shared<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>, wanted: &Wanted<'_>) -> Vec<Shared> {
    let graph = tree.graph();
    let mut of: HashMap<u64, Vec<u32>> = HashMap::new();
    for root in graph.roots().iter().filter(|r| shares::is_local(r)) {
        let threads = of.entry(root.place).or_default();
        // Each thread's roots stand together.
        threads.extend(root.thread.filter(|t| threads.last() != Some(t)));
    }
    let name = |t: &u32| graph.threads()[*t as usize].name.as_str();
    // Threads and classes are held by themselves.
    let roots = graph.roots().iter().filter(|r| !shares::is_local(r)).map(|r| r.place);
    let own: HashSet<u64> = roots.chain(graph.classes().iter().filter_map(|c| c.object)).collect();
    of.retain(|place, _| !own.contains(place));
    let retained = |(place, threads): (u64, Vec<u32>)| {
        let number = tree.number(place).filter(|n| tree.dominator(*n) == I::default())?;
        let is_wanted = threads.len() > 1 && threads.iter().any(|t| (wanted.name)(name(t)));
        is_wanted.then(|| (tree.retained(number), place, threads))
    };
    let mut all: Vec<_> = of.into_iter().filter_map(retained).collect();
    all.retain(|(bytes, ..)| *bytes >= wanted.least);
    all.sort_by_key(|(bytes, place, _)| (Reverse(*bytes), *place));
    all.truncate(wanted.top);
    let of = |(_, place, threads): (u64, u64, Vec<u32>)| {
        let names = threads.iter().take(NAMED).map(|t| name(t).to_owned()).collect();
        let thread_count = threads.len() as u64;
        Some(Shared {
            object: held_at(tree, place, Strength::Strong)?,
            thread_count,
            threads: names,
        })
    };
    all.into_iter().filter_map(of).collect()
}
