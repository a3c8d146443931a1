//! What vmStructs does not carry, each fact with its source. The only file that may know it.
//!
//! Everything here holds in every JDK that is tested (8 to 28) and has the thing at all, or says where it changed.

pub(super) mod code;
pub(super) mod full_gc;
pub(super) mod jvmti;
pub(super) mod nmt;
pub(super) mod parallel;
pub(super) mod watermarks;

/// `markWord.hpp`: with compact headers (JEP 450, JDK 24) the narrow klass is the mark's upper
/// bits; used where the tables lack `markWord::klass_shift`.
pub(super) const COMPACT_KLASS_SHIFT: u32 = 42;

/// `arrayOop.hpp`, `length_offset_in_bytes`: the length follows the header.
pub(super) const ARRAY_LENGTH_WIDE: u64 = 16;
/// The same with compressed class pointers: it takes the klass word's upper half.
pub(super) const ARRAY_LENGTH_NARROW: u64 = 12;
/// The same with compact headers.
pub(super) const ARRAY_LENGTH_COMPACT: u64 = 8;

/// `array.hpp`: `Array<T> {int _length; T _data[1];}`.
pub(super) const ARRAY_LENGTH: u64 = 0;
/// The same where an element is a pointer, of JDKs whose tables do not tell it.
pub(super) const POINTER_ARRAY_DATA: u64 = 8;

/// `jvmFlag.hpp`, `JVM_FLAG_NON_STRING_TYPES_DO` and `enum JVMFlag::type` (from 16).
pub(super) const FLAG_TYPES: [&str; 10] =
    ["bool", "int", "uint", "intx", "uintx", "uint64_t", "size_t", "double", "ccstr", "ccstrlist"];
/// `jvmFlag.hpp`: the origin is in the low four bits of the flags; 0 is DEFAULT.
pub(super) const FLAG_ORIGIN_MASK: u32 = 15;

/// `classLoaderData.hpp` of 8: ClassLoaderData::_klasses (in the tables from 11).
pub(super) const CLD_KLASSES: u64 = 40;
/// The same: ClassLoaderData::_is_anonymous.
pub(super) const CLD_IS_ANONYMOUS: u64 = 34;

/// `oopStorage.inline.hpp`: `OopStorage {const char* _name; ActiveArray* _active_array; ...}`.
pub(super) const OOP_STORAGE_NAME: u64 = 0;
/// Offset of `OopStorage::_active_array`.
pub(super) const OOP_STORAGE_ARRAY: u64 = 8;
/// `OopStorage::ActiveArray {size_t _size; volatile size_t _block_count; ...; Block* [] at 24}`.
pub(super) const ACTIVE_ARRAY_COUNT: u64 = 8;
/// Offset of the first block pointer.
pub(super) const ACTIVE_ARRAY_BLOCKS: u64 = 24;
/// `OopStorage::Block {oop _data[64]; uintx _allocated_bitmask; ...}`.
pub(super) const BLOCK_OOPS: u64 = 64;
/// Offset of `_allocated_bitmask`.
pub(super) const BLOCK_BITMASK: u64 = 512;

/// `klass.hpp` of 28: the array tag of a layout helper has four bits; that of a flat array is the
/// only one that the tables do not tell. Until 27 it has two, and the ones below are 0.
pub(super) const LH_TAG_SHIFT: u32 = 28;
/// `_lh_array_tag_flat_value`.
pub(super) const LH_TAG_FLAT: u32 = 0xa;
/// From the tag's four bits to the two that tell an array of primitives in all JDKs.
pub(super) const LH_TAG_TYPE_SHIFT: u32 = 2;
/// `_lh_array_tag_type_value`, those two bits.
pub(super) const LH_TAG_TYPE: u32 = 3;
/// `globalDefinitions.hpp`: the first BasicType that an array of primitives can have.
pub(super) const T_BOOLEAN: usize = 4;
/// From there on, by their signatures.
pub(super) const BASIC_TYPES: [u8; 8] = *b"ZCFDBSIJ";
/// `vmSymbols.hpp`, `universe.cpp`: in the names of the classes that dead memory is filled with.
/// 19: `java/internal/vm/FillerObject`, `Ljava/internal/vm/FillerArray;`; 20 to 21.0.3 and 22.0.1:
/// `jdk/internal/vm/FillerObject`, `Ljdk/internal/vm/FillerArray;`; then
/// `[Ljdk/internal/vm/FillerElement;` (JDK-8319548).
pub(super) const FILLER: &str = "/internal/vm/Filler";

