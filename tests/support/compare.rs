//! Compares two HPROF dumps of one process object by object, keyed by address.
//!
//! Knows nothing of what may have changed in between: that is the caller's allow-list.

use super::hprof::{
    Class, Dump, JAVA_FRAME, JNI_LOCAL, Kind, NATIVE_STACK, REF, Root, Slot, THREAD_BLOCK,
    THREAD_OBJECT, word,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

/// One thing that differs. Values are as the record has them; references in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub kind: &'static str,
    /// The object's or class's id.
    pub id: u64,
    /// Name of the object's class, or of the class itself.
    pub class: String,
    /// `Declaring.field`, `[index]` or what else it is about; empty for the whole.
    pub field: String,
    /// Left and right value.
    pub left: String,
    pub right: String,
}

/// All differences, and what was compared.
#[derive(Debug, Default)]
pub struct Differences {
    pub list: Vec<Difference>,
    pub objects: usize,
    pub classes: usize,
    /// Roots that lie in frames (0x02, 0x03, 0x04, 0x06), left and right.
    pub frame_roots: (usize, usize),
    /// Frames of all threads, left and right.
    pub frames: (usize, usize),
}

impl Differences {
    /// Takes out and returns what `taken` picks.
    pub fn take(&mut self, taken: impl Fn(&Difference) -> bool) -> Vec<Difference> {
        let (out, rest) = std::mem::take(&mut self.list).into_iter().partition(|d| taken(d));
        self.list = rest;
        out
    }
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    fn add(
        &mut self,
        kind: &'static str,
        id: u64,
        class: &str,
        field: &str,
        left: impl ToString,
        right: impl ToString,
    ) {
        let (class, field) = (class.to_owned(), field.to_owned());
        self.list.push(Difference {
            kind,
            id,
            class,
            field,
            left: left.to_string(),
            right: right.to_string(),
        });
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} differences in {} objects, {} classes",
            self.list.len(),
            self.objects,
            self.classes
        )?;
        let mut kinds: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
        for d in &self.list {
            kinds.entry(d.kind).or_default().push(d);
        }
        for (kind, all) in kinds {
            writeln!(f, "  {kind}: {}", all.len())?;
            for d in all.iter().take(20) {
                writeln!(f, "    {} {:#x} {}: {} | {}", d.class, d.id, d.field, d.left, d.right)?;
            }
        }
        Ok(())
    }
}

/// HotSpot's dump and ours of a process that runs Everything. A comparison of nothing with nothing
/// would pass too: HotSpot's must hold what the program makes.
pub fn everything(hotspot: &Path, ours: &Path) -> (Dump, Dump) {
    let (a, b) = (Dump::open(hotspot), Dump::open(ours));
    assert!(a.objects.len() > 20_000 && a.classes.len() > 500, "HotSpot's dump is too small");
    for class in ["Everything$Primitives", "Everything$Bottom", "Everything$Größe漢字"] {
        assert!(a.class_names().contains(class), "no {class} in HotSpot's dump");
    }
    (a, b)
}

/// `a` is HotSpot's dump, `b` the one under test.
pub fn compare(a: &Dump, b: &Dump) -> Differences {
    let mut d = Differences {
        objects: a.objects.len(),
        classes: a.classes.len(),
        ..Differences::default()
    };
    for (side, dump) in [("broken left", a), ("broken right", b)] {
        for p in &dump.problems {
            d.add(side, 0, "", "", p, "");
        }
    }
    classes(a, b, &mut d);
    objects(a, b, &mut d);
    roots(a, b, &mut d);
    stacks(a, b, &mut d);
    let known: BTreeSet<u64> = a.dangling().into_keys().collect();
    for (id, holder) in b.dangling() {
        if !known.contains(&id) {
            d.add(
                "dangling right only",
                id,
                &a.objects.get(&id).map_or_else(String::new, |o| a.class_name(o)),
                &holder,
                "",
                "",
            );
        }
    }
    d
}

fn classes(a: &Dump, b: &Dump, d: &mut Differences) {
    for (id, l) in &a.classes {
        match b.classes.get(id) {
            None => d.add("class left only", *id, &l.name, "", "", ""),
            Some(r) => class(l, r, d),
        }
    }
    for (id, r) in &b.classes {
        if !a.classes.contains_key(id) {
            d.add("class right only", *id, &r.name, "", "", "");
        }
    }
}

