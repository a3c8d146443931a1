//! What a graph tells of classes, references, roots and threads.

use std::borrow::Cow;
use std::sync::Arc;

/// How a reference holds its object; the earlier, the more strongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Strength {
    /// As long as its holder lives.
    Strong,
    /// The referent of a java.lang.ref.SoftReference.
    Soft,
    /// Of a WeakReference.
    Weak,
    /// Of a FinalReference: an object with a finalizer.
    Final,
    /// Of a PhantomReference, a Cleaner for one.
    Phantom,
}

impl Strength {
    /// All, the strongest first.
    pub const ALL: [Strength; 5] =
        [Strength::Strong, Strength::Soft, Strength::Weak, Strength::Final, Strength::Phantom];

    /// In a word: `strong`.
    pub fn name(self) -> &'static str {
        match self {
            Strength::Strong => "strong",
            Strength::Soft => "soft",
            Strength::Weak => "weak",
            Strength::Final => "final",
            Strength::Phantom => "phantom",
        }
    }
}

/// What objects of a class are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClassKind {
    /// Instances with fields.
    Instance,
    /// Arrays of references, or of value objects.
    Objects,
    /// Arrays of primitives.
    Primitives,
}

/// The loaders that live as long as the JVM (ClassLoaderData::is_builtin_class_loader_data), in 9 and later, and until 8.
pub(crate) const BUILTIN_LOADERS: [&str; 4] = [
    "jdk.internal.loader.ClassLoaders$AppClassLoader",
    "jdk.internal.loader.ClassLoaders$PlatformClassLoader",
    "sun.misc.Launcher$AppClassLoader",
    "sun.misc.Launcher$ExtClassLoader",
];

/// Signature characters of the primitive types, and the types' names.
pub(crate) const PRIMITIVES: [(u8, &str); 8] = [
    (b'Z', "boolean"),
    (b'C', "char"),
    (b'F', "float"),
    (b'D', "double"),
    (b'B', "byte"),
    (b'S', "short"),
    (b'I', "int"),
    (b'J', "long"),
];

/// A class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// As Java code has it: `java.util.HashMap$Node`, `byte[][]`. Of a hidden class with what the VM appends.
    pub name: String,
    /// What its objects are.
    pub kind: ClassKind,
    /// Its super class's number, as getSuperclass has it: of an array class java.lang.Object's.
    pub super_class: Option<u32>,
    /// The numbers of the interfaces that it implements, its supers' and those that interfaces extend among them; none
    /// where the input does not tell. Of an array class without any.
    pub interfaces: Option<Box<[u32]>>,
    /// The place of its class object (mirror).
    pub object: Option<u64>,
    /// The place of its loader; none for the boot loader's.
    pub loader: Option<u64>,
    /// The JVM never unloads it: it is of the boot, the platform or the application loader, and not a hidden class
    /// with a life of its own.
    pub is_permanent: bool,
}

/// What a class holds besides the fields of its class object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClassPart {
    /// Its super class.
    Super,
    /// Its loader.
    Loader,
    /// Those who signed it.
    Signers,
    /// Its protection domain.
    ProtectionDomain,
    /// What its constant pool refers to.
    ResolvedReferences,
    /// What is locked while it is initialized.
    InitLock,
}

/// A field by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// The number of the class that declares it, or [`super::NO_CLASS`].
    pub class: u32,
}

/// Where a reference stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'a> {
    /// In an instance's field. Of a value object that lies flat in it, the field that this lies in.
    Field(Field<'a>),
    /// An array's element, from 0.
    Element(u64),
    /// In a class object: a static field of its class.
    Static(Field<'a>),
    /// In what the VM knows of a class.
    Class(ClassPart),
}

impl Place<'_> {
    /// The same, with names of its own.
    pub fn into_owned(self) -> Place<'static> {
        let owned = |f: Field<'_>| Field { name: f.name.into_owned().into(), class: f.class };
        match self {
            Place::Field(field) => Place::Field(owned(field)),
            Place::Element(index) => Place::Element(index),
            Place::Static(field) => Place::Static(owned(field)),
            Place::Class(part) => Place::Class(part),
        }
    }
}

/// A reference with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The place of the object that it leads to.
    pub target: u64,
    /// How it holds.
    pub strength: Strength,
    /// Where it stands.
    pub place: Place<'a>,
}

/// Why an object is a root. The names of HPROF's tags, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RootKind {
    /// A thread that runs: its java.lang.Thread (ROOT THREAD OBJECT).
    Thread,
    /// A virtual thread that no carrier runs. That it is named does not keep it: its holders do.
    UnmountedThread,
    /// A local variable or stack slot of a Java frame (ROOT JAVA FRAME).
    Frame,
    /// A local handle of native code (ROOT JNI LOCAL).
    JniLocal,
    /// A global handle of native code, or one of the VM's own (ROOT JNI GLOBAL).
    JniGlobal,
    /// The object of a monitor that is in use (ROOT MONITOR USED).
    Monitor,
    /// The class object of a class that is never unloaded (ROOT STICKY CLASS).
    StickyClass,
    /// On a native stack (ROOT NATIVE STACK).
    NativeStack,
    /// ROOT THREAD BLOCK.
    ThreadBlock,
    /// Any other that keeps its object: HPROF's tag of it, such as Android's; 0xff is ROOT UNKNOWN.
    Other(u8),
}

/// A reference from outside of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// Why.
    pub kind: RootKind,
    /// The place of the object; roots that lead to no object are left out.
    pub place: u64,
    /// Whose it is: the thread's number in [`super::ObjectGraph::threads`].
    pub thread: Option<u32>,
    /// The thread's frame that holds it: 0 is the innermost.
    pub frame: Option<u32>,
}

/// A thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thread {
    /// Its name; empty where it is not known.
    pub name: String,
    /// The place of its java.lang.Thread.
    pub object: Option<u64>,
    /// Its frames as stack traces have them, innermost first: `java.lang.Object.wait(Object.java:338)`. Threads share the texts.
    pub frames: Vec<Arc<str>>,
}

/// What of an input could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// Bytes of the heap that were stepped over.
    pub bytes: u64,
    /// References that lead to no object.
    pub dangling: u64,
    /// Roots that lead to no object.
    pub lost_roots: u64,
    /// All of it, in words for people.
    pub notes: Vec<String>,
}