/// `flatArrayKlass.hpp` (28): `FlatArrayKlass::_layout_kind` is the last thing in it, and aligned to
/// a word's start.
pub(super) const FLAT_LAYOUT_KIND_BEFORE_END: u64 = 8;
/// `layoutKind.hpp`: the four flat kinds; of the last two the null marker tells null from a value.
pub(super) const FLAT_LAYOUT_KINDS: std::ops::RangeInclusive<u32> = 2..=5;
/// `NULLABLE_ATOMIC_FLAT`, and `NULLABLE_NON_ATOMIC_FLAT` behind it.
pub(super) const NULLABLE_FLAT: u32 = 4;

/// `markOop.hpp` (8): the bits that tell a lock, here with that of a bias.
pub(super) const LOCK_MASK: u64 = 7;
/// Neither locked nor biased.
pub(super) const LOCK_UNLOCKED: u64 = 1;
/// Where the identity hash starts, if the tables do not say.
pub(super) const HASH_SHIFT: i64 = 8;
/// Its bits.
pub(super) const HASH_BITS: u32 = 31;

/// `instanceKlass.hpp` (8 to 28): `_previous_versions` follows `_breakpoints`.
pub(super) const PREVIOUS_VERSIONS_AFTER_BREAKPOINTS: u64 = 8;

/// `vmSymbols.hpp`: what `java.lang.Class`'s injected field is named in the field stream.
pub(super) const RESOLVED_REFERENCES: &[u8] = b"<resolved_references>";
/// The same for the lock that a class is initialised under; the second in 8.
pub(super) const INIT_LOCK: [&[u8]; 2] = [b"<init_lock>", b"init_lock"];

/// `jniHandles.hpp`: handles in a JNIHandleBlock.
pub(super) const HANDLES_PER_BLOCK: u64 = 32;

/// `javaClasses.cpp`, `java_lang_Class::compute_offsets`: the lock's field in a mirror. Until it
/// got a field of its own it shared that of an array's component type ("a C union").
pub(super) const INIT_LOCK_FIELDS: [&str; 3] = ["<init_lock>", "init_lock", "componentType"];

/// `fieldInfo.hpp` until 20: the access flag of a field that javac did not declare.
pub(super) const ACC_FIELD_INTERNAL: u16 = 0x400;
/// The same: one more slot at the end of the array holds the generic signature.
pub(super) const ACC_FIELD_GENERIC: u16 = 0x800;
/// `accessFlags.hpp`, JVMS 4.5.
pub(super) const ACC_STATIC: u32 = 8;

/// Threads that `JavaThread::is_hidden_from_external_view` hides and HotSpot leaves out of
/// dumps (`heapDumper.cpp`), by name: ServiceThread, MonitorDeflationThread,
/// CodeCacheSweeperThread (until 20), SurrogateLockerThread (8), StringDedupThread (from 18: a
/// Java thread), TrainingReplayThread (25), AOTThread (26), CompilerThread.
pub(super) fn is_hidden_thread(name: &str) -> bool {
    matches!(name, "Service Thread" | "Monitor Deflation Thread" | "Sweeper thread")
        || matches!(name, "StringDedupThread" | "Training replay thread" | "AOTThread")
        || name == "Surrogate Locker Thread (Concurrent GC)"
        || name.starts_with("C1 CompilerThread")
        || name.starts_with("C2 CompilerThread")
        || name.starts_with("JVMCI CompilerThread")
}
/// A thread that is a plain JavaThread in all JDKs. Its first word is the vtable of those; hidden
/// ones are of other classes, whatever a program calls its own threads.
pub(super) const PLAIN_THREAD: &str = "Reference Handler";

/// `debug.cpp`, `report_java_out_of_memory`: how the text starts that a JVM aborts with for an
/// OutOfMemoryError (8 to 28).
pub(super) const OUT_OF_MEMORY: &[u8] = b"OutOfMemory encountered: ";

