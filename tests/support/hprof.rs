//! A reader of HPROF dumps, written from the format's definition for the tests alone.
//!
//! Shares nothing with `src/`, so that a mistake there is not repeated here. Reads the whole file into
//! memory; what breaks the format is gathered in [`Dump::problems`] where reading can go on.

mod ask;

pub use ask::{Slot, word};

use super::child::Command;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Sub-record tags of a heap dump.
pub const JNI_GLOBAL: u8 = 0x01;
pub const JNI_LOCAL: u8 = 0x02;
pub const JAVA_FRAME: u8 = 0x03;
pub const NATIVE_STACK: u8 = 0x04;
pub const STICKY_CLASS: u8 = 0x05;
pub const THREAD_BLOCK: u8 = 0x06;
pub const MONITOR_USED: u8 = 0x07;
pub const THREAD_OBJECT: u8 = 0x08;

/// A basic type's tag in HPROF: 2 reference, 4 boolean, ... 11 long.
pub type Type = u8;
pub const REF: Type = 2;

/// A static field or a constant: its bytes are the value, big-endian.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Static {
    pub name: String,
    pub ty: Type,
    pub value: u64,
}

/// CLASS_DUMP, plus the name from LOAD_CLASS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub id: u64,
    pub name: String,
    pub trace: u32,
    pub super_id: u64,
    pub loader: u64,
    pub signers: u64,
    pub domain: u64,
    pub reserved: [u64; 2],
    pub instance_size: u32,
    pub constants: usize,
    pub statics: Vec<Static>,
    pub fields: Vec<(String, Type)>,
}

/// What an object's record says; `class` is 0 for arrays of primitives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Instance,
    Objects,
    Primitives(Type),
}

#[derive(Debug, Clone, Copy)]
pub struct Object {
    pub kind: Kind,
    pub class: u64,
    pub trace: u32,
    start: usize,
    end: usize,
}

/// A root by kind, object and what else names it (a handle for JNI globals, thread and frame otherwise).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Root {
    pub tag: u8,
    pub id: u64,
    pub extra: (u64, u32),
}

#[derive(Default)]
pub struct Dump {
    data: Vec<u8>,
    pub header_time: u64,
    pub strings: HashMap<u64, String>,
    pub classes: BTreeMap<u64, Class>,
    pub objects: BTreeMap<u64, Object>,
    pub roots: BTreeMap<Root, usize>,
    /// Trace serial -> (thread serial, ids of frames).
    pub traces: BTreeMap<u32, (u32, Vec<u64>)>,
    /// Frame id -> `Class.method(signature) file:line`.
    pub frames: HashMap<u64, String>,
    /// Tag -> number of heap dump records and other top-level ones.
    pub records: BTreeMap<u8, usize>,
    /// LOAD_CLASS and CLASS_DUMP records that repeat an earlier one word for word (JDK 17 writes such).
    pub repeats: usize,
    pub problems: Vec<String>,
}

pub fn size_of(ty: Type) -> Option<usize> {
    Some(match ty {
        4 | 8 => 1,
        5 | 9 => 2,
        6 | 10 => 4,
        REF | 7 | 11 => 8,
        _ => return None,
    })
}

/// Why a dump cannot be read any further.
type Broken = String;

struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Broken> {
        if self.end - self.at < n {
            return Err(format!("record cut short at offset {:#x}: {n} bytes wanted", self.at));
        }
        self.at += n;
        Ok(&self.data[self.at - n..self.at])
    }
    fn uint(&mut self, n: usize) -> Result<u64, Broken> {
        Ok(self.take(n)?.iter().fold(0, |v, b| v << 8 | u64::from(*b)))
    }
    fn u1(&mut self) -> Result<u8, Broken> {
        Ok(self.uint(1)? as u8)
    }
    fn u4(&mut self) -> Result<u32, Broken> {
        Ok(self.uint(4)? as u32)
    }
    fn id(&mut self) -> Result<u64, Broken> {
        self.uint(8)
    }
    fn typed(&mut self) -> Result<(Type, usize), Broken> {
        let ty = self.u1()?;
        Ok((ty, size_of(ty).ok_or_else(|| format!("type {ty} at offset {:#x}", self.at - 1))?))
    }
    fn done(&self) -> bool {
        self.at == self.end
    }
}

