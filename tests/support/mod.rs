//! What the tests on live JVMs share: JDKs, launched programs, jcmd, gcore, rjcore, scratch directories.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

pub mod cgroup;
pub mod child;
pub mod compare;
pub mod container;
pub mod counts;
pub mod epoch;
pub mod graph;
pub mod hprof;
pub mod hprof_file;
pub mod jdks;
pub mod proc;
pub mod schema;
pub mod stress;
pub mod threads;

use child::{Child, Command};
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const JDK17: &str = "/usr/lib/jvm/java-17-openjdk-amd64";

/// A path under the repository, which must be there: the set-up makes it.
pub fn dep(path: &str) -> PathBuf {
    let full = Path::new(ROOT).join(path);
    assert!(full.exists(), "{} is not there: run scripts/setup.sh", full.display());
    full
}

/// Home of the JDK of a feature version, 17 or 25.
pub fn jdk(version: u32) -> PathBuf {
    dep(match version {
        17 => JDK17,
        25 => ".test-deps/temurin-25",
        _ => panic!("no JDK {version} in the set-up"),
    })
}

/// Runs a command to its end; panics with what it said unless it answers 0.
pub fn run(cmd: &mut Command) -> Output {
    let out = cmd.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{cmd:?}: {e}"));
    let text = |b: &[u8]| String::from_utf8_lossy(&b[..b.len().min(4000)]).into_owned();
    assert!(
        out.status.success(),
        "{cmd:?}: {}\n{}{}",
        out.status,
        text(&out.stdout),
        text(&out.stderr)
    );
    out
}

/// `run`, its standard output as text.
pub fn text(cmd: &mut Command) -> String {
    String::from_utf8(run(cmd).stdout).expect("UTF-8")
}

/// For `rjcore capture`: on a machine with ten times more to do than it can, threads take more than a second to stop.
pub const PATIENTLY: &str = "--max-pause=60000";

/// The rjcore binary under test.
pub fn rjcore() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rjcore"))
}

/// The programs that run on JDK 8, too.
const FOR_8: [&str; 12] = [
    "Collected.java",
    "Everything.java",
    "Exhausted.java",
    "Guilty.java",
    "Kept.java",
    "Roots.java",
    "Sample.java",
    "Secrets.java",
    "Stacks.java",
    "StopStress.java",
    "Unseen.java",
    "Waste.java",
];

/// The Java programs, compiled for 8 or 17: their classes run on later ones too. Once per test binary and
/// state of the sources, so that processes of one binary may share them.
pub fn classes() -> PathBuf {
    static ONCE: Once = Once::new();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("classes-{}", env!("CARGO_CRATE_NAME")));
    ONCE.call_once(|| {
        let sources = std::fs::read_dir(Path::new(ROOT).join("tests/java")).expect("tests/java");
        let mut sources: Vec<PathBuf> = sources
            .map(|e| e.expect("an entry").path())
            .filter(|p| p.extension() == Some(OsStr::new("java")))
            .collect();
        sources.sort();
        let state = |p: &PathBuf| (p.clone(), std::fs::read_to_string(p).expect("a source"));
        let state = format!("{:?}", sources.iter().map(state).collect::<Vec<_>>());
        if std::fs::read_to_string(dir.join("sources")).is_ok_and(|s| s == state) {
            return;
        }
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory for classes");
        let is_for_8 = |p: &PathBuf| FOR_8.iter().any(|n| p.ends_with(n));
        let (for_8, for_17): (Vec<_>, Vec<_>) = sources.into_iter().partition(is_for_8);
        assert_eq!(for_8.len(), FOR_8.len());
        let heap_library = dep(".test-deps/visualvm/org-graalvm-visualvm-lib-jfluid-heap.jar");
        let path = std::env::join_paths([&dir, &heap_library]).expect("a class path");
        for (release, sources) in [("8", for_8), ("17", for_17)] {
            run(Command::new(jdk(17).join("bin/javac"))
                .args(["-encoding", "UTF-8", "--release", release, "-nowarn", "-Xlint:none"])
                .arg("-cp")
                .arg(&path)
                .arg("-d")
                .arg(&dir)
                .args(sources)
                .env("LC_ALL", "C.UTF-8"));
        }
        std::fs::write(dir.join("sources"), state).expect("the state of the sources");
    });
    dir
}

