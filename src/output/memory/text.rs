//! The answer for people: the table, what stands out, threads.

use std::fmt::Write;

use super::{Bytes, Category, Grown, Owner, Part, Report, Row, Source, State};
use crate::malloc::Allocator;
use crate::output::report::{Table, clean, count, number, size, wrap};

/// Rows of a part that are listed.
const ROWS: usize = 6;
/// The column of swap.
const SWAP: usize = 1;
/// The column of direct buffers in the threads' table.
const DIRECT: usize = 4;
/// Less than this of a category of NativeMemoryTracking's is not listed by itself.
const LEAST_BOOKED: u64 = 1 << 20;
/// Width of sentences.
const WIDTH: usize = 100;

/// All of it; `threads` is how many threads are listed.
pub fn text(r: &Report, threads: usize) -> String {
    let mut out = head(r);
    out += &table(r).text();
    if !r.findings.is_empty() {
        out.push('\n');
    }
    for f in &r.findings {
        let remedy = f.remedy.as_ref().map_or(String::new(), |r| format!(" -> {r}"));
        paragraph(&mut out, &format!("{}{remedy}", f.text));
    }
    out += &tracked(r);
    if threads > 0 {
        out += "\n";
        out += &of_threads(r, threads);
    }
    out
}

fn paragraph(out: &mut String, text: &str) {
    let lines = wrap(clean(text).split_whitespace().map(String::from), WIDTH - 2);
    for (i, line) in lines.iter().enumerate() {
        let _ = writeln!(out, "{} {line}", if i == 0 { "*" } else { " " });
    }
}

fn head(r: &Report) -> String {
    let total = size(r.total.resident_bytes);
    let mut out = match r.source {
        Source::Kernel => {
            let kernel = r.kernel.and_then(|k| k.resident);
            let kernel =
                kernel.map_or(String::new(), |k| format!("; the kernel counts {}", size(k)));
            format!("{total} in memory, {} in swap{kernel}\n", size(r.total.swapped_bytes))
        }
        Source::Saved => format!(
            "{total} of pages that the core holds and that are not all zeros; which pages were in memory it does not say\n"
        ),
    };
    if r.malloc.allocator != Allocator::Glibc {
        let library = r.malloc.library.as_deref().unwrap_or("a library that rjcore does not know");
        let _ = writeln!(
            out,
            "malloc is that of {}: what it holds is among what is unknown",
            clean(library)
        );
    }
    for g in r.groups.iter().filter(|g| g.group.limit.is_some()) {
        let limit = size(g.group.limit.unwrap_or(0));
        let (usage, left) = (size(g.group.usage), size(g.left.unwrap_or(0)));
        let _ =
            writeln!(out, "limit {limit}, in use {usage}, left {left}: {}", clean(&g.group.path));
    }
    out.push('\n');
    out
}

fn table(r: &Report) -> Table {
    // Most machines have none.
    let has_swap = r.total.swapped_bytes > 0;
    let hidden = (!has_swap).then_some(SWAP);
    let head = but(hidden, ["in memory", "in swap", "reserved", "in use", "share", "what"]);
    let mut table = Table::new(&head, &[head.len() - 1]);
    let share = |b: &Bytes| {
        let of = b.resident_bytes as f64 * 100.0 / r.total.resident_bytes.max(1) as f64;
        format!("{of:.1} %")
    };
    let dash = |n: u64| if n == 0 { "-".to_owned() } else { size(n) };
    let mut row = |b: &Bytes, used: Option<u64>, share: String, what: String| {
        let used = used.map_or("-".into(), size);
        let (memory, swap) = (dash(b.resident_bytes), dash(b.swapped_bytes));
        table.row(but(hidden, [memory, swap, size(b.reserved_bytes), used, share, what]));
    };
    for part in &r.parts {
        row(&part.bytes, None, share(&part.bytes), part.part.title().into());
        for of in part.rows.iter().take(ROWS) {
            row(&of.bytes, of.used_bytes, String::new(), format!("  {}{}", of.name, things(of)));
        }
        let (more, mut rest) = (part.rows.len().saturating_sub(ROWS), Bytes::default());
        part.rows.iter().skip(ROWS).for_each(|of| rest += of.bytes);
        if more > 0 {
            row(&rest, None, String::new(), format!("  and {} more", number(more as u64)));
        }
    }
    row(&r.total, None, share(&r.total), "all".into());
    table
}

/// Cells but for those of one column.
fn but<T, const N: usize>(hidden: Option<usize>, cells: [T; N]) -> Vec<T> {
    let shown = cells.into_iter().enumerate().filter(|(i, _)| Some(*i) != hidden);
    shown.map(|(_, cell)| cell).collect()
}

