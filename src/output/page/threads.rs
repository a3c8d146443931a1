//! The page's part about threads of a core: what they do and hold, deadlocks, locks, stacks.

use std::collections::BTreeMap;

use super::document::{Block, Line, Section, Table, shown};
use super::flame;
use super::heap::groups;
use crate::error::{Remark, Wording};
use crate::output::report::{clean, count, number, object_name, size};
use crate::output::retained::Group;
use crate::output::stack::group::{self, groups as stacks};
use crate::output::stack::{JavaState, LockKind, Role, Stack, Thread, ThreadDump, text};

/// Names that are listed of threads that do the same.
const NAMES: usize = 10;
/// Frames of a stack.
const FRAMES: usize = 100;

/// The summary's sentence.
pub(super) fn sentence(d: &ThreadDump) -> Line {
    let of = |is: &dyn Fn(JavaState) -> bool| {
        d.threads.iter().filter(|t| t.state.is_some_and(is)).count() as u64
    };
    let (runs, waits) = (of(&|s| s == JavaState::Runnable), of(&JavaState::waits));
    let blocked = of(&|s| s == JavaState::BlockedOnMonitorEnter);
    let virtuals = match d.virtual_thread_count {
        0 => String::new(),
        n => {
            format!(", and there {} without a carrier", are(n, "virtual thread", "virtual threads"))
        }
    };
    let deadlocks = match d.deadlocks.len() as u64 {
        0 => "no deadlock".to_owned(),
        n => count(n, "deadlock", "deadlocks"),
    };
    Line::words(format!(
        "Of {}, {runs} run, {waits} wait and {blocked} are blocked at a monitor{virtuals}; there {} {deadlocks}.",
        count(d.threads.len() as u64, "Java thread", "Java threads"),
        if d.deadlocks.len() > 1 { "are" } else { "is" },
    ))
}

fn are(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", if n == 1 { "is" } else { "are" }, count(n, one, many))
}

pub(super) fn section(d: &ThreadDump, held: &[Group], rows: usize, wording: Wording) -> Section {
    let mut blocks = vec![Block::Table(states(d))];
    blocks.push(Block::Heading("Deadlocks".into()));
    let mut cycles = String::new();
    text::deadlocks(d, wording, &mut cycles);
    match d.deadlocks.is_empty() {
        true => blocks.push(Block::Line(Line::words("There are none."))),
        false => blocks.push(Block::Lines(cut(&cycles, rows * 10))),
    }
    blocks.push(Block::Heading("Locks".into()));
    blocks.extend(locks(d, rows));
    blocks.push(Block::Heading("What threads do and hold".into()));
    blocks.push(Block::Table(busy(d, rows)));
    let caption = "What threads hold: their locals, thread locals and the rest of them";
    blocks.push(Block::Table(groups(caption, "thread", held, rows.min(25))));
    blocks.push(Block::Heading("Stacks".into()));
    let (_, hidden) = flame::of_threads(d);
    let mut about = String::from("As wide as threads are many; the outermost frame is at the top.");
    if hidden > 0 {
        let n = count(hidden, "idle thread is", "idle threads are");
        about += &format!(" {n} not drawn: others of their pool wait at the same place.");
    }
    blocks.push(Block::Line(Line::words(about)));
    blocks.push(Block::Flame);
    blocks.extend(same(d, rows));
    Section { id: "threads", title: "Threads", blocks }
}

fn cut(text: &str, lines: usize) -> Vec<String> {
    let all = text.trim().lines().count();
    let mut out: Vec<String> = text.trim().lines().take(lines).map(shown_line).collect();
    if all > lines {
        out.push(format!("and {} more lines", number((all - lines) as u64)));
    }
    out
}

/// With its indentation.
fn shown_line(line: &str) -> String {
    shown(&line.replace('\t', "    "))
}

fn states(d: &ThreadDump) -> Table {
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for t in &d.threads {
        *all.entry(Role::of(t).to_string()).or_default() += 1;
    }
    if d.virtual_thread_count > 0 {
        all.insert(Role::Virtual.to_string(), d.virtual_thread_count);
    }
    let mut table = Table::new("Threads by state", &["#threads", "state"]);
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    let row = |(state, n): (String, u64)| vec![Line::words(number(n)), Line::words(state)];
    table.rows = all.into_iter().map(row).collect();
    table
}

/// A lock that threads wait for.
#[derive(Default)]
struct Waited {
    class: String,
    owners: Vec<String>,
    waiting: Vec<String>,
}

