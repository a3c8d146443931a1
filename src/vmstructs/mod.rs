//! HotSpot's own description of itself: the `gHotSpotVM*` tables that libjvm exports
//! (vmStructs.hpp), read from the core.
//!
//! Knows the tables and the list of fields that rjcore asks for; not what they mean.

mod fields;
pub mod rebuilt;
mod table;

pub use fields::{Field, Fields};
pub use table::{Entry, Tables};
