//! A compiled method: from a pc in it to the Java frames that it stands for.

use super::super::Vm;
use super::cache::{Blob, BlobKind, CodeCache};
use super::method::Method;
use crate::error::{Error, Result};
use crate::vmstructs::Field;

/// PcDescs of one method, one per place where it may stop: a method has at most some MB of code.
const MAX_PC_DESCS: u64 = 1 << 20;
/// Oops and Metadata that code refers to.
const MAX_INDEX: u32 = 1 << 20;

/// One nmethod's places, as addresses.
#[derive(Debug, Clone)]
pub(crate) struct Nmethod {
    /// nmethod*.
    pub addr: u64,
    /// CodeBlob's code_begin.
    pub code_begin: u64,
    /// Method*.
    pub method: u64,
    /// 1 to 3: C1; 4: C2; 0: a native wrapper.
    pub level: i32,
    /// Where the scopes are described.
    pub scopes_data: u64,
    /// The PcDescs: first address, and first behind them.
    pub pc_descs: (u64, u64),
    /// The table of oops: first address, and first behind it.
    pub oops: (u64, u64),
    /// Where the table of Metadata is.
    pub metadata: u64,
    /// The relocations: first address, and first behind them.
    pub relocations: (u64, u64),
    /// Where they count from.
    pub content: u64,
    /// Return addresses that stand for deoptimisation.
    deopt: [u64; 2],
    /// Where in the frame the true pc is then, in bytes from the stack pointer.
    orig_pc: i64,
}

/// A PcDesc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PcDesc {
    /// Offset of the pc from `code_begin`.
    pub pc_offset: i32,
    /// Where the innermost scope is described, 0 for none.
    pub scope: u32,
}

impl Nmethod {
    /// Reads the nmethod that `blob` is.
    pub(crate) fn read(vm: &Vm, blob: &Blob) -> Result<Nmethod> {
        let (mem, f) = (vm.mem, &vm.fields);
        let addr = blob.addr;
        let fault = || Error::unreadable(format!("the nmethod at {addr:#x}"));
        let at = |field: Field| field.get().map(|o| addr.wrapping_add(o));
        let word = |field: Field| mem.u64(at(field)?).map_err(fault());
        let int = |field: Field| mem.u32(at(field)?).map(u64::from).map_err(fault());
        let short_offset =
            |base: u64, field: Field| int(field).map(|offset| base.wrapping_add(offset));
        let (scopes_data, pc_descs, oops, metadata);
        if f.nmethod_immutable_data.opt().is_some() {
            let base = word(f.nmethod_immutable_data)?;
            scopes_data = short_offset(base, f.nmethod_scopes_data_offset)?;
            pc_descs = (short_offset(base, f.nmethod_scopes_pcs_offset)?, scopes_data);
            oops = (short_offset(addr, f.blob_data_offset)?, blob.end);
            metadata = short_offset(word(f.blob_mutable_data)?, f.blob_relocation_size)?;
        } else {
            scopes_data = match f.nmethod_scopes_data.opt() {
                Some(_) => word(f.nmethod_scopes_data)?,
                None => short_offset(addr, f.nmethod_scopes_data_offset)?,
            };
            let end = short_offset(addr, f.nmethod_dependencies_offset)?;
            pc_descs = (short_offset(addr, f.nmethod_scopes_pcs_offset)?, end);
            metadata = short_offset(addr, f.nmethod_metadata_offset)?;
            oops = (short_offset(addr, f.nmethod_oops_offset)?, metadata);
        }
        let content = match f.blob_content_begin.opt() {
            Some(_) => word(f.blob_content_begin)?,
            None => short_offset(addr, f.blob_content_offset)?,
        };
        let relocations = match f.blob_mutable_data.opt() {
            Some(_) => {
                let start = word(f.blob_mutable_data)?;
                (start, short_offset(start, f.blob_relocation_size)?)
            }
            None => (short_offset(addr, f.blob_header_size)?, content),
        };
        let handler = |address: Field, offset: Field| match (address.opt(), offset.opt()) {
            (Some(_), _) => word(address),
            // Native wrappers have none: -1.
            (None, Some(_)) => {
                int(offset).map(|o| if o as i32 > 0 { addr.wrapping_add(o) } else { 0 })
            }
            (None, None) => Ok(0),
        };
        Ok(Nmethod {
            addr,
            code_begin: blob.code_begin,
            method: word(f.nmethod_method)?,
            level: mem.u8(at(f.nmethod_comp_level)?).map(|l| i32::from(l as i8)).unwrap_or(-1),
            scopes_data,
            pc_descs,
            oops,
            metadata,
            relocations,
            content,
            deopt: [
                handler(f.nmethod_deopt_begin, f.nmethod_deopt_offset)?,
                handler(f.nmethod_deopt_mh_begin, f.nmethod_deopt_mh_offset)?,
            ],
            orig_pc: i64::from(int(f.nmethod_orig_pc_offset)? as i32),
        })
    }

