//! Which local variables of an interpreted frame are references: what HotSpot computes in
//! `GenerateOopMap`, here by the StackMapTable that javac wrote (JVMS 4.7.4). From the last frame
//! of the table on there is only straight code, whose stores change the types.

use super::Walker;
use crate::hotspot::code::Method;

/// Whether each slot is a reference.
type Slots = Vec<bool>;

impl Walker<'_> {
    /// Whether each local variable is a reference at `bci`. None where the method has no table, or
    /// the code does not add up.
    pub(super) fn reference_locals(&self, method: &Method, bci: i32) -> Option<Slots> {
        let bci = usize::try_from(bci).ok()?;
        let max = usize::from(method.max_locals);
        let vm = self.vm;
        let signature = vm.reader().symbol_bytes(method.signature)?;
        let mut entries = parameters(signature, method.is_static)?;
        if method.is_native {
            return Some(slots(&entries, max));
        }
        let mut at = 0;
        if let Some(table) = self.stack_map(method) {
            let mut table = Reader(&table);
            let count = table.u2()?;
            let mut offset: Option<usize> = None;
            for _ in 0..count {
                let (delta, change) = frame(&mut table)?;
                let here = offset.map_or(delta, |o| o + delta + 1);
                if here > bci {
                    break;
                }
                match change {
                    Change::None => {}
                    Change::Chop(n) => entries.truncate(entries.len().checked_sub(n)?),
                    Change::Append(more) => entries.extend(more),
                    Change::All(all) => entries = all,
                }
                offset = Some(here);
                at = here;
            }
        }
        let mut out = slots(&entries, max);
        let code = vm.mem.slice(method.code, u64::from(method.code_size)).ok()?;
        while at < bci {
            at += store(code.get(at..)?, at, &mut out)?;
        }
        (at == bci).then_some(out)
    }

    fn stack_map(&self, method: &Method) -> Option<Vec<u8>> {
        let (mem, f) = (self.vm.mem, &self.vm.fields);
        let array = self.word(method.constant.wrapping_add(f.const_stackmap.opt()?))?;
        if array == 0 {
            return None;
        }
        let len = mem.u32(array).ok()?.min(1 << 20);
        let data = array.wrapping_add(f.u1_array_data.opt().unwrap_or(4));
        mem.slice(data, len.into()).ok().map(<[u8]>::to_vec)
    }
}

/// A verification type: how many slots, and whether a reference.
type Entry = (usize, bool);

/// What a method has in its locals when it starts.
fn parameters(signature: &[u8], is_static: bool) -> Option<Vec<Entry>> {
    let mut out = Vec::new();
    if !is_static {
        out.push((1, true));
    }
    let mut rest = signature.strip_prefix(b"(")?;
    loop {
        let arrays = rest.iter().take_while(|c| **c == b'[').count();
        rest = rest.get(arrays..)?;
        let (kind, after) = rest.split_first()?;
        rest = after;
        match kind {
            b')' => return Some(out),
            b'L' => {
                let end = rest.iter().position(|c| *c == b';')?;
                rest = rest.get(end + 1..)?;
                out.push((1, true));
            }
            b'J' | b'D' if arrays == 0 => out.push((2, false)),
            _ => out.push((1, arrays > 0)),
        }
    }
}

fn slots(entries: &[Entry], max: usize) -> Slots {
    let mut out = Slots::with_capacity(max);
    for (size, is_reference) in entries {
        out.push(*is_reference);
        out.extend((1..*size).map(|_| false));
    }
    out.resize(max, false);
    out
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn u1(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }

    fn u2(&mut self) -> Option<usize> {
        Some(self.u1()? << 8 | self.u1()?)
    }

    /// A verification_type_info.
    fn entry(&mut self) -> Option<Entry> {
        Some(match self.u1()? {
            3 | 4 => (2, false),
            0..=2 => (1, false),
            5 | 6 => (1, true),
            7 | 8 => {
                self.u2()?;
                (1, true)
            }
            _ => return None,
        })
    }
}

/// What a stack_map_frame does to the locals of the one before.
enum Change {
    None,
    Chop(usize),
    Append(Vec<Entry>),
    All(Vec<Entry>),
}

