//! The path to what fills a suspect: where the shortest paths from roots to samples of it go along together, with the
//! fields that they go by.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::glue::{Kinds, is_foreign, is_glue};
use super::{FieldName, Step, ThreadName};
use crate::graph::paths::{By, Link, Paths};
use crate::graph::{Id, ObjectGraph, Place, RootKind};
use crate::output::paths::words;
use crate::output::retained::label;

/// Of so many percent of the paths a step is common.
const COMMON: usize = 80;
/// Longer paths are not compared with others.
const LONGEST: usize = 400;
/// Steps that are told at the start and at the end of a longer one.
const TOLD: usize = 40;
/// What holds a thread's value of a ThreadLocal.
const ENTRY: &str = "java.lang.ThreadLocal$ThreadLocalMap$Entry";

/// Steps that paths have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    pub steps: Vec<Step>,
    /// The places that each step leads to, in order: of as many of the paths as go along there.
    pub places: Vec<Vec<u64>>,
    /// The thread at the start.
    pub thread: Option<ThreadName>,
}

/// A reference, without what differs from path to path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    by: &'static str,
    name: Option<String>,
    declared_by: Option<String>,
    class: u32,
}

/// A step of one path.
#[derive(Debug, Clone)]
struct Hop {
    key: Key,
    /// The fields that it goes by: several where it goes from link to link of one structure.
    names: BTreeSet<String>,
    times: u64,
    element: Option<u64>,
    place: u64,
}

/// Follows the shortest paths to these places.
pub(super) fn trace<G: ObjectGraph, I: Id>(
    paths: &Paths<'_, G, I>,
    kinds: &Kinds<'_>,
    samples: &[u64],
) -> Trace {
    let mut lines: Vec<Vec<u64>> = samples.iter().filter_map(|p| line(paths, *p)).collect();
    if lines.is_empty() {
        // All lie deep in a list.
        let reached = samples.iter().find(|p| paths.is_reached(**p));
        lines.extend(reached.map(|p| cut(paths.path(*p))));
    }
    along(paths, kinds, &lines)
}

/// Follows these paths: places, each from a root on.
pub(super) fn along<G: ObjectGraph, I: Id>(
    paths: &Paths<'_, G, I>,
    kinds: &Kinds<'_>,
    lines: &[Vec<u64>],
) -> Trace {
    let mut all = hops(paths, kinds, lines);
    let count = all.len();
    let mut trace = Trace::default();
    for i in 0.. {
        all.retain(|hops| hops.len() > i);
        let mut groups: BTreeMap<&Key, usize> = BTreeMap::new();
        all.iter().for_each(|hops| *groups.entry(&hops[i].key).or_default() += 1);
        // The first of the largest.
        let largest = groups.into_iter().reduce(|a, b| if b.1 > a.1 { b } else { a });
        let Some((key, _)) = largest.filter(|(_, n)| n * 100 >= count * COMMON) else { break };
        let key = key.clone();
        all.retain(|hops| hops[i].key == key);
        let places: BTreeSet<u64> = all.iter().map(|hops| hops[i].place).collect();
        let places: Vec<u64> = places.into_iter().collect();
        if i == 0 && key.name.as_deref() == Some(words::root(RootKind::Thread)) {
            trace.thread = Some(thread(paths.graph(), all[0][0].place, places.len() as u64));
        }
        let step = step(paths.graph(), kinds, key, &places, all.iter().map(|hops| &hops[i]));
        if let Some(thread) = trace.thread.as_mut().filter(|_| i == 1 && is_local(step.by)) {
            thread.frame = step.name.clone();
        }
        trace.steps.push(step);
        trace.places.push(places);
    }
    trace
}

/// Whether a thread holds by what runs in it.
fn is_local(by: &str) -> bool {
    !matches!(by, "root" | "field" | "static" | "element" | "class_part" | "own_class")
}

