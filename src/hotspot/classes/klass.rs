//! A klass: what the VM says of a class, and how big its objects are.

use super::field_layout::FieldInfo;
use super::values::{FlatElements, FlatField, ValueLayout};
use crate::hotspot::pointers::Pointers;
use crate::hotspot::unexported::{
    BASIC_TYPES, FILLER, LH_TAG_FLAT, LH_TAG_SHIFT, LH_TAG_TYPE, LH_TAG_TYPE_SHIFT, T_BOOLEAN,
};

/// How big an object of a klass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Bytes, the same for every instance.
    Fixed(u64),
    /// java.lang.Class: a field of the mirror holds its size in words, statics included.
    Mirror {
        /// Bytes of the fixed part.
        base: u64,
        /// Offset of that field.
        size_offset: u64,
    },
    /// jdk.internal.vm.StackChunk: fixed bytes, then a stack of as many words as the field at
    /// `size_offset` says, then a bitmap of it.
    StackChunk {
        /// Bytes of the fixed part.
        base: u64,
        /// Offset of the field `size`.
        size_offset: u64,
    },
    /// Arrays: bytes before the first element, and log2 of an element's bytes.
    Array {
        /// Header bytes.
        header: u64,
        /// log2 of the element size.
        log2: u32,
    },
}

impl Size {
    /// Bytes of the object whose header starts `head`, rounded up to the object alignment; none
    /// where `head` is too short to tell or the object has less than a header.
    #[inline(always)]
    pub fn bytes(self, p: &Pointers, head: &[u8]) -> Option<u64> {
        let word = |at: u64| {
            let at = at as usize;
            Some(u64::from(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?)))
        };
        let bytes = match self {
            Size::Fixed(bytes) => bytes,
            Size::Array { header, log2 } => header + (word(p.array_length)? << log2),
            Size::Mirror { base, size_offset } => {
                let bytes = word(size_offset)? * 8;
                if bytes < base {
                    return None;
                }
                bytes
            }
            Size::StackChunk { base, size_offset } => {
                let words = word(size_offset)?;
                // stackChunkOop.inline.hpp: one bit per word, two where oops are narrow.
                let bits = words * if p.narrow_oops { 2 } else { 1 };
                base + (words + bits.div_ceil(64)) * 8
            }
        };
        (bytes >= p.header_size()).then(|| p.align(bytes))
    }
}

/// What a klass describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// InstanceKlass of any sort.
    Instance,
    /// ObjArrayKlass.
    ObjArray,
    /// FlatArrayKlass (JEP 401): the value objects themselves lie in the array.
    FlatArray,
    /// TypeArrayKlass, with its element's signature character.
    TypeArray(u8),
}

/// One loaded class or array class.
#[derive(Debug, Clone)]
pub struct Klass {
    /// Klass*.
    pub addr: u64,
    /// Symbol* of the name.
    pub name_symbol: u64,
    /// Internal form: `java/lang/String`, `[I`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Size of its objects.
    pub size: Size,
    /// Klass::_super.
    pub super_klass: Option<u64>,
    /// The java.lang.Class object.
    pub mirror: u64,
    /// Its class loader object, 0 for the boot loader.
    pub loader: u64,
    /// Loaded by the boot loader's own ClassLoaderData (not that of a hidden class).
    pub is_boot: bool,
    /// Its ClassLoaderData is its own: a hidden class, or a VM-anonymous one of 8 to 14.
    pub has_own_loader_data: bool,
    /// InstanceKlass::_init_state; `loaded` for arrays.
    pub init_state: u8,
    /// The klass whose loader and protection domain an object array takes over.
    pub bottom: Option<u64>,
    /// An array class that another klass stands for already: 28 has several klasses ("refined"
    /// ones) for one array class, with one mirror.
    pub is_refined: bool,
    /// Of a value class: where its values lie (JEP 401).
    pub value: Option<ValueLayout>,
    /// Of a flat array: what its elements are.
    pub flat_elements: Option<FlatElements>,
    /// Fields that the class itself declares, in order.
    pub fields: Vec<FieldInfo>,
}

