//! A bundle as a zip: like a tar, with a directory at its end.
//!
//! Members that are stored are mapped where they lie, compressed ones are unpacked.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::CompressionMethod;
use zip::result::ZipError;

use super::bundle::{
    Bundle, HEAD, MAX_FILES, MAX_UNPACKED, Member, is_core, mapped, names, of_file,
};
use crate::error::{Error, Result};
use crate::format::files::{is_archive, is_vm_file};
use crate::mapped::Mapped;
use crate::unpack::{Packing, spool};

/// Whether a file that starts like this is a zip with a member in it.
pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// Finds the core in the zip `file`, and the files that may lie under it.
///
/// [`Error::NotACore`] where there is no core in it, or more than one, or the zip is damaged.
pub(super) fn read(label: &Path, file: &File) -> Result<Bundle> {
    let not = |what: String| Error::NotACore { path: label.into(), what };
    let damaged = |e: ZipError| match e {
        ZipError::Io(e) if e.kind() != io::ErrorKind::UnexpectedEof => {
            Error::Io { path: label.into(), source: e }
        }
        e => not(format!(
            "a zip that is damaged or cut off ({e}); its directory is at its end, so nothing of it \
             is read: copy it again, or unpack what is there with another tool (zip -FF)"
        )),
    };
    let mut again = file.try_clone().map_err(Error::io(label))?;
    again.rewind().map_err(Error::io(label))?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(again)).map_err(damaged)?;
    let (mut cores, mut files, mut packed) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..archive.len() {
        let shown = archive.name_for_index(i).unwrap_or("a member").to_owned();
        let mut member = match archive.by_index(i) {
            Ok(member) => member,
            // Encrypted, or compressed in a way of its own.
            Err(ZipError::UnsupportedArchive(_)) => {
                packed.push(shown.into());
                continue;
            }
            Err(e) => return Err(damaged(e)),
        };
        if !member.is_file() {
            continue;
        }
        let name = PathBuf::from(member.name());
        if member.size() > MAX_UNPACKED {
            return Err(not(format!(
                "{} says that it has {} bytes",
                name.display(),
                member.size()
            )));
        }
        let mut first = Vec::new();
        let read = (&mut member).take(HEAD as u64).read_to_end(&mut first);
        read.map_err(Error::io(label))?;
        let wanted = is_vm_file(&name.to_string_lossy()) || is_archive(&first);
        let wanted = wanted && files.len() < MAX_FILES;
        let inner = Packing::of(&first);
        if !is_core(&first) && !wanted && inner.is_none() {
            continue;
        }
        let stored = member.compression() == CompressionMethod::Stored;
        let (at, len) = (member.data_start(), member.size());
        let all = first.as_slice().chain(member);
        let (map, core) = match inner {
            Some(packing) => match unpacked(label, &name, packing, all)? {
                Some(map) => (map, true),
                None => {
                    packed.push(name);
                    continue;
                }
            },
            None if stored => (mapped(label, file, at, len)?, is_core(&first)),
            None => (whole(label, &name, &mut { all })?, is_core(&first)),
        };
        match core {
            true => cores.push((name, map)),
            false => files.push(Member { name, map }),
        }
    }
    match <[_; 1]>::try_from(cores) {
        Ok([(_, core)]) => Ok(Bundle { core, files }),
        Err(none) if none.is_empty() && packed.is_empty() => Err(not(format!(
            "a zip without a core: none of its {} members is an ELF core; give the core that \
             gcore or the kernel wrote, or a bundle with it",
            archive.len()
        ))),
        Err(none) if none.is_empty() => Err(not(format!(
            "a zip without a core that can be read: {} is encrypted, or compressed otherwise than \
             by deflate, or compressed twice and no core; unpack it",
            names(&packed)
        ))),
        Err(several) => {
            let paths: Vec<PathBuf> = several.iter().map(|(name, _)| name.clone()).collect();
            Err(not(format!(
                "a zip with {} cores ({}); unpack the one that you want and give it by itself",
                paths.len(),
                names(&paths)
            )))
        }
    }
}

/// A core that is compressed within the zip; none where it is no core.
fn unpacked(
    label: &Path,
    name: &Path,
    packing: Packing,
    from: impl Read,
) -> Result<Option<Arc<Mapped>>> {
    let mut from = packing.decoder(io::BufReader::new(from)).map_err(Error::io(label))?;
    let mut first = Vec::new();
    if (&mut from).take(HEAD as u64).read_to_end(&mut first).is_err() || !is_core(&first) {
        return Ok(None);
    }
    whole(label, name, &mut first.chain(from)).map(Some)
}

/// All of a member. What is damaged is an error: a zip says how long its members are.
fn whole(label: &Path, name: &Path, from: &mut impl Read) -> Result<Arc<Mapped>> {
    let (file, size, end) = spool(label, from)?;
    end.map_err(|e| {
        let what = format!("{}: damaged: {e} (after {size} unpacked bytes)", name.display());
        Error::NotACore { path: label.into(), what }
    })?;
    of_file(label, &file)
}
