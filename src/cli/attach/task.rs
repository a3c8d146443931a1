//! What an attach command asks of the JVM, and how the answer tells whether it was done.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::advice;
use super::split;
use crate::error::{Error, Result};
use crate::live::attach::{Attached, RequestText};
use crate::live::diagnostic::Diagnostic;
use crate::live::files::FilePlace;
use crate::live::protocol::Request;

/// What to ask, and how to judge the answer.
pub(super) struct Task {
    pub request: Request,
    kind: Kind,
    /// The file that the JVM writes.
    pub file: Option<FilePlace>,
}

/// How the answer tells whether it was done.
enum Kind {
    /// By the result code alone.
    Plain,
    /// The JVM writes a heap dump.
    Dump,
    /// By the command's own words.
    Diagnostic(Diagnostic),
    /// An agent's own result.
    Load,
    /// A flag that there may not be.
    Flag,
}

impl Task {
    /// Whether the end of the answer tells that it was done.
    pub(super) fn is_done(&self, said: &str) -> bool {
        match &self.kind {
            Kind::Plain => true,
            Kind::Load => is_loaded(said),
            Kind::Flag => !said.starts_with("no such flag"),
            Kind::Dump => said.contains("Heap dump file created"),
            Kind::Diagnostic(command) => command.is_done(said),
        }
    }

    /// Whether the file is a heap dump.
    pub(super) fn is_dump(&self) -> bool {
        match &self.kind {
            Kind::Dump => true,
            Kind::Diagnostic(command) => command.name() == "GC.heap_dump",
            Kind::Plain | Kind::Load | Kind::Flag => false,
        }
    }

    /// Whether the JVM was told to replace the file.
    pub(super) fn replaces(&self) -> bool {
        self.request.arguments.iter().any(|a| a.windows(10).any(|w| w == b"-overwrite"))
    }

    /// Whether the file is whole once the JVM says that it is done.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(&self.kind, Kind::Diagnostic(command) if !command.is_whole())
    }

    /// Has the JVM write another file; answers the one that was asked for.
    pub(super) fn move_file(&mut self, to: FilePlace) -> Option<OsString> {
        let name = to.inside.as_os_str();
        let asked = match &self.kind {
            Kind::Dump => {
                let argument = self.request.arguments.first_mut()?;
                let asked = OsStr::from_bytes(argument).to_owned();
                *argument = name.as_bytes().to_vec();
                asked
            }
            Kind::Diagnostic(command) => {
                let asked = command.file()?.to_owned();
                self.request.arguments = vec![command.with_file(name)];
                asked
            }
            Kind::Plain | Kind::Load | Kind::Flag => return None,
        };
        self.file = Some(to);
        Some(asked)
    }
}

/// JDK 8 answers with the agent's result alone, later ones with `return code: N`.
fn is_loaded(said: &str) -> bool {
    said.trim().trim_start_matches("return code:").trim() == "0"
}

/// The command in words, and what rjcore itself can do in its place.
pub(super) fn asked(words: &[&OsStr], pid: i32) -> RequestText {
    let all: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
    let name = all.iter().find(|w| *w != "jcmd").map_or("", |w| w.as_ref());
    let instead = match name {
        "stack" | "threaddump" | "Thread.print" | "Thread.dump_to_file" => {
            Some(format!("rjcore stack {pid}"))
        }
        "inspectheap" | "GC.class_histogram" => Some(format!("rjcore histo {pid}")),
        "dumpheap" | "GC.heap_dump" => Some(format!("rjcore dump {pid} -o heap.hprof")),
        "properties" | "VM.system_properties" => Some(format!("rjcore info {pid} --properties")),
        "printflag" | "GC.heap_info" => Some(format!("rjcore info {pid}")),
        name if name.ends_with(".hprof") => Some(format!("rjcore dump {pid} -o {name}")),
        name if name.starts_with("VM.") => Some(format!("rjcore info {pid}")),
        _ => None,
    };
    RequestText { words: all.join(" "), instead, command: advice::command }
}

pub(super) fn task(words: &[&OsStr], attached: &Attached) -> Result<Task> {
    let (name, rest) = split(words);
    let bytes = |i: usize| rest.get(i).map_or(&b""[..], |w| w.as_bytes());
    let plain = |request| Ok(Task { request, kind: Kind::Plain, file: None });
    let dump = |file: &OsStr, option: &[u8]| -> Result<Task> {
        let file = Path::new(file);
        let place = FilePlace::of(attached.target()?, file).map_err(Error::io(file))?;
        let inside = place.inside.as_os_str().as_bytes();
        let request = Request::new("dumpheap", &[inside, option]);
        Ok(Task { request, kind: Kind::Dump, file: Some(place) })
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
            let line = words.join(&b' ');
            let request = Request::new("jcmd", &[&line]);
            match Diagnostic::of(&line) {
                Some(command) => {
                    let target = attached.target()?;
                    let file = command.file().map(|f| FilePlace::inside(target, Path::new(f)));
                    Ok(Task { request, kind: Kind::Diagnostic(command), file })
                }
                None => plain(request),
            }
        }
        "load" => load(rest, attached),
        "printflag" => {
            let request = Request::new("printflag", &[bytes(0)]);
            Ok(Task { request, kind: Kind::Flag, file: None })
        }
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
        Ok(FilePlace::of(attached.target()?, file).map_err(Error::io(file))?.inside)
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
    Ok(Task { request, kind: Kind::Load, file: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_agents() {
        assert!(is_loaded("return code: 0\n") && is_loaded("0\n"));
        assert!(!is_loaded("return code: 102\n") && !is_loaded("not found") && !is_loaded(""));
    }

    #[test]
    fn what_to_run_instead() {
        let of = |line: &str| {
            let words: Vec<&OsStr> = line.split(' ').map(OsStr::new).collect();
            asked(&words, 7).instead.unwrap_or_default()
        };
        assert_eq!(of("stack"), "rjcore stack 7");
        assert_eq!(of("jcmd Thread.print -l"), "rjcore stack 7");
        assert_eq!(of("a.hprof"), "rjcore dump 7 -o a.hprof");
        assert_eq!(of("inspectheap"), "rjcore histo 7");
        assert_eq!(of("jcmd GC.heap_info"), "rjcore info 7");
        assert_eq!(of("setflag A 1"), "");
    }
}
