//! The dominator tree against brute force: take an object away, and mark again.

use std::collections::BTreeMap;

use super::super::{
    Class, ClassKind, NO_CLASS, Numbers, ObjectGraph, ObjectValues, Place, Reference, Root,
    RootKind, Strength, Thread, Unread,
};
use super::*;

/// A graph made up: objects by number, at places with gaps.
pub(crate) struct Toy {
    pub(crate) numbers: Numbers,
    pub(crate) places: Vec<u64>,
    pub(crate) class: Vec<u32>,
    pub(crate) edges: Vec<Vec<(usize, Strength)>>,
    classes: Vec<Class>,
    pub(crate) roots: Vec<Root>,
    threads: Vec<Thread>,
    unread: Unread,
}

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 33) % most as u64) as usize
    }
}

const LEAF: u32 = 0;
const HOLDER: u32 = 1;
/// Of a loader that can go: its class object is object 0.
const MORTAL: u32 = 2;
const THREAD: u32 = 3;

impl Toy {
    pub(crate) fn random(seed: u64) -> Toy {
        let mut r = Random(seed);
        let count = 3 + r.below(24);
        let degree = 1 + r.below(3);
        let weak = r.below(3);
        let places: Vec<u64> = (0..count as u64).map(|i| i * 7 + i % 3).collect();
        let mut bits = vec![0; places[count - 1] as usize / 64 + 1];
        places.iter().for_each(|p| bits[(p / 64) as usize] |= 1 << (p % 64));
        let class: Vec<u32> = (0..count)
            .map(|i| match (i, r.below(8)) {
                (1, _) => THREAD,
                (_, 0..3) => LEAF,
                (_, 3) => MORTAL,
                _ => HOLDER,
            })
            .collect();
        let edges = class
            .iter()
            .map(|class| {
                let degree = if *class == LEAF { 0 } else { r.below(2 * degree + 1) };
                (0..degree)
                    .map(|_| {
                        let strength = match r.below(8) < weak {
                            true => Strength::ALL[1 + r.below(4)],
                            false => Strength::Strong,
                        };
                        (r.below(count), strength)
                    })
                    .collect()
            })
            .collect();
        let of = |name: &str, kind, object| Class {
            name: name.into(),
            kind,
            super_class: None,
            interfaces: None,
            object,
            loader: None,
            is_permanent: false,
        };
        let classes = vec![
            of("byte[]", ClassKind::Primitives, None),
            of("Holder", ClassKind::Instance, None),
            of("Mortal", ClassKind::Instance, Some(places[0])),
            of("Thread", ClassKind::Instance, None),
        ];
        let thread = Thread { object: Some(places[1]), ..Thread::default() };
        let root = |kind, i: usize, thread| Root { kind, place: places[i], thread, frame: None };
        let mut roots = Vec::new();
        for _ in 0..r.below(3) {
            roots.push(root(RootKind::JniGlobal, r.below(count), None));
        }
        if r.below(2) == 0 {
            roots.push(root(RootKind::Thread, 1, Some(0)));
        }
        for _ in 0..r.below(3) {
            roots.push(root(RootKind::Frame, r.below(count), Some(0)));
        }
        Toy {
            numbers: Numbers::of(bits),
            places,
            class,
            edges,
            classes,
            roots,
            threads: vec![thread],
            unread: Unread::default(),
        }
    }

    pub(crate) fn at(&self, place: u64) -> usize {
        self.numbers.rank(place) as usize
    }

    pub(crate) fn own(&self, i: usize) -> u64 {
        16 + i as u64 % 5 * 1000 + i as u64
    }

    /// All that holds, by the rule: from, to, how. From none: a root.
    pub(crate) fn holds(&self, rule: Rule) -> Vec<(Option<usize>, usize, Strength)> {
        let mut out = Vec::new();
        for (i, edges) in self.edges.iter().enumerate() {
            for (to, s) in edges {
                out.push((Some(i), *to, if rule == Rule::Mat { Strength::Strong } else { *s }));
            }
            if self.class[i] == MORTAL {
                out.push((Some(i), 0, Strength::Strong));
            }
        }
        for root in &self.roots {
            let from = match root.kind {
                RootKind::Frame => Some(1),
                _ => None,
            };
            out.push((from, self.at(root.place), Strength::Strong));
        }
        out
    }
}

