//! HotSpot's diagnostic commands (jcmd's) whose answer, not its result code, tells whether they did
//! what they were asked: they write a file, change something, or tell what must be switched on or be
//! there first. From 25 on the JVM sends the code before the work is done.
//!
//! Words as JDK 8 to 28 print them (diagnosticCommand.cpp, heapDumper.cpp, jdk.jfr's DCmd classes).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Where a command's file stands among its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileArgument {
    /// The first that is no option.
    First,
    /// The second: behind what it should do.
    Second,
    /// Behind this.
    Behind(&'static str),
    /// It writes none.
    None,
}

/// How the answer shows that the command was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Success {
    /// One of these is in it.
    Says(&'static [&'static str]),
    /// None of these is in it.
    SaysNone(&'static [&'static str]),
    /// It says nothing.
    Silent,
}

/// A command of that kind.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    name: &'static str,
    place: FileArgument,
    success: Success,
    /// Whether the file is whole once the command is done.
    is_whole: bool,
}

const fn command(name: &'static str, place: FileArgument, success: Success) -> Command {
    Command { name, place, success, is_whole: true }
}

const NOT_DONE: &[&str] =
    &["Failed", "failed", "Could not", "Cannot", "Error", "Exception", "unsupported"];

/// A command that writes no file, and was not done where its answer has one of these words.
const fn unless(name: &'static str, words: &'static [&'static str]) -> Command {
    command(name, FileArgument::None, Success::SaysNone(words))
}

static COMMANDS: [Command; 21] = [
    command("GC.heap_dump", FileArgument::First, Success::Says(&["Heap dump file created"])),
    command("Thread.dump_to_file", FileArgument::First, Success::Says(&["Created "])),
    command("JFR.dump", FileArgument::Behind("filename="), Success::Says(&["written to:"])),
    command("JFR.stop", FileArgument::Behind("filename="), Success::Says(&["Stopped recording"])),
    Command {
        is_whole: false,
        ..command(
            "JFR.start",
            FileArgument::Behind("filename="),
            Success::Says(&["Started recording"]),
        )
    },
    unless("JFR.configure", NOT_DONE),
    unless("JFR.check", &["Could not find"]),
    unless("JFR.view", &["Could not find", "No recording data"]),
    command("Compiler.perfmap", FileArgument::First, Success::SaysNone(NOT_DONE)),
    command(
        "System.dump_map",
        FileArgument::Behind("-F="),
        Success::Says(&["Memory map dumped to"]),
    ),
    command(
        "VM.cds",
        FileArgument::Second,
        Success::SaysNone(&[
            "Exception",
            "should run",
            "Error",
            "error",
            "ailed",
            "annot",
            "nable",
            "upported",
        ]),
    ),
    unless("AOT.end_recording", NOT_DONE),
    Command {
        is_whole: false,
        ..command(
            "VM.log",
            FileArgument::Behind("output="),
            Success::SaysNone(&["Error", "failed", "Invalid", "Could not"]),
        )
    },
    command("VM.set_flag", FileArgument::None, Success::Silent),
    unless("VM.native_memory", &["not enabled", "No baseline", "ncorrect", "At most one"]),
    unless("GC.run", &["no GC has been performed"]),
    unless("GC.rotate_log", &["not support"]),
    unless("Compiler.directives_add", NOT_DONE),
    unless("Compiler.memory", &["statistics disabled"]),
    unless("help", &["Help unavailable"]),
    command("JVMTI.agent_load", FileArgument::None, Success::Says(&["return code: 0"])),
];

/// A request for a diagnostic command, cut into its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    words: Vec<Vec<u8>>,
    command: &'static Command,
}

impl Diagnostic {
    /// The command of a line, if it is one of those.
    pub(crate) fn of(line: &[u8]) -> Option<Diagnostic> {
        let words = split(line);
        let name = words.first()?;
        let command = COMMANDS.iter().find(|c| c.name.as_bytes() == name.as_slice())?;
        Some(Diagnostic { words, command })
    }

