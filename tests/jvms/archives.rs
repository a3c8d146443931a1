//! CDS archives and AOT caches whose names do not say what they are: a capture needs none of them at hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::child::Command;
use crate::support::counts::{counted_differently, jcmd_histogram, rjcore_histogram};
use crate::support::{PATIENTLY, Scratch, jdks, rjcore, run, text, tool};

/// Makes an archive called `own.dat`, as each JDK can.
fn make(jdk: u32, how: &[&str], dir: &Scratch) {
    let mut java = jdks::command(jdk, "java");
    java.args(how).stdin(Stdio::null()).current_dir(dir.path("."));
    run(&mut java);
    assert!(dir.path("own.dat").exists(), "{jdk}: no archive");
}

fn json(args: &[&str], core: &Path) -> Value {
    let said = text(rjcore().args(args).arg(core).arg("--json"));
    serde_json::from_str(&said).expect("JSON")
}

fn is_read_without_it(jdk: u32, how: &[&str], with: &str) {
    let dir = Scratch::new(&format!("archives-{jdk}"));
    // AOT caches take no directory for a class path.
    let classes = crate::support::classes();
    let mut zip = Command::new(tool("python3"));
    zip.args(["-m", "zipfile", "-c"]).arg(dir.path("own.jar"));
    for name in ["Sample", "Guilty"] {
        let all = fs::read_dir(&classes).expect("classes").map(|e| e.expect("a class").path());
        let of = |p: &PathBuf| {
            let file = p.file_name().expect("a name").to_string_lossy();
            file == format!("{name}.class") || file.starts_with(&format!("{name}$"))
        };
        zip.args(all.filter(of));
    }
    run(&mut zip);
    make(jdk, how, &dir);
    let own = dir.path("own.dat");
    let with = format!("{with}={}", own.display());
    let flags = ["-Xmx32m", "-XX:+UseSerialGC", &with];
    let jvm = jdks::start_from(dir.path("own.jar"), jdk, &flags, "Sample", &dir);
    let maps = fs::read_to_string(format!("/proc/{}/maps", jvm.pid())).expect("maps");
    assert!(maps.contains("own.dat"), "{jdk}: the archive is not in use");
    let live = jcmd_histogram(&jvm.jcmd(&["GC.class_histogram", "-all"]));
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    drop(jvm);
    fs::remove_file(&own).expect("the archive");

    assert_eq!(json(&["check"], &core)["verdict"], "self_contained");
    let off = counted_differently(&live, &rjcore_histogram(&core, &[]));
    assert!(off.is_empty(), "{jdk}: {off:#?}");
    let memory = json(&["memory"], &core);
    let parts = memory["parts"].as_array().expect("parts");
    let archives = parts.iter().find(|p| p["part"] == "archive").expect("archives");
    let rows = archives["rows"].as_array().expect("rows");
    let ours = rows.iter().find(|r| r["name"].as_str().is_some_and(|n| n.ends_with("/own.dat")));
    let resident = ours.expect("a row")["resident_bytes"].as_u64().expect("bytes");
    assert!(resident > 1 << 20, "{rows:#?}");
}

/// 11 maps most of it read-only, and nobody writes there; newer ones write to all of it.
#[test]
fn an_archive_by_another_name() {
    for jdk in [11, 17, 25] {
        let how = ["-Xshare:dump", "-XX:+UseSerialGC", "-Xmx32m", "-XX:SharedArchiveFile=own.dat"];
        is_read_without_it(jdk, &how, "-XX:SharedArchiveFile");
    }
}

#[test]
fn an_aot_cache() {
    let how = ["-XX:AOTCacheOutput=own.dat", "-XX:+UseSerialGC", "-Xmx32m", "-cp", "own.jar"];
    let how = [&how[..], &["Guilty", "heap", "1"]].concat();
    is_read_without_it(jdks::newest(), &how, "-XX:AOTCache");
}
