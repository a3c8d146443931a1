//! An expression against a graph: what its classes decide is decided once, the rest object by object.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::classes::instances;
use super::expr::{Against, Cmp, Expr, Number, Property, Quantity, Test, Text, Words};
use crate::graph::dominators::Rule;
use crate::graph::{ClassKind, NO_CLASS, ObjectGraph, Slot, Strength, Value};
use crate::output::collections::{Collections, Descriptions, Reader};
use crate::output::retained::label_of;

/// Entries of a collection that are counted one by one, where it does not say how many it has.
const COUNTED: u64 = 100_000;
/// Characters of a String that a regular expression is tried on.
const TEXT: usize = 1 << 20;

/// An object with what the dominator tree says of it, where there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub place: u64,
    pub class: u32,
    pub retained: u64,
    pub weaker: u64,
    /// How it is held; none: by nothing.
    pub strength: Option<Strength>,
}

/// What an object's class says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    Yes,
    /// That it has to be looked at.
    Look,
}

impl From<bool> for Verdict {
    fn from(yes: bool) -> Verdict {
        if yes { Verdict::Yes } else { Verdict::No }
    }
}

/// An expression with what a graph knows of its names.
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// By number of class.
    Class(Vec<bool>),
    Quantity(Quantity, Cmp, Number, bool),
    Strength(Option<Strength>),
    Text(Text, Words, bool),
    Field(Path, Against, bool),
}

/// Fields that lead from an object to a value.
pub(super) struct Path {
    steps: Vec<Step>,
}

/// A field of this name, by the class of the object that has it.
struct Step {
    name: String,
    slots: Vec<OnceLock<Option<Slot>>>,
}

/// Where the length of a class's objects is found.
enum Length {
    Array,
    /// A String of 9 and later: the array of its characters, and the bit that says how wide they are.
    Coded(Slot, Slot),
    /// Of 7 and 8: the array.
    Chars(Slot),
    /// A field has it: a String's `count` until 6.
    Field(Slot),
    /// A collection says how many entries it has.
    Entries,
}

/// An expression compiled against a graph.
pub(super) struct Judge<'g, G> {
    pub graph: &'g G,
    rule: Rule,
    root: Node,
    /// Classes that `is` names and that may be interfaces, where it is not known which classes implement these.
    pub unknown: Vec<String>,
    /// By number of class; behind them that of objects without one.
    verdicts: Vec<Verdict>,
    lengths: Vec<Option<Length>>,
    collections: Collections,
    /// Names of threads, by the places of their objects.
    threads: HashMap<u64, &'g str>,
}

impl<'g, G: ObjectGraph> Judge<'g, G> {
    pub(super) fn new(graph: &'g G, rule: Rule, expr: &Expr) -> Judge<'g, G> {
        let threads = graph.threads().iter();
        let named = threads.filter(|t| !t.name.is_empty());
        let collections = Collections::new(graph, &Descriptions::known());
        let mut unknown = Vec::new();
        let mut judge = Judge {
            graph,
            rule,
            root: node(graph, expr, &mut unknown),
            unknown: Vec::new(),
            verdicts: Vec::new(),
            lengths: lengths(graph, &collections),
            collections,
            threads: named.filter_map(|t| Some((t.object?, t.name.as_str()))).collect(),
        };
        unknown.sort_unstable();
        unknown.dedup();
        judge.unknown = unknown;
        let classes = graph.classes().len() as u32;
        let all = (0..classes).chain([NO_CLASS]);
        judge.verdicts = all.map(|class| judge.by_class(&judge.root, class)).collect();
        judge
    }

    /// Reads the collections' own words: one for each piece of work.
    pub(super) fn reader(&self) -> Reader<'_, G> {
        self.collections.reader(self.graph)
    }

    /// What an object's class says of it.
    #[inline]
    pub(super) fn verdict(&self, class: u32) -> Verdict {
        let last = self.verdicts.len() - 1;
        self.verdicts[(class as usize).min(last)]
    }

    /// Whether the expression holds for an object.
    #[inline]
    pub(super) fn fits(&self, seen: &Seen, reader: &mut Reader<'_, G>) -> bool {
        match self.verdict(seen.class) {
            Verdict::No => false,
            Verdict::Yes => true,
            Verdict::Look => self.object(&self.root, seen, reader),
        }
    }

    fn by_class(&self, node: &Node, class: u32) -> Verdict {
        let each = |nodes: &[Node], decisive: Verdict, otherwise: Verdict| {
            let mut all = otherwise;
            for node in nodes {
                match self.by_class(node, class) {
                    v if v == decisive => return decisive,
                    Verdict::Look => all = Verdict::Look,
                    _ => {}
                }
            }
            all
        };
        match node {
            Node::All(nodes) => each(nodes, Verdict::No, Verdict::Yes),
            Node::Any(nodes) => each(nodes, Verdict::Yes, Verdict::No),
            Node::Not(node) => match self.by_class(node, class) {
                Verdict::No => Verdict::Yes,
                Verdict::Yes => Verdict::No,
                Verdict::Look => Verdict::Look,
            },
            Node::Class(fits) => fits.get(class as usize).copied().unwrap_or(false).into(),
            Node::Quantity(Quantity::Length, ..) => look(self.counted(class).is_some()),
            Node::Text(Text::Text, ..) => look(self.is_string(class)),
            Node::Field(path, ..) => look(path.steps[0].slot(self.graph, class).is_some()),
            Node::Quantity(..) | Node::Strength(_) | Node::Text(Text::Label, ..) => Verdict::Look,
        }
    }

