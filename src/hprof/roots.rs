//! Roots, and the threads that they are of.

use std::collections::HashMap;
use std::sync::Arc;

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
    let mut frames = HashMap::new();
    for root in raw.iter().filter(|r| r.tag == sub::ROOT_THREAD_OBJ) {
        serials.entry(root.thread).or_insert_with(|| {
            threads.push(thread(dump, root, &mut frames));
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

/// Texts of frames by their ids: threads share those that are the same.
type Frames = HashMap<u64, Arc<str>>;

/// The thread of a ROOT THREAD OBJECT.
fn thread(dump: &Dump, root: &RawRoot, known: &mut Frames) -> Thread {
    let object = dump.place(root.id);
    // The second word is its stack trace.
    let trace = dump.outline.traces.get(&root.frame).cloned().unwrap_or_default();
    let ids = dump.data.get(trace).unwrap_or_default().chunks_exact(dump.outline.id);
    let ids = ids.take(MAX_FRAMES).map(number);
    let frames = ids.map(|id| known.entry(id).or_insert_with(|| frame(dump, id).into()).clone());
    Thread {
        name: object.and_then(|place| name(dump, place)).unwrap_or_default(),
        object,
        frames: frames.collect(),
    }
}

/// A thread's name is a String, in 8 and before a char[]; of a virtual one it may be in a holder's.
fn name(dump: &Dump, thread: u64) -> Option<String> {
    let name = dump.place(number(dump.field(thread, "name")?))?;
    dump.text(name, MAX_NAME).or_else(|| dump.characters(name, None, MAX_NAME))
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
