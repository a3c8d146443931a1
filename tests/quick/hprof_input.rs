//! HPROF files as a graph, made by hand: both sizes of ids, all versions, Android's tags, cut off, damaged.

use std::io::Write;

use rjcore::graph::{ObjectGraph, Place, RootKind, Strength};
use rjcore::hprof::Dump;

use crate::support::child::Command;
use crate::support::hprof_file::{Class, File, Value};
use crate::support::schema::Checker;
use crate::support::{Scratch, rjcore, run, text, tool};

/// Names, by their ids.
const NAMES: [&str; 21] = [
    "java/lang/Object",
    "java/lang/Class",
    "java/lang/String",
    "java/lang/ref/Reference",
    "java/lang/ref/WeakReference",
    "[Ljava/lang/Object;",
    "[C",
    "App",
    "Base",
    "value",
    "offset",
    "count",
    "referent",
    "queue",
    "left",
    "right",
    "CACHE",
    "<resolved_references>",
    "java/lang/Thread",
    "name",
    "App.java",
];

pub fn name(text: &str) -> u64 {
    1 + NAMES.iter().position(|n| *n == text).expect("a name") as u64
}

/// Addresses of classes and objects: each 72 bytes from the next.
pub fn at(number: u64) -> u64 {
    0x1000_0000 + number * 72
}

const OBJECT: u64 = 0;
const CLASS: u64 = 1;
const STRING: u64 = 2;
const REFERENCE: u64 = 3;
const WEAK: u64 = 4;
const OBJECTS: u64 = 5;
const CHARS: u64 = 6;
const APP: u64 = 7;
const BASE: u64 = 8;
const THREAD: u64 = 9;
pub const AN_APP: u64 = 20;
const ARRAY: u64 = 21;
const A_STRING: u64 = 22;
const TEXT: u64 = 23;
const A_WEAK: u64 = 24;
const A_THREAD: u64 = 25;
/// In no record.
const NOWHERE: u64 = 40;

/// A file with a bit of all, its heap dump in one record or in segments.
pub fn sample(version: &str, id: usize, segments: bool) -> File {
    let mut f = File::new(version, id);
    let tag = if segments { 0x1c } else { 0x0c };
    (1..).zip(NAMES).for_each(|(id, text)| f.utf8(id, text));
    let classes =
        ["java/lang/Object", "java/lang/Class", "java/lang/String", "java/lang/ref/Reference"];
    let rest = [
        "java/lang/ref/WeakReference",
        "[Ljava/lang/Object;",
        "[C",
        "App",
        "Base",
        "java/lang/Thread",
    ];
    let mut app = 0;
    for (number, text) in (0..).zip(classes.iter().chain(&rest)) {
        let serial = f.load(at(number), name(text));
        app = if *text == "App" { serial } else { app };
    }
    f.frame(0x77, name("count"), name("App.java"), app, 12);
    f.frame(0x78, name("value"), 0, app, -3);
    f.trace(5, 1, &[0x77, 0x78]);
    let mut class = |id: u64, super_class, fields: &[(u64, u8)]| {
        f.class(&Class { id: at(id), super_class, fields, ..Class::default() });
    };
    class(OBJECT, 0, &[]);
    class(CLASS, at(OBJECT), &[]);
    class(STRING, at(OBJECT), &[(name("value"), 2), (name("offset"), 10), (name("count"), 10)]);
    class(REFERENCE, at(OBJECT), &[(name("referent"), 2), (name("queue"), 2)]);
    class(WEAK, at(REFERENCE), &[]);
    class(OBJECTS, at(OBJECT), &[]);
    class(CHARS, at(OBJECT), &[]);
    class(BASE, at(OBJECT), &[(name("left"), 2), (name("count"), 11)]);
    class(THREAD, at(OBJECT), &[(name("name"), 2)]);
    f.class(&Class {
        id: at(APP),
        super_class: at(BASE),
        loader: at(AN_APP),
        constants: &[Value::Int(3), Value::Ref(at(A_STRING))],
        statics: &[
            (name("CACHE"), Value::Ref(at(ARRAY))),
            (name("<resolved_references>"), Value::Ref(at(ARRAY))),
            (name("count"), Value::Long(9)),
        ],
        fields: &[(name("value"), 8), (name("right"), 2)],
    });
    if segments {
        f.flush(tag);
    }
    let values = [Value::Byte(7), Value::Ref(at(A_WEAK)), Value::Ref(at(A_STRING)), Value::Long(5)];
    f.instance(at(AN_APP), at(APP), &values);
    f.objects(at(ARRAY), at(OBJECTS), &[at(AN_APP), 0, at(NOWHERE), at(ARRAY), at(APP)]);
    f.instance(at(A_STRING), at(STRING), &[Value::Ref(at(TEXT)), Value::Int(1), Value::Int(3)]);
    f.primitives(
        at(TEXT),
        5,
        5,
        &"xn\u{e4}hy".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>(),
    );
    f.instance(at(A_WEAK), at(WEAK), &[Value::Ref(at(AN_APP)), Value::Ref(at(ARRAY))]);
    f.instance(at(A_THREAD), at(THREAD), &[Value::Ref(at(A_STRING))]);
    if segments {
        f.flush(tag);
    }
    let words = |a: u32, b: u32| [a.to_be_bytes(), b.to_be_bytes()].concat();
    f.sub(0x08, at(A_THREAD), &words(1, 5));
    f.sub(0x03, at(ARRAY), &words(1, 1));
    f.sub(0x02, at(A_STRING), &words(1, u32::MAX));
    let handle = f.id(0x99);
    f.sub(0x01, at(AN_APP), &handle);
    f.sub(0x05, at(OBJECT), &[]);
    f.sub(0x07, at(NOWHERE), &[]);
    f.sub(0x04, at(AN_APP), &1u32.to_be_bytes());
    f.sub(0x06, at(AN_APP), &1u32.to_be_bytes());
    f.sub(0xff, at(AN_APP), &[]);
    f.flush(tag);
    if segments {
        f.record(0x2c, &[]);
    }
    f
}

