//! Finds the suspects and puts together what is told of each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::glue::{Kinds, is_foreign};
use super::levels::{self, Looker};
use super::trace::{Trace, along, thread_local, trace};
use super::units::{Units, units};
use super::weights::{Buffers, Weights, direct_buffers};
use super::within::{Content, MOST, Start, contents, owners};
use super::{FieldName, Kind, Leaks, Level, Limits, Suspect, share, text};
use crate::error::Result;
use crate::graph::dominators::{Dominators, TopDown, Watch};
use crate::graph::paths::Paths;
use crate::graph::{Id, ObjectGraph, Strength};
use crate::output::retained::{Totals, class_name, label};

/// Who refers to a suspect is looked at up to this many.
const REFERRERS: usize = 16;

/// A suspect before its path is known.
struct Raw<I> {
    kind: Kind,
    bytes: u64,
    /// Where it is; none of a group.
    top: Option<Spot<I>>,
    levels: Vec<levels::Kind<I>>,
    content: Content,
    /// What its bytes are a share of.
    base: u64,
    /// Its objects are held this weakly.
    strength: Strength,
    samples: Vec<u64>,
}

/// One object: a node, or what is folded into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Spot<I> {
    node: I,
    part: Option<u64>,
}

/// What was found, its bytes, and what is in it.
type Found<I> = (u64, Option<Spot<I>>, Vec<levels::Kind<I>>);

/// All that the parts of this module ask of.
struct Finder<'t, 'g, G, I> {
    tree: &'t Dominators<'g, G, I>,
    down: TopDown<'t, I>,
    kinds: Kinds<'g>,
    limits: Limits,
    watch: Watch<'t>,
}

/// Bytes for each node of the tree, with numbers of as many bytes as `I` has: the tree from the top down, and whose
/// each node is.
fn memory<I>(nodes: u64) -> u64 {
    nodes * (3 * size_of::<I>() as u64 + 1)
}

/// Finds what stands out in a tree, by the rule of [`crate::graph::dominators::Rule::Strong`]. By all threads of the
/// tree's pool; the answer is the same at any number of them.
///
/// An error where `watch` allows no more memory.
pub fn find<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    limits: Limits,
    watch: Watch<'_>,
) -> Result<Leaks> {
    (watch.room)(memory::<I>(tree.count()))?;
    let finder = Finder::new(tree, limits, watch);
    let held: u64 = Strength::ALL.iter().map(|s| tree.held(*s)).sum();
    let mut all = Vec::new();
    for strength in Strength::ALL {
        let base = if strength == Strength::Strong { tree.held(strength) } else { held };
        let least = finder.least(base);
        if tree.held(strength) >= least {
            if strength != Strength::Strong {
                (watch.room)(memory::<I>(tree.count()) + 8 * tree.count())?;
            }
            let weights = Weights::of(tree, strength);
            all.extend(finder.raw(&weights, kind_of(strength), base, least));
        }
    }
    let buffers = direct_buffers(tree, Buffers::Owned);
    let direct = total(&buffers);
    let base = held.saturating_add(direct);
    let least = finder.least(base);
    if direct >= least {
        all.extend(finder.raw(&Weights::outside(tree, &buffers), Kind::Direct, base, least));
    }
    all.sort_by_key(|raw| (Reverse(raw.bytes), raw.top, raw.kind as u8));
    let suspects = finder.finish(all)?;
    let of_heap = suspects.iter().filter(|s| s.kind != Kind::Direct);
    let explained = of_heap.map(|s| s.bytes).sum();
    let mut leaks = Leaks {
        totals: Totals::of(tree),
        direct,
        limits,
        suspects,
        explained,
        explained_share: share(explained, held),
        text: String::new(),
    };
    leaks.text = text::summary(&leaks);
    Ok(leaks)
}

/// What holds direct buffers, native code's memory among them: those suspects alone. And what threads hold of them, by the
/// addresses of the threads' objects; those that hold none are left out.
///
/// An error where `watch` allows no more memory.
pub(in crate::output) fn find_outside<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    limits: Limits,
    watch: Watch<'_>,
) -> Result<(Vec<Suspect>, HashMap<u64, u64>)> {
    (watch.room)(memory::<I>(tree.count()) + 8 * tree.count())?;
    let buffers = direct_buffers(tree, Buffers::All);
    let weights = Weights::outside(tree, &buffers);
    let finder = Finder::new(tree, limits, watch);
    let base = total(&buffers);
    let suspects = finder.finish(finder.raw(&weights, Kind::Direct, base, finder.least(base)))?;
    let graph = tree.graph();
    let places = graph.threads().iter().filter_map(|t| t.object);
    let of_threads = places.filter_map(|place| {
        let bytes = weights.at(tree.number(place)?);
        (bytes > 0).then(|| (graph.address(place), bytes))
    });
    Ok((suspects, of_threads.collect()))
}

