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

/// How parts of one file are mapped: what tells an archive of any name. The VM maps parts of it as memory of its own that
/// it may write to, and never the start, which it reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parts {
    has_start: bool,
    is_own: bool,
}

impl Parts {
    /// One more, from this offset in the file on.
    pub fn add(&mut self, offset: u64, is_own: bool) {
        self.has_start |= offset == 0;
        self.is_own |= is_own;
    }

    /// Whether these are an archive's.
    pub fn are_of_archive(self) -> bool {
        self.is_own && !self.has_start
    }
}

/// Whether the file holds the VM's performance counters: its start, its arguments.
pub fn is_counters(path: &str) -> bool {
    path.rsplit('/').nth(1).is_some_and(|directory| directory.starts_with("hsperfdata_"))
}
