//! Numbered pieces of work that many threads do at once, and whose results come out one by one in order.
//!
//! Knows nothing of what the work is. There is no thread that only takes results: whoever finished the piece whose turn
//! it is passes it on itself, with its bytes still in its own cache. Heaps are walked so, cores written, and streams
//! compressed; whoever uses it starts the threads.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::panics;

/// Turns of the pieces 0, 1, 2, ..., with results of type `T`. The first error of type `E` ends them all.
#[derive(Debug)]
pub(crate) struct Turns<T, E> {
    next: AtomicUsize,
    state: Mutex<State<T, E>>,
    /// Wakes whoever waits for its piece, or for room for it, by number modulo the window: that one alone.
    room: Vec<Condvar>,
    /// Wakes whoever waits for its turn.
    turn: Condvar,
}

#[derive(Debug)]
struct State<T, E> {
    /// Results that were left by their threads, by number modulo the window. There are no more
    /// than those, the ones being made included.
    left: Vec<Option<T>>,
    /// The pieces that there are.
    given: usize,
    /// Whether more may be given.
    is_open: bool,
    /// The piece whose turn it is.
    turn: usize,
    /// Whether it is being passed on just now.
    passing: bool,
    /// No more: all threads leave.
    stopped: bool,
    /// Why.
    error: Option<E>,
}

impl<T, E> Turns<T, E> {
    /// Of `count` pieces, of which `window` (at least one) may be under way: begun, and not passed on yet.
    pub(crate) fn of(count: usize, window: usize) -> Self {
        Turns::new(count, false, window)
    }

    /// Of pieces that [`Turns::give`] gives one by one, until [`Turns::close`]. `window` (at least one) may be under
    /// way: given, and not passed on yet.
    pub(crate) fn open(window: usize) -> Self {
        Turns::new(0, true, window)
    }

    fn new(given: usize, is_open: bool, window: usize) -> Self {
        let window = window.max(1);
        let left = (0..window).map(|_| None).collect();
        let state =
            State { left, given, is_open, turn: 0, passing: false, stopped: false, error: None };
        Turns {
            next: AtomicUsize::new(0),
            state: Mutex::new(state),
            room: (0..window).map(|_| Condvar::new()).collect(),
            turn: Condvar::new(),
        }
    }

    /// One more piece, as soon as fewer than the window are under way; for one thread to call. `put` gets its number and
    /// stores what the work needs, before any thread begins it. False if an error has ended all.
    pub(crate) fn give(&self, put: impl FnOnce(usize)) -> bool {
        let window = self.room.len();
        let i = self.lock().given;
        let state = self.wait_while(&self.room[i % window], |s| i >= s.turn + window);
        if state.stopped {
            return false;
        }
        drop(state);
        put(i);
        self.lock().given = i + 1;
        self.room[i % window].notify_all();
        true
    }

    /// No more are given: threads leave when all are passed on.
    pub(crate) fn close(&self) {
        self.lock().is_open = false;
        self.wake_all();
    }

