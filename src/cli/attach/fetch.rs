//! `rjcore attach --fetch`: the file that the JVM writes is brought to the caller.
//!
//! The JVM writes it where it may; it is read from there with the JVM's own rights, so that a link
//! in its place leads to nothing that the JVM could not read itself; and it is removed there on
//! every path.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, unlinkat};

use super::super::source::check_output;
use super::task::Task;
use crate::error::{Error, Result};
use crate::live::attach::Attached;
use crate::live::files::FilePlace;
use crate::live::identity::Rights;
use crate::live::target::ReachedDirectory;
use crate::output::interrupt;
use crate::output::report::size_exact;
use crate::output::sink::{Sink, Target};

/// A file on its way.
pub(super) struct Fetched {
    /// Where it goes.
    target: Target,
    there: There,
}

/// The JVM's copy; removed when dropped.
struct There {
    directory: ReachedDirectory,
    name: String,
    rights: Rights,
}

impl Fetched {
    /// Has the JVM write the task's file where it may.
    pub(super) fn prepare(
        task: &mut Task,
        attached: &Attached,
        overwrite: bool,
    ) -> Result<Fetched> {
        if !task.is_whole() {
            return Err(Error::usage(
                "--fetch is for a file that is whole once the JVM has answered; this one it goes \
                 on writing",
            ));
        }
        let jvm = attached.target()?;
        let directory = attached.writable_directory().ok_or_else(|| {
            attached.failed("it may write neither in its temporary nor in its working directory")
        })?;
        let stamp = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_nanos());
        let end = task.file.as_ref().and_then(|f| f.inside.extension()).unwrap_or_default();
        let name = format!(".rjcore-{}-{stamp}.{}", std::process::id(), end.to_string_lossy());
        // As the user gave it: a dump's name may have been made the JVM's.
        let given = task.file.as_ref().map(|f| f.given.clone());
        let place = FilePlace {
            given: PathBuf::new(),
            inside: Path::new(&directory.inside).join(&name),
            here: directory.path.join(&name),
            shared: false,
        };
        let (Some(given), Some(_)) = (given, task.move_file(place)) else {
            return Err(Error::usage("--fetch needs a command that writes a file that is named"));
        };
        let target = Target::new(given.as_os_str(), overwrite);
        check_output(None, &target)?;
        Ok(Fetched { target, there: There { directory, name, rights: jvm.rights.clone() } })
    }

    /// Copies it; answers what to say.
    pub(super) fn bring(self) -> Result<String> {
        let shown = self.there.directory.path.join(&self.there.name);
        let mut file = self.there.open().map_err(Error::io(&shown))?;
        let mut sink = Sink::open(&self.target, true)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            interrupt::check(&shown)?;
            let n = file.read(&mut buffer).map_err(Error::io(&shown))?;
            if n == 0 {
                break;
            }
            sink.write_all(&buffer[..n]).map_err(Error::from_write)?;
        }
        let bytes = sink.finish()?;
        Ok(format!("{}: {}\n", self.target.name(), size_exact(bytes)))
    }
}

impl There {
    fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || openat(&self.directory.directory, &self.name, flags, Mode::empty());
        let file = self.rights.run(open)??;
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            _ => Err(io::Error::other("it is no plain file: something else was put there")),
        }
    }
}

impl Drop for There {
    fn drop(&mut self) {
        let remove = || unlinkat(&self.directory.directory, &self.name, AtFlags::empty());
        if !matches!(self.rights.run(remove), Ok(Ok(()))) {
            let _ = remove();
        }
    }
}