impl ObjectValues for Toy {}

impl ObjectGraph for Toy {
    fn numbers(&self) -> &Numbers {
        &self.numbers
    }
    fn address(&self, place: u64) -> u64 {
        place * 8
    }
    fn place(&self, address: u64) -> Option<u64> {
        Some(address / 8).filter(|p| self.numbers.has(*p))
    }
    fn class_of(&self, place: u64) -> u32 {
        if self.numbers.has(place) { self.class[self.at(place)] } else { NO_CLASS }
    }
    fn size(&self, place: u64) -> u64 {
        self.own(self.at(place))
    }
    fn mat_size(&self, place: u64) -> u64 {
        self.own(self.at(place))
    }
    fn total_size(&self) -> u64 {
        (0..self.places.len()).map(|i| self.own(i)).sum()
    }
    fn references(&self, place: u64, mut each: impl FnMut(u64, Strength)) -> u32 {
        let i = self.at(place);
        self.edges[i].iter().for_each(|(to, s)| each(self.places[*to], *s));
        self.class[i]
    }
    fn can_refer(&self, class: u32) -> bool {
        class != LEAF
    }
    fn describe(&self, place: u64, mut each: impl FnMut(Reference<'_>)) {
        for (i, (to, strength)) in (0..).zip(&self.edges[self.at(place)]) {
            let (target, place) = (self.places[*to], Place::Element(i));
            each(Reference { target, strength: *strength, place });
        }
    }
    fn mirrored(&self, place: u64) -> Option<u32> {
        (place == self.places[0]).then_some(MORTAL)
    }
    fn classes(&self) -> &[Class] {
        &self.classes
    }
    fn roots(&self) -> &[Root] {
        &self.roots
    }
    fn threads(&self) -> &[Thread] {
        &self.threads
    }
    fn text(&self, _: u64, _: usize) -> Option<String> {
        None
    }
    fn unread(&self) -> &Unread {
        &self.unread
    }
}

pub(crate) type Hold = (Option<usize>, usize, Strength);

/// How strongly each object is held without `gone`: on the best path the weakest reference counts.
fn levels(count: usize, holds: &[Hold], gone: Option<usize>) -> Vec<Option<Strength>> {
    let mut level = vec![None; count];
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for (from, to, by) in holds {
            let from = match from {
                Some(i) if gone == Some(*i) => continue,
                Some(i) => match level[*i] {
                    Some(level) => level,
                    None => continue,
                },
                None => Strength::Strong,
            };
            let by = from.max(*by);
            if gone != Some(*to) && level[*to].is_none_or(|l| by < l) {
                (level[*to], changed) = (Some(by), true);
            }
        }
    }
    level
}

/// What each object retains and what hangs weakly below it, by taking it away.
fn truth(toy: &Toy, rule: Rule) -> Vec<Option<(u64, u64)>> {
    let (holds, count) = (toy.holds(rule), toy.places.len());
    let all = levels(count, &holds, None);
    // A reference holds where it makes its object as strongly held as it is.
    let counts = |(from, to, by): &Hold| {
        let from = from.map_or(Some(Strength::Strong), |i| all[i]);
        from.map(|level| level.max(*by)) == all[*to]
    };
    let counting: Vec<Hold> = holds.iter().copied().filter(|h| counts(h)).collect();
    let of = |x: usize| {
        let own = all[x]?;
        let left = levels(count, &counting, Some(x));
        let mut bytes = (0, 0);
        for i in (0..count).filter(|i| left[*i].is_none()) {
            match all[i] {
                Some(level) if level == own => bytes.0 += toy.own(i),
                Some(_) => bytes.1 += toy.own(i),
                None => {}
            }
        }
        if own == Strength::Strong {
            // The same by the plain question: what is not strongly held any more?
            let left = levels(count, &holds, Some(x));
            let strong = |l: &[Option<Strength>], i: usize| l[i] == Some(Strength::Strong);
            let gone = (0..count).filter(|i| strong(&all, *i) && !strong(&left, *i));
            assert_eq!(bytes.0, gone.map(|i| toy.own(i)).sum::<u64>());
        }
        Some(bytes)
    };
    (0..count).map(of).collect()
}

