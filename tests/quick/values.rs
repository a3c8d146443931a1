//! What lies in objects: the same from a sample core and from an HPROF dump of it, field by field and element by element.

use rjcore::corefile::{CoreFile, OpenOptions};
use rjcore::graph::{ClassKind, NO_CLASS, ObjectGraph, ObjectValues, Slot, Type, Value, field};
use rjcore::heap::graph::View;
use rjcore::heap::{Heap, HeapGraph};
use rjcore::hotspot::Vm;
use rjcore::hprof::Dump;

use crate::support::{Scratch, dep, rjcore, run};

/// Elements of an array that are compared one by one.
const ELEMENTS: u64 = 50;

/// A value without the input's own numbers of objects.
fn plain(graph: &impl ObjectGraph, value: Option<Value>) -> String {
    match value {
        Some(Value::Object(place)) => format!("@{:x}", graph.address(place)),
        Some(Value::Dangling(address)) => format!("@{address:x}"),
        // As bits, since a NaN is not even itself.
        Some(Value::Float(f)) => format!("float {:x}", f.to_bits()),
        Some(Value::Double(d)) => format!("double {:x}", d.to_bits()),
        other => format!("{other:?}"),
    }
}

/// Each field's declaring class and name, with the value, in order.
fn fields(
    graph: &impl ObjectGraph,
    place: u64,
    slots: &[(String, Slot)],
    statics: Option<u32>,
) -> Vec<String> {
    let own =
        slots.iter().map(|(n, slot)| format!("{n} = {}", plain(graph, graph.value(place, *slot))));
    let mut out: Vec<String> = own.collect();
    for (field, value) in statics.iter().flat_map(|class| graph.statics(*class)) {
        out.push(format!("static {} = {}", field.name, plain(graph, Some(value))));
    }
    // Until 21 HotSpot's dumps have a class's fields in the order opposite to that of the class file.
    out.sort();
    out
}

fn slots(graph: &impl ObjectGraph, class: u32) -> Vec<(String, Slot)> {
    let name = |class: u32| graph.classes().get(class as usize).map_or("?", |c| &*c.name);
    let all = graph.fields(class).into_iter();
    all.map(|(f, slot)| (format!("{}.{}", name(f.class), f.name), slot)).collect()
}

/// The elements as the input of low bytes first would have them.
fn little(graph: &impl ObjectGraph, place: u64) -> Option<Vec<u8>> {
    let mut bytes = graph.contents(place)?.to_vec();
    let each = match graph.element(place, 0) {
        Some(Value::Char(_) | Value::Short(_)) => 2,
        Some(Value::Int(_) | Value::Float(_)) => 4,
        Some(Value::Long(_) | Value::Double(_)) => 8,
        _ => 1,
    };
    if graph.is_big_endian() {
        bytes.chunks_exact_mut(each).for_each(<[u8]>::reverse);
    }
    Some(bytes)
}

fn same_values(core: &str) {
    let path = dep(&format!("testdata/cores/{core}.core.zst"));
    let dir = Scratch::new(&format!("values-{core}"));
    let file = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&path).arg("-o").arg(&file));
    let dump = std::fs::File::open(&file).expect("the dump");
    let dump = Dump::from_file(&file, &dump, None, 2, &|_| {}).expect("a graph");
    let core = CoreFile::open(&path, &OpenOptions::default()).expect("a core");
    let vm = Vm::open(&core).expect("its JVM");
    let heap = Heap::open(&vm).expect("its heap");
    let heap = HeapGraph::open(&heap, View::Dumped, 2, &|_| {}).expect("a graph");

    let of_heap: Vec<_> = (0..heap.classes().len() as u32).map(|c| slots(&heap, c)).collect();
    let of_dump: Vec<_> = (0..dump.classes().len() as u32).map(|c| slots(&dump, c)).collect();
    let (mut instances, mut values, mut arrays, mut classes) = (0, 0, 0, 0);
    for place in dump.numbers().iter() {
        let address = dump.address(place);
        let there = heap.place(address).unwrap_or_else(|| panic!("no object at {address:#x}"));
        let (class, of) = (heap.class_of(there), dump.class_of(place));
        assert!(class != NO_CLASS && of != NO_CLASS);
        let kind = heap.classes()[class as usize].kind;
        assert_eq!(heap.classes()[class as usize].name, dump.classes()[of as usize].name);
        assert_eq!(heap.length(there), dump.length(place));
        if kind == ClassKind::Instance {
            let mirrored = dump.mirrored(place);
            assert_eq!(mirrored.is_some(), heap.mirrored(there).is_some());
            // A dump has no instance of a class object: its fields are those of the class alone.
            let [a, b] = match mirrored {
                Some(_) => [&[][..]; 2],
                None => [&*of_heap[class as usize], &*of_dump[of as usize]],
            };
            let found = fields(&dump, place, b, mirrored);
            assert_eq!(fields(&heap, there, a, heap.mirrored(there)), found);
            classes += usize::from(mirrored.is_some());
            values += found.len();
            instances += 1;
            continue;
        }
        assert_eq!(little(&heap, there), little(&dump, place), "{address:#x}");
        let length = dump.length(place).expect("a length");
        for i in (0..length.min(ELEMENTS)).chain([length]) {
            let found = plain(&dump, dump.element(place, i));
            assert_eq!(plain(&heap, heap.element(there, i)), found);
            assert_eq!(found == "None", i == length);
        }
        arrays += 1;
    }
    assert!(instances > 8_000 && classes > 300, "{instances} instances, {classes} classes");
    assert!(values > 20_000 && arrays > 3_000, "{values} values, {arrays} arrays");
    // By the field's name, and what a reader must not do with it.
    let string = heap.numbers().iter().find(|p| heap.text(*p, 1).is_some()).expect("a String");
    assert!(matches!(field(&heap, string, "value"), Some(Value::Object(_))));
    assert_eq!(field(&heap, string, "none of its fields"), None);
    let value = heap.slot(heap.class_of(string), "value").expect("a field");
    assert_eq!(
        (value.ty, heap.element(string, 0), heap.contents(string)),
        (Type::Reference, None, None)
    );
}

#[test]
fn a_dump_has_the_values_of_jdk17() {
    same_values("jdk17-g1");
}

#[test]
fn a_dump_has_the_values_of_jdk25() {
    same_values("jdk25-serial");
}
