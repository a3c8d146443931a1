//! Stack watermarks, of which vmStructs has nothing (21 to 28; read off the headers, and off cores of each).

use std::ops::RangeInclusive;

/// `stackWatermark.hpp`: `vtable; uint32_t _state; uintptr_t _watermark; StackWatermark* _next; JavaThread* _jt;
/// StackWatermarkFramesIterator* _iterator; Mutex _lock; ...`. The state is an epoch, and below it a bit: done.
pub(crate) const STATE: u64 = 8;
/// `_jt`.
pub(crate) const THREAD: u64 = 32;
/// `_iterator`.
pub(crate) const ITERATOR: u64 = 40;
/// `stackWatermark.cpp`: an iterator is `JavaThread* _jt; uintptr_t _caller; ...`: the thread, and the stack pointer of
/// the frame that it came to last.
pub(crate) const ITERATOR_CALLER: u64 = 8;
/// `zStackWatermark.hpp`: `ZColorWatermark _old_watermarks[3]`, each `uintptr_t _color, _watermark`. They come somewhere
/// behind the Mutex, whose size is the C library's.
pub(crate) const OLD_AT: RangeInclusive<u64> = 48..=512;
/// How many there are. `int _old_watermarks_newest` follows.
pub(crate) const OLD_COUNT: u64 = 3;
/// Bytes of each.
pub(crate) const OLD_SIZE: u64 = 16;
