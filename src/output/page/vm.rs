//! The page's parts about the process and its VM: flags, properties, the collector and its spaces.

use std::collections::BTreeMap;

use super::document::{Block, Line, Section, Table};
use crate::collector::Collector;
use crate::hotspot::vm_info::version;
use crate::output::info::{HeapInfo, Info, VmInfo, encoding, out_of_memory};
use crate::output::report::{count, duration, number, size, utc};

/// The system properties that say something of what runs, and no secrets.
const PROPERTIES: [&str; 14] = [
    "java.class.path",
    "java.home",
    "java.io.tmpdir",
    "java.vendor",
    "java.version",
    "java.vm.name",
    "file.encoding",
    "jdk.module.main",
    "os.arch",
    "os.name",
    "os.version",
    "user.dir",
    "user.language",
    "user.timezone",
];
/// What a secret is called in an argument's name.
const SECRET: [&str; 6] = ["passw", "secret", "token", "credential", "apikey", "passphrase"];

/// The summary's sentence.
pub(super) fn sentence(info: &Info) -> Line {
    let vm = info.vm.as_ref();
    let version = vm.map_or("a VM".into(), version_of);
    let process = info.core.process.as_deref().unwrap_or("(unknown)");
    let pid = info.core.pid.map_or(String::new(), |p| format!(" (pid {p})"));
    let up =
        vm.and_then(|vm| vm.uptime_ms).map(|up| format!(" had run for about {}", duration(up)));
    let taken = info.core.captured.as_ref().map(|c| format!(" on {}", utc(c.captured_ms)));
    let ended = match &info.core.killed_by {
        Some(signal) => format!("; {} ended it", signal.name),
        None => String::new(),
    };
    Line::words("Process ").and_name(process).and(format!(
        "{pid}, {version},{} when its core was taken{}{ended}.",
        up.unwrap_or_else(|| " lived or died".into()),
        taken.unwrap_or_default()
    ))
}

fn version_of(vm: &VmInfo) -> String {
    let release = vm.version.as_deref().unwrap_or("(unknown release)");
    crate::output::report::clean(&version::text(release, vm.jdk, vm.java_version.as_deref()))
}

pub(super) fn sections(info: &Info, rows: usize) -> Vec<Section> {
    let mut out = vec![process(info)];
    if let Some(vm) = &info.vm {
        out.push(settings(vm, rows));
    }
    if let Some(heap) = &info.heap {
        out.push(collector(heap));
    }
    out
}

/// Two columns: what, and its value.
fn facts(caption: &str) -> Table {
    Table::new(caption, &["what", "value"])
}

fn process(info: &Info) -> Section {
    let c = &info.core;
    let mut table = facts("The process and its VM");
    let mut row = |what: &str, value: Line| table.rows.push(vec![Line::words(what), value]);
    row("core", Line::name(&c.path).and(format!(", {}", size(c.bytes))));
    row("machine", Line::words(c.machine.facts().name));
    if let Some(o) = &c.captured {
        row("captured", Line::words(format!("{}, by rjcore {}", utc(o.captured_ms), o.version)));
    }
    row("ended by", Line::name(&info.ended()));
    if let Some(memory) = &c.out_of_memory {
        row("memory", Line::name(&out_of_memory(memory)));
    }
    if let Some(vm) = &info.vm {
        row("VM", Line::name(&version_of(vm)));
        if let Some(build) = &vm.build {
            row("build", Line::name(build));
        }
        if let Some(start) = vm.started_ms {
            row("started", Line::words(utc(start)));
        }
        if let Some(up) = vm.uptime_ms {
            row("had run for", Line::words(format!("about {}", duration(up))));
        }
        if let Some(thread) = vm.crashed_thread.as_ref().and_then(|t| t.name.as_ref()) {
            row("crashed thread", Line::name(thread));
        }
        row("references", Line::words(encoding(&vm.oops, "compressed, ", "8 bytes each")));
        row("classes", Line::words(count(vm.classes as u64, "class", "classes")));
    }
    Section { id: "process", title: "Process", blocks: vec![Block::Table(table)] }
}

