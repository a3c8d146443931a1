//! The commands and what they show on the terminal.
pub mod progress;
