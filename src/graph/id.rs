//! Numbers of objects in as few bytes as do.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How whoever keeps numbers of objects keeps them: 4 bytes do for 4 billion objects.
pub trait Id: Copy + Ord + Hash + Debug + Default + Send + Sync + 'static {
    /// The largest number.
    const MAX: u64;
    /// One that several threads may lower at once.
    type Atomic: Debug + Send + Sync;
    /// Of a number that is not larger.
    fn of(number: u64) -> Self;
    /// As a number.
    fn number(self) -> u64;
    /// As an index.
    #[inline]
    fn index(self) -> usize {
        self.number() as usize
    }
    /// To be lowered by several threads.
    fn atomic(self) -> Self::Atomic;
    /// What it is now.
    fn load(of: &Self::Atomic) -> Self;
    /// Makes it this number where it is more; answers what it was.
    fn lower(of: &Self::Atomic, to: Self) -> Self;
}

impl Id for u32 {
    const MAX: u64 = u32::MAX as u64;
    type Atomic = AtomicU32;
    #[inline]
    fn of(number: u64) -> u32 {
        number as u32
    }
    #[inline]
    fn number(self) -> u64 {
        u64::from(self)
    }
    fn atomic(self) -> AtomicU32 {
        AtomicU32::new(self)
    }
    #[inline]
    fn load(of: &AtomicU32) -> u32 {
        of.load(Ordering::Relaxed)
    }
    #[inline]
    fn lower(of: &AtomicU32, to: u32) -> u32 {
        // Most are low already where many refer to the same.
        match of.load(Ordering::Relaxed) {
            low if low <= to => low,
            _ => of.fetch_min(to, Ordering::Relaxed),
        }
    }
}

impl Id for u64 {
    const MAX: u64 = u64::MAX;
    type Atomic = AtomicU64;
    #[inline]
    fn of(number: u64) -> u64 {
        number
    }
    #[inline]
    fn number(self) -> u64 {
        self
    }
    fn atomic(self) -> AtomicU64 {
        AtomicU64::new(self)
    }
    #[inline]
    fn load(of: &AtomicU64) -> u64 {
        of.load(Ordering::Relaxed)
    }
    #[inline]
    fn lower(of: &AtomicU64, to: u64) -> u64 {
        // Most are low already where many refer to the same.
        match of.load(Ordering::Relaxed) {
            low if low <= to => low,
            _ => of.fetch_min(to, Ordering::Relaxed),
        }
    }
}
