//! A bundle: a tar that holds one core and, beside it, the files that rjcore lays under it.
//!
//! Knows tar, and how a core and a packed file start; knows nothing of what is in a core, nor
//! which file belongs under which mapping. Members are mapped where they lie in the tar.

use std::fs::File;
use std::io::{Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::files::{is_archive, is_vm_file};
use crate::mapped::Mapped;
use crate::unpack::{Packing, peek, spool, unpack};

/// Bytes of a tar's header; the first of it is enough to know it.
pub(super) const HEADER: usize = 512;
/// A bundle has one libjvm.so and a few archives; a container's image has not many more.
pub(super) const MAX_FILES: usize = 10_000;
/// The holes of a sparse member cost time: no file system of today holds more.
pub(super) const MAX_UNPACKED: u64 = 1 << 44;
/// Bytes of a member that tell what it is.
pub(super) const HEAD: usize = 64;
/// How many names a message lists.
const SHOWN: usize = 4;
/// GNU tar's keys of a sparse member in a pax archive, whose map lies among its data.
const PAX_SPARSE: &str = "GNU.sparse.";

/// A file of the bundle that may lie under a core's pages.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its name in the tar.
    pub name: PathBuf,
    /// Its bytes.
    pub map: Arc<Mapped>,
}

/// What of a tar rjcore uses.
pub(super) struct Bundle {
    pub core: Arc<Mapped>,
    pub files: Vec<Member>,
}

/// Whether a file that starts like this is a tar: POSIX's and GNU's magic, at 257.
pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// Finds the core in the tar `file`, and the files that may lie under it.
///
/// A tar that is cut off gives what is there: the core's own headers tell what it lacks.
/// [`Error::NotACore`] where there is no core in it, or more than one.
pub(super) fn read(label: &Path, file: &File) -> Result<Bundle> {
    let not = |what: String| Error::NotACore { path: label.into(), what };
    let whole = Mapped::file(label, file).map_err(Error::io(label))?;
    let (mut cores, mut files) = (Vec::new(), Vec::new());
    let (mut packed, mut sparse) = (Vec::new(), Vec::new());
    let mut members = 0;
    let mut archive = tar::Archive::new(Cursor::new(&whole[..]));
    let entries = archive.entries_with_seek().map_err(Error::io(label))?;
    let mut ended = None;
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                ended = Some(e);
                break;
            }
        };
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
            continue;
        }
        members += 1;
        let name = PathBuf::from(std::ffi::OsStr::from_bytes(&entry.path_bytes()));
        let at = entry.raw_file_position();
        let len = entry.size().min((whole.len() as u64).saturating_sub(at));
        if is_pax_sparse(&mut entry) {
            sparse.push(name);
            continue;
        }
        let mut first = Vec::new();
        if kind.is_gnu_sparse() {
            // Its first bytes need not lie behind its header.
            let read = (&mut entry).take(HEAD as u64).read_to_end(&mut first);
            read.map_err(Error::io(label))?;
        } else {
            first.extend(part(&whole, at, len.min(HEAD as u64)));
        }
        let core = is_core(&first);
        let wanted = is_vm_file(&name.to_string_lossy()) || is_archive(&first);
        let wanted = wanted && files.len() < MAX_FILES;
        if is_packed(&first) && !kind.is_gnu_sparse() {
            let bytes = part(&whole, at, len);
            if is_core(&peek(bytes, HEAD)) {
                let file = unpack(label, bytes, 0, None)?.of_core(label)?;
                cores.push((name, of_file(label, &file)?));
            } else {
                packed.push(name);
            }
        } else if !first.is_empty() && (core || wanted) {
            if kind.is_gnu_sparse() && entry.size() > MAX_UNPACKED {
                let name = name.display();
                return Err(not(format!("{name} says that it has {} bytes", entry.size())));
            }
            let map = match kind.is_gnu_sparse() {
                true => unpacked(label, &mut first.chain(entry))?,
                false => mapped(label, file, at, len)?,
            };
            match core {
                true => cores.push((name, map)),
                false => files.push(Member { name, map }),
            }
        }
    }
    let cut = ended.map_or(String::new(), |e| format!("; the tar is damaged or cut off: {e}"));
    match <[_; 1]>::try_from(cores) {
        Ok([(_, core)]) => Ok(Bundle { core, files }),
        Err(none) if none.is_empty() => Err(not(match (&packed[..], &sparse[..]) {
            ([], []) => format!(
                "a tar without a core: none of its {members} files is an ELF core; give the \
                 core that gcore or the kernel wrote, or a bundle with it{cut}"
            ),
            ([], sparse) => format!(
                "a tar without a core that can be read in place: {} is a sparse member in pax \
                 format; unpack the tar, or make it without --sparse{cut}",
                names(sparse)
            ),
            (packed, _) => format!(
                "a tar without a core that can be read in place: {} is compressed inside the \
                 tar; unpack it, or compress the tar as a whole (tar -c ... | zstd){cut}",
                names(packed)
            ),
        })),
        Err(several) => {
            let paths: Vec<PathBuf> = several.iter().map(|(name, _)| name.clone()).collect();
            Err(not(format!(
                "a tar with {} cores ({}); unpack the one that you want and give it by itself",
                paths.len(),
                names(&paths)
            )))
        }
    }
}

/// `ET_CORE` of an ELF file that starts like this.
pub(super) fn is_core(head: &[u8]) -> bool {
    // A big-endian one is told apart later.
    head.starts_with(b"\x7fELF") && matches!(head.get(16..18), Some([4, 0] | [0, 4]))
}

/// Compressed as rjcore can unpack it.
fn is_packed(head: &[u8]) -> bool {
    Packing::of(head).is_some()
}

/// A file of ours, or one that the bundle's own name stands for.
pub(super) fn of_file(label: &Path, file: &File) -> Result<Arc<Mapped>> {
    Mapped::file(label, file).map(Arc::new).map_err(Error::io(label))
}

/// What of a member is there.
fn part(whole: &[u8], at: u64, len: u64) -> &[u8] {
    let from = usize::try_from(at).ok().and_then(|at| whole.get(at..)).unwrap_or_default();
    usize::try_from(len).ok().and_then(|len| from.get(..len)).unwrap_or(from)
}

fn is_pax_sparse(entry: &mut tar::Entry<'_, impl Read>) -> bool {
    let Ok(Some(mut extensions)) = entry.pax_extensions() else { return false };
    extensions.any(|e| e.is_ok_and(|e| e.key().is_ok_and(|k| k.starts_with(PAX_SPARSE))))
}

pub(super) fn mapped(label: &Path, file: &File, at: u64, len: u64) -> Result<Arc<Mapped>> {
    Mapped::part(label, file, at, len).map(Arc::new).map_err(Error::io(label))
}

/// A member made with `tar --sparse` does not lie in one piece.
fn unpacked(label: &Path, entry: &mut impl Read) -> Result<Arc<Mapped>> {
    // Where the tar is cut, what came before it is kept.
    let (file, _, _end) = spool(label, entry)?;
    of_file(label, &file)
}

pub(super) fn names(paths: &[PathBuf]) -> String {
    let mut shown: Vec<String> =
        paths.iter().take(SHOWN).map(|p| p.display().to_string()).collect();
    if paths.len() > SHOWN {
        shown.push(format!("and {} more", paths.len() - SHOWN));
    }
    shown.join(", ")
}
