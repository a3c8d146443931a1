//! Threads together whose names differ in digits alone.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{NameGroup, ThreadHeld};

/// The groups, those that retain the most first.
pub(super) fn groups<'a>(
    threads: impl Iterator<Item = &'a ThreadHeld>,
    is_core: bool,
) -> Vec<NameGroup> {
    let mut all: HashMap<String, NameGroup> = HashMap::new();
    for thread in threads {
        let name = pattern(&thread.name);
        let of = all.entry(name).or_insert_with_key(|name| NameGroup {
            name: name.clone(),
            threads: 0,
            retained: 0,
            frames: 0,
            thread_locals: 0,
            rest: 0,
            allocated: is_core.then_some(0),
        });
        of.threads += 1;
        of.retained += thread.retained;
        of.frames += thread.frames_retained;
        of.thread_locals += thread.thread_locals_retained;
        of.rest += thread.rest;
        let more = thread.allocated.unwrap_or(0);
        of.allocated = of.allocated.map(|sum| sum.saturating_add(more));
    }
    let mut all: Vec<NameGroup> = all.into_values().collect();
    all.sort_by(|a, b| {
        (Reverse(a.retained), Reverse(a.threads), &a.name).cmp(&(
            Reverse(b.retained),
            Reverse(b.threads),
            &b.name,
        ))
    });
    all
}

/// The name with `*` for each run of digits.
pub(super) fn pattern(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut in_digits = false;
    for c in name.chars() {
        let is_digit = c.is_ascii_digit();
        if !is_digit {
            out.push(c);
        } else if !in_digits {
            out.push('*');
        }
        in_digits = is_digit;
    }
    out
}