/// `VirtualThread.java`: the states in which one has no stack, NEW and TERMINATED; HotSpot dumps
/// neither (heapDumper.cpp, `should_dump_vthread`).
pub(super) const VIRTUAL_THREAD_STACKLESS: [i32; 2] = [0, 99];

/// `stackChunkOop.hpp`: FLAG_HAS_BITMAP. A collector has been here: the bitmap behind the stack
/// tells which slots hold references, and these are of the form that fields have.
pub(super) const CHUNK_HAS_BITMAP: u8 = 1 << 4;

/// `continuationEntry.hpp` (21 to 28): `ContinuationEntry::_parent`; the tables have it from 28 on.
pub(super) const CONTINUATION_ENTRY_PARENT: u64 = 8;
/// `ContinuationEntry::_cont`, an oop.
pub(super) const CONTINUATION_ENTRY_CONT: u64 = 16;

/// CMS' old space. `markOop.hpp` (until 13): the mark of a free chunk where oops are narrow.
pub(super) mod cms {
    /// `freeChunk.hpp`: sizeof(FreeChunk), the least that a block of the old space takes.
    pub(crate) const MIN_CHUNK: u64 = 24;
    /// Lock, bias and "cms free" bits.
    pub(crate) const MARK_MASK: u64 = 0x87;
    /// Unlocked, not biased, free.
    pub(crate) const MARK_FREE: u64 = 0x81;
    /// Words of the chunk, from this bit on.
    pub(crate) const MARK_SIZE_SHIFT: u32 = 8;
    /// 35 bits of them.
    pub(crate) const MARK_SIZE_MASK: u64 = (1 << 35) - 1;
}

/// Where G1 keeps which objects of old regions died in a marking while their memory still holds
/// them. Until 19 that is so until the region is collected: below `_prev_top_at_mark_start` the
/// previous marking's bitmap tells. From 20 (JDK-8210708) only until the region is scrubbed:
/// below `_parsable_bottom` the one bitmap tells. Not in the tables at all: read off the debug
/// information of Debian's builds, `g1ConcurrentMark.hpp`, `markBitMap.hpp`, `heapRegion.hpp`.
pub(super) mod g1_marking {
    /// One build's layout. Known by the region's type and size; what is found by it must prove
    /// itself.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Layout {
        /// The name of the region's type and its size.
        pub region: (&'static str, u64),
        /// Offset in the region of the address below which the bitmap counts.
        pub marked_below: u64,
        /// Offset in G1ConcurrentMark of the bitmap.
        pub bitmap: u64,
        /// Whether a pointer to the bitmap is there, not the bitmap itself.
        pub is_pointer: bool,
        /// Offset in the bitmap of `_covered`, a MemRegion (`_bmStartWord` in 8); `_shifter`
        /// follows after 16 bytes.
        pub covered: u64,
        /// From there on to the words' address.
        pub map: u64,
    }

    /// 8, 11, 17, 21, 25 and later on x86-64; then those that differ on aarch64, where a
    /// pthread_mutex_t, and with it the lock in each region's remembered set, is 8 bytes larger:
    /// 17 (read off a core of Debian's 17.0.19).
    pub(crate) const LAYOUTS: [Layout; 6] = [
        Layout {
            region: ("HeapRegion", 488),
            marked_below: 448,
            bitmap: 312,
            is_pointer: true,
            covered: 0,
            map: 56,
        },
        Layout {
            region: ("HeapRegion", 376),
            marked_below: 344,
            bitmap: 136,
            is_pointer: true,
            covered: 0,
            map: 24,
        },
        Layout {
            region: ("HeapRegion", 296),
            marked_below: 224,
            bitmap: 144,
            is_pointer: true,
            covered: 8,
            map: 24,
        },
        Layout {
            region: ("HeapRegion", 144),
            marked_below: 104,
            bitmap: 16,
            is_pointer: false,
            covered: 8,
            map: 24,
        },
        Layout {
            region: ("G1HeapRegion", 144),
            marked_below: 88,
            bitmap: 16,
            is_pointer: false,
            covered: 8,
            map: 24,
        },
        Layout {
            region: ("HeapRegion", 304),
            marked_below: 232,
            bitmap: 144,
            is_pointer: true,
            covered: 8,
            map: 24,
        },
    ];
    /// `heapRegionType.hpp`: of the two archive tags, the closed one (41) is the open one plus
    /// one. Nothing ever dies in closed archive regions, and the bitmap is not kept for them.
    pub(crate) const CLOSED_ARCHIVE_BIT: u32 = 1;
    /// `G1ConcurrentMark::_g1h`: proves that a pointer in the heap object leads to one.
    pub(crate) const CM_HEAP: u64 = 8;
}

