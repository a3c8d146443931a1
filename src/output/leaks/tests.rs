//! Graphs made by hand: what a suspect is, and what is none.

mod graph;

use super::*;
use crate::graph::{NO_CLASS, ObjectGraph, Strength};
use graph::Via::{self, Element, Referent, Static};
use graph::{CLASS, Made};

const LIMITS: Limits = Limits { share: 10.0, min: 0 };

/// The name of a suspect's field.
fn field(suspect: &Suspect) -> String {
    let field = suspect.field.as_ref().unwrap_or_else(|| panic!("no field: {suspect:#?}"));
    format!("{}.{}", field.class, field.name)
}

fn bytes(made: &mut Made, size: u64) -> u64 {
    made.object("byte[]", size)
}

#[test]
fn a_static_map() {
    let mut made = Made::default();
    let class = made.permanent("com.acme.Cache");
    made.map(class, Static("MAP"), 1000, |made, _| {
        let order = made.object("com.acme.Order", 24);
        let rows = bytes(made, 5000);
        made.refer(order, Via::Field("rows"), rows);
        order
    });
    let leaks = made.find(LIMITS);
    let [suspect] = leaks.suspects.as_slice() else { panic!("{leaks:#?}") };
    assert_eq!((suspect.kind, field(suspect)), (Kind::Object, "com.acme.Cache.MAP".into()));
    assert_eq!((suspect.class.as_str(), suspect.objects), ("java.util.HashMap", 1));
    let levels: Vec<_> = suspect.levels.iter().map(|l| (l.class.as_str(), l.objects)).collect();
    assert_eq!(levels, [("com.acme.Order", 1000), ("byte[]", 1000)]);
    assert_eq!(
        suspect.classes[0],
        OfClass { class: "byte[]".into(), objects: 1000, bytes: 5_000_000 }
    );
    assert!(
        suspect.text.starts_with("The static field com.acme.Cache.MAP holds 4.8 MB"),
        "{}",
        suspect.text
    );
    assert!(suspect.text.contains("1,000 com.acme.Order"), "{}", suspect.text);
    let path: Vec<_> = suspect.path.iter().filter_map(|s| s.name.as_deref()).collect();
    assert_eq!(path, ["a class that is never unloaded", "MAP", "table", "value", "rows"]);
    assert!(leaks.explained_share > 99.0);
}

/// The application holds all, and that says nothing: its parts are the suspects.
#[test]
fn two_caches_of_one_object() {
    let mut made = Made::default();
    let thread = made.thread("main");
    let app = made.object("com.acme.App", 32);
    made.local(app);
    made.map(app, Via::Field("orders"), 500, |made, _| bytes(made, 4000));
    made.map(app, Via::Field("prices"), 500, |made, _| bytes(made, 2000));
    assert_eq!(thread, 0);
    let leaks = made.find(LIMITS);
    let fields: Vec<String> = leaks.suspects.iter().map(field).collect();
    assert_eq!(fields, ["com.acme.App.orders", "com.acme.App.prices"]);
    let frame = leaks.suspects[0].thread.as_ref().and_then(|t| t.frame.clone());
    assert_eq!(frame.as_deref(), Some("com.acme.Main.run(Main.java:12)"));
    assert!(leaks.suspects[0].text.contains("thread \"main\""), "{}", leaks.suspects[0].text);
}

/// Many small parts of different kinds are a large program.
#[test]
fn what_is_spread_does_not_stand_out() {
    let mut made = Made::default();
    made.thread("main");
    let app = made.object("com.acme.App", 32);
    made.local(app);
    made.map(app, Via::Field("services"), 24, |made, i| {
        let service = made.object(&format!("com.acme.Service{i}"), 32);
        made.map(service, Via::Field("cache"), 50, |made, _| bytes(made, 1000));
        service
    });
    let leaks = made.find(LIMITS);
    assert!(leaks.suspects.is_empty(), "{leaks:#?}");
    assert!(leaks.text.contains("Nothing stands out"), "{}", leaks.text);
    // The same as one kind of service is one.
    let mut made = Made::default();
    let class = made.permanent("com.acme.App");
    made.map(class, Static("SERVICES"), 24, |made, _| {
        let service = made.object("com.acme.Service", 32);
        made.map(service, Via::Field("cache"), 50, |made, _| bytes(made, 1000));
        service
    });
    let leaks = made.find(LIMITS);
    let [suspect] = leaks.suspects.as_slice() else { panic!("{leaks:#?}") };
    // Of 24 services each has 50.
    assert_eq!(field(suspect), "com.acme.Service.cache");
    assert_eq!(suspect.levels[0].objects, 24);
}

