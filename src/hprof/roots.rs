//! Roots, and the threads that they are of.

use std::collections::HashMap;
use std::ops::Range;

use super::Dump;
use super::bytes::number;
use super::format::sub;
use super::scan::RawRoot;
use super::text::{ClassName, modified_utf8};
use crate::graph::{ObjectGraph, Root, RootKind, Thread};

/// Characters of a thread's name that are read.
const MAX_NAME: usize = 1 << 16;
/// Frames of one trace that are told.
const MAX_FRAMES: usize = 1 << 16;

/// Roots that lead to an object, the others' count, and the threads.
pub(super) fn resolve(dump: &Dump, raw: &[RawRoot]) -> (Vec<Root>, u64, Vec<Thread>) {
    let mut threads = Vec::new();
    let mut serials: HashMap<u32, u32> = HashMap::new();
    for root in raw.iter().filter(|r| r.tag == sub::ROOT_THREAD_OBJ) {
        // The second word is its stack trace.
        serials.entry(root.thread).or_insert_with(|| {
            threads.push(thread(dump, root.id, root.frame));
            threads.len() as u32 - 1
        });
    }
    let (mut roots, mut lost) = (Vec::with_capacity(raw.len()), 0);
    for root in raw {
        let Some(place) = dump.place(root.id) else {
            lost += 1;
            continue;
        };
        let kind = match root.tag {
            sub::ROOT_JNI_GLOBAL => RootKind::JniGlobal,
            sub::ROOT_JNI_LOCAL => RootKind::JniLocal,
            sub::ROOT_JAVA_FRAME => RootKind::Frame,
            sub::ROOT_NATIVE_STACK => RootKind::NativeStack,
            sub::ROOT_STICKY_CLASS => RootKind::StickyClass,
            sub::ROOT_THREAD_BLOCK => RootKind::ThreadBlock,
            sub::ROOT_MONITOR_USED => RootKind::Monitor,
            sub::ROOT_THREAD_OBJ if is_unmounted(dump, place) => RootKind::UnmountedThread,
            sub::ROOT_THREAD_OBJ => RootKind::Thread,
            tag => RootKind::Other(tag),
        };
        let of_thread = matches!(
            root.tag,
            sub::ROOT_JNI_LOCAL
                ..=sub::ROOT_NATIVE_STACK
                    | sub::ROOT_THREAD_BLOCK
                    | sub::ROOT_THREAD_OBJ
                    | sub::ROOT_JNI_MONITOR
        );
        let thread = of_thread.then(|| {
            *serials.entry(root.thread).or_insert_with(|| {
                threads.push(Thread::default());
                threads.len() as u32 - 1
            })
        });
        let framed = matches!(root.tag, sub::ROOT_JNI_LOCAL | sub::ROOT_JAVA_FRAME);
        let frame = Some(root.frame).filter(|frame| framed && *frame != u32::MAX);
        roots.push(Root { kind, place, thread, frame });
    }
    (roots, lost, threads)
}

/// Whether it is a virtual thread that no carrier runs.
fn is_unmounted(dump: &Dump, place: u64) -> bool {
    let is_virtual = dump.classes().get(dump.class_of(place) as usize);
    is_virtual.is_some_and(|c| c.name == "java.lang.VirtualThread")
        && dump.field(place, "carrierThread").is_some_and(|bytes| number(bytes) == 0)
}

fn thread(dump: &Dump, id: u64, trace: u32) -> Thread {
    let object = dump.place(id);
    Thread {
        name: object.and_then(|place| name(dump, place)).unwrap_or_default(),
        object,
        frames: dump.outline.traces.get(&trace).map_or_else(Vec::new, |ids| frames(dump, ids)),
    }
}

/// A thread's name is a String, in 8 and before a char[]; of a virtual one it may be in a holder's.
fn name(dump: &Dump, thread: u64) -> Option<String> {
    let name = dump.place(number(dump.field(thread, "name")?))?;
    dump.text(name, MAX_NAME).or_else(|| dump.characters(name, None, MAX_NAME))
}

fn frames(dump: &Dump, ids: &Range<usize>) -> Vec<String> {
    let ids = dump.data.get(ids.clone()).unwrap_or_default();
    ids.chunks_exact(dump.outline.id).take(MAX_FRAMES).map(|id| frame(dump, number(id))).collect()
}

/// `java.lang.Object.wait(Object.java:338)`.
fn frame(dump: &Dump, id: u64) -> String {
    let Some(frame) = dump.outline.frames.get(&id) else { return "?".into() };
    let name = |id| dump.outline.name(&dump.data, id).map(modified_utf8);
    let class = dump.outline.serials.get(&frame.class);
    let class = class.and_then(|class| name(*dump.outline.class_names.get(class)?));
    let class = class.map_or_else(|| "?".into(), |name| ClassName::parse(&name).in_java());
    let method = name(frame.method).unwrap_or_else(|| "?".into());
    // HPROF's line numbers: -1 unknown, -2 compiled, -3 native.
    let place = match (name(frame.file).filter(|_| frame.file != 0), frame.line) {
        (_, -3) => "Native Method".into(),
        (Some(file), line @ 1..) => format!("{file}:{line}"),
        (Some(file), _) => file,
        (None, _) => "Unknown Source".into(),
    };
    format!("{class}.{method}({place})")
}