fn open(bytes: &[u8]) -> rjcore::error::Result<Dump> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    Dump::from_file("x".as_ref(), &file, None, 2, &|_| {})
}

fn whole(file: &File) -> Dump {
    let dump = open(&file.bytes).expect("HPROF");
    assert!(dump.loss().is_whole(), "{:?}", dump.loss());
    dump
}

fn references(dump: &Dump, number: u64) -> Vec<(u64, Strength)> {
    let mut out = Vec::new();
    let place = dump.place(at(number)).expect("an object");
    let class = dump.references(place, |to, strength| out.push((dump.address(to), strength)));
    assert_eq!(class, dump.class_of(place));
    let mut again = Vec::new();
    dump.describe(place, |r| again.push((dump.address(r.target), r.strength)));
    assert_eq!(out, again);
    out
}

fn described(dump: &Dump, number: u64) -> Vec<String> {
    let mut out = Vec::new();
    let class = |n: u32| dump.classes()[n as usize].name.clone();
    dump.describe(dump.place(at(number)).expect("an object"), |r| {
        out.push(match r.place {
            Place::Field(f) => format!("{}.{}", class(f.class), f.name),
            Place::Static(f) => format!("static {}.{}", class(f.class), f.name),
            Place::Element(i) => format!("[{i}]"),
            Place::Class(part) => format!("{part:?}"),
        });
    });
    out
}

#[test]
fn all_versions_and_ids_say_the_same() {
    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        for (id, segments) in [(4, false), (4, true), (8, false), (8, true)] {
            let dump = &whole(&sample(version, id, segments));
            assert_eq!(dump.header(), (version, id, 1_700_000_000_000));
            assert_eq!(dump.numbers().len(), 16);
            let place = |number| dump.place(at(number));
            assert_eq!((place(NOWHERE), dump.place(0), place(OBJECT)), (None, None, Some(0)));
            let class =
                |number| &dump.classes()[dump.class_of(place(number).expect("an object")) as usize];
            assert_eq!(class(ARRAY).name, "java.lang.Object[]");
            assert_eq!(class(TEXT).name, "char[]");
            assert_eq!((&*class(APP).name, &*class(AN_APP).name), ("java.lang.Class", "App"));
            let mirrored = dump.mirrored(place(APP).expect("a class")).expect("a class");
            assert_eq!(dump.classes()[mirrored as usize].name, "App");
            assert_eq!(dump.class_object(mirrored), place(APP));
            assert_eq!(dump.mirrored(place(AN_APP).expect("an object")), None);

            let strong = |number| (at(number), Strength::Strong);
            assert_eq!(references(dump, AN_APP), [strong(A_WEAK), strong(A_STRING)]);
            assert_eq!(described(dump, AN_APP), ["App.right", "Base.left"]);
            assert_eq!(references(dump, ARRAY), [AN_APP, ARRAY, APP].map(strong));
            assert_eq!(described(dump, ARRAY), ["[0]", "[3]", "[4]"]);
            assert_eq!(references(dump, A_WEAK), [(at(AN_APP), Strength::Weak), strong(ARRAY)]);
            assert_eq!(references(dump, APP), [BASE, AN_APP, A_STRING, ARRAY, ARRAY].map(strong));
            let parts =
                ["Super", "Loader", "ResolvedReferences", "static App.CACHE", "ResolvedReferences"];
            assert_eq!(described(dump, APP), parts);
            assert_eq!(references(dump, TEXT), []);
            let text = |number| dump.text(place(number).expect("an object"), 100);
            assert_eq!((text(A_STRING).as_deref(), text(TEXT)), (Some("n\u{e4}h"), None));

            let thread = &dump.threads()[0];
            assert_eq!((&*thread.name, thread.object), ("n\u{e4}h", place(A_THREAD)));
            let frames: Vec<&str> = thread.frames.iter().map(|f| &**f).collect();
            assert_eq!(frames, ["App.count(App.java:12)", "App.value(Native Method)"]);
            let roots: Vec<_> = dump.roots().iter().map(|r| (r.kind, r.thread, r.frame)).collect();
            assert_eq!(
                roots,
                [
                    (RootKind::Thread, Some(0), None),
                    (RootKind::Frame, Some(0), Some(1)),
                    (RootKind::JniLocal, Some(0), None),
                    (RootKind::JniGlobal, None, None),
                    (RootKind::StickyClass, None, None),
                    (RootKind::NativeStack, Some(0), None),
                    (RootKind::ThreadBlock, Some(0), None),
                    (RootKind::Other(0xff), None, None),
                ]
            );
            assert_eq!(dump.unread().lost_roots, 1);
            assert!(!dump.can_refer(dump.class_of(place(TEXT).expect("an object"))));
            let all: u64 = dump.numbers().iter().map(|p| dump.size(p)).sum();
            assert_eq!((all > 16 * 8, dump.total_size()), (true, all));
            assert_eq!(dump.histogram().iter().map(|c| c.0).sum::<u64>(), 16);
        }
    }
}

