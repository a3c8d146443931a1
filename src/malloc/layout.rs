//! How glibc's malloc lies in memory on 64-bit CPUs: the facts that memory itself does not tell. All numbers are bytes.
//!
//! From glibc's malloc/malloc.c (`struct malloc_chunk`, `struct malloc_state`) and malloc/arena.c (`heap_info`), as they
//! are in 2.17 to 2.43. No other file of this layer may know such a number.

/// SIZE_SZ * 2: a chunk's `mchunk_prev_size` and `mchunk_size`.
pub(super) const HEADER: u64 = 16;
/// MALLOC_ALIGNMENT: where chunks begin, and what their sizes are multiples of.
pub(super) const ALIGNMENT: u64 = 16;
/// MINSIZE: no chunk is smaller, but for those that mark the end of a piece.
pub(super) const SMALLEST: u64 = 32;
/// `struct malloc_chunk`, of which malloc_trim leaves all where it gives back the pages of a free chunk.
pub(super) const FREE_HEADER: u64 = 48;
/// Where `mchunk_size` is in a chunk.
pub(super) const SIZE_AT: u64 = 8;
/// Where `fd` and `bk` are in a free chunk.
pub(super) const FD_AT: u64 = 16;
/// See [`FD_AT`].
pub(super) const BK_AT: u64 = 24;

/// The chunk before this one is in use.
pub(super) const PREV_INUSE: u64 = 1;
/// The chunk is a mapping of its own.
pub(super) const IS_MMAPPED: u64 = 2;
/// The chunk belongs to a thread arena. Free chunks do not say it.
pub(super) const NON_MAIN_ARENA: u64 = 4;
/// SIZE_BITS: all of these.
pub(super) const FLAGS: u64 = 7;
/// MMAP_HP, in `mchunk_prev_size` of a mapped chunk since 2.43: its pages are huge.
pub(super) const MMAP_HP: u64 = 1;

/// NBINS - 1: the pairs of pointers in `malloc_state::bins`.
pub(super) const BINS: u64 = 127;
/// A pair of `bins`: it stands for the `fd` and `bk` of a chunk that would begin [`FD_AT`] before it.
pub(super) const BIN: u64 = 16;
/// From the start of a `malloc_state` to its `bins`: with `have_fastchunks` (2.27 to 2.42), before it, and without
/// `fastbinsY` (2.43).
pub(super) const BINS_AT: [u64; 3] = [112, 104, 24];
/// `malloc_state::flags`, behind the lock.
pub(super) const FLAGS_AT: u64 = 4;
/// In `malloc_state::flags`: the main arena has more than what sbrk gave it.
pub(super) const NONCONTIGUOUS: u32 = 2;
/// NFASTBINS: the lists of `fastbinsY`, of chunks of 32, 48, ... bytes.
pub(super) const FASTBINS: u64 = 10;
/// Before `bins`: `top` and `last_remainder`.
pub(super) const TOP_BEFORE_BINS: u64 = 16;
/// Before `bins`: `fastbinsY`, where there is one.
pub(super) const FASTBINS_BEFORE_BINS: u64 = 16 + FASTBINS * 8;
/// From `bins` to `next`: `binmap` is between them.
pub(super) const NEXT_AFTER_BINS: u64 = BINS * BIN + 16;
/// From `bins` to what follows `next_free`: `attached_threads` (since 2.23), `system_mem`, `max_system_mem`.
pub(super) const COUNTS_AFTER_BINS: u64 = NEXT_AFTER_BINS + 16;
/// No arena has more `attached_threads`, and none took less from the system (HEAP_MIN_SIZE).
pub(super) const FEWEST_BYTES: u64 = 32 << 10;

/// HEAP_MAX_SIZE: where the heaps of thread arenas begin.
pub(super) const HEAP_MAX: u64 = 64 << 20;
/// Where they begin with the tunable glibc.malloc.hugetlb=2 (2.35 to 2.41): at four huge pages, of 2 MB, 32 MB, 512 MB
/// or 1 GB.
pub(super) const HUGE_HEAP_MAX: [u64; 4] = [8 << 20, 128 << 20, 2 << 30, 4 << 30];
/// `heap_info`: with `pagesize` (since 2.35), and before. An arena follows its first heap's at once.
pub(super) const HEAP_INFO: [u64; 2] = [48, 32];
/// Where `prev`, `size` and `mprotect_size` are in a `heap_info`; `ar_ptr` is at its start.
pub(super) const HEAP_PREV_AT: u64 = 8;
/// See [`HEAP_PREV_AT`].
pub(super) const HEAP_SIZE_AT: u64 = 16;
/// See [`HEAP_PREV_AT`].
pub(super) const HEAP_USABLE_AT: u64 = 24;

/// PROTECT_PTR's shift (since 2.32): a list's pointer is stored with its own address, shifted so, over it.
pub(super) const PROTECT_SHIFT: u32 = 12;
