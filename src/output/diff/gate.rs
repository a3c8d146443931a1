//! Limits of growth, for whoever lets a build fail by them: `retained(com.acme.*) > +10%`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::change;
use crate::output::pattern::{Pattern, bytes};
use crate::output::report::{number, size};
use crate::output::retained::Group;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Bytes that would be freed if all of the objects went.
    Retained,
    /// Their own bytes.
    Shallow,
    /// How many can be reached.
    Objects,
}

/// What it must not exceed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    /// After, as it is.
    Is(u64),
    /// After, less before.
    Grows(u64),
    /// The same, in percent of before.
    Percent(f64),
}

/// A limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    text: String,
    quantity: Quantity,
    classes: Pattern,
    limit: Limit,
}

/// A limit that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// It, as it was given.
    pub gate: String,
    /// What is measured.
    pub quantity: Quantity,
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
    /// Whether it is exceeded.
    pub exceeded: bool,
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Gate, String> {
        let (of, limit) = text.split_once('>').ok_or("there is no `>` in it")?;
        let (name, classes) = match of.trim().split_once('(') {
            None => (of.trim(), "*"),
            Some((name, rest)) => {
                (name.trim(), rest.strip_suffix(')').ok_or("a parenthesis is not closed")?.trim())
            }
        };
        let quantity = match name {
            "retained" => Quantity::Retained,
            "shallow" => Quantity::Shallow,
            "objects" => Quantity::Objects,
            _ => return Err(format!("{name:?} is none of retained, shallow, objects")),
        };
        let classes = classes.parse().unwrap_or_else(|never| match never {});
        let limit = limit.trim();
        let limit = match (limit.strip_prefix('+'), limit.strip_suffix('%')) {
            (Some(by), Some(_)) => {
                let percent = by.trim_end_matches('%').trim();
                let percent: f64 =
                    percent.parse().map_err(|_| format!("{percent:?} is no number"))?;
                match percent.is_finite() && percent >= 0.0 {
                    true => Limit::Percent(percent),
                    false => return Err("out of range".into()),
                }
            }
            (None, Some(_)) => return Err("a limit in percent is one of growth: +10%".into()),
            (Some(by), None) => Limit::Grows(bytes(by.trim())?),
            (None, None) => Limit::Is(bytes(limit)?),
        };
        Ok(Gate { text: text.trim().into(), quantity, classes, limit })
    }
}

impl Gate {
    /// Whether objects of a class are measured.
    pub fn is_of(&self, class: &str) -> bool {
        self.classes.fits(class)
    }

    /// What is measured of its classes' objects together.
    pub fn measure(&self, of: &Group) -> u64 {
        match self.quantity {
            Quantity::Retained => of.retained,
            Quantity::Shallow => of.shallow,
            Quantity::Objects => of.objects,
        }
    }

    /// What comes of it.
    pub fn pass(&self, before: u64, after: u64) -> Passed {
        let grown = change(before, after);
        let exceeded = match self.limit {
            Limit::Is(most) => after > most,
            Limit::Grows(most) => grown > 0 && grown.unsigned_abs() > most,
            Limit::Percent(most) => grown as f64 > before as f64 * most / 100.0,
        };
        let (gate, quantity) = (self.text.clone(), self.quantity);
        Passed { gate, quantity, before, after, exceeded }
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |n| match self.quantity {
            Quantity::Objects => number(n),
            _ => size(n),
        };
        let is = if self.exceeded { "exceeded" } else { "kept" };
        write!(f, "{}: {is}, {} before, {} after", self.gate, shown(self.before), shown(self.after))
    }
}
