//! The tables that libjvm exports, in memory that is all theirs.

use super::input::Input;
use super::synth::{Core, open};
use crate::hotspot::has_heap;
use crate::symbols::Library;
use crate::vmstructs::{Fields, Tables};

const BASE: u64 = 0x7f00_0000_0000;
/// What is exported, without `gHotSpotVM` in front.
const SYMBOLS: [&str; 24] = [
    "Structs",
    "StructEntryTypeNameOffset",
    "StructEntryFieldNameOffset",
    "StructEntryTypeStringOffset",
    "StructEntryIsStaticOffset",
    "StructEntryOffsetOffset",
    "StructEntryAddressOffset",
    "StructEntryArrayStride",
    "Types",
    "TypeEntryTypeNameOffset",
    "TypeEntrySuperclassNameOffset",
    "TypeEntryIsOopTypeOffset",
    "TypeEntryIsIntegerTypeOffset",
    "TypeEntryIsUnsignedOffset",
    "TypeEntrySizeOffset",
    "TypeEntryArrayStride",
    "IntConstants",
    "IntConstantEntryNameOffset",
    "IntConstantEntryValueOffset",
    "IntConstantEntryArrayStride",
    "LongConstants",
    "LongConstantEntryNameOffset",
    "LongConstantEntryValueOffset",
    "LongConstantEntryArrayStride",
];

/// Where each symbol is, in two bytes, then the memory. Pointers are from its start: what they lack of an address is
/// added, so that changes of them lead somewhere.
pub(super) fn vmstructs(data: &[u8]) {
    let mut input = Input(data);
    let symbols = SYMBOLS.map(|name| (format!("gHotSpotVM{name}"), BASE + u64::from(input.u16())));
    let mut core = Core { align: 8, ..Core::default() };
    core.full(BASE, input.0);
    let Ok(core) = open(&core.build()) else { return };
    if let Ok(tables) = Tables::read(core.memory(), &Library::of(&symbols)) {
        let _ = tables.lines();
        let _ = Fields::load(&tables);
        let _ = has_heap(core.memory(), &tables);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut memory: Vec<u8> = Vec::new();
    let mut add = |bytes: &[u8]| {
        memory.resize(memory.len().next_multiple_of(8), 0);
        let at = memory.len() as u64;
        memory.extend(bytes);
        at
    };
    let words = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let [klass, name, symbol, universe, heap, int] =
        [&b"Klass\0"[..], b"_name\0", b"Symbol*\0", b"Universe\0", b"_collectedHeap\0", b"int\0"]
            .map(|t| BASE + add(t));
    let structs = [
        [klass, name, symbol, 0, 24, 0],
        [universe, heap, symbol, 1, 0, BASE + 8],
        [klass, 0, symbol, 0, 8, 0],
        [0; 6],
    ];
    let structs = add(&words(structs.as_flattened()));
    let types = add(&words([[klass, 0, 0, 0, 208], [int, 0, 1, 1, 4], [0; 5]].as_flattened()));
    let constants = add(&words([[int, u64::MAX], [klass, 7], [0; 2]].as_flattened()));
    let mut at = |symbol: &str| {
        let value = match symbol {
            "Structs" => BASE + structs,
            "Types" => BASE + types,
            "IntConstants" | "LongConstants" => BASE + constants,
            // 0 stands for the layout that all JDKs have.
            _ => 0,
        };
        add(&words(&[value])) as u16
    };
    let places = SYMBOLS.map(&mut at);
    let places = places.iter().flat_map(|p| p.to_le_bytes());
    vec![places.chain(memory).collect()]
}
