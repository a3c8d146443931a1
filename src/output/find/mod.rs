//! Objects by an expression over what they are: `class=com.acme.* and retained>1MB and field.name ~ "x"`.
//!
//! An expression is read ([`Query::parse`]), compiled against a graph once (`judge`), so that most objects are judged
//! by their class alone, and then all objects are (`search`). What objects retain, and how they are held, is found only
//! where something asks for it ([`Query::wants_tree`]).

mod classes;
mod expr;
mod judge;
mod parse;
mod search;
#[cfg(test)]
mod tests;
mod text;

pub use text::table;

use std::fmt;

use serde::Serialize;

use self::expr::{Expr, Property, Quantity, Text};
use self::judge::{Judge, Path, Seen, Verdict, paths};
use self::search::{Hit, Hits, Order};
use super::report::clean;
use super::retained::{class_name, share};
use crate::address::hex;
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::{Id, ObjectGraph, Strength, Value};

/// Characters that are shown of a text that was asked for.
const TEXT: usize = 10_000;

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The byte of the expression at which it is.
    pub at: usize,
    /// What it is.
    pub what: String,
}

impl Mistake {
    /// In words, with the expression and a mark below the place.
    pub fn text(&self, expression: &str) -> String {
        // Characters that a terminal shows as one each.
        let plain: String =
            expression.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let before = expression.get(..self.at).map_or(0, |b| b.chars().count());
        format!("{}\n  {plain}\n  {}^", clean(&self.what), " ".repeat(before))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {})", self.what, self.at)
    }
}

/// An expression that was read, and what is to be told of the objects for which it holds.
#[derive(Debug, Clone)]
pub struct Query {
    expr: Expr,
    show: Vec<Property>,
    sort: Property,
    top: usize,
}

impl Query {
    /// Reads an expression. The `top` first are told, of those that retain the most where that is known, else of the
    /// largest, with all that the expression names.
    pub fn parse(text: &str, top: usize) -> Result<Query, Mistake> {
        let mut show = Vec::new();
        let expr = expr::check(parse::parse(text)?, &mut show)?;
        let mut query = Query { expr, show, sort: Property::Class, top };
        query.sort = Property::Quantity(match query.wants_tree() {
            true => Quantity::Retained,
            false => Quantity::Shallow,
        });
        Ok(query)
    }

    /// Tells these properties instead. An error names one that there is not.
    pub fn show(&mut self, names: &[String]) -> Result<(), String> {
        self.show = names.iter().map(|n| Property::parse(n)).collect::<Result<_, _>>()?;
        if self.wants_tree() && self.sort == Property::Quantity(Quantity::Shallow) {
            self.sort = Property::Quantity(Quantity::Retained);
        }
        Ok(())
    }

    /// Orders by this property instead, the largest first; by address the lowest.
    pub fn sort(&mut self, name: &str) -> Result<(), String> {
        self.sort = match Property::parse(name)? {
            sort @ (Property::Quantity(_) | Property::Field(_)) => sort,
            other => return Err(format!("{} is no number to sort by", other.name())),
        };
        Ok(())
    }

    /// Whether the dominator tree is needed.
    pub fn wants_tree(&self) -> bool {
        let mut all = self.show.iter().chain([&self.sort]);
        all.any(Property::wants_tree) || self.expr.wants_tree()
    }

    /// Finds the objects for which the expression holds, by all threads of the pool that this is called in.
    pub fn in_graph<G: ObjectGraph>(
        &self,
        graph: &G,
        rule: Rule,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Found {
        let judge = Judge::new(graph, rule, &self.expr);
        let order = self.order(graph);
        let hits = search::in_graph(&judge, &order, progress);
        self.found(&judge, hits, |hit| Seen::of(&judge, hit, 0, 0), |_| None)
    }

    /// The same with what objects retain and how they are held, by the threads of the tree's pool.
    pub fn in_tree<G: ObjectGraph, I: Id>(&self, tree: &Dominators<'_, G, I>) -> Found {
        let judge = Judge::new(tree.graph(), tree.rule(), &self.expr);
        let order = self.order(tree.graph());
        let (hits, together) = search::in_tree(tree, &judge, &order);
        let seen = |hit: &Hit| {
            let (retained, weaker) = match (tree.number(hit.place), hit.strength) {
                (Some(number), _) => (tree.retained(number), tree.weaker(number)),
                (None, Some(_)) => (tree.part_retained(hit.place), 0),
                (None, None) => (0, 0),
            };
            Seen::of(&judge, hit, retained, weaker)
        };
        let held = |seen: &Seen| {
            let all = seen.strength.map_or(0, |s| tree.held(s));
            Some(Held {
                retained: seen.retained,
                share: share(seen.retained, all),
                weaker: seen.weaker,
                strength: seen.strength.map_or(expr::GARBAGE, Strength::name),
            })
        };
        let mut found = self.found(&judge, hits, seen, held);
        found.retained = Some(together.retained);
        found.weaker = Some(together.weaker);
        found
    }

    fn order<G: ObjectGraph>(&self, graph: &G) -> Order<'_> {
        let path = match &self.sort {
            Property::Field(names) => Some(Path::new(graph, names)),
            _ => None,
        };
        Order { property: &self.sort, path, top: self.top }
    }

