//! Collections made by hand: what they hold, also where they are damaged.

use super::super::made::Made;
use super::*;
use crate::graph::Value;

fn int(n: i32) -> Value {
    Value::Int(n)
}

/// A graph with some of the JDK's classes.
fn jdk() -> Made {
    let mut made = Made::new();
    for (name, of, fields) in [
        ("java.lang.Object[]", "", ""),
        ("java.util.AbstractMap", "", "keySet values"),
        ("java.util.ArrayList", "", "modCount:int elementData size:int"),
        ("java.util.HashMap", "java.util.AbstractMap", "table entrySet size:int"),
        ("java.util.HashMap$Node", "", "hash:int key value next"),
        ("java.util.LinkedHashMap", "java.util.HashMap", "head tail"),
        ("java.util.LinkedHashMap$Entry", "java.util.HashMap$Node", "before after"),
        ("java.util.HashSet", "", "map"),
        ("java.util.TreeMap", "java.util.AbstractMap", "root size:int"),
        ("java.util.TreeMap$Entry", "", "key value left right parent"),
        ("java.util.ArrayDeque", "", "elements head:int tail:int"),
        ("java.util.LinkedList", "", "size:int first last"),
        ("java.util.LinkedList$Node", "", "item next prev"),
        ("java.util.concurrent.ConcurrentLinkedQueue", "", "head tail"),
        ("java.util.concurrent.ConcurrentLinkedQueue$Node", "", "item next"),
        ("java.util.concurrent.ConcurrentHashMap", "", "table baseCount:long counterCells"),
        ("java.util.concurrent.ConcurrentHashMap$Node", "", "key val next"),
        (
            "java.util.concurrent.ConcurrentHashMap$TreeBin",
            "java.util.concurrent.ConcurrentHashMap$Node",
            "first",
        ),
        ("java.util.concurrent.ConcurrentHashMap$CounterCell", "", "value:long"),
        ("java.util.IdentityHashMap", "", "table size:int"),
        ("java.util.EnumMap", "", "keyUniverse vals size:int"),
        ("java.util.RegularEnumSet", "", "universe elements:long"),
        ("java.util.JumboEnumSet", "", "universe elements size:int"),
        ("java.util.ImmutableCollections", "", ""),
        ("java.util.ImmutableCollections$List12", "", "e0 e1"),
        (
            "it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap",
            "",
            "key value containsNullKey:int size:int",
        ),
        ("com.acme.Orders", "java.util.ArrayList", "name"),
        ("com.acme.Order", "", "id:int"),
    ] {
        made.class(name, of, fields);
    }
    made
}

fn orders(made: &mut Made, count: i32) -> Vec<Value> {
    (0..count).map(|i| made.object("com.acme.Order", &[("id", int(i))])).collect()
}

/// What it says of itself, and its entries.
fn all(made: &Made, object: Value, most: u64) -> (Option<Seen>, Option<Walked>, Vec<Entry>) {
    let collections = Collections::new(made, &Descriptions::known());
    let mut reader = collections.reader(made);
    let place = object.object().expect("an object");
    let mut entries = Vec::new();
    let walked = reader.entries(place, most, |e| entries.push(e));
    (reader.look(place), walked, entries)
}

#[track_caller]
fn holds(
    made: &Made,
    object: Value,
    kind: Kind,
    capacity: Option<u64>,
    entries: &[(Option<Value>, Value)],
) {
    let (seen, walked, found) = all(made, object, 1000);
    let seen = seen.expect("a collection");
    let size = Some(entries.len() as u64);
    assert_eq!((seen.kind, seen.size, seen.more, seen.capacity), (kind, size, false, capacity));
    assert_eq!(walked, Some(Walked { count: entries.len() as u64, whole: true }));
    let found: Vec<_> = found.into_iter().map(|e| (e.key, e.value)).collect();
    assert_eq!(found, entries);
}

fn values(all: &[Value]) -> Vec<(Option<Value>, Value)> {
    all.iter().map(|v| (None, *v)).collect()
}

#[test]
fn the_built_in_table_is_sound() {
    let known = Descriptions::known();
    assert!(known.described.len() > 80, "{}", known.described.len());
}