/// ` (12)`: how many things are in it.
fn things(row: &Row) -> String {
    row.count.filter(|n| *n > 1).map_or(String::new(), |n| format!(" ({})", number(n)))
}

/// What the VM has booked itself, beside what is in memory of it.
fn tracked(r: &Report) -> String {
    match r.tracking.state {
        State::Off | State::Unread => return String::new(),
        State::Stopped => {
            return "\nNativeMemoryTracking was on, and the VM has stopped it\n".into();
        }
        State::Kept => {}
    }
    let head = ["reserved", "committed", "malloc", "in memory here", "NativeMemoryTracking's"];
    let mut table = Table::new(&head, &[4]);
    let dash = |n: u64| if n == 0 { "-".to_owned() } else { size(n) };
    let mut row = |of: &[&Category], here: String, name: String| {
        let sum = |f: fn(&Category) -> u64| dash(of.iter().map(|c| f(c)).sum());
        let committed = of.iter().map(|c| c.booked.committed_bytes).sum::<Option<u64>>();
        let committed = committed.map_or("?".into(), dash);
        let (reserved, malloc) = (sum(|c| c.booked.reserved_bytes), sum(|c| c.booked.malloced()));
        table.row(vec![reserved, committed, malloc, here, name]);
    };
    let mut small: Vec<&Category> = Vec::new();
    for of in r.tracking.groups() {
        let bytes = of.iter().map(|c| c.booked.reserved_bytes + c.booked.malloced());
        if bytes.sum::<u64>() < LEAST_BOOKED {
            small.extend(of);
            continue;
        }
        let here = of.first().and_then(|c| c.part);
        let here = here.map_or("-".into(), |part| dash(r.part(part).resident_bytes));
        let names: Vec<&str> = of.iter().map(|c| c.booked.name.as_str()).collect();
        row(&of, here, names.join(", "));
    }
    if !small.is_empty() {
        row(&small, "-".into(), format!("and {} more", number(small.len() as u64)));
    }
    let here = [Part::Malloc, Part::Buffers].map(|p| r.part(p).resident_bytes);
    let (booked, here) = (dash(r.tracking.malloced()), size(here.iter().sum()));
    table.row(vec![String::new(), String::new(), booked, here, "all of malloc".into()]);
    format!("\n{}", table.text())
}

fn of_threads(r: &Report, most: usize) -> String {
    let head =
        ["stack in memory", "reserved", "TLAB", "allocated", "direct buffers", "of", "thread"];
    // Where nobody has looked for holders.
    let hidden = r.direct_holders.is_none().then_some(DIRECT);
    let head = but(hidden, head);
    let mut table = Table::new(&head, &[head.len() - 2, head.len() - 1]);
    let dash = |n: Option<u64>| n.map_or("-".into(), size);
    for t in r.threads.iter().take(most) {
        let of = match t.owner {
            Owner::Java => "Java",
            Owner::Vm => "VM",
            Owner::Native => "-",
        };
        table.row(but(
            hidden,
            [
                size(t.stack_resident_bytes),
                size(t.stack_reserved_bytes),
                dash(t.tlab_bytes),
                dash(t.allocated_bytes),
                dash(t.direct_bytes),
                of.into(),
                t.name.clone(),
            ],
        ));
    }
    let mut out = table.text();
    let more = r.threads.len().saturating_sub(most) as u64;
    if more > 0 {
        let _ = writeln!(out, "and {} more", count(more, "thread", "threads"));
    }
    out
}

/// What grew.
pub fn grown_text(g: &Grown) -> String {
    let change = |bytes: i64| {
        let sign = if bytes < 0 { "-" } else { "+" };
        format!("{sign}{}", size(bytes.unsigned_abs()))
    };
    let all = (g.resident_bytes as i64).wrapping_sub(g.before_resident_bytes as i64);
    let mut out = format!(
        "{} in memory before, {} now: {}\n\n",
        size(g.before_resident_bytes),
        size(g.resident_bytes),
        change(all)
    );
    let mut table = Table::new(&["grown", "before", "now", "count", "what"], &[4]);
    for row in &g.rows {
        let held = |b: &Bytes| size(b.resident_bytes.saturating_add(b.swapped_bytes));
        let counts = match (row.counts.before, row.counts.now) {
            (Some(was), Some(is)) if was != is => format!("{} -> {}", number(was), number(is)),
            (None, Some(is)) => number(is),
            (_, is) => is.map_or("-".into(), number),
        };
        let what = format!("{}: {}", row.part.title(), row.name);
        table.row(vec![change(row.grown), held(&row.before), held(&row.now), counts, what]);
    }
    out += &table.text();
    out
}
