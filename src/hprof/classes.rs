//! Classes: names, super classes, and where their instances have references.

use std::hash::{BuildHasher, RandomState};

use super::bytes::{Bytes, number};
use super::format::{primitive, ty, value_bytes};
use super::loss::Loss;
use super::outline::Outline;
use super::sub::{ClassRecord, is_reference};
use super::text::{ClassName, modified_utf8};
use crate::error::{Error, Result};
use crate::graph::{ClassKind, NO_CLASS, Strength};

/// Supers above a class. No compiler makes so many.
const MAX_SUPERS: usize = 256;
/// References of all classes together; a file with more is made to fill memory.
const MAX_SLOTS: usize = 1 << 24;

/// Words of a stack.
const MAX_STACK: u64 = 1 << 28;

/// A reference in an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// Offset among the instance's values.
    pub offset: u32,
    /// The class that declares the field.
    pub class: u32,
    /// The id of its name.
    pub name: u64,
    pub strength: Strength,
}

/// Where the fields that a class declares itself lie among its values.
struct Fields {
    /// The references; a referent is not strong, whatever it turns out to be.
    slots: Vec<Slot>,
    bytes: u64,
}

/// Values of one class's own fields, or its static ones.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub references: u64,
    /// Bytes of those that are none.
    pub primitives: u64,
    /// Those of them with 8 bytes.
    pub longs: u64,
}

impl Counts {
    fn add(&mut self, ty: u8) {
        match value_bytes(ty, 0) {
            Some(0) => self.references += 1,
            Some(n) => {
                self.primitives += n as u64;
                self.longs += u64::from(n == 8);
            }
            None => {}
        }
    }
}

#[derive(Debug)]
pub(super) struct Class {
    /// 0 for a class of primitive arrays that the file does not describe.
    pub id: u64,
    /// Offset of its CLASS_DUMP's tag.
    pub at: usize,
    pub name: ClassName,
    pub kind: ClassKind,
    pub super_class: u32,
    pub loader: u64,
    /// Bytes of values in an instance's record.
    pub values: u64,
    pub own: Counts,
    pub statics: Counts,
    /// Static references that the VM added, which take no room in the mirror: `<init_lock>`.
    pub added: u64,
    /// All references in its instances.
    pub slots: Box<[Slot]>,
}

/// All classes, by id; those of arrays of primitives that the file does not describe behind them.
#[derive(Debug, Default)]
pub(super) struct Classes {
    pub all: Vec<Class>,
    table: Table,
    /// The class of arrays of each type.
    pub arrays: [u32; 12],
    /// java.lang.Class, java.lang.String.
    pub class: u32,
    pub string: u32,
    pub stack_chunk: Option<StackChunk>,
}

/// jdk.internal.vm.StackChunk, whose instances hold a stack behind their fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct StackChunk {
    pub class: u32,
    /// Offset of `size`, the words of the stack, among its values.
    size: usize,
}

impl StackChunk {
    /// The words of stack of the instance with these values.
    pub(super) fn words(&self, values: &[u8]) -> u64 {
        values.get(self.size..self.size + 4).map_or(0, number).min(MAX_STACK)
    }
}

impl Classes {
    /// Of the CLASS_DUMPs at these places: ids, and offsets of their tags; sorted by id.
    pub(super) fn read(
        data: &[u8],
        outline: &Outline,
        dumps: &[(u64, usize)],
        loss: &mut Loss,
    ) -> Result<Classes> {
        let mut all: Vec<Class> =
            dumps.iter().filter_map(|&(id, at)| class(data, outline, id, at)).collect();
        let table = Table::new(all.iter().map(|c| c.id));
        for class in &mut all {
            let record = class.record(data, outline.id);
            class.super_class = record.map_or(NO_CLASS, |record| table.get(record.super_class));
        }
        let mut classes = Classes { table, arrays: [NO_CLASS; 12], ..Classes::default() };
        for ty in 4..12 {
            let code = primitive(ty);
            let is = |c: &Class| c.name.depth == 1 && c.name.primitive == code && code.is_some();
            let number = match all.iter().position(is) {
                Some(known) => known as u32,
                None => {
                    let name = format!("[{}", char::from(code.unwrap_or(b'?')));
                    all.push(Class::missing(&name));
                    all.len() as u32 - 1
                }
            };
            classes.arrays.iter_mut().skip(ty.into()).take(1).for_each(|n| *n = number);
        }
        classes.all = all;
        classes.class = classes.named("java.lang.Class");
        classes.string = classes.named("java.lang.String");
        let chunk = classes.named("jdk.internal.vm.StackChunk");
        let size = classes.field(data, outline, chunk, "size").filter(|f| f.1 == ty::INT);
        classes.stack_chunk = size.map(|(size, _)| StackChunk { class: chunk, size });
        classes.lay_out(data, outline, loss)?;
        Ok(classes)
    }

