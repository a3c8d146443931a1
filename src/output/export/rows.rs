//! Rows of a table, encoded column by column as they come: one row group.
//!
//! Of values as they are there is one batch at a time; what is encoded and compressed is kept until the group is done.

use bytes::Bytes;
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, get_column_writer};
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

use super::schema::{Column, Kind, Layout};

/// Rows that are kept as they are.
const BATCH: usize = 4096;
/// Bytes of texts that are kept as they are, and one text more.
const TEXT: usize = 4 << 20;

/// A row group that is encoded: of each column its pages, and what the footer has to say of them.
pub(super) struct Group {
    pub chunks: Vec<(Bytes, ColumnCloseResult)>,
    pub rows: u64,
}

impl Group {
    /// Encodes the rows that `fill` gives.
    pub(super) fn encode(layout: &Layout, fill: impl FnOnce(&mut Rows<'_>)) -> Result<Group> {
        let columns = layout.columns.columns();
        let mut pages: Vec<_> = columns.iter().map(|_| TrackedWrite::new(Vec::new())).collect();
        let buffers = pages.iter_mut().zip(columns).zip(layout.table.columns);
        let buffers = buffers.map(|((pages, described), column)| {
            let pages = Box::new(SerializedPageWriter::new(pages));
            let properties = layout.properties.clone();
            Buffer::new(column, get_column_writer(described.clone(), properties, pages))
        });
        let (at, kept, done, failed) = (0, 0, 0, None);
        let mut rows = Rows { columns: buffers.collect(), at, kept, done, failed };
        fill(&mut rows);
        let (closed, rows) = rows.close()?;
        let pages = pages.into_iter().map(TrackedWrite::into_inner);
        let chunks = pages.zip(closed).map(|(pages, closed)| Ok((Bytes::from(pages?), closed)));
        Ok(Group { chunks: chunks.collect::<Result<_>>()?, rows })
    }
}

/// Takes rows, value by value in the order of the columns.
pub(super) struct Rows<'w> {
    columns: Vec<Buffer<'w>>,
    /// The column whose turn it is.
    at: usize,
    /// Rows that are kept as they are.
    kept: usize,
    /// Rows that are encoded.
    done: u64,
    /// The first error; nothing is encoded after it.
    failed: Option<ParquetError>,
}

struct Buffer<'w> {
    writer: ColumnWriter<'w>,
    values: Values,
    /// 0 for NULL and 1 for a value, of a column that may have NULL.
    levels: Option<Vec<i16>>,
}

enum Values {
    Long(Vec<i64>),
    Int(Vec<i32>),
    Flag(Vec<bool>),
    /// Texts one behind the other, and where each ends.
    Text(Vec<u8>, Vec<usize>),
}

