//! What an engineer wants to know of a core first: data, and one screen of it.
//!
//! Gathers from the readers below; reads no target memory by itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::report::{
    MissingFile, Table, clean, count, duration, number, size, size_exact, utc, wrap,
};
use crate::capture::notes::Origin;
use crate::corefile::{CoreFile, EM_X86_64, Missing};
use crate::error::Result;
use crate::heap::{Heap, Object, Visitor, walk};
use crate::hotspot::arguments::Arguments;
use crate::hotspot::gc::{Region, Space};
use crate::hotspot::pointers::{KlassForm, Pointers};
use crate::hotspot::{Vm, perfdata, properties, threads};

/// Width of the screen's text.
const WIDTH: usize = 100;
/// Width of the labels.
const LABEL: usize = 12;

/// The report.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    /// The file and the process.
    pub core: CoreInfo,
    /// The VM, where it could be read.
    pub vm: Option<VmInfo>,
    /// The heap, where it could be read.
    pub heap: Option<HeapInfo>,
    /// What a cut-off core lacks, in words.
    pub truncated: Option<String>,
    /// Mapped files that rjcore reads and that were not found.
    pub missing_files: Vec<MissingFile>,
    /// Metadata that could not be read, in words.
    pub damaged: Vec<String>,
}

/// What the core's headers and notes say.
#[derive(Debug, Clone, Serialize)]
pub struct CoreInfo {
    /// As the user named it.
    pub path: String,
    /// Bytes of the file as it lies on the disk.
    pub bytes: u64,
    /// `x86-64` or `aarch64`.
    pub machine: &'static str,
    /// PT_LOADs.
    pub segments: usize,
    /// Process id.
    pub pid: Option<i32>,
    /// The process's name.
    pub process: Option<String>,
    /// Threads in the notes.
    pub threads: usize,
    /// How and when rjcore took the core of the live process; none where others took it.
    pub captured: Option<Origin>,
    /// The signal that killed the process; none where it went on to live.
    pub killed_by: Option<Signal>,
}

/// How the process died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signal {
    /// `si_signo`.
    pub number: i32,
    /// `SIGSEGV`.
    pub name: String,
    /// `si_addr` of a fault.
    pub address: Option<u64>,
    /// The kernel's id of the thread that took it.
    pub tid: Option<i32>,
    /// That thread's name, if it is a Java thread.
    pub thread: Option<String>,
}

/// What the VM's metadata says.
#[derive(Debug, Clone, Serialize)]
pub struct VmInfo {
    /// `17.0.15+6-Debian-1deb12u1`.
    pub version: Option<String>,
    /// Build, date, compiler.
    pub build: Option<String>,
    /// What it was started with.
    pub arguments: Arguments,
    /// Flags that are not at their built-in default.
    pub flags: BTreeMap<String, String>,
    /// How references are written.
    pub oops: String,
    /// How class pointers are written.
    pub class_pointers: String,
    /// Loaded classes, array classes included.
    pub classes: usize,
    /// Java threads, the VM's own included.
    pub threads: Option<usize>,
    /// Those that HotSpot's own dumps show.
    pub threads_visible: Option<usize>,
    /// ms since 1970.
    pub started_ms: Option<u64>,
    /// ms from then to the core, 50 too few at most; JDK 25 and later do not tell.
    pub uptime_ms: Option<u64>,
    /// VMError::_thread's name: the thread whose crash HotSpot reported.
    pub crashed_thread: Option<String>,
    /// System properties, where asked for and readable.
    pub properties: Option<BTreeMap<String, String>>,
}

/// What the collector's structures say.
#[derive(Debug, Clone, Serialize)]
pub struct HeapInfo {
    /// The collector's name.
    pub collector: &'static str,
    /// Collections so far.
    pub collections: Option<u32>,
    /// Whether one was under way.
    pub collecting: bool,
    /// CollectedHeap::_reserved.
    pub reserved: Option<(u64, u64)>,
    /// The spaces that the heap has.
    pub spaces: Vec<SpaceInfo>,
}

/// One space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpaceInfo {
    /// Which.
    pub space: Space,
    /// Its regions.
    pub regions: u64,
    /// Committed bytes.
    pub capacity: u64,
    /// Bytes below the regions' tops.
    pub used: u64,
    /// Those of them that are not in the core.
    pub not_in_core: u64,
}

