//! How collection classes are described: the built-in table (`known.json`), and files of the same form.

use serde::{Deserialize, Serialize};

/// A table of collection classes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// The collections. Of several with one class name the first stands whose fields the class has.
    #[serde(default)]
    pub collections: Vec<Described>,
    /// Classes whose objects are a collection's innards: nodes, wrappers. Classes that are nested in collections need not be named.
    #[serde(default)]
    pub inner: Vec<String>,
}

/// One class of collections.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    /// Its name; one `*` stands for any characters. Its subclasses count as it does, where they are not described themselves.
    pub class: String,
    pub kind: Kind,
    /// Where its size is: the sum of what these paths lead to. Else it is counted.
    pub size: Option<Paths>,
    /// Where what it holds is. Without it only its size is known.
    pub store: Option<Store>,
    /// How large its backing arrays must be; by the kind of store where it is not said.
    pub room: Option<Room>,
    /// Backing arrays besides those of the store.
    #[serde(default)]
    pub arrays: Vec<String>,
    /// The library has one object for all empty ones: an empty one is no waste.
    #[serde(default)]
    pub one_empty: bool,
}

/// What sort of collection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are Java's")]
pub enum Kind {
    List,
    Set,
    Map,
    Queue,
    Deque,
    /// Any other.
    Collection,
}

impl Kind {
    /// In a word: `list`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Map => "map",
            Kind::Queue => "queue",
            Kind::Deque => "deque",
            Kind::Collection => "collection",
        }
    }
}

/// One path, or several whose values are added up. A path has names of fields with points between; `|` stands between
/// the names that one field has in several versions, `[]` behind a field of which every element counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Paths {
    One(String),
    Sum(Vec<String>),
}

/// Where a collection has what it holds. All are paths.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Store {
    /// In another collection: of a map the keys, if this is no map.
    Within(String),
    /// The first elements of an array, as many as the size says.
    Array(String),
    /// Elements of an array that are not null.
    Table(String),
    /// Elements of an array from `head` on, around its end.
    Ring { array: String, head: String, tail: Option<String> },
    /// Chains of nodes that hang on an array. A node with a field `also` stands for the chain there.
    Buckets {
        table: String,
        next: Option<String>,
        key: Option<String>,
        value: Option<String>,
        also: Option<String>,
    },
    /// One chain of nodes. With `holes` a node without a key, or of no map without a value, is no entry.
    Chain {
        first: String,
        next: String,
        key: Option<String>,
        value: String,
        #[serde(default)]
        holes: bool,
    },
    /// A binary tree.
    Tree { root: String, left: String, right: String, key: Option<String>, value: Option<String> },
    /// Keys and values in turns in an array.
    Pairs(String),
    /// Keys in one array, their values in another: where the room is exact the first of them, where it is fixed those with
    /// a value, else those with a key that is neither null nor 0. The key that is comes last, if `null_key` says so.
    Columns { keys: String, values: Option<String>, null_key: Option<String> },
    /// Fields of its own; an object that the static field `absent` (`Class.field`) has is none.
    Fields {
        #[serde(default)]
        keys: Vec<String>,
        values: Vec<String>,
        absent: Option<String>,
    },
    /// Bits that say which elements of an array: a long or an array of them.
    Bits { bits: String, universe: String },
}

/// How many elements a backing array must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Room {
    /// As many as it has: it is not made for its size.
    Fixed,
    /// As many as the collection.
    Exact,
    /// One more.
    OneMore,
    /// A power of two of which three quarters hold all; where it is none now, just as many as that takes.
    Hash,
    /// The same and one more.
    HashAndOne,
    /// A power of two of which a third holds all, 8 at least.
    Identity,
}