impl Dump {
    /// Reads a dump, gzipped or not; panics when it is not one.
    pub fn open(path: &Path) -> Dump {
        let mut data = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if data.starts_with(&[0x1f, 0x8b]) {
            let out = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip runs");
            assert!(out.status.success(), "{}: gzip does not unpack it", path.display());
            data = out.stdout;
        }
        Dump::parse(data).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn parse(data: Vec<u8>) -> Result<Dump, Broken> {
        let mut dump = Dump::default();
        let mut c = Cursor { data: &data, at: 0, end: data.len() };
        if c.take(19)? != b"JAVA PROFILE 1.0.2\0" {
            return Err("no HPROF 1.0.2 header".into());
        }
        if c.u4()? != 8 {
            return Err("ids are not 8 bytes".into());
        }
        dump.header_time = c.uint(8)?;
        let mut loads: HashMap<u64, String> = HashMap::new();
        let mut serials: BTreeMap<u32, u64> = BTreeMap::new();
        let mut ended = false;
        while !c.done() {
            let tag = c.u1()?;
            c.u4()?;
            let len = c.u4()? as usize;
            let start = c.at;
            c.take(len)?;
            let mut r = Cursor { data: &data, at: start, end: start + len };
            *dump.records.entry(tag).or_default() += 1;
            if ended {
                dump.problems.push(format!("record {tag:#x} behind HEAP_DUMP_END"));
            }
            match tag {
                0x01 => dump.utf8(&mut r)?,
                0x02 => dump.load_class(&mut r, &mut loads, &mut serials)?,
                0x04 => {
                    let frame = r.id()?;
                    let mut words = Vec::new();
                    for part in ["method", "signature", "source file"] {
                        let id = r.id()?;
                        // Classes made at run time have no source file.
                        words.push(match id != 0 || part != "source file" {
                            true => dump.name(id, part),
                            false => "-".into(),
                        });
                    }
                    let (class, line) = (r.u4()?, r.u4()? as i32);
                    let class = serials.get(&class).and_then(|id| loads.get(id));
                    let class = class.map_or("?", String::as_str);
                    let text = format!("{class}.{}{} {}:{line}", words[0], words[1], words[2]);
                    if dump.frames.insert(frame, text).is_some() {
                        dump.problems.push(format!("frame {frame} twice"));
                    }
                }
                0x05 => {
                    let (serial, thread, n) = (r.u4()?, r.u4()?, r.u4()? as usize);
                    let ids = (0..n).map(|_| r.id()).collect::<Result<Vec<u64>, _>>()?;
                    if dump.traces.insert(serial, (thread, ids)).is_some() {
                        dump.problems.push(format!("stack trace {serial} twice"));
                    }
                }
                0x0c | 0x1c => {
                    while !r.done() {
                        dump.sub_record(&mut r, &loads)?;
                    }
                }
                0x2c => ended = true,
                _ => return Err(format!("unknown record {tag:#x} at offset {start:#x}")),
            }
            if !r.done() {
                dump.problems.push(format!(
                    "record {tag:#x} at offset {start:#x}: {} bytes left over",
                    r.end - r.at
                ));
            }
        }
        if !ended && dump.records.contains_key(&0x1c) {
            dump.problems.push("segments without HEAP_DUMP_END".into());
        }
        for (id, name) in &loads {
            if !dump.classes.contains_key(id) {
                dump.problems.push(format!("LOAD_CLASS {name} {id:#x} without CLASS_DUMP"));
            }
        }
        dump.data = data;
        dump.check();
        Ok(dump)
    }

    fn utf8(&mut self, r: &mut Cursor) -> Result<(), Broken> {
        let id = r.id()?;
        let bytes = r.take(r.end - r.at)?;
        let text = match std::str::from_utf8(bytes) {
            Ok(s) => s.to_owned(),
            Err(_) => bytes.escape_ascii().to_string(), // modified UTF-8: surrogates and zero
        };
        if let Some(old) = self.strings.insert(id, text.clone())
            && old != text
        {
            self.problems.push(format!("name {id:#x} is both {old:?} and {text:?}"));
        }
        Ok(())
    }

    fn name(&mut self, id: u64, of: &str) -> String {
        match self.strings.get(&id) {
            Some(s) => s.clone(),
            None => {
                self.problems.push(format!("{of}: name {id:#x} is not there (yet)"));
                format!("?{id:#x}")
            }
        }
    }

    fn load_class(
        &mut self,
        r: &mut Cursor,
        loads: &mut HashMap<u64, String>,
        serials: &mut BTreeMap<u32, u64>,
    ) -> Result<(), Broken> {
        let (serial, id, _trace, name_id) = (r.u4()?, r.id()?, r.u4()?, r.id()?);
        let name = self.name(name_id, "LOAD_CLASS");
        if let Some(other) = serials.insert(serial, id)
            && other != id
        {
            self.problems.push(format!("class serial {serial} twice"));
        }
        if let Some(old) = loads.insert(id, name.clone()) {
            self.repeats += 1;
            if old != name {
                self.problems.push(format!("class {id:#x} is both {old} and {name}"));
            }
        }
        Ok(())
    }

    fn sub_record(&mut self, r: &mut Cursor, loads: &HashMap<u64, String>) -> Result<(), Broken> {
        let at = r.at;
        let tag = r.u1()?;
        match tag {
            0x20 => self.class_dump(r, loads),
            0x21 => {
                let (id, trace, class, len) = (r.id()?, r.u4()?, r.id()?, r.u4()? as usize);
                self.object(r, id, Kind::Instance, class, trace, len)
            }
            0x22 => {
                let (id, trace, n, class) = (r.id()?, r.u4()?, r.u4()? as usize, r.id()?);
                self.object(r, id, Kind::Objects, class, trace, 8 * n)
            }
            0x23 => {
                let (id, trace, n) = (r.id()?, r.u4()?, r.u4()? as usize);
                let (ty, size) = r.typed()?;
                if ty == REF {
                    self.problems.push(format!("array {id:#x} of primitives has references"));
                }
                self.object(r, id, Kind::Primitives(ty), 0, trace, size * n)
            }
            _ => {
                let id = r.id()?;
                let extra = match tag {
                    0xff | STICKY_CLASS | MONITOR_USED => (0, 0),
                    JNI_GLOBAL => (r.id()?, 0),
                    JNI_LOCAL | JAVA_FRAME | THREAD_OBJECT => (u64::from(r.u4()?), r.u4()?),
                    NATIVE_STACK | THREAD_BLOCK => (u64::from(r.u4()?), 0),
                    _ => return Err(format!("unknown sub-record {tag:#x} at offset {at:#x}")),
                };
                // Readers that go through a file once look a trace up when they meet its number.
                if tag == THREAD_OBJECT && !self.traces.contains_key(&extra.1) {
                    self.problems
                        .push(format!("thread {id:#x} comes before its trace {}", extra.1));
                }
                *self.roots.entry(Root { tag, id, extra }).or_default() += 1;
                Ok(())
            }
        }
    }

    fn class_dump(&mut self, r: &mut Cursor, loads: &HashMap<u64, String>) -> Result<(), Broken> {
        let (id, trace) = (r.id()?, r.u4()?);
        let (super_id, loader, signers, domain) = (r.id()?, r.id()?, r.id()?, r.id()?);
        let (reserved, instance_size) = ([r.id()?, r.id()?], r.u4()?);
        let constants = r.uint(2)? as usize;
        for _ in 0..constants {
            r.take(2)?;
            let (_, size) = r.typed()?;
            r.take(size)?;
        }
        let name = loads.get(&id).cloned().unwrap_or_else(|| {
            self.problems.push(format!("CLASS_DUMP {id:#x} without LOAD_CLASS before it"));
            format!("?{id:#x}")
        });
        let mut statics = Vec::new();
        for _ in 0..r.uint(2)? {
            let name = r.id()?;
            let (ty, size) = r.typed()?;
            statics.push(Static {
                name: self.name(name, "a static field"),
                ty,
                value: r.uint(size)?,
            });
        }
        let mut fields = Vec::new();
        for _ in 0..r.uint(2)? {
            let name = r.id()?;
            fields.push((self.name(name, "a field"), r.typed()?.0));
        }
        #[rustfmt::skip]
        let class = Class { id, name, trace, super_id, loader, signers, domain, reserved, instance_size, constants, statics, fields };
        if let Some(old) = self.classes.insert(id, class) {
            self.repeats += 1;
            if old != self.classes[&id] {
                self.problems.push(format!("two different CLASS_DUMPs of {} {id:#x}", old.name));
            }
        }
        Ok(())
    }

    fn object(
        &mut self,
        r: &mut Cursor,
        id: u64,
        kind: Kind,
        class: u64,
        trace: u32,
        len: usize,
    ) -> Result<(), Broken> {
        let start = r.at;
        r.take(len)?;
        if self.objects.insert(id, Object { kind, class, trace, start, end: start + len }).is_some()
        {
            self.problems.push(format!("object {id:#x} twice"));
        }
        Ok(())
    }

    /// What can be said only when all is read: classes known, lengths of instances as their classes say.
    fn check(&mut self) {
        let mut problems = Vec::new();
        let mut sizes: HashMap<u64, usize> = HashMap::new();
        for (id, c) in &self.classes {
            if c.super_id != 0 && !self.classes.contains_key(&c.super_id) {
                problems.push(format!("class {} {id:#x}: no superclass {:#x}", c.name, c.super_id));
            }
        }
        for (id, o) in &self.objects {
            if self.classes.contains_key(id) {
                problems.push(format!("{id:#x} is an object and a class"));
            }
            if matches!(o.kind, Kind::Primitives(_)) {
                continue;
            }
            if !self.classes.contains_key(&o.class) {
                problems.push(format!("object {id:#x}: no class {:#x}", o.class));
            } else if o.kind == Kind::Instance {
                let size = *sizes
                    .entry(o.class)
                    .or_insert_with(|| self.layout(o.class).last().map_or(0, |f| f.end));
                if size != o.end - o.start {
                    let name = &self.classes[&o.class].name;
                    problems.push(format!(
                        "{name} {id:#x}: {} bytes, its class says {size}",
                        o.end - o.start
                    ));
                }
            }
        }
        self.problems.append(&mut problems);
    }
}
