//! The report in words: one screen.

use std::fmt::Write;

use super::{Encoding, Info, OutOfMemory, Sender, SpaceInfo};
use crate::collector::Collector;
use crate::error::{Advice, Wording, with_advice};
use crate::hotspot::vm_info::version;
use crate::output::collection::Collection;
use crate::output::report::{
    MissingFile, Table, clean, count, duration, first_lines, number, size, size_exact, utc, wrap,
};

/// Width of the screen's text.
const WIDTH: usize = 100;
/// Width of the labels.
const LABEL: usize = 12;

impl Info {
    /// One screen.
    pub fn text(&self, wording: Wording) -> String {
        let mut out = String::new();
        let c = &self.core;
        let mut line = |label: &str, text: String| {
            if !text.is_empty() {
                let _ = writeln!(out, "{label:LABEL$} {}", clean(&text));
            }
        };
        line("core", c.path.clone());
        let segments = count(c.segments as u64, "segment", "segments");
        line("", format!("{}, {}, {segments}", size_exact(c.bytes), c.machine.facts().name));
        let name = c.process.as_deref().unwrap_or("(unknown)");
        let pid = c.pid.map_or(String::new(), |p| format!(", pid {p}"));
        line("process", format!("{name}{pid}, {}", count(c.threads as u64, "thread", "threads")));
        if let Some(o) = &c.captured {
            let by = format!("{}, by rjcore {} ({})", utc(o.captured_ms), o.version, o.method);
            line("captured", by);
        }
        line("ended by", self.ended());
        if let Some(memory) = &c.out_of_memory {
            lines(&mut line, "memory", out_of_memory(memory).split(' ').map(String::from));
        }
        if let Some(vm) = &self.vm {
            if let Some(t) = &vm.crashed_thread {
                let name = t.name.as_ref().map(|n| format!("\"{n}\""));
                let name = name
                    .unwrap_or_else(|| format!("a thread of the VM, Thread* {:#x}", t.address.0));
                line("crashed", format!("{name} (VMError::_thread)"));
            }
            let release = vm.version.as_deref().unwrap_or("(unknown release)");
            line("VM", version::text(release, vm.jdk, vm.java_version.as_deref()));
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
            line("oops", encoding(&vm.oops, "compressed, ", "not compressed, 8 bytes each"));
            let pointers = match vm.class_pointers.compact_headers {
                Some(true) => "compact object headers, class pointers ",
                _ => "class pointers compressed, ",
            };
            let pointers = encoding(&vm.class_pointers, pointers, "class pointers not compressed");
            line("classes", format!("{} loaded; {pointers}", number(vm.classes as u64)));
            if let (Some(all), Some(visible)) = (vm.threads, vm.threads_visible) {
                line("Java threads", format!("{visible} ({all} with the VM's own)"));
            }
        }
        if let Some(heap) = &self.heap {
            let times = heap.collections;
            let times = times.map_or(String::new(), |n| {
                ", ".to_owned() + &count(n, "collection", "collections")
            });
            let busy = if heap.collecting { ", one under way" } else { "" };
            line("collector", format!("{}{times}{busy}", heap.collector));
            let by_name = heap.collections_by_name.iter();
            let by_name = by_name.map(|c| format!("{}: {}", c.name, number(c.count)));
            listed(&mut line, "", by_name.collect());
            if let Some(r) = heap.reserved {
                let (start, end) = (r.start.0, r.end.0);
                line("reserved", format!("{start:#x}-{end:#x}, {}", size(end - start)));
            }
            let kinds = heap.region_kinds.iter();
            let kinds = kinds.map(|k| {
                let generation = k.generation.map_or(String::new(), |g| format!("{g} "));
                format!("{} {generation}{}", number(k.regions), k.kind)
            });
            listed(
                &mut line,
                if heap.collector == Collector::Z { "pages" } else { "regions" },
                kinds.collect(),
            );
            out.push('\n');
            out.push_str(&spaces(&heap.spaces).text());
        }
        self.trouble(wording, &mut out);
        if let Some(properties) = self.vm.as_ref().and_then(|vm| vm.properties.as_ref()) {
            out.push_str("\nsystem properties\n");
            for (key, value) in properties {
                let _ = writeln!(out, "  {}={}", clean(key), clean(value));
            }
        }
        out
    }

    /// How the process ended.
    pub(in crate::output) fn ended(&self) -> String {
        let c = &self.core;
        let Some(s) = &c.killed_by else {
            return match c.threads {
                0 => "unknown: the core has no notes".into(),
                _ => "nothing: it lived when the core was taken".into(),
            };
        };
        let at = s.address.map_or(String::new(), |a| format!(" at {:#x}", a.0));
        let tid = s.tid.map_or(String::new(), |t| format!(", thread {t}"));
        let thread = s.thread.as_ref().map_or(String::new(), |n| format!(" \"{n}\""));
        let by = s.sender.as_ref().map_or(String::new(), sender);
        format!("{} ({}){at}{tid}{thread}{by}", s.name, s.number)
    }