    /// No more are begun or passed on.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.wake_all();
    }

    /// The error that ended all, once.
    pub(crate) fn take_error(&self) -> Option<E> {
        self.lock().error.take()
    }

    /// What came of it, once all threads have left.
    pub(crate) fn finish(self) -> Result<(), E> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.error.map_or(Ok(()), Err)
    }

    /// One thread's part: does pieces with `work` and passes on with `pass`, which is never called twice at a time,
    /// until none is left or `pass` answers an error.
    pub(crate) fn take_part(
        &self,
        mut work: impl FnMut(usize) -> T,
        mut pass: impl FnMut(usize, T) -> Result<(), E>,
    ) {
        let _guard = StopOnPanic(self);
        while let Some(i) = self.claim() {
            if let Some(result) = self.leave_or_keep(i, work(i)) {
                self.pass_on(i, result, &mut pass);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(
        &self,
        changed: &Condvar,
        unless: impl Fn(&State<T, E>) -> bool,
    ) -> MutexGuard<'_, State<T, E>> {
        let waited = changed.wait_while(self.lock(), |s| !s.stopped && unless(s));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece, as soon as it is there and the window has room for its result.
    fn claim(&self) -> Option<usize> {
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        let window = self.room.len();
        let state = self.wait_while(&self.room[i % window], |s| match i < s.given {
            true => i >= s.turn + window,
            false => s.is_open,
        });
        (!state.stopped && i < state.given).then_some(i)
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
    fn pass_on(
        &self,
        mut i: usize,
        mut result: T,
        pass: &mut impl FnMut(usize, T) -> Result<(), E>,
    ) {
        let window = self.room.len();
        loop {
            let passed = pass(i, result);
            let mut state = self.lock();
            state.turn += 1;
            if let Err(e) = passed {
                state.stopped = true;
                state.error = Some(e);
            }
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
struct StopOnPanic<'t, T, E>(&'t Turns<T, E>);

impl<T, E> Drop for StopOnPanic<'_, T, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

/// Work whose panic is an error like others.
pub(crate) fn caught<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    panics::caught(work).unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Work that takes another time for each piece.
    fn square(i: usize) -> usize {
        let spins = (i * 7919) % 500;
        std::hint::black_box((0..spins).sum::<usize>());
        i * i
    }

    /// What `threads` threads passed on of `count` pieces, and what came of it; piece `stop_at` is refused.
    fn run(
        turns: Turns<usize, usize>,
        threads: usize,
        stop_at: usize,
        give: impl FnOnce(&Turns<usize, usize>),
    ) -> (Vec<usize>, Result<(), usize>) {
        let out = Mutex::new(Vec::new());
        let pass = |i: usize, squared: usize| {
            assert_eq!(squared, i * i);
            out.try_lock().expect("one at a time").push(i);
            if i == stop_at { Err(i) } else { Ok(()) }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| turns.take_part(square, pass));
            }
            give(&turns);
        });
        (out.into_inner().unwrap(), turns.finish())
    }

    /// As many as `count` are given, until one is refused; then it is closed.
    fn give(count: usize) -> impl FnOnce(&Turns<usize, usize>) {
        move |turns| {
            let _ = (0..count).all(|n| turns.give(|i| assert_eq!(i, n)));
            turns.close();
        }
    }

    #[test]
    fn all_come_out_once_and_in_order() {
        for threads in [1, 2, 5, 8] {
            for window in [1, threads, 2 * threads] {
                for count in [0, 1, 2, 1000] {
                    let all = ((0..count).collect::<Vec<_>>(), Ok(()));
                    let of = Turns::of(count, window);
                    assert_eq!(run(of, threads, usize::MAX, |_| ()), all);
                    let open = Turns::open(window);
                    assert_eq!(run(open, threads, usize::MAX, give(count)), all);
                }
            }
        }
    }

    #[test]
    fn an_error_ends_all_and_nothing_comes_after_it() {
        for threads in [1, 2, 8] {
            let until = ((0..=500).collect::<Vec<_>>(), Err(500));
            assert_eq!(run(Turns::of(1000, 2 * threads), threads, 500, |_| ()), until);
            assert_eq!(run(Turns::open(2 * threads), threads, 500, give(1000)), until);
        }
    }

    /// No more are begun than the window has room for, whether a piece in front takes long or no thread takes part.
    #[test]
    fn no_more_than_the_window_is_under_way() {
        for (turns, window) in [(Turns::of(1000, 3), 3), (Turns::open(5), 5)] {
            let (begun, passed) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let work = |_| {
                let begun = begun.fetch_add(1, Ordering::SeqCst) + 1;
                let passed = passed.load(Ordering::SeqCst);
                assert!(begun <= passed + window, "{begun} begun, {passed} passed on");
            };
            let pass = |_, ()| {
                passed.fetch_add(1, Ordering::SeqCst);
                Ok::<(), ()>(())
            };
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| turns.take_part(work, pass));
                }
                let _ = (0..1000).all(|_| window == 3 || turns.give(|_| ()));
                turns.close();
            });
            assert_eq!(passed.into_inner(), 1000);
        }
    }

    #[test]
    fn a_panic_ends_all_threads() {
        for turns in [Turns::of(1000, 8), Turns::open(8)] {
            let is_open = turns.lock().is_open;
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let work = |i| assert!(i != 300, "made to fail");
                        let part = || turns.take_part(work, |_, ()| Ok::<(), ()>(()));
                        catch_unwind(AssertUnwindSafe(part))
                    });
                }
                // Whoever gives is not left waiting either.
                assert!(!is_open || !(0..1000).all(|_| turns.give(|_| ())));
            });
            assert!(turns.lock().stopped);
            assert!(turns.lock().turn <= 300);
        }
        assert!(caught::<()>(|| panic!("made to fail")).is_err());
        assert_eq!(caught(|| Ok(7)).ok(), Some(7));
    }
}