pub(crate) fn quiet() -> Watch<'static> {
    Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) }
}

/// What the tree says of each object.
fn found<I: Id>(toy: &Toy, rule: Rule, threads: usize) -> Vec<Option<(u64, u64)>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let tree = Dominators::<Toy, I>::find(toy, rule, &pool, quiet()).expect("a tree");
    let mut out = BTreeMap::new();
    for place in &toy.places {
        let Some(number) = tree.number(*place) else { continue };
        assert!(tree.dominator(number) < number);
        out.insert(*place, (tree.retained(number), tree.weaker(number)));
        tree.parts(*place, &mut |part| {
            assert!(out.insert(part, (tree.part_retained(part), 0)).is_none());
        });
    }
    let all = levels(toy.places.len(), &toy.holds(rule), None);
    for strength in Strength::ALL {
        let of = (0..toy.places.len()).filter(|i| all[*i] == Some(strength));
        assert_eq!(tree.held(strength), of.map(|i| toy.own(i)).sum::<u64>(), "{strength:?}");
    }
    toy.places.iter().map(|p| out.get(p).copied()).collect()
}

#[test]
fn each_object_retains_what_goes_with_it() {
    let (mut reached, mut weaker, mut held) = (0, 0, 0);
    for seed in 0..6000 {
        let toy = Toy::random(seed);
        for rule in [Rule::Strong, Rule::Mat] {
            let truth = truth(&toy, rule);
            assert_eq!(found::<u32>(&toy, rule, 1), truth, "seed {seed}, {rule:?}");
            reached += truth.iter().flatten().count();
            weaker += truth.iter().flatten().filter(|t| t.1 > 0).count();
            held +=
                (0..truth.len()).filter(|i| truth[*i].is_some_and(|t| t.0 > toy.own(*i))).count();
        }
    }
    // They are not all bare.
    assert!(reached > 50_000 && weaker > 2000 && held > 15_000, "{reached} {weaker} {held}");
}

#[test]
fn threads_and_the_kind_of_numbers_make_no_difference() {
    for seed in 0..300 {
        let toy = Toy::random(seed);
        for rule in [Rule::Strong, Rule::Mat] {
            let one = found::<u32>(&toy, rule, 1);
            assert_eq!(found::<u32>(&toy, rule, 3), one, "seed {seed}");
            assert_eq!(found::<u64>(&toy, rule, 2), one, "seed {seed}");
        }
    }
}

/// Long chains need no recursion, and links back in them no pass of their own.
#[test]
fn a_long_list_of_nodes_that_refer_back() {
    let count = 200_000;
    let mut toy = Toy::random(1);
    toy.places = (0..count as u64).collect();
    toy.numbers = Numbers::dense(count as u64);
    toy.class = vec![HOLDER; count];
    let next = |i: usize| [i + 1, i.saturating_sub(1)].into_iter().filter(|n| *n < count);
    toy.edges = (0..count).map(|i| next(i).map(|n| (n, Strength::Strong)).collect()).collect();
    toy.roots = vec![Root { kind: RootKind::JniGlobal, place: 0, thread: None, frame: None }];
    let found = found::<u32>(&toy, Rule::Strong, 2);
    let mut left: u64 = (0..count).map(|i| toy.own(i)).sum();
    for (i, of) in found.into_iter().enumerate() {
        assert_eq!(of, Some((left, 0)));
        left -= toy.own(i);
    }
}

#[test]
fn numbers_that_do_not_do_are_refused() {
    let mut toy = Toy::random(1);
    assert!(fits::<u32>(&toy));
    toy.numbers = Numbers::of(vec![0; 1 << 10]);
    assert!(fits::<u32>(&toy) && fits::<u64>(&toy));
}
