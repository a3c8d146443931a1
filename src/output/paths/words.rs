//! Roots, references and frames in words.

use crate::graph::paths::By;
use crate::graph::{ClassPart, ObjectGraph, Place, RootKind, Strength};
use crate::output::retained::class_name;

/// A root's kind as JSON has it.
pub(in crate::output) fn code(kind: RootKind) -> &'static str {
    match kind {
        RootKind::Thread => "thread",
        RootKind::UnmountedThread => "unmounted_thread",
        RootKind::Frame => "frame",
        RootKind::JniLocal => "jni_local",
        RootKind::JniGlobal => "jni_global",
        RootKind::Monitor => "monitor",
        RootKind::StickyClass => "sticky_class",
        RootKind::NativeStack => "native_stack",
        RootKind::ThreadBlock => "thread_block",
        RootKind::Other(_) => "other",
    }
}

/// What holds an object from outside.
pub(in crate::output) fn root(kind: RootKind) -> &'static str {
    match kind {
        RootKind::Thread => "a thread that runs",
        RootKind::UnmountedThread => "a virtual thread",
        RootKind::Frame => "a local variable",
        RootKind::JniLocal => "a local JNI handle",
        RootKind::JniGlobal => "a global JNI handle, or one of the VM's",
        RootKind::Monitor => "a monitor in use",
        RootKind::StickyClass => "a class that is never unloaded",
        RootKind::NativeStack => "a native stack",
        RootKind::ThreadBlock => "a thread block",
        RootKind::Other(_) => "a root of another kind",
    }
}

/// A part of a class.
pub(in crate::output) fn part(part: ClassPart) -> &'static str {
    match part {
        ClassPart::Super => "super class",
        ClassPart::Loader => "loader",
        ClassPart::Signers => "signers",
        ClassPart::ProtectionDomain => "protection domain",
        ClassPart::ResolvedReferences => "constant",
        ClassPart::InitLock => "initialization lock",
    }
}

/// The text of a thread's frame.
pub(in crate::output) fn frame(
    graph: &impl ObjectGraph,
    thread: u32,
    frame: Option<u32>,
) -> Option<String> {
    let thread = graph.threads().get(thread as usize)?;
    thread.frames.get(frame? as usize).map(|text| text.to_string())
}

/// A link in parts: its kind as JSON has it, a field's name or what stands for it, the class that declares the field,
/// an element's index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::output) struct Named {
    /// As a path's steps have it.
    pub kind: &'static str,
    /// The field's name.
    pub name: Option<String>,
    /// The class that declares it.
    pub declared_by: Option<String>,
    /// Of an element.
    pub index: Option<u64>,
}

/// Where a reference stands.
pub(in crate::output) fn place(graph: &impl ObjectGraph, place: &Place<'_>) -> Named {
    let field = |kind, field: &crate::graph::Field<'_>| Named {
        kind,
        name: Some(field.name.to_string()),
        declared_by: Some(class_name(graph, field.class)),
        index: None,
    };
    match place {
        Place::Field(of) => field("field", of),
        Place::Static(of) => field("static", of),
        Place::Element(index) => Named { kind: "element", index: Some(*index), ..Named::default() },
        Place::Class(of) => {
            Named { kind: "class_part", name: Some(part(*of).into()), ..Named::default() }
        }
    }
}

/// How one object on a path holds the next.
pub(in crate::output) fn named(graph: &impl ObjectGraph, by: &By) -> Named {
    match by {
        By::Root { kind, .. } => {
            Named { kind: "root", name: Some(root(*kind).into()), ..Named::default() }
        }
        By::Reference(of) => place(graph, of),
        By::Local { kind, thread, frame: number } => Named {
            kind: if *kind == RootKind::Frame { "local" } else { code(*kind) },
            name: frame(graph, *thread, *number),
            ..Named::default()
        },
        By::OwnClass => Named { kind: "own_class", ..Named::default() },
    }
}

/// A link as a person reads it.
pub(in crate::output) fn text(kind: &str, name: Option<&str>, index: Option<u64>) -> String {
    let name = name.unwrap_or("?");
    match (kind, index) {
        ("field", _) => format!(".{name}"),
        ("static", _) => format!("static {name}"),
        ("element", Some(index)) => format!("[{index}]"),
        ("element", None) => "[]".into(),
        ("class_part", _) => format!("its {name}"),
        ("local", _) => format!("local in {name}"),
        ("jni_local", _) => format!("JNI local in {name}"),
        ("monitor", _) => format!("monitor in {name}"),
        ("own_class", _) => "its class".into(),
        ("root", _) => name.into(),
        (kind, _) => format!("{} in {name}", kind.replace('_', " ")),
    }
}

/// A link as a person reads it; how it holds, if that is less than strongly.
pub(super) fn link(
    kind: &str,
    name: Option<&str>,
    index: Option<u64>,
    strength: Strength,
) -> String {
    let text = text(kind, name, index);
    match strength {
        Strength::Strong => text,
        weaker => format!("{text} ({})", weaker.name()),
    }
}