    fn trouble(&self, wording: Wording, out: &mut String) {
        if let Some(caught) = self.caught {
            out.push_str(
                "\nthe process stopped in the middle of a garbage collection; what that costs\n",
            );
            for line in Collection::costs(caught) {
                let _ = writeln!(out, "  {line}");
            }
        }
        if let Some(t) = &self.truncated {
            out.push('\n');
            for line in wrap(t.text.split_whitespace().map(String::from), WIDTH) {
                let _ = writeln!(out, "{}", clean(&line));
            }
        }
        if !self.missing_files.is_empty() {
            out.push_str("\nmapped files that were not found, and what that costs\n");
            for m in &self.missing_files {
                let (cost, advice) = self.cost(m);
                let cost = with_advice(cost, advice, wording);
                let _ = writeln!(out, "  {}\n    {cost}", clean(&m.line(wording)));
            }
        }
        if !self.damaged.is_empty() {
            out.push_str("\nmetadata that is not readable\n");
            let all = self.damaged.len() as u64;
            for line in first_lines(self.damaged.iter().map(|u| u.text.clone()), all) {
                let _ = writeln!(out, "  {}", clean(&line));
            }
        }
    }

    /// What it costs that the file is missing, and what may be done.
    fn cost(&self, missing: &MissingFile) -> (&'static str, Option<Advice>) {
        match (&self.vm, missing.is_libjvm) {
            (None, true) if missing.changed => (
                "nothing of the VM can be read without it, and no file has it: copy the core \
                 again, or take a new one",
                None,
            ),
            (None, true) => {
                ("without its symbols nothing of the VM can be read", Some(Advice::GiveItOrRoot))
            }
            (None, false) => ("classes of the CDS archive lie in it", Some(Advice::GiveJdkRoot)),
            (Some(_), true) => ("nothing: all that rjcore reads of it is in the core", None),
            (Some(_), false) if self.damaged.is_empty() => {
                ("nothing: all classes were found without it", None)
            }
            (Some(_), false) => {
                ("classes that lie in it are not readable", Some(Advice::GiveJdkRoot))
            }
        }
    }
}

pub(in crate::output) fn lines(
    line: &mut impl FnMut(&str, String),
    label: &str,
    words: impl IntoIterator<Item = String>,
) {
    for (i, text) in wrap(words, WIDTH - LABEL - 1).into_iter().enumerate() {
        line(if i == 0 { label } else { "" }, text);
    }
}

/// Things parted by commas, none of them broken over two lines.
fn listed(line: &mut impl FnMut(&str, String), label: &str, all: Vec<String>) {
    let last = all.len().saturating_sub(1);
    let comma = |(i, thing): (usize, String)| if i < last { thing + "," } else { thing };
    lines(line, label, all.into_iter().enumerate().map(comma));
}

fn sender(s: &Sender) -> String {
    match (s.is_itself, s.pid) {
        (true, _) => "; the process sent it itself".into(),
        (_, 0) => format!("; sent from outside of its PID namespace, by uid {}", s.uid),
        _ => format!("; sent by process {} of uid {}", s.pid, s.uid),
    }
}

pub(in crate::output) fn out_of_memory(found: &OutOfMemory) -> String {
    let reported = found
        .reported
        .iter()
        .map(|said| format!("ended for an OutOfMemoryError; HotSpot reported: {said}"));
    let thrown = found.thrown.iter().map(|t| {
        let n = count(t.count, "OutOfMemoryError", "OutOfMemoryErrors");
        let message = t.message.as_ref().map_or(String::new(), |m| format!(" ({m})"));
        format!("{n}{message} thrown before")
    });
    let command = found.command.iter().map(|command| {
        format!(
            "the signal may come of an OutOfMemoryError, for which -XX:OnOutOfMemoryError runs `{command}`"
        )
    });
    reported.chain(thrown).chain(command).collect::<Vec<_>>().join("; ")
}

pub(in crate::output) fn encoding(e: &Encoding, compressed: &str, not: &str) -> String {
    let (Some(base), Some(shift)) = (e.base, e.shift) else { return not.to_owned() };
    let how = match (base.0, shift) {
        (0, 0) => "32-bit, unscaled".into(),
        (0, _) => format!("zero-based, shift {shift}"),
        (base, _) => format!("with base {base:#x}, shift {shift}"),
    };
    compressed.to_owned() + &how
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
