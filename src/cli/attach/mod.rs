//! `rjcore attach`: a command for a live JVM, by HotSpot's own attach mechanism.

mod fetch;
mod task;

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use fetch::Fetched;
use task::{Task, asked, task};

use super::vm_memory::look;
use super::who::Who;
use super::{Outcome, print, tell};
use crate::error::{Error, Result};
use crate::live::attach::{Attached, Options};
use crate::live::diagnostic;
use crate::live::files::FilePlace;
use crate::output::interrupt;
use crate::output::report::{size, size_exact};

const EXAMPLES: &str = "\
Commands:
  stack                         threads and locks: threaddump -l
  FILE.hprof                    a heap dump: dumpheap FILE.hprof -all
  threaddump [-l] [-e]          as jstack prints them
  dumpheap FILE [-live|-all]    as jmap -dump; -all by default
  inspectheap [-live|-all]      as jmap -histo; -all by default
  [jcmd] [COMMAND...]           what jcmd can ask for, such as GC.heap_info; help by default
  properties                    system properties
  printflag NAME                a flag of the VM
  setflag NAME VALUE            one that may be changed while it runs
  load LIBRARY|FILE.jar [OPTIONS]   an agent

Examples:
  rjcore attach 1234 heap.hprof
  rjcore attach --fetch 1234 heap.hprof   # the JVM is another user's, or in a container
  rjcore attach com.example.Main stack
  rjcore attach 1234 inspectheap -live
  rjcore attach 1234 VM.flags -all
  rjcore attach --timeout 5 1234 printflag HeapDumpOnOutOfMemoryError

The JVM does the work, in a safepoint where it needs one, and writes FILE itself: as its own user,
in its own file system. Where it does not open the door or does not answer, the error says why,
and rjcore capture needs no help of the JVM.";

/// Ask a live JVM as jmap, jstack and jcmd do, with no JDK
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Give up if the JVM does not open the door, or is silent, for so many seconds; 0 never
    /// does. A dump that grows is not silent
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=86_400))]
    timeout: u64,
    /// Bring the file that the JVM writes here: it becomes yours, and is removed where the JVM
    /// wrote it
    #[arg(long)]
    fetch: bool,
    /// Replace the file here if it exists
    #[arg(long, requires = "fetch")]
    overwrite: bool,
    /// The JVM's process id, or its main class
    #[arg(value_name = "PID")]
    pid: Who,
    /// The command, see below; options of rjcore go before it
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    #[arg(allow_hyphen_values = true)]
    command: Vec<OsString>,
}

fn usage(what: &str) -> Error {
    Error::usage(format!("{what}; see rjcore attach --help"))
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let mut words: Vec<&OsStr> = self.command.iter().map(OsString::as_os_str).collect();
        // People type what they know from jcmd.
        if words.first().is_some_and(|w| diagnostic::is_name(&w.to_string_lossy())) {
            words.insert(0, OsStr::new("jcmd"));
        }
        // What is wrong with the words is said before the JVM is looked at.
        check(&words)?;
        interrupt::install().map_err(Error::io("signal handlers".as_ref()))?;
        let pid = self.pid.pid()?;
        let attached = Attached::examine(pid, look, asked(&words, pid))?;
        for doubt in attached.doubts() {
            tell(&format!("rjcore: {doubt}\n"));
        }
        let mut task = task(&words, &attached)?;
        let fetched = match self.fetch {
            true => Some(Fetched::prepare(&mut task, &attached, self.overwrite)?),
            false => None,
        };
        if let Some(file) = &task.file
            && fetched.is_none()
        {
            before(file, &task, &attached, &words)?;
        }
        let said = self.ask(&task, &attached)?;
        if !task.is_done(&said) {
            return Err(attached.failed("the JVM could not do it, see its answer"));
        }
        if let Some(file) = &task.file
            && task.is_whole()
            && file.is_missing(attached.target()?)
        {
            let here = file.here.display();
            return Err(attached.failed(&format!(
                "the JVM says no word of a failure, but {here} is empty or not there"
            )));
        }
        match (fetched, &task.file) {
            (Some(fetched), _) => tell(&fetched.bring()?),
            (None, Some(file)) => tell(&after(file, pid)),
            (None, None) => {}
        }
        Ok(Outcome::Whole)
    }

    /// Asks the JVM, and shows its answer; answers the end of that, which may be long.
    fn ask(&self, task: &Task, attached: &Attached) -> Result<String> {
        let grown = Cell::new(0);
        let at_work = || match &task.file {
            Some(place) => {
                let size = attached.target().ok().and_then(|t| place.size(t)).unwrap_or(0);
                size > grown.replace(size)
            }
            None => false,
        };
        let options = Options {
            timeout: Duration::from_secs(self.timeout),
            cancelled: &interrupt::requested,
            at_work: &at_work,
        };
        let mut tail = Vec::new();
        let code = attached.run(&task.request, &options, &mut |text| {
            tail.extend(text);
            let cut = tail.len().saturating_sub(4096);
            tail.drain(..cut);
            print(text)
        })?;
        if !tail.is_empty() && !tail.ends_with(b"\n") {
            print(b"\n")?;
        }
        match code {
            0 => Ok(String::from_utf8_lossy(&tail).into_owned()),
            _ => Err(attached.failed(&format!("the JVM refused the command (result {code})"))),
        }
    }
}

/// What to say and to do before the JVM writes `file`.
fn before(file: &FilePlace, task: &Task, attached: &Attached, words: &[&OsStr]) -> Result<()> {
    let target = attached.target()?;
    let here = file.here.display();
    if task.is_dump() && file.size(target).is_some() && !task.replaces() {
        return Err(Error::usage(format!(
            "{here} exists already, and a JVM replaces no file; give another name"
        )));
    }
    if file.may_be_made(target) == Some(false) {
        let words: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
        let what = format!(
            "uid {} may not write in {}, where the file would be; have it brought here: rjcore \
             attach --fetch {} {}",
            target.effective.uid,
            file.here.parent().unwrap_or(Path::new("/")).display(),
            target.pid(),
            words.join(" ")
        );
        return Err(Error::attach(target.pid(), what));
    }
    if !file.shared {
        tell(&format!(
            "rjcore: the JVM has other files than you: from here the file is {here}, as long as \
             it runs\n"
        ));
    }
    if let Some(free) = file.free().filter(|f| *f < 64 << 20) {
        tell(&format!("rjcore: only {} are free where the JVM writes the file\n", size(free)));
    }
    Ok(())
}

fn after(file: &FilePlace, pid: i32) -> String {
    match std::fs::metadata(&file.here) {
        Ok(m) => format!("{}: {}\n", file.here.display(), size_exact(m.len())),
        Err(_) => format!(
            "the JVM wrote {} in its own file system, which is not to be seen from here \
             (process {pid}); rjcore attach --fetch brings such a file here\n",
            file.inside.display()
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
}