impl Info {
    /// What is known without the VM.
    pub fn of_core(core: &CoreFile, bytes: u64, missing: &[Missing]) -> Info {
        let killed_by = core.siginfo().map(|s| (s.signo, s.addr)).or_else(|| {
            let signal = core.threads().first()?.signal;
            Some((signal, 0))
        });
        // A debugger's or a container's stop is no death: 0, SIGTRAP, SIGSTOP.
        // A thread of a live process may have had a signal in hand; HotSpot uses some itself.
        let killed_by = killed_by
            .filter(|(s, _)| !matches!(s, 0 | 5 | 19) && core.origin().is_none())
            .map(|(signo, addr)| {
                let fault = matches!(signo, 4 | 7 | 8 | 11);
                Signal {
                    number: signo,
                    name: signal_name(signo),
                    address: fault.then_some(addr),
                    tid: core.threads().first().map(|t| t.tid),
                    thread: None,
                }
            });
        Info {
            core: CoreInfo {
                path: core.path().display().to_string(),
                bytes,
                machine: if core.machine() == EM_X86_64 { "x86-64" } else { "aarch64" },
                segments: core.segments().len(),
                pid: core.psinfo().map(|p| p.pid),
                process: core.psinfo().map(|p| p.command.clone()),
                threads: core.threads().len(),
                captured: core.origin().cloned(),
                killed_by,
            },
            vm: None,
            heap: None,
            truncated: core.truncation().map(|t| t.to_string()),
            missing_files: missing.iter().map(MissingFile::from).collect(),
            damaged: Vec::new(),
        }
    }

    /// Adds what the VM's metadata says.
    pub fn add_vm(&mut self, vm: &Vm, with_properties: bool) {
        let counters = perfdata::read(vm);
        let times = perfdata::times(&counters);
        let mut ignored = Vec::new();
        let threads = threads::read(vm, &mut ignored).ok();
        let name = |t: &threads::JavaThread| t.name.clone();
        let named = |f: &dyn Fn(&threads::JavaThread) -> bool| {
            threads.iter().flatten().find(|t| f(t)).map(name)
        };
        if let Some(signal) = &mut self.core.killed_by
            && let Some(tid) = signal.tid.and_then(|t| u32::try_from(t).ok()).filter(|t| *t != 0)
        {
            signal.thread = named(&|t| t.tid == tid);
        }
        let crashed = vm.crashed_thread();
        self.damaged.clone_from(&vm.damaged);
        self.vm = Some(VmInfo {
            version: vm.version.release.clone(),
            build: vm.version.info.clone(),
            arguments: Arguments::read(vm),
            flags: vm.flags.changed().map(|(n, f)| (n.to_owned(), f.value.to_string())).collect(),
            oops: oops(&vm.pointers),
            class_pointers: class_pointers(&vm.pointers),
            classes: vm.classes.all().len(),
            threads: threads.as_ref().map(Vec::len),
            threads_visible: threads.as_ref().map(|t| t.iter().filter(|t| t.visible).count()),
            started_ms: times.map(|t| t.0),
            uptime_ms: times.and_then(|t| t.1),
            crashed_thread: crashed.map(|addr| {
                let java = named(&|t| t.addr == addr);
                java.unwrap_or_else(|| format!("a thread of the VM, Thread* {addr:#x}"))
            }),
            properties: if with_properties { properties::read(vm) } else { None },
        });
    }

    /// Adds what the collector's structures say. Where part of the used heap is not in the
    /// core, the heap is walked: unused ends of TLABs and dead objects are no loss.
    pub fn add_heap(&mut self, heap: &Heap, threads: usize) -> Result<()> {
        self.damaged.clone_from(&heap.damaged);
        let regions = &heap.collected.regions;
        let absent = |r: &Region| {
            let present = heap.saved(r);
            (r.top - r.start) - present
        };
        let mut lost = regions.iter().any(|r| absent(r) > 0);
        if lost {
            lost = walk(heap, threads, || Nothing, |_, _| Ok(()))?.damaged > 0;
        }
        let spaces = Space::ALL.iter().filter_map(|&space| {
            let mut s = SpaceInfo { space, regions: 0, capacity: 0, used: 0, not_in_core: 0 };
            for r in regions.iter().filter(|r| r.space == space) {
                s.regions += 1;
                s.capacity += r.end - r.start;
                s.used += r.top - r.start;
                s.not_in_core += if lost { absent(r) } else { 0 };
            }
            (s.regions > 0).then_some(s)
        });
        self.heap = Some(HeapInfo {
            collector: heap.collected.name,
            collections: heap.collected.collections,
            collecting: heap.collected.collecting,
            reserved: heap.collected.reserved,
            spaces: spaces.collect(),
        });
        Ok(())
    }

