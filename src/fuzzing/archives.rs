//! What is compressed, and tars and zips with a core.

use std::io::{Read, copy, sink};
use std::path::Path;

use super::synth::{Core, R, RW, file, libjvm};
use crate::corefile::CoreFile;
use crate::hprof::Dump;
use crate::unpack::{self, Packing};

/// Bytes that a small archive may become here: a thousand to one is what gzip can, others can more.
const MOST: u64 = 16 << 20;

/// A gzip archive, of one member or many, as a core and as a dump.
pub(super) fn gzip(data: &[u8]) {
    let name = Path::new("fuzzed");
    let packed = [&[0x1f, 0x8b, 8][..], data].concat();
    if let Ok(unpacked) = unpack::plain(name, file(&packed), None) {
        let _ = unpacked.damage.as_ref().map(|d| d.text.len());
        let _ = Dump::from_file(name, &unpacked.file, None, 1, &|_| {});
        let _ = unpacked.of_core(name).and_then(|file| CoreFile::from_plain(name, file));
    }
}

/// An archive of any of the kinds.
pub(super) fn packed(data: &[u8]) {
    let Some(packing) = Packing::of(data) else { return };
    let _ = unpack::peek(data, 512);
    if let Ok(decoder) = packing.decoder(data) {
        let _ = copy(&mut decoder.take(MOST), &mut sink());
    }
}

/// A tar or a zip.
pub(super) fn bundle(data: &[u8]) {
    if let Ok(mut core) = CoreFile::from_plain(Path::new("fuzzed"), file(data)) {
        let _ = core.bundled().count();
        let _ = core.lay_backing_files(&super::cores::nowhere());
    }
}

fn core() -> Vec<u8> {
    let base = 0x7f00_0000_0000;
    let mut core = Core { align: 8, ..Core::default() };
    core.thread(1, 6, 1).files(1, &[(base, base + 0x3000, 0, "/opt/jdk/lib/libjvm.so")]);
    core.load(base, 0x4000, R, &libjvm(&[7; 20], 0)[..0x400]);
    core.load(0x7fff_0000_0000, 0x1000, RW, &[1; 64]);
    core.build()
}

fn in_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let from = flate2::bufread::GzEncoder::new(bytes, flate2::Compression::new(6));
    { from }.read_to_end(&mut out).expect("an archive");
    out
}

pub(super) fn gzip_seeds() -> Vec<Vec<u8>> {
    let core = core();
    let many: Vec<u8> = core.chunks(600).flat_map(in_gzip).collect();
    let named =
        [&[0x1f, 0x8b, 8, 0x1c, 0, 0, 0, 0, 0, 3, 2, 0, 7, 7][..], b"name\0words\0"].concat();
    let one = in_gzip(&core);
    let named = [&named, &one[10..]].concat();
    [one, many, named].map(|archive| archive[3..].to_vec()).into()
}

pub(super) fn packed_seeds() -> Vec<Vec<u8>> {
    let core = core();
    let mut seeds = Vec::new();
    seeds.extend(zstd::encode_all(&core[..], 3));
    let mut read = |from: &mut dyn Read| {
        let mut out = Vec::new();
        from.read_to_end(&mut out).expect("an archive");
        seeds.push(out);
    };
    read(&mut liblzma::bufread::XzEncoder::new(&core[..], 0));
    read(&mut bzip2::bufread::BzEncoder::new(&core[..], bzip2::Compression::new(1)));
    read(&mut flate2::bufread::GzEncoder::new(&core[..], flate2::Compression::new(6)));
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    std::io::Write::write_all(&mut lz4, &core).expect("an archive");
    seeds.extend(lz4.finish());
    seeds
}

pub(super) fn bundle_seeds() -> Vec<Vec<u8>> {
    let (core, library) = (core(), libjvm(&[7; 20], 0));
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [("core.1", &core), ("opt/jdk/lib/libjvm.so", &library)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &bytes[..]).expect("an archive");
    }
    let tar = tar.into_inner().expect("an archive");
    let zips = [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated].map(|method| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in [("core.1", &core), ("opt/jdk/lib/libjvm.so", &library)] {
            zip.start_file(name, options).expect("an archive");
            std::io::Write::write_all(&mut zip, bytes).expect("an archive");
        }
        zip.finish().expect("an archive").into_inner()
    });
    [vec![tar], zips.into()].concat()
}