fn total<I>(buffers: &[(I, u64)]) -> u64 {
    buffers.iter().fold(0, |sum, b| sum.saturating_add(b.1))
}

fn kind_of(strength: Strength) -> Kind {
    match strength {
        Strength::Strong => Kind::Object,
        Strength::Soft => Kind::Soft,
        Strength::Weak => Kind::Weak,
        Strength::Final => Kind::Final,
        Strength::Phantom => Kind::Phantom,
    }
}

impl<'t, 'g, G: ObjectGraph, I: Id> Finder<'t, 'g, G, I> {
    fn new(tree: &'t Dominators<'g, G, I>, limits: Limits, watch: Watch<'t>) -> Self {
        let (down, kinds) = (tree.top_down(), Kinds::of(tree.graph()));
        Finder { tree, down, kinds, limits, watch }
    }

    /// The threshold where the whole has so many bytes: at least 1.
    fn least(&self, base: u64) -> u64 {
        let of_share = base as f64 * self.limits.share.clamp(0.0, 100.0) / 100.0;
        (of_share as u64).max(self.limits.min).max(1)
    }

    /// The suspects of one sort of memory.
    fn raw(
        &self,
        weights: &Weights<'_, '_, G, I>,
        kind: Kind,
        base: u64,
        least: u64,
    ) -> Vec<Raw<I>> {
        let (tree, down, kinds) = (self.tree, self.down, &self.kinds);
        // What waits for a finalizer is one thing, wherever the JVM keeps it meanwhile.
        let is_waiting = matches!(kind, Kind::Final | Kind::Phantom);
        let units = match is_waiting {
            true => Units::none(),
            false => units(tree, down, kinds, weights, least),
        };
        let mut looker =
            Looker { tree, down, kinds, weights, units: &units, apart: HashSet::new() };
        let mut found: Vec<Found<I>> = Vec::new();
        if is_waiting {
            for group in looker.waiting(least) {
                found.push((group.bytes, None, looker.levels_of(group)));
            }
        }
        let mut spots = Vec::new();
        for (top, own) in units.tops.iter().zip(&units.own).filter(|(_, own)| **own >= least) {
            if *top == I::default() {
                for group in looker.groups(least) {
                    found.push((group.bytes, None, looker.levels_of(group)));
                }
            } else {
                self.split(&mut looker, *top, *own, least, &mut spots);
            }
        }
        for (spot, bytes) in spots {
            let levels = match spot.part {
                Some(part) => looker.levels_of_part(spot.node, part, bytes, least),
                None => looker.levels(spot.node, bytes, least),
            };
            found.extend(levels.map(|levels| (bytes, Some(spot), levels)));
        }
        found.sort_by_key(|(bytes, top, _)| (Reverse(*bytes), *top));
        found.truncate(MOST);
        let starts: Vec<Start<'_, I>> = found
            .iter()
            .map(|(_, top, levels)| match top {
                None => Start::Nodes(&levels[0].nodes),
                Some(Spot { part: Some(part), .. }) => Start::Part(*part),
                Some(spot) => Start::Node(spot.node),
            })
            .collect();
        let mut contents = match weights.strength.filter(|_| !found.is_empty()) {
            Some(strength) => {
                let owners = owners(tree, &units, &starts);
                contents(tree, kinds, &owners, strength, &starts, &looker.apart)
            }
            None => vec![Content::default(); found.len()],
        };
        let of = |(i, (bytes, top, levels)): (usize, Found<I>)| {
            let samples = levels.last().map(|l| l.sample(down)).unwrap_or_default();
            let is_group = top.is_none() && kind == Kind::Object;
            let kind = if is_group { Kind::Group } else { kind };
            let content = std::mem::take(&mut contents[i]);
            // What lies outside of the heap may belong to buffers that are held in any way.
            let first = samples.first().and_then(|p| tree.number(*p));
            let strength = weights.strength.or(first.map(|n| tree.strength(n)));
            let strength = strength.unwrap_or(Strength::Strong);
            Raw { kind, bytes, top, levels, content, base, strength, samples }
        };
        found.into_iter().enumerate().map(of).collect()
    }

