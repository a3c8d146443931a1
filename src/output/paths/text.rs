//! Paths for people: from the root down, as one would write the fields in Java.

use super::words::link;
use super::{Branch, Chain, Merged, Step};
use crate::output::report::{Table, count, number, object_name, size};

/// A path, a line for each object from the root down, under `indent` spaces.
pub fn chain_table(chain: &Chain, indent: usize) -> String {
    let mut table = Table::new(&["held by", "object", "retained"], &[0, 1]);
    for (i, step) in chain.steps.iter().enumerate() {
        if chain.left_out > 0 && i == chain.steps.len() / 2 {
            table.row(vec![count(chain.left_out, "more step", "more steps")]);
        }
        let retained = step.retained.map_or("?".into(), size);
        table.row(vec![
            step.link(),
            object_name(&step.class, step.object, step.label.as_deref()),
            retained,
        ]);
    }
    let text = table.text();
    text.lines().map(|line| format!("{:indent$}{line}\n", "")).collect()
}

impl Step {
    fn link(&self) -> String {
        let text = self.reference.text();
        match self.times {
            1 => text,
            n => format!("{text} x {}", number(n)),
        }
    }
}

impl Branch {
    /// As a row has it.
    fn text(&self) -> String {
        let link = link(self.by, self.name.as_deref(), None, self.strength);
        let nested = if self.nested { ", one behind the other" } else { "" };
        match self.object {
            Some(at) => {
                format!("{link}: {}", object_name(&self.class, at.0, self.label.as_deref()))
            }
            None => format!("{link}: {} ({}{nested})", self.class, number(self.holders)),
        }
    }
}

/// Merged paths, a line for each branch from the roots down.
pub fn merged_table(merged: &Merged) -> String {
    let mut table = Table::new(&["objects", "retained", "held by"], &[2]);
    // Of the branches that the last row lies in: how deep, and what is not shown below them.
    let mut open: Vec<(u32, u64)> = Vec::new();
    let close = |table: &mut Table, open: &mut Vec<(u32, u64)>, depth: u32| {
        while let Some((at, left_out)) = open.pop_if(|o| o.0 >= depth) {
            if left_out > 0 {
                let indent = 2 * (at as usize + 1);
                let more = count(left_out, "more branch", "more branches");
                table.row(vec![String::new(), String::new(), format!("{:indent$}and {more}", "")]);
            }
        }
    };
    for branch in &merged.branches {
        close(&mut table, &mut open, branch.depth);
        open.push((branch.depth, branch.left_out));
        let indent = 2 * branch.depth as usize;
        table.row(vec![
            number(branch.objects),
            size(branch.retained),
            format!("{:indent$}{}", "", branch.text()),
        ]);
    }
    close(&mut table, &mut open, 0);
    table.text()
}