/// A few large ones of a kind in one collection are a group; by fields of their own they are not.
#[test]
fn few_of_a_kind() {
    for by_field in [false, true] {
        let mut made = Made::default();
        let class = made.permanent("com.acme.Pool");
        let pool = made.object("com.acme.Pool", 32);
        made.refer(class, Static("POOL"), pool);
        let array = made.object("com.acme.Connection[]", 32);
        made.refer(pool, Via::Field("open"), array);
        for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let one = made.object("com.acme.Connection", 32);
            let via = if by_field { Via::Field(name) } else { Element };
            made.refer(if by_field { pool } else { array }, via, one);
            let count = 300 + i as u64;
            made.map(one, Via::Field("statements"), count, |made, _| bytes(made, 3000));
        }
        let leaks = made.find(LIMITS);
        assert_eq!(leaks.suspects.len(), if by_field { 4 } else { 1 }, "{leaks:#?}");
        for suspect in &leaks.suspects {
            assert_eq!(field(suspect), "com.acme.Connection.statements");
        }
        if by_field {
            assert!(leaks.suspects[0].path.iter().any(|s| s.name.as_deref() == Some("d")));
        }
    }
}

/// Lists are one thing, however long; also those of which every other link is of another class.
#[test]
fn long_lists() {
    for others in [false, true] {
        let mut made = Made::default();
        let class = made.permanent("com.acme.List");
        let (mut last, mut via) = (class, Static("FIRST"));
        for i in 0..60_000 {
            let is_other = others && i % 2 == 1;
            let name = if is_other { "com.acme.Glue" } else { "com.acme.Link" };
            let link = made.object(name, 24);
            made.refer(last, via, link);
            (last, via) = (link, Via::Field("next"));
        }
        let leaks = made.find(LIMITS);
        let [suspect] = leaks.suspects.as_slice() else { panic!("{:?}", leaks.suspects) };
        assert!(suspect.share > 99.0, "{}", suspect.text);
        let most = suspect.levels.iter().map(|l| l.objects).max();
        let least = if others { 29_000 } else { 60_000 };
        assert!(most.is_some_and(|m| m >= least), "{:?}", suspect.levels);
    }
}

/// What several hold together, and none of them alone, is a group.
#[test]
fn what_no_single_object_holds() {
    let mut made = Made::default();
    let (a, b) = (made.permanent("com.acme.ById"), made.permanent("com.acme.ByName"));
    let orders: Vec<u64> = (0..400).map(|_| made.object("com.acme.Order", 3000)).collect();
    for (class, name) in [(a, "MAP"), (b, "INDEX")] {
        let orders = orders.clone();
        made.map(class, Static(name), 400, |_, i| orders[i as usize]);
    }
    let leaks = made.find(LIMITS);
    let [suspect] = leaks.suspects.as_slice() else { panic!("{leaks:#?}") };
    assert_eq!((suspect.kind, suspect.objects), (Kind::Group, 400));
    assert_eq!((suspect.class.as_str(), suspect.bytes), ("com.acme.Order", 1_200_000));
    assert_eq!(field(suspect), "com.acme.ById.MAP");
}

#[test]
fn threads_that_keep_much_each() {
    let mut made = Made::default();
    let local = made.object("java.lang.ThreadLocal", 16);
    let class = made.permanent("com.acme.Context");
    made.refer(class, Static("CURRENT"), local);
    for i in 0..20 {
        let thread = made.thread(&format!("worker-{i}"));
        let map = made.object("java.lang.ThreadLocal$ThreadLocalMap", 24);
        let table = made.object("java.lang.ThreadLocal$ThreadLocalMap$Entry[]", 80);
        let entry = made.object("java.lang.ThreadLocal$ThreadLocalMap$Entry", 32);
        made.refer(thread, Via::Field("threadLocals"), map);
        made.refer(map, Via::Field("table"), table);
        made.refer(table, Element, entry);
        made.refer(entry, Referent(Strength::Weak), local);
        made.map(entry, Via::Field("value"), 100, |made, _| bytes(made, 500));
    }
    let leaks = made.find(LIMITS);
    let [suspect] = leaks.suspects.as_slice() else { panic!("{leaks:#?}") };
    assert_eq!((suspect.kind, suspect.objects), (Kind::Group, 20));
    assert_eq!(field(suspect), "com.acme.Context.CURRENT");
    assert!(suspect.field.as_ref().is_some_and(|f| f.thread_local));
    assert_eq!(suspect.thread.as_ref().map(|t| t.threads), Some(20));
}

