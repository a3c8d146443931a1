//! JVMs whose control group or whose right to look stands in the way.

use super::*;

#[test]
fn its_cgroup_is_frozen() {
    let dir = Scratch::new("doctor-frozen");
    let (_jvm, pid) = sample(&[], &dir);
    let group = Group::new(&dir, "freezer");
    group.write("cgroup.procs", &pid.to_string());
    let (file, frozen, thawed) = match group.unified {
        true => ("cgroup.freeze", "1", "0"),
        false => ("freezer.state", "FROZEN", "THAWED"),
    };
    group.write(file, frozen);
    until("it is frozen", || {
        let all = ["cgroup.events", "freezer.state"].map(|f| group.read(f));
        all.iter().any(|t| t.contains("frozen 1") || t.contains("FROZEN"))
    });
    let value = doctor(pid);
    assert_eq!(obstacles(&value), ["frozen"]);
    let next = value["next"].as_str().expect("a command").to_owned();
    let told = format!("{file}  # then: rjcore attach {pid} heap.hprof");
    assert!(next.starts_with(&format!("echo {thawed} > ")) && next.ends_with(&told), "{next}");
    let words = ["is frozen with its cgroup", &format!("echo {thawed} > ")];
    refused(attach(pid, &["stack"]), pid, &words);
    let mut capture = rjcore();
    capture.args(["capture", &pid.to_string(), "-o"]).arg(dir.path("core"));
    refused(capture, pid, &words);
    assert!(!dir.path("core").exists());
    group.write(file, thawed);
    answers(pid);
}

#[test]
fn its_cgroup_has_little_memory_left() {
    let dir = Scratch::new("doctor-memory");
    let (_jvm, pid) = sample(&[], &dir);
    let group = Group::new(&dir, "memory");
    group.write("cgroup.procs", &pid.to_string());
    group.write(if group.unified { "memory.max" } else { "memory.limit_in_bytes" }, "50000000");
    let value = doctor(pid);
    let found = finding(&value, "memory", "warning");
    assert!(found["text"].as_str().is_some_and(|w| w.contains("MB of memory are left")));
    assert_eq!(found["evidence"], "the limit of its cgroup");
    // It may do, and here it does.
    answers(pid);
}

#[test]
fn it_may_not_be_looked_at() {
    let (_open, path) = open_to_all();
    // Another user's process, of which nothing says that it is a JVM.
    let mut nobody = as_nobody();
    nobody.arg(&path);
    let own = std::process::id() as i32;
    let value = told(nobody, own);
    assert_eq!(obstacles(&value), ["hidden"]);
    assert_eq!(value["next"], format!("sudo rjcore doctor {own}"));
    // A /proc that shows nobody another user's files.
    let mut nobody = Command::new(tool("unshare"));
    let mount = "mount -t proc -o hidepid=noaccess proc /proc && exec \"$0\" \"$@\"";
    nobody.args(["--mount", "--propagation", "private", "sh", "-c", mount]);
    nobody.arg(tool("setpriv")).args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    nobody.args(["--inh-caps=-all", "--bounding-set=-all"]).arg(&path);
    let value = told(nobody, own);
    assert_eq!(obstacles(&value), ["hidden"]);
    assert_eq!(value["next"], "rjcore ps");
}
