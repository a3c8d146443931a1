//! What objects retain together: those of a class, a package or a loader; what threads and kinds of roots hold.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use super::objects::class_name;
use super::share;
use crate::graph::dominators::Dominators;
use crate::graph::{Class, ClassKind, Id, ObjectGraph, Root, RootKind, Strength};
use crate::output::report::object_name;

/// What objects have in common that are counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Their class.
    Class,
    /// Their class's package; of arrays that of their elements.
    Package,
    /// Their class's loader.
    Loader,
}

/// A group of objects.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// How many can be reached.
    pub objects: u64,
    /// Their own bytes.
    pub shallow: u64,
    /// Bytes that would be freed if all of them went: of those that are within others of the group, once.
    pub retained: u64,
    /// Of all that is strongly held, in percent.
    pub share: f64,
    /// Bytes that only weaker references hold, of the group and below it.
    pub weaker: u64,
}

impl Group {
    fn new(name: String) -> Group {
        Group { name, objects: 0, shallow: 0, retained: 0, share: 0.0, weaker: 0 }
    }
}

/// The groups that objects fall into, those that retain the most first.
pub fn groups<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>, by: By) -> Vec<Group> {
    let (names, of_class) = names(tree.graph(), by);
    let mut sums = Sums {
        tree,
        of_class,
        groups: names.into_iter().map(Group::new).collect(),
        above: Vec::new(),
        path: Vec::new(),
        parts: Vec::new(),
    };
    sums.above.resize(sums.groups.len(), 0);
    walk(tree, &mut sums);
    finish(sums.groups, tree)
}

/// All objects of some classes together.
pub fn of_classes<G: ObjectGraph, I: Id>(
    tree: &Dominators<'_, G, I>,
    wanted: impl Fn(&str) -> bool,
) -> Group {
    let group = |class: &Class| u32::from(!wanted(&class.name));
    let mut of_class: Vec<u32> = tree.graph().classes().iter().map(group).collect();
    of_class.push(1);
    let groups = ["wanted", "others"].map(|name| Group::new(name.into()));
    let (groups, above) = (groups.into(), vec![0; 2]);
    let (path, parts) = Default::default();
    let mut sums = Sums { tree, of_class, groups, above, path, parts };
    walk(tree, &mut sums);
    sums.groups.swap_remove(0)
}

/// In order, without empty ones.
fn finish<G: ObjectGraph, I: Id>(
    mut groups: Vec<Group>,
    tree: &Dominators<'_, G, I>,
) -> Vec<Group> {
    groups.retain(|g| g.objects > 0);
    groups.iter_mut().for_each(|g| g.share = share(g.retained, tree.held(Strength::Strong)));
    groups.sort_by(|a, b| {
        let key = |g: &Group| (Reverse(g.retained), Reverse(g.weaker), Reverse(g.shallow));
        (key(a), &a.name).cmp(&(key(b), &b.name))
    });
    groups
}

/// The names of the groups, and each class's; objects without a class are in the last.
fn names(graph: &impl ObjectGraph, by: By) -> (Vec<String>, Vec<u32>) {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut names = Vec::new();
    let mut loaders: HashMap<Option<u64>, String> = HashMap::new();
    let mut number = |name: String| {
        *numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            names.len() as u32 - 1
        })
    };
    let mut of_class: Vec<u32> = Vec::new();
    for class in graph.classes() {
        let name = match by {
            By::Class => class.name.clone(),
            By::Package => package(&class.name, class.kind),
            By::Loader => {
                let name = loaders.entry(class.loader).or_insert_with(|| match class.loader {
                    None => "the boot loader".into(),
                    Some(place) => {
                        let class = class_name(graph, graph.class_of(place));
                        object_name(&class, graph.address(place), None)
                    }
                });
                name.clone()
            }
        };
        of_class.push(number(name));
    }
    of_class.push(number("?".into()));
    (names, of_class)
}

/// `java.util` of `java.util.HashMap$Node[]`.
fn package(class: &str, kind: ClassKind) -> String {
    let element = class.trim_end_matches("[]");
    match element.rsplit_once('.') {
        // What follows a slash sets a hidden class apart.
        Some((package, _)) => package.to_owned(),
        None if kind == ClassKind::Primitives => "(arrays of primitives)".into(),
        None => "(no package)".into(),
    }
}

/// What a walk of the tree adds up.
struct Sums<'t, 'g, G, I> {
    tree: &'t Dominators<'g, G, I>,
    of_class: Vec<u32>,
    groups: Vec<Group>,
    /// How many of each group are above the node at hand.
    above: Vec<u32>,
    /// The groups of the nodes above it, from the top: 4 bytes for each.
    path: Vec<u32>,
    /// The places of parts that are still to be looked at.
    parts: Vec<u64>,
}

impl<G: ObjectGraph, I: Id> Sums<'_, '_, G, I> {
    fn group(&self, class: u32) -> usize {
        let last = self.of_class.len() - 1;
        self.of_class[(class as usize).min(last)] as usize
    }

