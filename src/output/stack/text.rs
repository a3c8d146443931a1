//! The text of `jcmd Thread.print -l -e`, line for line where the core tells what is in it.

use std::fmt::Write;
use std::io;

use super::{
    JniHandles, Lock, NativeFrame, Part, Place, Stack, Thread, ThreadDump, VirtualThread, VmThread,
};
use crate::error::{Advice, Remark, Wording};
use crate::hotspot::frames::Trust;
use crate::output::report::{clean, utc};

/// Writes the whole dump, thread by thread: there may be a million of them.
pub fn text(d: &ThreadDump, wording: Wording, to: &mut dyn io::Write) -> io::Result<()> {
    let mut out = String::new();
    let mut flush = |out: &mut String| {
        let written = to.write_all(out.as_bytes());
        out.clear();
        written
    };
    if let Some(ms) = d.taken_ms {
        out += &utc(ms).trim_end_matches(" UTC").replace(" (UTC)", "");
        out.push('\n');
    }
    let _ = writeln!(out, "Full thread dump {}:\n", d.vm);
    list(d, &mut out);
    for t in &d.threads {
        thread(t, d, wording, &mut out);
        flush(&mut out)?;
    }
    for t in &d.virtual_threads {
        virtual_thread(t, wording, &mut out);
        flush(&mut out)?;
    }
    let left = d.virtual_thread_count - d.virtual_threads.len() as u64;
    if left > 0 {
        let more = wording(Advice::MoreVirtualThreads);
        let _ = writeln!(out, "({left} more virtual threads; {more})\n");
    }
    for t in d.vm_threads.iter().chain(&d.other_threads) {
        vm_thread(t, d, wording, &mut out);
        flush(&mut out)?;
    }
    match d.jni_handles {
        Some(JniHandles { global, .. }) if d.eras.has_plain_thread_dumps() => {
            let _ = writeln!(out, "JNI global references: {global}\n");
        }
        Some(JniHandles { global, weak }) => {
            let _ = writeln!(out, "JNI global refs: {global}, weak refs: {weak}\n");
        }
        None => {}
    }
    deadlocks(d, wording, &mut out);
    flush(&mut out)
}

/// The VM's list of threads (ThreadsSMRSupport::print_info_on): four in a line.
fn list(d: &ThreadDump, out: &mut String) {
    let Some(list) = d.list else { return };
    let _ = writeln!(out, "Threads class SMR info:");
    let n = d.threads.len();
    let _ = writeln!(out, "_java_thread_list={:#018x}, length={n}, elements={{", list.0);
    for line in d.threads.chunks(4) {
        let line: Vec<String> = line.iter().map(|t| format!("{:#018x}", t.tid.0)).collect();
        *out += &line.join(", ");
        *out += ",\n";
    }
    if n > 0 {
        out.truncate(out.len() - 2);
        out.push('\n');
    }
    *out += "}\n\n";
}

/// The paragraph of one thread.
pub fn thread_text(t: &Thread, d: &ThreadDump, wording: Wording) -> String {
    let mut out = String::new();
    thread(t, d, wording, &mut out);
    out
}