#[test]
fn lists_and_those_that_extend_them() {
    let mut made = jdk();
    let o = orders(&mut made, 3);
    let array = made.array("java.lang.Object[]", &[o[0], o[1], Value::Null, o[2]]);
    let of = [("elementData", array), ("size", int(3))];
    let list = made.object("java.util.ArrayList", &of);
    let own = made.object("com.acme.Orders", &of);
    for list in [list, own] {
        holds(&made, list, Kind::List, Some(4), &values(&[o[0], o[1], Value::Null]));
    }
    let bare = made.object("java.util.ArrayList", &[]);
    holds(&made, bare, Kind::List, None, &[]);
    assert_eq!(all(&made, o[0], 10), (None, None, Vec::new()));
    let (_, walked, first) = all(&made, list, 2);
    assert_eq!((walked, first.len()), (Some(Walked { count: 2, whole: false }), 2));
}

fn hash_map(made: &mut Made, o: &[Value]) -> Value {
    let node = |made: &mut Made, key, value, next| {
        made.object("java.util.HashMap$Node", &[("key", key), ("value", value), ("next", next)])
    };
    let second = node(made, o[1], o[2], Value::Null);
    let first = node(made, o[0], o[1], second);
    let none = node(made, Value::Null, o[0], Value::Null);
    let table = made.array("java.util.HashMap$Node[]", &[none, Value::Null, first, Value::Null]);
    made.object("java.util.HashMap", &[("table", table), ("size", int(3))])
}

#[test]
fn maps_and_sets_made_of_them() {
    let mut made = jdk();
    let o = orders(&mut made, 3);
    let map = hash_map(&mut made, &o);
    let entries = [(Some(Value::Null), o[0]), (Some(o[0]), o[1]), (Some(o[1]), o[2])];
    holds(&made, map, Kind::Map, Some(4), &entries);
    let set = made.object("java.util.HashSet", &[("map", map)]);
    holds(&made, set, Kind::Set, Some(4), &values(&[Value::Null, o[0], o[1]]));
    let left = made.object("java.util.TreeMap$Entry", &[("key", o[0]), ("value", o[2])]);
    let root =
        made.object("java.util.TreeMap$Entry", &[("key", o[1]), ("value", o[1]), ("left", left)]);
    let tree = made.object("java.util.TreeMap", &[("root", root), ("size", int(2))]);
    holds(&made, tree, Kind::Map, None, &[(Some(o[0]), o[2]), (Some(o[1]), o[1])]);
    let pairs = made.array("java.lang.Object[]", &[Value::Null, Value::Null, o[1], o[0]]);
    let identity = made.object("java.util.IdentityHashMap", &[("table", pairs), ("size", int(1))]);
    holds(&made, identity, Kind::Map, Some(4), &[(Some(o[1]), o[0])]);
}

#[test]
fn a_linked_map_in_its_order() {
    let mut made = jdk();
    let o = orders(&mut made, 2);
    let entry = "java.util.LinkedHashMap$Entry";
    let last = made.object(entry, &[("key", o[1])]);
    let head = made.object(entry, &[("key", o[0]), ("value", o[1]), ("after", last)]);
    let table = made.array("java.util.HashMap$Node[]", &[last, head]);
    let map = made
        .object("java.util.LinkedHashMap", &[("table", table), ("head", head), ("size", int(2))]);
    holds(&made, map, Kind::Map, Some(2), &[(Some(o[0]), o[1]), (Some(o[1]), Value::Null)]);
}

#[test]
fn queues_rings_and_chains() {
    let mut made = jdk();
    let o = orders(&mut made, 3);
    let ring = made.array("java.lang.Object[]", &[o[2], Value::Null, o[0], o[1]]);
    let deque = made
        .object("java.util.ArrayDeque", &[("elements", ring), ("head", int(2)), ("tail", int(1))]);
    holds(&made, deque, Kind::Deque, Some(4), &values(&[o[0], o[1], o[2]]));
    let node = "java.util.concurrent.ConcurrentLinkedQueue$Node";
    let last = made.object(node, &[("item", o[1])]);
    let taken = made.object(node, &[("next", last)]);
    let head = made.object(node, &[("item", o[0]), ("next", taken)]);
    let queue = made.object("java.util.concurrent.ConcurrentLinkedQueue", &[("head", head)]);
    holds(&made, queue, Kind::Queue, None, &values(&[o[0], o[1]]));
    let list_node = "java.util.LinkedList$Node";
    let null = made.object(list_node, &[]);
    let first = made.object(list_node, &[("item", o[0]), ("next", null)]);
    let list = made.object("java.util.LinkedList", &[("first", first), ("size", int(2))]);
    holds(&made, list, Kind::List, None, &values(&[o[0], Value::Null]));
}

