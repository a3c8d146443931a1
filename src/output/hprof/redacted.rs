//! Arrays that are texts, redacted before they are copied.

use std::ops::Range;

use super::objects::{BLOCK, Records};
use super::plan::Copy;
use crate::heap::Heap;
use crate::output::redact::{Form, Passage, Window};

impl<'h> Records<'h> {
    /// The elements of the record that was just made room for, at its end.
    #[cold]
    pub(super) fn redacted(&mut self, addr: u64, text: (Form, bool), copy: Copy, elements: &[u8]) {
        let body = self.len - elements.len(); // texts have the same size in heap and dump
        let to = &mut self.buffer[body..self.len];
        match self.texts {
            Some(texts) => {
                let redacted = texts.redact(addr, text, elements, &mut self.window);
                copy.run(self.heap.vm, addr, redacted, to);
            }
            None => to.fill(0),
        }
    }

    /// Makes ready for the blocks of the large array at `addr`, whose elements lie at `range`.
    pub(super) fn passage(
        &self,
        addr: u64,
        text: Option<(Form, bool)>,
        range: Range<u64>,
    ) -> Option<Blocks<'h>> {
        let (form, whole) = text?;
        let mut passage = self.texts?.passage(addr, form, whole);
        if passage.reads_ahead() {
            let (mut at, mut block) = (range.start, vec![0; BLOCK]);
            while at < range.end {
                let n = (range.end - at).min(BLOCK as u64);
                // What is not there is zeroes in the record, too; whoever writes it reports that.
                let piece = &mut block[..n as usize];
                if self.heap.read(at, piece).is_err() {
                    piece.fill(0);
                }
                passage.add(piece);
                at += n;
            }
        }
        let (window, behind) = (Window::default(), Vec::new());
        Some(Blocks { heap: self.heap, passage, range, window, behind })
    }
}

/// The blocks of a large array that is redacted.
pub(super) struct Blocks<'h> {
    heap: &'h Heap<'h>,
    passage: Passage<'h>,
    range: Range<u64>,
    window: Window,
    behind: Vec<u8>,
}

impl Blocks<'_> {
    /// The next block, which lies at the address `at`, redacted.
    pub(super) fn block(&mut self, at: u64, block: &[u8]) -> &[u8] {
        let end = at + block.len() as u64;
        let behind = (self.range.end - end).min(self.passage.behind() as u64);
        self.behind.resize(behind as usize, 0);
        if self.heap.read(end, &mut self.behind).is_err() {
            self.behind.clear();
        }
        self.passage.block(at - self.range.start, block, &self.behind, &mut self.window)
    }
}