    fn found<G: ObjectGraph>(
        &self,
        judge: &Judge<'_, G>,
        hits: Hits,
        seen: impl Fn(&Hit) -> Seen,
        held: impl Fn(&Seen) -> Option<Held>,
    ) -> Found {
        let paths = paths(judge.graph, &self.show);
        let shows = |property: &Property| self.show.contains(property);
        let object = |hit: &Hit| {
            let seen = seen(hit);
            let named = self.show.iter().zip(&paths);
            let fields: Vec<FieldValue> = named
                .filter_map(|(property, path)| {
                    let value = judge.value(path.as_ref()?, &seen)?;
                    Some(FieldValue { name: property.name(), value: told(judge, value) })
                })
                .collect();
            let asked = shows(&Property::Text(Text::Text));
            Object {
                object: judge.graph.address(hit.place),
                class: class_name(judge.graph, seen.class),
                label: judge.label(hit.place),
                shallow: judge.size(hit.place),
                held: held(&seen),
                length: judge.length(&seen, &mut judge.reader()),
                text: if asked { judge.graph.text(hit.place, TEXT) } else { None },
                fields,
            }
        };
        let classes = 0..judge.graph.classes().len() as u32;
        Found {
            count: hits.count,
            shallow: hits.shallow,
            retained: None,
            weaker: None,
            objects: hits.all.iter().map(object).collect(),
            unknown_interfaces: judge.unknown.clone(),
            no_class_fits: classes.into_iter().all(|c| judge.verdict(c) == Verdict::No),
            show: self.show.clone(),
        }
    }
}

impl Seen {
    fn of<G: ObjectGraph>(judge: &Judge<'_, G>, hit: &Hit, retained: u64, weaker: u64) -> Seen {
        let (place, strength) = (hit.place, hit.strength);
        Seen { place, class: judge.graph.class_of(place), retained, weaker, strength }
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// How many objects.
    pub count: u64,
    /// Their own bytes.
    pub shallow: u64,
    /// Bytes that would be freed if all of them went; of those within others once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retained: Option<u64>,
    /// Bytes of them and below them that only weaker references hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weaker: Option<u64>,
    /// The first of them.
    pub objects: Vec<Object>,
    /// By its class none of the objects can be meant: perhaps a name is mistyped.
    pub no_class_fits: bool,
    /// Classes that `is` names and that may be interfaces, where the input does not tell which classes implement these: such
    /// objects are missing.
    #[serde(skip)]
    pub unknown_interfaces: Vec<String>,
    #[serde(skip)]
    show: Vec<Property>,
}

/// An object that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Object {
    /// Its address.
    #[serde(serialize_with = "hex")]
    pub object: u64,
    /// Its class.
    pub class: String,
    /// Of a class object the class that it stands for, of a thread its name, of a String its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its own bytes.
    pub shallow: u64,
    /// What the dominator tree says of it, where it was found.
    #[serde(flatten)]
    pub held: Option<Held>,
    /// Elements of an array, characters of a String, entries of a collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// The text of a String, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The fields that were asked for, as far as it has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldValue>,
}

/// What the dominator tree says of an object.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Held {
    /// Bytes that would be freed if it went.
    pub retained: u64,
    /// Of all that is held as strongly, in percent.
    pub share: f64,
    /// Bytes below it that only weaker references hold.
    pub weaker: u64,
    /// How it is held itself, `garbage` where by nothing.
    pub strength: &'static str,
}

/// A field's value.
#[derive(Debug, Clone, Serialize)]
pub struct FieldValue {
    /// As it was asked for: `field.owner.name`.
    pub name: String,
    /// Null where it is null.
    pub value: Told,
}

/// A value as JSON has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// Null, or a value object that lies in the field.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Whole(i64),
    /// A number with a fraction; what JSON has no number for is text: `NaN`.
    Real(f64),
    /// A char.
    Text(String),
    /// An object; without a class where the graph has none at the address.
    Object {
        /// Its address.
        #[serde(serialize_with = "hex")]
        object: u64,
        /// Its class.
        class: Option<String>,
        /// What tells it from others of its class.
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
}

fn told<G: ObjectGraph>(judge: &Judge<'_, G>, value: Value) -> Told {
    let real = |r: f64| if r.is_finite() { Told::Real(r) } else { Told::Text(r.to_string()) };
    match value {
        Value::Null | Value::Flat => Told::Null,
        Value::Boolean(b) => Told::Boolean(b),
        Value::Char(unit) => Told::Text(String::from_utf16_lossy(&[unit])),
        Value::Float(f) => real(f.into()),
        Value::Double(d) => real(d),
        Value::Dangling(object) => Told::Object { object, class: None, label: None },
        Value::Object(place) => Told::Object {
            object: judge.graph.address(place),
            class: Some(class_name(judge.graph, judge.graph.class_of(place))),
            label: judge.label(place),
        },
        value => value.integer().map_or(Told::Null, Told::Whole),
    }
}
