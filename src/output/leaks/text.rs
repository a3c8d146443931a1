//! What suspects are, in plain sentences.

use std::fmt::Write;

use super::{FieldName, Kind, Leaks, Level, Limits, Step, Suspect};
use crate::graph::Thread;
use crate::output::paths::words;
use crate::output::report::{Table, clean, count, number, object_name, size, wrap};

/// Characters of a line.
const WIDTH: usize = 100;
/// Classes that a text shows of a suspect.
const CLASSES: usize = 6;

/// All of it in a few sentences.
pub(super) fn summary(leaks: &Leaks) -> String {
    let totals = &leaks.totals;
    let weaker = totals.soft + totals.weak + totals.finalizable + totals.phantom;
    let mut out = format!("{} are strongly held", size(totals.strong));
    if weaker > 0 {
        let _ = write!(out, ", {} by weaker references at most", size(weaker));
    }
    if totals.garbage > 0 {
        let most = if totals.garbage > totals.bytes / 2 { " (most of the heap)" } else { "" };
        let garbage = size(totals.garbage);
        let _ = write!(out, "; {garbage}{most} are garbage, which the next collection frees");
    }
    out.push('.');
    if leaks.direct > 0 {
        let _ = write!(out, " Direct buffers have {} outside of the heap.", size(leaks.direct));
    }
    let suspects = leaks.suspects.len() as u64;
    let Limits { share, min } = leaks.limits;
    if suspects == 0 {
        let floor = if min > 0 { format!(" and at least {}", size(min)) } else { String::new() };
        let _ = write!(
            out,
            " Nothing stands out: no object, and no objects of one class together, hold {share} % of it{floor}."
        );
    } else if leaks.explained > 0 {
        let _ = write!(
            out,
            " {} {}, {:.1} % of all that is held.",
            count(suspects, "suspect holds", "suspects hold"),
            size(leaks.explained),
            leaks.explained_share
        );
    } else {
        let _ = write!(
            out,
            " {}.",
            count(suspects, "suspect holds most of that", "suspects hold most of that")
        );
    }
    out
}

/// `The static field a.B.c`.
fn subject(suspect: &Suspect) -> String {
    match (&suspect.field, &suspect.thread) {
        (Some(field), _) => {
            let sort = match field {
                FieldName { thread_local: true, .. } => "thread local",
                FieldName { is_static: true, .. } => "static field",
                _ => "field",
            };
            format!("The {sort} {}", field_name(field))
        }
        (None, Some(thread)) if thread.frame.is_some() => {
            let frame = thread.frame.as_deref().unwrap_or_default();
            format!("A local variable of {}", clean(frame))
        }
        (None, Some(thread)) if thread.threads == 1 => {
            format!("The thread \"{}\"", clean(&thread.name))
        }
        _ if suspect.object.is_some() => format!("One {}", clean(&suspect.class)),
        _ => format!("{} {}", number(suspect.objects), clean(&suspect.class)),
    }
}

fn field_name(field: &FieldName) -> String {
    format!("{}.{}", clean(&field.class), clean(&field.name))
}

/// `24,000 byte[] (23.5 MB)`.
fn objects(level: &Level) -> String {
    format!("{} {} ({})", number(level.objects), clean(&level.class), size(level.bytes))
}

/// What a suspect is.
pub(super) fn describe(suspect: &Suspect, threads: &[Thread]) -> String {
    let mut out = match suspect.kind {
        Kind::Object | Kind::Group => strong(suspect),
        Kind::Direct => outside(suspect),
        _ => weaker(suspect, threads),
    };
    for sentence in [origin(suspect), rest(suspect), loaders(suspect)].into_iter().flatten() {
        let _ = write!(out, " {sentence}");
    }
    out
}

