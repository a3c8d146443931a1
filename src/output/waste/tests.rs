//! Waste of graphs made by hand.

use super::super::made::Made;
use super::*;
use crate::graph::Value;
use crate::graph::dominators::{Rule, Watch};

fn made() -> Made {
    let mut made = Made::new();
    for (name, of, fields) in [
        ("java.lang.Object[]", "", ""),
        ("java.lang.String", "", "value coder:byte"),
        ("java.lang.Integer", "", "value:int"),
        ("java.lang.Integer$IntegerCache", "", ""),
        ("java.util.ArrayList", "", "elementData size:int"),
        ("java.util.HashMap", "", "table size:int"),
        ("java.util.HashMap$Node", "", "key value next"),
        ("java.util.HashSet", "", "map"),
        ("java.lang.AbstractStringBuilder", "", "value coder:byte count:int"),
        ("java.lang.StringBuilder", "java.lang.AbstractStringBuilder", ""),
        ("com.acme.Order", "", "name lines tags other"),
        ("com.acme.Shop", "", "orders all"),
    ] {
        made.class(name, of, fields);
    }
    made
}

fn found<I: Id>(made: &Made, threads: usize, shown: &Shown<'_>) -> Waste {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let quiet = Watch { step: &|_, _| {}, add: &|_| {}, room: &|_| Ok(()) };
    let tree = Dominators::<Made, I>::find(made, Rule::Strong, &pool, quiet).expect("a tree");
    find(&tree, &Descriptions::known(), shown, quiet).expect("room")
}

const ALL: Shown<'_> = Shown { top: 100, min: 0, wanted: &|_| true };

/// The same by one thread and several, with numbers of either size.
#[track_caller]
fn waste(made: &Made) -> Waste {
    let one = found::<u32>(made, 1, &ALL);
    assert_eq!(found::<u32>(made, 3, &ALL), one);
    assert_eq!(found::<u64>(made, 2, &ALL), one);
    assert_eq!(one.saves, one.kinds.iter().map(|k| k.saves).sum::<u64>());
    for kind in &one.kinds {
        assert_eq!(kind.saves, kind.holders.iter().map(|h| h.saves).sum::<u64>());
        assert_eq!(kind.objects, kind.holders.iter().map(|h| h.objects).sum::<u64>());
    }
    one
}

/// Who holds what of a kind: field, inside or not, objects, bytes.
fn held(waste: &Waste, kind: Kind) -> Vec<(String, bool, u64, u64)> {
    let of = waste.kinds.iter().filter(|k| k.kind == kind).flat_map(|k| &k.holders);
    let mut all: Vec<_> =
        of.map(|h| (format!("{}.{}", h.class, h.field), h.inside, h.objects, h.saves)).collect();
    all.sort();
    all
}

fn of(field: &str, inside: bool, objects: u64, saves: u64) -> (String, bool, u64, u64) {
    (field.to_owned(), inside, objects, saves)
}

fn string(made: &mut Made, text: &str) -> Value {
    let bytes = made.bytes(text.as_bytes());
    made.object("java.lang.String", &[("value", bytes)])
}

fn list(made: &mut Made, elements: &[Value], capacity: usize) -> Value {
    let mut all = elements.to_vec();
    all.resize(capacity, Value::Null);
    let array = made.array("java.lang.Object[]", &all);
    let size = Value::Int(elements.len() as i32);
    made.object("java.util.ArrayList", &[("elementData", array), ("size", size)])
}

/// An order that a root holds.
fn order(made: &mut Made, fields: &[(&str, Value)]) -> Value {
    let order = made.object("com.acme.Order", fields);
    made.root(order);
    order
}

#[test]
fn strings_with_one_text() {
    let mut made = made();
    for text in ["one", "two", "one", "one", "three"] {
        let name = string(&mut made, text);
        order(&mut made, &[("name", name)]);
    }
    // Two Strings with one array: it stays.
    let bytes = made.bytes(b"shared");
    for _ in 0..2 {
        let name = made.object("java.lang.String", &[("value", bytes)]);
        order(&mut made, &[("other", name)]);
    }
    // Garbage is no waste, and takes nothing from what is held.
    string(&mut made, "one");
    let waste = waste(&made);
    let string = 24;
    let expected = [
        of("com.acme.Order.name", false, 2, 2 * (string + 24)),
        of("com.acme.Order.other", false, 1, string),
    ];
    assert_eq!(held(&waste, Kind::DuplicateStrings), expected);
    let values = &waste.kinds[0].values;
    assert_eq!((values[0].copies, values[0].saves, values.len()), (3, 96, 2));
    assert_eq!(waste.objects, 7 + 7 + 6);
}

