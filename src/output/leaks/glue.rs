//! What the classes of a graph are to who looks for leaks: a collection's inside, a library's, or the program's own.

use std::collections::HashMap;

use crate::graph::{NO_CLASS, ObjectGraph, PRIMITIVES};

/// Packages of collections, and what else only leads on to what matters.
const COLLECTIONS: [&str; 22] = [
    "java.util.",
    "java.lang.ref.",
    "java.lang.ThreadLocal$",
    "jdk.internal.ref.",
    "jdk.internal.util.",
    "com.google.common.collect.",
    "com.google.common.cache.",
    "com.github.benmanes.caffeine.cache.",
    "org.cache2k.core.",
    "org.ehcache.",
    "net.sf.ehcache.",
    "org.apache.commons.collections",
    "it.unimi.dsi.fastutil.",
    "org.eclipse.collections.",
    "gnu.trove.",
    "com.carrotsearch.hppc.",
    "org.agrona.collections.",
    "org.jctools.",
    "io.netty.util.collection.",
    "scala.collection.",
    "kotlin.collections.",
    "clojure.lang.",
];
/// Of those: not insides of collections but things of their own, whatever package they are in.
const THINGS: [&str; 12] = [
    "java.util.Locale",
    "java.util.TimeZone",
    "java.util.Date",
    "java.util.Currency",
    "java.util.UUID",
    "java.util.Random",
    "java.util.BitSet",
    "java.util.Optional",
    "java.util.jar.",
    "java.util.zip.",
    "java.util.regex.",
    "java.util.logging.",
];
/// Classes of the JDK: nobody's guess.
const JDK: [&str; 6] = ["java.", "javax.", "jdk.", "sun.", "com.sun.", "org.graalvm."];

/// What the classes of a graph are.
pub(super) struct Kinds<'g> {
    /// By the number of a class that of its name: classes of one name have the same.
    name: Vec<u32>,
    /// By the number of a name.
    pub names: Vec<&'g str>,
    is_glue: Vec<bool>,
    /// The number of the name java.lang.Class.
    pub class_class: Option<u32>,
}

impl<'g> Kinds<'g> {
    /// Of a graph.
    pub(super) fn of(graph: &'g impl ObjectGraph) -> Kinds<'g> {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut names = vec!["?"];
        numbers.insert("?", 0);
        let mut name = Vec::with_capacity(graph.classes().len());
        for class in graph.classes() {
            name.push(*numbers.entry(&class.name).or_insert_with(|| {
                names.push(&class.name);
                names.len() as u32 - 1
            }));
        }
        let is_glue = names.iter().map(|n| is_glue(n)).collect();
        let class_class = numbers.get("java.lang.Class").copied();
        Kinds { name, names, is_glue, class_class }
    }

    /// The number of the name of a class.
    pub(super) fn name_of(&self, class: u32) -> u32 {
        if class == NO_CLASS { 0 } else { self.name.get(class as usize).copied().unwrap_or(0) }
    }

    /// The number of the name of an object's class.
    pub(super) fn name_at(&self, graph: &impl ObjectGraph, place: u64) -> u32 {
        self.name_of(graph.class_of(place))
    }

    /// Whether objects of classes of this name only lead on to what matters.
    pub(super) fn is_glue(&self, name: u32) -> bool {
        self.is_glue[name as usize]
    }

    /// The name.
    pub(super) fn text(&self, name: u32) -> &'g str {
        self.names[name as usize]
    }
}

fn begins(name: &str, with: &[&str]) -> bool {
    with.iter().any(|w| name.starts_with(w))
}

/// Whether objects of a class only lead on to what matters: collections with their nodes, arrays of references, and
/// references.
pub(super) fn is_glue(name: &str) -> bool {
    match name.strip_suffix("[]") {
        Some(element) => PRIMITIVES.iter().all(|(_, primitive)| *primitive != element),
        None => begins(name, &COLLECTIONS) && !begins(name, &THINGS),
    }
}

/// Whether a field of this class is nobody's to change: the JDK's, or of a library of collections.
pub(super) fn is_foreign(class: &str) -> bool {
    begins(class, &JDK) || begins(class, &COLLECTIONS)
}