    /// Whether something that matters is missing.
    pub fn is_whole(&self) -> bool {
        let lost = |h: &HeapInfo| h.spaces.iter().any(|s| s.not_in_core > 0);
        self.damaged.is_empty() && !self.heap.as_ref().is_none_or(lost)
    }

    /// One screen.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let c = &self.core;
        let mut line = |label: &str, text: String| {
            if !text.is_empty() {
                let _ = writeln!(out, "{label:LABEL$} {}", clean(&text));
            }
        };
        line("core", c.path.clone());
        let segments = count(c.segments as u64, "segment", "segments");
        line("", format!("{}, {}, {segments}", size_exact(c.bytes), c.machine));
        let name = c.process.as_deref().unwrap_or("(unknown)");
        let pid = c.pid.map_or(String::new(), |p| format!(", pid {p}"));
        line("process", format!("{name}{pid}, {}", count(c.threads as u64, "thread", "threads")));
        if let Some(o) = &c.captured {
            let by = format!("{}, by rjcore {} ({})", utc(o.captured_ms), o.version, o.method);
            line("captured", by);
        }
        match &c.killed_by {
            None if c.threads == 0 => line("ended by", "unknown: the core has no notes".into()),
            None => line("ended by", "nothing: it lived when the core was taken".into()),
            Some(s) => {
                let at = s.address.map_or(String::new(), |a| format!(" at {a:#x}"));
                let tid = s.tid.map_or(String::new(), |t| format!(", thread {t}"));
                let thread = s.thread.as_ref().map_or(String::new(), |n| format!(" \"{n}\""));
                line("ended by", format!("{} ({}){at}{tid}{thread}", s.name, s.number));
            }
        }
        if let Some(vm) = &self.vm {
            if let Some(t) = &vm.crashed_thread {
                line("crashed", format!("\"{t}\" (VMError::_thread)"));
            }
            line("VM", format!("HotSpot {}", vm.version.as_deref().unwrap_or("(unknown release)")));
            let build = vm.build.as_deref().unwrap_or("");
            lines(&mut line, "", build.split_whitespace().map(String::from));
            if let Some(start) = vm.started_ms {
                // HotSpot writes its clock down every 50 ms.
                let up = vm.uptime_ms.map(|up| format!(", had run for about {}", duration(up)));
                line("started", utc(start) + &up.unwrap_or_default());
            }
            line("command", vm.arguments.java_command.clone().unwrap_or_default());
            lines(&mut line, "JVM args", vm.arguments.jvm_args.iter().cloned());
            lines(&mut line, "from files", vm.arguments.jvm_flags.iter().cloned());
            lines(&mut line, "flags set", vm.flags.iter().map(|(n, v)| format!("{n}={v}")));
            line("oops", vm.oops.clone());
            line("classes", format!("{} loaded; {}", number(vm.classes as u64), vm.class_pointers));
            if let (Some(all), Some(visible)) = (vm.threads, vm.threads_visible) {
                line("Java threads", format!("{visible} ({all} with the VM's own)"));
            }
        }
        if let Some(heap) = &self.heap {
            let times = heap.collections;
            let times = times.map_or(String::new(), |n| {
                ", ".to_owned() + &count(n.into(), "collection", "collections")
            });
            let busy = if heap.collecting { ", one under way" } else { "" };
            line("collector", format!("{}{times}{busy}", heap.collector));
            if let Some((start, end)) = heap.reserved {
                line("reserved", format!("{start:#x}-{end:#x}, {}", size(end - start)));
            }
            out.push('\n');
            out.push_str(&spaces(&heap.spaces).text());
        }
        self.trouble(&mut out);
        if let Some(properties) = self.vm.as_ref().and_then(|vm| vm.properties.as_ref()) {
            out.push_str("\nsystem properties\n");
            for (key, value) in properties {
                let _ = writeln!(out, "  {}={}", clean(key), clean(value));
            }
        }
        out
    }

    fn trouble(&self, out: &mut String) {
        if let Some(t) = &self.truncated {
            out.push('\n');
            for line in wrap(t.split_whitespace().map(String::from), WIDTH) {
                let _ = writeln!(out, "{}", clean(&line));
            }
        }
        if !self.missing_files.is_empty() {
            out.push_str("\nmapped files that were not found, and what that costs\n");
            for m in &self.missing_files {
                let _ = writeln!(out, "  {}\n    {}", clean(&m.text()), self.cost(m));
            }
        }
        if !self.damaged.is_empty() {
            out.push_str("\nmetadata that is not readable\n");
            let all = self.damaged.len() as u64;
            for line in super::report::first_lines(self.damaged.iter().cloned(), all) {
                let _ = writeln!(out, "  {}", clean(&line));
            }
        }
    }

    fn cost(&self, missing: &MissingFile) -> &'static str {
        let jvm = missing.path.contains("libjvm.so");
        match (&self.vm, jvm) {
            (None, true) if missing.changed => {
                "nothing of the VM can be read without it, and no file has it: copy the core \
                 again, or take a new one"
            }
            (None, true) => {
                "without its symbols nothing of the VM can be read; give it with --jvm or --sysroot"
            }
            (None, false) => {
                "classes of the CDS archive lie in it; give the JDK's root with --sysroot"
            }
            (Some(_), true) => "nothing: all that rjcore reads of it is in the core",
            (Some(_), false) if self.damaged.is_empty() => {
                "nothing: all classes were found without it"
            }
            (Some(_), false) => {
                "classes that lie in it are not readable; give the JDK's root with --sysroot"
            }
        }
    }
}

