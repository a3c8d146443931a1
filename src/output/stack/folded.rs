//! Stacks as one line each, `thread;outermost;...;innermost 1`: what flame graphs are drawn from
//! (FlameGraph, inferno, speedscope).

use std::collections::BTreeMap;
use std::io;

use super::{Part, Role, Stack, ThreadDump};
use crate::output::report::clean;

/// A thread as flame graphs see it.
#[derive(Debug, Clone)]
pub(in crate::output) struct Folded {
    /// Its name, or the number of a virtual thread without one.
    pub name: String,
    /// What it is and does.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "flame graphs alone show it"))]
    pub role: Role,
    /// Its frames, outermost first.
    pub frames: Vec<String>,
}

/// Writes a line for each thread that has frames, in the dump's order of kinds and by name within
/// the lines; threads of one name and stack are one line with their number. A virtual thread has a
/// line of its own, and its carrier one.
pub fn write(d: &ThreadDump, out: &mut dyn io::Write) -> io::Result<()> {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for t in threads(d) {
        *lines.entry(line([&t.name], &t.frames)).or_default() += 1;
    }
    lines.iter().try_for_each(|(line, count)| writeln!(out, "{line} {count}"))
}

/// The parts of a line, joined by what parts them.
pub(super) fn line<'s>(
    first: impl IntoIterator<Item = &'s String>,
    frames: &'s [String],
) -> String {
    let plain = |part: &String| clean(part).replace(';', ":");
    first.into_iter().chain(frames).map(plain).collect::<Vec<_>>().join(";")
}

/// All threads that have frames.
pub(in crate::output) fn threads(d: &ThreadDump) -> impl Iterator<Item = Folded> + '_ {
    let virtual_name = |name: &str, number: Option<i64>| match (name, number) {
        ("", Some(number)) => format!("virtual thread #{number}"),
        ("", None) => "virtual thread".to_owned(),
        (name, _) => name.to_owned(),
    };
    let java = d.threads.iter().flat_map(move |t| {
        let own = (t.name.clone(), Role::of(t), &t.stack);
        let carried = t
            .carries
            .as_ref()
            .map(|c| (virtual_name(&c.name, c.number), Role::MountedVirtual, &c.stack));
        [Some(own), carried].into_iter().flatten()
    });
    let unmounted = d.virtual_threads.iter();
    let unmounted =
        unmounted.map(move |t| (virtual_name(&t.name, t.number), Role::Virtual, &*t.stack));
    let others = d.vm_threads.iter().chain(&d.other_threads);
    let others = others.filter_map(|t| Some((t.name.clone(), Role::Native, t.stack.as_ref()?)));
    let folded = |(name, role, stack): (String, _, &Stack)| {
        let frames = frames(stack);
        (!frames.is_empty()).then_some(Folded { name, role, frames })
    };
    java.chain(unmounted).chain(others).filter_map(folded)
}

/// The names of a stack's frames, outermost first.
fn frames(s: &Stack) -> Vec<String> {
    let name = |part: Part| match part {
        // A hidden class's address is another one in each process.
        Part::Java(f) => {
            let class =
                f.place.class.split_once("/0x").map_or(f.place.class.as_str(), |(class, _)| class);
            format!("{class}.{}", f.place.method)
        }
        Part::Native(f) => f.function.as_deref().map(str::to_owned).unwrap_or_else(|| {
            let path = f.library.as_deref().unwrap_or("(no library)");
            path.rsplit('/').next().unwrap_or(path).to_owned()
        }),
        Part::NativeEnd(_) => "(not read)".to_owned(),
    };
    let broken = s.broken.as_ref().map(|_| "(not read)".to_owned());
    let mut all: Vec<String> = s.parts().map(name).chain(broken).collect();
    all.reverse();
    all
}