    /// What an object retains counts where none of its group is above it.
    fn add(&mut self, group: usize, size: u64, retained: u64, weaker: u64, strength: Strength) {
        let of = &mut self.groups[group];
        of.objects += 1;
        of.shallow += size;
        if self.above[group] == 0 {
            match strength {
                Strength::Strong => {
                    of.retained += retained;
                    of.weaker += weaker;
                }
                _ => of.weaker += retained + weaker,
            }
        }
    }

    fn enter(&mut self, place: u64, number: I) {
        let tree = self.tree;
        let strength = tree.strength(number);
        let (group, size, _) = self.look(place, strength);
        self.add(group, size, tree.retained(number), tree.weaker(number), strength);
        self.above[group] += 1;
        self.path.push(group as u32);
    }

    /// Counts what is folded into an object; answers the object's group, its bytes, and those of its parts.
    fn look(&mut self, place: u64, strength: Strength) -> (usize, u64, u64) {
        let (tree, first) = (self.tree, self.parts.len());
        let (class, size) = tree.visit_parts(place, |part| self.parts.push(part));
        let group = self.group(class);
        let mut within = 0;
        self.above[group] += 1;
        // What is looked at adds to their end, and takes that away again.
        for i in first..self.parts.len() {
            within += self.part(self.parts[i], strength);
        }
        self.above[group] -= 1;
        self.parts.truncate(first);
        (group, size, within)
    }

    /// What is folded into an object, which is not deep; answers what it retains.
    fn part(&mut self, place: u64, strength: Strength) -> u64 {
        let (group, size, within) = self.look(place, strength);
        self.add(group, size, size + within, 0, strength);
        size + within
    }

    fn leave(&mut self) {
        if let Some(group) = self.path.pop() {
            self.above[group as usize] -= 1;
        }
    }
}

/// Walks the dominator tree from the top down.
fn walk<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>, sums: &mut Sums<'_, '_, G, I>) {
    let down = tree.top_down();
    let mut at = down.first(I::default());
    while let Some(node) = at {
        // What comes next is far from here in memory.
        for soon in [down.first(node), down.next(node)].into_iter().flatten() {
            tree.graph().prefetch(down.place(soon));
        }
        sums.enter(down.place(node), node);
        at = down.first(node);
        let mut done = node;
        while at.is_none() && done != I::default() {
            sums.leave();
            at = down.next(done);
            done = tree.dominator(done);
        }
    }
}

/// What each thread holds by its object: its locals, its thread locals, and the rest of it.
pub fn threads<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>) -> Vec<Group> {
    let graph = tree.graph();
    let all = graph.threads().iter().filter_map(|thread| {
        let place = thread.object?;
        let number = tree.number(place)?;
        let strong = tree.strength(number) == Strength::Strong;
        let (retained, weaker) = (tree.retained(number), tree.weaker(number));
        Some(Group {
            objects: 1,
            shallow: tree.size(place),
            retained: if strong { retained } else { 0 },
            weaker: if strong { weaker } else { retained + weaker },
            ..Group::new(format!("\"{}\" @ {:#x}", thread.name, graph.address(place)))
        })
    });
    finish(all.collect(), tree)
}

/// What roots hold, by their kind. What several roots hold together, and none of them alone, is a group of its own.
pub fn roots<G: ObjectGraph, I: Id>(tree: &Dominators<'_, G, I>) -> Vec<Group> {
    let graph = tree.graph();
    let mut kinds: HashMap<u64, &str> = HashMap::new();
    // What threads hold by their frames hangs on the threads.
    let own = |r: &&Root| r.thread.is_none() || r.kind == RootKind::Thread;
    for root in graph.roots().iter().filter(own) {
        kinds.entry(root.place).or_insert(kind(root.kind));
    }
    for class in graph.classes().iter().filter(|c| c.is_permanent) {
        class.object.map(|place| kinds.entry(place).or_insert("classes that are never unloaded"));
    }
    let shared = "several roots together";
    let mut groups: HashMap<&str, Group> = HashMap::new();
    let places = tree.places();
    for i in 1..tree.count() {
        let number = I::of(i);
        if tree.dominator(number) != I::default() {
            continue;
        }
        let place = places[number.index()].number();
        let name = kinds.get(&place).copied().unwrap_or(shared);
        let of = groups.entry(name).or_insert_with(|| Group::new(name.into()));
        of.objects += 1;
        of.shallow += tree.size(place);
        match tree.strength(number) {
            Strength::Strong => of.retained += tree.retained(number),
            _ => of.weaker += tree.retained(number),
        }
        of.weaker += tree.weaker(number);
    }
    finish(groups.into_values().collect(), tree)
}

fn kind(kind: RootKind) -> &'static str {
    match kind {
        RootKind::Thread => "threads",
        RootKind::UnmountedThread => "virtual threads without carriers",
        RootKind::Frame => "locals of Java frames",
        RootKind::JniLocal => "local JNI handles",
        RootKind::JniGlobal => "global JNI handles",
        RootKind::Monitor => "monitors in use",
        RootKind::StickyClass => "classes that are never unloaded",
        RootKind::NativeStack => "native stacks",
        RootKind::ThreadBlock => "thread blocks",
        RootKind::Other(_) => "other roots",
    }
}