/// Of what is strongly held.
fn strong(suspect: &Suspect) -> String {
    let share = format!("{:.1} % of what is strongly held", suspect.share);
    let bytes = size(suspect.bytes);
    let first = suspect.levels.first().filter(|_| suspect.object.is_none() && suspect.fullest == 0);
    match (first, &suspect.field, &suspect.thread) {
        (Some(level), None, None) => format!(
            "{} {}, which no single object holds, have {bytes}, {share}.",
            number(level.objects),
            clean(&level.class)
        ),
        _ => format!("{} holds {bytes}, {share}: {}.", subject(suspect), filling(suspect)),
    }
}

/// What there is so much of.
fn filling(suspect: &Suspect) -> String {
    let levels = &suspect.levels;
    let Some(level) = levels.get(suspect.fullest) else {
        return format!("a {}", clean(&suspect.class));
    };
    let before = suspect.fullest.checked_sub(1).map(|i| &levels[i]);
    // The subject has said already whose it is.
    let is_named = suspect.field.is_some() || suspect.thread.is_some();
    let threads = suspect.thread.as_ref().map_or(0, |t| t.threads);
    let holder = match (before, suspect.object) {
        (Some(before), _) if before.objects > 1 => {
            format!("in {} {}, ", number(before.objects), clean(&before.class))
        }
        (Some(before), _) => format!("in a {}, ", clean(&before.class)),
        (None, Some(_)) if level.class != suspect.class && !is_named => String::new(),
        (None, Some(_)) if level.class != suspect.class => {
            format!("a {} with ", clean(&suspect.class))
        }
        (None, Some(_)) if level.objects > 1 => {
            return format!("{}, one held by the other", objects(level));
        }
        (None, Some(_)) => return format!("a {} of {}", clean(&level.class), size(level.bytes)),
        (None, None) if threads > 1 => String::new(),
        (None, None) => return format!("{}, which no single object holds", objects(level)),
    };
    holder + &objects(level)
}

/// Where the path begins, where the field does not tell.
fn origin(suspect: &Suspect) -> Option<String> {
    let field = suspect.field.as_ref();
    if let Some(thread) = &suspect.thread {
        let name = clean(&thread.name);
        return match (&thread.frame, thread.threads) {
            (_, 2..) => Some(format!("It hangs on many threads, \"{name}\" among them.")),
            (Some(frame), _) if field.is_some() => {
                let frame = clean(frame);
                Some(format!(
                    "What leads there is a local variable of thread \"{name}\", in {frame}."
                ))
            }
            (Some(_), _) => Some(format!("That is the thread \"{name}\".")),
            (None, _) if field.is_some() => Some(format!("It hangs on the thread \"{name}\".")),
            (None, _) => None,
        };
    }
    let first = suspect.path.iter().find(|s| s.by == "static")?;
    let (class, name) = (first.declared_by.as_ref()?, first.name.as_ref()?);
    let is_it = field.is_some_and(|f| (&f.class, &f.name) == (class, name));
    let name = format!("{}.{}", clean(class), clean(name));
    let what = match (suspect.kind, field) {
        (Kind::Final, _) => return None,
        // That field was said to lead there already.
        (Kind::Soft | Kind::Weak, Some(_)) => {
            format!("The path begins at the static field {name}.")
        }
        _ => format!("The static field {name} leads there."),
    };
    (!is_it).then_some(what)
}

/// By what the objects hold what is large in them.
fn rest(suspect: &Suspect) -> Option<String> {
    let mut out = Vec::new();
    let behind = suspect.levels.get(suspect.fullest..)?;
    for (holder, level) in behind.iter().zip(behind.iter().skip(1)) {
        let Some(field) = &level.field else { break };
        if level.class == "byte[]" && holder.class == "java.lang.String" {
            break;
        }
        let inner = match is_outer(field) {
            true => ": an inner class keeps its outer object",
            false => "",
        };
        out.push(format!("By {} they hold {}{inner}.", field_name(field), objects(level)));
    }
    (!out.is_empty()).then(|| out.join(" "))
}

