//! What the JDK's own reader of cores makes of one, beside rjcore.

use crate::support::child::Command;
use crate::support::{jdks, rjcore, tool};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// Seconds that it may take; some cores it never ends on.
const LIMIT: &str = "120";

/// In words: its error, its objects and ours, the time. jhsdb is 9's and later; 8 has a jmap that reads cores.
pub fn beside(jdk: u32, core: &Path) -> String {
    let java = format!("/usr/lib/jvm/java-{jdk}-openjdk-amd64/bin/java");
    let mut cmd = Command::new(tool("timeout"));
    cmd.args(["-k", "5", LIMIT]);
    let program = if jdk == 8 { "jmap" } else { "jhsdb" };
    let inner = jdks::command(jdk, program);
    cmd.arg(inner.get_program()).args(inner.get_args());
    match jdk {
        8 => cmd.arg("-histo").arg(&java).arg(core),
        _ => cmd.args(["jmap", "--histo", "--core"]).arg(core).args(["--exe", &java]),
    };
    let start = Instant::now();
    let answer =
        cmd.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output().expect("timeout starts");
    let seconds = start.elapsed().as_secs();
    let ours = counted(core);
    let out = String::from_utf8_lossy(&answer.stdout);
    let err = String::from_utf8_lossy(&answer.stderr);
    // "Total :  35210  11059176" or "Total   35210  11059176".
    let total = out.lines().rev().find(|l| l.trim_start().starts_with("Total"));
    let total = total.and_then(|l| l.split_whitespace().find_map(|w| w.parse::<u64>().ok()));
    // Rows of the histogram start with a number; so may names of classes say "exception".
    let complaint = err.lines().chain(out.lines()).find(|l| {
        let row = l.trim_start().starts_with(|c: char| c.is_ascii_digit());
        let l = l.to_ascii_lowercase();
        !row && ["exception", "error", "warning"].iter().any(|w| l.contains(w))
    });
    let complaint = complaint.map(|l| format!("; {}", l.trim())).unwrap_or_default();
    match (answer.status.code(), total) {
        (Some(124 | 137), _) => format!("no answer in {seconds} s{complaint}"),
        (_, Some(theirs)) => format!("{theirs} objects, rjcore {ours}, in {seconds} s{complaint}"),
        (code, None) => format!("ended with {code:?} after {seconds} s{complaint}"),
    }
}

/// How many rjcore counts.
fn counted(core: &Path) -> u64 {
    let answer = rjcore().arg("histo").arg(core).arg("--json").output().expect("rjcore starts");
    let json: serde_json::Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    json["total"]["instances"].as_u64().expect("a number")
}
