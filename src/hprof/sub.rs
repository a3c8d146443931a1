//! The sub-records of a heap dump, one after the other.

use super::bytes::Bytes;
use super::format::{sub, ty, value_bytes};

/// What a sub-record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sub {
    /// CLASS_DUMP.
    Class { id: u64 },
    /// INSTANCE_DUMP: `len` bytes of values.
    Instance { id: u64, class: u64, len: u32 },
    /// OBJ_ARRAY_DUMP.
    Objects { id: u64, class: u64, count: u32 },
    /// PRIM_ARRAY_DUMP, with its values or (Android) without.
    Primitives { id: u64, ty: u8, count: u32 },
    /// A root by its tag; `thread` is a serial, `frame` -1 where there is none.
    Root { tag: u8, id: u64, thread: u32, frame: u32 },
    /// What says nothing of objects.
    Other,
}

impl Sub {
    /// The id of the object that the record is of.
    #[inline]
    pub(super) fn object(&self) -> Option<u64> {
        match *self {
            Sub::Class { id } | Sub::Instance { id, .. } => Some(id),
            Sub::Objects { id, .. } | Sub::Primitives { id, .. } => Some(id),
            Sub::Root { .. } | Sub::Other => None,
        }
    }
}

/// Why the next one cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is longer than what is left.
    Short,
    /// Its tag is none that is known, so neither is its length.
    Tag(u8),
    /// A value in it is of a type that is none.
    Type(u8),
}

/// Reads the next sub-record; `bytes` then stands behind it.
#[inline]
pub(super) fn next(bytes: &mut Bytes) -> Result<Sub, Stop> {
    let tag = bytes.u1().ok_or(Stop::Short)?;
    match tag {
        sub::INSTANCE_DUMP | sub::OBJ_ARRAY_DUMP | sub::PRIM_ARRAY_DUMP => object(bytes, tag),
        sub::CLASS_DUMP => class(bytes),
        _ => rare(bytes, tag),
    }
}

/// The number of bytes that `count` values take, if that is a number at all.
#[inline]
fn all(count: u32, each: usize) -> Result<usize, Stop> {
    (count as usize).checked_mul(each).ok_or(Stop::Short)
}

#[inline]
fn object(bytes: &mut Bytes, tag: u8) -> Result<Sub, Stop> {
    let mut read = || {
        let id = bytes.id()?;
        bytes.u4()?;
        Some(id)
    };
    let id = read().ok_or(Stop::Short)?;
    let (what, len) = match tag {
        sub::INSTANCE_DUMP => {
            let class = bytes.id().ok_or(Stop::Short)?;
            let len = bytes.u4().ok_or(Stop::Short)?;
            (Sub::Instance { id, class, len }, len as usize)
        }
        sub::OBJ_ARRAY_DUMP => {
            let count = bytes.u4().ok_or(Stop::Short)?;
            let class = bytes.id().ok_or(Stop::Short)?;
            (Sub::Objects { id, class, count }, all(count, bytes.id)?)
        }
        _ => {
            let count = bytes.u4().ok_or(Stop::Short)?;
            let ty = bytes.u1().ok_or(Stop::Short)?;
            let each = value_bytes(ty, 0).filter(|n| *n > 0).ok_or(Stop::Type(ty))?;
            (Sub::Primitives { id, ty, count }, all(count, each)?)
        }
    };
    bytes.take(len).ok_or(Stop::Short)?;
    Ok(what)
}

fn class(bytes: &mut Bytes) -> Result<Sub, Stop> {
    let start = bytes.clone();
    let id = bytes.id().ok_or(Stop::Short)?;
    *bytes = start;
    ClassRecord::read(bytes)?;
    Ok(Sub::Class { id })
}

