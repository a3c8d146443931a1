//! The grammar of expressions.
//!
//! ```text
//! any    = all ("or" all)*
//! all    = one ("and" one)*
//! one    = "not" one | "(" any ")" | ("is" | "instanceof") value | property operator value
//! operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
//! value  = "..." | '...' | characters without space, quote and parenthesis
//! ```

use winnow::ascii::multispace0;
use winnow::combinator::{alt, cut_err, delimited, eof, not, preceded, repeat, terminated};
use winnow::error::{ContextError, StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::stream::LocatingSlice;
use winnow::token::{one_of, take_while};

use super::Mistake;

/// Parentheses and `not` in an expression: each is a call of the parser within the last.
const MAX_NESTED: usize = 200;

/// An expression as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    And(Vec<Raw>),
    Or(Vec<Raw>),
    Not(Box<Raw>),
    Is(Spanned<Written>),
    Test(Spanned<String>, Spanned<Op>, Spanned<Written>),
}

/// With the byte at which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned<T> {
    pub at: usize,
    pub value: T,
}

impl<T> Spanned<T> {
    pub(super) fn mistake(&self, what: String) -> Mistake {
        Mistake { at: self.at, what }
    }
}

/// What something is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    pub text: String,
    /// It stood in quotes: text, whatever it looks like.
    pub quoted: bool,
}

/// How something is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
    Match,
    NoMatch,
}

type In<'i> = LocatingSlice<&'i str>;

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Raw, Mistake> {
    let nested = |found: usize| found.saturating_sub(MAX_NESTED) > 0;
    if nested(text.matches('(').count() + text.matches("not").count()) {
        let what = format!("more than {MAX_NESTED} parentheses and nots are not read");
        return Err(Mistake { at: 0, what });
    }
    let whole = terminated(any_of, cut_err(end));
    let mut whole = preceded(multispace0, whole);
    whole.parse(LocatingSlice::new(text)).map_err(|e| {
        let expected: Vec<String> = e
            .inner()
            .context()
            .filter_map(|c| match c {
                StrContext::Expected(value) => Some(value.to_string()),
                _ => None,
            })
            .collect();
        let found = text.get(e.offset()..).unwrap_or("");
        let what = match (found.is_empty(), expected.first()) {
            (true, Some(first)) => format!("the expression ends where {first} is expected"),
            (false, Some(first)) => format!("{first} is expected here"),
            (_, None) => "this is not understood".into(),
        };
        Mistake { at: e.offset(), what }
    })
}

fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

fn any_of(input: &mut In<'_>) -> ModalResult<Raw> {
    let first = all_of(input)?;
    let more: Vec<Raw> = repeat(0.., preceded(word("or"), cut_err(all_of))).parse_next(input)?;
    Ok(several(first, more, Raw::Or))
}

fn all_of(input: &mut In<'_>) -> ModalResult<Raw> {
    let first = one(input)?;
    let more: Vec<Raw> = repeat(0.., preceded(word("and"), cut_err(one))).parse_next(input)?;
    Ok(several(first, more, Raw::And))
}

fn several(first: Raw, mut more: Vec<Raw>, of: fn(Vec<Raw>) -> Raw) -> Raw {
    if more.is_empty() {
        return first;
    }
    more.insert(0, first);
    of(more)
}

fn one(input: &mut In<'_>) -> ModalResult<Raw> {
    let not = preceded(word("not"), cut_err(one)).map(|of| Raw::Not(Box::new(of)));
    let closed = sign(")").context(expected(") or and or or"));
    let inner = delimited(sign("("), cut_err(any_of), cut_err(closed));
    let is = alt((word("instanceof"), word("is")));
    let is = preceded(is, cut_err(value)).map(Raw::Is);
    let test = (property, cut_err(op), cut_err(value)).map(|(p, o, v)| Raw::Test(p, o, v));
    alt((inner, not, is, test))
        .context(expected("a test such as class=com.acme.*"))
        .parse_next(input)
}

fn end(input: &mut In<'_>) -> ModalResult<()> {
    eof.void().context(expected("and or or")).parse_next(input)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '.')
}

/// A word of the language, and the space behind it.
fn word<'i>(word: &'static str) -> impl Parser<In<'i>, (), winnow::error::ErrMode<ContextError>> {
    (word, not(one_of(is_name)), multispace0).void()
}

/// A sign, and the space behind it.
fn sign<'i>(sign: &'static str) -> impl Parser<In<'i>, (), winnow::error::ErrMode<ContextError>> {
    (sign, multispace0).void()
}

fn property(input: &mut In<'_>) -> ModalResult<Spanned<String>> {
    let name = take_while(1.., is_name).with_span();
    let (name, span) = terminated(name, multispace0).parse_next(input)?;
    Ok(Spanned { at: span.start, value: name.to_owned() })
}

fn op(input: &mut In<'_>) -> ModalResult<Spanned<Op>> {
    let any = alt((
        alt(("==", "=")).value(Op::Equal),
        "!=".value(Op::NotEqual),
        "!~".value(Op::NoMatch),
        "~".value(Op::Match),
        "<=".value(Op::AtMost),
        "<".value(Op::Less),
        ">=".value(Op::AtLeast),
        ">".value(Op::More),
    ));
    let (value, span) = terminated(any.with_span(), multispace0)
        .context(expected("one of = != < <= > >= ~ !~"))
        .parse_next(input)?;
    Ok(Spanned { at: span.start, value })
}

fn value(input: &mut In<'_>) -> ModalResult<Spanned<Written>> {
    let bare = take_while(1.., |c: char| !c.is_whitespace() && !"()\"'".contains(c))
        .map(|text: &str| Written { text: text.to_owned(), quoted: false });
    let any = alt((quoted('"'), quoted('\''), bare));
    let (value, span) = terminated(any.with_span(), multispace0)
        .context(expected("a value, with both quotes if with one,"))
        .parse_next(input)?;
    Ok(Spanned { at: span.start, value })
}

/// In quotes all characters stand for themselves, but for a backslash before such a quote.
fn quoted<'i>(quote: char) -> impl Parser<In<'i>, Written, winnow::error::ErrMode<ContextError>> {
    let inside = move |input: &mut In<'i>| -> ModalResult<String> {
        let mut text = String::new();
        loop {
            let plain = take_while(0.., |c| c != quote && c != '\\').parse_next(input)?;
            text.push_str(plain);
            let escaped = winnow::combinator::opt(('\\', quote)).parse_next(input)?;
            if escaped.is_some() {
                text.push(quote);
            } else if winnow::combinator::opt('\\').parse_next(input)?.is_some() {
                text.push('\\');
            } else {
                return Ok(text);
            }
        }
    };
    delimited(quote, inside, quote).map(|text| Written { text, quoted: true })
}