    /// The boot loader's class of this name, or any other.
    fn named(&self, name: &str) -> u32 {
        let is = |c: &Class| c.name.depth == 0 && c.name.element == name;
        let boot = self.all.iter().position(|c| c.loader == 0 && is(c));
        boot.or_else(|| self.all.iter().position(is)).map_or(NO_CLASS, |n| n as u32)
    }

    /// Of each class whether its objects refer to nothing, and it is never unloaded: the boot loader's.
    pub(super) fn plain(&self) -> Vec<bool> {
        let is_plain = |(number, c): (u32, &Class)| {
            let refers = match c.kind {
                ClassKind::Instance => number == self.class || !c.slots.is_empty(),
                ClassKind::Objects => true,
                ClassKind::Primitives => false,
            };
            !refers && c.loader == 0 && !c.name.is_hidden()
        };
        (0..).zip(&self.all).map(is_plain).collect()
    }

    /// The number of the class with this id, or [`NO_CLASS`].
    #[inline]
    pub(super) fn number(&self, id: u64) -> u32 {
        self.table.get(id)
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Class> {
        self.all.get(number as usize)
    }

    /// A class and those above it, the nearest first; none where that does not end.
    pub(super) fn chain(&self, number: u32) -> Option<Vec<u32>> {
        let mut out = Vec::new();
        let mut at = number;
        while let Some(class) = self.get(at) {
            if out.len() == MAX_SUPERS {
                return None;
            }
            out.push(at);
            at = class.super_class;
        }
        Some(out)
    }

    /// Finds where instances have references: a class's own fields come first, then its super's.
    fn lay_out(&mut self, data: &[u8], outline: &Outline, loss: &mut Loss) -> Result<()> {
        let fields: Vec<Fields> = self.all.iter().map(|c| c.fields(data, outline)).collect();
        let mut total = 0;
        for number in 0..self.all.len() as u32 {
            let Some(chain) = self.chain(number) else {
                loss.circular += 1;
                continue;
            };
            let (mut slots, mut offset) = (Vec::new(), 0);
            let strength = self.strength(&chain);
            let own = chain.iter().filter_map(|&class| Some((class, fields.get(class as usize)?)));
            for (class, own) in own {
                slots.extend(own.slots.iter().map(|slot| Slot {
                    offset: (offset + u64::from(slot.offset)) as u32,
                    class,
                    strength: if slot.strength == Strength::Strong {
                        Strength::Strong
                    } else {
                        strength
                    },
                    ..*slot
                }));
                offset += own.bytes;
            }
            total += slots.len();
            if total > MAX_SLOTS {
                return Err(Error::Unsupported(
                    "the classes of the file have too many fields".into(),
                ));
            }
            if let Some(class) = self.all.get_mut(number as usize) {
                class.values = offset;
                class.slots = slots.into();
            }
        }
        Ok(())
    }

    /// How instances of the first of a chain hold their referents.
    fn strength(&self, chain: &[u32]) -> Strength {
        let names = chain.iter().filter_map(|c| self.get(*c)).map(|c| c.name.element.as_str());
        let mut found = names.filter_map(|name| match name.strip_prefix("java.lang.ref.")? {
            "SoftReference" => Some(Strength::Soft),
            "WeakReference" => Some(Strength::Weak),
            // Android's is of its own name.
            "FinalReference" | "FinalizerReference" => Some(Strength::Final),
            "PhantomReference" => Some(Strength::Phantom),
            _ => None,
        });
        found.next().unwrap_or(Strength::Strong)
    }

    /// The offset and the type of the field of this name among the values of an instance of a class.
    pub(super) fn field(
        &self,
        data: &[u8],
        outline: &Outline,
        class: u32,
        name: &str,
    ) -> Option<(usize, u8)> {
        let mut offset = 0;
        for number in self.chain(class)? {
            let record = self.get(number)?.record(data, outline.id);
            for (id, ty) in record.iter().flat_map(ClassRecord::fields) {
                if outline.name(data, id) == Some(name.as_bytes()) {
                    return Some((offset, ty));
                }
                offset += value_bytes(ty, outline.id)?;
            }
        }
        None
    }
}

impl Class {
    /// A class of arrays that the file does not describe.
    fn missing(name: &str) -> Class {
        Class {
            id: 0,
            at: 0,
            name: ClassName::parse(name),
            kind: ClassKind::Primitives,
            super_class: NO_CLASS,
            loader: 0,
            values: 0,
            own: Counts::default(),
            statics: Counts::default(),
            added: 0,
            slots: [].into(),
        }
    }

