//! A core that was taken in the middle of a garbage collection: what that costs each command.

use serde::Serialize;

use crate::heap::Caught;

/// What it costs where objects are dumped. A full collection makes references lead to where objects will be before it
/// moves them there.
const MOVED: &str = "objects that were being moved may be missing, there twice, or half moved, \
     and references may lead to where objects are not yet";

/// The same where headers tell where each object will be.
const SLID: &str = "a full collection was sliding objects together; they were looked for where its \
     headers say that they are, or will be, and references were followed there; what it had begun to \
     overwrite may be missing, and what was dead";

/// What a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Each object with its contents: dump.
    Objects,
    /// Counts of objects: histo.
    Counts,
    /// Threads, which stand still at a safepoint, and what the heap has of them: stack.
    Threads,
    /// The same without a look at the heap.
    Frames,
    /// What the VM's own structures say: info.
    Facts,
    /// The memory as it is: trim.
    Memory,
}

/// A collection that was under way, as a command tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// Whether objects were being moved, or nothing rules it out.
    pub objects_moving: bool,
    /// Whether this command's answer may be wrong for it.
    pub affected: bool,
    /// What it costs, for people.
    pub text: String,
    /// Whether stretches of the heap that hold no objects, such as the unfilled ends of the
    /// buffers that objects are copied to, are no gap of this answer.
    #[serde(skip)]
    pub excuses: bool,
}

impl Collection {
    /// What the collection costs that answer.
    pub fn new(caught: Caught, task: Task) -> Collection {
        let touched = matches!(task, Task::Objects | Task::Counts);
        let moved = if caught.compacting { SLID } else { MOVED };
        let cost = match (task, caught.moving) {
            (Task::Frames, _) => "frames and locks are whole",
            (_, false) => "it costs nothing here: no object was being moved",
            (Task::Objects, true) => moved,
            (Task::Counts, true) => {
                "objects that were being moved may be left out or counted twice"
            }
            (Task::Threads, true) => {
                "frames and locks are whole; only what is searched for in the heap (ownable \
                 synchronizers, virtual threads without carriers) may lack something"
            }
            (Task::Facts, true) => "only the spaces' used bytes are those of that moment",
            (Task::Memory, true) => {
                "the memory is kept as it is; a dump of it has what a dump of this core has"
            }
        };
        let text = format!("the process stopped in the middle of a garbage collection: {cost}");
        Collection {
            objects_moving: caught.moving,
            affected: touched && caught.moving,
            excuses: !touched && caught.moving,
            text,
        }
    }

    /// What it costs each command, a line each.
    pub fn costs(caught: Caught) -> [String; 3] {
        let moved = match caught.moving {
            true if caught.compacting => SLID,
            true => MOVED,
            false => "nothing: no object was being moved",
        };
        [
            format!("dump, histo, retained and what else asks for objects: {moved}"),
            "stack: nothing of frames and locks".into(),
            "info, check, trim: nothing".into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_about_objects_are_affected_and_only_where_some_move() {
        let affected =
            |moving, task| Collection::new(Caught { moving, compacting: false }, task).affected;
        let all = [Task::Objects, Task::Counts, Task::Threads, Task::Facts, Task::Memory];
        assert_eq!(all.map(|a| affected(true, a)), [true, true, false, false, false]);
        assert_eq!(all.map(|a| affected(false, a)), [false; 5]);
    }
}
