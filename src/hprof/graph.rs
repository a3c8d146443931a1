//! [`ObjectGraph`] of an HPROF file: an object's place is its number, its bytes are its record.

use super::bytes::{Bytes, number};
use super::classes::Slot;
use super::format::{sub, ty};
use super::sub::{ClassRecord, Sub, is_reference, next};
use super::{Dump, class_part, is_class};
use crate::graph::{
    Class, ClassKind, ClassPart, NO_CLASS, Numbers, ObjectGraph, Place, Plain, Reference, Root,
    Strength, Thread, Unread,
};

impl Dump {
    /// The record of the object at a place, and the values in it.
    #[inline]
    pub(super) fn record(&self, place: u64) -> Option<(Sub, &[u8])> {
        let at = self.offsets.get(place);
        let tag = *self.data.get(at).filter(|_| at != 0)?;
        let mut bytes = Bytes::new(&self.data, at..self.data.len(), self.outline.id);
        let sub = next(&mut bytes).ok()?;
        let len = match sub {
            Sub::Instance { len, .. } => len as usize,
            Sub::Objects { count, .. } => count as usize * self.outline.id,
            Sub::Primitives { ty, count, .. } if tag == sub::PRIM_ARRAY_DUMP => {
                count as usize * super::format::value_bytes(ty, 0)?
            }
            _ => 0,
        };
        Some((sub, self.data.get(bytes.at() - len..bytes.at())?))
    }

