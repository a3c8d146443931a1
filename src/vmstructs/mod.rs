//! HotSpot's own description of itself: the `gHotSpotVM*` tables that libjvm exports
//! (vmStructs.hpp), read from the core.
//!
//! Knows the tables and the list of fields that rjcore asks for; not what they mean.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

mod fields;
pub mod rebuilt;
mod table;

pub use fields::{Field, Fields};
pub use table::{Entry, Tables};
