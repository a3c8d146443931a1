//! /proc/PID/net/unix: which sockets listen under a name, and whether a process holds one.
//!
//! Knows the kernel's formats; nothing of who listens for what.

use std::fs;
use std::io;

/// A socket of the domain unix that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// The socket's own inode, as in `socket:[N]`; not that of its file.
    pub inode: u64,
    /// The name that it was bound to; renames of the file are not seen here.
    pub path: String,
}

/// SO_ACCEPTCON, among the flags in /proc/net/unix.
const LISTENS: u32 = 0x1_0000;

/// All that listen in the network namespace of `pid`.
pub(crate) fn listening(pid: i32) -> io::Result<Vec<Listener>> {
    let text = fs::read(format!("/proc/{pid}/net/unix"))?;
    Ok(String::from_utf8_lossy(&text).lines().skip(1).filter_map(parse).collect())
}

/// `Num: RefCount Protocol Flags Type St Inode Path`
fn parse(line: &str) -> Option<Listener> {
    let mut rest = line;
    let mut field = || {
        rest = rest.trim_start();
        let (word, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail;
        word
    };
    let words: [&str; 7] = std::array::from_fn(|_| field());
    let flags = u32::from_str_radix(words[3], 16).ok()?;
    let inode = words[6].parse().ok()?;
    (flags & LISTENS != 0 && !rest.is_empty()).then(|| Listener { inode, path: rest.into() })
}

/// Whether `pid` has the socket open; an error if its descriptors may not be looked at.
pub(crate) fn holds(pid: i32, inode: u64) -> io::Result<bool> {
    let name = format!("socket:[{inode}]");
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        match fs::read_link(entry.path()) {
            Ok(link) if link.as_os_str() == name.as_str() => return Ok(true),
            // It may list them and not say what they are.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(e),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn lines() {
        let line = "0000000086df1b5b: 00000002 00000000 00010000 0001 01 26171217 /tmp/a b";
        assert_eq!(parse(line), Some(Listener { inode: 26_171_217, path: "/tmp/a b".into() }));
        assert_eq!(parse("00: 00000003 00000000 00000000 0001 03   631"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_listener_of_our_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let own = std::process::id() as i32;
        let find = || {
            let all = listening(own).expect("sockets");
            all.into_iter().find(|l| std::path::Path::new(&l.path) == path)
        };
        let found = find().expect("it listens");
        assert!(holds(own, found.inode).expect("ours"));
        let _connected = UnixStream::connect(&path).expect("a connection");
        drop(listener);
        assert_eq!(find(), None, "a connection is no listener");
        assert!(!holds(own, found.inode).expect("ours"));
    }
}
