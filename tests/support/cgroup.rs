//! A control group of a test's own, of whichever version the machine has for a controller.

use std::fs;
use std::path::PathBuf;

use super::child::Command;
use super::{Scratch, run, tool};

/// A group below the root of its hierarchy, which is mounted for it alone. Removed when dropped, with what was in it
/// moved to the root.
pub struct Group {
    pub unified: bool,
    mount: PathBuf,
    dir: PathBuf,
}

impl Group {
    pub fn new(dir: &Scratch, controller: &str) -> Group {
        let own = fs::read_to_string("/proc/self/cgroup").expect("its groups");
        let mut controllers = own.lines().filter_map(|l| l.split(':').nth(1));
        let unified = !controllers.any(|names| names.split(',').any(|n| n == controller));
        let mount = dir.path("cgroup");
        fs::create_dir(&mount).expect("a directory");
        let mut cmd = Command::new(tool("mount"));
        match unified {
            true => cmd.args(["-t", "cgroup2", "none"]),
            false => cmd.args(["-t", "cgroup", "-o", controller, "none"]),
        };
        run(cmd.arg(&mount));
        let group = mount.join(format!("rjcore-{controller}-{}", dir.name()));
        let group = Group { unified, mount, dir: group };
        if unified && controller != "freezer" {
            let enable = group.mount.join("cgroup.subtree_control");
            fs::write(enable, format!("+{controller}")).expect("the controller");
        }
        fs::create_dir(&group.dir).expect("a group");
        group
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.dir.join(file);
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// The files of the memory controller's limit and usage.
    pub fn memory_files(&self) -> [&'static str; 2] {
        match self.unified {
            true => ["memory.max", "memory.current"],
            false => ["memory.limit_in_bytes", "memory.usage_in_bytes"],
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Has the kernel take back what memory it can.
    pub fn reclaim(&self) {
        let (file, text) = match self.unified {
            true => ("memory.reclaim", "1G"),
            false => ("memory.force_empty", "0"),
        };
        // It cannot have all of it, and says so.
        let _ = fs::write(self.dir.join(file), text);
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).unwrap_or_default()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let thaw = [("cgroup.freeze", "0"), ("freezer.state", "THAWED")];
        thaw.iter().for_each(|(file, text)| drop(fs::write(self.dir.join(file), text)));
        for pid in self.read("cgroup.procs").lines() {
            let _ = fs::write(self.mount.join("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.dir);
        let _ = Command::new(tool("umount")).arg("--lazy").arg(&self.mount).status();
    }
}
