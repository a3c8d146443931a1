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
    /// Of these rows alone: name, whether it is a static, value, type.
    #[cfg(test)]
    pub(super) fn of(rows: &[(&str, bool, u64, &str)]) -> Tables {
        let entry = |&(name, is_static, value, ty): &(&str, bool, u64, &str)| {
            (name.to_owned(), Entry { is_static, value, type_string: ty.into() })
        };
        Tables { structs: rows.iter().map(entry).collect(), ..Tables::default() }
    }

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use memmap2::MmapMut;

    use super::*;

    const BASE: u64 = 0x7f00_0000_0000;

    /// The tables of a libjvm: words and strings one behind the other, and symbols that lead to them.
    #[derive(Default)]
    struct Image {
        bytes: Vec<u8>,
        symbols: Vec<(String, u64)>,
    }

    impl Image {
        fn here(&mut self) -> u64 {
            self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
            BASE + self.bytes.len() as u64
        }

        fn word(&mut self, word: u64) -> u64 {
            let at = self.here();
            self.bytes.extend(word.to_le_bytes());
            at
        }

        fn text(&mut self, text: &str) -> u64 {
            let at = self.here();
            self.bytes.extend(text.as_bytes());
            self.bytes.push(0);
            at
        }

        fn symbol(&mut self, name: &str, at: u64) {
            self.symbols.push((format!("gHotSpotVM{name}"), at));
        }

        /// A symbol that leads to a number.
        fn number(&mut self, name: &str, number: u64) {
            let at = self.word(number);
            self.symbol(name, at);
        }

        /// A table of rows of words, and the pointer to it; an empty row ends it.
        fn table(&mut self, name: &str, rows: &[Vec<u64>]) {
            let words = rows.first().map_or(1, Vec::len);
            let at = self.here();
            rows.iter().flatten().for_each(|w| {
                self.word(*w);
            });
            (0..words).for_each(|_| {
                self.word(0);
            });
            self.number(name, at);
        }

        fn read(&self) -> Result<Tables> {
            let mut map = MmapMut::map_anon(self.bytes.len().max(1)).expect("memory");
            map[..self.bytes.len()].copy_from_slice(&self.bytes);
            let mut mem = Memory::default();
            let file = Arc::new(map.try_into().expect("memory"));
            mem.lay_under(BASE, self.bytes.len() as u64, &file, 0);
            Tables::read(&mem, &Library::of(&self.symbols))
        }
    }

    /// By the layout that vmStructs.hpp has had since JDK 8, whose own description of it is still zero.
    fn standard() -> Image {
        let mut i = Image::default();
        let [klass, name, symbol, array, length, int] =
            ["Klass", "_name", "Symbol*", "Array<Klass*>", "_length", "int"].map(|t| i.text(t));
        i.table(
            "Structs",
            &[
                vec![klass, name, symbol, 0, 24, 0],
                vec![array, length, int, 1, 0, 0x7f12_3456_7890],
                // A row may lack its field, or its type.
                vec![klass, 0, symbol, 0, 8, 0],
                vec![array, name, 0, 0, 16, 0],
            ],
        );
        i.table("Types", &[vec![klass, 0, 0, 0, 208], vec![array, klass, 1, 1, 16]]);
        let (minus, large) = (i.text("minus"), i.text("large"));
        // The upper half of an int's word is padding.
        i.table("IntConstants", &[vec![minus, 0xdead_beef_ffff_fffe]]);
        i.table("LongConstants", &[vec![large, 1 << 40]]);
        i
    }

    #[test]
    fn the_standard_layout() {
        let mut image = standard();
        image.number("StructEntryArrayStride", 0);
        image.number("StructEntryFieldNameOffset", 0);
        let t = image.read().unwrap();
        let field = |name: &str| t.entry(name).map(|e| (e.is_static, e.value, &e.type_string[..]));
        assert_eq!(field("Klass::_name"), Some((false, 24, "Symbol*")));
        assert_eq!(field("Array<Klass*>::_length"), Some((true, 0x7f12_3456_7890, "int")));
        assert_eq!(field("Array<Klass*>::_name"), Some((false, 16, "")));
        assert_eq!((field("Klass::"), field("Klass::_layout_helper")), (None, None));
        assert_eq!((t.size_of("Klass"), t.size_of("Array<Klass*>")), (Some(208), Some(16)));
        assert_eq!(t.size_of("Symbol"), None);
        assert_eq!((t.constant("minus"), t.constant("large")), (Some(-2), Some(1 << 40)));
        let lines = t.lines();
        assert_eq!(lines[0], "constant large 1099511627776");
        assert!(lines.contains(&"static Array<Klass*>::_length 0x7f1234567890 int".into()));
    }

    #[test]
    fn a_layout_that_the_tables_tell() {
        let mut i = standard();
        let (a, b, c) = (i.text("Type"), i.text("_field"), i.text("size_t"));
        // Another order, and a word more.
        i.symbols.retain(|(name, _)| name != "gHotSpotVMStructs");
        i.table("Structs", &[vec![0x99, 0, 32, 0, c, b, a]]);
        for (name, offset) in [
            ("AddressOffset", 8),
            ("OffsetOffset", 16),
            ("IsStaticOffset", 24),
            ("TypeStringOffset", 32),
            ("FieldNameOffset", 40),
            ("TypeNameOffset", 48),
            ("ArrayStride", 56),
        ] {
            i.number(&format!("StructEntry{name}"), offset);
        }
        let t = i.read().unwrap();
        let entry = t.entry("Type::_field").unwrap();
        assert_eq!((entry.is_static, entry.value, &entry.type_string[..]), (false, 32, "size_t"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = |image: &Image| image.read().unwrap_err().to_string();
        for table in ["Structs", "Types", "IntConstants", "LongConstants"] {
            let mut image = standard();
            image.symbols.retain(|(name, _)| *name != format!("gHotSpotVM{table}"));
            assert!(said(&image).contains(&format!("no gHotSpotVM{table}")), "{}", said(&image));
        }
        let mut empty = Image::default();
        for table in ["Structs", "Types", "IntConstants", "LongConstants"] {
            empty.table(table, &[]);
        }
        assert!(said(&empty).contains("tables are empty"), "{}", said(&empty));
    }

    #[test]
    fn damage_is_no_table() {
        let said = |image: &Image| image.read().unwrap_err().to_string();
        // A name that is not in the core.
        let mut i = standard();
        i.symbols.retain(|(name, _)| name != "gHotSpotVMTypes");
        i.table("Types", &[vec![0x10, 0, 0, 0, 8]]);
        assert!(said(&i).contains("names in gHotSpotVMTypes"), "{}", said(&i));
        // Rows up to the end of what is there.
        let mut i = standard();
        i.symbols.retain(|(name, _)| name != "gHotSpotVMLongConstants");
        let name = i.text("endless");
        let pointer = i.word(BASE + i.bytes.len() as u64 + 8);
        i.symbol("LongConstants", pointer);
        let row = |i: &mut Image| {
            i.word(name);
            i.word(1);
        };
        (0..10).for_each(|_| row(&mut i));
        assert!(said(&i).contains("gHotSpotVMLongConstants"), "{}", said(&i));
        // Or without any end.
        (0..MAX_ROWS).for_each(|_| row(&mut i));
        assert!(said(&i).contains("gHotSpotVMLongConstants has no end"), "{}", said(&i));
    }
}
