//! The front of an ELF core: header and program headers.
//!
//! Knows where they go; what the segments hold, and in what order, is the caller's matter.

const EHDR: u64 = 64;
const PHDR: u64 = 56;
const SHDR: u64 = 64;
/// From here on the count of program headers is in section header 0 (PN_XNUM, elf(5)).
const PN_XNUM: u64 = 0xffff;

/// One PT_LOAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// First address.
    pub start: u64,
    /// Bytes of address space.
    pub memsz: u64,
    /// Bytes in the file; the rest was not saved.
    pub filesz: u64,
    /// Where they lie in the file.
    pub offset: u64,
    /// 4 read, 2 write, 1 execute.
    pub flags: u32,
}

/// What a core is read by, in the order in which it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// libjvm's data: it leads to all else.
    VmData,
    /// Its symbols and constants, which its file has as well.
    VmSymbols,
    /// The rest, the VM's code too: the less there is of it, the sooner.
    Other,
}

impl Need {
    /// By the flags of a segment, and whether it is libjvm's.
    pub fn of(is_libjvm: bool, flags: u32) -> Need {
        match (is_libjvm, flags & 2 != 0, flags & 1 != 0) {
            (true, true, _) => Need::VmData,
            (true, _, false) => Need::VmSymbols,
            _ => Need::Other,
        }
    }
}

/// Bytes of a front with so many program headers.
pub fn front_len(headers: usize) -> u64 {
    let headers = headers as u64;
    EHDR + headers * PHDR + if headers >= PN_XNUM { SHDR } else { 0 }
}

/// The next file offset that equals `addr` modulo the page size, so that it can be mapped.
pub fn aligned(at: u64, addr: u64, page: u64) -> u64 {
    at + (addr.wrapping_sub(at)) % page
}

/// Header and program headers: one PT_NOTE for each of `notes` (offset, length), then `loads`,
/// then as many empty ones as bring them to `headers`. `machine` is `e_machine`, `page` the
/// process's page size.
pub fn front(
    machine: u16,
    page: u64,
    notes: &[(u64, u64)],
    loads: &[Load],
    headers: usize,
) -> Vec<u8> {
    let count = (notes.len() + loads.len()).max(headers) as u64;
    let big = count >= PN_XNUM;
    let mut out = Front(Vec::with_capacity(front_len(count as usize) as usize));
    out.0.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    out.u16(4); // ET_CORE
    out.u16(machine);
    out.u32(1);
    out.u64s(&[0, EHDR, if big { EHDR + count * PHDR } else { 0 }]);
    out.u32(0);
    out.u16(EHDR as u16);
    out.u16(PHDR as u16);
    out.u16(count.min(PN_XNUM) as u16);
    out.u16(if big { SHDR as u16 } else { 0 });
    out.u16(big.into());
    out.u16(0);
    for &(offset, len) in notes {
        out.u32(4); // PT_NOTE
        out.u32(4);
        out.u64s(&[offset, 0, 0, len, 0, 4]);
    }
    for load in loads {
        out.u32(1); // PT_LOAD
        out.u32(load.flags);
        out.u64s(&[load.offset, load.start, 0, load.filesz, load.memsz, page]);
    }
    // PT_NULL.
    out.0.resize((EHDR + count * PHDR) as usize, 0);
    if big {
        // Section header 0: sh_info has the count that e_phnum cannot hold.
        out.u64s(&[0, 0, 0, 0, 0]);
        out.u32(0);
        out.u32(count as u32);
        out.u64s(&[0, 0]);
    }
    out.0
}

struct Front(Vec<u8>);

impl Front {
    fn u16(&mut self, v: u16) {
        self.0.extend(v.to_le_bytes());
    }

    fn u32(&mut self, v: u32) {
        self.0.extend(v.to_le_bytes());
    }

    fn u64s(&mut self, values: &[u64]) {
        values.iter().for_each(|v| self.0.extend(v.to_le_bytes()));
    }
}
