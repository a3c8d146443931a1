//! States and kinds that HotSpot has by number, with its words for them. A number that is none of those that are known
//! keeps its place in the type, and is told as such.

use std::fmt;

use serde::{Serialize, Serializer};

/// A type for some words of HotSpot's: `Display` and JSON are the word, the other way none is needed.
macro_rules! words {
    (
        $(#[$about:meta])*
        $name:ident, else $unknown:literal {
            $($(#[$doc:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// Another number.
            Unknown(i64),
        }

        impl $name {
            /// Those that are known.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($name::$variant => f.pad($word),)+
                    $name::Unknown(number) => f.pad(&$unknown.replace("{}", &number.to_string())),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
    };
}

words! {
    /// `java.lang.Thread.State` with its reason: JavaThreadStatus (javaThreadStatus.hpp), as
    /// `java_lang_Thread::thread_status_name` words it.
    JavaState, else "UNKNOWN" {
        /// Not started.
        New = "NEW",
        /// Runs, as far as Java knows.
        Runnable = "RUNNABLE",
        /// In Thread.sleep.
        Sleeping = "TIMED_WAITING (sleeping)",
        /// In Object.wait.
        InObjectWait = "WAITING (on object monitor)",
        /// In Object.wait with a limit.
        InObjectWaitTimed = "TIMED_WAITING (on object monitor)",
        /// In LockSupport.park.
        Parked = "WAITING (parking)",
        /// In LockSupport.park with a limit.
        ParkedTimed = "TIMED_WAITING (parking)",
        /// Waits to enter a monitor.
        BlockedOnMonitorEnter = "BLOCKED (on object monitor)",
        /// It has ended.
        Terminated = "TERMINATED",
    }
}

impl JavaState {
    /// Whether it is WAITING or TIMED_WAITING.
    pub fn waits(self) -> bool {
        use JavaState::{InObjectWait, InObjectWaitTimed, Parked, ParkedTimed, Sleeping};
        matches!(self, Sleeping | InObjectWait | InObjectWaitTimed | Parked | ParkedTimed)
    }
}

words! {
    /// What a thread does, as the VM told the system: `enum ThreadState` (osThread.hpp), as thread dumps word it.
    OsState, else "unknown state {}" {
        /// ALLOCATED.
        Allocated = "allocated",
        /// INITIALIZED.
        Initialized = "initialized",
        /// RUNNABLE.
        Runnable = "runnable",
        /// MONITOR_WAIT.
        MonitorWait = "waiting for monitor entry",
        /// CONDVAR_WAIT.
        CondvarWait = "waiting on condition",
        /// OBJECT_WAIT.
        ObjectWait = "in Object.wait()",
        /// BREAKPOINTED.
        Breakpointed = "at breakpoint",
        /// SLEEPING.
        Sleeping = "sleeping",
        /// ZOMBIE.
        Zombie = "zombie",
    }
}

words! {
    /// Where a Java thread is, as the VM has it: JavaThreadState, in the tables as `_thread_in_vm` and the like.
    VmState, else "unknown thread state {}" {
        /// Not yet made.
        Uninitialized = "thread_uninitialized",
        /// Just made.
        New = "thread_new",
        /// On its way from there.
        NewTrans = "thread_new_trans",
        /// In native code.
        InNative = "thread_in_native",
        /// On its way from there.
        InNativeTrans = "thread_in_native_trans",
        /// In the VM.
        InVm = "thread_in_vm",
        /// On its way from there.
        InVmTrans = "thread_in_vm_trans",
        /// In Java code.
        InJava = "thread_in_Java",
        /// On its way from there.
        InJavaTrans = "thread_in_Java_trans",
        /// Blocked in the VM.
        Blocked = "thread_blocked",
        /// On its way from there.
        BlockedTrans = "thread_blocked_trans",
    }
}

words! {
    /// What a region of Shenandoah's is: ShenandoahHeapRegion::RegionState.
    RegionState, else "unknown_state_{}" {
        /// Free, without memory.
        EmptyUncommitted = "empty_uncommitted",
        /// Free.
        EmptyCommitted = "empty_committed",
        /// In use.
        Regular = "regular",
        /// The first of a large object's.
        HumongousStart = "humongous_start",
        /// A further one of a large object's.
        HumongousCont = "humongous_cont",
        /// The first of a large object's that must stay where it is.
        PinnedHumongousStart = "pinned_humongous_start",
        /// Objects are being moved out of it.
        Cset = "cset",
        /// Its objects must stay where they are.
        Pinned = "pinned",
        /// It was to be emptied, and its objects must stay.
        PinnedCset = "pinned_cset",
        /// It holds dead objects only.
        Trash = "trash",
    }
}

words! {
    /// What a page of ZGC's is for: ZPageType.
    PageKind, else "unknown_kind_{}" {
        /// Small objects.
        Small = "small",
        /// Medium ones.
        Medium = "medium",
        /// One large object.
        Large = "large",
    }
}

/// The generation of a page, where there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// New objects.
    Young,
    /// Those that outlived some collections.
    Old,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Generation::Young => "young",
            Generation::Old => "old",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(state: impl Serialize) -> String {
        serde_json::to_string(&state).expect("JSON")
    }

    #[test]
    fn words_and_numbers() {
        assert_eq!(json(JavaState::Parked), "\"WAITING (parking)\"");
        assert_eq!(json(JavaState::Unknown(3)), "\"UNKNOWN\"");
        assert_eq!(json(OsState::Unknown(17)), "\"unknown state 17\"");
        assert_eq!(json(VmState::InVmTrans), "\"thread_in_vm_trans\"");
        assert_eq!(json(RegionState::Unknown(-1)), "\"unknown_state_-1\"");
        assert_eq!(json(PageKind::Large), "\"large\"");
        assert_eq!(JavaState::ALL.iter().filter(|s| s.waits()).count(), 5);
    }
}