fn thread(t: &Thread, d: &ThreadDump, wording: Wording, out: &mut String) {
    let _ = write!(out, "\"{}\" ", t.name);
    if let Some(number) = t.number {
        let _ = write!(out, "#{number} ");
        if d.eras.has_decimal_ids() {
            let _ = write!(out, "[{}] ", t.nid);
        }
    }
    if t.daemon {
        *out += "daemon ";
    }
    if let Some(priority) = t.priority {
        let _ = write!(out, "prio={priority} ");
    }
    if let Some(priority) = t.os_priority {
        let _ = write!(out, "os_prio={priority} ");
    }
    if let Some(time) = t.cpu_ms {
        let _ = write!(out, "cpu={} ", time.text());
    }
    if let Some(bytes) = t.allocated {
        let _ = write!(out, "allocated={} ", in_proper_unit(bytes));
    }
    let _ = write!(out, "tid={:#018x} ", t.tid.0);
    if t.carries.is_none() {
        let _ = write!(out, "nid={} ", nid(t.nid, d));
        let state = t.os_state.map_or("unknown state".into(), |s| s.to_string());
        let _ = write!(out, "{state} ");
    }
    let space = if d.eras.has_plain_thread_dumps() { "" } else { " " };
    let _ = writeln!(out, "{space}[{:#018x}]", t.sp.0 & !0xfff);
    if let Some(c) = &t.carries {
        let number = c.number.map_or("?".into(), |n| n.to_string());
        let _ = writeln!(out, "   Carrying virtual thread #{number}");
    } else if let Some(state) = t.state {
        let _ = writeln!(out, "   java.lang.Thread.State: {state}");
    }
    stack(&t.stack, wording, out);
    if let Some(c) = &t.carries {
        let number = c.number.map_or("?".into(), |n| n.to_string());
        let _ = writeln!(out, "   Mounted virtual thread #{number}");
        stack(&c.stack, wording, out);
    }
    out.push('\n');
    if let Some(all) = &t.synchronizers {
        *out += "   Locked ownable synchronizers:\n";
        for o in all {
            let _ = writeln!(out, "\t- <{:#018x}> (a {})", o.address.0, o.class);
        }
        *out += if all.is_empty() { "\t- None\n\n" } else { "\n" };
    }
}

/// HotSpot's dumps leave these out. The form is that of `Thread.dump_to_file`.
fn virtual_thread(t: &VirtualThread, wording: Wording, out: &mut String) {
    let number = t.number.map_or("?".into(), |n| n.to_string());
    let _ = writeln!(out, "\"{}\" #{number} virtual", t.name);
    stack(&t.stack, wording, out);
    out.push('\n');
}

fn vm_thread(t: &VmThread, d: &ThreadDump, wording: Wording, out: &mut String) {
    let _ = write!(out, "\"{}\" ", t.name);
    if let Some(priority) = t.os_priority {
        let _ = write!(out, "os_prio={priority} ");
    }
    if let Some(time) = t.cpu_ms {
        let _ = write!(out, "cpu={} ", time.text());
    }
    if let Some(tid) = t.tid {
        let _ = write!(out, "tid={:#018x} ", tid.0);
    }
    let spaces = if d.eras.has_plain_thread_dumps() { " " } else { "  " };
    let state = t.os_state.map_or(String::new(), |s| format!("{s}{spaces}"));
    let _ = writeln!(out, "nid={} {state}", nid(t.nid, d));
    if let Some(s) = &t.stack {
        stack(s, wording, out);
    }
    out.push('\n');
}

fn nid(tid: u32, d: &ThreadDump) -> String {
    if d.eras.has_decimal_ids() { tid.to_string() } else { format!("{tid:#x}") }
}

/// A stack's lines.
pub(super) fn stack(s: &Stack, wording: Wording, out: &mut String) {
    for part in s.parts() {
        match part {
            Part::Java(f) => {
                frame(&f.place, out);
                for l in &f.locks {
                    lock(l, out);
                }
                for v in &f.values {
                    v.text(out);
                }
            }
            Part::Native(f) => native(f, out),
            Part::NativeEnd(end) => {
                let _ = writeln!(
                    out,
                    "\t- (native frames go on, but cannot be read: {})",
                    clean(&end.why.line(wording))
                );
            }
        }
    }
    if let Some(Remark { text, .. }) = &s.broken {
        let _ = writeln!(out, "\t- (the stack goes on, but cannot be read: {text})");
    }
}

/// `java_lang_Throwable::print_stack_element`.
pub(in crate::output) fn frame(f: &Place, out: &mut String) {
    let _ = write!(out, "\tat {}.{}(", f.class, f.method);
    if let Some(module) = &f.module {
        let _ = write!(out, "{module}/");
    }
    let _ = match (f.native, &f.file, f.line) {
        (true, ..) => writeln!(out, "Native Method)"),
        (_, Some(file), Some(line)) => writeln!(out, "{file}:{line})"),
        (_, Some(file), None) => writeln!(out, "{file})"),
        (_, None, _) => writeln!(out, "Unknown Source)"),
    };
}

