//! Memory of direct byte buffers: what the buffers say, and what java.nio.Bits counts.

use serde::Serialize;

use super::collect::Collected;
use super::layout::{named, static_field};
use crate::graph::{ObjectGraph, Value, field};

/// The class that counts.
const BITS: &str = "java.nio.Bits";

/// Memory outside of the heap that direct byte buffers stand for. Slices and duplicates are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DirectBuffers {
    /// Those that are strongly held.
    pub buffers: u64,
    /// Their capacity in bytes.
    pub capacity: u64,
    /// Those that are not: the next collections free their memory.
    pub dead_buffers: u64,
    /// Their capacity in bytes.
    pub dead_capacity: u64,
    /// Those of mapped files.
    pub mapped_buffers: u64,
    /// Their capacity in bytes.
    pub mapped_capacity: u64,
    /// Objects that are to free such memory, and bytes that they are to free.
    pub deallocators: u64,
    /// Bytes that they are to free.
    pub deallocator_bytes: u64,
    /// Bytes that java.nio.Bits counts; none where the class was never used.
    pub reserved: Option<u64>,
    /// Capacities that it counts: without alignment.
    pub total_capacity: Option<u64>,
    /// Buffers that it counts.
    pub count: Option<u64>,
    /// Bytes that it allows (`-XX:MaxDirectMemorySize`).
    pub limit: Option<u64>,
}

/// Of all that were collected.
pub(super) fn find<I>(graph: &impl ObjectGraph, collected: &Collected<I>) -> DirectBuffers {
    let counter = |names: &[&str]| {
        named(graph, BITS)?;
        let value = match static_field(graph, BITS, names)? {
            // An AtomicLong.
            Value::Object(place) => field(graph, place, "value")?,
            value => value,
        };
        value.integer().and_then(|n| u64::try_from(n).ok())
    };
    let [live, dead, mapped] = collected.buffers;
    DirectBuffers {
        buffers: live.count,
        capacity: live.capacity,
        dead_buffers: dead.count,
        dead_capacity: dead.capacity,
        mapped_buffers: mapped.count,
        mapped_capacity: mapped.capacity,
        deallocators: collected.deallocators.count,
        deallocator_bytes: collected.deallocators.capacity,
        reserved: counter(&["RESERVED_MEMORY", "reservedMemory"]),
        total_capacity: counter(&["TOTAL_CAPACITY", "totalCapacity"]),
        count: counter(&["COUNT", "count"]),
        limit: counter(&["MAX_MEMORY", "maxMemory"]),
    }
}