#[test]
fn collections_that_hold_little() {
    let mut made = made();
    let thing = made.object("java.lang.Object", &[]);
    let empty = list(&mut made, &[], 10);
    let sparse = list(&mut made, &[thing], 10);
    let roomy = list(&mut made, &[thing; 6], 10);
    let full = list(&mut made, &[thing; 10], 10);
    for collection in [empty, sparse, roomy, full] {
        order(&mut made, &[("lines", collection)]);
    }
    // Two lists with one empty array, as all untouched ones have.
    let none = made.array("java.lang.Object[]", &[]);
    for _ in 0..2 {
        let untouched = made.object("java.util.ArrayList", &[("elementData", none)]);
        order(&mut made, &[("other", untouched)]);
    }
    let waste = waste(&made);
    let (list, array) = (24, |n: u64| (16 + 4 * n).next_multiple_of(8));
    assert_eq!(
        held(&waste, Kind::EmptyCollections),
        [
            of("com.acme.Order.lines", false, 1, list + array(10)),
            of("com.acme.Order.other", false, 2, 2 * list)
        ]
    );
    let saved = |n| array(10) - array(n);
    assert_eq!(
        held(&waste, Kind::SparseCollections),
        [of("com.acme.Order.lines", false, 1, saved(1))]
    );
    assert_eq!(
        held(&waste, Kind::UnusedHeadroom),
        [of("com.acme.Order.lines", false, 1, saved(6))]
    );
    assert_eq!(held(&waste, Kind::ZeroLengthArrays), []);
}

#[test]
fn a_set_is_counted_with_its_map_and_a_view_not_at_all() {
    let mut made = made();
    let table = made.array("java.util.HashMap$Node[]", &[Value::Null; 16]);
    let map = made.object("java.util.HashMap", &[("table", table)]);
    let set = made.object("java.util.HashSet", &[("map", map)]);
    order(&mut made, &[("tags", set)]);
    let map = made.object("java.util.HashMap", &[]);
    let view = made.object("java.util.HashSet", &[("map", map)]);
    order(&mut made, &[("tags", view), ("other", map)]);
    let waste = waste(&made);
    let expected = [
        of("com.acme.Order.other", false, 1, 24),
        of("com.acme.Order.tags", false, 1, 16 + 24 + 80),
    ];
    assert_eq!(held(&waste, Kind::EmptyCollections), expected);
}

#[test]
fn what_lies_in_collections_is_held_by_the_field() {
    let mut made = made();
    let empties: Vec<Value> = (0..3).map(|_| list(&mut made, &[], 0)).collect();
    let inner = list(&mut made, &empties, 3);
    let last = made.object("java.util.HashMap$Node", &[("key", inner)]);
    let first = made.object("java.util.HashMap$Node", &[("key", empties[0]), ("next", last)]);
    let table = made.array("java.util.HashMap$Node[]", &[first]);
    let map = made.object("java.util.HashMap", &[("table", table), ("size", Value::Int(2))]);
    let shop = made.object("com.acme.Shop", &[("orders", map), ("all", empties[2])]);
    made.root(shop);
    let waste = waste(&made);
    // What a field leads to at once is held by that one.
    let expected = [
        of("com.acme.Shop.all", false, 1, 24 + 16),
        of("com.acme.Shop.orders", true, 2, 2 * (24 + 16)),
    ];
    assert_eq!(held(&waste, Kind::EmptyCollections), expected);
}

