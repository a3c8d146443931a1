//! Objects by an expression over what they are: `class=com.acme.* and retained>1MB and field.name ~ "x"`.
//!
//! An expression is read ([`Query::parse`]), compiled against a graph once (`judge`), so that most objects are judged
//! by their class alone, and then all objects are (`search`).

mod expr;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use expr::{Expr, Property};

use super::report::clean;

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

/// An expression that was read.
#[derive(Debug, Clone)]
pub struct Query {
    expr: Expr,
    named: Vec<Property>,
}

impl Query {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Query, Mistake> {
        let mut named = Vec::new();
        let expr = expr::check(parse::parse(text)?, &mut named)?;
        Ok(Query { expr, named })
    }
}
