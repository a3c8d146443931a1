//! NativeMemoryTracking: its counters, which no table leads to, by their symbols as compilers write them.

/// `mallocTracker.hpp`: `MallocMemorySummary::_snapshot`, a `MallocMemorySnapshot {MallocMemory _malloc[n]; MemoryCounter ...}`;
/// `MallocMemory {MemoryCounter _malloc, _arena;}`.
pub(crate) const MALLOC: &str = "_ZN19MallocMemorySummary9_snapshotE";
/// `MemoryCounter {size_t _count, _size;}`, in newer JDKs with the peaks of both behind: its bytes.
pub(crate) const COUNTERS: [u64; 2] = [16, 32];
/// `mallocHeader.hpp`: the bytes before each piece.
pub(crate) const MALLOC_HEADER: u64 = 16;
/// `virtualMemoryTracker.hpp`: `VirtualMemorySummary::_snapshot`, a VirtualMemory for each category.
pub(crate) const VIRTUAL: &str = "_ZN20VirtualMemorySummary9_snapshotE";
/// `VirtualMemory {size_t _reserved, _committed;}`, in newer JDKs with the peak behind: its bytes.
pub(crate) const AREAS: [u64; 2] = [16, 24];
/// `nmtCommon.hpp` from 18 on: of each category its constant's name, and the one that people read.
pub(crate) const STRINGS: &str = "_ZN7NMTUtil8_stringsE";
/// Until 17: only the latter.
pub(crate) const NAMES: &str = "_ZN7NMTUtil18_memory_type_namesE";
/// `memTracker.hpp`: `MemTracker::_tracking_level`.
pub(crate) const LEVEL: &str = "_ZN10MemTracker15_tracking_levelE";
/// What it was at the start: until 17, where a VM could stop to keep its books.
pub(crate) const ASKED_LEVEL: &str = "_ZN10MemTracker23_cmdline_tracking_levelE";
/// `memTag.hpp`, `allocation.hpp`: chunks that arenas are made of. What is in use of them is counted with the arenas, too
/// (`MallocMemorySnapshot::make_adjustment` takes it off where it is printed).
pub(crate) const CHUNKS: &str = "Arena Chunk";
/// The same: its committed bytes are counted when somebody asks the living VM (`snapshot_thread_stacks`).
pub(crate) const STACKS: &str = "Thread Stack";
