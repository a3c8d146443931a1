//! What the object graph tells of a core's classes, roots and threads, in the words that all inputs share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Heap;
use super::graph::Graph;
use super::layout::{Layout, Strength};
use super::roots::{Call, RootKind};
use crate::graph::{
    self, BUILTIN_LOADERS, Class, ClassKind, PRIMITIVES, Root, Thread, Type, Unread,
};
use crate::hotspot::Vm;
use crate::hotspot::classes::{Kind, Klass};

/// `byte[][]` of `[[B`, `java.lang.String[]` of `[Ljava.lang.String;`; any other name as it is.
pub(crate) fn java_name(name: &str) -> String {
    let element = name.trim_start_matches('[');
    let depth = name.len() - element.len();
    if depth == 0 {
        return name.to_owned();
    }
    let primitive = PRIMITIVES.iter().find(|p| element.as_bytes() == [p.0]).map(|p| p.1);
    let class = || element.strip_prefix('L').and_then(|e| e.strip_suffix(';'));
    let element = primitive.or_else(class).unwrap_or(element);
    format!("{element}{}", "[]".repeat(depth))
}

/// Interfaces of all classes together; a core with more is made to fill memory.
const MAX_INTERFACES: usize = 1 << 24;

/// All classes, by number of klass.
pub(super) fn classes(graph: &Graph<'_, u64>) -> Vec<Class> {
    let vm = graph.heap.vm;
    let object = vm.classes.named("java/lang/Object").and_then(|k| vm.classes.number(k.addr));
    let place = |addr: u64| graph.index.place(addr);
    let is_builtin = |loader: u64| {
        let klass = vm.klass_of(loader);
        klass.is_some_and(|k| k.is_boot && BUILTIN_LOADERS.contains(&&*k.name.replace('/', ".")))
    };
    let mut builtin: HashMap<u64, bool> = HashMap::new();
    let mut left = MAX_INTERFACES;
    let mut interfaces = |k: &Klass| {
        let of = vm.interfaces(k).filter(|of| of.len() <= left)?;
        left -= of.len();
        of.iter().map(|i| vm.classes.number(*i)).collect::<Option<_>>()
    };
    let all = vm.classes.all().iter().map(|k| {
        let lives =
            k.loader == 0 || *builtin.entry(k.loader).or_insert_with(|| is_builtin(k.loader));
        Class {
            name: java_name(&vm.external_name(k)),
            kind: match k.kind {
                Kind::Instance => ClassKind::Instance,
                Kind::ObjArray | Kind::FlatArray => ClassKind::Objects,
                Kind::TypeArray(_) => ClassKind::Primitives,
            },
            super_class: match k.kind {
                Kind::Instance => k.super_klass.and_then(|s| vm.classes.number(s)),
                _ => object,
            },
            interfaces: match k.kind {
                Kind::Instance => interfaces(k),
                _ => Some([].into()),
            },
            object: place(k.mirror),
            loader: place(k.loader),
            is_permanent: lives && !has_own_life(vm, k),
        }
    });
    all.collect()
}

/// Whether it or what it is an array of can be unloaded before its loader.
fn has_own_life(vm: &Vm, k: &Klass) -> bool {
    let bottom = k.bottom.and_then(|b| vm.classes.get(b));
    k.has_own_loader_data || bottom.is_some_and(|b| b.has_own_loader_data)
}

/// All roots whose objects are in the graph.
pub(super) fn roots(graph: &Graph<'_, u64>) -> Vec<Root> {
    let roots = graph.roots().iter().filter_map(|r| {
        let kind = match r.root.kind {
            RootKind::Thread => graph::RootKind::Thread,
            RootKind::UnmountedThread => graph::RootKind::UnmountedThread,
            RootKind::Frame => graph::RootKind::Frame,
            RootKind::JniLocal => graph::RootKind::JniLocal,
            RootKind::JniGlobal => graph::RootKind::JniGlobal,
            RootKind::Monitor => graph::RootKind::Monitor,
            RootKind::BootClass => graph::RootKind::StickyClass,
            // Of the wider list, which no graph has.
            RootKind::Class | RootKind::LoaderHandle | RootKind::VmHandle => {
                graph::RootKind::Other(0xff)
            }
        };
        let place = graph.index.place(r.root.object)?;
        Some(Root { kind, place, thread: r.root.thread, frame: r.root.frame })
    });
    roots.collect()
}

