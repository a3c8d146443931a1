//! `rjcore attach`: a command for a live JVM, by HotSpot's own attach mechanism.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::inside::look;
use super::{Outcome, print, tell};
use crate::error::{Error, Result};
use crate::live::attach::{Attached, Options};
use crate::live::files::Place;
use crate::live::protocol::Request;
use crate::output::interrupt;
use crate::output::report::{size, size_exact};

const EXAMPLES: &str = "\
Commands:
  stack                         threads and locks: threaddump -l
  FILE.hprof                    a heap dump: dumpheap FILE.hprof -all
  threaddump [-l] [-e]          as jstack prints them
  dumpheap FILE [-live|-all]    as jmap -dump; -all by default
  inspectheap [-live|-all]      as jmap -histo; -all by default
  jcmd [COMMAND...]             what jcmd can ask for; help by default
  properties                    system properties
  printflag NAME                a flag of the VM
  setflag NAME VALUE            one that may be changed while it runs
  load LIBRARY|FILE.jar [OPTIONS]   an agent

Examples:
  rjcore attach 1234 heap.hprof
  rjcore attach 1234 stack
  rjcore attach 1234 inspectheap -live
  rjcore attach 1234 jcmd VM.flags -all
  rjcore attach --timeout 5 1234 printflag HeapDumpOnOutOfMemoryError

The JVM does the work, in a safepoint where it needs one, and writes FILE itself: as its own user,
in its own file system. Where it does not open the door or does not answer, the error says why,
and rjcore capture needs no help of the JVM.";

/// Ask a live JVM as jmap, jstack and jcmd do, with no JDK
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Give up if the JVM does not open the door, or is silent, for so many seconds; 0 never
    /// does. A dump that grows is not silent
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=86_400))]
    timeout: u64,
    /// The JVM's process id
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,
    /// The command, see below; options of rjcore go before it
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    #[arg(allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// What to ask, and how to judge the answer.
struct Task {
    request: Request,
    kind: Kind,
}

/// How the answer tells whether it was done.
enum Kind {
    /// By the result code alone.
    Plain,
    /// The JVM writes this file.
    Dump(Place),
    /// An agent's own result.
    Load,
}

fn usage(what: &str) -> Error {
    Error::Usage(format!("{what}; see rjcore attach --help"))
}

impl Args {
    pub fn run(&self) -> Result<Outcome> {
        let words: Vec<&OsStr> = self.command.iter().map(OsString::as_os_str).collect();
        // What is wrong with the words is said before the JVM is looked at.
        check(&words)?;
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let attached = Attached::examine(self.pid, look)?;
        for doubt in attached.doubts() {
            tell(&format!("rjcore: {doubt}\n"));
        }
        let task = task(&words, &attached)?;
        if let Kind::Dump(place) = &task.kind {
            before_dump(place)?;
        }
        let grown = Cell::new(0);
        let at_work = || match &task.kind {
            Kind::Dump(place) => {
                let size = std::fs::metadata(&place.here).map_or(0, |m| m.len());
                size > grown.replace(size)
            }
            _ => false,
        };
        let options = Options {
            timeout: Duration::from_secs(self.timeout),
            cancelled: &interrupt::requested,
            at_work: &at_work,
        };
        // The end of an answer tells whether an agent or a dump came to be; the rest may be long.
        let mut tail = Vec::new();
        let code = attached.run(&task.request, &options, &mut |text| {
            tail.extend(text);
            let cut = tail.len().saturating_sub(4096);
            tail.drain(..cut);
            print(text)
        })?;
        let said = String::from_utf8_lossy(&tail);
        if !tail.is_empty() && !tail.ends_with(b"\n") {
            print(b"\n")?;
        }
        if code != 0 {
            let what = format!("the JVM refused the command (result {code})");
            return Err(Error::Attach { pid: self.pid, what });
        }
        let done = match &task.kind {
            Kind::Plain => true,
            Kind::Load => is_loaded(&said),
            Kind::Dump(place) => {
                let done = said.contains("Heap dump file created");
                if done {
                    tell(&after_dump(place, self.pid));
                }
                done
            }
        };
        match done {
            true => Ok(Outcome::Whole),
            false => Err(Error::Attach { pid: self.pid, what: "the JVM could not do it".into() }),
        }
    }
}

