//! What a method's local variables hold at a place: which are references, as HotSpot computes in
//! `GenerateOopMap`, by following the code from its start, and of which type the others are. Where only an exception leads to, the
//! StackMapTable that javac wrote says what is there (JVMS 4.7.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Walker;
use crate::hotspot::code::Method;
use crate::hotspot::unexported::{FAST_VGETFIELD, FAST_VPUTFIELD};

/// Bytes of states that one method may need: code size times locals.
const MAX_WORK: usize = 1 << 24;
/// How often code is followed until nothing changes any more: each pass changes a slot.
const MAX_PASSES: usize = 1 << 14;

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Unset,
    /// An int, or what the bytecodes take for one.
    Int,
    Float,
    /// A long, which takes the next slot too.
    Long,
    /// The same of a double.
    Double,
    /// The second slot of a long or double.
    Half,
    Reference,
    /// This or that, by the way that was taken: nobody can use it.
    Conflict,
}

pub(super) type Slots = Vec<Slot>;

impl Walker<'_> {
    /// What each local variable is at `bci`. None where the code does not add up, or has
    /// subroutines (`jsr`).
    pub(super) fn local_types(&self, method: &Method, bci: i32) -> Option<Arc<Slots>> {
        let mut known = self.masks.borrow_mut();
        let find = || self.find_types(method, bci).map(Arc::new);
        known.entry((method.addr, bci)).or_insert_with(find).clone()
    }

    fn find_types(&self, method: &Method, bci: i32) -> Option<Slots> {
        let bci = usize::try_from(bci).ok()?;
        let max = usize::from(method.max_locals);
        let vm = self.vm;
        let signature = vm.reader().symbol_bytes(method.signature)?;
        let entries = parameters(signature, method.is_static)?;
        if method.is_native || max == 0 {
            return Some(slots(&entries, max));
        }
        let code = vm.mem.slice(method.code, u64::from(method.code_size)).ok()?;
        let table = self.stack_map(method).unwrap_or_default();
        types(code, vm.eras.has_value_classes(), entries, &table, max, bci)
    }

    pub(super) fn stack_map(&self, method: &Method) -> Option<Vec<u8>> {
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

/// What each of `max` local variables is before the bytecode at `bci`: of code that starts with `entries` in them, by its
/// StackMapTable too. `values` says whether the VM has bytecodes for fields of value classes.
pub(super) fn types(
    code: &[u8],
    values: bool,
    entries: Vec<Slot>,
    table: &[u8],
    max: usize,
    bci: usize,
) -> Option<Slots> {
    if code.len().saturating_mul(max) > MAX_WORK {
        return None;
    }
    let at_start = slots(&entries, max);
    let declared = frames(table, entries, max, code.len()).unwrap_or_default();
    let mut flow = Flow::new(code, values, declared.keys().copied())?;
    flow.merge(0, &at_start);
    flow.follow()?;
    for (at, slots) in &declared {
        if matches!(flow.leaders.get(at), Some(None)) {
            flow.merge(*at, slots);
            flow.follow()?;
        }
    }
    flow.state(bci)
}

/// What a method has in its locals when it starts.
pub(super) fn parameters(signature: &[u8], is_static: bool) -> Option<Vec<Slot>> {
    let mut out = Vec::new();
    if !is_static {
        out.push(Slot::Reference);
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
                out.push(Slot::Reference);
            }
            _ if arrays > 0 => out.push(Slot::Reference),
            b'J' => out.push(Slot::Long),
            b'D' => out.push(Slot::Double),
            b'F' => out.push(Slot::Float),
            _ => out.push(Slot::Int),
        }
    }
}

fn slots(entries: &[Slot], max: usize) -> Slots {
    let mut out = Slots::with_capacity(max);
    for slot in entries {
        out.push(*slot);
        if matches!(slot, Slot::Long | Slot::Double) {
            out.push(Slot::Half);
        }
    }
    out.resize(max, Slot::Unset);
    out
}

