//! What is handed out (scripts/release.sh): one static file for each CPU that runs anywhere, and packages of it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::child::Command;
use crate::support::{Scratch, dep, rjcore, run, text, tool};

/// The program for a CPU: static, as release.sh builds it, but quick to build.
fn binary(cpu: &str) -> PathBuf {
    static OWN: OnceLock<PathBuf> = OnceLock::new();
    static OTHER: OnceLock<PathBuf> = OnceLock::new();
    match cpu {
        "x86_64" => OWN.get_or_init(linked).clone(),
        "aarch64" => OTHER.get_or_init(built_for_aarch64).clone(),
        _ => panic!("nothing is handed out for {cpu}"),
    }
}

fn made(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    fs::create_dir_all(&dir).expect("a directory");
    dir.join(name)
}

/// The library of this very build, which cargo names, linked statically: that is all by which a static program of this
/// CPU differs, and building all of it once more takes minutes.
fn linked() -> PathBuf {
    let here = Path::new(env!("CARGO_BIN_EXE_rjcore")).parent().expect("a directory");
    let profile = match here.file_name().and_then(OsStr::to_str).expect("UTF-8") {
        "debug" => "dev",
        name => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "-q", "--locked", "--no-run", "--bin", "rjcore", "--message-format=json"]);
    cargo.args(["--profile", profile]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let said = text(&mut cargo);
    let library = said.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = line["target"]["name"] == "rjcore" && line["target"]["kind"][0] == "lib";
        let files = line["filenames"].as_array().filter(|_| is_ours)?;
        let mut files = files.iter().filter_map(|f| f.as_str());
        Some(files.find(|f| f.ends_with(".rlib"))?.to_owned())
    });
    let library = library.unwrap_or_else(|| panic!("cargo names no library: {said}"));
    let out = made("rjcore");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "--crate-name", "rjcore", "src/main.rs"]);
    rustc.arg("--extern").arg(format!("rjcore={library}"));
    rustc.arg("-L").arg(format!("dependency={}", here.join("deps").display()));
    rustc.args(["-C", "target-feature=+crt-static", "-o"]).arg(&out);
    run(rustc.current_dir(env!("CARGO_MANIFEST_DIR")));
    out
}

/// Built as release.sh does it but for the profile: without debug information, optimizations and checks.
fn built_for_aarch64() -> PathBuf {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "-q", "--locked", "--bin", "rjcore", "--target", TARGET, "--target-dir"]);
    cargo.arg(made("")).current_dir(env!("CARGO_MANIFEST_DIR"));
    for (setting, value) in
        [("DEBUG", "0"), ("DEBUG_ASSERTIONS", "false"), ("OVERFLOW_CHECKS", "false")]
    {
        cargo.env(format!("CARGO_PROFILE_DEV_{setting}"), value);
    }
    cargo.env("CARGO_INCREMENTAL", "0").env("RUSTFLAGS", "-C target-feature=+crt-static");
    cargo.env("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc");
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    run(&mut cargo);
    made(TARGET).join("debug/rjcore")
}

fn samples() -> Vec<PathBuf> {
    let cores = fs::read_dir(dep("testdata/cores")).expect("samples");
    let cores = cores.map(|e| e.expect("an entry").path());
    let mut all: Vec<PathBuf> =
        cores.filter(|p| p.extension().is_some_and(|e| e == "zst")).collect();
    all.sort();
    assert!(all.len() >= 5, "{} sample cores", all.len());
    all
}

/// It reads the cores of either CPU, and answers as this build does: the same bytes.
fn reads_alike(
    dir: &Scratch,
    cores: &[PathBuf],
    there: &dyn Fn() -> Command,
    at: &dyn Fn(&Path) -> PathBuf,
) {
    for core in cores {
        let here = dir.path("here.hprof");
        run(rjcore().arg("dump").arg(core).arg("-o").arg(&here));
        let mut other = there();
        other.arg("dump").arg(at(core)).args(["--overwrite", "-o", "-"]);
        let out = other.output().expect("rjcore runs there");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(out.stdout == fs::read(&here).expect("a dump"), "{}", core.display());
        assert!(out.stdout.len() > 1_000_000);
        fs::remove_file(here).expect("the dump");
    }
    let is_one = |core: &&PathBuf| core.to_string_lossy().contains("jdk25-g1.core");
    let core = cores.iter().find(is_one).expect("a core of 25");
    for args in [&["histo"][..], &["info", "--json"], &["check", "--json"], &["memory"]] {
        let a = rjcore().args(args).arg(core).output().expect("rjcore runs");
        let b = there().args(args).arg(at(core)).output().expect("rjcore runs there");
        let named = |bytes: &[u8], name: &Path| {
            String::from_utf8_lossy(bytes).replace(name.to_str().expect("UTF-8"), "CORE")
        };
        assert_eq!(a.status.code(), b.status.code(), "{args:?}");
        assert!(a.stdout.len() > 100, "{args:?}");
        assert_eq!(named(&a.stdout, core), named(&b.stdout, &at(core)), "{args:?}");
    }
}

