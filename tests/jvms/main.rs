//! Cores of JVMs that the tests start, and live JVMs: what the commands say of them, against what others say.

#[path = "../support/mod.rs"]
mod support;

mod aarch64;
mod aged;
mod answers;
mod bad_input;
mod caught;
mod check;
mod class_keys;
mod cli;
mod collectors;
mod cut;
mod diff;
mod doctor;
mod door;
mod export;
mod fidelity;
mod find;
mod growth;
mod info;
mod inputs;
mod kept;
mod launcher;
mod leaks;
mod live;
mod malloc;
mod memory;
mod mixed;
mod paths;
mod peers;
mod people;
mod readers;
mod redact;
mod release;
mod report;
mod retained;
mod roots;
mod scale;
mod spinning;
mod stack;
mod thawed;
mod unseen;
mod updates;
mod values;
mod waste;
