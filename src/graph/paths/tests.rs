//! Shortest paths against a naive search.

use super::super::dominators::tests::{Hold, Toy, quiet};
use super::super::{Numbers, Root, RootKind};
use super::*;

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}

/// All that holds, but that a class object which is held from outside is not kept by its objects, and a thread not by
/// its own frames.
fn holds(toy: &Toy) -> Vec<Hold> {
    let outside = |r: &Root| r.kind != RootKind::Frame && toy.at(r.place) == 0;
    let is_held = toy.roots.iter().any(outside);
    let counts = |hold: &Hold| match hold.0 {
        Some(i) if hold.1 == 0 && is_held && i != 1 || hold.1 == 1 && i == 1 => {
            toy.edges[i].contains(&(hold.1, hold.2))
        }
        _ => true,
    };
    toy.holds(Rule::Strong).into_iter().filter(counts).collect()
}

/// How many references away from a root each object is, on paths without `gone`: found by trying all references
/// until nothing gets nearer.
fn distances(count: usize, holds: &[Hold], weakest: Strength, gone: Option<usize>) -> Vec<u64> {
    let mut all = vec![u64::MAX; count];
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for (from, to, _) in holds.iter().filter(|h| h.2 <= weakest && Some(h.1) != gone) {
            let away = from.map_or(0, |i| all[i].saturating_add(1));
            if away < all[*to] {
                (all[*to], changed) = (away, true);
            }
        }
    }
    all
}

/// The path of each object is as short as it can be, leads along references, and of all such it is the one whose
/// holders have the lowest places.
fn check<I: Id>(
    toy: &Toy,
    paths: &Paths<'_, Toy, I>,
    away: &[u64],
    holds: &[Hold],
    gone: Option<usize>,
) {
    for (i, place) in toy.places.iter().enumerate() {
        let path = paths.path(*place);
        assert_eq!(paths.length(*place).unwrap_or(u64::MAX), away[i]);
        assert_eq!(path.len() as u64, away[i].wrapping_add(1));
        assert_eq!(paths.is_reached(*place), away[i] != u64::MAX);
        for step in path.windows(2) {
            let (from, to) = (toy.at(step[0]), toy.at(step[1]));
            let nearer = |h: &&Hold| h.1 == to && h.2 <= paths.weakest && h.0 != gone;
            let holders = holds.iter().filter(nearer).filter_map(|h| h.0);
            let lowest = holders.filter(|h| away[*h].wrapping_add(1) == away[to]).min();
            assert_eq!(lowest, Some(from));
            let link = paths.link(step[0], step[1]);
            assert!(holds.iter().any(|h| (h.0, h.1, h.2) == (Some(from), to, link.strength)));
            if let By::Reference(super::super::Place::Element(index)) = link.by {
                assert_eq!(toy.edges[from][index as usize], (to, link.strength));
            }
        }
    }
}

#[test]
fn paths_are_as_short_as_can_be() {
    let (one, three) = (pool(1), pool(3));
    let (mut long, mut apart, mut early) = (0, 0, 0);
    for seed in 0..3000 {
        let toy = Toy::random(seed);
        let holds = holds(&toy);
        let count = toy.places.len();
        for weakest in [Strength::Strong, Strength::Phantom] {
            let away = distances(count, &holds, weakest, None);
            let pool = if seed % 2 == 0 { &one } else { &three };
            let paths = Paths::<_, u32>::find(&toy, weakest, None, pool, quiet()).expect("paths");
            check(&toy, &paths, &away, &holds, None);
            long += away.iter().filter(|a| **a != u64::MAX && **a > 2).count();
            // Looked for alone it has the same path.
            let target = seed as usize % count;
            let place = toy.places[target];
            let alone = Paths::<_, u64>::find(&toy, weakest, Some(&[place]), pool, quiet());
            assert_eq!(alone.expect("paths").path(place), paths.path(place));
            // Without the object: who refers to it, the nearest first.
            let away = distances(count, &holds, weakest, Some(target));
            let refer = |i: &usize| {
                let refers = |h: &Hold| h.0 == Some(*i) && h.1 == target && h.2 <= weakest;
                holds.iter().any(refers) && away[*i] != u64::MAX
            };
            let mut expected: Vec<usize> = (0..count).filter(refer).collect();
            expected.sort_by_key(|i| (away[*i], *i));
            let expected: Vec<u64> = expected.into_iter().map(|i| toy.places[i]).collect();
            let of = |most| Paths::<_, u32>::apart(&toy, weakest, place, most, pool, quiet());
            let all = of(usize::MAX).expect("paths");
            assert_eq!((&all.referrers, all.has_more), (&expected, false), "seed {seed}");
            check(&toy, &all.paths, &away, &holds, Some(target));
            let first = of(1).expect("paths");
            assert!(expected.starts_with(&first.referrers));
            assert!(first.has_more || first.referrers == expected);
            assert_eq!(first.referrers.is_empty(), expected.is_empty());
            apart += usize::from(expected.len() > 1);
            early += usize::from(first.has_more);
        }
    }
    assert!(long > 3000 && apart > 500 && early > 100, "{long} {apart} {early}");
}