/// What ZGC's part of vmStructs leaves out (17 to 28; read off their DWARF and headers).
pub(super) mod z {
    use crate::hotspot::states::PageKind;

    /// `zGlobals.hpp`, `ZGranuleSizeShift`, where the tables lack it.
    pub(crate) const GRANULE_SHIFT: u32 = 21;
    /// `zPage.hpp` where the tables lack `ZPage::_top` (11): behind `_virtual`, which has two words.
    pub(crate) const PAGE_TOP_AFTER_VIRTUAL: u64 = 16;
    /// The same: `_refcount` comes before `_forwarding`; 0 when the memory was given back.
    pub(crate) const PAGE_REFCOUNT_BEFORE_FORWARDING: u64 = 8;
    /// `zPageTableEntry.hpp` (11): the lowest bit says that the page is being relocated.
    pub(crate) const PAGE_RELOCATING: u64 = 1;
    /// `zForwardingTableEntry.hpp` (11): the index from this bit on, the offset below.
    pub(crate) const OLD_INDEX_SHIFT: u32 = 42;
    /// `zGlobals.hpp` (11): log2 of the alignment of objects in medium and in large pages; in small
    /// ones it is that of all objects.
    pub(crate) const OLD_ALIGNMENT_SHIFT: [u64; 2] = [12, 21];
    /// `zPage.hpp` (generational): `ZPageType _type; ZGenerationId _generation_id; ...`, a byte
    /// each.
    pub(crate) const PAGE_GENERATION_ID: u64 = 1;
    /// `zGenerationId.hpp`, `ZGenerationId::young`.
    pub(crate) const YOUNG: u8 = 0;
    /// `zPage.hpp` (generational): `_age` follows the generation's id.
    pub(crate) const PAGE_AGE: u64 = 2;
    /// `zPageAge.hpp`: eden.
    pub(crate) const EDEN: u8 = 0;
    /// `zPageType.hpp`, in its order; `ZPageTypeLarge` and the like until 20.
    pub(crate) const PAGE_KINDS: [PageKind; 3] =
        [PageKind::Small, PageKind::Medium, PageKind::Large];
    /// `zAddress.hpp` (generational): the four remapped bits of a reference.
    pub(crate) const REMAPPED_SHIFT: u32 = 12;
    /// The same: both set where an old object refers to an old one.
    pub(crate) const REMEMBERED: u64 = 3 << 4;
    /// `zForwardingEntry.hpp`: bit 0 populated, then the offset, from here on the index.
    pub(crate) const INDEX_SHIFT: u32 = 46;
    /// Bits of the index.
    pub(crate) const INDEX_BITS: u32 = 64 - INDEX_SHIFT;
    /// `zForwarding.hpp`: `_page` follows `_entries`, which is a size_t.
    pub(crate) const FORWARDING_PAGE_AFTER_ENTRIES: u64 = 8;
    /// `ZForwarding::_ref_count` where the tables lack it (27 and later).
    pub(crate) const FORWARDING_REF_COUNT: u64 = 136;
    /// `zGeneration.hpp`: `_id` follows the vtable, then come `_page_allocator`, `_page_table`
    /// and `_forwarding_table`, which starts with its ZGranuleMap.
    pub(crate) const GENERATION_ID: u64 = 8;
    /// `ZGeneration::_page_allocator`.
    pub(crate) const GENERATION_PAGE_ALLOCATOR: u64 = 16;
    /// `ZGeneration::_page_table`.
    pub(crate) const GENERATION_PAGE_TABLE: u64 = 24;
    /// `ZGeneration::_forwarding_table`.
    pub(crate) const GENERATION_FORWARDING_TABLE: u64 = 32;
}