impl<'w> Buffer<'w> {
    fn new(column: &Column, writer: ColumnWriter<'w>) -> Buffer<'w> {
        let values = match column.kind {
            Kind::Long | Kind::Time => Values::Long(Vec::with_capacity(BATCH)),
            Kind::Int => Values::Int(Vec::with_capacity(BATCH)),
            Kind::Flag => Values::Flag(Vec::with_capacity(BATCH)),
            Kind::Text => Values::Text(Vec::new(), Vec::with_capacity(BATCH)),
        };
        Buffer { writer, values, levels: column.nullable.then(|| Vec::with_capacity(BATCH)) }
    }

    fn flush(&mut self) -> Result<()> {
        let levels = self.levels.as_deref();
        match (&mut self.writer, &mut self.values) {
            (ColumnWriter::Int64ColumnWriter(to), Values::Long(values)) => {
                to.write_batch(values, levels, None)?;
                values.clear();
            }
            (ColumnWriter::Int32ColumnWriter(to), Values::Int(values)) => {
                to.write_batch(values, levels, None)?;
                values.clear();
            }
            (ColumnWriter::BoolColumnWriter(to), Values::Flag(values)) => {
                to.write_batch(values, levels, None)?;
                values.clear();
            }
            (ColumnWriter::ByteArrayColumnWriter(to), Values::Text(bytes, ends)) => {
                // One allocation for all texts of the batch.
                let all = Bytes::copy_from_slice(bytes);
                let mut from = 0;
                let text = |end: &usize| {
                    let from = std::mem::replace(&mut from, *end);
                    ByteArray::from(all.slice(from..*end))
                };
                let values: Vec<ByteArray> = ends.iter().map(text).collect();
                to.write_batch(&values, levels, None)?;
                bytes.clear();
                ends.clear();
            }
            _ => return Err(other_kind()),
        }
        self.levels.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

/// A fault of rjcore's own: a table's rows are not what its columns say.
fn other_kind() -> ParquetError {
    ParquetError::General("a value of another kind than its column's".into())
}

impl Rows<'_> {
    /// Puts one value, or NULL, by `push`, which answers false where the column is of another kind.
    #[inline]
    fn put<T>(&mut self, value: Option<T>, push: impl FnOnce(&mut Values, T) -> bool) {
        let Some(column) = self.columns.get_mut(self.at) else {
            self.failed.get_or_insert_with(other_kind);
            return;
        };
        self.at += 1;
        if let Some(levels) = &mut column.levels {
            levels.push(value.is_some().into());
        }
        let is_null = value.is_none();
        let pushed = value.is_none_or(|value| push(&mut column.values, value));
        if !pushed || is_null && column.levels.is_none() {
            self.failed.get_or_insert_with(other_kind);
        }
    }

    /// An address, bytes or a count. What needs more than 63 bits becomes negative, and stays one number.
    #[inline]
    pub(super) fn long(&mut self, value: impl Into<Option<u64>>) {
        self.signed(value.into().map(|v| v as i64));
    }

    /// Any number of 64 bits, a time too.
    #[inline]
    pub(super) fn signed(&mut self, value: Option<i64>) {
        self.put(value, |values, value| match values {
            Values::Long(all) => {
                all.push(value);
                true
            }
            _ => false,
        });
    }

    /// A number of a row of another table.
    #[inline]
    pub(super) fn int(&mut self, value: impl Into<Option<u32>>) {
        self.put(value.into(), |values, value| match values {
            Values::Int(all) => {
                all.push(value as i32);
                true
            }
            _ => false,
        });
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, value: impl Into<Option<bool>>) {
        self.put(value.into(), |values, value| match values {
            Values::Flag(all) => {
                all.push(value);
                true
            }
            _ => false,
        });
    }

    /// A text.
    #[inline]
    pub(super) fn text<'t>(&mut self, value: impl Into<Option<&'t str>>) {
        self.put(value.into(), |values, value| match values {
            Values::Text(bytes, ends) => {
                bytes.extend_from_slice(value.as_bytes());
                ends.push(bytes.len());
                true
            }
            _ => false,
        });
    }

    /// Ends a row.
    #[inline]
    pub(super) fn end(&mut self) {
        if self.at != self.columns.len() {
            self.failed.get_or_insert_with(other_kind);
        }
        self.at = 0;
        self.kept += 1;
        if self.kept >= BATCH || self.has_long_texts() {
            self.flush();
        }
    }

    #[inline]
    fn has_long_texts(&self) -> bool {
        self.columns
            .iter()
            .any(|c| matches!(&c.values, Values::Text(bytes, _) if bytes.len() > TEXT))
    }

    /// What the footer has to say of each column, and how many rows there are.
    fn close(mut self) -> Result<(Vec<ColumnCloseResult>, u64)> {
        self.flush();
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let closed: Result<_> = self.columns.into_iter().map(|c| c.writer.close()).collect();
        Ok((closed?, self.done))
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            let flushed = self.columns.iter_mut().try_for_each(Buffer::flush);
            self.failed = flushed.err();
        }
        self.done += self.kept as u64;
        self.kept = 0;
    }
}