    /// The command's name.
    pub(crate) fn name(&self) -> &'static str {
        self.command.name
    }

    /// The index of the word that names its file, and where in the word the name begins.
    fn place(&self) -> Option<(usize, usize)> {
        let plain = |w: &&(usize, &Vec<u8>)| !w.1.starts_with(b"-");
        let all: Vec<(usize, &Vec<u8>)> = self.words.iter().enumerate().skip(1).collect();
        match self.command.place {
            FileArgument::First => all.iter().find(plain).map(|w| (w.0, 0)),
            FileArgument::Second => all.iter().filter(plain).nth(1).map(|w| (w.0, 0)),
            FileArgument::Behind(start) => {
                let (i, word) = all.iter().find(|w| w.1.starts_with(start.as_bytes()))?;
                // VM.log's streams are no files, and its files may say that they are.
                let name = &word[start.len()..];
                let stream = name == b"stdout" || name == b"stderr" || name.starts_with(b"#");
                let start = start.len() + if name.starts_with(b"file=") { 5 } else { 0 };
                (!stream && start < word.len()).then_some((*i, start))
            }
            FileArgument::None => None,
        }
    }

    /// The file that it writes, as it was given.
    pub(crate) fn file(&self) -> Option<&OsStr> {
        let (word, start) = self.place()?;
        Some(OsStr::from_bytes(&self.words[word][start..]))
    }

    /// Whether the file is whole once the command is done; a recording or a log goes on.
    pub(crate) fn is_whole(&self) -> bool {
        self.command.is_whole
    }

    /// The line with another file.
    pub(crate) fn with_file(&self, file: &OsStr) -> Vec<u8> {
        let mut words = self.words.clone();
        if let Some((word, start)) = self.place() {
            words[word].truncate(start);
            words[word].extend(file.as_bytes());
        }
        let quoted = |w: &Vec<u8>| match w.contains(&b' ') {
            true => [b"\"", w.as_slice(), b"\""].concat(),
            false => w.clone(),
        };
        words.iter().map(quoted).collect::<Vec<_>>().join(&b' ')
    }

    /// Whether the answer `said` (its end, if it is long) tells that it was done.
    pub(crate) fn is_done(&self, said: &str) -> bool {
        match self.command.success {
            Success::Says(all) => all.iter().any(|w| said.contains(w)),
            // Names that the user gave may hold any word.
            Success::SaysNone(all) => {
                let mut rest = said.to_owned();
                for word in &self.words[1..] {
                    let word = String::from_utf8_lossy(word);
                    let name = word.rsplit('=').next().unwrap_or(&word);
                    if name.len() > 2 {
                        rest = rest.replace(name, "");
                    }
                }
                !all.iter().any(|w| rest.contains(w))
            }
            Success::Silent => said.trim().is_empty(),
        }
    }
}

/// Words between blanks; quotes hold one together (DCmdArgIter).
fn split(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut out, mut word, mut quote) = (Vec::new(), Vec::new(), None);
    for &c in line {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == b'"' || c == b'\'' => quote = Some(c),
            None if c == b' ' => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

/// Whether a word is the name of a diagnostic command: `GC.heap_info`, `help`.
pub(crate) fn is_name(word: &str) -> bool {
    let is_part =
        |p: &str| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let of_two = word.split_once('.').is_some_and(|(group, name)| {
        group.starts_with(|c: char| c.is_ascii_uppercase()) && is_part(group) && is_part(name)
    });
    word == "help" || (of_two && !word.ends_with(".hprof"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Diagnostic {
        Diagnostic::of(line.as_bytes()).expect("a command")
    }

    #[test]
    fn files() {
        for (line, file, other) in [
            ("GC.heap_dump -all /a.hprof", Some("/a.hprof"), "GC.heap_dump -all x y"),
            ("GC.heap_dump \"a b\" -gz=1", Some("a b"), "GC.heap_dump x y -gz=1"),
            ("JFR.dump name=r filename=c", Some("c"), "JFR.dump name=r filename=x y"),
            ("VM.cds static_dump a.jsa", Some("a.jsa"), "VM.cds static_dump x y"),
            ("System.dump_map -H -F=m", Some("m"), "System.dump_map -H -F=x y"),
            ("VM.log output=file=l what=gc", Some("l"), "VM.log output=file=x y what=gc"),
        ] {
            assert_eq!(of(line).file(), file.map(OsStr::new), "{line}");
            let with = String::from_utf8(of(line).with_file(OsStr::new("x y"))).expect("UTF-8");
            assert_eq!(with.replace('"', ""), other);
        }
        for line in [
            "JFR.dump name=r",
            "VM.log output=stdout",
            "VM.log output=#1",
            "VM.cds static_dump",
            "VM.set_flag A 1",
        ] {
            assert_eq!(of(line).file(), None, "{line}");
        }
        assert_eq!(Diagnostic::of(b"GC.heap_info"), None);
        assert_eq!(Diagnostic::of(b""), None);
        assert!(!of("JFR.start filename=x").is_whole() && of("JFR.stop filename=x").is_whole());
    }

    #[test]
    fn answers() {
        for (line, done, not) in [
            (
                "GC.heap_dump f",
                "Dumping heap to f ...\nHeap dump file created [9 bytes in 0.1 secs]\n",
                "Unable to create f: File exists\n",
            ),
            ("Compiler.perfmap /Error/f", "", "Warning: Failed to create /Error/f for perf map\n"),
            (
                "VM.cds static_dump /failed",
                "Static dump: /failed\n",
                "Static dump: java.io.IOException: No such file or directory\n",
            ),
            ("VM.set_flag A 1", "", "only 'writeable' flags can be set\n"),
            ("JVMTI.agent_load a", "return code: 0\n", "return code: 7\n"),
            ("VM.log output=l what=gcx", "", "Invalid tag 'gcx' in log selection.\n"),
            (
                "VM.native_memory summary",
                "Native Memory Tracking:\n",
                "Native memory tracking is not enabled\n",
            ),
            (
                "VM.native_memory detail.diff",
                "Baseline taken\n",
                "Detail tracking is not enabled\n",
            ),
            ("JFR.check name=r", "Recording 1: name=r (running)\n", "Could not find r.\n"),
            ("help GC.run", "GC.run\n", "Help unavailable : 'GC.x' : No such command\n"),
        ] {
            assert!(of(line).is_done(done) && !of(line).is_done(not), "{line}");
        }
    }

    #[test]
    fn names() {
        assert!(is_name("GC.heap_info") && is_name("VM.version") && is_name("help"));
        assert!(
            !is_name("heap.hprof") && !is_name("Heap.hprof") && !is_name("stack") && !is_name("A.")
        );
    }
}
