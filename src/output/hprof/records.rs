//! HPROF 1.0.2's records (heapDumper.cpp, "hprof binary format"). Big endian, 8-byte ids.

pub(super) use crate::hprof::format::{RECORD_HEADER, sub, tag, value_type};

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