/// The steps of each path. What goes from link to link of a structure, such as a list, is one.
fn hops<G: ObjectGraph, I: Id>(
    paths: &Paths<'_, G, I>,
    kinds: &Kinds<'_>,
    lines: &[Vec<u64>],
) -> Vec<Vec<Hop>> {
    let mut all: Vec<Vec<Hop>> = lines.iter().map(|_| Vec::new()).collect();
    for i in 0..lines.iter().map(Vec::len).max().unwrap_or(0) {
        let links = links(paths, lines, i);
        for ((line, link), hops) in lines.iter().zip(links).zip(&mut all) {
            let (Some(place), Some(link)) = (line.get(i), link) else { continue };
            let named = words::named(paths.graph(), &link.by);
            let (by, name, declared_by) = (named.kind, named.name, named.declared_by);
            let class = kinds.name_at(paths.graph(), *place);
            let mut key = Key { by, name: name.clone(), declared_by, class };
            let is_within = by == "field" && hops.last().is_some_and(|h| h.key.class == key.class);
            if is_within {
                // All links of it are alike.
                key.name = None;
            }
            match hops.last_mut().filter(|h| is_within && h.key == key) {
                Some(run) => {
                    run.names.extend(name);
                    (run.times, run.place) = (run.times + 1, *place);
                }
                None => hops.push(Hop {
                    key,
                    names: name.into_iter().collect(),
                    times: 1,
                    element: named.index,
                    place: *place,
                }),
            }
        }
    }
    all
}

/// The places on the path to one; none where none leads to it, and where it is long.
fn line<G: ObjectGraph, I: Id>(paths: &Paths<'_, G, I>, place: u64) -> Option<Vec<u64>> {
    let mut line = vec![place];
    paths.is_reached(place).then_some(())?;
    while let Some(holder) = line.last().and_then(|at| paths.holder(*at)) {
        line.push(holder);
        if line.len() > LONGEST {
            return None;
        }
    }
    line.reverse();
    Some(line)
}

/// The start of a path.
fn cut(mut path: Vec<u64>) -> Vec<u64> {
    path.truncate(LONGEST);
    path
}

/// How the object at each line's place `i` is held, where it is that long. An array is looked through once for all
/// lines that lead through it.
fn links<G: ObjectGraph, I: Id>(
    paths: &Paths<'_, G, I>,
    lines: &[Vec<u64>],
    i: usize,
) -> Vec<Option<Link>> {
    let Some(before) = i.checked_sub(1) else {
        return lines.iter().map(|line| Some(paths.root_link(*line.first()?))).collect();
    };
    let mut wanted: HashMap<u64, HashMap<u64, Option<Link>>> = HashMap::new();
    for line in lines.iter().filter(|line| line.len() > i) {
        wanted.entry(line[before]).or_default().insert(line[i], None);
    }
    for (holder, targets) in &mut wanted {
        paths.graph().describe(*holder, |reference| {
            let Some(link) = targets.get_mut(&reference.target) else { return };
            if link.as_ref().is_none_or(|l| reference.strength < l.strength) {
                let by = By::Reference(reference.place.into_owned());
                *link = Some(Link { by, strength: reference.strength });
            }
        });
        for (place, link) in targets {
            link.get_or_insert_with(|| paths.link(*holder, *place));
        }
    }
    let of = |line: &Vec<u64>| wanted.get(line.get(before)?)?.get(line.get(i)?)?.clone();
    lines.iter().map(of).collect()
}

fn step<'a>(
    graph: &impl ObjectGraph,
    kinds: &Kinds<'_>,
    key: Key,
    places: &[u64],
    hops: impl Iterator<Item = &'a Hop>,
) -> Step {
    let only = match places {
        [one] => Some(*one),
        _ => None,
    };
    let (mut names, mut elements, mut times) = (BTreeSet::new(), BTreeSet::new(), 1);
    for hop in hops {
        names.extend(hop.names.iter().map(String::as_str));
        elements.insert(hop.element);
        times = times.max(hop.times);
    }
    let names: Vec<&str> = names.into_iter().collect();
    let index = elements.first().copied().flatten().filter(|_| elements.len() == 1);
    Step {
        by: key.by,
        name: (!names.is_empty()).then(|| names.join("/")),
        index,
        declared_by: key.declared_by,
        times,
        class: kinds.text(key.class).into(),
        object: only.map(|place| graph.address(place)),
        label: only.and_then(|place| label(graph, place)),
    }
}