#[test]
fn androids_tags_are_read() {
    let mut f = sample("1.0.3", 4, true);
    // The END is not the last record of such a file: more segments may follow.
    f.bytes.truncate(f.bytes.len() - 9);
    f.sub(0xfe, 0x4100, &name("App").to_be_bytes()[4..]);
    f.sub(0xc3, at(30), &[&[0; 4][..], &3u32.to_be_bytes(), &[10]].concat());
    for tag in [0x89, 0x8a, 0x8b, 0x8c, 0x8d] {
        f.sub(tag, at(30), &[]);
    }
    f.sub(0x8e, at(30), &[0; 8]);
    f.sub(0x90, at(30), &[]);
    f.sub(0x89, at(A_STRING), &[]);
    f.flush(0x1c);
    f.record(0x2c, &[]);
    let dump = whole(&f);
    let ints = dump.place(at(30)).expect("an array without its values");
    assert_eq!(dump.classes()[dump.class_of(ints) as usize].name, "int[]");
    assert_eq!(dump.size(ints), 24);
    let others: Vec<RootKind> = dump.roots()[8..].iter().map(|r| r.kind).collect();
    assert_eq!(others, [0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x89].map(RootKind::Other));
}

/// Records of tags that the format does not have are stepped over and counted; a sub-record of such a tag ends its
/// record only.
#[test]
fn what_is_not_known_is_told() {
    let mut f = sample("1.0.2", 8, true);
    f.bytes.truncate(f.bytes.len() - 9);
    f.record(0x63, b"something else");
    f.record(0x63, b"");
    f.instance(at(30), at(APP), &[Value::Byte(1)]);
    f.instance(at(31), at(NOWHERE), &[]);
    f.sub(0x55, 0, &[1, 2, 3]);
    f.instance(at(32), at(OBJECT), &[]);
    f.flush(0x1c);
    f.instance(at(33), at(OBJECT), &[]);
    f.instance(at(AN_APP), at(OBJECT), &[]);
    f.flush(0x1c);
    f.record(0x02, &[1, 2]);
    let dump = open(&f.bytes).expect("HPROF");
    let loss = dump.loss();
    assert_eq!(loss.unknown.iter().collect::<Vec<_>>(), [(&0x63, &2)]);
    assert_eq!((loss.holes, loss.short_instances, loss.unclassed), (1, 1, 1));
    assert_eq!((loss.short_records, loss.repeated, loss.no_end), (1, 1, true));
    let notes = loss.notes().join("\n");
    for said in ["tag 0x55 is not known", "HEAP_DUMP_END", "0x63", "the first stands"] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    assert!(dump.place(at(30)).is_some() && dump.place(at(32)).is_none());
    assert!(dump.place(at(33)).is_some());
    // The first of an id stands.
    let class = dump.class_of(dump.place(at(AN_APP)).expect("an object"));
    assert_eq!(dump.classes()[class as usize].name, "App");
    assert_eq!(dump.histogram().iter().map(|c| c.0).sum::<u64>(), dump.numbers().len());
}

