//! Numbered pieces of work that many threads do at once, and whose results come out one by one in order.
//!
//! Knows nothing of heaps. There is no thread that only takes results: whoever finished the piece whose turn it is
//! passes it on itself, with its bytes still in its own cache.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

/// Turns of the pieces 0, 1, 2, ... `count - 1`, with results of type `T`.
pub(super) struct Turns<T> {
    count: usize,
    next: AtomicUsize,
    state: Mutex<State<T>>,
    /// Wakes whoever waits for room for its piece, by number modulo the window: that one alone.
    room: Vec<Condvar>,
    /// Wakes whoever waits for its turn.
    turn: Condvar,
}

struct State<T> {
    /// Results that were left by their threads, by number modulo the window. There are no more
    /// than those, the ones being made included.
    left: Vec<Option<T>>,
    /// The piece whose turn it is.
    turn: usize,
    /// Whether it is being passed on just now.
    passing: bool,
    /// No more: all threads leave.
    stopped: bool,
}

impl<T> Turns<T> {
    /// For `threads` threads, each of which may be one piece ahead.
    pub fn new(count: usize, threads: usize) -> Self {
        let window = threads * 2;
        let left = (0..window).map(|_| None).collect();
        let state = State { left, turn: 0, passing: false, stopped: false };
        Turns {
            count,
            next: AtomicUsize::new(0),
            state: Mutex::new(state),
            room: (0..window).map(|_| Condvar::new()).collect(),
            turn: Condvar::new(),
        }
    }

    /// One thread's part: does pieces with `work` and passes on with `pass`, which is never called twice at a time,
    /// until none is left or `pass` answers false.
    pub fn take_part(&self, work: impl Fn(usize) -> T, mut pass: impl FnMut(usize, T) -> bool) {
        let _guard = StopOnPanic(self);
        while let Some(i) = self.claim() {
            if let Some(result) = self.leave_or_keep(i, work(i)) {
                self.pass_on(i, result, &mut pass);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn wait_while(
        &self,
        changed: &Condvar,
        unless: impl Fn(&State<T>) -> bool,
    ) -> MutexGuard<'_, State<T>> {
        let waited = changed.wait_while(self.lock(), |s| !s.stopped && unless(s));
        waited.unwrap_or_else(|e| e.into_inner())
    }

    /// The next piece, as soon as the window has room for its result.
    fn claim(&self) -> Option<usize> {
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        if i >= self.count {
            return None;
        }
        let window = self.room.len();
        let state = self.wait_while(&self.room[i % window], |s| i >= s.turn + window);
        (!state.stopped).then_some(i)
    }

    /// Answers the result if its turn has come. Otherwise who passes on the piece before it will find it.
    fn leave_or_keep(&self, i: usize, result: T) -> Option<T> {
        // A turn that is about to come is waited for: better than to move the bytes to another core.
        let mut state = self.wait_while(&self.turn, |s| s.passing && s.turn + 1 == i);
        if state.stopped {
            return None;
        }
        if state.turn == i && !state.passing {
            state.passing = true;
            return Some(result);
        }
        let window = state.left.len();
        state.left[i % window] = Some(result);
        None
    }

    /// Passes on piece `i`, and those behind it that were left.
    fn pass_on(&self, mut i: usize, mut result: T, pass: &mut impl FnMut(usize, T) -> bool) {
        let window = self.room.len();
        loop {
            let go_on = pass(i, result);
            let mut state = self.lock();
            state.turn += 1;
            state.stopped |= !go_on;
            let passed = std::mem::replace(&mut i, state.turn);
            let stopped = state.stopped;
            let left = state.left[i % window].take().filter(|_| !stopped);
            state.passing = left.is_some();
            drop(state);
            if stopped {
                self.wake_all();
            } else {
                self.turn.notify_all();
                self.room[passed % window].notify_all();
            }
            match left {
                Some(left) => result = left,
                None => return,
            }
        }
    }

    fn wake_all(&self) {
        self.turn.notify_all();
        self.room.iter().for_each(Condvar::notify_all);
    }
}

/// Lets the others leave when a thread panics, lest they wait for it for ever.
struct StopOnPanic<'t, T>(&'t Turns<T>);

impl<T> Drop for StopOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().stopped = true;
            self.0.wake_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// What `threads` threads passed on of `count` pieces, each of which took another time, up to `stop_at`.
    fn run(count: usize, threads: usize, stop_at: usize) -> Vec<usize> {
        let turns = Turns::new(count, threads);
        let out = Mutex::new(Vec::new());
        let work = |i: usize| {
            let spins = (i * 7919) % 500;
            std::hint::black_box((0..spins).sum::<usize>());
            i * i
        };
        let pass = |i: usize, squared: usize| {
            assert_eq!(squared, i * i);
            out.try_lock().expect("one at a time").push(i);
            i != stop_at
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| turns.take_part(work, pass));
            }
        });
        out.into_inner().unwrap()
    }

    #[test]
    fn all_come_out_once_and_in_order() {
        for threads in [1, 2, 3, 8] {
            for count in [0, 1, 2, 1000] {
                assert_eq!(run(count, threads, usize::MAX), (0..count).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn nothing_comes_after_a_refusal() {
        for threads in [1, 2, 8] {
            assert_eq!(run(1000, threads, 500), (0..=500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_ends_all_threads() {
        let turns = Turns::new(1000, 4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let work = |i| assert!(i != 300, "made to fail");
                    catch_unwind(AssertUnwindSafe(|| turns.take_part(work, |_, ()| true)))
                });
            }
        });
        assert!(turns.lock().stopped);
        assert!(turns.lock().turn <= 300);
    }
}
