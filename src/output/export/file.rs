//! A table's file: row groups that all threads encode, and that come out in order.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use super::rows::{Group, Rows};
use super::schema::{Layout, Table};
use crate::error::{Error, Result};
use crate::output::sink::Sink;
use crate::turns::{Turns, caught};

/// A table's file while it is written.
pub(super) struct TableFile {
    layout: Layout,
    writer: SerializedFileWriter<Shared>,
    sink: Shared,
    rows: u64,
}

/// The writer of the crate keeps what it writes to for itself.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Sink>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sink> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

/// The error that a writer of the crate answered: the sink's own where it was that one.
fn error(e: ParquetError) -> Error {
    let e = match e {
        ParquetError::External(e) => match e.downcast::<io::Error>() {
            Ok(e) => *e,
            Err(e) => io::Error::other(e),
        },
        e => io::Error::other(e),
    };
    Error::from_write(e)
}

impl TableFile {
    /// Into `sink`.
    pub(super) fn new(table: &'static Table, sink: Sink) -> Result<TableFile> {
        let layout = Layout::new(table).map_err(error)?;
        let sink = Shared(Arc::new(Mutex::new(sink)));
        let (schema, properties) = (layout.schema.clone(), layout.properties.clone());
        let writer = SerializedFileWriter::new(sink.clone(), schema, properties).map_err(error)?;
        Ok(TableFile { layout, writer, sink, rows: 0 })
    }

    /// Writes a row group of each piece, in order, by all threads of the pool. `fill` gives a piece's rows; `done` is told
    /// of each piece that is written.
    pub(super) fn write<P: Sync>(
        &mut self,
        pool: &rayon::ThreadPool,
        pieces: &[P],
        fill: impl Fn(&P, &mut Rows<'_>) + Sync,
        done: impl Fn(&P) + Sync,
    ) -> Result<()> {
        let threads = pool.current_num_threads();
        let layout = self.layout.clone();
        let file = Mutex::new(self);
        let turns = Turns::of(pieces.len(), 2 * threads);
        let work = |i: usize| {
            caught(|| {
                Group::encode(&layout, |rows| fill(&pieces[i], rows)).map_err(io::Error::from)
            })
        };
        let pass = |i: usize, group: io::Result<Group>| {
            let group = group.map_err(Error::from_write)?;
            file.lock().unwrap_or_else(PoisonError::into_inner).append(group)?;
            done(&pieces[i]);
            Ok(())
        };
        pool.in_place_scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|_| turns.take_part(work, pass));
            }
        });
        turns.finish()
    }

    fn append(&mut self, group: Group) -> Result<()> {
        if group.rows == 0 {
            return Ok(());
        }
        self.rows += group.rows;
        let mut to = self.writer.next_row_group().map_err(error)?;
        for (pages, closed) in group.chunks {
            to.append_column(&pages, closed).map_err(error)?;
        }
        to.close().map(drop).map_err(error)
    }

    /// Ends the file, which has no name yet; answers its rows and bytes, too.
    pub(super) fn finish(self) -> Result<(Sink, u64, u64)> {
        let TableFile { writer, sink, rows, .. } = self;
        writer.close().map_err(error)?;
        let sink =
            Arc::into_inner(sink.0).ok_or_else(|| io::Error::other("a table's file is in use"));
        let sink = sink.map_err(Error::from_write)?;
        let mut sink = sink.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A disk that is full is told before any file has its name.
        sink.flush().map_err(Error::from_write)?;
        let bytes = sink.bytes();
        Ok((sink, rows, bytes))
    }
}
