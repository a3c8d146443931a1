//! Marks what objects lead to, by all cores: queues of objects still to be looked at, of which long
//! ones hand some on. No recursion, and nothing allocated per object.

use rayon::Scope;

use super::scan::Item;

/// Objects that one piece of work hands on to another thread.
const BATCH: usize = 1024;

/// What is done with each object.
pub(super) trait Marking: Sync {
    /// What a piece of work has found besides, and room that it uses again.
    type Finds: Default;

    /// Looks at an object, and puts those that it marks into `todo`.
    fn look(&self, item: Item, todo: &mut Vec<Item>, finds: &mut Self::Finds);

    /// Takes what a piece of work has found.
    fn gather(&self, finds: Self::Finds);
}

/// Looks at objects until there are none left, and hands some on where there are many.
pub(super) fn drain<'s, M: Marking>(marking: &'s M, scope: &Scope<'s>, mut todo: Vec<Item>) {
    let mut finds = M::Finds::default();
    while let Some(item) = todo.pop() {
        marking.look(item, &mut todo, &mut finds);
        if todo.len() >= 2 * BATCH {
            let rest = todo.split_off(todo.len() - BATCH);
            scope.spawn(move |scope| drain(marking, scope, rest));
        }
    }
    marking.gather(finds);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// Objects by number: what each refers to.
    struct Numbers {
        edges: Vec<Vec<u64>>,
        marked: Vec<AtomicBool>,
        looked: AtomicUsize,
        pieces: Mutex<Vec<usize>>,
    }

    impl Marking for Numbers {
        type Finds = usize;

        fn look(&self, item: Item, todo: &mut Vec<Item>, finds: &mut usize) {
            self.looked.fetch_add(1, Ordering::Relaxed);
            *finds += 1;
            for &addr in &self.edges[item.addr as usize] {
                if !self.marked[addr as usize].swap(true, Ordering::Relaxed) {
                    todo.push(Item { addr, klass: 0, from: 0 });
                }
            }
        }

        fn gather(&self, finds: usize) {
            self.pieces.lock().expect("no panic").push(finds);
        }
    }

    /// A long list, a wide object, and circles among random ones; a fifth of them out of reach.
    fn edges(count: u64) -> Vec<Vec<u64>> {
        let mut seed = 7u64;
        let mut random = |most: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % most
        };
        let list = count / 5;
        let of = |n: u64| match n {
            0 => vec![1, list],
            n if n < list => vec![(n + 1) % list],
            n if n == list => (list..count / 5 * 4).collect(),
            n if n < count / 5 * 4 => (0..random(4)).map(|_| random(count / 5 * 4)).collect(),
            _ => (0..3).map(|_| random(count)).collect(),
        };
        (0..count).map(of).collect()
    }

    #[test]
    fn all_that_can_be_reached_is_looked_at_once() {
        let edges = edges(100_000);
        let mut met = vec![false; edges.len()];
        let mut queue = vec![0];
        met[0] = true;
        while let Some(n) = queue.pop() {
            for &to in &edges[n as usize] {
                if !std::mem::replace(&mut met[to as usize], true) {
                    queue.push(to);
                }
            }
        }
        let reached = met.iter().filter(|m| **m).count();
        assert!(reached > 50_000 && reached < 90_000, "{reached}");
        for threads in [1, 2, 5] {
            let numbers = Numbers {
                marked: edges.iter().map(|_| AtomicBool::new(false)).collect(),
                edges: edges.clone(),
                looked: AtomicUsize::new(0),
                pieces: Mutex::default(),
            };
            numbers.marked[0].store(true, Ordering::Relaxed);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let first = vec![Item { addr: 0, klass: 0, from: 0 }];
            pool.expect("threads").scope(|scope| drain(&numbers, scope, first));
            let marked: Vec<bool> =
                numbers.marked.into_iter().map(AtomicBool::into_inner).collect();
            assert!(marked == met, "{threads} threads");
            assert_eq!(numbers.looked.into_inner(), reached);
            let pieces = numbers.pieces.into_inner().expect("no panic");
            assert_eq!(pieces.iter().sum::<usize>(), reached);
            assert!(pieces.len() > 1, "nothing was handed on");
        }
    }
}
