//! The gzip writer against decompressors that are not ours: gzip's and Python's.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::support::child::Command;
use rjcore::output::gzip::{BLOCK, GzWriter};

/// Bytes that compress some, and differ from block to block.
fn sample(len: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    (0..len)
        .map(|i| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            if i % 3 == 0 { x as u8 } else { (i >> 12) as u8 }
        })
        .collect()
}

fn gz(data: &[u8], level: u8, threads: usize, piece: usize) -> Vec<u8> {
    let mut gz = GzWriter::new(Vec::new(), level, threads).unwrap();
    data.chunks(piece).for_each(|c| gz.write_all(c).unwrap());
    gz.finish().unwrap()
}

fn run(command: &mut Command) -> Vec<u8> {
    let out = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", out.status);
    out.stdout
}

/// Each member as `length comment`, by Python's zlib.
fn members(path: &Path) -> Vec<String> {
    const SCRIPT: &str = "
import sys, zlib
d = open(sys.argv[1], 'rb').read()
while d:
    z = zlib.decompressobj(31)
    n = len(z.decompress(d))
    assert z.eof
    print(n, d[10:d.index(0, 10)].decode() if d[3] == 16 else '-' if d[3] == 0 else '?')
    d = z.unused_data
";
    let out = run(Command::new("python3").args(["-c", SCRIPT]).arg(path));
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn others_read_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gz");
    for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 12345] {
        let data = sample(len);
        fs::write(&path, gz(&data, 1, 2, 300_000)).unwrap();
        run(Command::new("gzip").arg("-t").arg(&path));
        assert!(run(Command::new("gzip").arg("-dc").arg(&path)) == data, "{len} bytes");
    }
}

#[test]
fn members_are_exact_blocks_and_the_first_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gz");
    fs::write(&path, gz(&sample(3 * BLOCK + 7), 6, 2, usize::MAX)).unwrap();
    let first = "1048576 HPROF BLOCKSIZE=1048576";
    assert_eq!(members(&path), [first, "1048576 -", "1048576 -", "7 -"]);
    fs::write(&path, gz(&sample(2 * BLOCK), 1, 2, usize::MAX)).unwrap();
    assert_eq!(members(&path), [first, "1048576 -"], "no empty member at the end");
    fs::write(&path, gz(&[], 1, 2, 1)).unwrap();
    assert_eq!(members(&path), ["0 HPROF BLOCKSIZE=1048576"]);
}

#[test]
fn the_first_header_is_hotspots() {
    // As JDK 17 and 25 write it with -gz=1, but for the OS byte, which they leave 0 there.
    let head = b"\x1f\x8b\x08\x10\0\0\0\0\x04\x03HPROF BLOCKSIZE=1048576\0";
    assert!(gz(b"JAVA PROFILE 1.0.2", 1, 1, 5).starts_with(head));
}

#[test]
fn the_bytes_depend_on_neither_threads_nor_pieces() {
    let data = sample(20 * BLOCK + 99);
    for level in [1, 6] {
        let one = gz(&data, level, 1, usize::MAX);
        assert!(one.len() < data.len());
        assert!(gz(&data, level, 2, 77_777) == one);
        assert!(gz(&data, level, 5, 3 * BLOCK + 1) == one);
    }
}

#[test]
fn what_does_not_shrink_is_stored_and_what_half_shrinks_is_packed() {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = |n: usize| -> Vec<u8> {
        let next = |x: &mut u64| {
            *x ^= *x << 13;
            *x ^= *x >> 7;
            *x ^= *x << 17;
            x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56
        };
        (0..n).map(|_| next(&mut x) as u8).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gz");
    let zeros = || vec![0; BLOCK / 2];
    let blocks = [noise(BLOCK), [noise(BLOCK / 2), zeros()].concat(), noise(BLOCK * 3 / 4)];
    for level in [1, 9] {
        fs::write(&path, gz(&blocks.concat(), level, 2, usize::MAX)).unwrap();
        assert!(run(Command::new("gzip").arg("-dc").arg(&path)) == blocks.concat());
        // A stored block of deflate has 5 bytes in front of at most 65,535 (RFC 1951, 3.2.4).
        let stored = |n: usize| n + n.div_ceil(65_535) * 5 + 18;
        for (block, most) in blocks.iter().zip([BLOCK, BLOCK / 2 + BLOCK / 50, BLOCK * 3 / 4]) {
            let len = gz(block, level, 1, usize::MAX).len() - "HPROF BLOCKSIZE=1048576\0".len();
            assert!(len <= stored(most), "{len} bytes of {} at level {level}", block.len());
        }
    }
}

/// Fails once it has taken `0` bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(buf.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(buf.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn errors_of_the_inner_writer_come_through() {
    let mut gz = GzWriter::new(Full(2 << 20), 1, 2).unwrap();
    let e = gz.write_all(&sample(40 * BLOCK)).unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::StorageFull);
    assert!(gz.finish().is_err());

    let mut gz = GzWriter::new(Full(10), 1, 2).unwrap();
    gz.write_all(b"little").unwrap();
    assert_eq!(gz.finish().err().map(|e| e.kind()), Some(std::io::ErrorKind::StorageFull));
}
