//! What an expression asks, checked: each test has what it compares, how and with what.

use std::cmp::Ordering;

use regex::Regex;

use super::Mistake;
use super::parse::{Op, Raw, Spanned, Written};
use crate::graph::Strength;
use crate::output::pattern::Pattern;

/// An expression.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Test(Test),
}

/// One comparison.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// The class has such a name.
    Class(Names),
    /// The class or one of its supers has such a name.
    Is(Pattern),
    /// A number of the object. As with text and fields, one that does not have it fails, whatever is wanted.
    Quantity { of: Quantity, cmp: Cmp, to: Number, wanted: bool },
    /// How the object is held; none: by nothing.
    Strength(Option<Strength>),
    /// A text of the object.
    Text { of: Text, words: Words, wanted: bool },
    /// What a field has, or one of an object that a field leads to.
    Field { path: Vec<String>, against: Against, wanted: bool },
}

/// Names of classes.
#[derive(Debug, Clone)]
pub(super) enum Names {
    Pattern(Pattern),
    Regex(Regex),
}

impl Names {
    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Names::Pattern(pattern) => pattern.fits(name),
            Names::Regex(regex) => regex.is_match(name),
        }
    }
}

/// Numbers that objects have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Quantity {
    Retained,
    Weaker,
    Shallow,
    Length,
    Address,
}

/// Texts that objects have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Text {
    /// Of a String.
    Text,
    /// Of a class object, a thread or a String.
    Label,
}

/// What a text is compared with.
#[derive(Debug, Clone)]
pub(super) enum Words {
    Equal(String),
    Regex(Regex),
}

/// What a field's value is compared with.
#[derive(Debug, Clone)]
pub(super) enum Against {
    Null,
    Boolean(bool),
    /// A text, also where it looks like a number.
    Words(Words),
    /// A number or an address; of a String the same as text, where it is to be equal.
    Number {
        cmp: Cmp,
        to: Number,
        text: Option<String>,
    },
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cmp {
    Equal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// A number, exactly where it has no fraction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    fn real(self) -> f64 {
        match self {
            Number::Whole(n) => n as f64,
            Number::Real(r) => r,
        }
    }

    /// Whether it compares so with another; what is not a number with none.
    pub(super) fn compares(self, cmp: Cmp, to: Number) -> bool {
        let order = match (self, to) {
            (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
            _ => self.real().partial_cmp(&to.real()),
        };
        order.is_some_and(|order| match cmp {
            Cmp::Equal => order == Ordering::Equal,
            Cmp::Less => order == Ordering::Less,
            Cmp::AtMost => order != Ordering::Greater,
            Cmp::More => order == Ordering::Greater,
            Cmp::AtLeast => order != Ordering::Less,
        })
    }

    /// `4096`, `-1`, `0x7f00`, `1.5`, `64K`, `1.5MB`: units are powers of 1024.
    pub(super) fn parse(text: &str) -> Option<Number> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let whole = |n: i128| Number::Whole(if negative { -n } else { n });
        if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            return u64::from_str_radix(hex, 16).ok().map(|n| whole(n.into()));
        }
        if let Ok(n) = digits.parse::<u64>() {
            return Some(whole(n.into()));
        }
        // 1e9 is a number, 1E has an unknown unit.
        if let Ok(real) = digits.parse::<f64>() {
            return Some(Number::Real(if negative { -real } else { real }));
        }
        let letters = digits.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match digits[letters.len()..].to_ascii_uppercase().as_str() {
            "B" => 0,
            "K" | "KB" => 10,
            "M" | "MB" => 20,
            "G" | "GB" => 30,
            _ => return None,
        };
        match letters.parse::<u64>() {
            Ok(n) => Some(whole(i128::from(n) << shift)),
            Err(_) => {
                let real = letters.parse::<f64>().ok()? * (1u64 << shift) as f64;
                Some(Number::Real(if negative { -real } else { real }))
            }
        }
    }
}

/// What objects are asked for by name, each with what it stands for.
pub(super) const PROPERTIES: &str =
    "class, retained, weaker, shallow, length, address, strength, text, label, field.NAME";

