//! What the VM was started with (arguments.hpp), as it recorded it itself.

use serde::Serialize;

use crate::hotspot::Vm;
use crate::vmstructs::Field;

/// The kernel takes 2 MB of arguments by default; a count beyond this is damage.
const MAX_ARGUMENTS: u32 = 1 << 16;

/// Arguments, by where they came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Arguments {
    /// Arguments::_jvm_args_array: the command line's and those of JAVA_TOOL_OPTIONS.
    pub jvm_args: Vec<String>,
    /// Arguments::_jvm_flags_array: those of a .hotspotrc or -XX:Flags file.
    pub jvm_flags: Vec<String>,
    /// Arguments::_java_command: main class or jar, and the program's own arguments.
    pub java_command: Option<String>,
}

impl Arguments {
    /// Reads all three; what is not in the core is left out.
    pub fn read(vm: &Vm) -> Arguments {
        let f = &vm.fields;
        let command = f.java_command.opt().and_then(|a| vm.mem.u64(a).ok());
        Arguments {
            jvm_args: array(vm, f.jvm_args, f.num_jvm_args),
            jvm_flags: array(vm, f.jvm_flags, f.num_jvm_flags),
            java_command: command.and_then(|p| vm.mem.string(p).ok()).filter(|s| !s.is_empty()),
        }
    }
}

fn array(vm: &Vm, array: Field, count: Field) -> Vec<String> {
    let read = || {
        let base = vm.mem.u64(array.opt()?).ok()?;
        let count = vm.mem.u32(count.opt()?).ok().filter(|n| *n <= MAX_ARGUMENTS)?;
        let one = |i: u32| {
            let p = vm.mem.u64(base.wrapping_add(u64::from(i) * 8)).ok()?;
            vm.mem.string(p).ok()
        };
        Some((0..count).map_while(one).collect())
    };
    read().unwrap_or_default()
}
