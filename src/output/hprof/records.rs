//! HPROF 1.0.2's records (heapDumper.cpp, "hprof binary format"). Big endian, 8-byte ids.

/// Bytes of a record's header: tag, ticks, length.
pub(super) const RECORD_HEADER: usize = 9;

/// Top-level tags.
pub(super) mod tag {
    #![allow(missing_docs, reason = "the names are the format's")]
    pub(crate) const UTF8: u8 = 0x01;
    pub(crate) const LOAD_CLASS: u8 = 0x02;
    pub(crate) const FRAME: u8 = 0x04;
    pub(crate) const TRACE: u8 = 0x05;
    pub(crate) const HEAP_DUMP_SEGMENT: u8 = 0x1c;
    pub(crate) const HEAP_DUMP_END: u8 = 0x2c;
}

/// Tags inside a segment.
pub(super) mod sub {
    #![allow(missing_docs, reason = "the names are the format's")]
    pub(crate) const ROOT_JNI_GLOBAL: u8 = 0x01;
    pub(crate) const ROOT_JNI_LOCAL: u8 = 0x02;
    pub(crate) const ROOT_JAVA_FRAME: u8 = 0x03;
    pub(crate) const ROOT_STICKY_CLASS: u8 = 0x05;
    pub(crate) const ROOT_MONITOR_USED: u8 = 0x07;
    pub(crate) const ROOT_THREAD_OBJ: u8 = 0x08;
    pub(crate) const CLASS_DUMP: u8 = 0x20;
    pub(crate) const INSTANCE_DUMP: u8 = 0x21;
    pub(crate) const OBJ_ARRAY_DUMP: u8 = 0x22;
    pub(crate) const PRIM_ARRAY_DUMP: u8 = 0x23;
}

/// Bytes of an INSTANCE_DUMP before its values: tag, id, trace, class, length.
pub(super) const INSTANCE_HEADER: usize = 1 + 8 + 4 + 8 + 4;

/// Fills `head`, of that length. `len` bytes of values follow.
#[inline(always)]
pub(super) fn instance_header(head: &mut [u8], id: u64, class_id: u64, len: u32) {
    head[0] = sub::INSTANCE_DUMP;
    head[1..9].copy_from_slice(&id.to_be_bytes());
    head[9..13].copy_from_slice(&EMPTY_TRACE.to_be_bytes());
    head[13..21].copy_from_slice(&class_id.to_be_bytes());
    head[21..25].copy_from_slice(&len.to_be_bytes());
}

/// The trace without frames that every object was "allocated at" (STACK_TRACE_ID).
pub(super) const EMPTY_TRACE: u32 = 1;

/// hprofTag of a value, by its signature's first character.
pub(super) fn value_type(kind: u8) -> u8 {
    match kind {
        b'Z' => 4,
        b'C' => 5,
        b'F' => 6,
        b'D' => 7,
        b'B' => 8,
        b'S' => 9,
        b'I' => 10,
        b'J' => 11,
        _ => 2,
    }
}

/// Bytes that a value of this signature takes: references are ids of 8 bytes.
pub(super) fn value_size(kind: u8) -> u32 {
    match kind {
        b'Z' | b'B' => 1,
        b'C' | b'S' => 2,
        b'F' | b'I' => 4,
        _ => 8,
    }
}

/// Appends big-endian values to a buffer.
pub(super) trait Put {
    /// One byte.
    fn u1(&mut self, v: u8);
    /// Two bytes.
    fn u2(&mut self, v: u16);
    /// Four bytes.
    fn u4(&mut self, v: u32);
    /// Eight bytes: a number or an id.
    fn u8(&mut self, v: u64);
    /// A record's header.
    fn record(&mut self, tag: u8, length: u32);
}

impl Put for Vec<u8> {
    fn u1(&mut self, v: u8) {
        self.push(v);
    }
    fn u2(&mut self, v: u16) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn u4(&mut self, v: u32) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn u8(&mut self, v: u64) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn record(&mut self, tag: u8, length: u32) {
        self.u1(tag);
        self.u4(0);
        self.u4(length);
    }
}

/// A float's bits as HotSpot writes them: one NaN for all.
#[inline(always)]
pub(super) fn float_bits(bits: u32) -> u32 {
    if f32::from_bits(bits).is_nan() { 0x7fc0_0000 } else { bits }
}

/// A double's bits as HotSpot writes them.
#[inline(always)]
pub(super) fn double_bits(bits: u64) -> u64 {
    if f64::from_bits(bits).is_nan() { 0x7ff8_0000_0000_0000 } else { bits }
}
