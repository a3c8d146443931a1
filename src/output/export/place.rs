//! Where the tables go: a directory with a file for each, or a part of one in which those of many dumps lie.
//!
//! No file has its name before all are written, and what was made is taken away where that fails.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::schema::{TABLES, Table};
use crate::error::{Advice, Error, Result};
use crate::output::sink::{Sink, Target};

/// What Hive, and who reads its partitions, takes for NULL.
const NO_HOST: &str = "__HIVE_DEFAULT_PARTITION__";

/// Where the tables go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory, which is made where it is not there.
    pub directory: PathBuf,
    /// Among those of other dumps, or alone.
    pub partition: Option<Partition>,
    /// Whether what is there may be replaced.
    pub overwrite: bool,
}

/// What sets the tables of one dump apart: TABLE/host=HOST/dump=NAME/part-0.parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The machine, where it is known.
    pub host: Option<String>,
    /// The dump's name.
    pub dump: String,
}

impl Place {
    fn file(&self, table: &Table) -> PathBuf {
        let Some(partition) = &self.partition else {
            return self.directory.join(format!("{}.parquet", table.name));
        };
        let host = partition.host.as_deref().map_or_else(|| NO_HOST.into(), escaped);
        let of_table = self.directory.join(table.name).join(format!("host={host}"));
        of_table.join(format!("dump={}", escaped(&partition.dump))).join("part-0.parquet")
    }

    /// An error where something is there that may not be replaced, or where no directory can be.
    pub fn check(&self, tables: &[&'static Table]) -> Result<()> {
        if self.directory.as_os_str().is_empty() {
            let advice = Some(Advice::NameOutput);
            return Err(Error::Usage { what: "the directory's name is empty".into(), advice });
        }
        let is_none = fs::symlink_metadata(&self.directory)
            .is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        if !is_none && !self.directory.is_dir() {
            let what = format!("{}: is no directory", self.directory.display());
            return Err(Error::usage(what));
        }
        let taken = match &self.partition {
            None => (!is_empty(&self.directory)?).then(|| self.directory.clone()),
            Some(_) => tables.iter().map(|t| self.file(t)).find(|f| f.exists()),
        };
        match taken {
            Some(taken) if !self.overwrite => Err(Error::Usage {
                what: match self.partition {
                    None => format!("{}: exists already and is not empty", taken.display()),
                    Some(_) => format!("{}: exists already", taken.display()),
                },
                advice: Some(Advice::AllowOverwrite),
            }),
            _ => Ok(()),
        }
    }
}

fn is_empty(directory: &Path) -> Result<bool> {
    match fs::read_dir(directory) {
        Ok(mut all) => Ok(all.next().is_none()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(Error::io(directory)(e)),
    }
}

/// As a part of a path: what is not a letter, a digit, `.`, `-` or `_` as % and two digits.
fn escaped(name: &str) -> String {
    let of = |b: u8| match b {
        b'-' | b'_' | b'.' => char::from(b).to_string(),
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    name.bytes().map(of).collect()
}

/// The files while they are written. Dropped before [`Files::finish`], it leaves nothing.
#[derive(Debug)]
pub(super) struct Files<'p> {
    place: &'p Place,
    /// Directories that were made, outermost first.
    made: Vec<PathBuf>,
    /// Files that are written, and have no name yet.
    written: Vec<(PathBuf, Sink)>,
    /// Those that were not there before, and have their names now.
    named: Vec<PathBuf>,
    finished: bool,
}

impl<'p> Files<'p> {
    pub(super) fn new(place: &'p Place) -> Files<'p> {
        let (made, written, named) = Default::default();
        Files { place, made, written, named, finished: false }
    }

    /// A table's file.
    pub(super) fn open(&mut self, table: &Table) -> Result<Sink> {
        let path = self.place.file(table);
        self.make(path.parent().unwrap_or(Path::new(".")))?;
        Sink::open(&Target::File { path, overwrite: self.place.overwrite }, true)
    }

    /// Makes a directory below the one that was named; that one's own parent must be there.
    fn make(&mut self, directory: &Path) -> Result<()> {
        let is_below = directory.starts_with(&self.place.directory);
        if directory.is_dir() || !is_below {
            return Ok(());
        }
        if directory != self.place.directory
            && let Some(parent) = directory.parent()
        {
            self.make(parent)?;
        }
        match fs::create_dir(directory) {
            Ok(()) => self.made.push(directory.to_owned()),
            // Another export into the same directory was faster.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(directory)(e)),
        }
        Ok(())
    }

    /// A file that is complete.
    pub(super) fn add(&mut self, table: &Table, sink: Sink) {
        self.written.push((self.place.file(table), sink));
    }

    /// Gives all files their names. Where they may replace others, those of the same dump that are not replaced are taken away.
    pub(super) fn finish(mut self) -> Result<()> {
        let written = std::mem::take(&mut self.written);
        let names: Vec<PathBuf> = written.iter().map(|(path, _)| path.clone()).collect();
        for (path, sink) in written {
            let is_new = fs::symlink_metadata(&path).is_err();
            sink.finish()?;
            if is_new {
                self.named.push(path);
            }
        }
        self.finished = true;
        let others = TABLES.iter().map(|t| self.place.file(t)).filter(|f| !names.contains(f));
        for other in others.filter(|_| self.place.overwrite) {
            match fs::remove_file(&other) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io(&other)(e)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Files<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // The hidden files first: a directory that is not empty stays.
        self.written.clear();
        for path in &self.named {
            let _ = fs::remove_file(path);
        }
        for directory in self.made.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_partitions_are_no_paths() {
        let place = |host: Option<&str>, dump: &str| Place {
            directory: "to".into(),
            partition: Some(Partition { host: host.map(str::to_owned), dump: dump.into() }),
            overwrite: false,
        };
        let file = |place: Place| place.file(TABLES[0]).display().to_string();
        let own = file(place(Some("db-1.acme"), "../core=1 \u{fc}"));
        assert_eq!(own, "to/dump/host=db-1.acme/dump=..%2Fcore%3D1%20%C3%BC/part-0.parquet");
        let unknown = file(place(None, "core"));
        assert_eq!(unknown, "to/dump/host=__HIVE_DEFAULT_PARTITION__/dump=core/part-0.parquet");
    }
}
