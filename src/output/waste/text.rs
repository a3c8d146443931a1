//! Waste, for people.

use std::fmt::Write;

use super::{Holder, Kind, OfKind, Waste};
use crate::graph::Value;
use crate::output::report::{Table, clean, count, number, size};

/// What a kind is called, and what could be done.
pub(in crate::output) fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::DuplicateStrings => ("duplicate strings", "one String of each text would do"),
        Kind::DuplicateArrays => ("duplicate arrays", "one of the same elements would do"),
        Kind::EmptyCollections => ("empty collections", "null or one shared empty one would do"),
        Kind::SparseCollections => {
            ("sparse collections", "their arrays have four times the room that they need, and more")
        }
        Kind::UnusedHeadroom => ("unused headroom", "their arrays have more room than they need"),
        Kind::BoxedNumbers => ("boxed numbers", "one of each number, or a primitive, would do"),
        Kind::ZeroLengthArrays => ("zero-length arrays", "one of each class would do"),
        Kind::OverlongArrays => ("overlong arrays", "their ends are not in use"),
        Kind::WideStrings => ("wide strings", "one byte a character would do for Latin-1"),
    }
}

/// A value as it is shown.
pub(super) fn value(value: Value) -> String {
    match value {
        Value::Boolean(b) => b.to_string(),
        Value::Char(c) => format!("{:?}", char::from_u32(c.into()).unwrap_or('\u{fffd}')),
        Value::Float(f) => f.to_string(),
        Value::Double(d) => d.to_string(),
        other => other.integer().map_or_else(|| "?".into(), |n| n.to_string()),
    }
}

/// All of it.
pub fn text(waste: &Waste) -> String {
    let objects = count(waste.objects, "object is", "objects are");
    let mut out = format!("{objects} strongly held, {}.", size(waste.bytes));
    if waste.kinds.is_empty() {
        out.push_str(" Nothing to save was found.\n");
        return out;
    }
    let _ = writeln!(out, " {} of it ({:.1} %) could be saved:\n", size(waste.saves), waste.share);
    let mut table = Table::new(&["saves", "share", "objects", "kind"], &[3]);
    for of in &waste.kinds {
        table.row(vec![
            number(of.saves),
            format!("{:.1} %", of.share),
            number(of.objects),
            words(of.kind).0.into(),
        ]);
    }
    out.push_str(&table.text());
    waste.kinds.iter().for_each(|of| kind(of, &mut out));
    boxes(waste, &mut out);
    if waste.unreadable > 0 {
        let n = count(waste.unreadable, "object", "objects");
        let _ = writeln!(out, "\n{n} whose contents cannot be read were not compared");
    }
    out
}

fn kind(of: &OfKind, out: &mut String) {
    if of.holders.is_empty() && of.values.is_empty() {
        return;
    }
    let (name, what) = words(of.kind);
    let first = name[..1].to_uppercase();
    let _ = writeln!(out, "\n{first}{}: {what}", &name[1..]);
    if !of.holders.is_empty() {
        let mut table = Table::new(&["saves", "objects", "of class", "held by"], &[2, 3]);
        for holder in &of.holders {
            table.row(vec![
                number(holder.saves),
                number(holder.objects),
                holder.of.clone(),
                held_by(holder),
            ]);
        }
        out.push_str(&table.text());
        let left = of.holder_count.saturating_sub(of.holders.len()) as u64;
        if left > 0 {
            let _ = writeln!(out, "and {} more", count(left, "holder", "holders"));
        }
    }
    if !of.values.is_empty() {
        let mut table = Table::new(&["saves", "copies", "contents"], &[2]);
        for of in &of.values {
            let contents = match (&of.value, of.length) {
                (Some(text), _) if of.class == "java.lang.String" => format!("\"{}\"", clean(text)),
                (Some(value), _) => format!("{} {value}", of.class),
                (None, Some(length)) => format!("{}[{length}]", of.class.trim_end_matches("[]")),
                _ => of.class.clone(),
            };
            table.row(vec![number(of.saves), number(of.copies), contents]);
        }
        let _ = write!(out, "\n{}", table.text());
    }
}

/// `com.acme.Order.lines`, with `[]` for what lies in it.
fn held_by(holder: &Holder) -> String {
    let point = if holder.class.is_empty() { "" } else { "." };
    let inside = if holder.inside { "[]" } else { "" };
    format!("{}{point}{}{inside}", holder.class, holder.field)
}

fn boxes(waste: &Waste, out: &mut String) {
    if waste.boxes.is_empty() {
        return;
    }
    let mut table = Table::new(&["bytes", "objects", "class"], &[2]);
    for of in &waste.boxes {
        table.row(vec![number(of.bytes), number(of.objects), of.class.clone()]);
    }
    let _ = write!(out, "\nAll numbers in boxes:\n{}", table.text());
}