/// A directory of its own that goes away with it. Cores are large: keep few at a time.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, n) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{process}-{n}"));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a scratch directory");
        Scratch(dir)
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    /// Its own name, which no other test has.
    pub fn name(&self) -> &str {
        self.0.file_name().and_then(OsStr::to_str).expect("UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // RJCORE_KEEP=1 leaves dumps and cores for a look.
        if std::env::var_os("RJCORE_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A running Java program of ours, past its READY; killed when dropped.
pub struct Jvm {
    child: Child,
    /// What runs jcmd of its JDK: a program and its first arguments.
    jcmd: Vec<OsString>,
}

impl Jvm {
    /// Starts `program` ("Everything", or with arguments "BigHeap 100 small") in `dir`, where cores of a
    /// crash land, and waits until it sits still.
    pub fn start(version: u32, flags: &[&str], program: &str, dir: &Scratch) -> Jvm {
        Jvm::start_from(&jdk(version), flags, program, dir)
    }

    /// The same with the JDK in `home`.
    pub fn start_from(home: &Path, flags: &[&str], program: &str, dir: &Scratch) -> Jvm {
        let mut cmd = Command::new("sh");
        cmd.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
        Jvm::start_by(cmd, home, flags, program, dir)
    }

    /// The same by a command that takes java and its arguments as arguments of its own.
    pub fn start_by(
        mut cmd: Command,
        home: &Path,
        flags: &[&str],
        program: &str,
        dir: &Scratch,
    ) -> Jvm {
        cmd.arg(home.join("bin/java")).args(flags);
        cmd.arg("-cp").arg(classes()).args(program.split(' '));
        Jvm::launch(cmd, vec![home.join("bin/jcmd").into()], dir)
    }

    /// The same by a whole command.
    pub fn launch(mut cmd: Command, jcmd: Vec<OsString>, dir: &Scratch) -> Jvm {
        // The class names are outside ASCII, so are the files they lie in.
        cmd.env("LC_ALL", "C.UTF-8").env_remove("JAVA_TOOL_OPTIONS").current_dir(&dir.0);
        cmd.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut jvm = Jvm { child: cmd.spawn().unwrap_or_else(|e| panic!("{cmd:?}: {e}")), jcmd };
        let mut out = BufReader::new(jvm.child.stdout.take().expect("piped"));
        let mut said = String::new();
        loop {
            let start = said.len();
            let n = out.read_line(&mut said).expect("text from the JVM");
            assert!(n > 0, "{cmd:?} ended before it was READY:\n{said}");
            if said[start..].starts_with("READY ") {
                break;
            }
        }
        jvm.child.stdout = Some(out.into_inner());
        jvm.child.unlimited();
        jvm
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn jcmd(&self, args: &[&str]) -> String {
        let mut cmd = Command::new(&self.jcmd[0]);
        text(cmd.args(&self.jcmd[1..]).arg(self.pid().to_string()).args(args))
    }

    /// HotSpot's own dump of all objects, without a collection before it.
    pub fn heap_dump(&self, file: &Path) {
        // Not "-overwrite": it came with 17.
        let _ = std::fs::remove_file(file);
        let said = self.jcmd(&["GC.heap_dump", "-all", file.to_str().expect("UTF-8")]);
        assert!(said.contains("Heap dump file created"), "{said}");
    }

    /// Takes a core with gdb; answers whether gdb lost stacks.
    pub fn gcore(&self, file: &Path) -> bool {
        gcore(self.pid(), file)
    }

    /// Kills it with SIGABRT and returns the core that the kernel wrote into `dir`.
    pub fn abort(mut self, dir: &Scratch) -> PathBuf {
        let pattern =
            std::fs::read_to_string("/proc/sys/kernel/core_pattern").expect("core_pattern");
        let pattern = pattern.trim();
        assert!(
            !pattern.is_empty() && !pattern.starts_with('|') && !pattern.contains('/'),
            "kernel.core_pattern is {pattern:?}: this test needs a plain file name (sysctl kernel.core_pattern=core)"
        );
        // HotSpot catches SIGABRT's causes, not the signal from outside: the kernel acts at once.
        // Its standard input stays open until it is dead: at its end programs of ours go on.
        let _stdin = self.child.stdin.take();
        run(Command::new("kill").args(["-ABRT", &self.pid().to_string()]));
        // Waiting closes its standard input, at which the program ends while the signal is on its way.
        let _stdin = self.child.stdin.take();
        self.child.wait().expect("the end of the JVM");
        let core = std::fs::read_dir(&dir.0)
            .expect("the scratch directory")
            .map(|e| e.expect("an entry").path());
        let mut core =
            core.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("core")));
        core.next().unwrap_or_else(|| panic!("the kernel wrote no core (core_pattern {pattern:?})"))
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A later JVM with this id would be taken for one that listens there.
        let _ = std::fs::remove_file(format!("/tmp/.java_pid{}", self.pid()));
    }
}

/// One core at a time: several at once of JVMs in tests side by side would fill the disk cache.
/// Answers whether gdb gave up memory beside guard pages, in which stacks lie.
pub fn gcore(pid: u32, file: &Path) -> bool {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let out = run(Command::new(dep("scripts/gcore.sh")).arg(pid.to_string()).arg(file));
    String::from_utf8_lossy(&out.stderr).contains("gdb lost")
}

/// A program of the system that the set-up installs.
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("{name} is not there: run scripts/setup.sh"))
}

/// A library for LD_PRELOAD from tests/c.
pub fn library(source: &str, dir: &Scratch) -> PathBuf {
    let out = dir.path(&source.replace(".c", ".so"));
    let source = Path::new(ROOT).join("tests/c").join(source);
    run(Command::new(tool("cc"))
        .args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o"])
        .arg(&out)
        .arg(source)
        .arg("-pthread"));
    out
}

/// What runs a command as nobody, without any capability.
pub fn as_nobody() -> Command {
    let mut cmd = Command::new(tool("setpriv"));
    cmd.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    cmd.args(["--inh-caps=-all", "--bounding-set=-all"]);
    cmd
}
