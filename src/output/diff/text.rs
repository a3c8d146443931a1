//! What changed, for people.

use std::fmt::Write;

use super::{Change, Diff, Grown, Presence, Side, Step};
use crate::output::report::{Table, clean, count, number, size};

/// The whole answer; groups have `kind` in common.
pub fn text(sides: [&Side; 2], diff: &Diff, kind: &str) -> String {
    let mut table = Table::new(&["", "strongly held", "all objects", "file"], &[0, 3]);
    for (name, side) in ["before", "after"].into_iter().zip(sides) {
        let bytes = [side.totals.strong, side.totals.bytes].map(size).into_iter();
        table.row([name.into()].into_iter().chain(bytes).chain([side.file.clone()]).collect());
    }
    let of = |side: &Side| side.totals.strong;
    let mut out = table.text();
    let by = signed(diff.strong_change, size);
    let _ = write!(out, "change  {by}");
    if of(sides[0]) > 0 {
        let percent = diff.strong_change as f64 * 100.0 / of(sides[0]) as f64;
        let _ = write!(out, " ({percent:+.1} %)");
    }
    out.push('\n');
    if !diff.grown.is_empty() {
        out += "\nWho holds more, or less:\n";
        out += &grown(&diff.grown);
        out += &more(diff.grown_count - diff.grown.len(), "place", "places");
    }
    match diff.groups.is_empty() {
        true => out += &format!("\nNo {kind} changed.\n"),
        false => {
            out += &format!("\nBy {kind}:\n");
            out += &groups(&diff.groups, kind);
            out += &more(diff.group_count - diff.groups.len(), "group", "groups");
        }
    }
    if !diff.gates.is_empty() {
        out.push('\n');
        diff.gates.iter().for_each(|gate| out += &format!("{}\n", clean(&gate.to_string())));
    }
    out
}

fn more(left: usize, one: &str, many: &str) -> String {
    match left as u64 {
        0 => String::new(),
        left => format!("and {} more\n", count(left, one, many)),
    }
}

/// With its sign, also of what grew.
fn signed(n: i64, shown: impl Fn(u64) -> String) -> String {
    let sign = match n {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", shown(n.unsigned_abs()))
}

fn grown(all: &[Grown]) -> String {
    let mut table = Table::new(&["retained", "objects", "now", "held by"], &[3]);
    for of in all {
        table.row(vec![
            signed(of.retained_change, size),
            signed(of.objects_change, number),
            number(of.after.objects),
            of.path.iter().map(step).collect::<Vec<_>>().join(" > "),
        ]);
    }
    table.text()
}

fn step(of: &Step) -> String {
    match &of.field {
        Some(field) => format!("{}: {}", clean(field), clean(&of.class)),
        None => clean(&of.class),
    }
}

fn groups(all: &[Change], kind: &str) -> String {
    let head = ["retained", "shallow", "objects", "now", "", kind];
    let mut table = Table::new(&head, &[4, 5]);
    for of in all {
        table.row(vec![
            signed(of.retained_change, size),
            signed(of.shallow_change, size),
            signed(of.objects_change, number),
            number(of.after.objects),
            match of.presence {
                Presence::New => "new",
                Presence::Gone => "gone",
                Presence::Both => "",
            }
            .into(),
            of.name.clone(),
        ]);
    }
    table.text()
}
