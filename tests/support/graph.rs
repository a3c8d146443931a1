//! Compares two HPROF dumps of one process whose objects may have moved in between: both graphs are walked in
//! step, from classes by loader and name, threads by name, and JNI globals by handle.
//!
//! Each pair must be of one class, of one length, with the same primitive values; what they refer to are the
//! next pairs.

use super::hprof::{Class, Dump, JNI_GLOBAL, Kind, REF, THREAD_OBJECT, word};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What was found.
#[derive(Debug, Default)]
pub struct Paired {
    /// Pairs of objects, and how many of them have two addresses.
    pub objects: usize,
    pub moved: usize,
    /// Pairs of classes.
    pub classes: usize,
    /// Where they differ: "path: left | right".
    pub differences: Vec<String>,
}

struct Walk<'d> {
    a: &'d Dump,
    b: &'d Dump,
    pairs: HashMap<u64, u64>,
    queue: Vec<(u64, u64, String)>,
    out: Paired,
}

/// Fields whose values a collection changes, or a later look at the process.
fn changes(path: &str) -> bool {
    const FIELDS: [&str; 8] = [
        "java/lang/ref/SoftReference.timestamp",
        "java/lang/ref/SoftReference.clock",
        "java/lang/ref/Reference.discovered",
        "java/lang/ref/Reference.next",
        "java/lang/ref/Reference.queue",
        "java/lang/ref/Reference.referent",
        "java/lang/ref/ReferenceQueue.head",
        "java/lang/ref/ReferenceQueue.queueLength",
    ];
    FIELDS.contains(&path.rsplit(' ').next().unwrap_or(""))
}

/// Walks both. `a` is HotSpot's dump.
pub fn pair(a: &Dump, b: &Dump) -> Paired {
    let mut w = Walk { a, b, pairs: HashMap::new(), queue: Vec::new(), out: Paired::default() };
    let (l, r) = (classes(a), classes(b));
    for name in l.keys().chain(r.keys()).collect::<BTreeSet<_>>() {
        match (l.get(name).map(Vec::as_slice), r.get(name).map(Vec::as_slice)) {
            (Some([x]), Some([y])) => w.push(*x, *y, name),
            // Several of one name (hidden ones of old JDKs) are met by references.
            (Some(x), Some(y)) if x.len() == y.len() => {}
            (x, y) => w.differ(name, x.map_or(0, <[u64]>::len), y.map_or(0, <[u64]>::len)),
        }
    }
    let (l, r) = (threads(a), threads(b));
    assert!(l.len() > 2, "only {} threads with a name of their own", l.len());
    for (name, x) in &l {
        match r.get(name) {
            Some(y) => w.push(*x, *y, name),
            // The attach thread may end.
            None if name == "Attach Listener" => {}
            None => w.differ(name, "a thread", "none"),
        }
    }
    let (l, r) = (globals(a), globals(b));
    for (slot, x) in &l {
        match r.get(slot) {
            Some(y) => w.push(*x, *y, &format!("JNI global {slot:#x}")),
            None => w.differ(&format!("JNI global {slot:#x}"), x, "none"),
        }
    }
    while let Some((x, y, path)) = w.queue.pop() {
        w.one(x, y, &path);
    }
    w.out
}

/// Classes by the names of their loaders' classes, the loaders' loaders and so on, and their own.
fn classes(d: &Dump) -> BTreeMap<String, Vec<u64>> {
    let mut out: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (id, c) in &d.classes {
        let mut path = c.name.clone();
        let mut class: Option<&Class> = Some(c);
        for _ in 0..10 {
            let loader = class.and_then(|c| d.objects.get(&c.loader));
            let Some(loader) = loader else { break };
            class = d.classes.get(&loader.class);
            path = format!("{} / {path}", class.map_or("?", |c| &c.name));
        }
        out.entry(path).or_default().push(*id);
    }
    out
}

/// Threads whose names are theirs alone.
fn threads(d: &Dump) -> BTreeMap<String, u64> {
    let mut out: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for root in d.roots.keys().filter(|r| r.tag == THREAD_OBJECT) {
        if let Some(name) = field(d, root.id, "name").and_then(|s| text(d, s)) {
            out.entry(name).or_default().push(root.id);
        }
    }
    out.into_iter().filter(|(_, ids)| ids.len() == 1).map(|(name, ids)| (name, ids[0])).collect()
}

fn globals(d: &Dump) -> BTreeMap<u64, u64> {
    d.roots.keys().filter(|r| r.tag == JNI_GLOBAL).map(|r| (r.extra.0, r.id)).collect()
}

