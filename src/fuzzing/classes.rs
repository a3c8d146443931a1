//! Klasses and their fields, in a sample core.

use super::input::Input;
use super::stage::{self, Stage};
use crate::hotspot::classes::{Classes, FieldReader, Klass};

/// An InstanceKlass, its vtable not counted, has some 500 bytes.
const KLASS: usize = 480;
/// Classes that become seeds.
const STEP: usize = 61;

/// Which core, which klass, then its bytes.
pub(super) fn klass(data: &[u8]) {
    let mut input = Input(data);
    stage::on(input.u8(), |s| {
        let Some(klass) = input.one_of(s.vm.classes.all()) else { return };
        s.with(&[(klass.addr, input.0)], || {
            let (reader, mut damaged) = (s.vm.reader(), Vec::new());
            let _ = Classes::read(&reader, &s.vm.tables, &mut damaged);
        });
    });
}

pub(super) fn klass_seeds() -> Vec<Vec<u8>> {
    seeds(|_, klass| Some((klass.addr, KLASS)))
}

/// Which core, which klass, then the array that its fields are in.
pub(super) fn field_stream(data: &[u8]) {
    let mut input = Input(data);
    stage::on(input.u8(), |s| {
        let Some(klass) = input.one_of(s.vm.classes.all()) else { return };
        let Some(at) = fields(s, klass) else { return };
        s.with(&[(at, input.0)], || {
            for reader in [FieldReader::new, FieldReader::with_numbers] {
                if let Ok(reader) = reader(s.vm.mem, &s.vm.tables, &s.vm.fields) {
                    let _ = reader.read(klass.addr);
                }
            }
        });
    });
}

/// Where the array is.
fn fields(s: &Stage, klass: &Klass) -> Option<u64> {
    let f = &s.vm.fields;
    let field = f.ik_fieldinfo_stream.opt().or(f.ik_fields.opt())?;
    s.vm.mem.u64(klass.addr.wrapping_add(field)).ok()
}

pub(super) fn field_seeds() -> Vec<Vec<u8>> {
    seeds(|s, klass| {
        let at = fields(s, klass)?;
        let len = s.vm.mem.u32(at).ok()? as usize;
        // Bytes of an element.
        let element = s.vm.fields.ik_fieldinfo_stream.opt().map_or(2, |_| 1);
        Some((at, 8 + len * element))
    })
}

/// Of some classes of each core what is at an address.
fn seeds(part: impl Fn(&Stage, &Klass) -> Option<(u64, usize)>) -> Vec<Vec<u8>> {
    let of_core = |core: u8| {
        stage::on(core, |s| {
            let all = (0u16..).zip(s.vm.classes.all()).step_by(STEP);
            let seed = |(n, klass): (u16, &Klass)| {
                let (at, len) = part(s, klass)?;
                Some([&[core][..], &n.to_le_bytes(), &s.bytes(at, len)].concat())
            };
            all.filter_map(seed).collect::<Vec<_>>()
        })
    };
    (0..stage::NAMES.len() as u8).flat_map(of_core).collect()
}
