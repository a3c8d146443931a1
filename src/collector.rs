//! HotSpot's collectors: their names, and the flags that choose them. A core and a live JVM have them in common.

use std::fmt;

use serde::{Serialize, Serializer};

/// A collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Collector {
    /// Serial.
    Serial,
    /// Concurrent Mark Sweep (until 13).
    Cms,
    /// Epsilon, which collects nothing.
    Epsilon,
    /// Parallel.
    Parallel,
    /// G1.
    G1,
    /// ZGC, with generations or without.
    Z,
    /// Shenandoah, with generations or without.
    Shenandoah,
}

impl Collector {
    /// All of them, in the order in which their flags are asked.
    pub const ALL: [Collector; 7] = [
        Collector::Serial,
        Collector::Cms,
        Collector::Epsilon,
        Collector::Parallel,
        Collector::G1,
        Collector::Z,
        Collector::Shenandoah,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Collector::Serial => "Serial",
            Collector::Cms => "CMS",
            Collector::Epsilon => "Epsilon",
            Collector::Parallel => "Parallel",
            Collector::G1 => "G1",
            Collector::Z => "ZGC",
            Collector::Shenandoah => "Shenandoah",
        }
    }

    /// The flag that chooses it.
    pub const fn flag(self) -> &'static str {
        match self {
            Collector::Serial => "UseSerialGC",
            Collector::Cms => "UseConcMarkSweepGC",
            Collector::Epsilon => "UseEpsilonGC",
            Collector::Parallel => "UseParallelGC",
            Collector::G1 => "UseG1GC",
            Collector::Z => "UseZGC",
            Collector::Shenandoah => "UseShenandoahGC",
        }
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Collector {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}
