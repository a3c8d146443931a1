//! The VM's flags, by name, with their types and origins (jvmFlag.hpp).

use std::collections::BTreeMap;
use std::fmt;

use crate::corefile::memory::Memory;
use crate::error::{Error, Fault, Result};
use crate::hotspot::unexported::{FLAG_ORIGIN_MASK, FLAG_TYPES};
use crate::vmstructs::{Fields, Tables};

/// HotSpot has about 1,300 flags in a debug build.
pub(in crate::hotspot) const MAX_FLAGS: u64 = 10_000;

/// A flag's value.
#[derive(Debug, Clone, PartialEq)]
pub enum FlagValue {
    /// `bool`.
    Bool(bool),
    /// `int`, `intx`.
    Int(i64),
    /// `uint`, `uintx`, `uint64_t`, `size_t`.
    Uint(u64),
    /// `double`.
    Double(f64),
    /// `ccstr`, `ccstrlist`; none where the pointer is null.
    Text(Option<String>),
}

impl fmt::Display for FlagValue {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            FlagValue::Bool(v) => write!(f, "{v}"),
            FlagValue::Int(v) => write!(f, "{v}"),
            FlagValue::Uint(v) => write!(f, "{v}"),
            FlagValue::Double(v) => write!(f, "{v}"),
            FlagValue::Text(v) => f.write_str(v.as_deref().unwrap_or("")),
        }
    }
}

/// One flag.
#[derive(Debug, Clone)]
pub struct Flag {
    /// Its value in the core.
    pub value: FlagValue,
    /// Whether anything but the built-in default set it (JVMFlagOrigin other than DEFAULT).
    pub changed: bool,
}

/// All flags of the VM.
#[derive(Debug, Default)]
pub struct Flags(BTreeMap<String, Flag>);

impl Flags {
    /// Reads the table. Flags whose memory is not saved are left out.
    pub fn read(mem: &Memory, tables: &Tables, f: &Fields) -> Result<Flags> {
        let entries = entries(mem, tables, f)?;
        let (name, addr) = (f.flag_name.get()?, f.flag_addr.get()?);
        let (flags, kind) = (f.flag_flags.get()?, f.flag_type.get()?);
        // Its type is a string until 16, and an index since.
        let named = ["JVMFlag::_type", "Flag::_type"].iter().find_map(|n| tables.entry(n));
        let named = named.is_some_and(|e| e.type_string.contains('*'));
        let kind_of = |at: u64| -> Result<Option<String>, Fault> {
            if named {
                return mem.string(mem.u64(at)?).map(Some);
            }
            Ok(FLAG_TYPES.get(mem.u32(at)? as usize).map(|s| (*s).to_owned()))
        };
        let mut all = BTreeMap::new();
        for at in entries {
            let one = || -> Result<Option<(String, Flag)>, Fault> {
                let name = mem.u64(at.wrapping_add(name))?;
                if name == 0 {
                    return Ok(None);
                }
                let name = mem.string(name)?;
                let origin = mem.u32(at.wrapping_add(flags))? & FLAG_ORIGIN_MASK;
                let p = mem.u64(at.wrapping_add(addr))?;
                let Some(kind) = kind_of(at.wrapping_add(kind))? else { return Ok(None) };
                let value = read_value(mem, &kind, p)?;
                Ok(Some((name, Flag { value, changed: origin != 0 })))
            };
            if let Ok(Some((name, flag))) = one() {
                all.insert(name, flag);
            }
        }
        Ok(Flags(all))
    }

    /// A boolean flag; false where this VM has none of that name.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.0.get(name).map(|f| &f.value), Some(FlagValue::Bool(true)))
    }

    /// An integer flag, whatever its width.
    pub fn int(&self, name: &str) -> Option<u64> {
        match self.0.get(name)?.value {
            FlagValue::Int(v) => u64::try_from(v).ok(),
            FlagValue::Uint(v) => Some(v),
            _ => None,
        }
    }

    /// The text of a string flag that has one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.0.get(name)?.value {
            FlagValue::Text(text) => text.as_deref(),
            _ => None,
        }
    }

    /// Whether this VM knows the flag.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The flags that something set, in order of their names.
    pub fn changed(&self) -> impl Iterator<Item = (&str, &Flag)> {
        self.0.iter().filter(|(_, f)| f.changed).map(|(n, f)| (n.as_str(), f))
    }
}

/// Where the table's entries lie.
fn entries(mem: &Memory, tables: &Tables, f: &Fields) -> Result<impl Iterator<Item = u64>> {
    let what = || Error::unreadable("JVMFlag::flags");
    let base = mem.u64(f.flags.get()?).map_err(what())?;
    let count = mem.u64(f.num_flags.get()?).map_err(what())?;
    let size = tables.size_of("JVMFlag").or_else(|| tables.size_of("Flag")).unwrap_or(24);
    if count == 0 || count > MAX_FLAGS || size == 0 || size > 256 {
        return Err(Error::Corrupt(format!("{count} VM flags of {size} bytes")));
    }
    Ok((0..count).map(move |i| base.wrapping_add(i * size)))
}

/// Where the value of one flag lies: for who reads no more than that. `None` if this VM has none
/// of that name.
pub fn address(mem: &Memory, tables: &Tables, f: &Fields, name: &str) -> Option<u64> {
    let (at_name, at_addr) = (f.flag_name.opt()?, f.flag_addr.opt()?);
    let is_it = |at: &u64| {
        let pointer = mem.u64(at.wrapping_add(at_name)).unwrap_or(0);
        mem.cstr(pointer, 256).is_ok_and(|n| n == name.as_bytes())
    };
    let at = entries(mem, tables, f).ok()?.find(is_it)?;
    mem.u64(at.wrapping_add(at_addr)).ok()
}

fn read_value(mem: &Memory, kind: &str, at: u64) -> Result<FlagValue, Fault> {
    Ok(match kind {
        "bool" => FlagValue::Bool(mem.u8(at)? != 0),
        "int" => FlagValue::Int(i64::from(mem.i32(at)?)),
        "uint" => FlagValue::Uint(u64::from(mem.u32(at)?)),
        "intx" => FlagValue::Int(mem.u64(at)? as i64),
        "double" => FlagValue::Double(f64::from_bits(mem.u64(at)?)),
        "ccstr" | "ccstrlist" => {
            let p = mem.u64(at)?;
            FlagValue::Text(if p == 0 { None } else { Some(mem.string(p)?) })
        }
        _ => FlagValue::Uint(mem.u64(at)?),
    })
}
