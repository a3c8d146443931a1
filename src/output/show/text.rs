//! An object for people.

use std::fmt::Write;

use super::{Contents, Entry, Field, Object, Referrer, Shown};
use crate::output::paths::Reference;
use crate::output::report::{Table, clean, count, number, object_name, size_exact};

/// All that is told of an object, in sections.
pub fn table(of: &Object) -> String {
    let mut out = String::new();
    head(of, &mut out);
    contents(&of.contents, &mut out);
    referrers(of, &mut out);
    if !of.retains.is_empty() {
        out.push_str("\nRetains, itself included:\n");
        let mut table = Table::new(&["bytes", "objects", "class"], &[2]);
        for kind in &of.retains {
            table.row(vec![number(kind.bytes), number(kind.objects), kind.class.clone()]);
        }
        out.push_str(&table.text());
    }
    out
}

fn head(of: &Object, out: &mut String) {
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{:<11}{}", name, clean(&text));
    };
    line("object", object_name(&of.class, of.object, of.label.as_deref()));
    line("shallow", size_exact(of.shallow));
    line(
        "retained",
        match of.retained {
            Some(bytes) => size_exact(bytes),
            None => "nothing holds it: it is garbage".into(),
        },
    );
    if of.weaker > 0 {
        line("weaker", format!("{} below it, by weaker references only", size_exact(of.weaker)));
    }
    if of.retained.is_some() {
        line(
            "held",
            match of.strength {
                "strong" => "strongly".into(),
                weaker => format!("by {weaker} references at most"),
            },
        );
    }
    line("loader", of.loader.as_ref().map_or_else(|| "the boot loader".into(), Shown::text));
    for root in &of.roots {
        line("root", root.clone());
    }
    match &of.dominator {
        Some(dominator) => line("only by", dominator.text()),
        None if of.retained.is_some() && of.roots.is_empty() => {
            line("only by", "no single object: several hold it".into());
        }
        None => {}
    }
}

fn contents(of: &Contents, out: &mut String) {
    if let Some(text) = &of.text {
        let _ = writeln!(out, "\nText:\n{}", clean(text));
    }
    if let Some(collection) = &of.collection {
        let size = collection.size.map_or("an unknown number of".into(), number);
        let more = if collection.more { " or more" } else { "" };
        let room = collection.capacity.map(|c| format!(", room for {}", number(c)));
        let (kind, room) = (collection.kind, room.unwrap_or_default());
        let _ = writeln!(out, "\nA {kind} of {size}{more}{room}:");
        let mut table = Table::new(&[], &[0, 1]);
        for Entry { key, value } in collection.entries.iter().flatten() {
            table.row(match key {
                Some(key) => vec![key.text(), value.text()],
                None => vec![value.text()],
            });
        }
        out.push_str(table.text().trim_start_matches('\n'));
        let shown = collection.entries.as_ref().map_or(0, |e| e.len() as u64);
        rest(collection.size.unwrap_or(0).saturating_sub(shown), out);
    }
    if let (Some(length), Some(elements)) = (of.length, &of.elements) {
        let _ = writeln!(out, "\n{}:", count(length, "element", "elements"));
        let mut table = Table::new(&[], &[0, 1]);
        for (i, element) in elements.iter().enumerate() {
            table.row(vec![format!("[{i}]"), element.text()]);
        }
        out.push_str(table.text().trim_start_matches('\n'));
        rest(length.saturating_sub(elements.len() as u64), out);
    }
    if let Some(statics) = &of.statics {
        fields("Static fields", statics, out);
    }
    fields("Fields", &of.fields, out);
}

fn rest(left: u64, out: &mut String) {
    if left > 0 {
        let _ = writeln!(out, "and {} more", number(left));
    }
}

fn fields(head: &str, all: &[Field], out: &mut String) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{head}:");
    let mut table = Table::new(&["class", "field", "value"], &[0, 1, 2]);
    for field in all {
        table.row(vec![field.declared_by.clone(), field.name.clone(), field.value.text()]);
    }
    out.push_str(&table.text());
}

fn referrers(of: &Object, out: &mut String) {
    let all = &of.referrers;
    let objects = count(all.objects, "object refers", "objects refer");
    let _ = writeln!(out, "\n{objects} to it{}", if all.objects == 0 { "." } else { ":" });
    let mut table = Table::new(&["object", "by"], &[0, 1]);
    for referrer in &all.first {
        let garbage = if referrer.garbage { " (garbage)" } else { "" };
        table.row(vec![referrer.object.text() + garbage, by(referrer)]);
    }
    if all.objects > 0 {
        out.push_str(&table.text());
        rest(all.objects.saturating_sub(all.first.len() as u64), out);
    }
    if all.objects > all.first.len() as u64 {
        out.push_str("\nAll of them by class:\n");
        let mut table = Table::new(&["objects", "class"], &[1]);
        for class in &all.classes {
            table.row(vec![number(class.objects), class.class.clone()]);
        }
        out.push_str(&table.text());
    }
}

/// References of one referrer that are named.
const NAMED: usize = 5;

fn by(referrer: &Referrer) -> String {
    let named = referrer.references.iter().take(NAMED);
    let named = named.map(Reference::text);
    let mut text = named.collect::<Vec<_>>().join(", ");
    if referrer.references.len() > NAMED {
        text.push_str(", ...");
    }
    text
}

impl Shown {
    /// `java.util.ArrayList @ 0x1234 (3 entries)`, `42`, `null`.
    pub fn text(&self) -> String {
        match (self.kind, &self.value, self.object) {
            ("object", value, Some(at)) => {
                let class = self.class.as_deref().unwrap_or("?");
                let class = match self.length {
                    Some(n) if class.ends_with("[]") => {
                        // The length stands in the first pair, as in Java.
                        let dims = class.find("[]").unwrap_or(class.len());
                        format!("{}[{n}]{}", &class[..dims], class.get(dims + 2..).unwrap_or(""))
                    }
                    _ => class.to_owned(),
                };
                let entries = self.entries.map(|n| count(n, "entry", "entries"));
                let label = self.label.clone().or_else(|| value.clone()).or(entries);
                object_name(&class, at.0, label.as_deref())
            }
            ("dangling", _, Some(at)) => format!("{at:#x}: no object", at = at.0),
            ("char", Some(unit), _) => {
                let c = unit.parse().ok().and_then(char::from_u32);
                c.filter(|c| !c.is_control()).map_or_else(|| unit.clone(), |c| format!("'{c}'"))
            }
            (_, Some(value), _) => value.clone(),
            ("flat", ..) => "a value object that lies here".into(),
            (kind, ..) => kind.into(),
        }
    }
}
