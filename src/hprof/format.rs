//! The format's numbers: tags, types, and the bytes that each takes. Big endian throughout.
//!
//! HotSpot's `heapDumper.cpp` has them under "hprof binary format"; Android's are ART's `hprof.cc`.

/// Every file's first bytes; the version follows, ended by a zero.
pub const MAGIC: &[u8] = b"JAVA PROFILE ";
/// Bytes of a record's header: tag, ticks, length.
pub const RECORD_HEADER: usize = 9;

/// Top-level tags.
pub mod tag {
    #![allow(missing_docs, reason = "the names are the format's")]
    pub const UTF8: u8 = 0x01;
    pub const LOAD_CLASS: u8 = 0x02;
    pub const UNLOAD_CLASS: u8 = 0x03;
    pub const FRAME: u8 = 0x04;
    pub const TRACE: u8 = 0x05;
    pub const ALLOC_SITES: u8 = 0x06;
    pub const HEAP_SUMMARY: u8 = 0x07;
    pub const START_THREAD: u8 = 0x0a;
    pub const END_THREAD: u8 = 0x0b;
    pub const HEAP_DUMP: u8 = 0x0c;
    pub const CPU_SAMPLES: u8 = 0x0d;
    pub const CONTROL_SETTINGS: u8 = 0x0e;
    pub const HEAP_DUMP_SEGMENT: u8 = 0x1c;
    pub const HEAP_DUMP_END: u8 = 0x2c;
}

/// Tags inside a heap dump.
pub mod sub {
    #![allow(missing_docs, reason = "the names are the format's")]
    pub const ROOT_JNI_GLOBAL: u8 = 0x01;
    pub const ROOT_JNI_LOCAL: u8 = 0x02;
    pub const ROOT_JAVA_FRAME: u8 = 0x03;
    pub const ROOT_NATIVE_STACK: u8 = 0x04;
    pub const ROOT_STICKY_CLASS: u8 = 0x05;
    pub const ROOT_THREAD_BLOCK: u8 = 0x06;
    pub const ROOT_MONITOR_USED: u8 = 0x07;
    pub const ROOT_THREAD_OBJ: u8 = 0x08;
    pub const CLASS_DUMP: u8 = 0x20;
    pub const INSTANCE_DUMP: u8 = 0x21;
    pub const OBJ_ARRAY_DUMP: u8 = 0x22;
    pub const PRIM_ARRAY_DUMP: u8 = 0x23;
    pub const ROOT_UNKNOWN: u8 = 0xff;
    // Android's own.
    pub const ROOT_INTERNED_STRING: u8 = 0x89;
    pub const ROOT_FINALIZING: u8 = 0x8a;
    pub const ROOT_DEBUGGER: u8 = 0x8b;
    pub const ROOT_REFERENCE_CLEANUP: u8 = 0x8c;
    pub const ROOT_VM_INTERNAL: u8 = 0x8d;
    pub const ROOT_JNI_MONITOR: u8 = 0x8e;
    pub const UNREACHABLE: u8 = 0x90;
    pub const PRIM_ARRAY_NODATA: u8 = 0xc3;
    pub const HEAP_DUMP_INFO: u8 = 0xfe;
}

/// Types of values.
pub mod ty {
    #![allow(missing_docs, reason = "the names are the format's")]
    pub const OBJECT: u8 = 2;
    pub const BOOLEAN: u8 = 4;
    pub const CHAR: u8 = 5;
    pub const FLOAT: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BYTE: u8 = 8;
    pub const SHORT: u8 = 9;
    pub const INT: u8 = 10;
    pub const LONG: u8 = 11;
}

/// The type of a value, by its signature's first character.
pub fn value_type(kind: u8) -> u8 {
    match kind {
        b'Z' => ty::BOOLEAN,
        b'C' => ty::CHAR,
        b'F' => ty::FLOAT,
        b'D' => ty::DOUBLE,
        b'B' => ty::BYTE,
        b'S' => ty::SHORT,
        b'I' => ty::INT,
        b'J' => ty::LONG,
        _ => ty::OBJECT,
    }
}

/// The first character of a primitive type's signature.
pub fn primitive(ty: u8) -> Option<u8> {
    b"ZCFDBSIJ".get(usize::from(ty).checked_sub(4)?).copied()
}

/// Bytes of a value where a reference takes `id` bytes; none for what is no type.
#[inline]
pub fn value_bytes(ty: u8, id: usize) -> Option<usize> {
    Some(match ty {
        ty::BOOLEAN | ty::BYTE => 1,
        ty::CHAR | ty::SHORT => 2,
        ty::FLOAT | ty::INT => 4,
        ty::DOUBLE | ty::LONG => 8,
        ty::OBJECT => id,
        _ => return None,
    })
}