    fn fields(&self, data: &[u8], outline: &Outline) -> Fields {
        let mut out = Fields { slots: Vec::new(), bytes: 0 };
        let holds_referent = self.name.element == "java.lang.ref.Reference";
        let record = self.record(data, outline.id);
        for (name, ty) in record.iter().flat_map(ClassRecord::fields) {
            if is_reference(ty) {
                let referent = holds_referent && outline.name(data, name) == Some(b"referent");
                let strength = if referent { Strength::Phantom } else { Strength::Strong };
                out.slots.push(Slot { offset: out.bytes as u32, class: NO_CLASS, name, strength });
            }
            out.bytes += value_bytes(ty, outline.id).unwrap_or(0) as u64;
        }
        out
    }

    /// Its CLASS_DUMP.
    pub(super) fn record<'d>(&self, data: &'d [u8], id: usize) -> Option<ClassRecord<'d>> {
        if self.id == 0 {
            return None;
        }
        ClassRecord::read(&mut Bytes::new(data, self.at + 1..data.len(), id)).ok()
    }
}

fn class(data: &[u8], outline: &Outline, id: u64, at: usize) -> Option<Class> {
    let bytes = &mut Bytes::new(data, at + 1..data.len(), outline.id);
    let record = ClassRecord::read(bytes).ok()?;
    let name = outline.class_names.get(&id).and_then(|name| outline.name(data, *name));
    let text = name.map_or_else(|| format!("class {id:#x}"), modified_utf8);
    let mut class = Class { id, at, ..Class::missing(&text) };
    class.loader = record.loader;
    class.kind = match (class.name.depth, class.name.primitive) {
        (0, _) => ClassKind::Instance,
        (1, Some(_)) => ClassKind::Primitives,
        _ => ClassKind::Objects,
    };
    record.fields().for_each(|(_, ty)| class.own.add(ty));
    for (name, ty, _) in record.statics() {
        match is_added(outline.name(data, name)) {
            true => class.added += 1,
            false => class.statics.add(ty),
        }
    }
    Some(class)
}

/// Whether a static field is one that HotSpot's dumps add to those of the class.
pub(super) fn is_added(name: Option<&[u8]>) -> bool {
    name.is_some_and(|name| name.starts_with(b"<"))
}

/// Class numbers by id, with open addressing: it is asked for each object. The hash is another in each run, so that no
/// file can be made to fill one stretch of it.
#[derive(Debug)]
struct Table {
    slots: Vec<(u64, u32)>,
    seed: u64,
    shift: u32,
}

impl Default for Table {
    fn default() -> Table {
        Table::new([].into_iter())
    }
}

impl Table {
    fn new(ids: impl ExactSizeIterator<Item = u64>) -> Table {
        let bits = (ids.len() * 2 + 2).ilog2() + 1;
        let seed = RandomState::new().hash_one(0) | 1;
        let mut table = Table { slots: vec![(0, NO_CLASS); 1 << bits], seed, shift: 64 - bits };
        for (number, id) in (0..).zip(ids) {
            let at = table.find(id);
            if let Some(slot) = table.slots.get_mut(at).filter(|_| id != 0) {
                *slot = (id, number);
            }
        }
        table
    }

    #[inline]
    fn find(&self, id: u64) -> usize {
        let mut at = (id.wrapping_mul(self.seed) >> self.shift) as usize;
        while self.slots.get(at).is_some_and(|slot| slot.0 != id && slot.0 != 0) {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    #[inline]
    fn get(&self, id: u64) -> u32 {
        self.slots.get(self.find(id)).map_or(NO_CLASS, |slot| slot.1)
    }
}
