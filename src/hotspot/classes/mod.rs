//! Loaded classes: their klasses, fields, names, and what they refer to.

mod external_name;
mod facts;
mod field_layout;
mod interfaces;
mod klass;
mod loaded;
mod metadata;
mod values;

pub use facts::ClassReader;
pub use field_layout::{FieldInfo, FieldReader, is_reference};
pub use klass::{Kind, Klass, Size, shape};
pub use loaded::Classes;
pub use metadata::{Metadata, MetadataReader};
pub use values::{FlatElements, FlatField, ValueLayout};

pub(super) use loaded::Links;
