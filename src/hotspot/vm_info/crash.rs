//! What HotSpot's own error handler (vmError.cpp) left in memory before it aborted.

use crate::hotspot::Vm;
use crate::hotspot::unexported::OUT_OF_MEMORY;

/// libjvm's .bss, in which VMError keeps its text from 9 on, has less than this on either side.
const STATICS: u64 = 1 << 20;
/// In 8 the text is on the stack of the thread that aborts.
const STACK: u64 = 256 << 10;
/// Bytes of the text that are read.
const MAX_TEXT: usize = 256;

impl Vm<'_> {
    /// The Thread that HotSpot's own error handler was called on (VMError::_thread).
    pub fn crashed_thread(&self) -> Option<u64> {
        self.mem.u64(self.fields.error_thread.opt()?).ok().filter(|t| *t != 0)
    }

    /// What HotSpot said when it ended the process for an OutOfMemoryError
    /// (-XX:+CrashOnOutOfMemoryError). The text itself proves what it is.
    pub fn reported_out_of_memory(&self) -> Option<String> {
        let statics = self.fields.error_thread.opt();
        let statics = statics.map(|at| (at.saturating_sub(STATICS), at.saturating_add(STATICS)));
        let stack = self.notes.all().first().map(|note| {
            let (sp, _) = note.registers();
            (sp, sp.saturating_add(STACK))
        });
        statics.into_iter().chain(stack).find_map(|(start, end)| self.text_in(start, end))
    }

    /// The text that starts with [`OUT_OF_MEMORY`] in a stretch of memory. The form that it was
    /// printed by lies there too: it has a `%s`.
    fn text_in(&self, start: u64, end: u64) -> Option<String> {
        self.mem.present(start, end).find_map(|(from, to)| {
            let bytes = self.mem.slice(from, to - from).ok()?;
            let texts = memchr::memmem::find_iter(bytes, OUT_OF_MEMORY).filter_map(|i| {
                let text = bytes.get(i..)?.split(|b| *b == 0).next()?;
                Some(text.get(..MAX_TEXT).unwrap_or(text))
            });
            let mut said = texts.filter(|t| !t.contains(&b'%'));
            said.next().map(|t| String::from_utf8_lossy(t).into_owned())
        })
    }
}