/// JDK 8 answers with the agent's result alone, later ones with `return code: N`.
fn is_loaded(said: &str) -> bool {
    said.trim().trim_start_matches("return code:").trim() == "0"
}

fn before_dump(place: &Place) -> Result<()> {
    let here = place.here.display();
    if place.here.symlink_metadata().is_ok() {
        return Err(Error::Usage(format!(
            "{here} exists already, and a JVM replaces no file; give another name"
        )));
    }
    if !place.shared {
        tell(&format!(
            "rjcore: the JVM has other files than you: from here the dump is {here}, as long as it \
             runs\n"
        ));
    }
    if let Some(free) = place.free().filter(|f| *f < 64 << 20) {
        tell(&format!("rjcore: only {} are free where the JVM writes the dump\n", size(free)));
    }
    Ok(())
}

fn after_dump(place: &Place, pid: i32) -> String {
    match std::fs::metadata(&place.here) {
        Ok(m) => format!("{}: {}\n", place.here.display(), size_exact(m.len())),
        Err(_) => format!(
            "the JVM wrote {} in its own file system, which is not to be seen from here \
             (process {pid})\n",
            place.inside.display()
        ),
    }
}

const COMMANDS: [&str; 9] = [
    "stack",
    "threaddump",
    "dumpheap",
    "inspectheap",
    "jcmd",
    "properties",
    "printflag",
    "setflag",
    "load",
];

/// Whether the words are a command with the arguments that it takes.
fn check(words: &[&OsStr]) -> Result<()> {
    let (name, rest) = split(words);
    let among = |allowed: &[&str]| rest.iter().all(|w| allowed.iter().any(|a| *w == *a));
    let fits = match name.as_ref() {
        "stack" | "properties" => rest.is_empty(),
        "threaddump" => among(&["-l", "-e"]),
        "inspectheap" => rest.len() <= 1 && among(&["-live", "-all"]),
        "dumpheap" => {
            let (file, option) = (rest.first(), rest.get(1..).unwrap_or_default());
            file.is_some_and(|f| !f.is_empty() && !f.as_bytes().starts_with(b"-"))
                && option.len() <= 1
                && option.iter().all(|o| *o == "-live" || *o == "-all")
        }
        "jcmd" => true,
        "printflag" => rest.len() == 1,
        "setflag" => rest.len() == 2,
        "load" => matches!(rest.len(), 1 | 2),
        name if name.ends_with(".hprof") => rest.is_empty(),
        name => {
            return Err(usage(&format!(
                "there is no command {name:?}; there are {}, and FILE.hprof",
                COMMANDS.join(", ")
            )));
        }
    };
    match fits {
        true => Ok(()),
        false => Err(usage(&format!("{name} does not take these arguments"))),
    }
}

fn split<'w>(words: &'w [&'w OsStr]) -> (std::borrow::Cow<'w, str>, &'w [&'w OsStr]) {
    match words.split_first() {
        Some((first, rest)) => (first.to_string_lossy(), rest),
        None => ("".into(), &[]),
    }
}

