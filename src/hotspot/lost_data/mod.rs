//! A VM whose libjvm's data is lost: a core that was cut off by address loses it first.
//!
//! The tables are rebuilt of libjvm's file (`vmstructs::rebuilt`). The few statics that a heap is
//! read through are found from what they led to: the heap, the classes, the threads. Each is used
//! only if other facts prove it, and is laid under the core like the pages of a file, so that the
//! rest of the code reads it as if it had been saved. What is not found stays absent.

mod classes;
mod code;
mod encoding;
mod heap;
mod search;
mod storages;
mod symbols;
mod threads;

use crate::corefile::CoreFile;
use crate::error::Error;
use crate::symbols::Library;
use crate::vmstructs::rebuilt::{Piece, Rebuilt};
use crate::vmstructs::{Fields, Tables};
use search::Search;

/// Longest name of a flag, and then some.
const MAX_NAME: u64 = 256;
/// Candidates that are each looked at in full, at most. A VM has few; more are nothing that can be proven.
const MAX_CANDIDATES: usize = 1000;

/// Makes up for libjvm's data, where that is lost and can be made up for. Else nothing is laid,
/// and the answer says why in words; none where nothing is lost.
pub(crate) fn restore(core: &mut CoreFile) -> Option<String> {
    let lost = core.lost_libjvm_data()?;
    let why = rebuild(core, lost.to_string()).err()?;
    core.drop_rebuilt();
    Some(why)
}

fn rebuild(core: &mut CoreFile, lost: String) -> Result<(), String> {
    let said = |e: Error| e.to_string();
    let file = core.proven_libjvm();
    let file = file.ok_or("the libjvm.so that the process ran is not at hand")?;
    let base = core.libjvm_base().ok_or("no libjvm.so was mapped")?;
    let mut rebuilt = Rebuilt::new(&file, base)?;
    core.lay_rebuilt(&rebuilt.constants()).map_err(said)?;
    let library = Library::read(core.memory(), base, "gHotSpotVM").map_err(said)?;
    core.lay_rebuilt(&rebuilt.tables(&library)?).map_err(said)?;
    let tables = Tables::read(core.memory(), &library).map_err(said)?;
    let fields = Fields::load(&tables);
    let found = statics(core, &rebuilt, &tables, &fields)?;
    core.lay_rebuilt(&found.pieces).map_err(said)?;
    core.tell_rebuilt(vec![lost, found.words], found.pointers);
    Ok(())
}

/// Bytes for the statics, what else they led to, and how it was found in words.
struct FoundStatics {
    pieces: Vec<Piece>,
    pointers: Vec<u64>,
    words: String,
}

/// All that is found, or what is not.
fn statics(
    core: &CoreFile,
    rebuilt: &Rebuilt,
    tables: &Tables,
    fields: &Fields,
) -> Result<FoundStatics, String> {
    let f = fields;
    let mut search = Search::new(core, rebuilt, tables, fields);
    let mut out = Statics { rebuilt, tables, fields, search: &search, pieces: Vec::new() };
    for constant in [f.flags, f.num_flags, f.vm_release, f.vm_info] {
        out.constant(constant.opt());
    }
    let mut pieces = out.pieces;
    let heap = heap::find(&search)?;
    search.reserved = heap.reserved;
    let classes = classes::find(&search)?;
    let encoding = encoding::find(&search, &classes)?;
    let symbols = symbols::find(&search, &classes, encoding.oop_size_offset)?;
    let threads = threads::find(&search, &classes, &encoding, &heap.tops)?;
    let mut out = Statics { rebuilt, tables, fields, search: &search, pieces: Vec::new() };
    for (at, value) in &heap.statics {
        out.word(Some(*at), *value);
    }
    out.word(f.cld_head.opt(), classes.cld_head);
    out.int(f.class_klass.opt(), classes.klass_offset);
    out.int(f.class_array_klass.opt(), classes.array_offset);
    out.int(f.class_oop_size.opt(), encoding.oop_size_offset);
    out.word(f.oop_base.opt(), encoding.oop_base);
    out.int(f.oop_shift.opt(), encoding.oop_shift);
    out.word(f.klass_base.opt(), encoding.klass_base);
    out.int(f.klass_shift.opt(), encoding.klass_shift);
    out.word(threads.at, threads.value);
    if let Some(reserve) = threads.tlab_reserve {
        out.int(f.tlab_prefetch_reserve.opt(), reserve);
    }
    for (index, symbol) in symbols {
        out.word(f.vm_symbols.opt().map(|at| at.wrapping_add(index * 8)), symbol);
    }
    out.flag(heap.flag, 1);
    out.flag("UseCompressedOops", u64::from(encoding.narrow_oops));
    out.flag("UseCompressedClassPointers", u64::from(encoding.narrow_klass));
    out.flag("UseCompactObjectHeaders", u64::from(encoding.compact));
    out.flag("ObjectAlignmentInBytes", encoding.alignment);
    let code = code::find(&search, &threads.all);
    for (at, value) in code.as_deref().unwrap_or_default() {
        out.word(Some(*at), *value);
    }
    let storages = storages::find(&search);
    if let Some(globals) = storages.iter().find(|s| s.1.starts_with(b"JNI Global")) {
        out.word(f.jni_globals.opt(), globals.0);
    }
    pieces.extend(out.pieces);
    let words = format!(
        "the VM's tables were rebuilt of libjvm.so, and what libjvm's data led to was searched for \
         and proven: {}'s heap at {:#x}, {} classes by their mirrors, {} threads by their objects, \
         {} stores of handles by their blocks; {}; all else that libjvm's data led to is not \
         known, flags with it, and the roots that only they tell",
        heap.name,
        heap.reserved.0,
        classes.mirrors.len(),
        threads.all.len(),
        storages.len(),
        match &code {
            Ok(_) => "compiled code by its blobs and what stacks have of it".to_owned(),
            Err(why) => format!("compiled code is not known ({why})"),
        },
    );
    let pointers = storages.into_iter().map(|s| s.0).collect();
    Ok(FoundStatics { pieces, pointers, words })
}