    /// The places of a unit's top where much comes together: itself, and what is folded into it and holds much.
    fn split(
        &self,
        looker: &mut Looker<'_, '_, '_, G, I>,
        top: I,
        own: u64,
        least: u64,
        spots: &mut Vec<(Spot<I>, u64)>,
    ) {
        let mut todo = vec![(Spot { node: top, part: None }, own)];
        while let Some((spot, bytes)) = todo.pop() {
            let heavy = looker.heavy_parts(top, self.place(spot), least);
            let in_them: u64 = heavy.iter().map(|h| h.1).sum();
            if heavy.is_empty() || bytes.saturating_sub(in_them) >= least {
                spots.push((spot, bytes.saturating_sub(in_them)));
            }
            for (part, bytes) in heavy {
                looker.apart.insert(part);
                todo.push((Spot { node: top, part: Some(part) }, bytes));
            }
        }
    }

    fn place(&self, spot: Spot<I>) -> u64 {
        spot.part.unwrap_or_else(|| self.down.place(spot.node))
    }

    /// The place of the whole collection that a spot is the inside of.
    fn whole_place(&self, spot: Spot<I>) -> u64 {
        spot.part.unwrap_or_else(|| self.down.place(self.whole(spot.node)))
    }

    /// With the paths to them.
    fn finish(&self, all: Vec<Raw<I>>) -> Result<Vec<Suspect>> {
        let mut suspects: BTreeMap<usize, Suspect> = BTreeMap::new();
        for strength in Strength::ALL {
            let of: Vec<usize> = (0..all.len()).filter(|i| all[*i].strength == strength).collect();
            let targets: Vec<u64> = of.iter().flat_map(|i| all[*i].samples.clone()).collect();
            if of.is_empty() {
                continue;
            }
            let paths = self.paths(strength, &targets)?;
            let traces = of.iter().map(|i| trace(&paths, &self.kinds, &all[*i].samples));
            let traces: Vec<Trace> = traces.collect();
            drop(paths);
            for (i, trace) in of.into_iter().zip(traces) {
                let trace = self.by_own_field(&all[i], trace)?;
                suspects.insert(i, self.suspect(&all[i], &trace)?);
            }
        }
        Ok(suspects.into_values().collect())
    }

