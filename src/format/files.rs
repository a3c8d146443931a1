//! Files whose pages a reader of the core needs, by their names.

/// Whether rjcore reads the file: libjvm (vmStructs, vtables) and CDS archives (classes).
pub fn is_vm_file(path: &str) -> bool {
    path.rsplit('/').next() == Some("libjvm.so") || is_archive_name(path)
}

/// Whether a CDS archive is called so, as a rule.
pub fn is_archive_name(path: &str) -> bool {
    path.ends_with(".jsa")
}

/// `cds.h`: the first word of a CDS archive, of one on top of another, and of what an AOT cache is made from.
const ARCHIVES: [u32; 3] = [0xf00b_aba2, 0xf00b_aba8, 0xcafe_a07c];

/// Whether a file that starts so is a CDS archive or an AOT cache, whatever its name.
pub fn is_archive(head: &[u8]) -> bool {
    let word = head.first_chunk().map(|word| u32::from_le_bytes(*word));
    word.is_some_and(|word| ARCHIVES.contains(&word))
}

/// Whether the file holds the VM's performance counters: its start, its arguments.
pub fn is_counters(path: &str) -> bool {
    path.rsplit('/').nth(1).is_some_and(|directory| directory.starts_with("hsperfdata_"))
}
