//! The stack of a sample core's thread.

use super::cores::nowhere;
use super::input::Input;
use super::stage::{self, Stage};
use crate::heap::Heap;
use crate::hotspot::frames::{Frame, Walker};
use crate::hotspot::threads::JavaThread;
use crate::native::Unwinder;

/// Bytes of a JavaThread that hold what says where its frames begin, and its stack's bounds.
const THREAD: usize = 1024;
/// Bytes of stack in a seed.
const STACK: usize = 2048;

/// Which core, which thread, words of the JavaThread (how many; where, and what), then its stack from the stack pointer on.
pub(super) fn frames(data: &[u8]) {
    let mut input = Input(data);
    stage::on(input.u8(), |s| {
        let Ok(heap) = Heap::open(s.vm) else { return };
        let Some(thread) = input.one_of(&heap.threads) else { return };
        let mut words = Vec::new();
        for _ in 0..input.u8() % 8 {
            let at = thread.addr + u64::from(input.u16()) % THREAD as u64;
            // Small ones lead into the stack.
            let to = match input.u64() {
                small if small < 1 << 20 => pointer(s, thread).wrapping_add(small),
                any => any,
            };
            words.push((at, to.to_le_bytes()));
        }
        let mut changes: Vec<(u64, &[u8])> = words.iter().map(|(at, b)| (*at, &b[..])).collect();
        changes.push((pointer(s, thread), input.0));
        s.with(&changes, || {
            let Ok(walker) = Walker::new(s.vm) else { return };
            let stack = walker.thread(thread);
            stack.frames.iter().for_each(|frame| values(&walker, frame));
            let _ = walker.last_sp(thread, &stack);
            let (stack, _) = walker.mixed(thread, &Unwinder::new(s.core, nowhere()));
            stack.frames.iter().take(64).for_each(|frame| values(&walker, frame));
            if thread.mounted != 0 {
                let _ = walker.continuation(thread.mounted);
            }
        });
    });
}

fn values(walker: &Walker, frame: &Frame) {
    let _ = walker.monitors(frame);
    let _ = walker.locals(frame);
    let _ = walker.typed_locals(frame);
    let _ = walker.expressions(frame);
    let _ = frame.method.line(walker.vm, frame.bci);
}

/// Where the thread's innermost frames are.
fn pointer(s: &Stage, thread: &JavaThread) -> u64 {
    let note = s.vm.notes.all().iter().find(|n| n.tid as u32 == thread.tid);
    note.map_or(0, |n| n.registers().0)
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let of_core = |core: u8| {
        stage::on(core, |s| {
            let heap = Heap::open(s.vm).expect("a sample core's heap");
            let seed = |(n, t): (u16, &JavaThread)| {
                let head = [&[core][..], &n.to_le_bytes(), &[0]].concat();
                [&head[..], &s.bytes(pointer(s, t), STACK)].concat()
            };
            (0u16..).zip(&heap.threads).map(seed).collect::<Vec<_>>()
        })
    };
    (0..stage::NAMES.len() as u8).flat_map(of_core).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hotspot::frames::fuzzed::leave;

    #[test]
    fn all_threads_together_have_no_more_than_memory_has_room_for() {
        stage::on(0, |s| {
            let heap = Heap::open(s.vm).expect("a sample core's heap");
            let walker = Walker::new(s.vm).expect("its code");
            let walk = || heap.threads.iter().map(|t| walker.thread(t)).collect::<Vec<_>>();
            let all = walk();
            let frames: usize = all.iter().map(|stack| stack.frames.len()).sum();
            assert!(frames > 10, "{frames} frames");
            // A core may name one stack again and again.
            leave(&walker, frames as u64, 1 << 20);
            let again = walk().iter().map(|stack| stack.frames.len()).sum::<usize>();
            assert!(again < frames + 1, "{again} of {frames} frames");
            for stack in walk() {
                let why = stack.broken.unwrap_or_default();
                assert!(why.contains("more frames than") || stack.frames.is_empty(), "{why}");
            }
            leave(&walker, frames as u64 * 4, 3);
            assert!(walker.without_values().is_none());
            all.iter().flat_map(|stack| &stack.frames).for_each(|frame| values(&walker, frame));
            assert!(walker.without_values().is_some());
        });
    }

    #[test]
    fn native_frames_too() {
        stage::on(0, |s| {
            let unwinder = Unwinder::new(s.core, nowhere());
            let note = &s.vm.notes.all()[0];
            let walk = || unwinder.walk(unwinder.caught(note), true, |_| false);
            assert!(!walk().frames.is_empty());
            unwinder.leave(0);
            assert!(walk().frames.is_empty());
        });
    }
}