    fn paths(&self, weakest: Strength, targets: &[u64]) -> Result<Paths<'_, G, I>> {
        let (graph, pool) = (self.tree.graph(), self.tree.pool());
        Paths::find(graph, weakest, Some(targets), pool, self.watch)
    }

    /// The same path, or one that leads to the suspect by a field of the program's own where the shortest one does not:
    /// a pool's thread that runs has the pool in a local variable of the JDK's.
    fn by_own_field(&self, raw: &Raw<I>, found: Trace) -> Result<Trace> {
        let Some(top) = raw.top else { return Ok(found) };
        let place = self.whole_place(top);
        let is_it = |places: &Vec<u64>| places.as_slice() == [place];
        let Some(at) = found.places.iter().position(is_it) else { return Ok(found) };
        let is_own = found.field_between(0, at + 1, false).is_some();
        let frame = found.thread.as_ref().and_then(|t| t.frame.as_deref());
        if is_own || found.thread_locals(at).is_some() || frame.is_some_and(|f| !is_foreign(f)) {
            return Ok(found);
        }
        let (graph, pool) = (self.tree.graph(), self.tree.pool());
        let apart = Paths::<G, I>::apart(graph, raw.strength, place, REFERRERS, pool, self.watch)?;
        for referrer in apart.referrers.iter().take(REFERRERS) {
            let mut line = apart.paths.path(*referrer);
            line.push(place);
            let other = along(&apart.paths, &self.kinds, &[line]);
            if other.field_between(0, other.steps.len(), false).is_some() {
                return Ok(other.instead_of(found, place));
            }
        }
        Ok(found)
    }

    fn suspect(&self, raw: &Raw<I>, trace: &Trace) -> Result<Suspect> {
        let graph = self.tree.graph();
        let object = raw.top.map(|top| self.whole_place(top));
        // A collection at the top is not told as a level of its own.
        let is_glue =
            raw.top.is_some() && raw.levels.first().is_some_and(|l| self.kinds.is_glue(l.name));
        let told = &raw.levels[usize::from(is_glue && raw.levels.len() > 1)..];
        let names: Vec<&str> = told.iter().map(|l| self.kinds.text(l.name)).collect();
        let from = raw.top.map(|top| self.place(top));
        let positions = trace.positions(from, &names);
        let at = fullest(told);
        let end = positions.get(at).map_or(trace.steps.len(), |position| position + 1);
        let mut levels: Vec<Level> = Vec::new();
        for (i, (kind, name)) in told.iter().zip(&names).enumerate() {
            let start = i.checked_sub(1).map(|before| positions[before] + 1);
            let field = start.and_then(|start| {
                let own = trace.field_between(start, positions[i] + 1, false);
                own.or_else(|| trace.field_between(start, positions[i] + 1, true))
            });
            levels.push(Level {
                class: (*name).into(),
                objects: kind.objects,
                bytes: kind.bytes,
                field,
                classes: kind.classes,
            });
        }
        let class = match object {
            Some(place) => class_name(graph, graph.class_of(place)),
            None => names.first().copied().unwrap_or("?").into(),
        };
        let mut suspect = Suspect {
            kind: raw.kind,
            bytes: raw.bytes,
            share: share(raw.bytes, raw.base),
            objects: if object.is_some() { 1 } else { raw.levels[0].objects },
            class,
            object: object.map(|place| graph.address(place)),
            label: object.and_then(|place| label(graph, place)),
            field: self.field(trace, end)?,
            thread: trace.thread.clone(),
            path: trace.told(),
            levels,
            fullest: at,
            classes: raw.content.classes.clone(),
            class_count: raw.content.class_count,
            loaders: raw.content.loaders,
            text: String::new(),
            next: Vec::new(),
        };
        suspect.text = text::describe(&suspect, graph.threads());
        suspect.next = text::advice(&suspect);
        Ok(suspect)
    }

    /// The collection that a part of one is the inside of.
    fn whole(&self, mut top: I) -> I {
        let graph = self.tree.graph();
        let is_glue = |n: I| self.kinds.is_glue(self.kinds.name_at(graph, self.down.place(n)));
        while is_glue(top) {
            let above = self.tree.dominator(top);
            let is_inside = above != I::default()
                && is_glue(above)
                && self.down.children(above).nth(1).is_none_or(|_| self.is_most(above, top));
            if !is_inside {
                break;
            }
            top = above;
        }
        top
    }

    fn is_most(&self, above: I, of: I) -> bool {
        self.tree.retained(of) >= self.tree.retained(above) / 10 * 7
    }

    /// The field through which it accumulates, on the steps before `end`.
    fn field(&self, trace: &Trace, end: usize) -> Result<Option<FieldName>> {
        let Some((entry, places)) = trace.thread_locals(end) else {
            return Ok(trace.field_before(end));
        };
        if let Some(own) = trace.field_between(entry + 1, end, false) {
            return Ok(Some(own));
        }
        let Some(place) = thread_local(self.tree.graph(), places) else {
            return Ok(trace.field_before(end));
        };
        let paths = self.paths(Strength::Strong, &[place])?;
        let of_local = super::trace::trace(&paths, &self.kinds, &[place]);
        let field = of_local.field_between(0, of_local.steps.len(), false);
        let field = field.map(|field| FieldName { thread_local: true, ..field });
        Ok(field.or_else(|| trace.field_before(end)))
    }
}

/// The level of which there are the most for each of the one before: with these it grows. Where class loaders have
/// classes of the same names it is at the latest those that several of them have.
fn fullest<I>(levels: &[levels::Kind<I>]) -> usize {
    let of_loaders = levels.iter().position(|l| l.classes > 1);
    let levels = &levels[..of_loaders.map_or(levels.len(), |at| at + 1)];
    let (mut best, mut most) = (levels.len().saturating_sub(1), 1.5);
    let mut before = 1;
    for (i, level) in levels.iter().enumerate() {
        let times = level.objects as f64 / before.max(1) as f64;
        if times > most {
            (best, most) = (i, times);
        }
        before = level.objects;
    }
    best
}
