//! Numbers of objects in as few bytes as do.

use std::fmt::Debug;
use std::hash::Hash;

/// How whoever keeps numbers of objects keeps them: 4 bytes do for 4 billion objects.
pub trait Id: Copy + Ord + Hash + Debug + Default + Send + Sync + 'static {
    /// The largest number.
    const MAX: u64;
    /// Of a number that is not larger.
    fn of(number: u64) -> Self;
    /// As a number.
    fn number(self) -> u64;
    /// As an index.
    #[inline]
    fn index(self) -> usize {
        self.number() as usize
    }
}

impl Id for u32 {
    const MAX: u64 = u32::MAX as u64;
    #[inline]
    fn of(number: u64) -> u32 {
        number as u32
    }
    #[inline]
    fn number(self) -> u64 {
        u64::from(self)
    }
}

impl Id for u64 {
    const MAX: u64 = u64::MAX;
    #[inline]
    fn of(number: u64) -> u64 {
        number
    }
    #[inline]
    fn number(self) -> u64 {
        self
    }
}