/// Asks all there is to ask: nothing may panic or run for ever.
fn ask(dump: &Dump) {
    for place in 0..=dump.numbers().len() {
        let mut count = 0;
        dump.references(place, |_, _| count += 1);
        dump.describe(place, |_| count -= 1);
        assert_eq!(count, 0);
        dump.text(place, 10);
        dump.mirrored(place);
        assert!(dump.size(place) < 1 << 50 && dump.mat_size(place) < 1 << 50);
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_read_and_told() {
    for (id, segments) in [(4, true), (8, false)] {
        let f = sample("1.0.2", id, segments);
        let all = whole(&f).numbers().len();
        let mut most = 0;
        for cut in 0..f.bytes.len() {
            match open(&f.bytes[..cut]) {
                Err(e) => assert!(cut < 31, "{cut}: {e}"),
                Ok(dump) => {
                    ask(&dump);
                    assert!(!dump.loss().is_whole(), "{cut}");
                    assert!(!dump.loss().notes().is_empty(), "{cut}");
                    let there = dump.numbers().len();
                    assert!(there >= most && there <= all, "{cut}: {there} after {most}");
                    most = there;
                }
            }
        }
        assert_eq!(most, all);
    }
}

#[test]
fn damage_anywhere_is_harmless() {
    let mut seed = 11u64;
    let mut random = |most: usize| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (seed >> 33) as usize % most
    };
    for round in 0..4000 {
        let f = sample("1.0.2", [4, 8][round % 2], round % 4 < 2);
        let mut bytes = f.bytes;
        for _ in 0..1 + random(6) {
            let at = random(bytes.len());
            bytes[at] = [0, 0xff, 0x7f, random(256) as u8, bytes[at] ^ 1 << random(8)][random(5)];
        }
        if let Ok(dump) = open(&bytes) {
            ask(&dump);
        }
    }
}

/// Super classes in a circle, and a class that is its own super class.
#[test]
fn circles_of_super_classes_end() {
    let mut f = sample("1.0.2", 8, false);
    f.class(&Class { id: at(30), super_class: at(31), ..Class::default() });
    f.class(&Class { id: at(31), super_class: at(30), ..Class::default() });
    f.class(&Class { id: at(32), super_class: at(32), ..Class::default() });
    f.instance(at(33), at(32), &[]);
    f.flush(0x0c);
    let dump = open(&f.bytes).expect("HPROF");
    ask(&dump);
    assert_eq!(dump.loss().circular, 3);
}

/// The program: by the first bytes, plain and packed, from a file and from standard input; what an HPROF cannot answer
/// is refused.
#[test]
fn the_program_takes_them() {
    let dir = Scratch::new("hprof-input");
    let file = dir.path("heap.bin");
    let f = sample("1.0.2", 8, true);
    std::fs::write(&file, &f.bytes).expect("room");
    let histo = text(rjcore().arg("histo").arg(&file));
    assert!(histo.contains("App\n") && histo.contains(" [C\n"), "{histo}");
    let said: serde_json::Value =
        serde_json::from_str(&text(rjcore().args(["histo", "--json"]).arg(&file))).expect("JSON");
    Checker::new().check("histo", &said, "of an HPROF");
    assert_eq!((&said["whole"], &said["total"]["instances"]), (&true.into(), &16.into()));
    assert!(said["sizes"].as_str().is_some_and(|s| s.contains("headers of")), "{said}");
    for packer in ["gzip", "zstd", "xz"] {
        let out = run(Command::new(tool(packer)).args(["-q", "-c"]).arg(&file));
        let packed = dir.path(packer);
        std::fs::write(&packed, out.stdout).expect("room");
        assert_eq!(text(rjcore().arg("histo").arg(&packed)), histo, "{packer}");
        let from = std::fs::File::open(&packed).expect("a file");
        let out = rjcore().args(["histo", "-"]).stdin(from).output().expect("rjcore");
        assert_eq!(String::from_utf8_lossy(&out.stdout), histo, "{packer}");
    }
    let cut = dir.path("cut");
    std::fs::write(&cut, &f.bytes[..f.bytes.len() - 30]).expect("room");
    let out = rjcore().arg("histo").arg(&cut).output().expect("rjcore");
    let words = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(3), "{words}");
    assert!(words.contains("cut off"), "{words}");
    for command in ["info", "stack"] {
        let out = rjcore().arg(command).arg(&file).output().expect("rjcore");
        let words = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{words}");
        assert!(words.contains("HPROF heap dump") && words.contains("rjcore histo"), "{words}");
    }
    let out = rjcore().args(["histo", "--by-space"]).arg(&file).output().expect("rjcore");
    assert_eq!(out.status.code(), Some(2));
}
