//! The objects of a JVM as a graph, whatever it was read from: a core's heap or an HPROF file.
//!
//! [`ObjectGraph`] is what every input serves and all answers about "who holds what" are made from; nothing that is
//! made from it knows which input it was. References are read from the input when they are asked for, not stored.
//!
//! An object goes by its *place*: a number below [`Numbers::places`], in the order of addresses. An input takes as a
//! place what it finds an object's bytes by at once: a core's heap has one for each address at which an object can
//! start, a file one for each object. Where dense numbers are needed, [`Numbers`] makes them of places and back.

mod bits;
pub mod dominators;
mod id;
mod model;
mod numbers;
pub mod paths;
mod rule;
mod values;

pub use bits::Bits;
pub(crate) use bits::{chunks, ones};
pub use id::Id;
pub(crate) use model::{BUILTIN_LOADERS, PRIMITIVES};
pub use model::{
    Class, ClassKind, ClassPart, Field, Place, Reference, Root, RootKind, Strength, Thread, Unread,
};
pub use numbers::{Numbers, Plain};
pub use values::{ObjectValues, Slot, Type, Value, field};

/// The number of no class.
pub const NO_CLASS: u32 = u32::MAX;

/// The objects of one JVM and what they refer to. Used as a type parameter, never as a trait object: its methods are
/// called for each object and each reference, and allocate nothing.
///
/// Methods that take a place answer something harmless (no references, no class, no bytes) for one without an
/// object, and for an object that cannot be read; what could not be read is in [`ObjectGraph::unread`], counted when
/// the graph was made.
pub trait ObjectGraph: ObjectValues + Sync {
    /// Which places hold objects. Its length is the number of objects, garbage included.
    fn numbers(&self) -> &Numbers;

    /// Objects that are known to refer to nothing, and so need not be looked at to tell what they refer to; none where that
    /// is not known of any.
    fn plain(&self) -> Option<&Plain> {
        None
    }

    /// The address of the object at a place; in a file its id. 0 where there is none.
    fn address(&self, place: u64) -> u64;

    /// The place of the object at an address; none where no object starts.
    fn place(&self, address: u64) -> Option<u64>;

    /// The number of an object's class among [`ObjectGraph::classes`], or [`NO_CLASS`]. Of a class object it is
    /// java.lang.Class.
    fn class_of(&self, place: u64) -> u32;

    /// An object's bytes on the heap: header and alignment included, of a class object its static fields, too. Where
    /// the input does not say how large objects are (HPROF), what HotSpot would take for it.
    fn size(&self, place: u64) -> u64;

    /// The bytes that Eclipse MAT gives the object: the same but for class objects, of which it counts the values of
    /// the static fields alone, rounded up to 8 bytes.
    fn mat_size(&self, place: u64) -> u64;

    /// Bytes of all objects, garbage included: the sum of [`ObjectGraph::size`].
    fn total_size(&self) -> u64;

    /// Calls `each` with the place of every object in the graph that this one refers to, and how the reference
    /// holds; an object as often as it is referred to, null never. Places are below [`Numbers::places`]; one of them
    /// may hold no object, where a reference is damaged. Answers what [`ObjectGraph::class_of`] does, as who reads references has read the class.
    ///
    /// Those of a class object are its fields, the static fields of its class, and what the VM knows of the class
    /// ([`ClassPart`]). That an object keeps its class is not among them: see [`ObjectGraph::class_object`].
    fn references(&self, place: u64, each: impl FnMut(u64, Strength)) -> u32;

    /// Calls `each` with the references as [`ObjectGraph::references`] has them until it answers false. Answers the object's class
    /// where it never did.
    fn all_references(
        &self,
        place: u64,
        mut each: impl FnMut(u64, Strength) -> bool,
    ) -> Option<u32> {
        let mut all = true;
        let class = self.references(place, |target, strength| all = all && each(target, strength));
        all.then_some(class)
    }

    /// [`ObjectGraph::references`] and [`ObjectGraph::size`] in one: the object's class, and its bytes.
    #[inline]
    fn visit(&self, place: u64, each: impl FnMut(u64, Strength)) -> (u32, u64) {
        (self.references(place, each), self.size(place))
    }

    /// [`ObjectGraph::class_of`] and [`ObjectGraph::size`] in one.
    #[inline]
    fn class_and_size(&self, place: u64) -> (u32, u64) {
        (self.class_of(place), self.size(place))
    }

    /// Whether an object of this class can refer to others, its class aside: false for arrays of primitives and
    /// for classes whose fields are all primitive. Of a class object always true.
    fn can_refer(&self, class: u32) -> bool;

    /// The references as [`ObjectGraph::references`] has them and in the same order, each with where it stands. Slower.
    fn describe(&self, place: u64, each: impl FnMut(Reference<'_>));

    /// Asks the processor for what will be read of an object soon. Does nothing where that cannot help.
    #[inline]
    fn prefetch(&self, _place: u64) {}

    /// The class whose class object (mirror) this object is: its number. None for any other object, for the mirror
    /// of a primitive type and that of a class which is not loaded.
    fn mirrored(&self, place: u64) -> Option<u32>;

    /// The class object of the class with this number, where it is in the graph: each object of the class keeps it.
    fn class_object(&self, class: u32) -> Option<u64> {
        self.classes().get(class as usize)?.object
    }

    /// All classes, array classes too. Several may have the same name.
    fn classes(&self) -> &[Class];

    /// Of each class whether it is the boot loader's class of this name, or a subclass of it.
    fn subclasses(&self, name: &str) -> Vec<bool> {
        let classes = self.classes();
        let next = |class: &u32| classes.get(*class as usize)?.super_class;
        let is_it = |class: &u32| {
            let class = classes.get(*class as usize);
            class.is_some_and(|c| c.name == name && c.loader.is_none())
        };
        // No compiler makes so many supers: a circle is damage.
        let is_one = |class| std::iter::successors(Some(class), next).take(256).any(|c| is_it(&c));
        (0..classes.len() as u32).map(is_one).collect()
    }

    /// What keeps objects from outside of the heap, in the input's order; the same object as often as it is named.
    fn roots(&self) -> &[Root];

    /// The threads that roots name by number.
    fn threads(&self) -> &[Thread];

    /// The text of a java.lang.String, at most `limit` characters of it, lone surrogates replaced. None for any other
    /// object, and where it cannot be read.
    fn text(&self, place: u64, limit: usize) -> Option<String>;

    /// What of the input could not be read.
    fn unread(&self) -> &Unread;
}
