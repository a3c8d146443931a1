//! What a live VM's own memory says of its attach door: read by its own tables, while it runs on.
//!
//! The one place where the commands on live JVMs meet vmStructs.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::hotspot::running::LiveImage;
use crate::hotspot::vm_info::flags::address;
use crate::live::target::Target;
use crate::live::vm_memory::VmMemory;
use crate::process::maps;

/// PATH_MAX
const MAX_PATH: usize = 4096;

/// Reads it by /proc/PID/mem; `None` without the right to, or if libjvm is not HotSpot's.
pub(super) fn look(target: &Target) -> Option<VmMemory> {
    let pid = target.pid();
    let path = format!("/proc/{pid}/mem");
    let memory = target.look(|| File::open(&path)).ok()?;
    let maps = target.look(|| maps::read(pid)).ok()?;
    let image = LiveImage::find(&maps, &|at, buf| memory.read_exact_at(buf, at))?;
    let flag = |name| address(&image.mem, &image.tables, &image.fields, name);
    let is_disabled = image.mem.u8(flag("DisableAttachMechanism")?).ok()? != 0;
    let temp = flag("AltTempDir").and_then(|at| text(&memory, image.mem.u64(at).ok()?));
    Some(VmMemory { libjvm: image.base, has_made_vm: image.has_made_vm, is_disabled, temp })
}

/// The C string at `at`; none for a null pointer.
fn text(memory: &File, at: u64) -> Option<String> {
    let mut bytes = vec![0; MAX_PATH];
    // To the end of its page, and on to the next if that is there.
    let first = (maps::PAGE - at % maps::PAGE) as usize;
    memory.read_exact_at(&mut bytes[..first], at).ok()?;
    let _ = memory.read_exact_at(&mut bytes[first..], at + first as u64);
    let end = bytes.iter().position(|b| *b == 0)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_memory_has_no_text() {
        assert_eq!(text(&File::open("/dev/null").expect("a file"), 0), None);
    }
}
