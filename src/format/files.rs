//! Files whose pages a reader of the core needs, by their names.

/// Whether rjcore reads the file: libjvm (vmStructs, vtables) and CDS archives (classes).
pub fn is_vm_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == "libjvm.so" || name.ends_with(".jsa")
}

/// Whether the file holds the VM's performance counters: its start, its arguments.
pub fn is_counters(path: &str) -> bool {
    path.rsplit('/').nth(1).is_some_and(|directory| directory.starts_with("hsperfdata_"))
}
