//! Class loaders, for people.

use std::fmt::Write;

use super::{Life, LoaderHeld, Report};
use crate::output::paths::{Chain, chain_table};
use crate::output::report::{Table, clean, count, number, object_name, size};

/// Definitions of a duplicate class that are listed.
const DEFINITIONS: usize = 5;

/// The answer: all loaders in a table, what keeps those that might go, duplicate classes.
pub fn text(report: &Report) -> String {
    let t = &report.totals;
    let mut out = format!(
        "{} with {}; {} can be unloaded\n",
        count(t.loaders, "class loader", "class loaders"),
        count(t.classes, "class", "classes"),
        number(t.unloadable),
    );
    let head = [
        "freed",
        "share",
        "retained",
        "classes",
        "instances",
        "bytes",
        "unloaded",
        "loader",
        "parent",
    ];
    let mut table = Table::new(&head, &[6, 7, 8]);
    for of in &report.loaders {
        let name = of.name.as_ref().map(|n| format!(" (\"{n}\")")).unwrap_or_default();
        let parent = of.parent.zip(of.parent_class.as_deref());
        table.row(vec![
            of.freed.map_or_else(|| "-".into(), number),
            of.share.map_or_else(|| "-".into(), |s| format!("{s:.1} %")),
            of.retained.map_or_else(|| "-".into(), number),
            number(of.classes),
            number(of.instances),
            number(of.instance_bytes),
            life(of.life).into(),
            of.text() + &name,
            parent.map_or_else(|| "-".into(), |(at, class)| object_name(class, at.0, None)),
        ]);
    }
    out += &table.text();
    let left = report.loader_count.saturating_sub(report.loaders.len() as u64);
    if left > 0 {
        let _ = writeln!(out, "and {} more", count(left, "loader", "loaders"));
    }
    for of in &report.loaders {
        of.path.iter().for_each(|chain| path(&mut out, of, chain));
    }
    if !report.duplicates.is_empty() {
        out += "\nClasses of the same name, defined by several loaders:\n";
        out += &duplicates(report);
        let left = report.duplicate_count.saturating_sub(report.duplicates.len() as u64);
        if left > 0 {
            let _ = writeln!(out, "and {} more", count(left, "name", "names"));
        }
    }
    out
}

fn life(life: Life) -> &'static str {
    match life {
        Life::Permanent => "never",
        Life::Held => "not now",
        Life::SoftlyHeld => "at need",
        Life::Unloadable => "next",
    }
}

fn path(out: &mut String, of: &LoaderHeld, chain: &Chain) {
    let freed = size(of.freed.unwrap_or(0));
    let _ = writeln!(out, "\n{}: {freed}, kept by", clean(&of.text()));
    *out += &chain_table(chain, 2);
}

fn duplicates(report: &Report) -> String {
    let mut table = Table::new(&["loaders", "instances", "bytes", "class"], &[3]);
    for of in &report.duplicates {
        table.row(vec![
            number(of.loaders),
            number(of.instances),
            number(of.bytes),
            of.name.clone(),
        ]);
        for one in of.definitions.iter().take(DEFINITIONS) {
            let cells = [String::new(), number(one.instances), number(one.bytes)];
            let by = format!("  by {}", one.text());
            table.row(cells.into_iter().chain([by]).collect());
        }
        let left = of.loaders.saturating_sub(of.definitions.len().min(DEFINITIONS) as u64);
        if left > 0 {
            let more = format!("  and by {} more", number(left));
            table.row(vec![String::new(), String::new(), String::new(), more]);
        }
    }
    table.text()
}
