//! A graph of objects of given sizes, with the names of what they refer by.

use std::collections::HashMap;

use super::super::{Leaks, Limits, find};
use crate::graph::dominators::{Dominators, Rule, Watch};
use crate::graph::{
    Class, ClassKind, Field, NO_CLASS, Numbers, ObjectGraph, ObjectValues, Place, Reference, Root,
    RootKind, Strength, Thread, Unread,
};

pub(super) const CLASS: &str = "java.lang.Class";

/// By what an object refers to another.
#[derive(Clone, Copy)]
pub(super) enum Via {
    Field(&'static str),
    Static(&'static str),
    Element,
    Referent(Strength),
}
use Via::{Element, Referent, Static};

/// A graph made up: objects are their places.
#[derive(Default)]
pub(super) struct Made {
    numbers: Option<Numbers>,
    pub(super) classes: Vec<Class>,
    pub(super) by_name: HashMap<String, u32>,
    class: Vec<u32>,
    sizes: Vec<u64>,
    pub(super) mirrored: HashMap<u64, u32>,
    refers: Vec<Vec<(Via, u64)>>,
    roots: Vec<Root>,
    threads: Vec<Thread>,
    unread: Unread,
}

impl Made {
    fn class(&mut self, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = self.classes.len() as u32;
        self.by_name.insert(name.into(), number);
        self.another(name)
    }

    /// Another class of a name.
    pub(super) fn another(&mut self, name: &str) -> u32 {
        self.classes.push(Class {
            name: name.into(),
            kind: ClassKind::Instance,
            super_class: None,
            interfaces: None,
            object: None,
            loader: None,
            is_permanent: false,
        });
        self.classes.len() as u32 - 1
    }

    pub(super) fn of_class(&mut self, class: u32, size: u64) -> u64 {
        self.class.push(class);
        self.sizes.push(size);
        self.refers.push(Vec::new());
        self.class.len() as u64 - 1
    }

    pub(super) fn object(&mut self, class: &str, size: u64) -> u64 {
        let class = self.class(class);
        self.of_class(class, size)
    }

    /// A class object that is never unloaded.
    pub(super) fn permanent(&mut self, name: &str) -> u64 {
        let object = self.object(CLASS, 100);
        let class = self.class(name);
        self.mirrored.insert(object, class);
        let class = &mut self.classes[class as usize];
        (class.object, class.is_permanent) = (Some(object), true);
        object
    }

    pub(super) fn refer(&mut self, from: u64, via: Via, to: u64) {
        self.refers[from as usize].push((via, to));
    }

    /// What `from` refers to by `via`: a map with so many values, of so many bytes, made by `value`.
    pub(super) fn map(
        &mut self,
        from: u64,
        via: Via,
        count: u64,
        mut value: impl FnMut(&mut Made, u64) -> u64,
    ) {
        let map = self.object("java.util.HashMap", 48);
        let table = self.object("java.util.HashMap$Node[]", 16 + 4 * count);
        self.refer(from, via, map);
        self.refer(map, Via::Field("table"), table);
        for i in 0..count {
            let node = self.object("java.util.HashMap$Node", 32);
            self.refer(table, Element, node);
            let value = value(self, i);
            self.refer(node, Via::Field("value"), value);
        }
    }

    pub(super) fn thread(&mut self, name: &str) -> u64 {
        let object = self.object("java.lang.Thread", 120);
        let frames = vec!["com.acme.Main.run(Main.java:12)".into()];
        self.threads.push(Thread { name: name.into(), object: Some(object), frames });
        let thread = Some(self.threads.len() as u32 - 1);
        self.roots.push(Root { kind: RootKind::Thread, place: object, thread, frame: None });
        object
    }

    pub(super) fn local(&mut self, place: u64) {
        let thread = Some(self.threads.len() as u32 - 1);
        self.roots.push(Root { kind: RootKind::Frame, place, thread, frame: Some(0) });
    }

    pub(super) fn find(&mut self, limits: Limits) -> Leaks {
        let count = self.class.len() as u64;
        // What holds anything is no leaf.
        self.numbers = Some(Numbers::dense(count));
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.expect("threads");
            let watch = Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) };
            let tree = Dominators::<Made, u32>::find(self, Rule::Strong, &pool, watch);
            find(&tree.expect("a tree"), limits, watch).expect("suspects")
        };
        let (one, three) = (of(1), of(3));
        assert_eq!(one, three, "it is the same at any number of threads");
        one
    }

    fn strength(via: &Via) -> Strength {
        if let Referent(strength) = via { *strength } else { Strength::Strong }
    }
}

impl ObjectValues for Made {}

impl ObjectGraph for Made {
    fn numbers(&self) -> &Numbers {
        self.numbers.as_ref().expect("made")
    }
    fn address(&self, place: u64) -> u64 {
        0x1000 + place * 8
    }
    fn place(&self, address: u64) -> Option<u64> {
        Some(address.checked_sub(0x1000)? / 8).filter(|p| *p < self.class.len() as u64)
    }
    fn class_of(&self, place: u64) -> u32 {
        self.class.get(place as usize).copied().unwrap_or(NO_CLASS)
    }
    fn size(&self, place: u64) -> u64 {
        self.sizes[place as usize]
    }
    fn mat_size(&self, place: u64) -> u64 {
        self.sizes[place as usize]
    }
    fn total_size(&self) -> u64 {
        self.sizes.iter().sum()
    }
    fn references(&self, place: u64, mut each: impl FnMut(u64, Strength)) -> u32 {
        self.refers[place as usize].iter().for_each(|(via, to)| each(*to, Made::strength(via)));
        self.class_of(place)
    }
    fn can_refer(&self, class: u32) -> bool {
        self.classes[class as usize].name != "byte[]"
    }
    fn describe(&self, place: u64, mut each: impl FnMut(Reference<'_>)) {
        let class = self.mirrored(place).unwrap_or(self.class_of(place));
        for (i, (via, target)) in self.refers[place as usize].iter().enumerate() {
            let field = |name: &'static str| Field { name: name.into(), class };
            let at = match via {
                Via::Field(name) => Place::Field(field(name)),
                Static(name) => Place::Static(field(name)),
                Element => Place::Element(i as u64),
                Referent(_) => Place::Field(field("referent")),
            };
            each(Reference { target: *target, strength: Made::strength(via), place: at });
        }
    }
    fn mirrored(&self, place: u64) -> Option<u32> {
        self.mirrored.get(&place).copied()
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
    fn text(&self, _: u64, _: usize) -> Option<String> {
        None
    }
    fn unread(&self) -> &Unread {
        &self.unread
    }
}
