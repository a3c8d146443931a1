//! The bounded walk over the four tables.
//!
//! The tables are read from memory and never from the file: in most builds a static
//! constructor fills the offsets (JDK 8, 17, 21 and 25 have zeroes in the file).

use std::collections::HashMap;

use crate::corefile::memory::Memory;
use crate::error::{Advice, Error, Result};
use crate::symbols::Library;

/// The largest table seen has 840 rows; JVMs of the future get room.
pub(super) const MAX_ROWS: u64 = 20_000;
/// Names are C++ identifiers and template instances.
const MAX_NAME: u64 = 1024;

/// One row of `gHotSpotVMStructs`: VMStructEntry.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Static fields have an address, the others an offset.
    pub is_static: bool,
    /// Offset in the object, or run-time address of the static.
    pub value: u64,
    /// The C++ type.
    pub type_string: String,
}

/// The tables as maps by name.
#[derive(Debug, Default)]
pub struct Tables {
    structs: HashMap<String, Entry>,
    sizes: HashMap<String, u64>,
    constants: HashMap<String, i64>,
}

impl Tables {
    /// Reads all four tables through libjvm's symbols.
    pub fn read(mem: &Memory, library: &Library) -> Result<Tables> {
        let mut tables = Tables::default();
        let reader = Reader { mem, library };
        let s = |field: &str, standard| reader.layout("StructEntry", field, standard);
        let [ty, field, ty_string, is_static, offset, address] = [
            s("TypeNameOffset", 0),
            s("FieldNameOffset", 8),
            s("TypeStringOffset", 16),
            s("IsStaticOffset", 24),
            s("OffsetOffset", 32),
            s("AddressOffset", 40),
        ];
        reader.rows("Structs", reader.stride("StructEntry", 48), ty, |row, type_name| {
            let Some(field) = reader.name(row.wrapping_add(field)) else { return Ok(()) };
            let is_static = mem.i32(row.wrapping_add(is_static))? != 0;
            let value = row.wrapping_add(if is_static { address } else { offset });
            // What was not saved is as good as not in the tables: who needs it names it.
            let Ok(value) = mem.u64(value) else { return Ok(()) };
            let type_string = reader.name(row.wrapping_add(ty_string)).unwrap_or_default();
            tables
                .structs
                .insert(format!("{type_name}::{field}"), Entry { is_static, value, type_string });
            Ok(())
        })?;
        let name = reader.layout("TypeEntry", "TypeNameOffset", 0);
        let size = reader.layout("TypeEntry", "SizeOffset", 32);
        reader.rows("Types", reader.stride("TypeEntry", 40), name, |row, type_name| {
            if let Ok(size) = mem.u64(row.wrapping_add(size)) {
                tables.sizes.insert(type_name, size);
            }
            Ok(())
        })?;
        for (table, entry, wide) in [
            ("IntConstants", "IntConstantEntry", false),
            ("LongConstants", "LongConstantEntry", true),
        ] {
            let name = reader.layout(entry, "NameOffset", 0);
            let value = reader.layout(entry, "ValueOffset", 8);
            reader.rows(table, reader.stride(entry, 16), name, |row, constant| {
                let at = row.wrapping_add(value);
                let v =
                    if wide { mem.u64(at).map(|v| v as i64) } else { mem.i32(at).map(i64::from) };
                if let Ok(v) = v {
                    tables.constants.insert(constant, v);
                }
                Ok(())
            })?;
        }
        if tables.structs.is_empty() || tables.sizes.is_empty() {
            return Err(Error::no_jvm(
                "libjvm's vmStructs tables are empty: the process died before HotSpot was \
                 initialised, or their pages are not in the core",
            ));
        }
        Ok(tables)
    }

    /// All that the tables say, a line each, sorted: for people who add a JDK.
    pub fn lines(&self) -> Vec<String> {
        let structs = self.structs.iter().map(|(name, e)| match e.is_static {
            true => format!("static {name} {:#x} {}", e.value, e.type_string),
            false => format!("field {name} {} {}", e.value, e.type_string),
        });
        let sizes = self.sizes.iter().map(|(name, size)| format!("size {name} {size}"));
        let constants = self.constants.iter().map(|(name, v)| format!("constant {name} {v}"));
        let mut lines: Vec<String> = structs.chain(sizes).chain(constants).collect();
        lines.sort_unstable();
        lines
    }

    /// The row of `Type::_field`.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.structs.get(name)
    }

    /// `sizeof(type)`.
    pub fn size_of(&self, type_name: &str) -> Option<u64> {
        self.sizes.get(type_name).copied()
    }

    /// An integer constant such as `markWord::klass_shift`.
    pub fn constant(&self, name: &str) -> Option<i64> {
        self.constants.get(name).copied()
    }
}

struct Reader<'a> {
    mem: &'a Memory,
    library: &'a Library,
}

impl Reader<'_> {
    fn exported(&self, name: &str) -> Option<u64> {
        self.mem.u64(self.library.address(&format!("gHotSpotVM{name}"))?).ok()
    }

    /// An offset in an entry. They are all 0 where the constructor did not run; the same
    /// standard layout has held since JDK 8 (vmStructs.hpp).
    fn layout(&self, entry: &str, field: &str, standard: u64) -> u64 {
        let known = self.stride(entry, 0) != 0;
        match self.exported(&format!("{entry}{field}")) {
            Some(v) if known && v < 1024 => v,
            _ => standard,
        }
    }

    fn stride(&self, entry: &str, standard: u64) -> u64 {
        match self.exported(&format!("{entry}ArrayStride")) {
            Some(v) if v > 0 && v < 1024 => v,
            _ => standard,
        }
    }

    /// The string that the pointer at `at` leads to.
    fn name(&self, at: u64) -> Option<String> {
        let p = self.mem.u64(at).ok()?;
        let s = self.mem.cstr(p, MAX_NAME).ok()?;
        Some(String::from_utf8_lossy(s).into_owned())
    }

    fn rows(
        &self,
        table: &str,
        stride: u64,
        name: u64,
        mut row: impl FnMut(u64, String) -> Result<(), crate::error::Fault>,
    ) -> Result<()> {
        let what = || format!("gHotSpotVM{table}");
        let base = self.exported(table).filter(|&p| p != 0).ok_or_else(|| {
            Error::no_jvm(format!(
                "libjvm.so exports no {}, or it is not in the core: is it a HotSpot JVM?",
                what()
            ))
        })?;
        for i in 0..MAX_ROWS {
            let at = base.wrapping_add(i * stride);
            let p = self.mem.u64(at.wrapping_add(name)).map_err(Error::unreadable(what()))?;
            if p == 0 {
                return Ok(());
            }
            let text = self.mem.cstr(p, MAX_NAME).map_err(|fault| Error::NoJvm {
                what: format!("cannot read the names in {} (libjvm's rodata): {fault}", what()),
                advice: Some(Advice::GiveLibjvm),
            })?;
            let text = String::from_utf8_lossy(text).into_owned();
            row(at, text).map_err(Error::unreadable(what()))?;
        }
        Err(Error::Corrupt(format!("{} has no end", what())))
    }
}
