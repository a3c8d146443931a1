//! NativeMemoryTracking beside the rows: what the VM itself has booked, where it was asked to keep books.

use serde::Serialize;

use super::claims::Part;
use crate::corefile::{CoreFile, Sysroot};
use crate::error::Remark;
use crate::hotspot::Vm;
use crate::hotspot::nmt::{self, Books};

/// The flag that turns it on, and its value where it is off.
const FLAG: &str = "NativeMemoryTracking";
const OFF: &str = "off";

/// Whether there are books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// They are kept, and read.
    Kept,
    /// The JVM was not asked to keep any.
    Off,
    /// The VM stopped to keep them.
    Stopped,
    /// They are kept, and cannot be found or read; `why` says it.
    Unread,
}

/// NativeMemoryTracking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tracking {
    /// Whether there are books.
    pub state: State,
    /// Why they are not read.
    pub why: Option<Remark>,
    /// What is booked, in the VM's own order.
    pub categories: Vec<Category>,
}

/// What the VM has booked for one part of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Category {
    /// What is booked.
    #[serde(flatten)]
    pub booked: nmt::Category,
    /// The part here that has it; what comes from malloc and is no direct buffer is in the malloc heap.
    pub part: Option<Part>,
}

impl Tracking {
    fn none(state: State) -> Tracking {
        Tracking { state, why: None, categories: Vec::new() }
    }

    fn unread(why: impl Into<Remark>) -> Tracking {
        Tracking { why: Some(why.into()), ..Tracking::none(State::Unread) }
    }

    /// Reads the books; their place is in the symbols of libjvm's file.
    pub(super) fn read(core: &CoreFile, vm: &Vm, sysroot: &Sysroot) -> Tracking {
        if vm.flags.text(FLAG).is_none_or(|level| level == OFF) {
            return Tracking::none(State::Off);
        }
        let symbols = match core.libjvm_symbols(vm.library.image.0, &nmt::SYMBOLS, sysroot) {
            Ok(symbols) => symbols,
            Err(why) => return Tracking::unread(why),
        };
        let bias = vm.library.bias;
        let at = |name: &str| symbols.get(name).map(|(at, size)| (at.wrapping_add(bias), *size));
        match nmt::read(vm, at) {
            Ok(Books::Kept(all)) => Tracking {
                categories: all
                    .into_iter()
                    .map(|booked| Category { part: part(&booked.name), booked })
                    .collect(),
                ..Tracking::none(State::Kept)
            },
            Ok(Books::Stopped) => Tracking::none(State::Stopped),
            Ok(Books::Strange) => Tracking::unread("their layout is not known"),
            Err(fault) => Tracking::unread(fault.to_string()),
        }
    }

    /// Those that are of one part together, all others alone; in the VM's order.
    pub(super) fn groups(&self) -> Vec<Vec<&Category>> {
        let mut groups: Vec<Vec<&Category>> = Vec::new();
        for category in &self.categories {
            let is_same = |of: &&mut Vec<&Category>| of.iter().any(|c| c.part == category.part);
            match groups.iter_mut().find(is_same).filter(|_| category.part.is_some()) {
                Some(group) => group.push(category),
                None => groups.push(vec![category]),
            }
        }
        groups
    }

    /// All that comes from malloc.
    pub(super) fn malloced(&self) -> u64 {
        self.categories.iter().map(|c| c.booked.malloced()).sum()
    }
}

/// Where what a category (`memTag.hpp`, `allocation.hpp`) has is found here, but for what is in the malloc heap.
fn part(name: &str) -> Option<Part> {
    Some(match name {
        "Java Heap" => Part::JavaHeap,
        "Class" | "Metaspace" => Part::Metaspace,
        "Thread Stack" => Part::Stacks,
        "Code" => Part::Code,
        "GC" => Part::Collector,
        "Shared class space" => Part::Archive,
        // Until 8 these are among what is "Internal".
        "Other" => Part::Buffers,
        _ => return None,
    })
}
