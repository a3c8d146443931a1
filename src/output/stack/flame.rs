//! A flame graph of the threads at the moment of the core, as SVG: as wide as threads are many.
//!
//! At the bottom stands the state, then the thread's name, then its frames. Threads of a pool are
//! one box. Those of them that wait at the same place say nothing more by being many: they are as
//! wide as one, and the box says how many they are.

use std::collections::BTreeMap;
use std::io::{self, Write};

use inferno::flamegraph::{self, Options};

use super::folded::{Folded, line, threads};
use super::{Role, ThreadDump};
use crate::error::{Error, Result};
use crate::hotspot::states::JavaState;
use crate::output::report::count;

/// Writes the SVG. The same core gives the same picture. `all` draws each waiting thread.
pub fn write(d: &ThreadDump, all: bool, out: &mut dyn Write) -> Result<()> {
    let (lines, folded) = lines(threads(d), all);
    let mut options = Options::default();
    options.title = "Threads".into();
    options.subtitle = Some(match folded {
        0 => d.vm.clone(),
        n => {
            let n = count(n, "idle thread is", "idle threads are");
            format!("{} - {n} not drawn: others of their pool wait at the same place", d.vm)
        }
    });
    options.count_name = "threads".into();
    options.deterministic = true;
    let lines = lines.iter().map(String::as_str);
    let drawn = flamegraph::from_lines(&mut options, lines, out);
    drawn.map_err(|e: io::Error| Error::from_write(e))
}

/// Stacks as flame graphs take them, sorted; and how many threads are not drawn.
pub(in crate::output) fn lines(
    threads: impl Iterator<Item = Folded>,
    all: bool,
) -> (Vec<String>, u64) {
    // By state, pool and frames: the first one's name, and how many there are.
    let mut groups: BTreeMap<(Role, String, Vec<String>), (String, u64)> = BTreeMap::new();
    for t in threads {
        let group = groups.entry((t.role, pool(&t.name), t.frames)).or_insert((t.name, 0));
        group.1 += 1;
    }
    let mut hidden = 0;
    let mut out: Vec<String> = groups
        .into_iter()
        .map(|((role, pool, frames), (name, n))| {
            // Virtual threads without carriers wait, too.
            let idle = role == Role::Virtual || role.state().is_some_and(JavaState::waits);
            let (name, width) = match n {
                1 => (name, 1),
                _ if idle && !all => {
                    hidden += n - 1;
                    (format!("{pool} ({n} threads)"), 1)
                }
                _ => (pool, n),
            };
            format!("{} {width}", line([&role.to_string(), &name], &frames))
        })
        .collect();
    out.sort();
    // A picture must show something.
    if out.is_empty() {
        out.push("(no Java frames) 1".into());
    }
    (out, hidden)
}

/// A thread's name with `*` for its numbers: `pool-1-thread-12` is one of `pool-*-thread-*`.
fn pool(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '0'..='9' if out.ends_with('*') => {}
            '0'..='9' => out.push('*'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(name: &str, state: JavaState, frames: &[&str]) -> Folded {
        let frames = frames.iter().map(|f| (*f).to_owned()).collect();
        Folded { name: name.into(), role: Role::Platform(Some(state)), frames }
    }

    #[test]
    fn idle_pools_are_as_wide_as_one() {
        let all = || {
            let idle = (1..=16).map(|i| {
                thread(&format!("pool-1-thread-{i}"), JavaState::Parked, &["run", "park"])
            });
            let busy = (17..=18).map(|i| {
                thread(&format!("pool-1-thread-{i}"), JavaState::Runnable, &["run", "a;b"])
            });
            let last = thread("main", JavaState::Parked, &["main", "park"]);
            idle.chain(busy).chain([last])
        };
        let (drawn, hidden) = lines(all(), false);
        assert_eq!(
            drawn,
            [
                "RUNNABLE;pool-*-thread-*;run;a:b 2",
                "WAITING (parking);main;main;park 1",
                "WAITING (parking);pool-*-thread-* (16 threads);run;park 1",
            ]
        );
        assert_eq!(hidden, 15);
        let (drawn, hidden) = lines(all(), true);
        assert_eq!(drawn[2], "WAITING (parking);pool-*-thread-*;run;park 16");
        assert_eq!(hidden, 0);
        assert_eq!(lines([].into_iter(), false).0, ["(no Java frames) 1"]);
    }
}