impl Klass {
    /// What HotSpot fills the ends of buffers with: nobody's object.
    pub fn is_filler(&self) -> bool {
        self.is_boot && self.name.contains(FILLER)
    }

    /// The flat fields that the class itself declares.
    pub fn flat_fields(&self) -> impl Iterator<Item = (&FieldInfo, FlatField)> {
        self.fields.iter().filter_map(|i| Some((i, i.flat?)))
    }

    /// log2 of the bytes of an array's element.
    pub fn element_log2(&self) -> Option<u32> {
        match self.size {
            Size::Array { log2, .. } => Some(log2),
            _ => None,
        }
    }
}

/// Takes a layout helper apart (klass.hpp, "layout helper"). An array's negative one holds the
/// tag, the header's bytes, the element's BasicType, and log2 of its bytes. Names tell nothing:
/// what HotSpot fills gaps with is an int[] that each release has called something else.
/// None where its parts contradict one another or the heap's form: who reads elements by the kind
/// may rely on the size.
pub fn shape(p: &Pointers, layout_helper: i32) -> Option<(Kind, Size)> {
    let bits = layout_helper as u32;
    if layout_helper >= 0 {
        // The lowest bit says "slow path", the size is in bytes.
        return Some((Kind::Instance, Size::Fixed(u64::from(bits & !7))));
    }
    let header = u64::from(bits >> 16 & 0xff);
    let log2 = bits & 0x3f;
    let (kind, element) = match bits >> LH_TAG_SHIFT {
        // Of any size, up to the largest that HotSpot flattens.
        LH_TAG_FLAT => (Kind::FlatArray, 1 << log2.min(6)),
        tag if tag >> LH_TAG_TYPE_SHIFT == LH_TAG_TYPE => {
            let element = usize::try_from(bits >> 8 & 0xff).ok()?.checked_sub(T_BOOLEAN)?;
            let c = *BASIC_TYPES.get(element)?;
            (Kind::TypeArray(c), p.value_size(c))
        }
        _ => (Kind::ObjArray, p.oop_size()),
    };
    let sound = 1 << log2 == element && (p.array_length + 4..=64).contains(&header);
    sound.then_some((kind, Size::Array { header, log2 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_told_by_their_layout_helpers() {
        let p = Pointers {
            narrow_oops: true,
            oop_base: 0,
            oop_shift: 3,
            klass: crate::hotspot::pointers::KlassForm::Narrow,
            klass_base: 0,
            klass_shift: 0,
            array_length: 8,
            alignment: 8,
        };
        let array = |header, log2| Size::Array { header, log2 };
        // As HotSpot has them: 17's int[], Object[] and long[], 28's byte[] and Object[].
        for (helper, kind, size) in [
            (0xc010_0a02_u32, Kind::TypeArray(b'I'), array(16, 2)),
            (0x8010_0c02, Kind::ObjArray, array(16, 2)),
            (0xc010_0b03, Kind::TypeArray(b'J'), array(16, 3)),
            (0xc00c_0800, Kind::TypeArray(b'B'), array(12, 0)),
            (0x800c_0c02, Kind::ObjArray, array(12, 2)),
            (0x0000_0019, Kind::Instance, Size::Fixed(24)),
        ] {
            assert_eq!(shape(&p, helper as i32), Some((kind, size)), "{helper:#x}");
        }
        // No such element, one of another size, headers too long and too short for a length.
        for no in [0xc010_0302_u32, 0xc010_0c02, 0xc010_0a07, 0x8010_0c03, 0xc0ff_0a02, 0xc008_0a02]
        {
            assert_eq!(shape(&p, no as i32), None, "{no:#x}");
        }
    }
}