/// One stack_map_frame: its offset_delta, and what it changes.
fn frame(r: &mut Reader) -> Option<(usize, Change)> {
    let kind = r.u1()?;
    Some(match kind {
        0..=63 => (kind, Change::None),
        64..=127 => {
            r.entry()?;
            (kind - 64, Change::None)
        }
        247 => {
            let delta = r.u2()?;
            r.entry()?;
            (delta, Change::None)
        }
        248..=250 => (r.u2()?, Change::Chop(251 - kind)),
        251 => (r.u2()?, Change::None),
        252..=254 => {
            let delta = r.u2()?;
            let more = (0..kind - 251).map(|_| r.entry()).collect::<Option<Vec<_>>>()?;
            (delta, Change::Append(more))
        }
        255 => {
            let delta = r.u2()?;
            let count = r.u2()?;
            let locals = (0..count).map(|_| r.entry()).collect::<Option<Vec<_>>>()?;
            for _ in 0..r.u2()? {
                r.entry()?;
            }
            (delta, Change::All(locals))
        }
        _ => return None,
    })
}

/// Bytes of one bytecode of `code`, which is at `at` in its method; notes what it stores.
fn store(code: &[u8], at: usize, locals: &mut Slots) -> Option<usize> {
    let mut set = |index: usize, slots: usize, is_reference: bool| {
        for (i, slot) in locals.iter_mut().skip(index).take(slots).enumerate() {
            *slot = is_reference && i == 0;
        }
    };
    let op = *code.first()?;
    // Load, store: int long float double reference.
    let wide_store = |op: u8| (if matches!(op, 55 | 57) { 2 } else { 1 }, op == 58);
    match op {
        54..=58 => {
            let (slots, is_reference) = wide_store(op);
            set(usize::from(*code.get(1)?), slots, is_reference);
        }
        59..=78 => {
            let (kind, index) = ((op - 59) / 4, (op - 59) % 4);
            let (slots, is_reference) = wide_store(54 + kind);
            set(usize::from(index), slots, is_reference);
        }
        196 if matches!(*code.get(1)?, 54..=58) => {
            let (slots, is_reference) = wide_store(code[1]);
            set(usize::from(*code.get(2)?) << 8 | usize::from(*code.get(3)?), slots, is_reference);
        }
        _ => {}
    }
    length(code, at)
}

/// Bytes of a bytecode, of HotSpot's own ones too (bytecodes.hpp): those stand in the place of
/// plain ones, and are as long.
fn length(code: &[u8], at: usize) -> Option<usize> {
    let int = |from: usize| {
        let bytes = code.get(from..from + 4)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    };
    let padded = 1 + (3 - at % 4);
    Some(match *code.first()? {
        16 | 18 | 21..=25 | 54..=58 | 169 | 188 => 2,
        17 | 19 | 20 | 132 | 153..=168 | 178..=184 | 187 | 189 | 192 | 193 | 198 | 199 => 3,
        185 | 186 | 200 | 201 => 5,
        197 => 4,
        170 => {
            let (low, high) = (int(padded + 4)?, int(padded + 8)?);
            let count = usize::try_from(i64::from(high) - i64::from(low) + 1).ok()?;
            padded + 12 + count.checked_mul(4)?
        }
        171 | 228 | 229 => padded + 8 + usize::try_from(int(padded + 4)?).ok()?.checked_mul(8)?,
        196 => {
            if *code.get(1)? == 132 {
                6
            } else {
                4
            }
        }
        0..=195 => 1,
        203..=219 | 226 | 227 | 231 | 233..=235 => 3,
        220 | 232 | 236 => 1,
        221..=223 | 225 => 4,
        224 | 230 | 237 => 2,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_take_their_slots() {
        let all = parameters(b"(IJLa/B;[[D[La/C;Z)V", false).expect("a signature");
        assert_eq!(slots(&all, 9), [true, false, false, false, true, true, true, false, false]);
        assert_eq!(parameters(b"()V", true).expect("a signature"), []);
        assert_eq!(parameters(b"(Lx", true), None);
    }

    #[test]
    fn stores_change_types() {
        let mut locals = vec![true, true, true];
        // lstore_0, astore 2, wide istore 2
        assert_eq!(store(&[63], 0, &mut locals), Some(1));
        assert_eq!(locals, [false, false, true]);
        assert_eq!(store(&[58, 0], 0, &mut locals), Some(2));
        assert_eq!(locals, [true, false, true]);
        assert_eq!(store(&[196, 54, 0, 2], 0, &mut locals), Some(4));
        assert_eq!(locals, [true, false, false]);
    }

    #[test]
    fn switches_have_their_lengths() {
        // At 2: one byte of padding; default, low 1, high 2, two offsets.
        let table = [170, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 9];
        assert_eq!(length(&table, 2), Some(22));
        let lookup = [171, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 9];
        assert_eq!(length(&lookup, 3), Some(17));
    }
}
