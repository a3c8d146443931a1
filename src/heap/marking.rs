//! Marks what objects lead to, by all cores: queues of objects still to be looked at, of which long
//! ones hand some on. No recursion, and nothing allocated per object.

use rayon::Scope;

use super::scan::Item;

/// Objects that one piece of work hands on to another thread.
const BATCH: usize = 1024;

/// What is done with each object.
pub trait Marking: Sync {
    /// What a piece of work has found besides, and room that it uses again.
    type Finds: Default;

    /// Looks at an object, and puts those that it marks into `todo`.
    fn look(&self, item: Item, todo: &mut Vec<Item>, finds: &mut Self::Finds);

    /// Takes what a piece of work has found.
    fn gather(&self, finds: Self::Finds);
}

/// Looks at objects until there are none left, and hands some on where there are many.
pub fn drain<'s, M: Marking>(marking: &'s M, scope: &Scope<'s>, mut todo: Vec<Item>) {
    let mut finds = M::Finds::default();
    while let Some(item) = todo.pop() {
        marking.look(item, &mut todo, &mut finds);
        if todo.len() >= 2 * BATCH {
            let rest = todo.split_off(todo.len() - BATCH);
            scope.spawn(move |scope| drain(marking, scope, rest));
        }
    }
    marking.gather(finds);
}
