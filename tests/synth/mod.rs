//! ELF files written byte by byte, for tests: a core, and a small libjvm.so.
//!
//! Shares no layout code with rjcore, so that one cannot hide the other's mistake.
#![allow(dead_code, reason = "each test uses its own part of it")]

pub const PAGE: u64 = 4096;
pub const R: u32 = 4;
pub const RW: u32 = 6;
pub const RX: u32 = 5;

/// One PT_LOAD: `bytes` are saved, `memsz` were mapped.
pub struct Load {
    pub vaddr: u64,
    pub memsz: u64,
    pub flags: u32,
    pub bytes: Vec<u8>,
}

/// An ELF core to be. The loads are written in the order given.
pub struct Core {
    pub machine: u16,
    /// Alignment of each load's bytes in the file.
    pub align: u64,
    pub notes: Vec<u8>,
    pub loads: Vec<Load>,
}

impl Default for Core {
    fn default() -> Core {
        Core { machine: 62, align: PAGE, notes: Vec::new(), loads: Vec::new() }
    }
}

impl Core {
    pub fn load(&mut self, vaddr: u64, memsz: u64, flags: u32, bytes: &[u8]) -> &mut Core {
        self.loads.push(Load { vaddr, memsz, flags, bytes: bytes.to_vec() });
        self
    }

    /// A readable and writable load that is saved in full.
    pub fn full(&mut self, vaddr: u64, bytes: &[u8]) -> &mut Core {
        self.load(vaddr, bytes.len() as u64, RW, bytes)
    }

    pub fn note(&mut self, name: &str, kind: u32, desc: &[u8]) -> &mut Core {
        let n = &mut self.notes;
        u32s(n, &[name.len() as u32 + 1, desc.len() as u32, kind]);
        n.extend(name.as_bytes());
        n.push(0);
        pad(n, 4);
        n.extend(desc);
        pad(n, 4);
        self
    }

    /// NT_FILE; `unit` is the page size that it names (the kernel 4096, gdb 1). Each file
    /// is (start, end, offset in bytes, path).
    pub fn files(&mut self, unit: u64, files: &[(u64, u64, u64, &str)]) -> &mut Core {
        let mut d = Vec::new();
        u64s(&mut d, &[files.len() as u64, unit]);
        for f in files {
            u64s(&mut d, &[f.0, f.1, f.2 / unit]);
        }
        for f in files {
            d.extend(f.3.as_bytes());
            d.push(0);
        }
        self.note("CORE", 0x4649_4c45, &d)
    }

    /// NT_PRSTATUS; every register holds `regs`.
    pub fn thread(&mut self, tid: i32, signal: u16, regs: u64) -> &mut Core {
        let words = if self.machine == 62 { 27 } else { 34 };
        let mut d = vec![0; 12];
        d.extend(signal.to_le_bytes());
        d.resize(32, 0);
        d.extend(tid.to_le_bytes());
        d.resize(112, 0);
        u64s(&mut d, &vec![regs; words]);
        u64s(&mut d, &[0]);
        self.note("CORE", 1, &d)
    }

    /// The file. As the kernel does, the notes come before the loads, and the section
    /// header that more than 65,534 program headers need comes last.
    pub fn build(&self) -> Vec<u8> {
        let phnum = self.loads.len() + 1;
        let notes_at = 64 + phnum as u64 * 56;
        let mut offset = (notes_at + self.notes.len() as u64).next_multiple_of(self.align);
        let mut phdrs = Vec::new();
        let mut data = Vec::new();
        u32s(&mut phdrs, &[4, 0]);
        u64s(&mut phdrs, &[notes_at, 0, 0, self.notes.len() as u64, 0, 4]);
        let data_at = offset;
        for l in &self.loads {
            u32s(&mut phdrs, &[1, l.flags]);
            let len = l.bytes.len() as u64;
            u64s(&mut phdrs, &[offset, l.vaddr, 0, len, l.memsz, self.align]);
            data.extend(&l.bytes);
            pad(&mut data, self.align);
            offset = data_at + data.len() as u64;
        }
        let many = phnum >= 0xffff;
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        u16s(&mut out, &[4, self.machine]);
        u32s(&mut out, &[1]);
        u64s(&mut out, &[0, 64, if many { offset } else { 0 }]);
        u32s(&mut out, &[0]);
        u16s(&mut out, &[64, 56, if many { 0xffff } else { phnum as u16 }]);
        u16s(&mut out, &[if many { 64 } else { 0 }, many.into(), 0]);
        out.extend(phdrs);
        out.extend(&self.notes);
        pad(&mut out, self.align);
        out.extend(data);
        if many {
            u64s(&mut out, &[0; 5]);
            u32s(&mut out, &[0, phnum as u32]);
            u64s(&mut out, &[0, 0]);
        }
        out
    }
}

/// A libjvm.so of three pages, filled with `fill`: text at 0..0x2800, then data at
/// 0x3800..0x4000, so that the file's last page is mapped twice.
pub fn libjvm(build_id: &[u8], fill: u8) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    u16s(&mut out, &[3, 62]);
    u32s(&mut out, &[1]);
    u64s(&mut out, &[0, 64, 0]);
    u32s(&mut out, &[0]);
    u16s(&mut out, &[64, 56, 3, 0, 0, 0]);
    u32s(&mut out, &[1, RX]);
    u64s(&mut out, &[0, 0, 0, 0x2800, 0x2800, PAGE]);
    u32s(&mut out, &[1, RW]);
    u64s(&mut out, &[0x2800, 0x3800, 0, 0x800, 0x800, PAGE]);
    u32s(&mut out, &[4, R]);
    let note = 16 + build_id.len() as u64;
    u64s(&mut out, &[0x200, 0x200, 0, note, note, 4]);
    out.resize(0x200, 0);
    u32s(&mut out, &[4, build_id.len() as u32, 3]);
    out.extend(b"GNU\0");
    out.extend(build_id);
    out.resize(0x3000, fill);
    out
}

fn pad(out: &mut Vec<u8>, align: u64) {
    out.resize(out.len().next_multiple_of(align as usize), 0);
}

fn u16s(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

fn u32s(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

fn u64s(out: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}