/// `memoryManager.hpp`: `GCMemoryManager {vtable; MemoryPool* _pools[10]; int _num_pools; const char*
/// _name; handle; ...; size_t _num_collections; two words of a timer and a bool; GCStatInfo*
/// _last_gc_stat; ...}` (11 to 28; read off cores of each).
pub(super) mod memory_managers {
    /// The heaps that have theirs inside.
    pub(crate) const HEAPS: [&str; 4] =
        ["ZCollectedHeap", "XCollectedHeap", "ShenandoahHeap", "ShenandoahGenerationalHeap"];
    /// The names of all, each with whether it counts whole collections.
    pub(crate) const NAMES: [(&str, bool); 9] = [
        ("ZGC", true),
        ("ZGC Cycles", true),
        ("ZGC Pauses", false),
        ("ZGC Minor Cycles", true),
        ("ZGC Minor Pauses", false),
        ("ZGC Major Cycles", true),
        ("ZGC Major Pauses", false),
        ("Shenandoah Cycles", true),
        ("Shenandoah Pauses", false),
    ];
    /// Bytes of the longest name, and more.
    pub(crate) const MAX_NAME: u64 = 64;
    /// `max_num_pools`.
    pub(crate) const MAX_POOLS: u32 = 10;
    /// `_num_pools` stands before `_name`.
    pub(crate) const NUM_POOLS_BEFORE_NAME: u64 = 8;
    /// From `_name` to `_num_collections` (until 24).
    pub(crate) const COUNT: u64 = 16;
    /// The same where a flag says whether the handle is set (25 and later).
    pub(crate) const NEWER_COUNT: u64 = 24;
    /// From `_name` to `_last_gc_stat`, a pointer; with that flag the timer's bool is there.
    pub(crate) const LAST_STAT_AFTER_NAME: u64 = 48;
}

/// What Shenandoah's part of vmStructs leaves out in 11, `shenandoahHeap.hpp` and
/// `shenandoahHeapRegion.hpp`; that regions lie side by side proves it.
pub(super) mod shenandoah {
    use crate::hotspot::states::RegionState;

    /// `_regions` follows `_num_regions`.
    pub(crate) const REGIONS_AFTER_NUM: u64 = 8;
    /// `ShenandoahHeapRegion::_bottom`.
    pub(crate) const BOTTOM: u64 = 8;
    /// `ShenandoahHeapRegion::_end`.
    pub(crate) const END: u64 = 16;
    /// `ShenandoahHeapRegion::_state`.
    pub(crate) const STATE: u64 = 40;
    /// `ShenandoahHeapRegion::_top`.
    pub(crate) const TOP: u64 = 48;
    /// `shenandoahHeap.hpp` (24 and later): `_affiliations`, a byte for each region, follows
    /// `_regions`.
    pub(crate) const AFFILIATIONS_AFTER_REGIONS: u64 = 8;
    /// `shenandoahAffiliation.hpp`: FREE.
    pub(crate) const FREE: u8 = 0;
    /// YOUNG_GENERATION.
    pub(crate) const YOUNG: u8 = 1;
    /// OLD_GENERATION.
    pub(crate) const OLD: u8 = 2;
    /// `ShenandoahHeapRegion::RegionState`, in its order.
    pub(crate) const STATES: [RegionState; 10] = [
        RegionState::EmptyUncommitted,
        RegionState::EmptyCommitted,
        RegionState::Regular,
        RegionState::HumongousStart,
        RegionState::HumongousCont,
        RegionState::PinnedHumongousStart,
        RegionState::Cset,
        RegionState::Pinned,
        RegionState::PinnedCset,
        RegionState::Trash,
    ];
}

/// The mark of an object (`markOop.hpp` of 8 and 11, `markWord.hpp`; without compact headers).
pub(super) mod mark {
    /// The two lowest bits of an unlocked object's.
    pub(crate) const UNLOCKED: u64 = 1;
    /// Set where it is biased to a thread, or can be (until 17).
    pub(crate) const BIASED: u64 = 1 << 2;
    /// How many young collections it has outlived.
    pub(crate) const AGE: u64 = 0xf << 3;
    /// The epoch of its bias; the thread is above it, and none while nobody has locked it.
    pub(crate) const EPOCH: u64 = 3 << 8;
    /// The identity hash, from bit 8 on, or from 11 on (24 and later); the bits above it are never set.
    pub(crate) const HASH: u64 = 0x7fff_ffff << 8 | 0x7fff_ffff << 11;
}

