//! A Method: its names, its place in the source, its bytecodes.

use super::super::Vm;
use super::stream::{Coding, Stream};
use crate::vmstructs::Field;

/// `accessFlags.hpp`, JVMS 4.6.
const ACC_STATIC: u16 = 8;
const ACC_SYNCHRONIZED: u16 = 0x20;
const ACC_NATIVE: u16 = 0x100;
/// Entries of a line number table: a method has at most 65,535 bytes of code.
const MAX_LINES: usize = 1 << 17;

/// One Method, read as far as a stack trace needs it.
#[derive(Debug, Clone)]
pub struct Method {
    /// Method*.
    pub addr: u64,
    /// InstanceKlass*.
    pub holder: u64,
    /// Symbol* of the name.
    pub name: u64,
    /// Symbol* of the signature.
    pub signature: u64,
    /// Symbol* of the source file's name, 0 if there is none.
    pub source_file: u64,
    /// Declared native.
    pub is_native: bool,
    /// Declared static.
    pub is_static: bool,
    /// Declared synchronized.
    pub is_synchronized: bool,
    /// Where the bytecodes start.
    pub code: u64,
    /// How many bytes of them there are.
    pub code_size: u16,
    /// Slots of locals; of parameters, where it is native.
    pub max_locals: u16,
    /// Slots of parameters, the receiver included.
    pub parameters: u16,
    /// ConstMethod*.
    pub constant: u64,
    /// ConstantPool*.
    pub pool: u64,
    /// Whether a line number table follows the bytecodes.
    has_lines: bool,
}

impl Method {
    /// Reads the Method at `addr`; none where it is not one of a loaded class.
    pub fn read(vm: &Vm, addr: u64) -> Option<Method> {
        let (mem, f) = (vm.mem, &vm.fields);
        if addr == 0 || !addr.is_multiple_of(8) {
            return None;
        }
        let constant = mem.u64(addr.wrapping_add(f.method_const.opt()?)).ok()?;
        let u16_at = |field: Field| mem.u16(constant.wrapping_add(field.opt()?)).ok();
        let pool = mem.u64(constant.wrapping_add(f.const_constants.opt()?)).ok()?;
        let holder = mem.u64(pool.wrapping_add(f.pool_holder.opt()?)).ok()?;
        let header = vm.tables.size_of("ConstantPool")?;
        let symbol = |index: u16| {
            let slot = pool.wrapping_add(header).wrapping_add(u64::from(index) * 8);
            mem.u64(slot).ok().map(|s| s & !1)
        };
        let name = symbol(u16_at(f.const_name)?)?;
        let signature = symbol(u16_at(f.const_signature)?)?;
        // A Method's names prove that it is one.
        if vm.reader().symbol_bytes(signature)?.first() != Some(&b'(') {
            return None;
        }
        vm.reader().symbol_bytes(name)?;
        let file = match f.pool_source_file.opt() {
            Some(offset) => mem.u16(pool.wrapping_add(offset)),
            None => mem.u16(holder.wrapping_add(f.ik_source_file.opt()?)),
        };
        let source_file = file.ok().filter(|i| *i != 0).and_then(symbol).unwrap_or(0);
        let access = mem.u16(addr.wrapping_add(f.method_access.opt()?)).ok()?;
        let bit = ["ConstMethodFlags::_misc_has_linenumber_table"];
        let bit = bit.iter().chain(&["ConstMethod::_has_linenumber_table"]);
        let bit = bit.filter_map(|n| vm.tables.constant(n)).next().unwrap_or(1);
        let has_lines = i64::from(u16_at(f.const_flags)?) & bit != 0;
        let is_native = access & ACC_NATIVE != 0;
        let locals = if is_native { f.const_parameters } else { f.const_max_locals };
        Some(Method {
            addr,
            holder,
            name,
            signature,
            source_file,
            is_native,
            is_static: access & ACC_STATIC != 0,
            is_synchronized: access & ACC_SYNCHRONIZED != 0,
            code: constant.wrapping_add(vm.tables.size_of("ConstMethod")?),
            code_size: u16_at(f.const_code_size)?,
            max_locals: u16_at(locals)?,
            parameters: u16_at(f.const_parameters)?,
            constant,
            pool,
            has_lines,
        })
    }

    /// The bytecode index of the bytecode at `bcp`; 0 where it is none of this method's.
    pub fn bci(&self, bcp: u64) -> Option<i32> {
        let bci = bcp.wrapping_sub(self.code);
        (bci < u64::from(self.code_size)).then_some(bci as i32)
    }

    /// The source line of the bytecode at `bci` (Method::line_number_from_bci): that of the
    /// nearest entry before it.
    pub fn line(&self, vm: &Vm, bci: i32) -> Option<u32> {
        if !self.has_lines || self.is_native {
            return None;
        }
        let bci = bci.max(0);
        let mut table =
            Stream::new(vm.mem, self.code.wrapping_add(u64::from(self.code_size)), vm.coding());
        let (mut at, mut line) = (0i32, 0i32);
        let mut best: Option<(i32, i32)> = None;
        for _ in 0..MAX_LINES {
            // A byte each: 5 bits of bytecodes, 3 bits of lines; 0xff announces two numbers.
            match table.byte()? {
                0 => break,
                0xff => {
                    at = at.wrapping_add(table.signed()?);
                    line = line.wrapping_add(table.signed()?);
                }
                both => {
                    at = at.wrapping_add(i32::from(both >> 3));
                    line = line.wrapping_add(i32::from(both & 7));
                }
            }
            if at == bci {
                return u32::try_from(line).ok();
            }
            if at < bci && best.is_none_or(|(b, _)| at >= b) {
                best = Some((at, line));
            }
        }
        best.and_then(|(_, line)| u32::try_from(line).ok())
    }
}

impl Vm<'_> {
    /// How this VM codes UNSIGNED5.
    pub fn coding(&self) -> Coding {
        match self.eras.has_plain_unsigned5() {
            true => Coding::Plain,
            false => Coding::Biased,
        }
    }
}
