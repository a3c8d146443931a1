//! What objects retain, for people.

use std::fmt::Write;

use super::{Group, Held, Totals};
use crate::output::report::{Table, number, object_name, size};

/// All bytes by how they are held, in a few lines.
pub fn summary(totals: &Totals) -> String {
    let of = |bytes: u64| super::share(bytes, totals.bytes);
    let mut out = format!("{} in all objects\n", size(totals.bytes));
    let lines = [
        (totals.strong, "strongly held"),
        (totals.soft, "held by soft references at most"),
        (totals.weak, "held by weak references at most"),
        (totals.finalizable, "waiting to be finalized"),
        (totals.phantom, "held by phantom references at most"),
        (totals.garbage, "held by nothing: garbage"),
    ];
    for (bytes, what) in lines.into_iter().filter(|(bytes, _)| *bytes > 0) {
        let _ = writeln!(out, "  {:>10}  {:>5.1} %  {what}", size(bytes), of(bytes));
    }
    out
}

/// Objects, a line each.
pub fn object_table(all: &[Held]) -> String {
    let weaker = all.iter().any(|h| h.weaker > 0);
    let mut head = vec!["retained", "share", "shallow"];
    if weaker {
        head.push("weaker");
    }
    head.push("object");
    let mut table = Table::new(&head, &[head.len() - 1]);
    for of in all {
        let mut row = vec![number(of.retained), format!("{:.1} %", of.share), number(of.shallow)];
        if weaker {
            row.push(number(of.weaker));
        }
        row.push(object_name(&of.class, of.object, of.label.as_deref()));
        table.row(row);
    }
    table.text()
}

/// Groups, a line each, under the name of what they have in common.
pub fn group_table(all: &[Group], name: &str) -> String {
    let mut table = Table::new(&["retained", "share", "weaker", "objects", "shallow", name], &[5]);
    for of in all {
        table.row(vec![
            number(of.retained),
            format!("{:.1} %", of.share),
            number(of.weaker),
            number(of.objects),
            number(of.shallow),
            of.name.clone(),
        ]);
    }
    table.text()
}