    fn object(&self, node: &Node, seen: &Seen, reader: &mut Reader<'_, G>) -> bool {
        match node {
            Node::All(nodes) => nodes.iter().all(|n| self.object(n, seen, reader)),
            Node::Any(nodes) => nodes.iter().any(|n| self.object(n, seen, reader)),
            Node::Not(node) => !self.object(node, seen, reader),
            Node::Class(fits) => fits.get(seen.class as usize).copied().unwrap_or(false),
            Node::Quantity(of, cmp, to, wanted) => {
                let of = self.quantity(*of, seen, reader);
                of.is_some_and(|of| Number::Whole(of.into()).compares(*cmp, *to) == *wanted)
            }
            Node::Strength(strength) => seen.strength == *strength,
            Node::Text(of, words, wanted) => {
                let text = match of {
                    Text::Text => self.graph.text(seen.place, limit(words)),
                    Text::Label => self.label(seen.place),
                };
                text.is_some_and(|text| words.fits(&text) == *wanted)
            }
            Node::Field(path, against, wanted) => {
                let value = self.follow(path, seen.place, seen.class);
                value.is_some_and(|value| self.holds(value, against) == *wanted)
            }
        }
    }

    /// Whether a value is what it is compared with.
    fn holds(&self, value: Value, against: &Against) -> bool {
        let text = |place: u64, words: &Words| {
            let text = self.graph.text(place, limit(words));
            text.is_some_and(|text| words.fits(&text))
        };
        match (against, value) {
            (Against::Null, value) => value == Value::Null,
            (Against::Boolean(wanted), value) => value == Value::Boolean(*wanted),
            (Against::Words(words), Value::Object(place)) => text(place, words),
            (Against::Words(words), Value::Char(unit)) => {
                words.fits(&String::from_utf16_lossy(&[unit]))
            }
            (Against::Words(_), _) | (Against::Number { .. }, Value::Null) => false,
            (Against::Number { cmp, to, text: equal }, Value::Object(place)) => {
                let address = Number::Whole(self.graph.address(place).into());
                let equal = equal.as_ref().map(|t| Words::Equal(t.clone()));
                equal.is_some_and(|words| address.compares(*cmp, *to) || text(place, &words))
            }
            (Against::Number { cmp, to, .. }, value) => {
                number(value).is_some_and(|n| n.compares(*cmp, *to))
            }
        }
    }

    /// The value that a path leads to.
    fn follow(&self, path: &Path, place: u64, class: u32) -> Option<Value> {
        let (mut place, mut class) = (place, class);
        let (last, above) = path.steps.split_last()?;
        for step in above {
            place = self.graph.value(place, step.slot(self.graph, class)?)?.object()?;
            class = self.graph.class_of(place);
        }
        self.graph.value(place, last.slot(self.graph, class)?)
    }

    /// A number that an object has.
    pub(super) fn quantity(
        &self,
        of: Quantity,
        seen: &Seen,
        reader: &mut Reader<'_, G>,
    ) -> Option<u64> {
        Some(match of {
            Quantity::Retained => seen.retained,
            Quantity::Weaker => seen.weaker,
            Quantity::Shallow => self.size(seen.place),
            Quantity::Length => return self.length(seen, reader),
            Quantity::Address => self.graph.address(seen.place),
        })
    }

    /// An object's own bytes, by the rule.
    pub(super) fn size(&self, place: u64) -> u64 {
        match self.rule {
            Rule::Strong => self.graph.size(place),
            Rule::Mat => self.graph.mat_size(place),
        }
    }

    /// The elements of an array, the characters of a String, the entries of a collection.
    pub(super) fn length(&self, seen: &Seen, reader: &mut Reader<'_, G>) -> Option<u64> {
        let (graph, place) = (self.graph, seen.place);
        let array = |slot: Slot| graph.length(graph.value(place, slot)?.object()?);
        match self.counted(seen.class)? {
            Length::Entries => Some(reader.count(place, COUNTED)?.count),
            Length::Array => graph.length(place),
            Length::Coded(value, coder) => {
                let coder = graph.value(place, *coder)?.integer()?;
                Some(array(*value)? >> (coder & 1))
            }
            Length::Chars(value) => array(*value),
            Length::Field(slot) => graph.value(place, *slot)?.integer()?.try_into().ok(),
        }
    }

    /// A value as it is shown; none where the object does not have it.
    pub(super) fn value(&self, path: &Path, seen: &Seen) -> Option<Value> {
        self.follow(path, seen.place, seen.class)
    }

