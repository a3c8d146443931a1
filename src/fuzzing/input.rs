//! An input, taken apart from its front. Behind its end are zeros: no input is too short.

/// What is left of it.
pub(super) struct Input<'i>(pub &'i [u8]);

impl<'i> Input<'i> {
    /// So many bytes, or what is left.
    pub(super) fn bytes(&mut self, len: usize) -> &'i [u8] {
        let (front, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        front
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (mut out, front) = ([0; N], self.bytes(N));
        out.iter_mut().zip(front).for_each(|(to, from)| *to = *from);
        out
    }

    pub(super) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// One of them, by two bytes.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let number = usize::from(self.u16());
        all.get(number.checked_rem(all.len())?)
    }
}