    /// One whose parts lie at these places: the sample cores have no compiled code.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn fuzzed(start: u64, pc_descs: u64, oops: u64, metadata: u64, scopes: u64) -> Self {
        Nmethod {
            addr: start,
            code_begin: start,
            method: 0,
            level: 4,
            scopes_data: start.wrapping_add(scopes),
            pc_descs: (start, start.wrapping_add(pc_descs)),
            oops: (start.wrapping_add(oops), start.wrapping_add(metadata)),
            metadata: start.wrapping_add(metadata),
            relocations: (start, start),
            content: start,
            deopt: [start, 0],
            orig_pc: 8,
        }
    }

    /// The pc where the frame with this stack pointer really is: a frame that is to be
    /// deoptimised returns to a handler, and its pc is in a slot of its own.
    pub(crate) fn original_pc(&self, vm: &Vm, pc: u64, sp: u64) -> u64 {
        if pc == 0 || !self.deopt.contains(&pc) {
            return pc;
        }
        vm.mem.u64(sp.wrapping_add_signed(self.orig_pc)).unwrap_or(pc)
    }

    /// The PcDesc of exactly this pc.
    pub(crate) fn pc_desc(&self, vm: &Vm, pc: u64) -> Option<PcDesc> {
        self.pc_desc_near(vm, pc).filter(|d| self.real_pc(d) == pc)
    }

    /// The first PcDesc at or behind this pc: where the thread will stop next, as a guess.
    pub(crate) fn pc_desc_near(&self, vm: &Vm, pc: u64) -> Option<PcDesc> {
        let size = vm.tables.size_of("PcDesc").filter(|s| (8..=64).contains(s))?;
        let count = (self.pc_descs.1.checked_sub(self.pc_descs.0)? / size).min(MAX_PC_DESCS);
        let read = |i: u64| {
            let at = self.pc_descs.0.wrapping_add(i * size);
            let f = &vm.fields;
            Some(PcDesc {
                pc_offset: vm.mem.i32(at.wrapping_add(f.pc_desc_pc_offset.opt()?)).ok()?,
                scope: vm.mem.u32(at.wrapping_add(f.pc_desc_scope.opt()?)).ok()?,
            })
        };
        let wanted = i32::try_from(pc.checked_sub(self.code_begin)?).ok()?;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if read(middle)?.pc_offset < wanted { low = middle + 1 } else { high = middle }
        }
        // The last one is a sentinel.
        (low + 1 < count).then(|| read(low)).flatten()
    }

    /// The pc that a PcDesc is of.
    pub(crate) fn real_pc(&self, desc: &PcDesc) -> u64 {
        self.code_begin.wrapping_add_signed(i64::from(desc.pc_offset))
    }

    /// The Method with this index in the table of Metadata; 0 is none.
    pub(crate) fn method_at(&self, vm: &Vm, index: u32) -> Option<Method> {
        Method::read(vm, self.entry(vm, self.metadata, index)?)
    }

    /// The object with this index in the table of oops; 0 is null.
    pub(crate) fn oop_at(&self, vm: &Vm, index: u32) -> Option<u64> {
        if index == 0 {
            return Some(0);
        }
        Some(vm.barrier.resolve(vm.mem, self.entry(vm, self.oops.0, index)?))
    }

    fn entry(&self, vm: &Vm, table: u64, index: u32) -> Option<u64> {
        let index = index.checked_sub(1).filter(|i| *i < MAX_INDEX)?;
        vm.mem.u64(table.wrapping_add(u64::from(index) * 8)).ok()
    }
}

impl CodeCache<'_> {
    /// The compiled methods and native wrappers, by address.
    pub(crate) fn nmethods(&self) -> impl Iterator<Item = Nmethod> {
        let compiled = self.blobs().filter(|b| b.kind == BlobKind::Nmethod);
        compiled.filter_map(|b| Nmethod::read(self.vm, &b).ok())
    }
}
