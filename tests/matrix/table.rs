//! The table of cells: JDK x collector x form of pointers, archives and cores.

use crate::support::jdks::newest;
use std::fmt;

/// A collector, or a mode of one, in the JDKs that have it in Debian's builds.
#[derive(Debug)]
pub struct Collector {
    pub name: &'static str,
    pub flags: &'static [&'static str],
    /// First and last JDK.
    pub jdks: (u32, u32),
    /// It can use narrow references.
    pub narrow: bool,
    /// Its objects move while the program sleeps, or HotSpot's dump visits only what is reachable.
    pub moves: bool,
}

const ALWAYS: u32 = u32::MAX;
const UNLOCK: &str = "-XX:+UnlockExperimentalVMOptions";
const DIAGNOSE: &str = "-XX:+UnlockDiagnosticVMOptions";

const fn collector(
    name: &'static str,
    flags: &'static [&'static str],
    jdks: (u32, u32),
) -> Collector {
    Collector { name, flags, jdks, narrow: true, moves: false }
}

/// Collections by the clock would move objects between HotSpot's dump and the core.
const SHENANDOAH: [&str; 4] =
    [UNLOCK, DIAGNOSE, "-XX:+UseShenandoahGC", "-XX:ShenandoahGuaranteedGCInterval=0"];
/// A medium page of 11 takes 32 MB.
const ZGC: [&str; 5] = [UNLOCK, DIAGNOSE, "-XX:+UseZGC", "-XX:-ZProactive", "-Xmx256m"];
const ZGC_GENERATIONAL: [&str; 6] =
    [UNLOCK, DIAGNOSE, "-XX:+UseZGC", "-XX:-ZProactive", "-Xmx256m", "-XX:+ZGenerational"];
const SHENANDOAH_GENERATIONAL: [&str; 7] = [
    UNLOCK,
    DIAGNOSE,
    "-XX:+UseShenandoahGC",
    "-XX:ShenandoahGCMode=generational",
    "-XX:ShenandoahGuaranteedGCInterval=0",
    "-XX:ShenandoahGuaranteedYoungGCInterval=0",
    "-XX:ShenandoahGuaranteedOldGCInterval=0",
];

pub const COLLECTORS: [Collector; 10] = [
    collector("serial", &["-XX:+UseSerialGC"], (8, ALWAYS)),
    collector("parallel", &["-XX:+UseParallelGC"], (8, ALWAYS)),
    collector("cms", &["-XX:+UseConcMarkSweepGC"], (8, 13)),
    collector("g1", &["-XX:+UseG1GC"], (8, ALWAYS)),
    // It never collects: all that the program makes stays.
    collector("epsilon", &[UNLOCK, "-XX:+UseEpsilonGC", "-Xmx256m"], (11, ALWAYS)),
    Collector { moves: true, ..collector("shenandoah", &SHENANDOAH, (11, ALWAYS)) },
    Collector {
        moves: true,
        ..collector("shenandoah-gen", &SHENANDOAH_GENERATIONAL, (24, ALWAYS))
    },
    Collector { moves: true, narrow: false, ..collector("zgc", &ZGC, (11, 23)) },
    Collector { moves: true, narrow: false, ..collector("zgc-gen", &ZGC_GENERATIONAL, (21, 23)) },
    Collector { moves: true, narrow: false, ..collector("zgc-gen", &ZGC, (24, ALWAYS)) },
];

/// How the classes come into the JVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// As the JDK does it by itself.
    Own,
    /// An archive of the program's classes, too: -Xshare:dump (JEP 310).
    Static,
    /// One on top of the JDK's (JEP 350).
    Dynamic,
    /// An AOT cache (JEP 483).
    Aot,
}

/// Who takes the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taker {
    /// `rjcore capture`: it needs no other file.
    Capture,
    /// scripts/gcore.sh.
    Gcore,
    /// SIGABRT, with the JDKs' root as a sysroot.
    Kernel,
}

/// What is asked of the JVM beside its collector.
#[derive(Debug)]
pub struct Form {
    pub name: &'static str,
    pub flags: &'static [&'static str],
    /// First and last JDK that know it.
    pub jdks: (u32, u32),
    /// It is about narrow references.
    pub narrow: bool,
    pub archive: Archive,
    pub taker: Taker,
    /// It is not tried with collectors that map a heap at several places.
    pub single: bool,
}