/// The locals at each frame of a StackMapTable, which is of `len` bytes of code.
fn frames(
    table: &[u8],
    mut entries: Vec<Slot>,
    max: usize,
    len: usize,
) -> Option<BTreeMap<usize, Slots>> {
    let mut out = BTreeMap::new();
    let mut table = Reader(table);
    let count = table.u2()?;
    let mut offset: Option<usize> = None;
    for _ in 0..count {
        let (delta, change) = frame(&mut table)?;
        let here = offset.map_or(delta, |o| o + delta + 1);
        match change {
            Change::None => {}
            Change::Chop(n) => entries.truncate(entries.len().checked_sub(n)?),
            Change::Append(more) => entries.extend(more),
            Change::All(all) => entries = all,
        }
        // Each frame is as long as there are locals: more of either than there can be is no table.
        if here >= len || entries.len() > max {
            return None;
        }
        offset = Some(here);
        out.insert(here, slots(&entries, max));
    }
    Some(out)
}

/// A method's code, followed along its jumps.
struct Flow<'c> {
    code: &'c [u8],
    /// The VM has bytecodes for fields of value classes.
    values: bool,
    /// Where jumps lead to, with what is in the locals there once something led there.
    leaders: BTreeMap<usize, Option<Slots>>,
    changed: Vec<usize>,
}