/// `classLoaderData.hpp`: `ClassLoaderData::_handles`, a ChunkedHandleList, which is a pointer to
/// its last chunk. Where a class's mirror handle is not in one of its chunks, it is not this.
pub(super) const CLD_HANDLES: u64 = 48;
/// `ChunkedHandleList::Chunk {oop _data[32]; juint _size; Chunk* _next}`.
pub(super) const HANDLE_CHUNK_OOPS: u64 = 32;
/// Offset of `_size`.
pub(super) const HANDLE_CHUNK_SIZE: u64 = 256;
/// Offset of `_next`.
pub(super) const HANDLE_CHUNK_NEXT: u64 = 264;
/// `oopStorage.inline.hpp`: offset of `OopStorage::Block::_owner_address`.
pub(super) const BLOCK_OWNER: u64 = 520;

/// Threads and locks.
pub(super) mod threads {
    use crate::hotspot::states::{JavaState, OsState};

    /// `osThread.hpp` of 8: `_state` stands before `_interrupted`.
    pub(crate) const STATE_BEFORE_INTERRUPTED: u64 = 4;
    /// `osThread.hpp`: `enum ThreadState`, in its order.
    pub(crate) const OS_STATES: [OsState; 9] = [
        OsState::Allocated,
        OsState::Initialized,
        OsState::Runnable,
        OsState::MonitorWait,
        OsState::CondvarWait,
        OsState::ObjectWait,
        OsState::Breakpointed,
        OsState::Sleeping,
        OsState::Zombie,
    ];
    /// `instanceKlass.hpp`: the number of `being_initialized`, which comes right before
    /// `fully_initialized`; and how a thread waits for a class in that state (`enum ThreadState`):
    /// OBJECT_WAIT, but CONDVAR_WAIT in those of 21 that have `being_linked` (JDK-8288064).
    pub(crate) const CLASS_WAITS: [(u8, OsState); 2] =
        [(3, OsState::ObjectWait), (4, OsState::CondvarWait)];
    /// `javaThreadStatus.hpp`: JavaThreadStatus.
    pub(crate) const STATUS: [(i64, JavaState); 9] = [
        (0, JavaState::New),
        (5, JavaState::Runnable),
        (225, JavaState::Sleeping),
        (401, JavaState::InObjectWait),
        (417, JavaState::InObjectWaitTimed),
        (657, JavaState::Parked),
        (673, JavaState::ParkedTimed),
        (1025, JavaState::BlockedOnMonitorEnter),
        (2, JavaState::Terminated),
    ];
    /// `WatcherThread::name`.
    pub(crate) const TIMER: &str = "VM Periodic Task Thread";
    /// Threads of the VM that are no NamedThreads, by what their `name()` answers, each with
    /// whether `Threads::print_on` lists it: watcherThread.hpp, logAsyncWriter.hpp (17 to 28),
    /// jfrThreadSampler.cpp and jfrCPUTimeThreadSampler.cpp (17 to 28), and
    /// shenandoahControlThread.cpp of 11, whose NamedThread has no name.
    pub(crate) const UNNAMED: [(&str, bool); 6] = [
        (TIMER, true),
        ("AsyncLog Thread", true),
        ("JFR Sampler Thread", true),
        ("JFR CPU Sampler Thread", true),
        ("JFR Thread Sampler", false),
        ("ShenandoahControlThread", false),
    ];
    /// `markWord.hpp`: the two bits that tell a lock, and an inflated one.
    pub(crate) const LOCK_MASK: u64 = 3;
    /// A monitor: its address is in the other bits, unless a table has it.
    pub(crate) const MONITOR: u64 = 2;
    /// `objectMonitor.hpp`: owned, by a thread that has the object on its lock stack.
    pub(crate) const ANONYMOUS_OWNER: u64 = 1;
    /// `instanceKlass.hpp`: `being_initialized` comes right before `fully_initialized`, whose
    /// number is 4, or 5 in those of 21 that have `being_linked`.
    pub(crate) const BEING_BEFORE_FULLY_INITIALIZED: u8 = 1;
}