fn settings(vm: &VmInfo, rows: usize) -> Section {
    let mut blocks = Vec::new();
    let mut arguments = facts("How it was started");
    if let Some(command) = &vm.arguments.java_command {
        arguments.rows.push(vec![Line::words("command"), Line::name(&without_secrets(command))]);
    }
    for (from, all) in
        [("argument", &vm.arguments.jvm_args), ("from a file", &vm.arguments.jvm_flags)]
    {
        for argument in all.iter().take(2 * rows) {
            let value = Line::name(&without_secret(argument));
            arguments.rows.push(vec![Line::words(from), value]);
        }
    }
    if !arguments.rows.is_empty() {
        blocks.push(Block::Table(arguments));
    }
    let mut flags = Table::new("Flags that are not at their default", &["flag", "value"]);
    flags.rows = named(&vm.flags, |_| true, 4 * rows);
    blocks.push(Block::Table(flags));
    if let Some(all) = &vm.properties {
        let mut table = Table::new("System properties of note", &["property", "value"]);
        table.rows = named(all, |name| PROPERTIES.contains(&name), rows);
        blocks.push(Block::Table(table));
        let left = all.len() - all.keys().filter(|n| PROPERTIES.contains(&n.as_str())).count();
        let text = format!(
            "{} not shown: they may hold secrets.",
            count(left as u64, "other is", "others are")
        );
        blocks.push(Block::Line(Line::words(text)));
    }
    Section { id: "settings", title: "Flags and properties", blocks }
}

fn named(
    all: &BTreeMap<String, String>,
    wanted: impl Fn(&str) -> bool,
    rows: usize,
) -> Vec<Vec<Line>> {
    let all = all.iter().filter(|(name, _)| wanted(name)).take(rows);
    all.map(|(name, value)| vec![Line::name(name), Line::name(value)]).collect()
}

/// An argument whose name says that its value is a secret, without the value.
fn without_secret(argument: &str) -> String {
    let Some((name, _)) = argument.split_once('=') else { return argument.to_owned() };
    let lower = name.to_lowercase();
    match SECRET.iter().any(|s| lower.contains(s)) {
        true => format!("{name}=(not shown)"),
        false => argument.to_owned(),
    }
}

fn without_secrets(command: &str) -> String {
    command.split(' ').map(without_secret).collect::<Vec<_>>().join(" ")
}

fn collector(heap: &HeapInfo) -> Section {
    let mut table = facts("The collector");
    let mut row =
        |what: &str, value: String| table.rows.push(vec![Line::words(what), Line::words(value)]);
    let busy = if heap.collecting { "; a collection was under way" } else { "" };
    row("collector", format!("{}{busy}", heap.collector));
    if let Some(n) = heap.collections {
        row("collections", number(n));
    }
    if let Some(r) = heap.reserved {
        row("reserved", format!("{:#x}-{:#x}, {}", r.start.0, r.end.0, size(r.end.0 - r.start.0)));
    }
    let regions = if heap.collector == Collector::Z { "pages" } else { "regions" };
    for of in &heap.region_kinds {
        let generation = of.generation.map_or(String::new(), |g| format!("{g} "));
        row(regions, format!("{} {generation}{}", number(of.regions), of.kind));
    }
    for of in &heap.collections_by_name {
        table.rows.push(vec![
            Line::words("collections of"),
            Line::name(&of.name).and(format!(": {}", number(of.count))),
        ]);
    }
    let mut spaces =
        Table::new("Its spaces", &["space", "#regions", "#capacity", "#used", "#not in the core"]);
    for s in &heap.spaces {
        spaces.rows.push(vec![
            Line::words(s.space.name()),
            Line::words(number(s.regions)),
            Line::words(size(s.capacity)),
            Line::words(size(s.used)),
            Line::words(if s.not_in_core == 0 { "–".into() } else { size(s.not_in_core) }),
        ]);
    }
    Section {
        id: "collector",
        title: "Collector and spaces",
        blocks: vec![Block::Table(table), Block::Table(spaces)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(without_secret("-Ddb.password=x=y"), "-Ddb.password=(not shown)");
        assert_eq!(without_secret("-Dapi.Token=z"), "-Dapi.Token=(not shown)");
        assert_eq!(without_secret("-Xmx1g"), "-Xmx1g");
        assert_eq!(without_secrets("Main a=b dbPassword=c"), "Main a=b dbPassword=(not shown)");
    }
}
