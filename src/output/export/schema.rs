//! The tables and their columns: docs/parquet.md has them in words.
//!
//! Under one version names and types stay, and columns and tables are only added, at the end.

use std::sync::Arc;

use parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, TimeUnit, Type, ZstdLevel,
};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type as Schema};

/// The version of the schema.
pub const VERSION: i32 = 1;

/// What a column's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// INT64: addresses, bytes, counts.
    Long,
    /// INT32: numbers of rows of another table.
    Int,
    /// BOOLEAN.
    Flag,
    /// BYTE_ARRAY, a string in UTF-8.
    Text,
    /// INT64, ms since 1970, UTC.
    Time,
}

/// How values are encoded before they are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// DELTA_BINARY_PACKED: for numbers that are near the one before.
    Delta,
    /// A dictionary; where that gets too large, as it is.
    Dictionary,
    /// As it is.
    Plain,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// Whether some may be NULL.
    pub nullable: bool,
    /// How they are encoded.
    pub coding: Coding,
}

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, and its file's.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
}

const fn column(name: &'static str, kind: Kind, coding: Coding) -> Column {
    Column { name, kind, nullable: false, coding }
}

/// An address, or another number that is near the one before.
const fn near(name: &'static str) -> Column {
    column(name, Kind::Long, Coding::Delta)
}

/// Bytes or counts, of which many are the same.
const fn count(name: &'static str) -> Column {
    column(name, Kind::Long, Coding::Dictionary)
}

/// A number of a row of another table.
const fn id(name: &'static str) -> Column {
    column(name, Kind::Int, Coding::Dictionary)
}

const fn flag(name: &'static str) -> Column {
    column(name, Kind::Flag, Coding::Plain)
}

/// A name, of which many are the same.
const fn word(name: &'static str) -> Column {
    column(name, Kind::Text, Coding::Dictionary)
}

const fn time(name: &'static str) -> Column {
    column(name, Kind::Time, Coding::Plain)
}

/// The same with NULL among its values.
const fn or_null(column: Column) -> Column {
    Column { nullable: true, ..column }
}

/// One row about the input.
pub(super) static DUMP: Table = Table {
    name: "dump",
    columns: &[
        id("version"),
        word("rjcore"),
        word("file"),
        word("input"),
        or_null(word("host")),
        or_null(count("pid")),
        or_null(time("time")),
        or_null(id("jdk")),
        or_null(word("java_version")),
        or_null(word("vm_version")),
        or_null(word("collector")),
        or_null(word("command")),
        or_null(word("vm_arguments")),
        or_null(word("flags")),
        or_null(time("started")),
        or_null(word("rule")),
        count("objects"),
        count("bytes"),
        flag("whole"),
        count("unread_bytes"),
        count("lost_roots"),
    ],
};

/// Classes.
pub(super) static CLASSES: Table = Table {
    name: "classes",
    columns: &[
        id("id"),
        word("name"),
        word("kind"),
        or_null(id("super_id")),
        or_null(count("object")),
        or_null(count("loader")),
        flag("permanent"),
        or_null(count("instance_size")),
        count("instances"),
        count("shallow"),
    ],
};

/// Fields that classes declare.
pub(super) static CLASS_FIELDS: Table = Table {
    name: "class_fields",
    columns: &[
        id("id"),
        or_null(id("class_id")),
        word("name"),
        word("kind"),
        or_null(word("type")),
    ],
};

/// Objects, by address.
pub(super) static OBJECTS: Table = Table {
    name: "objects",
    columns: &[
        near("address"),
        or_null(id("class_id")),
        or_null(word("kind")),
        or_null(count("length")),
        count("shallow"),
        or_null(count("retained")),
        or_null(count("retained_weak")),
        or_null(near("dominator")),
        or_null(word("reach")),
        or_null(word("space")),
    ],
};

/// References, by the address of what holds them.
pub(super) static REFS: Table = Table {
    name: "refs",
    columns: &[
        near("from"),
        near("to"),
        or_null(id("field_id")),
        or_null(near("index")),
        word("strength"),
    ],
};