/// Frames of the Zero VM, none of which the tables know: `stack_zero.hpp`, `entryFrame_zero.hpp`,
/// `interpreterFrame_zero.hpp`, `bytecodeInterpreter.hpp` (8 to 28). Words of a frame count down
/// from its address.
pub(super) mod zero {
    /// The word that tells what a frame is.
    pub(crate) const FRAME_TYPE: i64 = -1;
    /// `ZeroFrame::ENTRY_FRAME`: the VM called Java.
    pub(crate) const ENTRY_FRAME: u64 = 1;
    /// `ZeroFrame::INTERPRETER_FRAME`.
    pub(crate) const INTERPRETER_FRAME: u64 = 2;
    /// FAKE_STUB_FRAME, and until 11 SHARK_FRAME before it.
    pub(crate) const STUB_FRAMES: std::ops::RangeInclusive<u64> = 3..=4;
    /// An entry frame's JavaCallWrapper.
    pub(crate) const CALL_WRAPPER: i64 = -2;
    /// Bytes of a BytecodeInterpreter, which ends right below the frame's type; `_thread` is its
    /// first word, `_self_link` its last.
    pub(crate) const STATE_SIZE: std::ops::RangeInclusive<u64> = 96..=256;
    /// `BytecodeInterpreter::_bcp`.
    pub(crate) const BCP: u64 = 8;
    /// `BytecodeInterpreter::_locals`.
    pub(crate) const LOCALS: u64 = 16;
    /// `BytecodeInterpreter::_method`.
    pub(crate) const METHOD: u64 = 32;
    /// `_monitor_base`, as far before the end; so are the ones below.
    pub(crate) const MONITOR_BASE: u64 = 16;
    /// `_stack_base`.
    pub(crate) const STACK_BASE: u64 = 32;
    /// `_stack`, the first free word.
    pub(crate) const STACK: u64 = 88;
}

/// `javaFrameAnchor_zero.hpp`: `_last_Java_fp` follows `_last_Java_pc`.
pub(super) const ZERO_FP_AFTER_PC: u64 = 8;

/// `jniHandles.hpp`: JNIHandleBlock has `_next`, `_last`, `_pop_frame_link` one behind the other.
pub(super) const POP_FRAME_LINK_AFTER_NEXT: u64 = 16;
/// `synchronizer.cpp` until 15: to what ObjectMonitors side by side in a block are padded. Not at
/// all in 8, then to DEFAULT_CACHE_LINE_SIZE, which differs from CPU to CPU.
pub(super) const MONITOR_PADDING: [u64; 3] = [8, 64, 128];
/// `handles.hpp`: `HandleMark {Thread* _thread; HandleArea* _area; ...}`; a Thread has pointers to
/// its area and to its last mark.
pub(super) const HANDLE_MARK_AREA: u64 = 8;
/// `arena.hpp`: in an Arena's first words come, one behind the other, `Chunk* _first`, `Chunk*
/// _chunk`, `char* _hwm`, `char* _max`; before them the memory type, and from 21 the size.
pub(super) const ARENA_WORDS: u64 = 8;
/// `Chunk {Chunk* _next; size_t _len; ...}`, its memory behind that.
pub(super) const ARENA_CHUNK_LENGTH: u64 = 8;
/// Sizeof(Chunk), rounded up to 16, at most.
pub(super) const ARENA_CHUNK_HEADER: u64 = 32;
/// `javaCalls.hpp`: `JavaCallWrapper {JavaThread* _thread; JNIHandleBlock* _handles; ...}`.
pub(super) const WRAPPER_HANDLES: u64 = 8;
/// `codeBlob.hpp`: `UpcallStub::FrameData {JavaFrameAnchor jfa; JavaThread* thread;
/// JNIHandleBlock* old_handles; ...}`.
pub(super) const FRAME_DATA_HANDLES_AFTER_ANCHOR: u64 = 8;

/// `bytecodes.hpp`: the VM's own bytecodes start at 203, in all JDKs in the same order. A VM with
/// value classes (28) has two more, here and at `FAST_VPUTFIELD`.
pub(super) const FAST_VGETFIELD: u8 = 204;
/// The other one.
pub(super) const FAST_VPUTFIELD: u8 = 213;
