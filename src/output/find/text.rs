//! What was found, for people.

use super::expr::{Property, Quantity, Text};
use super::{Found, Object, Told};
use crate::output::report::{self, Table, clean, count, number, size};

/// Objects, a line each, with what was asked for, and what they are together.
pub fn table(found: &Found) -> String {
    let mut out = format!("{}, {}", count(found.count, "object", "objects"), size(found.shallow));
    if let (Some(retained), Some(weaker)) = (found.retained, found.weaker) {
        out += &format!("; together they retain {}", size(retained));
        if weaker > 0 {
            out += &format!(", and {} by weaker references", size(weaker));
        }
    }
    out.push('\n');
    if found.objects.is_empty() {
        return out;
    }
    let columns = columns(found);
    let heads: Vec<String> = columns.iter().map(Property::name).chain(["object".into()]).collect();
    let head: Vec<&str> = heads.iter().map(String::as_str).collect();
    let is_text = |p: &Property| !matches!(p, Property::Quantity(_));
    let left = (0..).zip(&columns).filter(|(_, p)| is_text(p)).map(|(i, _)| i);
    let left: Vec<usize> = left.chain([columns.len()]).collect();
    let mut table = Table::new(&head, &left);
    for object in &found.objects {
        let name = report::object_name(&object.class, object.object, object.label.as_deref());
        table.row(columns.iter().map(|p| cell(object, p)).chain([name]).collect());
    }
    out += &table.text();
    let left = found.count.saturating_sub(found.objects.len() as u64);
    if left > 0 {
        out += &format!("and {} more\n", count(left, "object", "objects"));
    }
    out
}

/// What is shown before the object itself, which has class, address and label.
fn columns(found: &Found) -> Vec<Property> {
    let quantity = Property::Quantity;
    let mut columns = Vec::new();
    if found.objects.iter().any(|o| o.held.is_some()) {
        columns.push(quantity(Quantity::Retained));
        let held = |o: &Object| o.held.is_some_and(|h| h.strength != "strong");
        if found.objects.iter().any(held) {
            columns.push(Property::Strength);
        }
    }
    columns.push(quantity(Quantity::Shallow));
    for property in &found.show {
        let in_object = matches!(
            property,
            Property::Class | Property::Quantity(Quantity::Address) | Property::Text(Text::Label)
        );
        if !in_object && !columns.contains(property) {
            columns.push(property.clone());
        }
    }
    columns
}

fn cell(object: &Object, property: &Property) -> String {
    let held = object.held;
    let number = |n: Option<u64>| n.map_or_else(|| "-".into(), number);
    match property {
        Property::Quantity(Quantity::Retained) => number(held.map(|h| h.retained)),
        Property::Quantity(Quantity::Weaker) => number(held.map(|h| h.weaker)),
        Property::Quantity(Quantity::Shallow) => number(Some(object.shallow)),
        Property::Quantity(Quantity::Length) => number(object.length),
        Property::Strength => held.map_or("-", |h| h.strength).into(),
        Property::Text(Text::Text) => object.text.as_deref().map_or_else(|| "-".into(), clean),
        Property::Field(_) => {
            let name = property.name();
            let field = object.fields.iter().find(|f| f.name == name);
            field.map_or_else(|| "-".into(), |f| value(&f.value))
        }
        Property::Class | Property::Text(Text::Label) | Property::Quantity(Quantity::Address) => {
            String::new()
        }
    }
}

fn value(value: &Told) -> String {
    match value {
        Told::Null => "null".into(),
        Told::Boolean(b) => b.to_string(),
        Told::Whole(n) => n.to_string(),
        Told::Real(r) => r.to_string(),
        Told::Text(text) => clean(text),
        Told::Object { class, label: Some(text), .. }
            if class.as_deref() == Some("java.lang.String") =>
        {
            format!("\"{}\"", clean(text))
        }
        Told::Object { object, class, label } => {
            report::object_name(class.as_deref().unwrap_or("?"), *object, label.as_deref())
        }
    }
}