/// Of what is held less than strongly each sort is a kind of its own.
#[test]
fn weaker_memory_is_of_its_own_kind() {
    for (strength, kind) in [
        (Strength::Soft, Kind::Soft),
        (Strength::Weak, Kind::Weak),
        (Strength::Final, Kind::Final),
        (Strength::Phantom, Kind::Phantom),
    ] {
        let mut made = Made::default();
        let class = made.permanent("com.acme.Cache");
        made.map(class, Static("MAP"), 300, |made, _| {
            let reference = made.object("java.lang.ref.Some", 48);
            let image = made.object("com.acme.Image", 32);
            let pixels = bytes(made, 4000);
            made.refer(reference, Referent(strength), image);
            made.refer(image, Via::Field("pixels"), pixels);
            reference
        });
        let leaks = made.find(Limits { share: 20.0, min: 100_000 });
        let [suspect] = leaks.suspects.as_slice() else { panic!("{leaks:#?}") };
        assert_eq!((suspect.kind, suspect.bytes), (kind, 300 * 4032), "{strength:?}");
        assert_eq!(suspect.levels[0].class, "com.acme.Image");
        assert_eq!(leaks.explained, suspect.bytes);
    }
}

#[test]
fn classes_of_one_name_of_several_loaders() {
    let mut made = Made::default();
    let hooks = made.permanent("com.acme.Hooks");
    made.map(hooks, Static("AT_END"), 6, |made, _| {
        let loader = made.object("com.acme.PluginLoader", 40);
        let class = made.another("com.acme.Plugin");
        let mirror = made.object(CLASS, 100);
        made.mirrored.insert(mirror, class);
        let of = &mut made.classes[class as usize];
        (of.object, of.loader) = (Some(mirror), Some(loader));
        made.refer(mirror, Via::Field("classLoader"), loader);
        made.map(mirror, Static("CACHE"), 100, |made, _| bytes(made, 2000));
        made.of_class(class, 16)
    });
    let leaks = made.find(LIMITS);
    let [suspect] = leaks.suspects.as_slice() else { panic!("{leaks:#?}") };
    assert_eq!((field(suspect), suspect.loaders), ("com.acme.Hooks.AT_END".into(), 6));
    assert!(suspect.text.contains("a leak of class loaders"), "{}", suspect.text);
}

/// A program's names must not steer a terminal.
#[test]
fn hostile_names() {
    let mut made = Made::default();
    let class = made.permanent("com.acme.\u{1b}[2J\nX");
    made.map(class, Static("A\u{7}\nB"), 100, |made, _| made.object("C\u{9b}31m", 1000));
    made.thread("t\u{1b}]0;x\u{7}");
    let array = made.object("java.lang.Object[]", 100);
    made.local(array);
    for _ in 0..100 {
        let one = made.object("D\u{8}", 1000);
        made.refer(array, Element, one);
    }
    let leaks = made.find(LIMITS);
    assert_eq!(leaks.suspects.len(), 2, "{leaks:#?}");
    let text = show(&leaks, 2);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(text.lines().count() > 10);
}

/// Whatever a heap looks like, it ends, and no byte counts twice.
#[test]
fn graphs_at_random() {
    let names = [
        "A",
        "B",
        "C",
        "java.util.HashMap$Node",
        "java.lang.Object[]",
        "java.util.ArrayList",
        "byte[]",
    ];
    let mut state = 1_u64;
    let mut below = move |most: u64| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) % most
    };
    let mut found = 0;
    for _ in 0..400 {
        let mut made = Made::default();
        let root = made.permanent("Root");
        let count = 2 + below(60);
        for _ in 0..count {
            made.object(names[below(7) as usize], 16 + below(2000));
        }
        for _ in 0..below(3 * count) {
            let (from, to) = (below(count + 1), below(count + 1));
            if made.class_of(from) != made.by_name.get("byte[]").copied().unwrap_or(NO_CLASS) {
                let via = match below(12) {
                    0 => Referent(Strength::ALL[1 + below(4) as usize]),
                    1..6 => Element,
                    _ => Via::Field("f"),
                };
                made.refer(from, via, to);
            }
        }
        made.refer(root, Static("ALL"), 1 + below(count));
        let limits = Limits { share: [0.0, 1.0, 10.0, 30.0][below(4) as usize], min: below(300) };
        let leaks = made.find(limits);
        found += leaks.suspects.len();
        let totals = leaks.totals;
        assert!(leaks.explained <= totals.bytes - totals.garbage, "{leaks:#?}");
        assert!(leaks.suspects.iter().all(|s| s.bytes >= limits.min.max(1)));
        assert!(!show(&leaks, leaks.suspects.len()).is_empty());
    }
    assert!(found > 300, "{found}");
}