#[test]
fn concurrent_maps_add_up_their_cells() {
    let mut made = jdk();
    let o = orders(&mut made, 3);
    let node = "java.util.concurrent.ConcurrentHashMap$Node";
    let second = made.object(node, &[("key", o[1]), ("val", o[1])]);
    let first = made.object(node, &[("key", o[0]), ("val", o[2]), ("next", second)]);
    let bin = made.object("java.util.concurrent.ConcurrentHashMap$TreeBin", &[("first", first)]);
    let table = made.array("java.lang.Object[]", &[bin, Value::Null]);
    let cell = "java.util.concurrent.ConcurrentHashMap$CounterCell";
    let cell = made.object(cell, &[("value", Value::Long(3))]);
    let cells = made.array("java.lang.Object[]", &[Value::Null, cell]);
    let of = [("table", table), ("baseCount", Value::Long(-1)), ("counterCells", cells)];
    let map = made.object("java.util.concurrent.ConcurrentHashMap", &of);
    holds(&made, map, Kind::Map, Some(2), &[(Some(o[0]), o[2]), (Some(o[1]), o[1])]);
}

#[test]
fn enums_and_what_lies_in_fields() {
    let mut made = jdk();
    let o = orders(&mut made, 3);
    let universe = made.array("com.acme.Color[]", &o);
    let vals = made.array("java.lang.Object[]", &[Value::Null, o[0], Value::Null]);
    let map = made.object(
        "java.util.EnumMap",
        &[("keyUniverse", universe), ("vals", vals), ("size", int(1))],
    );
    holds(&made, map, Kind::Map, Some(3), &[(Some(o[1]), o[0])]);
    let set = made.object(
        "java.util.RegularEnumSet",
        &[("universe", universe), ("elements", Value::Long(5))],
    );
    holds(&made, set, Kind::Set, None, &values(&[o[0], o[2]]));
    let bits = made.longs(&[2]);
    let jumbo = made.object(
        "java.util.JumboEnumSet",
        &[("universe", universe), ("elements", bits), ("size", int(1))],
    );
    holds(&made, jumbo, Kind::Set, None, &values(&[o[1]]));
    let empty = made.object("java.lang.Object", &[]);
    made.set_static("java.util.ImmutableCollections", "EMPTY", empty);
    let list = "java.util.ImmutableCollections$List12";
    let one = made.object(list, &[("e0", o[0]), ("e1", empty)]);
    holds(&made, one, Kind::List, None, &values(&[o[0]]));
    let two = made.object(list, &[("e0", o[0]), ("e1", o[1])]);
    holds(&made, two, Kind::List, None, &values(&[o[0], o[1]]));
}

#[test]
fn maps_of_primitives_by_their_pattern() {
    let mut made = jdk();
    let o = orders(&mut made, 2);
    let keys = made.longs(&[0, 7, 0, 0, 0]);
    let table = [Value::Null, o[0], Value::Null, Value::Null, o[1]];
    let table = made.array("java.lang.Object[]", &table);
    let class = "it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap";
    let of = [("key", keys), ("value", table), ("containsNullKey", int(1)), ("size", int(2))];
    let map = made.object(class, &of);
    let (seven, zero) = (Some(Value::Long(7)), Some(Value::Long(0)));
    holds(&made, map, Kind::Map, Some(5), &[(seven, o[0]), (zero, o[1])]);
}

