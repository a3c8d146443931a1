//! What a live JVM tells without being asked: its version, collector, heap and program, from
//! libjvm's file, the names of its threads, its options and its counters.
//!
//! What none of them tells is unknown: `None`.

use std::collections::BTreeMap;
use std::fs;

use memchr::memmem;
use procfs::Current;
use serde::Serialize;

use super::options::{self, OptionSources, Options};
use super::target::{Hotspot, Target};
use crate::collector::Collector;
use crate::perfdata::{self, Counter};
use crate::process::facts::ids;

/// One JVM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Jvm {
    /// Its id here.
    pub pid: i32,
    /// Its id in its own namespace.
    pub namespace_pid: i32,
    /// Its effective user, by name if this machine has one.
    pub user: String,
    /// The JDK's version, such as `17.0.15+6-Debian-1deb12u1`.
    pub version: Option<String>,
    /// The collector.
    pub collector: Option<Collector>,
    /// Bytes in use after the last collection, as the counters say.
    pub heap_used: Option<u64>,
    /// Bytes that the heap may grow to.
    pub heap_limit: Option<u64>,
    /// Since the process started.
    pub uptime_ms: Option<u64>,
    /// Main class, module or jar.
    pub main: Option<String>,
}

/// A JVM with what its options and counters say.
#[derive(Debug)]
pub(crate) struct JvmFacts {
    /// For people.
    pub jvm: Jvm,
    /// Its options.
    pub options: Options,
}

/// The ids of all JVMs that may be seen from here: processes with a libjvm.so, or with threads
/// that are called as HotSpot's.
pub(crate) fn all() -> Vec<i32> {
    let mut all = ids("/proc").unwrap_or_default();
    all.retain(|pid| is_jvm(*pid));
    all.sort_unstable();
    all
}

fn is_jvm(pid: i32) -> bool {
    let target = match fs::read(format!("/proc/{pid}/maps")) {
        // Quicker than to read all there is to know of each process.
        Ok(maps) => memmem::find(&maps, b"/libjvm.so").is_some(),
        Err(_) => true,
    };
    target && Target::read(pid).is_ok_and(|t| t.hotspot != Hotspot::No)
}

/// What the JVM `pid` runs.
pub(crate) fn main(pid: i32) -> Option<String> {
    JvmFacts::read(&Target::read(pid).ok()?).jvm.main
}

impl JvmFacts {
    /// Asks.
    pub(crate) fn read(target: &Target) -> JvmFacts {
        let counters = target.counters().map(|c| perfdata::parse(&c)).unwrap_or_default();
        let environment = target.environment();
        let options = Options::of(&OptionSources {
            arguments: &target.arguments,
            environment: environment.as_deref(),
            counters: &counters,
            file: &|name| target.text(name),
        });
        let collector = collector(target, &counters, &options);
        let limit = options.value(&["-Xmx", "-XX:MaxHeapSize="]).and_then(options::bytes);
        let jvm = Jvm {
            pid: target.pid(),
            namespace_pid: target.facts.inner,
            user: user(target.effective.uid),
            version: version(target).or_else(|| {
                // HotSpot's own number in 8 is that of a later JDK.
                let is_8 = text(&counters, "java.property.java.vm.specification.version")
                    .is_some_and(|v| v == "1.8");
                let which = if is_8 { "java.version" } else { "java.vm.version" };
                text(&counters, &format!("java.property.{which}"))
            }),
            collector,
            heap_used: used(&counters),
            heap_limit: limit.or_else(|| most(&counters, collector)),
            uptime_ms: uptime(target),
            main: options.main.clone(),
        };
        JvmFacts { jvm, options }
    }
}

fn text(counters: &BTreeMap<String, Counter>, name: &str) -> Option<String> {
    counters.get(name)?.text().filter(|t| !t.is_empty()).map(str::to_owned)
}

fn number(counters: &BTreeMap<String, Counter>, name: &str) -> Option<u64> {
    counters.get(name)?.number()
}

/// Until the first collection the counters say 0 for most collectors.
fn used(counters: &BTreeMap<String, Counter>) -> Option<u64> {
    let spaces = (0..2).flat_map(|g| (0..8).map(move |s| (g, s)));
    let names = spaces.map(|(g, s)| format!("sun.gc.generation.{g}.space.{s}.used"));
    let sum: u64 = names.filter_map(|n| number(counters, &n)).sum();
    (sum > 0).then_some(sum)
}

/// Generations of a fixed share add up; where they share the whole heap, each may have all of it.
fn most(counters: &BTreeMap<String, Counter>, collector: Option<Collector>) -> Option<u64> {
    let of = |g: u32| number(counters, &format!("sun.gc.generation.{g}.maxCapacity"));
    let (young, old) = (of(0).unwrap_or(0), of(1).unwrap_or(0));
    let most = match collector? {
        Collector::Serial | Collector::Parallel | Collector::Cms => young.saturating_add(old),
        Collector::Epsilon | Collector::G1 | Collector::Z | Collector::Shenandoah => young.max(old),
    };
    (most > 0).then_some(most)
}