/// Levels that all threads share, and more levels than a recursion could have.
#[test]
fn wide_and_deep() {
    let root = |place| Root { kind: RootKind::JniGlobal, place, thread: None, frame: None };
    let count = 300_000;
    let mut toy = Toy::random(1);
    toy.places = (0..count as u64).collect();
    toy.numbers = Numbers::dense(count as u64);
    toy.class = vec![1; count];
    toy.roots = vec![root(0)];
    let strong = |to: usize| (to, Strength::Strong);
    // The first holds 50,000, each of those the same 50,000 and the first of a chain.
    let edges = |i: usize| match i {
        0 => (1..50_001).rev().map(strong).collect(),
        1..50_001 => [50_000 + i, 50_000 + (i + 7) % 50_000 + 1, 100_001].map(strong).to_vec(),
        100_001.. if i + 1 < count => [i + 1, i - 1].map(strong).to_vec(),
        _ => Vec::new(),
    };
    toy.edges = (0..count).map(edges).collect();
    for threads in [1, 2, 5] {
        let pool = pool(threads);
        let paths = Paths::<_, u32>::find(&toy, Strength::Strong, None, &pool, quiet());
        let paths = paths.expect("paths");
        let last = count as u64 - 1;
        assert_eq!(paths.length(last), Some(2 + last - 100_001));
        assert_eq!(paths.path(100_001), [0, 1, 100_001]);
        for i in 1..50_001 {
            let before = (i + 50_000 - 1 - 7) % 50_000;
            let holder = if before == 0 { i } else { i.min(before) };
            assert_eq!(paths.holder(50_000 + i), Some(holder), "{i}");
        }
        let apart = Paths::<_, u32>::apart(&toy, Strength::Strong, 100_001, 10, &pool, quiet());
        let apart = apart.expect("paths");
        assert_eq!(apart.referrers, (1..50_001).collect::<Vec<u64>>());
        assert!(apart.has_more);
    }
}

#[test]
fn all_that_refer_to_an_object() {
    let mut several = 0;
    for seed in 0..500 {
        let toy = Toy::random(seed);
        let holds = holds(&toy);
        let of = |threads, first| referrers(&toy, &toy.places, first, &pool(threads), quiet());
        let (all, some) = (of(1, usize::MAX), of(2, 2));
        for i in 0..toy.places.len() {
            let mut expected: Vec<u64> = holds
                .iter()
                .filter(|h| h.1 == i)
                .filter_map(|h| h.0)
                .map(|h| toy.places[h])
                .collect();
            expected.sort_unstable();
            expected.dedup();
            let found: Vec<u64> = all[i].first.iter().map(|r| r.place).collect();
            assert_eq!(found, expected, "seed {seed}, {i}");
            assert_eq!(all[i].objects, found.len() as u64);
            assert_eq!(all[i].objects, all[i].classes.iter().map(|c| c.1).sum::<u64>());
            assert_eq!(some[i].objects, all[i].objects);
            assert_eq!(some[i].first, all[i].first[..found.len().min(2)]);
            several += usize::from(found.len() > 2);
            for referrer in &all[i].first {
                let from = toy.at(referrer.place);
                let places = toy.edges[from].iter().enumerate().filter(|(_, (to, _))| *to == i);
                let places = places.map(|(n, (_, s))| (super::super::Place::Element(n as u64), *s));
                assert_eq!(referrer.references, places.collect::<Vec<_>>());
            }
        }
    }
    assert!(several > 300, "{several}");
}
