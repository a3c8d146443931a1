//! Which allocator a process has, by the libraries that are mapped.

use super::{Allocator, Area};

/// By the first part of a library's name. Those that are only there to replace malloc come first.
const NAMES: [(&str, Allocator); 7] = [
    ("libjemalloc", Allocator::Jemalloc),
    ("libtcmalloc", Allocator::Tcmalloc),
    ("libmimalloc", Allocator::Mimalloc),
    ("libc.so.6", Allocator::Glibc),
    ("libc-2.", Allocator::Glibc),
    ("ld-musl-", Allocator::Musl),
    ("libc.musl-", Allocator::Musl),
];

/// The file's name without its directory.
fn base(name: &[u8]) -> &[u8] {
    name.rsplit(|b| *b == b'/').next().unwrap_or(name)
}

/// The allocator that a library is, with its rank: a lower one wins.
fn known(name: &[u8]) -> Option<(usize, Allocator)> {
    let base = base(name);
    let at = NAMES.iter().position(|(start, _)| base.starts_with(start.as_bytes()))?;
    NAMES.get(at).map(|(_, allocator)| (at, *allocator))
}

/// Whether this is glibc's libc.
pub(super) fn is_glibc(name: &[u8]) -> bool {
    known(name).is_some_and(|(_, allocator)| allocator == Allocator::Glibc)
}

/// The allocator, and the path of its library.
pub(super) fn allocator(areas: &[Area<'_>]) -> (Allocator, Option<String>) {
    let all = areas.iter().filter_map(|a| Some((known(a.name)?, a.name)));
    match all.min_by_key(|((rank, _), _)| *rank) {
        Some(((_, allocator), name)) => {
            (allocator, Some(String::from_utf8_lossy(name).into_owned()))
        }
        None => (Allocator::Unknown, None),
    }
}
