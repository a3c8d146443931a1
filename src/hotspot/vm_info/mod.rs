//! What the VM says of itself: its flags, arguments, release and counters, and why it died.

pub mod arguments;
mod crash;
pub mod flags;
pub mod perfdata;
pub mod version;
