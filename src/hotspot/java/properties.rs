//! System properties: what `System.getProperties()` holds, read from the heap by field names.
//!
//! Until JDK 8 Properties is a Hashtable of its own; since 9 it keeps a ConcurrentHashMap.

use std::collections::BTreeMap;

use crate::hotspot::Vm;
use crate::hotspot::classes::{Kind, Size};

/// Buckets of the table: a JVM has about 60 properties.
const MAX_BUCKETS: u64 = 1 << 16;
/// Entries in all; beyond this a list runs in a circle.
const MAX_ENTRIES: usize = 1 << 16;

/// All properties whose key and value are strings; none where the table is not readable.
pub(crate) fn read(vm: &Vm) -> Option<BTreeMap<String, String>> {
    let system = vm.classes.named("java/lang/System")?;
    let field = vm.classes.field(&vm.reader(), system, "props").filter(|f| f.is_static)?;
    let at = system.mirror.wrapping_add(u64::from(field.offset));
    let properties = vm.reader().load(at).ok().filter(|p| *p != 0)?;
    let map = vm.oop_field(properties, "map").filter(|m| *m != 0).unwrap_or(properties);
    let mut out = BTreeMap::new();
    let mut left = MAX_ENTRIES;
    let table = vm.oop_field(map, "table")?;
    for bucket in elements(vm, table)? {
        add(vm, bucket, true, &mut left, &mut out);
    }
    Some(out)
}

/// Adds a bucket's entries. `outer`: a bucket that moved to a larger table is followed there.
fn add(vm: &Vm, mut node: u64, outer: bool, left: &mut usize, out: &mut BTreeMap<String, String>) {
    // ForwardingNode: a resize is under way.
    if let Some(next) = vm.oop_field(node, "nextTable").filter(|n| outer && *n != 0) {
        for bucket in elements(vm, next).into_iter().flatten() {
            add(vm, bucket, false, left, out);
        }
        return;
    }
    // TreeBin: its nodes are a list, too.
    if let Some(first) = vm.oop_field(node, "first").filter(|f| *f != 0) {
        node = first;
    }
    while node != 0 && *left > 0 {
        *left -= 1;
        let text = |name| vm.oop_field(node, name).and_then(|s| vm.string(s));
        if let (Some(key), Some(value)) = (text("key"), text("val").or_else(|| text("value"))) {
            out.insert(key, value);
        }
        node = vm.oop_field(node, "next").unwrap_or(0);
    }
}

/// The elements of the object array at `addr` that are not null.
fn elements(vm: &Vm, addr: u64) -> Option<Vec<u64>> {
    let klass = vm.klass_of(addr).filter(|k| k.kind == Kind::ObjArray)?;
    let Size::Array { header, .. } = klass.size else { return None };
    let len = vm.mem.u32(addr.wrapping_add(vm.pointers.array_length)).ok()?;
    let one = |i| {
        let at = addr.wrapping_add(header).wrapping_add(i * vm.pointers.oop_size());
        vm.reader().load(at).ok()
    };
    Some((0..u64::from(len).min(MAX_BUCKETS)).filter_map(one).filter(|e| *e != 0).collect())
}