    /// The CLASS_DUMP of the class object at a place.
    fn class_record(&self, place: u64) -> Option<ClassRecord<'_>> {
        let at = self.offsets.get(place);
        if *self.data.get(at)? != sub::CLASS_DUMP || at == 0 {
            return None;
        }
        ClassRecord::read(&mut Bytes::new(&self.data, at + 1..self.data.len(), self.outline.id))
            .ok()
    }

    /// The number of an object's class.
    #[inline]
    pub(super) fn class_number(&self, place: u64) -> u32 {
        let at = self.offsets.get(place);
        let mut bytes = Bytes::new(&self.data, at..self.data.len(), self.outline.id);
        let mut read = || {
            let tag = bytes.u1().filter(|_| at != 0)?;
            bytes.id()?;
            bytes.u4()?;
            Some(match tag {
                sub::INSTANCE_DUMP => self.described.number(bytes.id()?),
                sub::OBJ_ARRAY_DUMP => {
                    bytes.u4()?;
                    self.described.number(bytes.id()?)
                }
                sub::PRIM_ARRAY_DUMP | sub::PRIM_ARRAY_NODATA => {
                    bytes.u4()?;
                    *self.described.arrays.get(usize::from(bytes.u1()?))?
                }
                _ => self.described.class,
            })
        };
        read().unwrap_or(NO_CLASS)
    }

    #[inline]
    pub(super) fn id_at(&self, values: &[u8], slot: &Slot) -> u64 {
        let at = slot.offset as usize;
        values.get(at..at + self.outline.id).map_or(0, number)
    }

    #[inline]
    fn target(&self, id: u64) -> Option<u64> {
        if id == 0 { None } else { self.ids.number(id) }
    }

    /// An object's class and bytes, by its record.
    #[inline]
    fn class_and_size_of(&self, sub: Sub, values: &[u8]) -> (u32, u64) {
        match sub {
            Sub::Instance { class, .. } => {
                let class = self.described.number(class);
                let chunk = self.described.stack_chunk.filter(|chunk| chunk.class == class);
                let stack = chunk.map_or(0, |chunk| self.sizes.stack(chunk.words(values)));
                (class, self.sizes.instance(class) + stack)
            }
            Sub::Objects { class, count, .. } => {
                (self.described.number(class), self.sizes.array(ty::OBJECT, count))
            }
            Sub::Primitives { ty, count, .. } => {
                (self.array_class(ty), self.sizes.array(ty, count))
            }
            Sub::Class { id } => {
                (self.described.class, self.sizes.mirror(self.described.number(id)))
            }
            Sub::Root { .. } | Sub::Other => (NO_CLASS, 0),
        }
    }

    /// The class of arrays of a primitive type.
    #[inline]
    fn array_class(&self, ty: u8) -> u32 {
        self.described.arrays.get(usize::from(ty)).copied().unwrap_or(NO_CLASS)
    }

    /// What an object refers to, by its record; answers its class.
    #[inline]
    fn references_of(
        &self,
        place: u64,
        sub: Sub,
        values: &[u8],
        mut each: impl FnMut(u64, Strength),
    ) -> u32 {
        match sub {
            Sub::Instance { class, .. } => {
                let number = self.described.number(class);
                let class = self.described.get(number);
                for slot in class.iter().flat_map(|c| &c.slots) {
                    if let Some(target) = self.target(self.id_at(values, slot)) {
                        each(target, slot.strength);
                    }
                }
                number
            }
            Sub::Objects { class, .. } => {
                for id in values.chunks_exact(self.outline.id) {
                    if let Some(target) = self.target(number(id)) {
                        each(target, Strength::Strong);
                    }
                }
                self.described.number(class)
            }
            Sub::Primitives { ty, .. } => self.array_class(ty),
            Sub::Class { .. } => {
                self.class_references(place, |id, _| {
                    if let Some(target) = self.target(id) {
                        each(target, Strength::Strong);
                    }
                });
                self.described.class
            }
            Sub::Root { .. } | Sub::Other => NO_CLASS,
        }
    }

    /// The value of an instance's field of this name.
    pub(super) fn field(&self, place: u64, name: &str) -> Option<&[u8]> {
        let (Sub::Instance { class, .. }, values) = self.record(place)? else { return None };
        let class = self.described.number(class);
        let (at, ty) = self.described.field(&self.data, &self.outline, class, name)?;
        values.get(at..at + super::format::value_bytes(ty, self.outline.id)?)
    }

    /// The text of an array of chars, or of bytes with the String's coder.
    pub(super) fn characters(
        &self,
        place: u64,
        part: Option<(usize, usize)>,
        limit: usize,
    ) -> Option<String> {
        let (Sub::Primitives { ty: ty::CHAR, .. }, values) = self.record(place)? else {
            return None;
        };
        let (from, count) = part.unwrap_or((0, values.len() / 2));
        let chars = values.as_chunks().0.iter().skip(from).take(count.min(limit));
        let units: Vec<u16> = chars.map(|c| u16::from_be_bytes(*c)).collect();
        Some(String::from_utf16_lossy(&units))
    }

    /// What a class's record refers to: ids that may be 0, and where they stand.
    pub(super) fn class_references(&self, place: u64, mut each: impl FnMut(u64, Place<'_>)) {
        let Some(record) = self.class_record(place) else { return };
        for (part, id) in [
            (ClassPart::Super, record.super_class),
            (ClassPart::Loader, record.loader),
            (ClassPart::Signers, record.signers),
            (ClassPart::ProtectionDomain, record.domain),
        ] {
            each(id, Place::Class(part));
        }
        for (_, id) in record.constants().filter(|(ty, _)| is_reference(*ty)) {
            each(id, Place::Class(ClassPart::ResolvedReferences));
        }
        let class = self.described.number(record.id);
        for (name, _, id) in record.statics().filter(|(_, ty, _)| is_reference(*ty)) {
            let place = match class_part(self.outline.name(&self.data, name)) {
                Some(part) => Place::Class(part),
                None => Place::Static(self.field_named(name, class)),
            };
            each(id, place);
        }
    }
}

impl ObjectGraph for Dump {
    fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    fn plain(&self) -> Option<&Plain> {
        Some(&self.plain)
    }

    fn address(&self, place: u64) -> u64 {
        let at = self.offsets.get(place);
        if at == 0 {
            return 0;
        }
        Bytes::new(&self.data, at + 1..self.data.len(), self.outline.id).id().unwrap_or(0)
    }

    #[inline]
    fn place(&self, address: u64) -> Option<u64> {
        self.target(address)
    }

    #[inline]
    fn class_of(&self, place: u64) -> u32 {
        self.class_number(place)
    }

    fn size(&self, place: u64) -> u64 {
        self.class_and_size(place).1
    }

    #[inline]
    fn class_and_size(&self, place: u64) -> (u32, u64) {
        match self.record(place) {
            Some((sub, values)) => self.class_and_size_of(sub, values),
            None => (NO_CLASS, 0),
        }
    }