impl<'c> Flow<'c> {
    fn new(code: &'c [u8], values: bool, more: impl Iterator<Item = usize>) -> Option<Flow<'c>> {
        let mut leaders: BTreeMap<usize, Option<Slots>> = more.map(|at| (at, None)).collect();
        leaders.insert(0, None);
        let mut at = 0;
        while at < code.len() {
            let rest = code.get(at..)?;
            let (targets, _) = jumps(rest, at, values)?;
            leaders.extend(targets.into_iter().map(|t| (t, None)));
            at += length(rest, at, values)?;
        }
        (at == code.len()).then_some(Flow { code, values, leaders, changed: Vec::new() })
    }

    /// Adds a way to get to a leader.
    fn merge(&mut self, at: usize, slots: &Slots) {
        let Some(state) = self.leaders.get_mut(&at) else { return };
        match state {
            None => *state = Some(slots.clone()),
            Some(state) => {
                let before = state.clone();
                for (a, b) in state.iter_mut().zip(slots) {
                    if a != b {
                        *a = Slot::Conflict;
                    }
                }
                if *state == before {
                    return;
                }
            }
        }
        self.changed.push(at);
    }

    /// Follows all jumps until nothing changes.
    fn follow(&mut self) -> Option<()> {
        for _ in 0..MAX_PASSES {
            let Some(start) = self.changed.pop() else { return Some(()) };
            let mut slots = self.leaders.get(&start)?.clone()?;
            let mut at = start;
            loop {
                let code = self.code.get(at..)?;
                let (targets, goes_on) = jumps(code, at, self.values)?;
                at += store(code, at, self.values, &mut slots)?;
                for target in targets {
                    self.merge(target, &slots);
                }
                if !goes_on || at >= self.code.len() {
                    break;
                }
                if self.leaders.contains_key(&at) {
                    self.merge(at, &slots);
                    break;
                }
            }
        }
        None
    }

    /// What is in the locals before the bytecode at `bci`.
    fn state(&self, bci: usize) -> Option<Slots> {
        let (start, slots) = self.leaders.range(..=bci).next_back()?;
        let (mut at, mut slots) = (*start, slots.clone()?);
        while at < bci {
            at += store(self.code.get(at..)?, at, self.values, &mut slots)?;
        }
        (at == bci).then_some(slots)
    }
}

/// Where a bytecode at `at` may jump to, and whether it may go on with the next one.
fn jumps(code: &[u8], at: usize, values: bool) -> Option<(Vec<usize>, bool)> {
    let to = |offset: i32| usize::try_from(i64::try_from(at).ok()? + i64::from(offset)).ok();
    let short = || Some(i16::from_be_bytes([*code.get(1)?, *code.get(2)?]));
    let int = |from: usize| {
        let bytes = code.get(from..from + 4)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    };
    Some(match opcode(code, values)? {
        153..=166 | 198 | 199 => (vec![to(short()?.into())?], true),
        167 => (vec![to(short()?.into())?], false),
        200 => (vec![to(int(1)?)?], false),
        168 | 169 | 201 => return None,
        172..=177 | 191 | 232 => (Vec::new(), false),
        op @ (170 | 171 | 228 | 229) => {
            let padded = 1 + (3 - at % 4);
            let end = length(code, at, values)?;
            let (first, step) = if op == 170 { (padded + 12, 4) } else { (padded + 12, 8) };
            let mut out = vec![to(int(padded)?)?];
            for i in (first..end).step_by(step) {
                out.push(to(int(i)?)?);
            }
            (out, false)
        }
        _ => (Vec::new(), true),
    })
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
    fn entry(&mut self) -> Option<Slot> {
        Some(match self.u1()? {
            0 => Slot::Unset,
            1 => Slot::Int,
            2 => Slot::Float,
            3 => Slot::Double,
            4 => Slot::Long,
            5 | 6 => Slot::Reference,
            7 | 8 => {
                self.u2()?;
                Slot::Reference
            }
            _ => return None,
        })
    }
}

/// What a stack_map_frame does to the locals of the one before.
enum Change {
    None,
    Chop(usize),
    Append(Vec<Slot>),
    All(Vec<Slot>),
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
fn store(code: &[u8], at: usize, values: bool, locals: &mut Slots) -> Option<usize> {
    let mut set = |index: usize, kind: u8| {
        // int long float double reference
        let first = [Slot::Int, Slot::Long, Slot::Float, Slot::Double, Slot::Reference];
        let Some(first) = first.get(usize::from(kind)) else { return };
        // Half of a long is none any more.
        let before = index.checked_sub(1).and_then(|i| locals.get_mut(i));
        if let Some(before @ (Slot::Long | Slot::Double)) = before {
            *before = Slot::Unset;
        }
        let all = [*first, Slot::Half];
        let count = if matches!(first, Slot::Long | Slot::Double) { 2 } else { 1 };
        locals
            .iter_mut()
            .skip(index)
            .zip(all.iter().take(count))
            .for_each(|(slot, new)| *slot = *new);
    };
    let op = opcode(code, values)?;
    match op {
        54..=58 => set(usize::from(*code.get(1)?), op - 54),
        59..=78 => set(usize::from((op - 59) % 4), (op - 59) / 4),
        196 => {
            if let &[_, op @ 54..=58, high, low, ..] = code {
                set(usize::from(high) << 8 | usize::from(low), op - 54);
            }
        }
        _ => {}
    }
    length(code, at, values)
}

/// The bytecode's number in VMs without value classes.
fn opcode(code: &[u8], values: bool) -> Option<u8> {
    let op = *code.first()?;
    Some(match op {
        FAST_VGETFIELD if values => FAST_VGETFIELD - 1,
        _ if !values || op < FAST_VGETFIELD => op,
        ..FAST_VPUTFIELD => op - 1,
        _ => op - 2,
    })
}

/// Bytes of a bytecode, of HotSpot's own ones too (bytecodes.hpp): those stand in the place of
/// plain ones, and are as long.
fn length(code: &[u8], at: usize, values: bool) -> Option<usize> {
    let int = |from: usize| {
        let bytes = code.get(from..from + 4)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    };
    let padded = 1 + (3 - at % 4);
    Some(match opcode(code, values)? {
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
    use super::Slot::{Conflict, Half, Int, Long, Reference, Unset};
    use super::*;

    #[test]
    fn parameters_take_their_slots() {
        let all = parameters(b"(IJLa/B;[[D[La/C;Z)V", false).expect("a signature");
        let want = [Reference, Int, Long, Half, Reference, Reference, Reference, Int, Unset];
        assert_eq!(slots(&all, 9), want);
        assert_eq!(parameters(b"()V", true).expect("a signature"), []);
        assert_eq!(parameters(b"(Lx", true), None);
    }

    #[test]
    fn stores_change_types() {
        let mut locals = vec![Reference; 3];
        assert_eq!(store(&[63], 0, false, &mut locals), Some(1), "lstore_0");
        assert_eq!(locals, [Long, Half, Reference]);
        assert_eq!(store(&[58, 0], 0, false, &mut locals), Some(2), "astore 0");
        assert_eq!(locals, [Reference, Half, Reference]);
        assert_eq!(store(&[196, 54, 0, 2], 0, false, &mut locals), Some(4), "wide istore 2");
        assert_eq!(locals, [Reference, Half, Int]);
        assert_eq!(store(&[55, 1], 0, false, &mut locals), Some(2), "lstore 1");
        assert_eq!(store(&[56, 2], 0, false, &mut locals), Some(2), "fstore 2");
        assert_eq!(locals, [Reference, Unset, Slot::Float]);
    }

    /// What is in the one local at `bci`.
    fn at(code: &[u8], bci: usize) -> Option<Slot> {
        let mut flow = Flow::new(code, false, [].into_iter())?;
        flow.merge(0, &vec![Unset]);
        flow.follow()?;
        flow.state(bci).map(|s| s[0])
    }

    #[test]
    fn ways_that_meet_must_agree() {
        // iconst_0; ifeq +8; aconst_null; astore_0; goto +5; aconst_null; astore_0; return
        let both = [3, 153, 0, 8, 1, 75, 167, 0, 5, 1, 75, 177];
        assert_eq!(at(&both, 11), Some(Reference));
        assert_eq!(at(&both, 9), Some(Unset));
        // The same with istore_0 on one side.
        let one = [3, 153, 0, 8, 3, 59, 167, 0, 5, 1, 75, 177];
        assert_eq!(at(&one, 11), Some(Conflict));
    }

    /// A frame takes one byte of the table, and as many of memory as there are locals.
    #[test]
    fn a_table_has_no_more_than_the_code_and_its_locals() {
        let same = |n: u16| [&n.to_be_bytes()[..], &vec![0; n.into()]].concat();
        let found = |table: &[u8], max, len| frames(table, vec![Int], max, len).map(|f| f.len());
        assert_eq!(found(&same(4), 2, 4), Some(4));
        assert_eq!(found(&same(5), 2, 4), None);
        assert_eq!(found(&same(u16::MAX), usize::from(u16::MAX), 256), None);
        // append_frame: three ints more.
        let appended = [0, 1, 254, 0, 0, 1, 1, 1];
        assert_eq!(found(&appended, 4, 9), Some(1));
        assert_eq!(found(&appended, 3, 9), None);
    }

    #[test]
    fn loops_end() {
        // aconst_null; astore_0; iconst_0; istore_0; goto -4
        let code = [1, 75, 3, 59, 167, 0xff, 0xfc];
        assert_eq!(at(&code, 4), Some(Int));
        assert_eq!(at(&[167, 0, 0], 0), Some(Unset));
        assert_eq!(at(&[168, 0, 3, 177], 3), None, "jsr");
    }

    #[test]
    fn value_classes_shift_the_vms_own_bytecodes() {
        // fast_aload_0 is 220, and 222 in a VM with value classes.
        assert_eq!(length(&[220], 0, false), Some(1));
        assert_eq!(length(&[222], 0, true), Some(1));
        assert_eq!(length(&[204, 0, 0], 0, true), Some(3));
        assert_eq!(length(&[213, 0, 0], 0, true), Some(3));
        assert_eq!(length(&[42], 0, true), Some(1));
    }

    #[test]
    fn switches_have_their_lengths() {
        // At 2: one byte of padding; default, low 1, high 2, two offsets.
        let table = [170, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 11];
        assert_eq!(length(&table, 2, false), Some(22));
        assert_eq!(jumps(&table, 2, false), Some((vec![11, 11, 13], false)));
        let lookup = [171, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 8];
        assert_eq!(length(&lookup, 3, false), Some(17));
        assert_eq!(jumps(&lookup, 3, false), Some((vec![12, 11], false)));
    }
}