fn class(l: &Class, r: &Class, d: &mut Differences) {
    if l.name != r.name {
        d.add("class name", l.id, &l.name, "", &l.name, &r.name);
    }
    let words = [
        ("super", l.super_id, r.super_id),
        ("loader", l.loader, r.loader),
        ("signers", l.signers, r.signers),
        ("protection domain", l.domain, r.domain),
        ("reserved 1", l.reserved[0], r.reserved[0]),
        ("reserved 2", l.reserved[1], r.reserved[1]),
        ("instance size", l.instance_size.into(), r.instance_size.into()),
        ("trace", l.trace.into(), r.trace.into()),
        ("constants", l.constants as u64, r.constants as u64),
    ];
    for (what, x, y) in words {
        if x != y {
            d.add("class part", l.id, &l.name, what, format!("{x:#x}"), format!("{y:#x}"));
        }
    }
    if l.fields != r.fields {
        d.add(
            "class fields",
            l.id,
            &l.name,
            "",
            format!("{:?}", l.fields),
            format!("{:?}", r.fields),
        );
    }
    if l.statics == r.statics {
        return;
    }
    // By name; more than one of a name (resolved references of earlier versions) in sorted order.
    let named = |c: &Class| {
        let mut map: BTreeMap<String, Vec<(u8, u64)>> = BTreeMap::new();
        for s in &c.statics {
            map.entry(s.name.clone()).or_default().push((s.ty, s.value));
        }
        map.values_mut().for_each(|v| v.sort_unstable());
        map
    };
    let (ln, rn) = (named(l), named(r));
    if ln == rn {
        let order =
            |c: &Class| c.statics.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(" ");
        d.add("statics order", l.id, &l.name, "", order(l), order(r));
    }
    for name in ln.keys().chain(rn.keys()).collect::<BTreeSet<_>>() {
        let (x, y) = (ln.get(name), rn.get(name));
        if x != y {
            let show = |v: Option<&Vec<(u8, u64)>>| v.map_or("-".into(), |v| format!("{v:x?}"));
            d.add("static", l.id, &l.name, name, show(x), show(y));
        }
    }
}

fn objects(a: &Dump, b: &Dump, d: &mut Differences) {
    let mut layouts: HashMap<u64, (Vec<Slot>, Vec<Slot>)> = HashMap::new();
    for (id, l) in &a.objects {
        let name = a.class_name(l);
        let Some(r) = b.objects.get(id) else {
            d.add("object left only", *id, &name, "", a.bytes(l).len(), "");
            continue;
        };
        if (l.kind, l.class) != (r.kind, r.class) {
            d.add(
                "object class",
                *id,
                &name,
                "",
                format!("{:?} {name}", l.kind),
                format!("{:?} {}", r.kind, b.class_name(r)),
            );
            continue;
        }
        if l.trace != r.trace {
            d.add("object trace", *id, &name, "", l.trace, r.trace);
        }
        let (x, y) = (a.bytes(l), b.bytes(r));
        match l.kind {
            Kind::Instance => {
                let (ls, rs) = layouts
                    .entry(l.class)
                    .or_insert_with(|| (a.layout(l.class), b.layout(l.class)));
                if x != y || ls != rs {
                    instance((*id, &name), (ls, x), (rs, y), d);
                }
            }
            _ if x.len() != y.len() => d.add("array length", *id, &name, "", x.len(), y.len()),
            Kind::Objects => {
                for (i, (e, g)) in x.chunks_exact(8).zip(y.chunks_exact(8)).enumerate() {
                    if e != g {
                        let (e, g) = (format!("{:#x}", word(e)), format!("{:#x}", word(g)));
                        d.add("element", *id, &name, &format!("[{i}]"), e, g);
                    }
                }
            }
            Kind::Primitives(_) => {
                if let Some(i) = (0..x.len()).find(|&i| x[i] != y[i]) {
                    d.add(
                        "array bytes",
                        *id,
                        &name,
                        &format!("byte {i} of {}", x.len()),
                        x[i],
                        y[i],
                    );
                }
            }
        }
    }
    for (id, r) in &b.objects {
        if !a.objects.contains_key(id) {
            d.add("object right only", *id, &b.class_name(r), "", "", b.bytes(r).len());
        }
    }
}

/// Field by field, by declaring class and name; a field that is on one side only shows as "-".
fn instance(
    (id, name): (u64, &str),
    (ls, x): (&[Slot], &[u8]),
    (rs, y): (&[Slot], &[u8]),
    d: &mut Differences,
) {
    let show = |slots: &[Slot], bytes: &[u8]| {
        let mut map = BTreeMap::new();
        for s in slots {
            let value =
                bytes.get(s.start..s.end).map_or("cut off".into(), |v| format!("{:#x}", word(v)));
            let ty = if s.ty == REF { "ref".into() } else { format!("type {}", s.ty) };
            map.insert(format!("{}.{}", s.declared_by, s.name), format!("{value} ({ty})"));
        }
        map
    };
    let (l, r) = (show(ls, x), show(rs, y));
    for field in l.keys().chain(r.keys()).collect::<BTreeSet<_>>() {
        let none = "-".to_owned();
        let (v, w) = (l.get(field).unwrap_or(&none), r.get(field).unwrap_or(&none));
        if v != w {
            d.add("field", id, name, field, v, w);
        }
    }
}

