//! Small HPROF files, by the builder that the tests have.

#[path = "../../tests/support/hprof_file.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a module of the tests, too")]
mod hprof_file;

use hprof_file::{Class, File, Value};

/// Classes that answers know, an object of each, and roots of all kinds.
pub(super) fn of(version: &str, id: usize, segments: bool) -> File {
    let mut f = File::new(version, id);
    let tag = if segments { 0x1c } else { 0x0c };
    let names = [
        "java/lang/Object",
        "java/lang/Class",
        "java/lang/String",
        "java/lang/ref/Reference",
        "java/lang/ref/WeakReference",
        "java/util/HashMap",
        "java/util/HashMap$Node",
        "[Ljava/util/HashMap$Node;",
        "[B",
        "java/lang/Thread",
        "java/lang/ClassLoader",
        "java/lang/ref/ReferenceQueue",
        "value",
        "next",
        "key",
        "table",
        "size",
        "referent",
        "queue",
        "head",
        "name",
        "parent",
    ];
    (1u64..).zip(names).for_each(|(n, text)| f.utf8(n, text));
    let name = |text: &str| 1 + names.iter().position(|n| *n == text).unwrap_or(0) as u64;
    let at = |number: u64| 0x1000_0000 + number * 48;
    (0..12).for_each(|n| {
        f.load(at(n), n + 1);
    });
    f.frame(0x77, name("value"), name("name"), 1, 12);
    f.trace(5, 1, &[0x77]);
    let mut class = |n: u64, super_class: u64, fields: &[(u64, u8)]| {
        f.class(&Class { id: at(n), super_class, fields, ..Class::default() });
    };
    class(0, 0, &[]);
    class(1, at(0), &[]);
    class(2, at(0), &[(name("value"), 2)]);
    class(3, at(0), &[(name("referent"), 2), (name("queue"), 2), (name("next"), 2)]);
    class(4, at(3), &[]);
    class(5, at(0), &[(name("table"), 2), (name("size"), 10)]);
    class(6, at(0), &[(name("key"), 2), (name("value"), 2), (name("next"), 2)]);
    class(7, at(0), &[]);
    class(8, at(0), &[]);
    class(9, at(0), &[(name("name"), 2)]);
    class(10, at(0), &[(name("parent"), 2), (name("name"), 2)]);
    f.class(&Class {
        id: at(11),
        super_class: at(0),
        loader: at(30),
        constants: &[Value::Int(3), Value::Ref(at(22))],
        statics: &[(name("table"), Value::Ref(at(20))), (name("size"), Value::Long(9))],
        fields: &[(name("head"), 2), (name("size"), 11)],
    });
    if segments {
        f.flush(tag);
    }
    let reference = |n: u64| Value::Ref(at(n));
    f.instance(at(20), at(5), &[reference(21), Value::Int(2)]);
    f.objects(at(21), at(7), &[at(22), 0, at(99), at(21)]);
    f.instance(at(22), at(6), &[reference(23), reference(20), reference(25)]);
    f.instance(at(23), at(2), &[reference(24)]);
    f.primitives(at(24), 8, 3, b"key");
    f.instance(at(25), at(6), &[reference(23), reference(26), Value::Ref(0)]);
    f.instance(at(26), at(4), &[reference(20), reference(28), Value::Ref(0)]);
    f.instance(at(27), at(9), &[reference(23)]);
    f.instance(at(28), at(11), &[reference(26), Value::Long(1)]);
    f.instance(at(30), at(10), &[Value::Ref(0), reference(23)]);
    if segments {
        f.flush(tag);
    }
    let words = |a: u32, b: u32| [a.to_be_bytes(), b.to_be_bytes()].concat();
    f.sub(0x08, at(27), &words(1, 5));
    f.sub(0x03, at(22), &words(1, 0));
    f.sub(0x02, at(23), &words(1, u32::MAX));
    let handle = f.id(0x99);
    f.sub(0x01, at(28), &handle);
    f.sub(0x05, at(0), &[]);
    f.sub(0x07, at(99), &[]);
    f.sub(0x04, at(20), &1u32.to_be_bytes());
    f.sub(0x06, at(26), &1u32.to_be_bytes());
    f.flush(tag);
    if segments {
        f.record(0x2c, &[]);
    }
    f
}