    /// What tells an object from others of its class.
    pub(super) fn label(&self, place: u64) -> Option<String> {
        label_of(self.graph, place, self.threads.get(&place).copied())
    }

    fn counted(&self, class: u32) -> Option<&Length> {
        self.lengths.get(class as usize)?.as_ref()
    }

    fn is_string(&self, class: u32) -> bool {
        !matches!(self.counted(class), None | Some(Length::Array | Length::Entries))
    }
}

impl Path {
    pub(super) fn new(graph: &impl ObjectGraph, names: &[String]) -> Path {
        let classes = graph.classes().len();
        let step = |name: &String| Step {
            name: name.clone(),
            slots: (0..classes).map(|_| OnceLock::new()).collect(),
        };
        Path { steps: names.iter().map(step).collect() }
    }
}

impl Step {
    #[inline]
    fn slot(&self, graph: &impl ObjectGraph, class: u32) -> Option<Slot> {
        let slot = self.slots.get(class as usize)?;
        *slot.get_or_init(|| graph.slot(class, &self.name))
    }
}

impl Words {
    fn fits(&self, text: &str) -> bool {
        match self {
            Words::Equal(other) => text == other,
            Words::Regex(regex) => regex.is_match(text),
        }
    }
}

/// How much of a text has to be read: of one that is to be equal a character more than that has.
fn limit(words: &Words) -> usize {
    match words {
        Words::Equal(text) => text.chars().count() + 1,
        Words::Regex(_) => TEXT,
    }
}

fn look(may: bool) -> Verdict {
    if may { Verdict::Look } else { Verdict::No }
}

/// A primitive as a number.
pub(super) fn number(value: Value) -> Option<Number> {
    match value {
        Value::Boolean(_) => None,
        Value::Float(f) => Some(Number::Real(f.into())),
        Value::Double(d) => Some(Number::Real(d)),
        Value::Dangling(address) => Some(Number::Whole(address.into())),
        value => Some(Number::Whole(value.integer()?.into())),
    }
}

/// What a comparison costs, so that the cheap ones are made first.
fn cost(node: &Node) -> u32 {
    match node {
        Node::Class(_) => 0,
        Node::Quantity(..) | Node::Strength(_) => 1,
        Node::Field(path, Against::Words(_), _) => 4 + path.steps.len() as u32,
        Node::Field(path, ..) => 1 + path.steps.len() as u32,
        Node::Text(..) => 10,
        Node::Not(node) => cost(node),
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().map(cost).max().unwrap_or(0),
    }
}

/// With the interfaces of which is not known what implements them.
fn node(graph: &impl ObjectGraph, expr: &Expr, unknown: &mut Vec<String>) -> Node {
    let mut all = |of: &[Expr]| {
        let mut nodes: Vec<Node> = of.iter().map(|e| node(graph, e, unknown)).collect();
        nodes.sort_by_key(cost);
        nodes
    };
    match expr {
        Expr::And(of) => Node::All(all(of)),
        Expr::Or(of) => Node::Any(all(of)),
        Expr::Not(of) => Node::Not(Box::new(node(graph, of, unknown))),
        Expr::Test(test) => match test {
            Test::Class(names) => {
                Node::Class(graph.classes().iter().map(|c| names.fits(&c.name)).collect())
            }
            Test::Is(pattern) => {
                let of = instances(graph, pattern);
                unknown.extend(of.unknown);
                Node::Class(of.fits)
            }
            Test::Quantity { of, cmp, to, wanted } => Node::Quantity(*of, *cmp, *to, *wanted),
            Test::Strength(strength) => Node::Strength(*strength),
            Test::Text { of, words, wanted } => Node::Text(*of, words.clone(), *wanted),
            Test::Field { path, against, wanted } => {
                Node::Field(Path::new(graph, path), against.clone(), *wanted)
            }
        },
    }
}

/// Where the lengths of objects are found, by class.
fn lengths<G: ObjectGraph>(graph: &G, collections: &Collections) -> Vec<Option<Length>> {
    let of = |(number, class): (u32, &crate::graph::Class)| match class.kind {
        ClassKind::Objects | ClassKind::Primitives => Some(Length::Array),
        ClassKind::Instance if class.name == "java.lang.String" => {
            let slot = |name| graph.slot(number, name);
            match (slot("value"), slot("coder"), slot("count")) {
                (Some(value), Some(coder), _) => Some(Length::Coded(value, coder)),
                (_, _, Some(count)) => Some(Length::Field(count)),
                (Some(value), ..) => Some(Length::Chars(value)),
                _ => None,
            }
        }
        ClassKind::Instance => collections.kind(number).map(|_| Length::Entries),
    };
    (0..).zip(graph.classes()).map(of).collect()
}

/// The paths of the properties that are fields, by property.
pub(super) fn paths(graph: &impl ObjectGraph, all: &[Property]) -> Vec<Option<Path>> {
    let path = |property: &Property| match property {
        Property::Field(names) => Some(Path::new(graph, names)),
        _ => None,
    };
    all.iter().map(path).collect()
}
