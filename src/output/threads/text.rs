//! What threads hold, for people.

use std::fmt::Write;

use super::{FrameHeld, LocalHeld, Report, Shared, ThreadHeld};
use crate::address::Address;
use crate::output::report::{Table, clean, count, number, object_name, size};
use crate::output::retained::Held;

/// Thread locals of a thread that are listed.
const LOCALS: usize = 10;
/// Objects that several threads have are listed from so many bytes on, and so many threads of each.
const SHARED: u64 = 1024;
const NAMES: usize = 3;
/// Objects of a frame that are listed.
const OBJECTS: usize = 5;

/// The answer: all threads in a table, name groups, thread locals, and the first threads in detail.
pub fn text(report: &Report) -> String {
    let mut out = summary(report);
    out += &threads(report);
    if report.names.iter().any(|g| g.threads > 1) {
        out += "\nBy name, digits aside:\n";
        out += &names(report);
    }
    if !report.thread_locals.is_empty() {
        out += "\nThread locals, in all threads:\n";
        out += &keys(report);
    }
    let shared: Vec<&Shared> =
        report.shared.iter().filter(|s| s.object.retained >= SHARED).collect();
    if !shared.is_empty() {
        out += "\nIn the frames of several threads, so that no thread holds them alone:\n";
        out += &shared_table(&shared);
    }
    report.threads.iter().for_each(|thread| details(&mut out, thread));
    out
}

fn summary(report: &Report) -> String {
    let t = &report.totals;
    let mut out = format!(
        "{} {} that nothing else holds: frames {}, thread locals {}, the rest of the threads' objects {}\n",
        if t.threads == 1 {
            "1 thread holds".into()
        } else {
            format!("{} threads hold", number(t.threads))
        },
        size(t.retained),
        size(t.frames),
        size(t.thread_locals),
        size(t.rest),
    );
    if t.unmounted > 0 {
        let _ = writeln!(out, "{} of them virtual, without a carrier", number(t.unmounted));
    }
    if let Some(allocated) = t.allocated {
        let _ = write!(out, "{} allocated by those that live", size(allocated));
        if let Some((tlab, used)) = t.tlab.zip(t.tlab_used) {
            let _ = write!(out, "; {} in their TLABs, {} of it used", size(tlab), size(used));
        }
        out.push('\n');
    }
    out
}

fn threads(report: &Report) -> String {
    let is_core = report.totals.allocated.is_some();
    let mut head = vec!["retained", "share", "frames", "thread locals", "rest"];
    if is_core {
        head.extend(["allocated", "TLAB"]);
    }
    head.push("thread");
    let mut table = Table::new(&head, &[head.len() - 1]);
    for of in &report.threads {
        let mut row = vec![
            number(of.retained),
            format!("{:.1} %", of.share),
            number(of.frames_retained),
            number(of.thread_locals_retained),
            number(of.rest),
        ];
        if is_core {
            row.extend([of.allocated, of.tlab].map(|n| n.map_or_else(|| "-".into(), number)));
        }
        row.push(name(of));
        table.row(row);
    }
    let left = report.thread_count.saturating_sub(report.threads.len() as u64);
    let more = format!("and {} more\n", count(left, "thread", "threads"));
    table.text() + if left > 0 { &more } else { "" }
}

fn name(of: &ThreadHeld) -> String {
    format!("\"{}\" @ {:#x}", of.name, of.object)
}

fn names(report: &Report) -> String {
    let head = ["retained", "threads", "frames", "thread locals", "rest", "name"];
    let mut table = Table::new(&head, &[5]);
    for of in report.names.iter().filter(|g| g.threads > 1) {
        let sums = [of.retained, of.threads, of.frames, of.thread_locals, of.rest];
        let cells = sums.map(number).into_iter().chain([format!("\"{}\"", of.name)]);
        table.row(cells.collect());
    }
    table.text()
}

fn keys(report: &Report) -> String {
    let mut table = Table::new(&["retained", "threads", "thread local", "value"], &[2, 3]);
    for of in &report.thread_locals {
        table.row(vec![
            number(of.retained),
            number(of.threads),
            key(of.key_name.as_deref(), of.key_class.as_deref(), of.key),
            of.value_class.clone().unwrap_or_else(|| "null".into()),
        ]);
    }
    table.text()
}

/// `com.acme.Context.CURRENT`, or else `java.lang.ThreadLocal @ 0x7f00`.
fn key(name: Option<&str>, class: Option<&str>, address: Option<Address>) -> String {
    match (name, class, address) {
        (Some(name), ..) => name.into(),
        (None, Some(class), Some(address)) => object_name(class, address.0, None),
        _ => "(its key is gone)".into(),
    }
}

fn shared_table(all: &[&Shared]) -> String {
    let mut table = Table::new(&["retained", "object", "threads"], &[1, 2]);
    for of in all.iter().take(OBJECTS) {
        let mut names: Vec<String> =
            of.threads.iter().take(NAMES).map(|n| format!("\"{n}\"")).collect();
        let left = of.thread_count.saturating_sub(names.len() as u64);
        if left > 0 {
            names.push(format!("and {} more", number(left)));
        }
        table.row(vec![number(of.object.retained), held_name(&of.object), names.join(", ")]);
    }
    table.text()
}

fn held_name(of: &Held) -> String {
    object_name(&of.class, of.object, of.label.as_deref())
}

fn details(out: &mut String, of: &ThreadHeld) {
    let frames: Vec<&FrameHeld> = of.frames.iter().filter(|f| f.retained > 0).collect();
    let shared: u64 = of.frames.iter().map(|f| f.shared_count).sum();
    if frames.is_empty() && of.thread_locals.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}: {}", clean(&name(of)), size(of.retained));
    let mut table = Table::new(&["", "retained", "what holds it"], &[2]);
    for frame in frames {
        table.row(vec![String::new(), number(frame.retained), format!("at {}", frame.text)]);
        for held in frame.objects.iter().take(OBJECTS) {
            table.row(vec![String::new(), number(held.retained), format!("  {}", held_name(held))]);
        }
        if frame.joint > 0 {
            let text = "  what several of these hold together".into();
            table.row(vec![String::new(), number(frame.joint), text]);
        }
        let left = frame.object_count.saturating_sub(frame.objects.len().min(OBJECTS) as u64);
        if left > 0 {
            let more = count(left, "object", "objects");
            table.row(vec![String::new(), String::new(), format!("  and {more} more")]);
        }
    }
    for local in of.thread_locals.iter().take(LOCALS) {
        table.row(vec![String::new(), number(local.retained), thread_local(local)]);
    }
    *out += &table.text();
    let left = of.thread_locals.len().saturating_sub(LOCALS) as u64;
    if left > 0 {
        let _ = writeln!(out, "  and {} more", count(left, "thread local", "thread locals"));
    }
    if shared > 0 {
        let text = count(shared, "object", "objects");
        let _ = writeln!(out, "  {text} more in its frames that others hold as well");
    }
}

fn thread_local(of: &LocalHeld) -> String {
    let kind = if of.inheritable { "inheritable thread local" } else { "thread local" };
    let key = key(of.key_name.as_deref(), of.key_class.as_deref(), of.key);
    let value = of.value.as_ref().map_or_else(|| "null".into(), held_name);
    let shared = match &of.value {
        Some(value) if of.retained == 0 && value.retained > 0 => ", which others hold as well",
        _ => "",
    };
    format!("{kind} {key}: {value}{shared}")
}
