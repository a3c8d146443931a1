//! Small chunks that are free, but look as if they were in use: the fastbins of an arena.

use crate::corefile::memory::Memory;

use super::arenas::State;
use super::layout::{ALIGNMENT, FASTBINS, FD_AT, FLAGS, PROTECT_SHIFT, SIZE_AT, SMALLEST};
use super::{Problems, Sum};

/// What is in each fastbin, the smallest chunks first. A list that is damaged, or longer than `most` chunks, counts as
/// far as it is sound, or not at all if it goes round.
pub(super) fn read(
    mem: &Memory,
    state: &State,
    pieces: &[(u64, u64)],
    most: u64,
    problems: &mut Problems,
) -> [Sum; FASTBINS as usize] {
    let mut out = [Sum::default(); FASTBINS as usize];
    let Some(lists) = state.fastbins else { return out };
    let inside = |at: u64| {
        let i = pieces.partition_point(|(_, end)| *end <= at);
        at.is_multiple_of(ALIGNMENT) && pieces.get(i).is_some_and(|(start, _)| *start <= at)
    };
    for (sum, i) in out.iter_mut().zip(0..) {
        let size = SMALLEST + i * ALIGNMENT;
        let mut at = mem.u64(lists + i * 8).unwrap_or(0);
        // Any loop holds the chunk that was met last at a power of two.
        let mut mark = 0;
        while at != 0 {
            let sound = inside(at) && mem.u64(at + SIZE_AT).is_ok_and(|word| word & !FLAGS == size);
            if !sound {
                let what = super::state(mem, at);
                problems.say(format!("its list of free chunks of {size} bytes: {at:#x} is {what}"));
                break;
            }
            if at == mark || sum.chunks >= most {
                problems.say(format!("its list of free chunks of {size} bytes has no end"));
                *sum = Sum::default();
                break;
            }
            sum.add(size);
            if sum.chunks.is_power_of_two() {
                mark = at;
            }
            at = match mem.u64(at + FD_AT) {
                Ok(stored) => {
                    let hidden = stored ^ ((at + FD_AT) >> PROTECT_SHIFT);
                    // Since 2.32 it is hidden. What is plain is no address if it is uncovered, and the reverse.
                    if hidden == 0 || inside(hidden) { hidden } else { stored }
                }
                Err(_) => 0,
            };
        }
    }
    out
}
