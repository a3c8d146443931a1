//! Which objects can be reached, once `trace` has looked.

use super::marks::Marks;
use super::report::Damage;

/// What the search for what can be reached has found.
#[derive(Debug)]
pub struct Traced {
    /// The objects.
    pub marks: Marks,
    /// References that lead to no object, by the object that holds them.
    pub damage: Vec<Damage>,
    /// What else could not be read, in words.
    pub damaged: Vec<String>,
    /// Whether any reference led to an object's old copy.
    pub forwarded: bool,
}

impl Traced {
    /// Whether there is an object at `addr`, and it can be reached.
    pub fn reaches(&self, addr: u64) -> bool {
        self.marks.locate(addr).is_some_and(|mark| self.marks.is_marked(mark))
    }
}