/// A property by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Property {
    Class,
    Strength,
    Quantity(Quantity),
    Text(Text),
    Field(Vec<String>),
}

impl Property {
    pub(super) fn parse(name: &str) -> Result<Property, String> {
        Ok(match name {
            "class" => Property::Class,
            "strength" => Property::Strength,
            "retained" => Property::Quantity(Quantity::Retained),
            "weaker" => Property::Quantity(Quantity::Weaker),
            "shallow" => Property::Quantity(Quantity::Shallow),
            "length" => Property::Quantity(Quantity::Length),
            "address" => Property::Quantity(Quantity::Address),
            "text" => Property::Text(Text::Text),
            "label" => Property::Text(Text::Label),
            _ => {
                let Some(path) = name.strip_prefix("field.") else {
                    return Err(format!("no property is called {name}: there are {PROPERTIES}"));
                };
                let path: Vec<String> = path.split('.').map(str::to_owned).collect();
                if path.iter().any(String::is_empty) {
                    return Err("a field's name is missing".into());
                }
                Property::Field(path)
            }
        })
    }

    /// As it is written.
    pub(super) fn name(&self) -> String {
        match self {
            Property::Class => "class".into(),
            Property::Strength => "strength".into(),
            Property::Quantity(Quantity::Retained) => "retained".into(),
            Property::Quantity(Quantity::Weaker) => "weaker".into(),
            Property::Quantity(Quantity::Shallow) => "shallow".into(),
            Property::Quantity(Quantity::Length) => "length".into(),
            Property::Quantity(Quantity::Address) => "address".into(),
            Property::Text(Text::Text) => "text".into(),
            Property::Text(Text::Label) => "label".into(),
            Property::Field(path) => format!("field.{}", path.join(".")),
        }
    }

    /// Whether only the dominator tree tells it.
    pub(super) fn wants_tree(&self) -> bool {
        matches!(
            self,
            Property::Strength | Property::Quantity(Quantity::Retained | Quantity::Weaker)
        )
    }
}

/// Checks what was written. `seen` gets the properties that it names, each once, in their order.
pub(super) fn check(raw: Raw, seen: &mut Vec<Property>) -> Result<Expr, Mistake> {
    let mut all = |of: Vec<Raw>| -> Result<Vec<Expr>, Mistake> {
        of.into_iter().map(|r| check(r, seen)).collect()
    };
    Ok(match raw {
        Raw::And(of) => Expr::And(all(of)?),
        Raw::Or(of) => Expr::Or(all(of)?),
        Raw::Not(of) => Expr::Not(Box::new(check(*of, seen)?)),
        Raw::Is(name) => Expr::Test(Test::Is(pattern(&name.value.text))),
        Raw::Test(property, op, value) => {
            let what = Property::parse(&property.value).map_err(|e| property.mistake(e))?;
            let test = test(&what, &op, &value)?;
            let negated =
                !is_wanted(op.value) && matches!(what, Property::Class | Property::Strength);
            if !seen.contains(&what) {
                seen.push(what);
            }
            match negated {
                true => Expr::Not(Box::new(Expr::Test(test))),
                false => Expr::Test(test),
            }
        }
    })
}

/// Whether what is compared is to hold, or not to.
fn is_wanted(op: Op) -> bool {
    !matches!(op, Op::NotEqual | Op::NoMatch)
}

fn test(property: &Property, op: &Spanned<Op>, value: &Spanned<Written>) -> Result<Test, Mistake> {
    Ok(match property {
        Property::Class => Test::Class(match op.value {
            Op::Equal | Op::NotEqual => Names::Pattern(pattern(&value.value.text)),
            Op::Match | Op::NoMatch => Names::Regex(regex(value)?),
            _ => return Err(order(op)),
        }),
        Property::Strength => match op.value {
            Op::Equal | Op::NotEqual => Test::Strength(strength(value)?),
            _ => return Err(op.mistake("strength is compared by = and != alone".into())),
        },
        Property::Quantity(of) => {
            let cmp = cmp(op.value).ok_or_else(|| op.mistake(MATCH.into()))?;
            let to = Number::parse(&value.value.text).ok_or_else(|| {
                value.mistake("a number goes here, such as 100, 1.5MB or 0x7f00".into())
            })?;
            Test::Quantity { of: *of, cmp, to, wanted: is_wanted(op.value) }
        }
        Property::Text(of) => {
            let words = words(op, value)?.ok_or_else(|| order(op))?;
            Test::Text { of: *of, words, wanted: is_wanted(op.value) }
        }
        Property::Field(path) => {
            let (path, wanted) = (path.clone(), is_wanted(op.value));
            Test::Field { path, against: against(op, value)?, wanted }
        }
    })
}

