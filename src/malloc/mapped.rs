//! Chunks that are mappings of their own: what is larger than glibc's threshold (128 KB at first).

use crate::corefile::memory::{Memory, PAGE};

use super::layout::{FLAGS, HEADER, IS_MMAPPED, MMAP_HP};

/// The chunks that glibc took by mmap in `start..end`, which should be anonymous memory that nothing else claims: the
/// address of each mapping, and its bytes.
///
/// Such a chunk is told by its header at the start of a page: the flag, and a size of whole pages that ends within the
/// range. Several may follow one another, and other things may lie between. Looks at one header a page.
pub fn mapped_chunks(mem: &Memory, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
    let mut at = start.checked_next_multiple_of(PAGE).unwrap_or(end);
    std::iter::from_fn(move || {
        while at < end {
            let here = at;
            match mem.slice(here, HEADER) {
                Ok(header) => {
                    let bytes = mapping(header).filter(|bytes| *bytes <= end - here);
                    at = here.saturating_add(bytes.unwrap_or(PAGE));
                    if let Some(bytes) = bytes {
                        return Some((here, bytes));
                    }
                }
                Err(_) => {
                    let (next, _) = mem.present(here + 1, end).next()?;
                    at = next.checked_next_multiple_of(PAGE)?.max(here.saturating_add(PAGE));
                }
            }
        }
        None
    })
}

/// The bytes of the mapping that a chunk with this header would be.
fn mapping(header: &[u8]) -> Option<u64> {
    let [before, size] = header.as_chunks::<8>().0 else { return None };
    let (before, size) = (u64::from_le_bytes(*before), u64::from_le_bytes(*size));
    if before & !MMAP_HP != 0 || size & FLAGS != IS_MMAPPED {
        return None;
    }
    // The size is all of the mapping's, or (2.43) what follows the header.
    let size = size & !FLAGS;
    let whole = |bytes: &u64| *bytes > 0 && bytes.is_multiple_of(PAGE);
    [size, size.checked_add(HEADER)?].into_iter().find(whole)
}