/// The thread whose object is at `place`, one of so many.
fn thread(graph: &impl ObjectGraph, place: u64, threads: u64) -> ThreadName {
    let known = graph.threads().iter().find(|t| t.object == Some(place));
    let name = known.map(|t| t.name.clone()).unwrap_or_default();
    ThreadName { name, threads, frame: None }
}

impl Trace {
    /// The numbers of the steps that lead to the first object of each of these classes, one behind the other; from the
    /// step that leads to `from` on. Of those behind the common part: how many steps there are.
    pub(super) fn positions(&self, from: Option<u64>, classes: &[&str]) -> Vec<usize> {
        let is_from = |places: &Vec<u64>| from.is_some_and(|f| places.as_slice() == [f]);
        let mut at = self.places.iter().position(is_from).unwrap_or(0);
        let mut positions = Vec::new();
        for class in classes {
            let rest = self.steps.get(at..).unwrap_or_default();
            match rest.iter().position(|s| s.class == *class) {
                Some(more) => {
                    positions.push(at + more);
                    at += more + 1;
                }
                None => {
                    at = self.steps.len();
                    positions.push(at);
                }
            }
        }
        positions
    }

    /// The last field before the step with this number that is not inside of a collection, or the JDK's; else the last
    /// of the JDK's that is not inside of a collection.
    pub(super) fn field_before(&self, end: usize) -> Option<FieldName> {
        self.field_between(0, end, false).or_else(|| self.field_between(0, end, true))
    }

    /// The same from the step with the number `start` on.
    pub(super) fn field_between(
        &self,
        start: usize,
        end: usize,
        foreign: bool,
    ) -> Option<FieldName> {
        let steps = self.steps.get(start..end.min(self.steps.len())).unwrap_or_default();
        steps.iter().rev().find_map(|step| {
            let class = step.declared_by.as_ref()?;
            let fits = if foreign { !is_glue(class) } else { !is_foreign(class) };
            let is_static = step.by == "static";
            let (class, name) = (class.clone(), step.name.clone()?);
            fits.then_some(FieldName { class, name, is_static, thread_local: false })
        })
    }

    /// The entries of threads' own maps that the paths lead through before the step with this number, and the number
    /// of the step that leads there.
    pub(super) fn thread_locals(&self, end: usize) -> Option<(usize, &[u64])> {
        let end = end.min(self.steps.len());
        let at = self.steps[..end].iter().rposition(|s| s.class == ENTRY)?;
        Some((at, &self.places[at]))
    }

    /// The steps; of many the middle is left out.
    pub(super) fn told(&self) -> Vec<Step> {
        let mut told = self.steps.clone();
        if told.len() > 2 * TOLD {
            told.drain(TOLD..told.len() - TOLD);
        }
        told
    }

    /// These steps up to the object at `place`, then the other's from there on.
    pub(super) fn instead_of(mut self, other: Trace, place: u64) -> Trace {
        let is_it = |places: &Vec<u64>| places.as_slice() == [place];
        let Some(at) = other.places.iter().position(is_it) else { return other };
        self.steps.extend(other.steps.into_iter().skip(at + 1));
        self.places.extend(other.places.into_iter().skip(at + 1));
        self
    }
}

/// The ThreadLocal that most of these entries of threads' own maps are of.
pub(super) fn thread_local(graph: &impl ObjectGraph, entries: &[u64]) -> Option<u64> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for entry in entries {
        graph.describe(*entry, |reference| {
            let is_referent =
                matches!(&reference.place, Place::Field(field) if field.name == "referent");
            if is_referent {
                *counts.entry(reference.target).or_default() += 1;
            }
        });
    }
    let most = counts.into_iter().reduce(|a, b| if b.1 > a.1 { b } else { a })?;
    (most.1 * 2 > entries.len()).then_some(most.0)
}
