//! References, for people.

use std::fmt::Write;

use super::{Counts, Named, Report};
use crate::output::report::{Table, clean, count, number, size};

/// Classes of one queue that are listed.
const CLASSES: usize = 5;

/// The answer, section by section; those without anything are left out.
pub fn text(report: &Report) -> String {
    let mut out = kinds(report);
    out += &classes(report);
    if !report.referents.is_empty() {
        out += "\nHeld by such references alone, and what hangs on it:\n";
        out += &referents(report);
    }
    if !report.queues.is_empty() {
        out += "\nReference queues that are not empty:\n";
        out += &queues(report);
    }
    pending(&mut out, report);
    finalizers(&mut out, report);
    if !report.cleaners.is_empty() {
        out += "\nCleaners:\n";
        out += &cleaners(report);
    }
    buffers(&mut out, report);
    out
}

/// The cells of counts.
fn cells(of: &Counts) -> [String; 5] {
    [of.references, of.cleared, of.strong, of.alone, of.other].map(number)
}

fn kinds(report: &Report) -> String {
    let head =
        ["held", "share", "references", "cleared", "to strong", "alone", "to others", "strength"];
    let mut table = Table::new(&head, &[7]);
    for of in &report.kinds {
        let mut row = vec![number(of.held), format!("{:.1} %", of.share)];
        row.extend(cells(&of.counts));
        row.push(of.strength.name().into());
        table.row(row);
    }
    table.text()
}

fn more(left: u64, one: &str, many: &str) -> String {
    if left == 0 { String::new() } else { format!("and {} more\n", count(left, one, many)) }
}

fn classes(report: &Report) -> String {
    if report.classes.is_empty() {
        return String::new();
    }
    let head = ["held", "references", "cleared", "to strong", "alone", "to others", "class"];
    let mut table = Table::new(&head, &[6]);
    for of in &report.classes {
        let mut row = vec![number(of.held)];
        row.extend(cells(&of.counts));
        row.push(format!("{} ({})", of.class, of.strength.name()));
        table.row(row);
    }
    let left = report.class_count.saturating_sub(report.classes.len() as u64);
    format!("\nBy class of the reference:\n{}{}", table.text(), more(left, "class", "classes"))
}

fn referents(report: &Report) -> String {
    let mut table = Table::new(&["retained", "objects", "held", "class"], &[2, 3]);
    for of in &report.referents {
        let sums = [of.retained, of.objects].map(number).into_iter();
        table.row(sums.chain([of.strength.name().into(), of.class.clone()]).collect());
    }
    let left = report.referent_count.saturating_sub(report.referents.len() as u64);
    table.text() + &more(left, "class", "classes")
}

fn queues(report: &Report) -> String {
    let mut table = Table::new(&["references", "retained", "queue"], &[2]);
    for of in &report.queues {
        let name = of.name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default();
        let other = of.own_length.filter(|own| *own != of.length);
        let other = other.map(|n| format!(", by its own count {}", number(n))).unwrap_or_default();
        let retained: u64 = of.classes.iter().map(|c| c.retained).sum();
        let text = format!("{} @ {:#x}{name}{other}", of.class, of.object.0);
        table.row(vec![number(of.length), number(retained), text]);
        rows(&mut table, &of.classes);
    }
    let left = report.queue_count.saturating_sub(report.queues.len() as u64);
    table.text() + &more(left, "queue", "queues")
}

fn rows(table: &mut Table, classes: &[Named]) {
    for class in classes.iter().take(CLASSES) {
        let name = format!("  {}", class.name);
        table.row(vec![number(class.objects), number(class.retained), name]);
    }
    let left = classes.len().saturating_sub(CLASSES) as u64;
    if left > 0 {
        let text = format!("  and {} more", count(left, "class", "classes"));
        table.row(vec![String::new(), String::new(), text]);
    }
}

fn pending(out: &mut String, report: &Report) {
    match report.pending.length {
        Some(0) => {}
        Some(length) => {
            let text = count(length, "reference", "references");
            let _ = writeln!(out, "\n{text} on the pending list: in no queue yet");
        }
        None if report.pending.linked > 0 => {
            let text = count(report.pending.linked, "reference", "references");
            let _ = writeln!(out, "\n{text} found by a collection and in no queue yet");
        }
        None => {}
    }
}

fn finalizers(out: &mut String, report: &Report) {
    let of = &report.finalizers;
    let Some(registered) = of.registered else { return };
    let registered = count(registered, "object", "objects");
    let _ = writeln!(out, "\nFinalizers: {registered} whose finalizer has not run");
    if let Some(queued) = of.queued.filter(|q| *q > 0) {
        let bytes = size(of.queued_bytes.unwrap_or(0));
        let text = count(queued, "waits", "wait");
        let _ = writeln!(out, "{text} in the queue, with {bytes}:");
        let mut table = Table::new(&["objects", "retained", "class"], &[2]);
        rows(&mut table, &of.queued_classes);
        *out += &table.text();
    }
    for running in &of.running {
        let thread = clean(&running.thread);
        let frame = clean(&running.finalizer);
        let _ = write!(out, "thread \"{thread}\" runs {frame}");
        if running.top_frame != running.finalizer {
            let _ = write!(out, ", now in {}", clean(&running.top_frame));
        }
        out.push('\n');
    }
}

fn cleaners(report: &Report) -> String {
    let head = ["cleaners", "cleared", "to strong", "alone", "to others", "class", "runs"];
    let mut table = Table::new(&head, &[5, 6]);
    for of in &report.cleaners {
        let mut row: Vec<String> = cells(&of.counts).into();
        row.push(of.class.clone());
        row.push(of.action_class.clone().unwrap_or_else(|| "itself".into()));
        table.row(row);
    }
    table.text()
}

fn buffers(out: &mut String, report: &Report) {
    let of = &report.direct_buffers;
    if of.buffers + of.dead_buffers + of.mapped_buffers == 0 && of.reserved.unwrap_or(0) == 0 {
        return;
    }
    let buffers = |n| count(n, "buffer", "buffers");
    let _ = write!(out, "\nDirect memory: {} of {}", size(of.capacity), buffers(of.buffers));
    if of.dead_buffers > 0 {
        let dead = buffers(of.dead_buffers);
        let _ = write!(out, ", {} of {dead} that only wait to be freed", size(of.dead_capacity));
    }
    if of.mapped_buffers > 0 {
        let mapped = buffers(of.mapped_buffers);
        let _ = write!(out, ", {} of {mapped} of mapped files", size(of.mapped_capacity));
    }
    out.push('\n');
    if let Some(reserved) = of.reserved {
        let limit = of.limit.filter(|l| *l < 1 << 62);
        let limit = limit.map(|l| format!(" of {} allowed", size(l))).unwrap_or_default();
        let n = of.count.map(|n| format!(" in {}", buffers(n))).unwrap_or_default();
        let _ = writeln!(out, "the JVM counts {}{limit}{n}", size(reserved));
    }
    // Buffers of memory that java.nio.Bits did not hand out.
    let all = of.capacity.saturating_add(of.dead_capacity);
    let others = all.saturating_sub(of.total_capacity.unwrap_or(0));
    if others > 0 {
        let _ = writeln!(
            out,
            "{} of it the JVM does not count: native code or a library such as Netty took it, and has to free it",
            size(others)
        );
    }
}