const fn form(name: &'static str, flags: &'static [&'static str], jdks: (u32, u32)) -> Form {
    let (archive, taker) = (Archive::Own, Taker::Capture);
    Form { name, flags, jdks, narrow: false, archive, taker, single: false }
}

const fn narrow(name: &'static str, flags: &'static [&'static str], jdks: (u32, u32)) -> Form {
    Form { narrow: true, ..form(name, flags, jdks) }
}

const WIDE_KLASS: &str = "-XX:-UseCompressedClassPointers";
const COMPACT: [&str; 2] = [UNLOCK, "-XX:+UseCompactObjectHeaders"];

/// 64 MB lie below 4 GB unless told otherwise: "32-bit" narrow references. HeapBaseMinAddress=8g gives
/// zero-based ones with a shift, 40g a base. Class pointers cannot be wide from 27 on; headers are compact from
/// 27 on unless told otherwise.
pub const FORMS: [Form; 25] = [
    form("default", &[], (8, ALWAYS)),
    narrow("zero-based", &["-XX:HeapBaseMinAddress=8g"], (8, ALWAYS)),
    narrow("based", &["-XX:HeapBaseMinAddress=40g"], (8, ALWAYS)),
    narrow("wide-oops", &["-XX:-UseCompressedOops"], (8, ALWAYS)),
    form("wide-klass", &[WIDE_KLASS], (8, 26)),
    narrow("wide", &["-XX:-UseCompressedOops", WIDE_KLASS], (8, 26)),
    form("align-16", &["-XX:ObjectAlignmentInBytes=16"], (8, ALWAYS)),
    form("align-32", &["-XX:ObjectAlignmentInBytes=32"], (8, ALWAYS)),
    form("align-128", &["-XX:ObjectAlignmentInBytes=128", "-Xmx160m"], (8, ALWAYS)),
    form("align-256", &["-XX:ObjectAlignmentInBytes=256", "-Xmx256m"], (8, ALWAYS)),
    form("compact", &COMPACT, (24, 26)),
    narrow("compact-wide-oops", &[UNLOCK, COMPACT[1], "-XX:-UseCompressedOops"], (24, 26)),
    form("no-compact", &["-XX:-UseCompactObjectHeaders"], (27, ALWAYS)),
    narrow(
        "no-compact-wide-oops",
        &["-XX:-UseCompactObjectHeaders", "-XX:-UseCompressedOops"],
        (27, ALWAYS),
    ),
    // Reserved, not filled.
    form("40g", &["-Xmx40g", "-Xms64m"], (8, ALWAYS)),
    narrow("40g-align-16", &["-Xmx40g", "-Xms64m", "-XX:ObjectAlignmentInBytes=16"], (8, ALWAYS)),
    // Debian's 8 and 11 have no archive of their own.
    form("no-cds", &["-Xshare:off"], (12, ALWAYS)),
    form("no-compact-strings", &["-XX:-CompactStrings"], (9, ALWAYS)),
    Form { archive: Archive::Static, ..form("appcds", &["-Xshare:on"], (11, ALWAYS)) },
    Form { archive: Archive::Dynamic, ..form("appcds-dynamic", &["-Xshare:on"], (13, ALWAYS)) },
    Form { archive: Archive::Aot, ..form("aot-cache", &["-XX:AOTMode=on"], (25, ALWAYS)) },
    form("relocation-0", &[DIAGNOSE, "-XX:ArchiveRelocationMode=0"], (17, ALWAYS)),
    form("relocation-1", &[DIAGNOSE, "-XX:ArchiveRelocationMode=1"], (17, ALWAYS)),
    // gdb writes ZGC's heap once for each of its mappings: 13 GB.
    Form { taker: Taker::Gcore, single: true, ..form("gcore", &[], (8, ALWAYS)) },
    Form { taker: Taker::Kernel, ..form("kernel", &[], (8, ALWAYS)) },
];

/// The JDKs of the set-up.
pub fn jdks() -> Vec<u32> {
    let mut all = vec![8, 11, 17, 21, 25, 26, newest()];
    all.dedup();
    all
}

/// One cell.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub jdk: u32,
    pub collector: &'static Collector,
    pub form: &'static Form,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.jdk, self.collector.name, self.form.name)
    }
}

/// All collectors of a JDK.
pub fn collectors(jdk: u32) -> impl Iterator<Item = &'static Collector> {
    COLLECTORS.iter().filter(move |c| (c.jdks.0..=c.jdks.1).contains(&jdk))
}

/// All cells, JDK by JDK.
pub fn cells() -> Vec<Cell> {
    let of = |jdk: u32, collector: &'static Collector| {
        let fits = move |f: &&Form| {
            (f.jdks.0..=f.jdks.1).contains(&jdk)
                && (collector.narrow || !f.narrow)
                && !(f.single && collector.name.starts_with("zgc"))
                // Archives needed narrow class pointers, which ZGC did not have.
                && !(f.archive != Archive::Own && collector.name == "zgc" && jdk < 15)
        };
        FORMS.iter().filter(fits).map(move |form| Cell { jdk, collector, form })
    };
    let all = jdks().into_iter();
    all.flat_map(|jdk| collectors(jdk).flat_map(move |c| of(jdk, c))).collect()
}

/// The cell of a name as `Display` writes it; "newest" is a JDK, too.
pub fn cell(name: &str) -> Cell {
    let name = name.replace("newest", &newest().to_string());
    let found = cells().into_iter().find(|c| c.to_string() == name);
    found.unwrap_or_else(|| panic!("no cell {name:?}"))
}