fn roots(a: &Dump, b: &Dump, d: &mut Differences) {
    let in_frame = |r: &Root| matches!(r.tag, JNI_LOCAL | JAVA_FRAME | NATIVE_STACK | THREAD_BLOCK);
    let count = |dump: &Dump| dump.roots.iter().filter(|(r, _)| in_frame(r)).map(|(_, n)| n).sum();
    d.frame_roots = (count(a), count(b));
    // Thread objects by object: their serials are only numbers in order of writing.
    let of = |dump: &Dump| {
        let mut map: BTreeMap<(u8, u64, u64), usize> = BTreeMap::new();
        for (r, n) in dump.roots.iter().filter(|(r, _)| !in_frame(r)) {
            let extra = if r.tag == THREAD_OBJECT { 0 } else { r.extra.0 };
            *map.entry((r.tag, r.id, extra)).or_default() += n;
        }
        map
    };
    let (l, r) = (of(a), of(b));
    for key in l.keys().chain(r.keys()).collect::<BTreeSet<_>>() {
        let (x, y) = (l.get(key).unwrap_or(&0), r.get(key).unwrap_or(&0));
        if x != y {
            let (tag, id, extra) = *key;
            let kind = match tag {
                0x01 => "root JNI global",
                0x05 => "root sticky class",
                0x07 => "root monitor",
                0x08 => "root thread",
                _ => "root unknown",
            };
            let dump = if a.has(id) { a } else { b };
            let name = match (dump.objects.get(&id), dump.classes.get(&id)) {
                (Some(o), _) => dump.class_name(o),
                (_, Some(c)) => format!("class {}", c.name),
                _ => "?".into(),
            };
            d.add(kind, id, &name, &format!("{extra:#x}"), x, y);
        }
    }
}

/// Each thread's frames, and the roots in them.
fn stacks(a: &Dump, b: &Dump, d: &mut Differences) {
    let (l, r) = (a.threads(), b.threads());
    let count = |t: &BTreeMap<u64, (u32, Vec<String>)>| t.values().map(|t| t.1.len()).sum();
    d.frames = (count(&l), count(&r));
    let held = |dump: &Dump, serial: u32| {
        let own =
            |r: &&Root| matches!(r.tag, JNI_LOCAL | JAVA_FRAME) && r.extra.0 == u64::from(serial);
        let roots = dump.roots.iter().filter(|(r, _)| own(r));
        roots.map(|(r, n)| ((r.tag, r.extra.1, r.id), *n)).collect::<BTreeMap<_, _>>()
    };
    for (id, (left_serial, left)) in &l {
        let Some((right_serial, right)) = r.get(id) else { continue };
        if left != right {
            let first = left.iter().zip(right).position(|(x, y)| x != y);
            let at = first.unwrap_or(left.len().min(right.len()));
            let side = |f: &[String]| format!("{} of {}", f.get(at).map_or("-", |f| f), f.len());
            d.add("stack", *id, "thread", &format!("[{at}]"), side(left), side(right));
            continue;
        }
        let (x, y) = (held(a, *left_serial), held(b, *right_serial));
        for key in x.keys().chain(y.keys()).collect::<BTreeSet<_>>() {
            let (m, n) = (x.get(key).unwrap_or(&0), y.get(key).unwrap_or(&0));
            if m != n {
                let (tag, frame, object) = *key;
                let frame = left.get(frame as usize).map_or("no frame", String::as_str);
                let class = a.objects.get(&object).map_or("?".into(), |o| a.class_name(o));
                d.add("frame root", object, &class, &format!("{tag:#x} in {frame}"), m, n);
            }
        }
    }
}

/// Fillers that HotSpot 17 itself puts into the unused ends of TLABs to make the heap walkable for its dump,
/// and then dumps: int[] or Object that nothing refers to, one a thread at most. (25 has classes of their
/// own for them and leaves them out.)
pub fn tlab_fillers(a: &Dump, d: &mut Differences) -> usize {
    let filler = |d: &Difference| {
        d.kind == "object left only" && matches!(d.class.as_str(), "int[]" | "java/lang/Object")
    };
    let mut referenced = BTreeSet::new();
    a.references(&mut |id, _| {
        referenced.insert(id);
    });
    let threads = a.roots.keys().filter(|r| r.tag == THREAD_OBJECT).count();
    let taken = d.take(|d| filler(d) && !referenced.contains(&d.id));
    if taken.len() > threads {
        d.list.extend(taken);
        return 0;
    }
    taken.len()
}