fn is_outer(field: &FieldName) -> bool {
    field.name.strip_prefix("this$").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

fn loaders(suspect: &Suspect) -> Option<String> {
    let twice = suspect.levels.iter().find(|l| l.classes > 1);
    match (suspect.loaders, twice) {
        (0, _) => None,
        (n @ 2.., Some(level)) => Some(format!(
            "With them {} class loaders stay, each with a class {} of its own, and all of their classes: a leak of class loaders.",
            number(n),
            clean(&level.class)
        )),
        (n, _) => Some(format!(
            "{} and all of {} classes cannot be unloaded with it.",
            count(n, "class loader", "class loaders"),
            if n == 1 { "its" } else { "their" }
        )),
    }
}

/// Of what is not strongly held.
fn weaker(suspect: &Suspect, threads: &[Thread]) -> String {
    let (bytes, share) = (size(suspect.bytes), suspect.share);
    let held = format!("{bytes}, {share:.1} % of all that is held,");
    // Behind what leads there by references.
    let what = suspect.levels.get(suspect.fullest).map(objects).unwrap_or_default();
    match suspect.kind {
        Kind::Final => {
            let busy = threads.iter().find(|t| t.name == "Finalizer");
            let frame = busy.and_then(|t| t.frames.iter().find(|f| f.contains(".finalize(")));
            let now = frame.map(|f| format!(" The thread \"Finalizer\" is in {} now.", clean(f)));
            format!(
                "{held} wait for finalizers: {what}. Nothing uses them any more, and no memory of theirs is freed before their finalize() has run.{}",
                now.unwrap_or_default()
            )
        }
        Kind::Phantom => format!(
            "{held} are held by phantom references at most: {what}. They go with the next collection and after their cleaners."
        ),
        Kind::Soft => format!(
            "{held} are held by soft references at most: {what}. They would go before memory runs out, and until then fill the heap{}.",
            by_field(suspect)
        ),
        _ => format!(
            "{held} are held by weak references at most: {what}. The next collection frees them{}.",
            by_field(suspect)
        ),
    }
}

fn by_field(suspect: &Suspect) -> String {
    let field = suspect.field.as_ref();
    field.map(|f| format!("; the field {} leads there", field_name(f))).unwrap_or_default()
}

fn outside(suspect: &Suspect) -> String {
    let what = suspect.levels.iter().find(|l| l.class.contains("ByteBuffer"));
    let holds = if suspect.field.is_none() && suspect.objects > 1 { "hold" } else { "holds" };
    format!(
        "{} {holds} {} outside of the heap, {:.1} % of all memory that objects hold: {}.",
        subject(suspect),
        size(suspect.bytes),
        suspect.share,
        what.map(objects).unwrap_or_else(|| filling(suspect))
    )
}

/// What to do next.
pub(super) fn advice(suspect: &Suspect) -> Vec<String> {
    let field = suspect.field.as_ref().map(field_name);
    let of = |class: &str| suspect.path.iter().any(|s| s.class.contains(class));
    let level = suspect.levels.get(suspect.fullest);
    let class = level.map_or_else(|| clean(&suspect.class), |l| clean(&l.class));
    let mut out = Vec::new();
    match suspect.kind {
        Kind::Final => {
            out.push(format!(
                "Do without finalize() in {class}: close() and try-with-resources, or a java.lang.ref.Cleaner. See why the finalizer thread does not keep up."
            ));
            return out;
        }
        Kind::Soft => {
            out.push("No leak, if that is meant: give the cache a limit of its own, or lower -XX:SoftRefLRUPolicyMSPerMB.".into());
            return out;
        }
        Kind::Weak | Kind::Phantom => {
            out.push("No leak: see whether collections happen, and whether reference queues are emptied.".into());
            return out;
        }
        Kind::Direct => out.push(
            "Use buffers again, or let go of them: their memory is freed after the buffer objects are. -XX:MaxDirectMemorySize sets a limit.".into(),
        ),
        Kind::Object | Kind::Group => {}
    }
    if suspect.loaders > 1 && suspect.levels.iter().any(|l| l.classes > 1) {
        let at = field.unwrap_or_else(|| "what holds them".into());
        out.push(format!("Take an application's {class} out of {at} when the application ends."));
        return out;
    }
    match (field, &suspect.field) {
        (Some(field), Some(FieldName { thread_local: true, .. })) => out.push(format!(
            "Call {field}.remove() when a task is done: the threads of a pool live on, and so does what they keep."
        )),
        (Some(field), _) if of("ThreadPoolExecutor") || of("Queue") => out.push(format!(
            "More is put into {field} than is taken out. Give the queue a limit, and see what keeps those who empty it: rjcore stack."
        )),
        (Some(field), _) => out.push(format!(
            "See where {field} is filled: take out what is done with, or give it a limit."
        )),
        (None, _) => out.push("Follow the path from its start: the first reference that need not be there is the one to clear.".into()),
    }
    if let Some(outer) =
        suspect.levels.iter().filter_map(|l| l.field.as_ref()).find(|f| is_outer(f))
    {
        out.push(format!(
            "Make {} a static class that is handed what it needs.",
            clean(&outer.class)
        ));
    }
    if ["Statement", "ResultSet", "Connection"].iter().any(|w| class.ends_with(w)) {
        out.push(format!("Close each {class} where it is opened: try-with-resources."));
    }
    if class == "java.lang.String" {
        out.push("If the same texts come again and again, keep one of each: -XX:+UseStringDeduplication shares their bytes.".into());
    }
    out
}

/// A step for people.
pub(in crate::output) fn told(step: &Step) -> String {
    let by = clean(&words::text(step.by, step.name.as_deref(), step.index));
    let times = if step.times > 1 { format!(" x {}", number(step.times)) } else { String::new() };
    let to = match step.object {
        Some(at) => object_name(&step.class, at, step.label.as_deref()),
        None => clean(&step.class),
    };
    format!("{by}{times} -> {to}")
}

/// The suspects for people, of `all` there are.
pub fn show(leaks: &Leaks, all: usize) -> String {
    let mut out = paragraph("", &leaks.text);
    for (i, suspect) in leaks.suspects.iter().enumerate() {
        out.push('\n');
        out += &paragraph(&format!("{}. ", i + 1), &suspect.text);
        if !suspect.path.is_empty() {
            out += "\n   Path from a root:\n";
            suspect.path.iter().for_each(|s| out.extend(["     ", &told(s), "\n"]));
        }
        if !suspect.classes.is_empty() {
            out += "\n   In it, by class:\n";
            let mut table = Table::new(&["bytes", "objects", "class"], &[2]);
            for of in suspect.classes.iter().take(CLASSES) {
                table.row(vec![number(of.bytes), number(of.objects), clean(&of.class)]);
            }
            table.text().lines().for_each(|l| out.extend(["     ", l, "\n"]));
            let shown = suspect.classes.len().min(CLASSES) as u64;
            let left = suspect.class_count.saturating_sub(shown);
            if left > 0 {
                let _ = writeln!(out, "     and {} more", count(left, "class", "classes"));
            }
        }
        if !suspect.next.is_empty() {
            out.push('\n');
            suspect.next.iter().for_each(|n| out += &paragraph("   Next: ", n));
        }
    }
    let left = all.saturating_sub(leaks.suspects.len()) as u64;
    if left > 0 {
        let _ = writeln!(out, "\nand {} more", count(left, "suspect", "suspects"));
    }
    out
}

/// Filled into lines, all but the first indented as far as `first` is long.
fn paragraph(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let lines = wrap(text.split(' ').map(str::to_owned), WIDTH - indent);
    let mut out = String::new();
    for (i, line) in lines.iter().enumerate() {
        if i == 0 {
            out.push_str(first);
        } else {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}