/// Collects the statics' bytes.
struct Statics<'a> {
    rebuilt: &'a Rebuilt<'a>,
    tables: &'a Tables,
    fields: &'a Fields,
    search: &'a Search<'a>,
    pieces: Vec<Piece>,
}

impl Statics<'_> {
    fn word(&mut self, at: Option<u64>, value: u64) {
        self.pieces.extend(at.map(|at| (at, value.to_le_bytes().to_vec())));
    }

    fn int(&mut self, at: Option<u64>, value: u64) {
        self.pieces.extend(at.map(|at| (at, (value as u32).to_le_bytes().to_vec())));
    }

    /// A static that nobody changes: the file's value.
    fn constant(&mut self, at: Option<u64>) {
        let value = at.and_then(|at| self.rebuilt.word(at)).filter(|v| *v != 0);
        if let Some(value) = value {
            self.word(at, value);
        }
    }

    /// A flag's row in the table of flags, and its value; nothing where this VM has none of the
    /// name.
    fn flag(&mut self, name: &str, value: u64) -> Option<()> {
        let (f, mem) = (self.fields, self.search.mem);
        let base = self.rebuilt.word(f.flags.opt()?)?;
        let count = self.rebuilt.word(f.num_flags.opt()?)?.min(super::vm_info::flags::MAX_FLAGS);
        let size = self.tables.size_of("JVMFlag").or_else(|| self.tables.size_of("Flag"))?;
        let size = size.clamp(8, 256);
        let is_it = |row: &u64| {
            let text = self.rebuilt.word(row.wrapping_add(f.flag_name.opt().unwrap_or(0)));
            text.and_then(|t| mem.cstr(t, MAX_NAME).ok()) == Some(name.as_bytes())
        };
        let row = (0..count).map(|i| base.wrapping_add(i * size)).find(is_it)?;
        for at in (row..row.wrapping_add(size)).step_by(8) {
            let word = self.rebuilt.word(at)?;
            self.pieces.push((at, word.to_le_bytes().to_vec()));
        }
        let kind = self.rebuilt.word(row.wrapping_add(f.flag_type.opt()?) & !7)?;
        let width = match self.tables.entry("JVMFlag::_type") {
            // An index into FLAG_TYPES: bool, int, uint.
            Some(e) if !e.type_string.contains('*') => {
                let high = f.flag_type.opt()? % 8 == 4;
                match if high { kind >> 32 } else { kind & 0xffff_ffff } {
                    0 => 1,
                    1 | 2 => 4,
                    _ => 8,
                }
            }
            _ if mem.cstr(kind, 16).ok()? == b"bool" => 1,
            _ => 8,
        };
        let at = self.rebuilt.word(row.wrapping_add(f.flag_addr.opt()?))?;
        self.pieces.push((at, value.to_le_bytes().into_iter().take(width).collect()));
        Some(())
    }
}