/// As HotSpot's error files have native frames.
fn native(f: &NativeFrame, out: &mut String) {
    *out += "\tat ";
    if let (Some(name), Some(offset)) = (&f.function, f.function_offset) {
        let _ = write!(out, "{}+{offset:#x} ", clean(name));
    }
    let _ = match (&f.library, f.library_offset) {
        (Some(path), Some(offset)) => {
            let name = path.rsplit('/').next().unwrap_or(path);
            write!(out, "[{}+{:#x}]", clean(name), offset.0)
        }
        _ => write!(out, "[{:#x}]", f.pc.0),
    };
    *out += if f.trust == Trust::Exact { "\n" } else { " (guessed)\n" };
}

fn lock(l: &Lock, out: &mut String) {
    let what = l.kind.text(l.object.is_some());
    let _ = match (l.object, &l.class) {
        (Some(at), class) => {
            let class = class.as_deref().unwrap_or("?");
            writeln!(out, "\t- {what} <{:#018x}> (a {class})", at.0)
        }
        (None, Some(class)) => writeln!(out, "\t- {what} {class}"),
        (None, None) => writeln!(out, "\t- {what}"),
    };
}

/// `DeadlockCycle::print_on_with`.
pub(in crate::output) fn deadlocks(d: &ThreadDump, wording: Wording, out: &mut String) {
    for cycle in &d.deadlocks {
        *out += "\nFound one Java-level deadlock:\n=============================\n";
        for (i, w) in cycle.iter().enumerate() {
            if i > 0 && !d.eras.has_dense_deadlocks() {
                out.push('\n');
            }
            let _ = writeln!(out, "\"{}\":", w.name);
            let (at, class) = (w.object.address.0, &w.object.class);
            let _ = match w.monitor {
                Some(monitor) => write!(
                    out,
                    "  waiting to lock monitor {:#018x} (object {at:#018x}, a {class})",
                    monitor.0
                ),
                None => {
                    write!(out, "  waiting for ownable synchronizer {at:#018x}, (a {class})")
                }
            };
            let _ = writeln!(out, ",\n  which is held by \"{}\"", w.owner);
        }
        *out += "\nJava stack information for the threads listed above:\n";
        *out += "===================================================\n";
        for w in cycle {
            let _ = writeln!(out, "\"{}\":", w.name);
            if let Some(t) = d.threads.get(w.thread) {
                stack(&t.stack, wording, out);
            }
        }
    }
    let _ = match d.deadlocks.len() {
        0 => return,
        1 => writeln!(out, "\nFound 1 deadlock.\n"),
        n => writeln!(out, "\nFound {n} deadlocks.\n"),
    };
}

/// `byte_size_in_proper_unit`: never less than 100 of a unit.
fn in_proper_unit(bytes: u64) -> String {
    match bytes {
        b if b >= 100 << 30 => format!("{}G", b >> 30),
        b if b >= 100 << 20 => format!("{}M", b >> 20),
        b if b >= 100 << 10 => format!("{}K", b >> 10),
        b => format!("{b}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_hotspot_writes_them() {
        assert_eq!(in_proper_unit(102_399), "102399B");
        assert_eq!(in_proper_unit(102_400), "100K");
        assert_eq!(in_proper_unit(868 << 10), "868K");
        assert_eq!(in_proper_unit(100 << 20), "100M");
    }

    #[test]
    fn frames_as_hotspot_writes_them() {
        let f = Place {
            class: "a.B".into(),
            method: "c".into(),
            descriptor: "()V".into(),
            module: Some("m@1".into()),
            file: Some("B.java".into()),
            line: Some(7),
            bci: 0,
            native: false,
        };
        let line = |f: &Place| {
            let mut out = String::new();
            frame(f, &mut out);
            out
        };
        assert_eq!(line(&f), "\tat a.B.c(m@1/B.java:7)\n");
        assert_eq!(line(&Place { line: None, ..f.clone() }), "\tat a.B.c(m@1/B.java)\n");
        let bare = Place { file: None, module: None, ..f.clone() };
        assert_eq!(line(&bare), "\tat a.B.c(Unknown Source)\n");
        assert_eq!(line(&Place { native: true, ..f }), "\tat a.B.c(m@1/Native Method)\n");
    }
}
