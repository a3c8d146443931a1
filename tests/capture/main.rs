//! `rjcore capture` of live JVMs, most of them while much happens in them.

#[path = "../support/mod.rs"]
mod support;

mod capture;
mod capture_elsewhere;
mod capture_kill;
mod capture_kinds;
mod capture_many;
mod capture_memory;
mod capture_output;
mod capture_refused;
mod capture_survive;
