//! Where a file lands that a JVM is asked to write: it writes it itself, as its own user and in
//! its own file system.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::target::Target;

/// A file's place, as the JVM and as this process name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What the JVM is told.
    pub inside: PathBuf,
    /// Where it is to be found from here.
    pub here: PathBuf,
    /// The same file system and path on both sides.
    pub shared: bool,
}

/// A directory's identity.
fn id(directory: &Path) -> Option<(u64, u64)> {
    fs::metadata(directory).ok().map(|m| (m.dev(), m.ino()))
}

impl Place {
    /// The place of `file`. A relative name is meant from the working directory of this process,
    /// where the JVM has that directory under the same name; else from the JVM's own.
    pub fn of(target: &Target, file: &Path) -> io::Result<Place> {
        let absolute = std::path::absolute(file)?;
        let root = PathBuf::from(format!("/proc/{}/root", target.pid()));
        let through = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        let directory = absolute.parent().unwrap_or(Path::new("/"));
        let there = id(&through(directory));
        // A JVM whose root may not be looked at is another user's: it is refused anyway.
        if there.is_some() && there == id(directory) {
            return Ok(Place { inside: absolute.clone(), here: absolute, shared: true });
        }
        if file.is_absolute() {
            return Ok(Place { inside: absolute.clone(), here: through(&absolute), shared: false });
        }
        let here = PathBuf::from(format!("/proc/{}/cwd", target.pid())).join(file);
        Ok(Place { inside: file.to_owned(), here, shared: false })
    }

    /// Bytes that are free for the JVM's user where the file will be.
    pub fn free(&self) -> Option<u64> {
        free(self.here.parent()?)
    }
}

/// Bytes that are free in a directory for users without privileges.
pub fn free(directory: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(directory).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_places() {
        let own = Target::read(std::process::id() as i32).expect("ourselves");
        let place = Place::of(&own, Path::new("x.hprof")).expect("a place");
        let cwd = std::env::current_dir().expect("a directory");
        assert_eq!((place.shared, &place.here), (true, &cwd.join("x.hprof")));
        assert_eq!(place.inside, place.here);
        assert!(place.free().is_some_and(|n| n > 0));
    }
}
