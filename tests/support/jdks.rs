//! The JDKs 8 to the newest of scripts/setup-jdks.sh, which run in a root and a mount namespace of their own.

use super::child::Command;
use super::{Jvm, Scratch, classes, dep};
use std::ffi::OsString;
use std::path::PathBuf;

/// What their processes have as their root: a sysroot for rjcore.
pub fn root() -> PathBuf {
    dep(".test-deps/jdks/root")
}

/// The newest that the set-up found.
pub fn newest() -> u32 {
    let said = std::fs::read_to_string(dep(".test-deps/jdks/newest")).expect("a number");
    said.trim().parse().expect("a number")
}

/// A program and arguments that run `program` of JDK `version`, as the same process.
fn prefix(version: u32, program: &str) -> Vec<OsString> {
    let words = [env!("CARGO_TARGET_TMPDIR").into(), version.to_string(), program.into()];
    let script = dep("scripts/jdk.sh").into_os_string();
    [script, "-b".into()].into_iter().chain(words.map(OsString::from)).collect()
}

/// A command of a JDK's program. Paths in the target directory are the same inside.
pub fn command(version: u32, program: &str) -> Command {
    let prefix = prefix(version, program);
    let mut cmd = Command::new(&prefix[0]);
    cmd.args(&prefix[1..]).env("LC_ALL", "C.UTF-8").env_remove("JAVA_TOOL_OPTIONS");
    cmd
}

/// Starts a program of ours with such a JDK and waits until it is READY; cores of a crash land in `dir`.
pub fn start(version: u32, flags: &[&str], program: &str, dir: &Scratch) -> Jvm {
    start_from(classes(), version, flags, program, dir)
}

/// The same with the classes in another place, a jar say.
pub fn start_from(
    classes: PathBuf,
    version: u32,
    flags: &[&str],
    program: &str,
    dir: &Scratch,
) -> Jvm {
    let mut cmd = Command::new("sh");
    cmd.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
    cmd.args(prefix(version, "java")).args(flags);
    cmd.arg("-cp").arg(classes).args(program.split(' '));
    Jvm::launch(cmd, prefix(version, "jcmd"), dir)
}

/// The same by a command that takes java and its arguments as arguments of its own.
pub fn start_by(
    mut cmd: Command,
    version: u32,
    flags: &[&str],
    program: &str,
    dir: &Scratch,
) -> Jvm {
    cmd.args(prefix(version, "java")).args(flags);
    cmd.arg("-cp").arg(classes()).args(program.split(' '));
    Jvm::launch(cmd, prefix(version, "jcmd"), dir)
}