/// Roots, as the input has them.
pub(super) static ROOTS: Table = Table {
    name: "roots",
    columns: &[near("object"), word("kind"), or_null(id("thread_id")), or_null(id("frame"))],
};

/// Strings, by address.
pub(super) static STRINGS: Table = Table {
    name: "strings",
    columns: &[
        near("object"),
        or_null(near("array")),
        or_null(count("length")),
        or_null(column("hash", Kind::Long, Coding::Plain)),
        or_null(column("text", Kind::Text, Coding::Plain)),
    ],
};

/// Threads that roots name.
pub(super) static THREADS: Table = Table {
    name: "threads",
    columns: &[
        id("id"),
        or_null(word("name")),
        or_null(count("object")),
        or_null(count("number")),
        or_null(flag("daemon")),
        or_null(count("priority")),
        or_null(word("state")),
        or_null(count("os_thread")),
        or_null(count("allocated")),
    ],
};

/// Their Java frames.
pub(super) static FRAMES: Table =
    Table { name: "frames", columns: &[id("thread_id"), id("frame"), word("text")] };

/// What is in the frames of a core's threads.
pub(super) static LOCALS: Table = Table {
    name: "locals",
    columns: &[
        id("thread_id"),
        id("frame"),
        word("place"),
        or_null(id("slot")),
        word("kind"),
        or_null(count("object")),
        or_null(word("value")),
    ],
};

/// What frames hold or wait for.
pub(super) static MONITORS: Table = Table {
    name: "monitors",
    columns: &[
        id("thread_id"),
        id("frame"),
        word("kind"),
        or_null(count("object")),
        or_null(word("class")),
    ],
};

/// Spaces of the heap.
pub(super) static SPACES: Table = Table {
    name: "spaces",
    columns: &[word("space"), count("regions"), count("capacity"), count("used")],
};

/// All, in the order in which they are written.
pub static TABLES: [&Table; 12] = [
    &DUMP,
    &CLASSES,
    &CLASS_FIELDS,
    &OBJECTS,
    &REFS,
    &ROOTS,
    &STRINGS,
    &THREADS,
    &FRAMES,
    &LOCALS,
    &MONITORS,
    &SPACES,
];

/// What the crate asks for: a table's schema, and how its columns are written.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub table: &'static Table,
    pub schema: Arc<Schema>,
    pub columns: Arc<SchemaDescriptor>,
    pub properties: Arc<WriterProperties>,
}

impl Layout {
    /// An error only where a column of ours cannot be, which is a fault.
    pub(super) fn new(table: &'static Table) -> parquet::errors::Result<Layout> {
        let fields: parquet::errors::Result<Vec<_>> =
            table.columns.iter().map(|c| field(c).map(Arc::new)).collect();
        let schema = Schema::group_type_builder("schema").with_fields(fields?).build()?;
        let schema = Arc::new(schema);
        let columns = Arc::new(SchemaDescriptor::new(Arc::clone(&schema)));
        let version = KeyValue::new("rjcore.schema".into(), VERSION.to_string());
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("rjcore version ", env!("CARGO_PKG_VERSION")).into())
            .set_key_value_metadata(Some(vec![version]))
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_dictionary_enabled(false);
        for column in table.columns {
            let path = ColumnPath::from(column.name);
            properties = match column.coding {
                Coding::Dictionary => properties.set_column_dictionary_enabled(path, true),
                Coding::Delta => {
                    properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
                }
                Coding::Plain => properties,
            };
        }
        let properties = Arc::new(properties.build());
        Ok(Layout { table, schema, columns, properties })
    }
}

fn field(column: &Column) -> parquet::errors::Result<Schema> {
    let (physical, logical) = match column.kind {
        Kind::Long => (Type::INT64, None),
        Kind::Int => (Type::INT32, None),
        Kind::Flag => (Type::BOOLEAN, None),
        Kind::Text => (Type::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Time => {
            let unit = TimeUnit::MILLIS;
            (Type::INT64, Some(LogicalType::timestamp(true, unit)))
        }
    };
    let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    Schema::primitive_type_builder(column.name, physical)
        .with_repetition(repetition)
        .with_converted_type(ConvertedType::NONE)
        .with_logical_type(logical)
        .build()
}