#[cold]
fn rare(bytes: &mut Bytes, tag: u8) -> Result<Sub, Stop> {
    let none = (0, u32::MAX);
    let mut read = || -> Option<Result<Sub, Stop>> {
        if tag == sub::HEAP_DUMP_INFO {
            bytes.u4()?;
            bytes.id()?;
            return Some(Ok(Sub::Other));
        }
        if tag == sub::PRIM_ARRAY_NODATA {
            let id = bytes.id()?;
            bytes.u4()?;
            let (count, ty) = (bytes.u4()?, bytes.u1()?);
            let known = value_bytes(ty, 0).is_some_and(|n| n > 0);
            return Some(match known {
                true => Ok(Sub::Primitives { id, ty, count }),
                false => Err(Stop::Type(ty)),
            });
        }
        let known = matches!(tag, sub::ROOT_JNI_GLOBAL..=sub::ROOT_THREAD_OBJ | sub::ROOT_UNKNOWN)
            || matches!(tag, sub::ROOT_INTERNED_STRING..=sub::ROOT_JNI_MONITOR | sub::UNREACHABLE);
        if !known {
            return Some(Err(Stop::Tag(tag)));
        }
        let id = bytes.id()?;
        let (thread, frame) = match tag {
            sub::ROOT_JNI_GLOBAL => bytes.id().map(|_| none)?,
            sub::ROOT_JNI_LOCAL | sub::ROOT_JAVA_FRAME => (bytes.u4()?, bytes.u4()?),
            sub::ROOT_THREAD_OBJ | sub::ROOT_JNI_MONITOR => (bytes.u4()?, bytes.u4()?),
            sub::ROOT_NATIVE_STACK | sub::ROOT_THREAD_BLOCK => (bytes.u4()?, u32::MAX),
            _ => none,
        };
        // What is named as unreachable is held by nothing.
        Some(Ok(match tag {
            sub::UNREACHABLE => Sub::Other,
            _ => Sub::Root { tag, id, thread, frame },
        }))
    };
    read().unwrap_or(Err(Stop::Short))
}

/// A CLASS_DUMP, its lists still to be read.
#[derive(Debug, Clone)]
pub(super) struct ClassRecord<'a> {
    pub id: u64,
    pub super_class: u64,
    pub loader: u64,
    pub signers: u64,
    pub domain: u64,
    constants: Bytes<'a>,
    statics: Bytes<'a>,
    fields: Bytes<'a>,
}

impl<'a> ClassRecord<'a> {
    /// Reads the one whose tag `bytes` stands behind.
    pub(super) fn read(bytes: &mut Bytes<'a>) -> Result<ClassRecord<'a>, Stop> {
        let short = Stop::Short;
        let id = bytes.id().ok_or(short)?;
        bytes.u4().ok_or(short)?;
        let mut ids = [0; 6];
        for id in &mut ids {
            *id = bytes.id().ok_or(short)?;
        }
        // What an instance takes: writers disagree on what that means.
        bytes.u4().ok_or(short)?;
        let constants = list(bytes, |b| b.u2().map(drop))?;
        let statics = list(bytes, |b| b.id().map(drop))?;
        let fields = bytes.clone();
        let count = usize::from(bytes.u2().ok_or(short)?);
        bytes.take(count * (bytes.id + 1)).ok_or(short)?;
        let [super_class, loader, signers, domain, ..] = ids;
        #[rustfmt::skip]
        let record = ClassRecord { id, super_class, loader, signers, domain, constants, statics, fields };
        Ok(record)
    }

    /// Type and value of each constant that the record has.
    pub(super) fn constants(&self) -> impl Iterator<Item = (u8, u64)> + 'a {
        let mut bytes = self.constants.clone();
        let count = bytes.u2().unwrap_or(0);
        (0..count).map_while(move |_| {
            bytes.u2()?;
            value(&mut bytes)
        })
    }

    /// Name, type and value of each static field.
    pub(super) fn statics(&self) -> impl Iterator<Item = (u64, u8, u64)> + 'a {
        let mut bytes = self.statics.clone();
        let count = bytes.u2().unwrap_or(0);
        (0..count).map_while(move |_| {
            let name = bytes.id()?;
            let (ty, value) = value(&mut bytes)?;
            Some((name, ty, value))
        })
    }

    /// Name and type of each field that the class declares itself.
    pub(super) fn fields(&self) -> impl Iterator<Item = (u64, u8)> + 'a {
        let mut bytes = self.fields.clone();
        let count = bytes.u2().unwrap_or(0);
        (0..count).map_while(move |_| Some((bytes.id()?, bytes.u1()?)))
    }
}

/// Steps over a counted list of values, each behind what `name` reads; answers where it began.
fn list<'a>(
    bytes: &mut Bytes<'a>,
    name: impl Fn(&mut Bytes<'a>) -> Option<()>,
) -> Result<Bytes<'a>, Stop> {
    let start = bytes.clone();
    for _ in 0..bytes.u2().ok_or(Stop::Short)? {
        name(bytes).ok_or(Stop::Short)?;
        let ty = bytes.u1().ok_or(Stop::Short)?;
        let each = value_bytes(ty, bytes.id).ok_or(Stop::Type(ty))?;
        bytes.take(each).ok_or(Stop::Short)?;
    }
    Ok(start)
}

fn value(bytes: &mut Bytes) -> Option<(u8, u64)> {
    let ty = bytes.u1()?;
    let each = value_bytes(ty, bytes.id)?;
    bytes.take(each).map(|b| (ty, super::bytes::number(b)))
}

/// Whether values of this type are references.
#[inline]
pub(super) fn is_reference(ty: u8) -> bool {
    ty == ty::OBJECT
}
