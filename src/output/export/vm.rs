//! What a core tells of threads and spaces besides the graph: columns of `threads`, and the tables `locals`, `monitors` and
//! `spaces`.

use std::collections::HashMap;
use std::ops::Range;

use super::objects::Region;
use super::plan::part;
use super::rows::Rows;
use crate::graph::{ObjectGraph, Thread};
use crate::output::stack::{self, Frame, Lock, Slot};

/// What the VM says of threads, by the addresses of their java.lang.Thread objects.
#[derive(Debug, Default)]
pub struct VmThreads {
    by_object: HashMap<u64, Told>,
}

/// Of one thread.
#[derive(Debug)]
struct Told {
    number: Option<i64>,
    daemon: bool,
    priority: Option<i32>,
    state: Option<String>,
    os_thread: u32,
    allocated: Option<u64>,
    frames: Vec<ToldFrame>,
}

/// Of one frame.
#[derive(Debug)]
struct ToldFrame {
    /// What the frame's text begins with.
    method: String,
    locks: Vec<Lock>,
    values: Vec<Slot>,
}

impl ToldFrame {
    fn new(frame: Frame) -> ToldFrame {
        let method = format!("{}.{}(", frame.place.class, frame.place.method);
        ToldFrame { method, locks: frame.locks, values: frame.values }
    }
}

impl VmThreads {
    /// Of threads as the VM lists them; `objects` has the address of each one's java.lang.Thread by that of its JavaThread.
    pub fn new(threads: Vec<stack::Thread>, objects: &HashMap<u64, u64>) -> VmThreads {
        let told = |t: stack::Thread| {
            let object = *objects.get(&t.tid.0)?;
            let frames = t.stack.frames.into_iter().map(ToldFrame::new).collect();
            let told = Told {
                number: t.number,
                daemon: t.daemon,
                priority: t.priority,
                state: t.state.map(|state| state.to_string()),
                os_thread: t.nid,
                allocated: t.allocated,
                frames,
            };
            Some((object, told))
        };
        VmThreads { by_object: threads.into_iter().filter_map(told).collect() }
    }

    fn of(&self, graph: &impl ObjectGraph, thread: &Thread) -> Option<&Told> {
        self.by_object.get(&graph.address(thread.object?))
    }

    /// The rows of these threads.
    pub(super) fn threads(
        &self,
        graph: &impl ObjectGraph,
        piece: &Range<u64>,
        rows: &mut Rows<'_>,
    ) {
        for (number, thread) in (piece.start as u32..).zip(part(graph.threads(), piece)) {
            let told = self.of(graph, thread);
            rows.int(number);
            rows.text(Some(thread.name.as_str()).filter(|n| !n.is_empty()));
            rows.long(thread.object.map(|o| graph.address(o)));
            rows.signed(told.and_then(|t| t.number));
            rows.flag(told.map(|t| t.daemon));
            rows.signed(told.and_then(|t| t.priority).map(i64::from));
            rows.text(told.and_then(|t| t.state.as_deref()));
            rows.long(told.map(|t| u64::from(t.os_thread)));
            rows.long(told.and_then(|t| t.allocated));
            rows.end();
        }
    }

    /// Calls `each` with the frames that the VM's list of threads and the graph have alike, with the numbers of thread and
    /// frame: a thread that carries a virtual one may have others.
    fn frames(&self, graph: &impl ObjectGraph, mut each: impl FnMut(u32, u32, &ToldFrame)) {
        for (number, thread) in (0..).zip(graph.threads()) {
            let told = self.of(graph, thread).into_iter().flat_map(|t| &t.frames);
            let same = (0..).zip(told.zip(&thread.frames));
            for (i, (frame, _)) in same.filter(|(_, (f, text))| text.starts_with(&f.method)) {
                each(number, i, frame);
            }
        }
    }

    /// The rows of `locals`.
    pub(super) fn locals(&self, graph: &impl ObjectGraph, rows: &mut Rows<'_>) {
        self.frames(graph, |thread, frame, of| {
            for slot in &of.values {
                rows.int(thread);
                rows.int(frame);
                rows.text(slot.place.code());
                rows.int(u32::try_from(slot.slot).ok());
                rows.text(slot.kind.code());
                rows.long(slot.object.map(|o| o.0));
                let value = slot.value.map(|value| value.to_string());
                rows.text(value.as_deref());
                rows.end();
            }
        });
    }

    /// The rows of `monitors`.
    pub(super) fn monitors(&self, graph: &impl ObjectGraph, rows: &mut Rows<'_>) {
        self.frames(graph, |thread, frame, of| {
            for lock in &of.locks {
                rows.int(thread);
                rows.int(frame);
                rows.text(lock.kind.code());
                rows.long(lock.object.map(|o| o.0));
                rows.text(lock.class.as_deref());
                rows.end();
            }
        });
    }
}

/// The rows of `spaces`, in the order of their first regions.
pub(super) fn spaces(regions: &[Region], rows: &mut Rows<'_>) {
    let mut spaces: Vec<(&str, u64, u64, u64)> = Vec::new();
    for region in regions {
        let known = spaces.iter().position(|s| s.0 == region.space);
        let at = known.unwrap_or(spaces.len());
        if known.is_none() {
            spaces.push((region.space, 0, 0, 0));
        }
        let (_, count, capacity, used) = &mut spaces[at];
        *count += 1;
        *capacity += region.end.saturating_sub(region.start);
        *used += region.top.saturating_sub(region.start);
    }
    for (space, count, capacity, used) in spaces {
        rows.text(space);
        rows.long(count);
        rows.long(capacity);
        rows.long(used);
        rows.end();
    }
}