fn field(d: &Dump, id: u64, name: &str) -> Option<u64> {
    let o = d.objects.get(&id)?;
    let slot = d.layout(o.class).into_iter().find(|s| s.name == name && s.ty == REF)?;
    Some(word(&d.bytes(o)[slot.start..slot.end]))
}

fn text(d: &Dump, id: u64) -> Option<String> {
    let value = field(d, id, "value")?;
    Some(String::from_utf8_lossy(d.bytes(d.objects.get(&value)?)).into_owned())
}

impl Walk<'_> {
    fn differ(&mut self, path: &str, x: impl ToString, y: impl ToString) {
        if !changes(path) {
            let text = format!("{path}: {} | {}", x.to_string(), y.to_string());
            self.out.differences.push(text);
        }
    }

    /// `path` names the holder's class and the field.
    fn push(&mut self, x: u64, y: u64, path: &str) {
        if x == 0 || y == 0 {
            if x != y {
                self.differ(path, format!("{x:#x}"), format!("{y:#x}"));
            }
            return;
        }
        match self.pairs.insert(x, y) {
            None => self.queue.push((x, y, path.to_owned())),
            Some(old) if old != y => {
                self.differ(path, format!("{x:#x} is {old:#x}"), format!("{y:#x}"));
            }
            Some(_) => {}
        }
    }

    fn one(&mut self, x: u64, y: u64, path: &str) {
        let (a, b) = (self.a, self.b);
        match ((a.classes.get(&x), b.classes.get(&y)), (a.objects.get(&x), b.objects.get(&y))) {
            ((Some(l), Some(r)), _) => self.class(l, r),
            (_, (Some(l), Some(r))) => {
                let name = a.class_name(l);
                if (l.kind, &name) != (r.kind, &b.class_name(r)) {
                    self.differ(path, name, b.class_name(r));
                    return;
                }
                self.out.objects += 1;
                self.out.moved += usize::from(x != y);
                self.push(l.class, r.class, &name);
                let (p, q) = (a.bytes(l), b.bytes(r));
                if p.len() != q.len() {
                    self.differ(path, format!("{name}, {} bytes", p.len()), q.len());
                    return;
                }
                match l.kind {
                    Kind::Objects => {
                        let path = format!("{name} []");
                        for (e, f) in p.chunks_exact(8).zip(q.chunks_exact(8)) {
                            self.push(word(e), word(f), &path);
                        }
                    }
                    Kind::Primitives(_) if p != q => self.differ(path, &name, "other contents"),
                    Kind::Primitives(_) => {}
                    Kind::Instance => {
                        for s in a.layout(l.class) {
                            let (v, w) = (word(&p[s.start..s.end]), word(&q[s.start..s.end]));
                            let path = format!("{name} {}.{}", s.declared_by, s.name);
                            if s.ty == REF {
                                self.push(v, w, &path);
                            } else if v != w {
                                self.differ(&path, format!("{v:#x}"), format!("{w:#x}"));
                            }
                        }
                    }
                }
            }
            // While Shenandoah moves objects, HotSpot 17 dumps such roots with their old addresses.
            ((None, _), (None, _)) if path.starts_with("JNI global") => {}
            ((l, r), (m, n)) => {
                let known = |c: bool, o: bool| {
                    if c {
                        "a class"
                    } else if o {
                        "an object"
                    } else {
                        "nothing"
                    }
                };
                let (l, r) = (known(l.is_some(), m.is_some()), known(r.is_some(), n.is_some()));
                // Mirrors of dormant classes (of the archive) have no record in either.
                if (l, r) == ("nothing", "nothing") {
                    return;
                }
                self.differ(path, format!("{x:#x} is {l}"), format!("{y:#x} is {r}"));
            }
        }
    }

    fn class(&mut self, l: &Class, r: &Class) {
        self.out.classes += 1;
        if l.name != r.name || l.fields != r.fields || l.instance_size != r.instance_size {
            self.differ(&l.name, "a class", format!("another: {}", r.name));
            return;
        }
        self.push(l.super_id, r.super_id, &format!("{} super", l.name));
        self.push(l.loader, r.loader, &format!("{} loader", l.name));
        for (s, t) in l.statics.iter().zip(&r.statics) {
            let path = format!("{} {}.{}", l.name, l.name, s.name);
            if (&s.name, s.ty) != (&t.name, t.ty) {
                self.differ(&path, &s.name, &t.name);
            } else if s.ty == REF {
                self.push(s.value, t.value, &path);
            } else if s.value != t.value {
                self.differ(&path, format!("{:#x}", s.value), format!("{:#x}", t.value));
            }
        }
    }
}