    fn mat_size(&self, place: u64) -> u64 {
        match self.record(place) {
            Some((Sub::Instance { class, .. }, _)) => {
                self.sizes.instance_like_mat(self.described.number(class))
            }
            Some((Sub::Objects { count, .. }, _)) => self.sizes.array_like_mat(ty::OBJECT, count),
            Some((Sub::Primitives { ty, count, .. }, _)) => self.sizes.array_like_mat(ty, count),
            Some((Sub::Class { id }, _)) => {
                let class = self.described.get(self.described.number(id));
                class.map_or(0, |c| self.sizes.mirror_like_mat(c))
            }
            _ => 0,
        }
    }

    fn total_size(&self) -> u64 {
        self.histogram().iter().map(|(_, bytes)| bytes).sum()
    }

    #[inline]
    fn references(&self, place: u64, each: impl FnMut(u64, Strength)) -> u32 {
        match self.record(place) {
            Some((sub, values)) => self.references_of(place, sub, values, each),
            None => NO_CLASS,
        }
    }

    #[inline]
    fn visit(&self, place: u64, each: impl FnMut(u64, Strength)) -> (u32, u64) {
        let Some((sub, values)) = self.record(place) else { return (NO_CLASS, 0) };
        self.references_of(place, sub, values, each);
        self.class_and_size_of(sub, values)
    }

    fn can_refer(&self, class: u32) -> bool {
        let Some(c) = self.described.get(class) else { return true };
        match c.kind {
            ClassKind::Instance => class == self.described.class || !c.slots.is_empty(),
            ClassKind::Objects => true,
            ClassKind::Primitives => false,
        }
    }

    fn describe(&self, place: u64, mut each: impl FnMut(Reference<'_>)) {
        match self.record(place) {
            Some((Sub::Instance { class, .. }, values)) => {
                let class = self.described.get(self.described.number(class));
                for slot in class.iter().flat_map(|c| &c.slots) {
                    let Some(target) = self.target(self.id_at(values, slot)) else { continue };
                    let place = Place::Field(self.field_named(slot.name, slot.class));
                    each(Reference { target, strength: slot.strength, place });
                }
            }
            Some((Sub::Objects { .. }, values)) => {
                for (i, id) in (0..).zip(values.chunks_exact(self.outline.id)) {
                    let Some(target) = self.target(number(id)) else { continue };
                    let place = Place::Element(i);
                    each(Reference { target, strength: Strength::Strong, place });
                }
            }
            Some((Sub::Class { .. }, _)) => self.class_references(place, |id, place| {
                if let Some(target) = self.target(id) {
                    each(Reference { target, strength: Strength::Strong, place });
                }
            }),
            _ => {}
        }
    }

    fn mirrored(&self, place: u64) -> Option<u32> {
        let record = self.class_record(place)?;
        Some(self.described.number(record.id)).filter(|n| is_class(*n))
    }

    fn classes(&self) -> &[Class] {
        &self.classes
    }

    fn roots(&self) -> &[Root] {
        &self.roots
    }

    fn threads(&self) -> &[Thread] {
        &self.threads
    }

    fn text(&self, place: u64, limit: usize) -> Option<String> {
        if self.class_number(place) != self.described.string {
            return None;
        }
        let value = self.target(number(self.field(place, "value")?))?;
        let as_int = |name| self.field(place, name).map(|bytes| number(bytes) as usize);
        // 6 and earlier 7 share arrays between Strings.
        let part = as_int("offset").zip(as_int("count"));
        if let Some(text) = self.characters(value, part, limit) {
            return Some(text);
        }
        let (Sub::Primitives { ty: ty::BYTE, .. }, bytes) = self.record(value)? else {
            return None;
        };
        // JEP 254: coder 0 is Latin-1, 1 is UTF-16 in the byte order of the CPU.
        match self.field(place, "coder").map(number) {
            None | Some(0) => Some(bytes.iter().take(limit).map(|b| char::from(*b)).collect()),
            Some(_) => {
                let pairs = bytes.as_chunks().0.iter().take(limit);
                let units: Vec<u16> = pairs.map(|c| u16::from_le_bytes(*c)).collect();
                Some(String::from_utf16_lossy(&units))
            }
        }
    }

    fn unread(&self) -> &Unread {
        &self.unread
    }
}
