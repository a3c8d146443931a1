//! What a dump says, once it is read: where values lie, who refers to what.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Dump, Kind, Object, REF, THREAD_OBJECT, Type, size_of};

impl Dump {
    /// Where the fields of a class's instances lie in their records: own fields first, then the superclass's.
    pub fn layout(&self, class: u64) -> Vec<Slot> {
        let mut slots = Vec::new();
        let mut at = 0;
        let mut next = self.classes.get(&class);
        for _ in 0..1000 {
            let Some(c) = next else { break };
            for (name, ty) in &c.fields {
                let end = at + size_of(*ty).expect("checked when read");
                slots.push(Slot {
                    declared_by: c.name.clone(),
                    name: name.clone(),
                    ty: *ty,
                    start: at,
                    end,
                });
                at = end;
            }
            next = self.classes.get(&c.super_id);
        }
        slots
    }

    /// Where an object's values lie in the file.
    pub fn range(&self, o: &Object) -> std::ops::Range<usize> {
        o.start..o.end
    }

    pub fn bytes(&self, o: &Object) -> &[u8] {
        &self.data[o.start..o.end]
    }

    /// The name of an object's class, as in the Java source for arrays of primitives.
    pub fn class_name(&self, o: &Object) -> String {
        match o.kind {
            Kind::Primitives(t) => {
                let names = [
                    "boolean[]",
                    "char[]",
                    "float[]",
                    "double[]",
                    "byte[]",
                    "short[]",
                    "int[]",
                    "long[]",
                ];
                names.get(usize::from(t).wrapping_sub(4)).copied().unwrap_or("?[]").to_owned()
            }
            _ => self
                .classes
                .get(&o.class)
                .map_or_else(|| format!("?{:#x}", o.class), |c| c.name.clone()),
        }
    }

    pub fn has(&self, id: u64) -> bool {
        self.objects.contains_key(&id) || self.classes.contains_key(&id)
    }

    /// References of objects, classes and roots that lead to nothing in this dump, each with a holder.
    pub fn dangling(&self) -> BTreeMap<u64, String> {
        let mut found = BTreeMap::new();
        self.references(&mut |id, holder| {
            if !self.has(id) {
                found.entry(id).or_insert_with(holder);
            }
        });
        found
    }

    /// Calls `f` with every reference but null, and a way to name its holder.
    pub fn references(&self, f: &mut dyn FnMut(u64, &dyn Fn() -> String)) {
        let mut see = |id: u64, holder: &dyn Fn() -> String| {
            if id != 0 {
                f(id, holder);
            }
        };
        let mut layouts: HashMap<u64, Vec<Slot>> = HashMap::new();
        for (id, o) in &self.objects {
            let b = self.bytes(o);
            match o.kind {
                Kind::Primitives(_) => {}
                Kind::Objects => {
                    for (i, e) in b.chunks_exact(8).enumerate() {
                        see(word(e), &|| format!("{} {id:#x} [{i}]", self.class_name(o)));
                    }
                }
                Kind::Instance => {
                    for s in layouts.entry(o.class).or_insert_with(|| self.layout(o.class)) {
                        if s.ty == REF && s.end <= b.len() {
                            see(word(&b[s.start..s.end]), &|| {
                                format!("{} {id:#x} .{}", self.class_name(o), s.name)
                            });
                        }
                    }
                }
            }
        }
        for c in self.classes.values() {
            for (what, id) in [("loader", c.loader), ("signers", c.signers), ("domain", c.domain)] {
                see(id, &|| format!("class {} {what}", c.name));
            }
            for s in c.statics.iter().filter(|s| s.ty == REF) {
                see(s.value, &|| format!("class {} static {}", c.name, s.name));
            }
        }
        for r in self.roots.keys() {
            see(r.id, &|| format!("root {:#x}", r.tag));
        }
    }

    /// Thread objects, each with its serial and its frames in words, innermost first.
    pub fn threads(&self) -> BTreeMap<u64, (u32, Vec<String>)> {
        let objects = self.roots.keys().filter(|r| r.tag == THREAD_OBJECT);
        let frames = |trace: u32| {
            let ids = self.traces.get(&trace).map_or(&[][..], |t| &t.1);
            let text = |id: &u64| self.frames.get(id).map_or("missing", String::as_str).to_owned();
            ids.iter().map(text).collect()
        };
        objects.map(|r| (r.id, (r.extra.0 as u32, frames(r.extra.1)))).collect()
    }

    /// Names of all classes, for messages and counts.
    pub fn class_names(&self) -> BTreeSet<&str> {
        self.classes.values().map(|c| c.name.as_str()).collect()
    }
}

/// A field's place in an INSTANCE record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub declared_by: String,
    pub name: String,
    pub ty: Type,
    pub start: usize,
    pub end: usize,
}

/// A big-endian number of up to 8 bytes.
pub fn word(b: &[u8]) -> u64 {
    b.iter().fold(0, |v, b| v << 8 | u64::from(*b))
}