const MATCH: &str = "a regular expression fits text, not numbers: class, text, label, fields";

fn order(op: &Spanned<Op>) -> Mistake {
    op.mistake(
        "text has no order here: = and != compare it, ~ and !~ with a regular expression".into(),
    )
}

fn pattern(text: &str) -> Pattern {
    let Ok(pattern) = text.parse();
    pattern
}

fn regex(value: &Spanned<Written>) -> Result<Regex, Mistake> {
    Regex::new(&value.value.text).map_err(|e| {
        let why = match e {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line says what is wrong; those before it show the place once more.
            e => e.to_string().lines().last().unwrap_or("").trim_start_matches("error: ").into(),
        };
        value.mistake(format!("this is no regular expression: {why}"))
    })
}

fn cmp(op: Op) -> Option<Cmp> {
    Some(match op {
        Op::Equal | Op::NotEqual => Cmp::Equal,
        Op::Less => Cmp::Less,
        Op::AtMost => Cmp::AtMost,
        Op::More => Cmp::More,
        Op::AtLeast => Cmp::AtLeast,
        Op::Match | Op::NoMatch => return None,
    })
}

fn words(op: &Spanned<Op>, value: &Spanned<Written>) -> Result<Option<Words>, Mistake> {
    Ok(match op.value {
        Op::Equal | Op::NotEqual => Some(Words::Equal(value.value.text.clone())),
        Op::Match | Op::NoMatch => Some(Words::Regex(regex(value)?)),
        _ => None,
    })
}

fn strength(value: &Spanned<Written>) -> Result<Option<Strength>, Mistake> {
    let text = value.value.text.as_str();
    if text == GARBAGE {
        return Ok(None);
    }
    let found = Strength::ALL.into_iter().find(|s| s.name() == text);
    found.map(Some).ok_or_else(|| {
        let all = Strength::ALL.map(Strength::name).join(", ");
        value.mistake(format!("no strength is called so: there are {all}, {GARBAGE}"))
    })
}

/// The word for what nothing holds.
pub(super) const GARBAGE: &str = "garbage";

fn against(op: &Spanned<Op>, value: &Spanned<Written>) -> Result<Against, Mistake> {
    let Written { text, quoted } = &value.value;
    let Some(cmp) = cmp(op.value) else { return Ok(Against::Words(Words::Regex(regex(value)?))) };
    let number = if *quoted { None } else { Number::parse(text) };
    let equal = cmp == Cmp::Equal;
    match (number, text.as_str()) {
        (Some(to), _) => Ok(Against::Number { cmp, to, text: equal.then(|| text.clone()) }),
        (None, _) if !equal => {
            Err(value.mistake("a number goes here: text has no order, = and ~ compare it".into()))
        }
        (None, "null") if !quoted => Ok(Against::Null),
        (None, "true") if !quoted => Ok(Against::Boolean(true)),
        (None, "false") if !quoted => Ok(Against::Boolean(false)),
        _ => Ok(Against::Words(Words::Equal(text.clone()))),
    }
}

impl Expr {
    /// Whether only the dominator tree tells whether it holds.
    pub(super) fn wants_tree(&self) -> bool {
        match self {
            Expr::And(all) | Expr::Or(all) => all.iter().any(Expr::wants_tree),
            Expr::Not(one) => one.wants_tree(),
            Expr::Test(Test::Strength(_)) => true,
            Expr::Test(Test::Quantity { of, .. }) => Property::Quantity(*of).wants_tree(),
            Expr::Test(_) => false,
        }
    }
}
