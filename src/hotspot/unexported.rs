//! What vmStructs does not carry, each fact with its source. The only file that may know it.
//!
//! Everything here has held in every JDK from 11 to 26, or says where it changed.

/// `markWord.hpp`: with compact headers (JEP 450, JDK 24) the narrow klass is the mark's upper
/// bits; used where the tables lack `markWord::klass_shift`.
pub const COMPACT_KLASS_SHIFT: u32 = 42;

/// `arrayOop.hpp`, `length_offset_in_bytes`: the length follows the header.
pub const ARRAY_LENGTH_WIDE: u64 = 16;
/// The same with compressed class pointers: it takes the klass word's upper half.
pub const ARRAY_LENGTH_NARROW: u64 = 12;
/// The same with compact headers.
pub const ARRAY_LENGTH_COMPACT: u64 = 8;

/// `jvmFlag.hpp`, `JVM_FLAG_NON_STRING_TYPES_DO` and `enum JVMFlag::type` (from 16).
pub const FLAG_TYPES: [&str; 10] =
    ["bool", "int", "uint", "intx", "uintx", "uint64_t", "size_t", "double", "ccstr", "ccstrlist"];
/// `jvmFlag.hpp`: the origin is in the low four bits of the flags; 0 is DEFAULT.
pub const FLAG_ORIGIN_MASK: u32 = 15;

/// `oopStorage.inline.hpp`: `OopStorage {const char* _name; ActiveArray* _active_array; ...}`.
pub const OOP_STORAGE_NAME: u64 = 0;
/// Offset of `OopStorage::_active_array`.
pub const OOP_STORAGE_ARRAY: u64 = 8;
/// `OopStorage::ActiveArray {size_t _size; volatile size_t _block_count; ...; Block* [] at 24}`.
pub const ACTIVE_ARRAY_COUNT: u64 = 8;
/// Offset of the first block pointer.
pub const ACTIVE_ARRAY_BLOCKS: u64 = 24;
/// `OopStorage::Block {oop _data[64]; uintx _allocated_bitmask; ...}`.
pub const BLOCK_OOPS: u64 = 64;
/// Offset of `_allocated_bitmask`.
pub const BLOCK_BITMASK: u64 = 512;

/// `vmSymbols.hpp`: what `java.lang.Class`'s injected field is named in the field stream.
pub const RESOLVED_REFERENCES: &[u8] = b"<resolved_references>";
/// The same for the lock that a class is initialised under.
pub const INIT_LOCK: &[u8] = b"<init_lock>";

/// `javaClasses.cpp`, `java_lang_Class::compute_offsets`: the lock's field in a mirror. Until it
/// got a field of its own it shared that of an array's component type ("a C union").
pub const INIT_LOCK_FIELDS: [&str; 3] = ["<init_lock>", "init_lock", "componentType"];

/// `fieldInfo.hpp` until 20: the access flag of a field that javac did not declare.
pub const ACC_FIELD_INTERNAL: u16 = 0x400;
/// The same: one more slot at the end of the array holds the generic signature.
pub const ACC_FIELD_GENERIC: u16 = 0x800;
/// `accessFlags.hpp`, JVMS 4.5.
pub const ACC_STATIC: u32 = 8;

/// Threads that `JavaThread::is_hidden_from_external_view` hides and HotSpot leaves out of
/// dumps (`heapDumper.cpp`). By name: the C++ class shows only in a vtable.
pub fn is_hidden_thread(name: &str) -> bool {
    matches!(name, "Service Thread" | "Monitor Deflation Thread" | "Sweeper thread")
        || name.starts_with("C1 CompilerThread")
        || name.starts_with("C2 CompilerThread")
        || name.starts_with("JVMCI CompilerThread")
}

/// `VirtualThread.java`: the states in which one has no stack, NEW and TERMINATED; HotSpot dumps
/// neither (heapDumper.cpp, `should_dump_vthread`).
pub const VIRTUAL_THREAD_STACKLESS: [i32; 2] = [0, 99];

/// Collectors by the flag that chooses them, for those that rjcore does not read yet.
pub const OTHER_COLLECTORS: [(&str, &str); 2] = [
    ("UseConcMarkSweepGC", "CMS"),
    ("UseEpsilonGC", "Epsilon"),
];

