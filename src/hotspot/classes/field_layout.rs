//! The fields of an InstanceKlass, in declaration order: u2 slots until JDK 20, a compressed
//! stream from 21 (JDK-8292818).

use super::values::FlatField;
use crate::corefile::memory::Memory;
use crate::error::{Error, Fault, Result};
use crate::hotspot::unexported::{ACC_FIELD_GENERIC, ACC_FIELD_INTERNAL, ACC_STATIC};
use crate::vmstructs::{Fields, Tables};

/// The class-file format allows 65,535; injected ones come on top.
const MAX_FIELDS: u32 = 66_000;
/// Mirrors and instances are smaller than this; an offset beyond is damage.
const MAX_OFFSET: u32 = 1 << 24;

/// One field as declared, or injected by the VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldInfo {
    /// Symbol of the name.
    pub name: u64,
    /// Symbol of the signature.
    pub signature: u64,
    /// First character of the signature: `B C D F I J S Z L [`.
    pub kind: u8,
    /// Byte offset in the instance, or in the mirror for a static one.
    pub offset: u32,
    /// Declared static.
    pub is_static: bool,
    /// Added by the VM.
    pub injected: bool,
    /// The value object itself lies there, not a reference to it (JEP 401).
    pub flat: Option<FlatField>,
}

/// Whether this signature is a reference.
pub fn is_reference(kind: u8) -> bool {
    matches!(kind, b'L' | b'[')
}

/// Decodes fields with the tables' facts, looked up once.
#[derive(Debug)]
pub struct FieldReader<'a> {
    mem: &'a Memory,
    fields: &'a Fields,
    pool_header: u64,
    array_data: u64,
    u2_data: u64,
    injected_bit: u32,
    /// Flag bits that bring an extra number: initial value, generic signature, contended group;
    /// layout kind of a flat field and offset of its null marker, where the VM knows such.
    extra_bits: Vec<u32>,
    flat_bit: Option<u32>,
    null_marker_bit: Option<u32>,
    /// sizeof(ValueFieldLayoutInfo).
    flat_field_size: u64,
    /// Injected fields get the numbers of their symbols instead of the symbols.
    numbers: bool,
}

impl<'a> FieldReader<'a> {
    /// Looks the facts up.
    pub fn new(mem: &'a Memory, tables: &Tables, fields: &'a Fields) -> Result<Self> {
        let pool_header = tables
            .size_of("ConstantPool")
            .ok_or_else(|| Error::MissingField { what: "sizeof(ConstantPool)".into() })?;
        let known = |name: &str| {
            let v = tables.constant(&format!("FieldInfo::FieldFlags::_ff_{name}"));
            v.and_then(|v| u32::try_from(v).ok()).filter(|v| *v < 32)
        };
        let bit = |name: &str, standard: u32| known(name).unwrap_or(standard);
        let standard = [bit("initialized", 0), bit("generic", 2), bit("contended", 4)];
        let values = [known("flat"), known("null_marker")];
        Ok(FieldReader {
            mem,
            fields,
            pool_header,
            // Array<u1> starts with an int length; its data follows (array.hpp).
            array_data: fields.u1_array_data.opt().unwrap_or(4),
            u2_data: fields.u2_array_data.opt().unwrap_or(4),
            injected_bit: bit("injected", 1),
            extra_bits: standard.into_iter().chain(values.into_iter().flatten()).collect(),
            flat_bit: known("flat"),
            null_marker_bit: known("null_marker"),
            flat_field_size: tables.size_of("ValueFieldLayoutInfo").unwrap_or(16),
            numbers: false,
        })
    }

    /// For who does not know the VM's symbols yet: as names and signatures of injected fields the
    /// symbols' numbers are answered.
    pub fn with_numbers(mem: &'a Memory, tables: &Tables, fields: &'a Fields) -> Result<Self> {
        Ok(FieldReader { numbers: true, ..FieldReader::new(mem, tables, fields)? })
    }

    /// All fields that `klass` itself declares, injected ones last.
    pub fn read(&self, klass: u64) -> Result<Vec<FieldInfo>> {
        let f = self.fields;
        let fault = Error::unreadable(format!("the fields of the InstanceKlass at {klass:#x}"));
        let pool = self.mem.u64(klass.wrapping_add(f.ik_constants.get()?));
        let out = match (f.ik_fieldinfo_stream.opt(), pool) {
            (_, Err(e)) => Err(e),
            (Some(stream), Ok(pool)) => self.stream(klass, klass.wrapping_add(stream), pool),
            (None, Ok(pool)) => {
                let (slots, count) = (f.ik_fields.get()?, f.ik_java_fields_count.get()?);
                self.slots(klass.wrapping_add(slots), klass.wrapping_add(count), pool)
            }
        };
        let out = out.map_err(fault)?;
        match out.iter().find(|i| i.offset > MAX_OFFSET || i.name == 0) {
            Some(bad) => Err(Error::Corrupt(format!(
                "the InstanceKlass at {klass:#x} has a field at offset {}",
                bad.offset
            ))),
            None => Ok(out),
        }
    }

    /// The symbol that a name or signature index means: a constant-pool entry, or for an
    /// injected field an index into the VM's own symbols.
    fn symbol(&self, pool: u64, index: u32, injected: bool) -> Result<u64, Fault> {
        if injected && self.numbers {
            return Ok(u64::from(index));
        }
        let index = u64::from(index) * 8;
        match (injected, self.fields.vm_symbols.opt()) {
            (true, Some(table)) => self.mem.u64(table.wrapping_add(index)),
            (true, None) => Ok(1), // nameless, and never written
            (false, _) => {
                Ok(self.mem.u64(pool.wrapping_add(self.pool_header).wrapping_add(index))? & !1)
            }
        }
    }

