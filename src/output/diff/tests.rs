//! Two graphs made by hand.

use super::super::made::Made;
use super::super::retained::{By, groups, of_classes};
use super::*;
use crate::graph::Value;
use crate::graph::dominators::{Dominators, Rule, Watch};

/// A cache of so many orders, each with so many bytes.
fn cache(orders: usize, bytes: usize) -> Made {
    let mut made = Made::new();
    made.class("com.acme.Cache", "", "list name");
    made.class("java.util.ArrayList", "", "elementData size:int");
    made.class("com.acme.Order", "", "scan");
    let orders: Vec<Value> = (0..orders)
        .map(|_| {
            let scan = made.bytes(&vec![1; bytes]);
            made.object("com.acme.Order", &[("scan", scan)])
        })
        .collect();
    let array = made.array("java.lang.Object[]", &orders);
    let list = made.object("java.util.ArrayList", &[("elementData", array)]);
    let cache = made.object("com.acme.Cache", &[("list", list)]);
    made.root(cache);
    made
}

/// A list of so many links.
fn links(count: usize) -> Made {
    let mut made = Made::new();
    made.class("com.acme.Link", "", "next");
    let mut last = Value::Null;
    for _ in 0..count {
        last = made.object("com.acme.Link", &[("next", last)]);
    }
    made.root(last);
    made
}

fn with_tree<T>(made: &Made, work: impl FnOnce(&Dominators<'_, Made, u32>, Watch<'_>) -> T) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let quiet = Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) };
    let tree = Dominators::<Made, u32>::find(made, Rule::Strong, &pool, quiet).expect("a tree");
    work(&tree, quiet)
}

fn holders_of(made: &Made) -> Branch {
    with_tree(made, holders).expect("holders")
}

/// What grew between two graphs, each as its path, the change of its objects, and of what it retains.
fn compared(before: &Made, after: &Made, least: u64) -> Vec<(String, i64, i64)> {
    let step = |s: &Step| match &s.field {
        Some(field) => format!("{field}: {}", s.class),
        None => s.class.clone(),
    };
    let told = |g: Grown| {
        let path: Vec<String> = g.path.iter().map(step).collect();
        (path.join(" > "), g.objects_change, g.retained_change)
    };
    grown(&holders_of(before), &holders_of(after), least).into_iter().map(told).collect()
}

const ARRAY: &str = "com.acme.Cache > list: java.util.ArrayList > elementData: java.lang.Object[]";

/// Told is what became many more, not what each of them holds, and not the list that holds them.
#[test]
fn orders_that_pile_up() {
    let found = compared(&cache(10, 1000), &cache(1010, 1000), 5000);
    assert_eq!(found, [(format!("{ARRAY} > com.acme.Order"), 1000, 1000 * (16 + 1016))]);
    let found = compared(&cache(1010, 1000), &cache(10, 1000), 5000);
    assert_eq!(found, [(format!("{ARRAY} > com.acme.Order"), -1000, -1000 * (16 + 1016))]);
}

/// As many objects as before that became larger: what is larger in them.
#[test]
fn orders_that_grow() {
    let found = compared(&cache(50, 1000), &cache(50, 9000), 5000);
    let scans = format!("{ARRAY} > com.acme.Order > byte[]");
    assert_eq!(found, [(scans, 0, 50 * 8000)]);
}

#[test]
fn a_long_list_is_one_thing() {
    let found = compared(&links(100), &links(50_000), 5000);
    assert_eq!(found, [("com.acme.Link".into(), 49_900, 49_900 * 16)]);
}

#[test]
fn the_same_heap() {
    assert_eq!(compared(&cache(100, 1000), &cache(100, 1000), 1), []);
    let groups = with_tree(&cache(100, 1000), |tree, _| groups(tree, By::Class));
    assert_eq!(changes(&groups, &groups), []);
}

#[test]
fn groups_by_name() {
    let group = |name: &str, objects: u64, retained: u64| {
        let (name, weaker, share) = (name.into(), 0, 0.0);
        Group { name, objects, shallow: 8 * objects, retained, share, weaker }
    };
    let before = [
        group("com.acme.Loader @ 0x1000", 1, 100),
        group("com.acme.Loader @ 0x2000", 2, 200),
        group("a.B$$Lambda/0x00007f0000001000", 1, 16),
        group("Gone", 5, 50),
    ];
    let after = [
        group("com.acme.Loader @ 0x3000", 4, 900),
        group("a.B$$Lambda/0x00007f0000ffff00", 1, 16),
        group("New", 1, 10),
    ];
    let all = changes(&before, &after);
    let told: Vec<_> = all
        .iter()
        .map(|c| (c.name.as_str(), c.presence, c.retained_change, c.objects_change))
        .collect();
    assert_eq!(
        told,
        [
            ("com.acme.Loader", Presence::Both, 600, 1),
            ("Gone", Presence::Gone, -50, -5),
            ("New", Presence::New, 10, 1),
        ]
    );
    assert_eq!(lasting("x.Y$$Lambda$14+0x0000000800c03000[]"), "x.Y$$Lambda$14[]");
}

/// What classes retain together is counted once where one holds the other.
#[test]
fn gates() {
    let made = cache(10, 1000);
    let retained = |gate: &str| {
        let gate: Gate = gate.parse().expect("a gate");
        with_tree(&made, |tree, _| gate.measure(&of_classes(tree, |name| gate.is_of(name))))
    };
    let orders = 10 * (16 + 1016);
    assert_eq!(retained("retained(com.acme.Order) > 1"), orders);
    assert_eq!(retained("retained(com.acme.*) > 1"), retained("retained(com.acme.Cache) > 1"));
    assert_eq!(retained("shallow(com.acme.Order) > 1"), 160);
    assert_eq!(retained("objects(com.acme.*) > 1"), 11);
    assert_eq!(retained("objects > 1"), 23);

    let exceeded = |gate: &str, before, after| {
        gate.parse::<Gate>().unwrap_or_else(|e| panic!("{gate}: {e}")).pass(before, after).exceeded
    };
    assert!(!exceeded("retained > +10%", 100, 110) && exceeded("retained>+10%", 100, 111));
    assert!(exceeded("retained > +10%", 0, 1) && !exceeded("retained > +10%", 100, 0));
    assert!(!exceeded("shallow(a.*) > +1K", 0, 1024) && exceeded("shallow(a.*) > +1K", 0, 1025));
    assert!(!exceeded("shallow(a.*) > +1K", 9000, 0));
    assert!(exceeded("objects(a) > 5", 9, 6) && !exceeded("objects(a) > 5", 9, 5));
    for wrong in
        ["retained", "size > 1", "retained(a > 1", "retained > 10%", "retained > +x%", "objects > "]
    {
        assert!(wrong.parse::<Gate>().is_err(), "{wrong}");
    }
}