/// Where G1 keeps which objects of old regions died in the last marking, as long as the regions
/// were left as they were (11 to 19; later ones overwrite the dead). Not in the tables at all:
/// read off Debian's 17.0.15 and `g1ConcurrentMark.hpp`, `markBitMap.hpp`, `heapRegion.hpp`.
pub mod g1_marking {
    /// sizeof(HeapRegion) of the builds that these hold for (17).
    pub const HEAP_REGION_SIZE: u64 = 296;
    /// `heapRegionType.hpp`: of the two archive tags, the closed one (41) is the open one plus
    /// one. Nothing ever dies in closed archive regions, and the bitmap is not kept for them.
    pub const CLOSED_ARCHIVE_BIT: u32 = 1;
    /// `HeapRegion::_prev_top_at_mark_start`.
    pub const PREV_TOP_AT_MARK_START: u64 = 224;
    /// `G1ConcurrentMark::_g1h`: proves that a pointer in the heap object leads to one.
    pub const CM_HEAP: u64 = 8;
    /// `G1ConcurrentMark::_prev_mark_bitmap`.
    pub const CM_PREV_BITMAP: u64 = 144;
    /// `MarkBitMap::_covered`: a MemRegion, start and words.
    pub const BITMAP_COVERED: u64 = 8;
    /// `MarkBitMap::_shifter`.
    pub const BITMAP_SHIFTER: u64 = 24;
    /// `MarkBitMap::_bm`: the words' address.
    pub const BITMAP_MAP: u64 = 32;
}

/// What ZGC's part of vmStructs leaves out (17 to 28; read off their DWARF and headers).
pub mod z {
    /// `zGlobals.hpp`, `ZGranuleSizeShift`, where the tables lack it.
    pub const GRANULE_SHIFT: u32 = 21;
    /// `zPageType.hpp`, `ZPageType::large`; `ZPageTypeLarge` until 20.
    pub const PAGE_LARGE: u8 = 2;
    /// `zPage.hpp` (generational): `ZPageType _type; ZGenerationId _generation_id; ...`, a byte
    /// each.
    pub const PAGE_GENERATION_ID: u64 = 1;
    /// `zGenerationId.hpp`, `ZGenerationId::young`.
    pub const YOUNG: u8 = 0;
    /// `zAddress.hpp` (generational): the four remapped bits of a reference.
    pub const REMAPPED_SHIFT: u32 = 12;
    /// The same: both set where an old object refers to an old one.
    pub const REMEMBERED: u64 = 3 << 4;
    /// `zForwardingEntry.hpp`: bit 0 populated, then the offset, from here on the index.
    pub const INDEX_SHIFT: u32 = 46;
    /// Bits of the index.
    pub const INDEX_BITS: u32 = 64 - INDEX_SHIFT;
    /// `zForwarding.hpp`: `_page` follows `_entries`, which is a size_t.
    pub const FORWARDING_PAGE_AFTER_ENTRIES: u64 = 8;
    /// `ZForwarding::_ref_count` where the tables lack it (27 and later).
    pub const FORWARDING_REF_COUNT: u64 = 136;
    /// `zGeneration.hpp`: `_id` follows the vtable, then come `_page_allocator`, `_page_table`
    /// and `_forwarding_table`, which starts with its ZGranuleMap.
    pub const GENERATION_ID: u64 = 8;
    /// `ZGeneration::_page_allocator`.
    pub const GENERATION_PAGE_ALLOCATOR: u64 = 16;
    /// `ZGeneration::_page_table`.
    pub const GENERATION_PAGE_TABLE: u64 = 24;
    /// `ZGeneration::_forwarding_table`.
    pub const GENERATION_FORWARDING_TABLE: u64 = 32;
}

/// `classLoaderData.hpp`: `ClassLoaderData::_handles`, a ChunkedHandleList, which is a pointer to
/// its last chunk. Where a class's mirror handle is not in one of its chunks, it is not this.
pub const CLD_HANDLES: u64 = 48;
/// `ChunkedHandleList::Chunk {oop _data[32]; juint _size; Chunk* _next}`.
pub const HANDLE_CHUNK_OOPS: u64 = 32;
/// Offset of `_size`.
pub const HANDLE_CHUNK_SIZE: u64 = 256;
/// Offset of `_next`.
pub const HANDLE_CHUNK_NEXT: u64 = 264;
/// `oopStorage.inline.hpp`: offset of `OopStorage::Block::_owner_address`.
pub const BLOCK_OWNER: u64 = 520;
