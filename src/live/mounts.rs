//! /proc/PID/mountinfo: whether a path means the same directory to two processes. The kernel shows
//! it of every process, also of those whose root it does not show.
//!
//! Knows the kernel's format; nothing of whose directories these are.

use std::fs;
use std::path::{Path, PathBuf};

/// What a mount is: the file system's device, the directory in it that was mounted, and where.
struct Mount {
    device: String,
    root: PathBuf,
    point: PathBuf,
}

/// Whether `path` is the same directory to the process `pid` and to this one; `None` where that
/// is not to be seen. Links on the way are not followed: a path with such is for equal mounts only.
pub(crate) fn same(pid: i32, path: &Path) -> Option<bool> {
    let read = |who: &str| fs::read_to_string(format!("/proc/{who}/mountinfo")).ok();
    let (own, other) = (read("self")?, read(&pid.to_string())?);
    if own == other {
        return Some(true);
    }
    Some(directory(&own, path)? == directory(&other, path)?)
}

/// Whether both processes have the same mounts below the same root; `None` if not to be seen.
pub(crate) fn same_all(pid: i32) -> Option<bool> {
    let read = |who: &str| fs::read(format!("/proc/{who}/mountinfo")).ok();
    Some(read("self")? == read(&pid.to_string())?)
}

/// The device and the path in its file system that `path` leads to.
fn directory(mountinfo: &str, path: &Path) -> Option<(String, PathBuf)> {
    let mounts = mountinfo.lines().filter_map(parse);
    let covering = mounts.filter(|m| path.starts_with(&m.point));
    // The deepest counts, and of several on one point the last.
    let m = covering.max_by_key(|m| m.point.components().count())?;
    let rest = path.strip_prefix(&m.point).ok()?;
    Some((m.device, m.root.join(rest)))
}

/// `id parent major:minor root point options ... - type source options`
fn parse(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ').skip(2);
    let mut field = || fields.next();
    let (device, root, point) = (field()?.to_owned(), field()?, field()?);
    Some(Mount { device, root: unescape(root), point: unescape(point) })
}

/// Blanks, tabs, line feeds and backslashes stand there as `\` and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        match part.get(..3).and_then(|d| u8::from_str_radix(d, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                out.push_str(&part[3..]);
            }
            None => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_leads_to() {
        let host = "22 1 8:1 / / rw - ext4 /dev/a rw\n23 22 0:21 / /proc rw - proc proc rw\n\
                    30 22 0:30 / /tmp rw - tmpfs none rw";
        let container = "90 80 0:50 / / rw - overlay overlay rw\n\
                         91 90 0:30 /a\\040b /tmp rw - tmpfs none rw\n\
                         92 90 8:1 /srv /data rw - ext4 /dev/a rw";
        let of = |text, path: &str| directory(text, Path::new(path));
        assert_eq!(of(host, "/tmp"), Some(("0:30".into(), "/".into())));
        assert_eq!(of(host, "/tmp/a b/c"), of(container, "/tmp/c"));
        assert_ne!(of(host, "/tmp"), of(container, "/tmp"));
        assert_eq!(of(host, "/srv/x"), of(container, "/data/x"));
        // A root that is no mount point is not in its own list.
        assert_eq!(of("91 90 0:30 / /tmp rw - tmpfs none rw", "/"), None);
        let own = std::process::id() as i32;
        assert_eq!((same(own, Path::new("/tmp")), same_all(own)), (Some(true), Some(true)));
        assert_eq!(same(i32::MAX, Path::new("/tmp")), None);
    }
}
