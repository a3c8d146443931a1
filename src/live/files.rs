//! Where a file lands that a JVM is asked to write: it writes it itself, as its own user and in
//! its own file system.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, fstat, openat};
use rustix::io::Errno;

use super::mounts;
use super::target::Target;

/// A file's place, as the JVM and as this process name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePlace {
    /// As the user gave it.
    pub given: PathBuf,
    /// What the JVM is told.
    pub inside: PathBuf,
    /// Where it is to be found from here.
    pub here: PathBuf,
    /// The same file system and path on both sides.
    pub shared: bool,
}

impl FilePlace {
    /// The place of `file`. A relative name is meant from the working directory of this process,
    /// where the JVM has that directory under the same name; else from the JVM's own.
    pub(crate) fn of(target: &Target, file: &Path) -> io::Result<FilePlace> {
        let absolute = std::path::absolute(file)?;
        if is_shared(target, absolute.parent().unwrap_or(Path::new("/"))) {
            let given = file.to_owned();
            return Ok(FilePlace { given, inside: absolute.clone(), here: absolute, shared: true });
        }
        Ok(FilePlace::inside(target, file))
    }

    /// The place of what the JVM takes for `file`: a relative name is meant from its own working
    /// directory.
    pub(crate) fn inside(target: &Target, file: &Path) -> FilePlace {
        let (given, inside, pid) = (file.to_owned(), file.to_owned(), target.pid());
        if file.is_absolute() {
            let shared = is_shared(target, file.parent().unwrap_or(Path::new("/")));
            let root = PathBuf::from(format!("/proc/{pid}/root"));
            let through = root.join(file.strip_prefix("/").unwrap_or(file));
            let here = if shared { file.to_owned() } else { through };
            return FilePlace { given, inside, here, shared };
        }
        let link = format!("/proc/{pid}/cwd");
        let cwd = target.look(|| fs::read_link(&link)).unwrap_or_default();
        let shared = cwd.is_absolute() && is_shared(target, &cwd);
        let here = if shared { cwd } else { link.into() };
        FilePlace { given, inside, here: here.join(file), shared }
    }

    /// Its bytes, if it is there.
    pub(crate) fn size(&self, target: &Target) -> Option<u64> {
        target.look(|| fs::symlink_metadata(&self.here)).ok().map(|m| m.len())
    }

    /// Whether its directory can be seen, and it is not in there, or empty.
    pub(crate) fn is_missing(&self, target: &Target) -> bool {
        let Some(directory) = self.here.parent() else { return false };
        let is = |path: &Path| target.look(|| fs::symlink_metadata(path));
        is(directory).is_ok()
            && match is(&self.here) {
                Ok(there) => there.is_file() && there.len() == 0,
                Err(e) => e.kind() == io::ErrorKind::NotFound,
            }
    }

    /// Whether the JVM's user may make it; `None` if that is not to be seen.
    pub(crate) fn may_be_made(&self, target: &Target) -> Option<bool> {
        let directory = self.here.parent().filter(|p| !p.as_os_str().is_empty())?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = target.look(|| Ok(openat(CWD, directory, flags, Mode::empty())?)).ok()?;
        // From its root the JVM must get there, too.
        let parent = self.inside.parent().filter(|p| p.is_absolute());
        if self.shared && parent.is_some_and(|p| !is_reachable(target, p)) {
            return Some(false);
        }
        may_write(target, &directory)
    }

    /// Bytes that are free for the JVM's user where the file will be.
    pub(crate) fn free(&self) -> Option<u64> {
        free(self.here.parent()?)
    }
}

/// Whether the JVM's user may make files in a directory; `None` if that cannot be asked.
pub(crate) fn may_write(target: &Target, directory: &OwnedFd) -> Option<bool> {
    if !target.effective.is_ours_to_take() {
        return None;
    }
    let access = Access::WRITE_OK | Access::EXEC_OK;
    let ask = || accessat(directory, ".", access, AtFlags::EACCESS);
    match target.rights.run(ask).ok()? {
        Ok(()) => Some(true),
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Some(false),
        Err(_) => None,
    }
}

/// Whether a directory is the same one to both under this name.
fn is_shared(target: &Target, directory: &Path) -> bool {
    let own = fs::metadata(directory).ok().map(|m| (m.dev(), m.ino()));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // As the JVM's user one may not get there; as this process one does where the root is shown.
    let path = PathBuf::from(format!("/proc/{}/root", target.pid()))
        .join(directory.strip_prefix("/").unwrap_or(directory));
    let there = target.look(|| Ok(fstat(openat(CWD, &path, flags, Mode::empty())?)?));
    match there {
        Ok(there) => own == Some((there.st_dev, there.st_ino)),
        // Neither has it: the same if all else is.
        Err(e) if e.kind() == io::ErrorKind::NotFound && own.is_none() => {
            target.shares("mnt") == Some(true) && target.shares_root() == Some(true)
        }
        Err(e) => {
            e.kind() == io::ErrorKind::PermissionDenied
                && own.is_some()
                && mounts::same(target.pid(), directory) == Some(true)
        }
    }
}

/// Whether the JVM's user may search all directories on the way to this one.
fn is_reachable(target: &Target, directory: &Path) -> bool {
    let ask = || accessat(CWD, directory, Access::EXEC_OK, AtFlags::EACCESS);
    !target.effective.is_ours_to_take()
        || !matches!(target.rights.run(ask), Ok(Err(Errno::ACCESS | Errno::PERM)))
}

/// Bytes that are free in a directory for users without privileges.
pub(crate) fn free(directory: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(directory).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_places() {
        let own = Target::read(std::process::id() as i32).expect("ourselves");
        let place = FilePlace::of(&own, Path::new("x.hprof")).expect("a place");
        let cwd = std::env::current_dir().expect("a directory");
        assert_eq!((place.shared, &place.here), (true, &cwd.join("x.hprof")));
        assert_eq!(place.inside, place.here);
        assert!(place.free().is_some_and(|n| n > 0));
    }
}