/// By the threads that work for it, by the counters, by the options.
fn collector(
    target: &Target,
    counters: &BTreeMap<String, Counter>,
    options: &Options,
) -> Option<Collector> {
    const THREADS: [(&str, Collector); 8] = [
        ("G1 ", Collector::G1),
        ("ZDirector", Collector::Z),
        ("ZDriver", Collector::Z),
        ("Shenandoah", Collector::Shenandoah),
        ("Concurrent Mark", Collector::Cms),
        ("CMS ", Collector::Cms),
        ("ParGC", Collector::Parallel),
        ("GC task thread", Collector::Parallel),
    ];
    const POLICIES: [(&str, Collector); 3] = [
        ("Copy:MSC", Collector::Serial),
        ("ParScav:MSC", Collector::Parallel),
        ("ParNew:CMS", Collector::Cms),
    ];
    let thread = |start: &str| target.threads.iter().any(|t| t.name.starts_with(start));
    let policy = text(counters, "sun.gc.policy.name");
    let is_on = |flag: &str| options.switch(flag).is_some_and(|s| s.0);
    let by_thread = THREADS.iter().find(|(start, _)| thread(start));
    let by_policy = || POLICIES.iter().find(|(name, _)| policy.as_deref() == Some(name));
    let by_flag = || Collector::ALL.into_iter().find(|c| is_on(c.flag()));
    by_thread.or_else(by_policy).map(|(_, collector)| *collector).or_else(by_flag)
}

/// The version that is written in libjvm itself (Abstract_VM_Version::internal_vm_info_string),
/// else in the file `release` of its JDK.
fn version(target: &Target) -> Option<String> {
    let Hotspot::Mapped(libjvm) = &target.hotspot else { return None };
    let own = target.open(libjvm).and_then(|image| vm_info(&image));
    own.or_else(|| {
        let library = target.paths(libjvm).into_iter().nth(1)?;
        // lib/server/ in a JDK, jre/lib/amd64/server/ in an old one.
        let release = library
            .ancestors()
            .skip(3)
            .take(4)
            .find_map(|home| fs::read_to_string(home.join("release")).ok())?;
        let value = |key: &str| {
            let line = release.lines().find_map(|l| l.strip_prefix(key))?;
            Some(line.trim_matches(['=', '"']).to_owned())
        };
        value("JAVA_RUNTIME_VERSION=").or_else(|| value("JAVA_VERSION="))
    })
}

/// `... VM (17.0.15+6) for linux-amd64 JRE (17.0.15+6), built on ...`
fn vm_info(image: &[u8]) -> Option<String> {
    const BEFORE: &[u8] = b") for linux-";
    const JRE: &[u8] = b" JRE (";
    memmem::find_iter(image, BEFORE).find_map(|at| {
        let rest = &image[at + BEFORE.len()..image.len().min(at + 400)];
        let start = memmem::find(rest, JRE).filter(|n| *n < 24)? + JRE.len();
        // 22 and later say how the VM was built: `JRE (22+36), built on`.
        let end = memmem::find(&rest[start..], b"), built on")?;
        let version = std::str::from_utf8(&rest[start..start + end]).ok()?;
        version.chars().all(|c| c.is_ascii_graphic()).then(|| version.to_owned())
    })
}

fn uptime(target: &Target) -> Option<u64> {
    let now = procfs::Uptime::current().ok()?.uptime;
    let started = target.facts.stat.starttime as f64 / procfs::ticks_per_second() as f64;
    (now >= started).then_some(((now - started) * 1000.0) as u64)
}

/// The name that /etc/passwd has for a user, else the number.
fn user(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_libjvm() {
        let image = b"xx) for linux-\0OpenJDK 64-Bit Server VM (25.504-b01) for linux-amd64 JRE \
                      (1.8.0_504-b01), built on Aug 20 2026\0";
        assert_eq!(vm_info(image).as_deref(), Some("1.8.0_504-b01"));
        assert_eq!(vm_info(b"VM (1) for linux-amd64 JRE (17"), None);
    }

    #[test]
    fn users() {
        assert_eq!(user(0), "root");
        assert_eq!(user(4_000_000_000), "4000000000");
    }

    #[test]
    fn heaps() {
        let counters = |all: &[(&str, i64)]| -> BTreeMap<String, Counter> {
            all.iter().map(|(k, v)| ((*k).to_owned(), Counter::Long(*v))).collect()
        };
        let of = counters(&[
            ("sun.gc.generation.0.maxCapacity", 10),
            ("sun.gc.generation.1.maxCapacity", 20),
            ("sun.gc.generation.0.space.0.used", 3),
            ("sun.gc.generation.1.space.0.used", 4),
            ("sun.gc.generation.2.space.0.used", 1000),
        ]);
        assert_eq!(
            (most(&of, Some(Collector::Serial)), most(&of, Some(Collector::G1))),
            (Some(30), Some(20))
        );
        assert_eq!((used(&of), used(&counters(&[]))), (Some(7), None));
        assert_eq!(most(&of, None), None);
    }
}