/// A walk for its report alone.
pub(super) struct Nothing;

impl Visitor for Nothing {
    fn object(&mut self, _: Object) {}
    fn clear(&mut self) {}
}

pub(super) fn lines(
    line: &mut impl FnMut(&str, String),
    label: &str,
    words: impl IntoIterator<Item = String>,
) {
    for (i, text) in wrap(words, WIDTH - LABEL - 1).into_iter().enumerate() {
        line(if i == 0 { label } else { "" }, text);
    }
}

fn spaces(spaces: &[SpaceInfo]) -> Table {
    let head = ["space", "regions", "capacity", "bytes", "used", "bytes", "not in core"];
    let mut table = Table::new(&head, &[0]);
    let mut sum = [0; 4];
    let mut row = |name: &str, of: [u64; 4]| {
        let [regions, capacity, used, lost] = of;
        let lost = if lost == 0 { "-".into() } else { size(lost) };
        let (c, u) = (size(capacity), size(used));
        table.row(vec![name.into(), number(regions), c, number(capacity), u, number(used), lost]);
    };
    for s in spaces {
        let of = [s.regions, s.capacity, s.used, s.not_in_core];
        row(s.space.name(), of);
        sum.iter_mut().zip(of).for_each(|(a, b)| *a += b);
    }
    row("total", sum);
    table
}

fn encoding(base: u64, shift: u32) -> String {
    match (base, shift) {
        (0, 0) => "32-bit, unscaled".into(),
        (0, _) => format!("zero-based, shift {shift}"),
        _ => format!("with base {base:#x}, shift {shift}"),
    }
}

fn oops(p: &Pointers) -> String {
    match p.narrow_oops {
        true => format!("compressed, {}", encoding(p.oop_base, p.oop_shift)),
        false => "not compressed, 8 bytes each".into(),
    }
}

fn class_pointers(p: &Pointers) -> String {
    let text = encoding(p.klass_base, p.klass_shift);
    match p.klass {
        KlassForm::Wide => "class pointers not compressed".into(),
        KlassForm::Narrow => format!("class pointers compressed, {text}"),
        KlassForm::Compact(_) => format!("compact object headers, class pointers {text}"),
    }
}

/// Linux's signals by number, the same on x86-64 and aarch64 (asm-generic/signal.h).
fn signal_name(signo: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let name = usize::try_from(signo - 1).ok().and_then(|i| NAMES.get(i));
    name.map_or_else(|| format!("signal {signo}"), |n| format!("SIG{n}"))
}
