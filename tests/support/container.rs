//! A JVM in a world of its own, as a container's: mount and PID namespaces, and a root with a JDK that the host has
//! under another name.

use std::path::{Path, PathBuf};

use super::child::Command;
use super::proc::{children, status};
use super::{Jvm, Scratch, classes, jdk, tool};

/// Makes `$1` the root of a world of its own: the system's programs and libraries, the JDK under a name that the
/// host does not have, the classes, rjcore; then runs the rest in it, as process 1.
const CONTAINER: &str = r#"
set -e
root=$1 jdk=$2 classes=$3 rjcore=$4
shift 4
for d in usr etc dev; do mkdir -p "$root/$d"; mount --rbind "/$d" "$root/$d"; done
for d in bin lib lib64; do [ -L "/$d" ] && ln -sfn "$(readlink "/$d")" "$root/$d"; done
mkdir -p "$root/proc" "$root/tmp" "$root/opt/hidden-jdk"
mount -t proc proc "$root/proc"
mount -t tmpfs none "$root/tmp"
mkdir -p "$root$classes" # below /tmp, perhaps
mount --bind "$jdk" "$root/opt/hidden-jdk"
mount --bind "$classes" "$root$classes"
cp "$rjcore" "$root/rjcore"
exec chroot "$root" "$@"
"#;

/// A JVM in a container.
pub struct Container {
    pub jvm: Jvm,
    /// The JVM's id here; in there it is 1.
    pub pid: i32,
    /// Its root, but for what is mounted in there: /tmp, say.
    pub root: PathBuf,
}

/// Starts `program` as the first process of a container, whose JDK is /opt/hidden-jdk.
pub fn container(version: u32, flags: &[&str], program: &str, dir: &Scratch) -> Container {
    let root = dir.path("root");
    std::fs::create_dir(&root).expect("a root");
    let mut cmd = Command::new(tool("unshare"));
    cmd.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]);
    cmd.args(["sh", "-c", CONTAINER, "sh"]).arg(&root);
    let home = std::fs::canonicalize(jdk(version)).expect("the JDK");
    cmd.arg(home).arg(classes()).arg(env!("CARGO_BIN_EXE_rjcore"));
    let jvm = Jvm::start_by(cmd, Path::new("/opt/hidden-jdk"), flags, program, dir);
    let pid = *children(jvm.pid() as i32).first().expect("a child of unshare");
    let inner = status(pid, pid).map(|s| s["NSpid"].clone()).unwrap_or_default();
    assert_eq!(inner.split_whitespace().last(), Some("1"), "it is the first of its namespace");
    Container { jvm, pid, root }
}