fn locks(d: &ThreadDump, rows: usize) -> Vec<Block> {
    let mut all: BTreeMap<u64, Waited> = BTreeMap::new();
    let mut add = |t: &Thread, stack: &Stack| {
        for lock in stack.frames.iter().flat_map(|f| &f.locks) {
            let Some(at) = lock.object else { continue };
            let of = all.entry(at.0).or_default();
            of.class = lock.class.clone().unwrap_or_default();
            match lock.kind {
                LockKind::Locked => of.owners.push(t.name.clone()),
                LockKind::Eliminated => {}
                _ => of.waiting.push(t.name.clone()),
            }
        }
    };
    for t in &d.threads {
        add(t, &t.stack);
        t.carries.iter().for_each(|c| add(t, &c.stack));
    }
    for t in &d.threads {
        for lock in t.synchronizers.iter().flatten() {
            let of = all.entry(lock.address.0).or_default();
            of.class.clone_from(&lock.class);
            of.owners.push(t.name.clone());
        }
    }
    let mut all: Vec<(u64, Waited)> = all.into_iter().collect();
    let owned = all.iter().filter(|(_, of)| !of.owners.is_empty()).count();
    all.retain(|(_, of)| !of.waiting.is_empty());
    all.sort_by_key(|(at, of)| (of.owners.is_empty(), std::cmp::Reverse(of.waiting.len()), *at));
    let mut table =
        Table::new("What threads wait for", &["#waiting", "lock", "held by", "threads that wait"]);
    let names = |all: &[String]| {
        let mut all = all.to_vec();
        // One thread may have a monitor in several frames.
        all.dedup();
        let mut line = Line::default();
        for (i, name) in all.iter().take(NAMES).enumerate() {
            line = if i > 0 { line.and(", ") } else { line }.and_name(name);
        }
        match all.len().saturating_sub(NAMES) {
            0 => line,
            more => line.and(format!(" and {} more", number(more as u64))),
        }
    };
    let waited = all.len();
    for (at, of) in all.into_iter().take(rows) {
        let owners = if of.owners.is_empty() { Line::words("–") } else { names(&of.owners) };
        table.rows.push(vec![
            Line::words(number(of.waiting.len() as u64)),
            Line::name(&object_name(&of.class, at, None)),
            owners,
            names(&of.waiting),
        ]);
    }
    let mut text = format!("{} owned by threads", are(owned as u64, "lock", "locks"));
    text = format!("There {text}");
    if let Some(jni) = d.jni_handles {
        text += &format!(
            "; JNI has {} global and {} weak handles",
            number(jni.global),
            number(jni.weak)
        );
    }
    let mut out = vec![Block::Line(Line::words(text + "."))];
    if waited > 0 {
        out.push(Block::Table(table));
    }
    if waited > rows {
        let more = count((waited - rows) as u64, "lock", "locks");
        out.push(Block::Line(Line::words(format!("and {more} more"))));
    }
    out
}

/// The threads that did the most.
fn busy(d: &ThreadDump, rows: usize) -> Table {
    let rows = rows.min(25);
    let mut all: Vec<&Thread> = d.threads.iter().collect();
    let cpu = |t: &Thread| {
        t.cpu_ms.as_ref().map_or(0.0, |c| c.text().trim_end_matches("ms").parse().unwrap_or(0.0))
    };
    all.sort_by(|a, b| {
        let key = |t: &Thread| (cpu(t), t.allocated.unwrap_or(0));
        key(b).partial_cmp(&key(a)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut table = Table::new(
        format!("The {} threads that used the most CPU time", rows.min(all.len())),
        &["#CPU time", "#allocated", "state", "thread"],
    );
    for t in all.into_iter().take(rows) {
        table.rows.push(vec![
            Line::words(t.cpu_ms.as_ref().map_or("–".into(), |c| c.text())),
            Line::words(t.allocated.map_or("–".into(), size)),
            Line::words(Role::of(t).to_string()),
            Line::name(&t.name),
        ]);
    }
    table
}

/// Threads of the same stack, folded.
fn same(d: &ThreadDump, rows: usize) -> Vec<Block> {
    let all = stacks(d);
    let shown_groups = all.iter().filter(|g| !g.frames.is_empty());
    let left = shown_groups.clone().count().saturating_sub(rows);
    let mut out: Vec<Block> = shown_groups.take(rows).map(|g| stack(g)).collect();
    if left > 0 {
        let more = count(left as u64, "other stack", "other stacks");
        out.push(Block::Line(Line::words(format!("and {more}"))));
    }
    out
}

fn stack(g: &group::Group<'_>) -> Block {
    let names: Vec<String> = g.threads.iter().take(NAMES).map(|n| format!("\"{n}\"")).collect();
    let more = g.count - names.len();
    let mut lines = vec![shown(&names.join(", "))];
    if more > 0 {
        lines.push(format!("and {} more", number(more as u64)));
    }
    for f in g.frames.iter().take(FRAMES) {
        let mut line = String::new();
        text::frame(f, &mut line);
        lines.push(shown_line(line.trim_end_matches('\n')));
    }
    if g.frames.len() > FRAMES {
        let more = (g.frames.len() - FRAMES) as u64;
        lines.push(format!("    and {}", count(more, "more frame", "more frames")));
    }
    if let Some(Remark { text, .. }) = g.broken {
        lines.push(format!("    (the stack goes on, but cannot be read: {})", clean(text)));
    }
    let summary = format!("{}, {}: ", count(g.count as u64, "thread", "threads"), g.role);
    let summary = Line::words(summary).and_name(g.threads.first().unwrap_or(&""));
    Block::Folded(summary, vec![Block::Lines(lines)])
}
