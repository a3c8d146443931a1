//! Where bytes go: files that appear whole or not at all, standard output, gzip, interruption.
//!
//! Knows nothing of HPROF, heaps or HotSpot; it sees bytes only.
pub mod gzip;
pub mod interrupt;
pub mod sink;