#[test]
fn circles_and_wild_numbers_end() {
    let mut made = jdk();
    let o = orders(&mut made, 1);
    let node = "java.util.concurrent.ConcurrentLinkedQueue$Node";
    let first = made.object(node, &[("item", o[0])]);
    let second = made.object(node, &[("item", o[0]), ("next", first)]);
    made.set(first, "next", second);
    let queue = made.object("java.util.concurrent.ConcurrentLinkedQueue", &[("head", first)]);
    let (seen, walked, _) = all(&made, queue, 1000);
    assert!(seen.is_some_and(|s| s.more) && walked.is_some_and(|w| !w.whole && w.count < 10));
    let entry = made.object("java.util.TreeMap$Entry", &[("key", o[0]), ("value", o[0])]);
    made.set(entry, "left", entry);
    let tree = made.object("java.util.TreeMap", &[("root", entry), ("size", int(1))]);
    assert_eq!(all(&made, tree, 1000).1, Some(Walked { count: 0, whole: false }));
    let ring = made.array("java.lang.Object[]", &[o[0]]);
    for (head, tail) in [(-1, 0), (0, 77), (i32::MIN, i32::MAX)] {
        let of = [("elements", ring), ("head", int(head)), ("tail", int(tail))];
        let deque = made.object("java.util.ArrayDeque", &of);
        assert_eq!(all(&made, deque, 1000).1, None);
    }
    let list =
        made.object("java.util.ArrayList", &[("elementData", ring), ("size", int(i32::MAX))]);
    assert_eq!(all(&made, list, 1000).1, Some(Walked { count: 1, whole: true }));
    let negative = made.object("java.util.ArrayList", &[("elementData", ring), ("size", int(-1))]);
    assert_eq!(all(&made, negative, 1000).0.and_then(|s| s.size), None);
    // A set of itself.
    let set = made.object("java.util.HashSet", &[]);
    made.set(set, "map", set);
    assert_eq!(all(&made, set, 1000).1, None);
}

#[test]
fn arrays_have_the_room_that_their_kind_needs() {
    let mut made = jdk();
    let o = orders(&mut made, 3);
    let map = hash_map(&mut made, &o);
    let list = made.object("java.util.ArrayList", &[]);
    let deque = made.object("java.util.ArrayDeque", &[]);
    let identity = made.object("java.util.IdentityHashMap", &[]);
    let collections = Collections::new(&made, &Descriptions::known());
    let reader = collections.reader(&made);
    let needed = |of: Value, entries, length| {
        reader.needed(of.object().expect("an object"), entries, length)
    };
    assert_eq!([1, 3, 12, 13].map(|n| needed(map, n, 64)), [2, 4, 16, 32]);
    assert_eq!((needed(map, 5, 11), needed(list, 3, 10), needed(list, 30, 10)), (7, 3, 10));
    assert_eq!((needed(deque, 3, 16), needed(identity, 1, 64)), (4, 8));
}

#[test]
fn a_users_table_goes_first() {
    let mut made = jdk();
    made.class("com.acme.Bag", "", "items used:int");
    made.class("com.acme.Bag$Cell", "", "of");
    let o = orders(&mut made, 1);
    let items = made.array("java.lang.Object[]", &[o[0], Value::Null]);
    let bag = made.object("com.acme.Bag", &[("items", items), ("used", int(1))]);
    let own = r#"{"collections": [{"class": "com.acme.Bag", "kind": "collection", "size": "used",
        "store": {"array": "items"}}]}"#;
    let descriptions = Descriptions::known().and(own).expect("a table");
    let collections = Collections::new(&made, &descriptions);
    let seen = collections.reader(&made).look(bag.object().expect("an object"));
    assert_eq!(seen.and_then(|s| s.size.zip(s.capacity)), Some((1, 2)));
    let class = |name: &str| {
        let at = made.classes().iter().position(|c| c.name == name);
        at.expect("a class") as u32
    };
    for inner in
        ["com.acme.Bag", "com.acme.Bag$Cell", "java.util.HashMap$Node", "java.util.AbstractMap"]
    {
        assert!(collections.is_inner(class(inner)), "{inner}");
    }
    assert!(!collections.is_inner(class("com.acme.Order")));
    for (wrong, why) in [
        ("{", "EOF"),
        (r#"{"collections": [{"class": "A", "kind": "heap", "size": "n"}]}"#, "heap"),
        (r#"{"collections": [{"class": "A", "kind": "map"}]}"#, "A: neither"),
        (r#"{"collections": [{"class": "A", "kind": "map", "size": "a..b"}]}"#, "a..b"),
        (r#"{"collections": [{"class": "A", "kind": "map", "size": "n", "bag": 1}]}"#, "bag"),
    ] {
        let said = Descriptions::known().and(wrong).expect_err("no table");
        assert!(said.contains(why), "{said}");
    }
}