    fn info(
        &self,
        pool: u64,
        (name, signature): (u32, u32),
        offset: u32,
        access: u32,
        injected: bool,
    ) -> Result<FieldInfo, Fault> {
        let signature = self.symbol(pool, signature, injected)?;
        let body = self.fields.symbol_body.opt().unwrap_or(6);
        let nameless = self.numbers || self.fields.vm_symbols.opt().is_none();
        let kind = match injected && nameless {
            true => b'L',
            false => self.mem.u8(signature.wrapping_add(body))?,
        };
        Ok(FieldInfo {
            name: self.symbol(pool, name, injected)?,
            signature,
            kind,
            offset,
            is_static: access & ACC_STATIC != 0,
            injected,
            flat: None,
        })
    }

    fn slots(&self, array: u64, count: u64, pool: u64) -> Result<Vec<FieldInfo>, Fault> {
        let array = self.mem.u64(array)?;
        let java = u32::from(self.mem.u16(count)?);
        let mut slots = self.mem.u32(array)?.min(MAX_FIELDS * 7);
        let data = array.wrapping_add(self.u2_data);
        let at = |i: u32| self.mem.u16(data.wrapping_add(u64::from(i) * 2));
        let mut out = Vec::new();
        let mut i = 0;
        while i * 6 + 5 < slots {
            let access = at(i * 6)?;
            // Each generic signature takes one slot at the end.
            slots -= u32::from(access & ACC_FIELD_GENERIC != 0);
            let name = (u32::from(at(i * 6 + 1)?), u32::from(at(i * 6 + 2)?));
            let packed = u32::from(at(i * 6 + 4)?) | u32::from(at(i * 6 + 5)?) << 16;
            let injected = i >= java || access & ACC_FIELD_INTERNAL != 0;
            out.push(self.info(pool, name, packed >> 2, u32::from(access), injected)?);
            i += 1;
        }
        Ok(out)
    }

    /// The ValueKlass of the flat field with this number; 0 where it is not known.
    fn flat_klass(&self, klass: u64, number: u32) -> u64 {
        let f = self.fields;
        let read = || {
            let infos = self.mem.u64(klass.wrapping_add(f.ik_flat_fields.opt()?)).ok()?;
            let data = infos.wrapping_add(f.flat_fields_data.opt()?);
            let info = data.wrapping_add(u64::from(number) * self.flat_field_size);
            self.mem.u64(info.wrapping_add(f.flat_field_klass.opt()?)).ok()
        };
        read().unwrap_or(0)
    }

    fn stream(&self, klass: u64, array: u64, pool: u64) -> Result<Vec<FieldInfo>, Fault> {
        let array = self.mem.u64(array)?;
        let len = u64::from(self.mem.u32(array)?).min(u64::from(MAX_FIELDS) * 40);
        let data = self.mem.slice(array.wrapping_add(self.array_data), len)?;
        let mut s = Unsigned5 { data, at: 0 };
        let short = Fault { addr: array, len };
        let mut next = || s.next().ok_or(short);
        let count = next()?.saturating_add(next()?).min(MAX_FIELDS);
        let mut out = Vec::new();
        for number in 0..count {
            let name = (next()?, next()?);
            let (offset, access, flags) = (next()?, next()?, next()?);
            let mut null_marker = None;
            for bit in &self.extra_bits {
                if flags >> bit & 1 != 0 {
                    let value = next()?;
                    if Some(*bit) == self.null_marker_bit {
                        null_marker = Some(value);
                    }
                }
            }
            let injected = flags >> self.injected_bit & 1 != 0;
            let info = self.info(pool, name, offset, access, injected)?;
            let is_flat = self.flat_bit.is_some_and(|bit| flags >> bit & 1 != 0);
            let flat =
                is_flat.then(|| FlatField { klass: self.flat_klass(klass, number), null_marker });
            out.push(FieldInfo { flat, ..info });
        }
        Ok(out)
    }
}

/// UNSIGNED5 as HotSpot codes it since 21 (unsigned5.hpp): bytes biased by one, 64 per digit.
struct Unsigned5<'a> {
    data: &'a [u8],
    at: usize,
}

impl Unsigned5<'_> {
    /// Lowest digit that says that another one follows.
    const MORE: u32 = 191;

    fn next(&mut self) -> Option<u32> {
        let mut sum = 0u32;
        for i in 0..5 {
            let digit = u32::from(*self.data.get(self.at)?).checked_sub(1)?;
            self.at += 1;
            sum = sum.wrapping_add(digit << (6 * i));
            if digit < Self::MORE {
                break;
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned5_reads_what_hotspot_writes() {
        // 0, 190, 191 and 12,351 as UNSIGNED5::write_uint codes them.
        let bytes = [1, 191, 192, 1, 192, 191];
        let mut s = Unsigned5 { data: &bytes, at: 0 };
        assert_eq!(s.next(), Some(0));
        assert_eq!(s.next(), Some(190));
        assert_eq!(s.next(), Some(191));
        assert_eq!(s.next(), Some(191 + 190 * 64));
        assert_eq!(s.next(), None);
    }
}
