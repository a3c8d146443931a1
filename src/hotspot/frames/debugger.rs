//! What a debugger (JVMTI) left with a thread, to take effect when it runs on: on the C heap, and not in the tables.

use crate::hotspot::Vm;
use crate::hotspot::code::Method;
use crate::hotspot::pointers::may_point;
use crate::hotspot::threads::{self, JavaThread};
use crate::hotspot::unexported::jvmti::{
    DEFERRED_UPDATES_ARRAY, DEFERRED_VARIABLE_SIZE, DEFERRED_VARIABLES, MAX_BASIC_TYPE,
    THREAD_STATE_SIZE,
};

/// More frames and locals than any debugger has set.
const MAX_DEFERRED: u32 = 10_000;

impl Vm<'_> {
    /// Where a debugger's values may lie: what a thread is to return at once (JvmtiThreadState::_earlyret_oop), and
    /// locals of compiled frames that are still to be set (jvmtiDeferredLocalVariable). As runs of words, any of
    /// which may be a reference.
    pub fn debugger_words(&self, t: &JavaThread) -> Vec<(u64, u64)> {
        let stack = threads::stack(self.mem, &self.fields, t.addr).unwrap_or_default();
        let image = self.library.image.0..self.library.image.1;
        let mut out = Vec::new();
        for word in self.words_of(t) {
            let first = self.mem.u64(word);
            if first.is_err() || stack.contains(&word) || image.contains(&word) {
                continue;
            }
            // A JvmtiThreadState starts with its thread. So does a HandleMark, which lies on the stack.
            if first == Ok(t.addr) {
                out.push((word, word.saturating_add(THREAD_STATE_SIZE)));
            }
            for array in DEFERRED_UPDATES_ARRAY.map(|at| word.wrapping_add(at)) {
                for set in self.pointers_of(array) {
                    self.deferred_locals(set, &mut out);
                }
            }
        }
        out
    }

    /// The locals of a jvmtiDeferredLocalVariableSet, which its Method proves.
    fn deferred_locals(&self, set: u64, out: &mut Vec<(u64, u64)>) {
        let method = self.mem.u64(set).ok();
        if method.and_then(|m| Method::read(self, m)).is_none() {
            return;
        }
        let arrays = DEFERRED_VARIABLES.map(|at| self.mem.u64(set.wrapping_add(at)).unwrap_or(0));
        for local in arrays.into_iter().flat_map(|array| self.pointers_of(array)) {
            if self.mem.u32(local).is_ok_and(|t| (1..=MAX_BASIC_TYPE).contains(&t)) {
                out.push((local, local.saturating_add(DEFERRED_VARIABLE_SIZE)));
            }
        }
    }

    /// What a GrowableArray of pointers holds; nothing if there is none.
    fn pointers_of(&self, array: u64) -> Vec<u64> {
        let f = &self.fields;
        let read = || {
            let len = self.mem.u32(array.wrapping_add(f.growable_len.opt()?)).ok()?;
            let data = self.mem.u64(array.wrapping_add(f.growable_data.opt()?)).ok()?;
            ((1..=MAX_DEFERRED).contains(&len) && may_point(data)).then_some(())?;
            let words = (0..u64::from(len)).map(|i| self.mem.u64(data.wrapping_add(i * 8)).ok());
            words.collect::<Option<Vec<u64>>>()
        };
        let mut words = if may_point(array) { read().unwrap_or_default() } else { Vec::new() };
        words.retain(|w| may_point(*w));
        words
    }
}