/// On 64-bit Arm, with no library of that CPU at hand.
#[test]
fn on_aarch64() {
    let dir = Scratch::new("release-aarch64");
    let binary = binary("aarch64");
    let there = || {
        let mut cmd = Command::new(tool("qemu-aarch64-static"));
        cmd.args(["-L", "/nonexistent"]).arg(&binary);
        cmd
    };
    reads_alike(&dir, &samples(), &there, &Path::to_path_buf);
}

/// In a root that has nothing but it and the cores: no libc, no shell, no /proc, no /tmp. To unpack a core would take the
/// last.
#[test]
fn in_an_empty_root() {
    let dir = Scratch::new("release-empty");
    let root = dir.path("root");
    fs::create_dir(&root).expect("a root");
    fs::copy(binary("x86_64"), root.join("rjcore")).expect("the program");
    let plain = |core: PathBuf| {
        let plain = root.join(core.file_stem().expect("a name"));
        run(Command::new(tool("zstd")).args(["-d", "-q"]).arg(&core).arg("-o").arg(&plain));
        plain
    };
    let cores: Vec<PathBuf> = samples().into_iter().map(plain).collect();
    let there = || {
        let mut cmd = Command::new(tool("unshare"));
        cmd.arg("--root").arg(&root).args(["--", "/rjcore"]).env_remove("TMPDIR");
        cmd
    };
    let at = |core: &Path| Path::new("/").join(core.file_name().expect("a name"));
    reads_alike(&dir, &cores, &there, &at);
}

/// The packages hold the program, which runs from where they put it, with manual page and completions.
#[test]
fn packages() {
    let dir = Scratch::new("release-packages");
    let out = dir.path("out");
    let mut release = Command::new(dep("scripts/release.sh"));
    release.args(["--cpu", "x86_64", "--binary"]).arg(binary("x86_64")).arg("--out").arg(&out);
    run(release.env("PYTHONPATH", dep(".test-deps/wheel")));
    let version = env!("CARGO_PKG_VERSION");
    let names = [
        format!("rjcore-{version}-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl"),
        format!("rjcore-{version}-x86_64"),
        format!("rjcore-{version}-x86_64.debug"),
        format!("rjcore_{version}_amd64.deb"),
    ];
    let sums = fs::read_to_string(out.join("SHA256SUMS")).expect("sums");
    let listed: Vec<&str> = sums.lines().filter_map(|l| l.split("  ").nth(1)).collect();
    assert_eq!(listed, names);
    run(Command::new(tool("sha256sum"))
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&out));

    let tells_its_version = |program: &Path| {
        assert_eq!(text(Command::new(program).arg("--version")), format!("rjcore {version}\n"));
    };
    tells_its_version(&out.join(&names[1]));
    let unpacked = dir.path("debian");
    run(Command::new(tool("dpkg-deb")).arg("-x").arg(out.join(&names[3])).arg(&unpacked));
    tells_its_version(&unpacked.join("usr/bin/rjcore"));
    let share = unpacked.join("usr/share");
    for file in [
        "man/man1/rjcore.1.gz",
        "bash-completion/completions/rjcore",
        "zsh/vendor-completions/_rjcore",
        "fish/vendor_completions.d/rjcore.fish",
        "doc/rjcore/copyright",
    ] {
        let bytes = fs::metadata(share.join(file)).unwrap_or_else(|e| panic!("{file}: {e}")).len();
        assert!(bytes > 1000, "{file}: {bytes} bytes");
    }
    let field = |name: &str| {
        let mut cmd = Command::new(tool("dpkg-deb"));
        text(cmd.arg("-f").arg(out.join(&names[3])).arg(name))
    };
    assert_eq!((field("Package").trim(), field("Architecture").trim()), ("rjcore", "amd64"));
    // It needs no other package.
    assert_eq!(field("Depends").trim(), "");

    let installed = dir.path("pip");
    let mut pip = Command::new(tool("python3"));
    pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index"]);
    run(pip.args(["--no-deps", "--target"]).arg(&installed).arg(out.join(&names[0])));
    tells_its_version(&installed.join("bin/rjcore"));

    // A program that asks for a libc is not handed out.
    let mut release = Command::new(dep("scripts/release.sh"));
    let dynamic = Path::new(env!("CARGO_BIN_EXE_rjcore"));
    release.args(["--cpu", "x86_64", "--binary"]).arg(dynamic).arg("--out").arg(dir.path("no"));
    let said = release.env("PYTHONPATH", dep(".test-deps/wheel")).output().expect("release.sh");
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("it is not static"));
}