#[test]
fn boxes_arrays_and_builders() {
    let mut made = made();
    let number = |made: &mut Made, n| made.object("java.lang.Integer", &[("value", Value::Int(n))]);
    let cached = number(&mut made, 1);
    let boxes: Vec<Value> = [1, 1, 7000, 7000, 8].map(|n| number(&mut made, n)).to_vec();
    let cache = made.array("java.lang.Integer[]", &[cached]);
    made.set_static("java.lang.Integer$IntegerCache", "cache", cache);
    made.root(cache);
    for boxed in boxes {
        order(&mut made, &[("other", boxed)]);
    }
    let (a, b) = (made.longs(&[1, 2, 3]), made.longs(&[1, 2, 3]));
    let (none, also) =
        (made.array("java.lang.Object[]", &[]), made.array("java.lang.Object[]", &[]));
    let long = made.bytes(&[&[1u8; 30][..], &[0; 70]].concat());
    let half = made.bytes(&[&[2u8; 60][..], &[0; 40]].concat());
    for array in [a, b, none, also, long, half] {
        order(&mut made, &[("lines", array)]);
    }
    let value = made.bytes(&[7; 100]);
    let of_builder = [("value", value), ("count", Value::Int(10))];
    let builder = made.object("java.lang.StringBuilder", &of_builder);
    order(&mut made, &[("tags", builder)]);
    let wide = made.bytes(b"w\0i\0d\0e\0");
    let wide = made.object("java.lang.String", &[("value", wide), ("coder", Value::Byte(1))]);
    let other = made.bytes(b"w\0i\0d\x01e\0");
    let other = made.object("java.lang.String", &[("value", other), ("coder", Value::Byte(1))]);
    order(&mut made, &[("name", wide)]);
    order(&mut made, &[("name", other)]);
    let waste = waste(&made);
    let bytes = |n: u64| (16 + n).next_multiple_of(8);
    assert_eq!(held(&waste, Kind::BoxedNumbers), [of("com.acme.Order.other", false, 3, 48)]);
    assert_eq!(held(&waste, Kind::DuplicateArrays), [of("com.acme.Order.lines", false, 1, 40)]);
    assert_eq!(held(&waste, Kind::ZeroLengthArrays), [of("com.acme.Order.lines", false, 1, 16)]);
    assert_eq!(
        held(&waste, Kind::OverlongArrays),
        [
            of("com.acme.Order.lines", false, 1, bytes(100) - bytes(30)),
            of("com.acme.Order.tags", false, 1, bytes(100) - bytes(10)),
        ]
    );
    // 8 bytes or 4: both take 24 with the header.
    assert_eq!(held(&waste, Kind::WideStrings), []);
    assert_eq!(waste.boxes[0], Boxes { class: "java.lang.Integer".into(), objects: 6, bytes: 96 });
}

#[test]
fn wide_text_saves_half_where_it_is_longer() {
    let mut made = made();
    let bytes: Vec<u8> = "a text of some length".bytes().flat_map(|b| [b, 0]).collect();
    let bytes = made.bytes(&bytes);
    let name = made.object("java.lang.String", &[("value", bytes), ("coder", Value::Byte(1))]);
    order(&mut made, &[("name", name)]);
    assert_eq!(
        held(&waste(&made), Kind::WideStrings),
        [of("com.acme.Order.name", false, 1, 56 - 40)]
    );
}

#[test]
fn only_what_is_asked_for_is_listed() {
    let mut made = made();
    for text in ["one", "one", "two", "two"] {
        let name = string(&mut made, text);
        order(&mut made, &[("name", name)]);
    }
    let shop = string(&mut made, "one");
    let shop = made.object("com.acme.Shop", &[("all", shop)]);
    made.root(shop);
    let all = found::<u32>(&made, 1, &ALL);
    let classes = |shown: &Shown<'_>| {
        let found = found::<u32>(&made, 1, shown);
        assert_eq!((found.saves, found.kinds[0].objects), (all.saves, 3));
        let of = &found.kinds[0];
        let holders: Vec<String> = of.holders.iter().map(|h| h.class.clone()).collect();
        (holders, of.holder_count, of.values.len())
    };
    let order = || vec!["com.acme.Order".to_owned()];
    assert_eq!(classes(&Shown { top: 1, ..ALL }), (order(), 2, 1));
    assert_eq!(classes(&Shown { min: 49, ..ALL }), (order(), 1, 2));
    let wanted = |class: &str| class == "com.acme.Order";
    assert_eq!(classes(&Shown { wanted: &wanted, ..ALL }), (order(), 1, 2));
}

#[test]
fn what_people_read_lines_up() {
    let mut made = made();
    for text in ["one\u{1b}[2J", "one\u{1b}[2J"] {
        let name = string(&mut made, text);
        order(&mut made, &[("name", name)]);
    }
    let said = text(&found::<u32>(&made, 1, &ALL));
    assert!(said.contains("Duplicate strings: one String of each text would do\n"), "{said}");
    assert!(said.contains("   48        1  java.lang.String  com.acme.Order.name\n"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    let nothing = text(&found::<u32>(&self::made(), 1, &ALL));
    assert_eq!(nothing, "0 objects are strongly held, 0 B. Nothing to save was found.\n");
}
