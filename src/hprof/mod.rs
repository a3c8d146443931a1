//! HPROF files as a graph of objects: 1.0.1, 1.0.2 and Android's 1.0.3, with ids of 4 or 8 bytes, of any writer that
//! keeps to the format.
//!
//! Knows the format and nothing of how it is packed: a file is mapped. It is read twice, in pieces, by all cores
//! (`scan`): for the ids, which become dense numbers (`ids`), and for where each object's record lies. That takes
//! four bytes an object, or five in a file of more than 4 GiB, besides the numbers. References are read from the file
//! when they are asked for.
//!
//! What is damaged is stepped over and told ([`Loss`]); nothing that the file says is trusted.
// What comes from the file is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

mod bytes;
mod classes;
mod dangling;
mod evidence;
pub mod format;
mod graph;
mod ids;
mod loss;
mod outline;
mod roots;
mod scan;
mod sizes;
mod sub;
mod text;
mod values;
mod workers;

use std::fs::File;
use std::path::{Path, PathBuf};

pub use dangling::Dangling;
pub use loss::Loss;
pub use outline::is_hprof;

use crate::error::{Error, Result};
use crate::graph::{
    BUILTIN_LOADERS, Class, ClassKind, ClassPart, NO_CLASS, Numbers, Plain, Root, Thread, Unread,
};
use crate::mapped::Mapped;
use classes::Classes;
use ids::Ids;
use outline::Outline;
use scan::Offsets;
use sizes::Sizes;

/// A file's objects.
#[derive(Debug)]
pub struct Dump {
    path: PathBuf,
    data: Mapped,
    outline: Outline,
    ids: Ids,
    numbers: Numbers,
    offsets: Offsets,
    /// Those that refer to nothing and whose classes are never unloaded.
    plain: Plain,
    described: Classes,
    sizes: Sizes,
    histogram: Vec<(u64, u64)>,
    classes: Vec<Class>,
    roots: Vec<Root>,
    threads: Vec<Thread>,
    loss: Loss,
    unread: Unread,
}

impl Dump {
    /// Reads the plain file, which `label` names, with so many threads. `archive` is what was wrong with the archive
    /// that it was unpacked from. `progress` gets bytes as they are read: each twice.
    ///
    /// An error where it is no HPROF file. What is missing in one is told: see [`Dump::loss`].
    pub fn from_file(
        label: &Path,
        file: &File,
        archive: Option<String>,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Dump> {
        let data = Mapped::file(label, file).map_err(Error::io(label))?;
        let mut outline = Outline::read(label, &data)?;
        outline.loss.archive = archive;
        let gathered = scan::gather(&data, &mut outline, threads, progress)?;
        let mut loss = std::mem::take(&mut outline.loss);
        let described = Classes::read(&data, &outline, &gathered.classes, &mut loss)?;
        let is_plain = described.plain();
        let classes = (&described, is_plain.as_slice());
        let (offsets, evidence, plain) =
            scan::place(&data, &outline, &gathered, classes, threads, progress)?;
        let plain = Plain { objects: plain.into_words(), classes: is_plain };
        loss.unclassed = evidence.unclassed + evidence.objects.last().map_or(0, |o| o.count);
        loss.short_instances = evidence.short;
        let ids = gathered.ids;
        let mirrors: Vec<(u32, u64)> = (0..)
            .zip(&gathered.classes)
            .filter_map(|(n, c)| Some((n, ids.spot(c.0)?.next? - c.0)))
            .collect();
        let sizes = Sizes::new(&described, &evidence, ids.alignment, outline.id, &mirrors);
        let histogram = sizes.histogram(&described, &evidence);
        let mut dump = Dump {
            path: label.into(),
            data,
            outline,
            numbers: Numbers::dense(ids.len()),
            ids,
            offsets,
            plain,
            described,
            sizes,
            histogram,
            classes: Vec::new(),
            roots: Vec::new(),
            threads: Vec::new(),
            loss,
            unread: Unread::default(),
        };
        dump.classes = dump.all_classes();
        let (roots, lost, threads) = roots::resolve(&dump, &gathered.roots);
        (dump.roots, dump.threads) = (roots, threads);
        dump.loss.lost_roots = lost;
        dump.unread = Unread {
            bytes: dump.loss.hole_bytes + dump.loss.cut_rest + dump.loss.cut_off,
            lost_roots: lost,
            notes: dump.loss.notes(),
            ..Unread::default()
        };
        Ok(dump)
    }

    fn all_classes(&self) -> Vec<Class> {
        let all = self.described.all.iter();
        all.map(|c| Class {
            name: c.name.in_java(),
            kind: c.kind,
            super_class: self.described.get(c.super_class).map(|_| c.super_class),
            interfaces: match c.kind {
                ClassKind::Instance => None,
                _ => Some([].into()),
            },
            object: self.ids.number(c.id).filter(|_| c.id != 0),
            loader: self.ids.number(c.loader).filter(|_| c.loader != 0),
            is_permanent: !c.name.is_hidden() && self.is_permanent_loader(c.loader),
        })
        .collect()
    }

    /// Whether it is the boot, the platform or the application loader, which live as long as the JVM.
    fn is_permanent_loader(&self, loader: u64) -> bool {
        let of = |loader| {
            let class = self.class_number(self.ids.number(loader)?);
            Some(self.described.get(class)?.name.element.as_str())
        };
        loader == 0 || of(loader).is_some_and(|name| BUILTIN_LOADERS.contains(&name))
    }

    /// The file as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is missing in the file.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    /// The header's version, bytes of an id, and when the dump was taken in ms since 1970 (0 where that is not known).
    pub fn header(&self) -> (&str, usize, u64) {
        (&self.outline.version, self.outline.id, self.outline.time)
    }

    /// How the sizes of objects were found, in words.
    pub fn size_note(&self) -> String {
        self.sizes.note()
    }

    /// How many objects of each class there are, and their bytes. The last entry is for those of no class.
    pub fn histogram(&self) -> &[(u64, u64)] {
        &self.histogram
    }

    /// A class's name as `jmap -histo` has it: `[Ljava.lang.String;`.
    pub fn histogram_name(&self, class: u32) -> String {
        self.described.get(class).map_or_else(|| "?".into(), |c| c.name.in_histogram())
    }

    /// The id of a class: its mirror's address. 0 where the file does not describe it.
    pub fn class_id(&self, class: u32) -> u64 {
        self.described.get(class).map_or(0, |c| c.id)
    }

    /// Bytes of memory that objects take, by their number and where they lie.
    pub fn memory(&self) -> u64 {
        let plain = self.plain.objects.len() as u64 * 8;
        self.ids.memory() + self.offsets.memory() + self.numbers.memory() + plain
    }
}

/// The static fields that stand for what the VM knows of a class.
fn class_part(name: Option<&[u8]>) -> Option<ClassPart> {
    match name? {
        b"<resolved_references>" => Some(ClassPart::ResolvedReferences),
        b"<init_lock>" => Some(ClassPart::InitLock),
        _ => None,
    }
}

/// Whether a number is a class's.
fn is_class(number: u32) -> bool {
    number != NO_CLASS
}