fn task(words: &[&OsStr], attached: &Attached) -> Result<Task> {
    let (name, rest) = split(words);
    let bytes = |i: usize| rest.get(i).map_or(&b""[..], |w| w.as_bytes());
    let plain = |request| Ok(Task { request, kind: Kind::Plain });
    let dump = |file: &OsStr, option: &[u8]| -> Result<Task> {
        let file = Path::new(file);
        let place = Place::of(attached.target()?, file).map_err(Error::io(file))?;
        let inside = place.inside.as_os_str().as_bytes();
        let request = Request::new("dumpheap", &[inside, option]);
        Ok(Task { request, kind: Kind::Dump(place) })
    };
    match name.as_ref() {
        "stack" => plain(Request::new("threaddump", &[b"-l"])),
        "threaddump" => {
            // JDK 8 knows `-l` alone, later ones look for letters.
            let letters = rest.iter().map(|w| w.as_bytes()).collect::<Vec<_>>().concat();
            plain(Request::new("threaddump", &[&letters]))
        }
        "inspectheap" => {
            let option = if rest.is_empty() { b"-all" } else { bytes(0) };
            plain(Request::new("inspectheap", &[option]))
        }
        "dumpheap" => dump(
            rest.first().copied().unwrap_or_default(),
            match rest.len() {
                1 => b"-all",
                _ => bytes(1),
            },
        ),
        "jcmd" if rest.is_empty() => plain(Request::new("jcmd", &[b"help"])),
        "jcmd" => {
            let words: Vec<&[u8]> = rest.iter().map(|w| w.as_bytes()).collect();
            plain(Request::new("jcmd", &[&words.join(&b' ')]))
        }
        "load" => load(rest, attached),
        name if name.ends_with(".hprof") => {
            dump(words.first().copied().unwrap_or_default(), b"-all")
        }
        name => {
            let arguments: Vec<&[u8]> = rest.iter().map(|w| w.as_bytes()).collect();
            plain(Request::new(name, &arguments))
        }
    }
}

/// An agent: a jar goes to the library `instrument`, a path is made absolute, a bare name is for
/// the JVM to find.
fn load(rest: &[&OsStr], attached: &Attached) -> Result<Task> {
    let agent = rest.first().copied().unwrap_or_default();
    let options = rest.get(1).map_or(&b""[..], |w| w.as_bytes());
    let path = || -> Result<PathBuf> {
        let file = Path::new(agent);
        Ok(Place::of(attached.target()?, file).map_err(Error::io(file))?.inside)
    };
    let request = if agent.as_bytes().ends_with(b".jar") {
        let mut text = path()?.into_os_string().into_encoded_bytes();
        if !options.is_empty() {
            text.push(b'=');
            text.extend(options);
        }
        Request::new("load", &[b"instrument", b"false", &text])
    } else if agent.as_bytes().contains(&b'/') {
        Request::new("load", &[path()?.as_os_str().as_bytes(), b"true", options])
    } else {
        Request::new("load", &[agent.as_bytes(), b"false", options])
    };
    Ok(Task { request, kind: Kind::Load })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_right(line: &str) -> bool {
        let words: Vec<&OsStr> = line.split(' ').map(OsStr::new).collect();
        check(&words).is_ok()
    }

    #[test]
    fn words_are_checked() {
        for line in [
            "stack",
            "heap.hprof",
            "a/b.hprof",
            "threaddump",
            "threaddump -l -e",
            "dumpheap f",
            "dumpheap f -live",
            "inspectheap -all",
            "jcmd",
            "jcmd VM.flags -all",
            "printflag A",
            "setflag A 1",
            "load x.jar",
            "load x opts",
            "properties",
        ] {
            assert!(is_right(line), "{line}");
        }
        for line in [
            "stack -l",
            "heap.hprof -live",
            "threaddump -x",
            "dumpheap",
            "dumpheap -live",
            "dumpheap f -x",
            "inspectheap -x",
            "printflag",
            "setflag A",
            "load",
            "heapdump",
            "",
        ] {
            assert!(!is_right(line), "{line}");
        }
    }

    #[test]
    fn results_of_agents() {
        assert!(is_loaded("return code: 0\n") && is_loaded("0\n"));
        assert!(!is_loaded("return code: 102\n") && !is_loaded("not found") && !is_loaded(""));
    }
}