/// All threads that roots name.
pub(super) fn threads(graph: &Graph<'_, u64>) -> Vec<Thread> {
    let vm = graph.heap.vm;
    let names: HashMap<u64, &str> =
        graph.heap.threads.iter().map(|t| (t.object, t.name.as_str())).collect();
    let mut texts: HashMap<(u64, i32), Arc<str>> = HashMap::new();
    let all = graph.threads.iter().map(|(object, calls)| {
        let own = names.get(object).map(|n| (*n).to_owned());
        let read = || vm.oop_field(*object, "name").and_then(|name| vm.text(name));
        let frame = |call: &Call| {
            let key = (call.method.addr, call.bci);
            texts.entry(key).or_insert_with(|| frame(vm, call).into()).clone()
        };
        Thread {
            name: own.or_else(read).unwrap_or_default(),
            object: graph.index.place(*object),
            frames: calls.iter().map(frame).collect(),
        }
    });
    all.collect()
}

/// A call as stack traces have it: `java.lang.Object.wait(Object.java:338)`.
pub fn frame(vm: &Vm, call: &Call) -> String {
    let m = &call.method;
    let symbol = |at: u64| vm.reader().symbol(at).unwrap_or_else(|| "?".into());
    let class = vm.classes.get(m.holder).map_or_else(|| "?".into(), |k| vm.external_name(k));
    let file = (m.source_file != 0).then(|| symbol(m.source_file));
    let place = match (m.is_native, file, m.line(vm, call.bci)) {
        (true, ..) => "Native Method".into(),
        (_, Some(file), Some(line)) => format!("{file}:{line}"),
        (_, Some(file), None) => file,
        (_, None, _) => "Unknown Source".into(),
    };
    format!("{class}.{}({place})", symbol(m.name))
}

/// What of the core could not be read.
pub(super) fn unread(graph: &Graph<'_, u64>) -> Unread {
    Unread {
        bytes: graph.report.damaged_bytes,
        dangling: graph.dangling,
        lost_roots: graph.lost_roots,
        notes: graph.damaged.iter().map(|u| u.text.clone()).collect(),
    }
}

/// The bytes that MAT gives objects, by what dumps have of them: ids of 8 bytes, and no field that the VM added.
#[derive(Debug)]
pub(super) struct MatSizes {
    /// By class, of its class object: the static fields' values.
    pub mirrors: Vec<u64>,
    /// By class, of an instance.
    pub instances: Vec<u64>,
    /// Bytes before an array's elements.
    header: u64,
    reference: u64,
    alignment: u64,
}

/// Bytes of an id.
const ID: u64 = 8;

impl MatSizes {
    pub(super) fn new(heap: &Heap) -> MatSizes {
        let p = &heap.vm.pointers;
        let (reference, alignment) = (p.oop_size(), p.alignment);
        let header = (ID + reference + 4).next_multiple_of(reference);
        let instance = |layout: &Layout| {
            // What each class of the chain declares is rounded up to a reference.
            let mut own: BTreeMap<u32, u64> = BTreeMap::new();
            for slot in layout.slots.iter().filter(|s| s.strength != Strength::Injected) {
                *own.entry(slot.declared_by).or_default() += p.value_size(slot.kind);
            }
            let fields: u64 = own.values().map(|bytes| bytes.next_multiple_of(reference)).sum();
            (ID + reference + fields).next_multiple_of(alignment)
        };
        let instances = heap.layouts().of.iter().map(instance).collect();
        MatSizes { mirrors: mirrors(heap), instances, header, reference, alignment }
    }

    /// Of an array with so many elements of `kind`, a signature's first character.
    pub(super) fn array(&self, kind: u8, length: u64) -> u64 {
        let each = match Type::of_signature(kind).bytes() {
            0 => self.reference,
            bytes => bytes,
        };
        let elements = each.saturating_mul(length).saturating_add(self.header);
        elements.checked_next_multiple_of(self.alignment).unwrap_or(elements)
    }
}

/// The bytes of each class object: of its static fields' values, as dumps have them.
fn mirrors(heap: &Heap) -> Vec<u64> {
    let reader = super::class_objects::ClassObjects::new(heap);
    let p = &heap.vm.pointers;
    let all = (0..).zip(heap.vm.classes.all()).map(|(number, k)| {
        let statics = &heap.layouts().of[number as usize].statics;
        let values: u64 = statics.iter().map(|s| p.value_size(s.kind)).sum();
        let extra = match k.is_refined {
            true => 0,
            false => reader
                .read(number)
                .map_or(0, |of| of.resolved_references.len() as u64 + u64::from(of.init_lock != 0)),
        };
        (values + extra * p.oop_size()).next_multiple_of(p.alignment)
    });
    all.collect()
}
