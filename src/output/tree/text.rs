//! A tree, for people.

use super::{Level, Line};
use crate::graph::Strength;
use crate::output::report::{Table, clean, count, number, object_name};

/// Lines under one another, each level further to the right.
pub fn table(lines: &[Line], level: Option<&Level>) -> String {
    let mut table = Table::new(&["retained", "share", "shallow", "object"], &[3]);
    let mut rows = Vec::new();
    lines.iter().for_each(|line| add(&mut rows, line, 0));
    level.into_iter().for_each(|level| below(&mut rows, level, 0));
    rows.into_iter().for_each(|row| table.row(row));
    table.text()
}

/// What dominates an object, the nearest first.
pub fn path(above: &[Line]) -> String {
    let mut out = String::new();
    for line in above {
        out += &format!("  held by {}, which retains {}\n", name(line), number(line.retained));
    }
    out
}

fn add(rows: &mut Vec<Vec<String>>, line: &Line, depth: usize) {
    rows.push(vec![
        number(line.retained),
        format!("{:.1} %", line.share),
        number(line.shallow),
        "  ".repeat(depth) + &name(line),
    ]);
    if let Some(level) = &line.below {
        below(rows, level, depth + 1);
    }
}

fn below(rows: &mut Vec<Vec<String>>, level: &Level, depth: usize) {
    level.children.iter().for_each(|line| add(rows, line, depth));
    let left = level.left;
    // A line below which nothing is shown stands for all of it.
    if left.objects > 0 && !level.children.is_empty() {
        let name =
            format!("{}and {} more", "  ".repeat(depth), count(left.objects, "object", "objects"));
        rows.push(vec![number(left.retained), String::new(), String::new(), name]);
    }
}

fn name(line: &Line) -> String {
    let field = line.field.as_ref().map(|f| format!("{}: ", clean(f))).unwrap_or_default();
    let object = match line.object {
        Some(at) => object_name(&line.class, at, line.label.as_deref()),
        None => format!("{} {}", number(line.objects), clean(&line.class)),
    };
    let held = match line.strength {
        Strength::Strong => String::new(),
        strength => format!(" [{}]", strength.name()),
    };
    format!("{field}{object}{held}")
}
