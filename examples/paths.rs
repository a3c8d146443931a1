//! What keeps an object of a class alive: the shortest path to one from outside of the heap, weak references left out.
//! `cargo run --release --example paths -- core.1234 java.lang.Module`

use std::collections::VecDeque;

use rjcore::heap::graph::{ClassPart, Graph, Place, Scope, View};
use rjcore::heap::layout::Strength;
use rjcore::heap::scan;
use rjcore::{Error, Jvm};

/// Nobody leads there yet.
const NONE: u32 = u32::MAX;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(core), Some(class)) = (arguments.next(), arguments.next()) else {
        panic!("usage: paths CORE CLASS");
    };
    let jvm = Jvm::open(core)?;
    // Objects have numbers from 0 on: u32 for up to 4 billion of them.
    let graph: Graph<u32> = Graph::open(jvm.heap(), Scope::Reachable, View::Heap, 4, &|_| {})?;
    let classes = jvm.vm().classes.all();
    let class_of = |id| {
        let (klass, _) = graph.klass_and_size(graph.address(id))?;
        Some(jvm.vm().external_name(&classes[klass as usize]))
    };

    // Objects nearer to a root come first, so the first path to an object is the shortest.
    let mut came_from = vec![NONE; graph.len() as usize];
    let mut queue = VecDeque::new();
    for root in graph.roots() {
        if came_from[root.id as usize] == NONE {
            came_from[root.id as usize] = root.id;
            queue.push_back(root.id);
        }
    }
    let mut found = None;
    while let Some(id) = queue.pop_front() {
        if class_of(id).as_ref() == Some(&class) {
            found = Some(id);
            break;
        }
        let mut reached = |target: u32| {
            if came_from[target as usize] == NONE {
                came_from[target as usize] = id;
                queue.push_back(target);
            }
        };
        graph.edges(id, |edge| {
            if matches!(edge.strength, Strength::Strong | Strength::Injected) {
                edge.target.into_iter().for_each(&mut reached);
            }
        });
        // An object keeps its class, and with it the static fields.
        graph.own_class(graph.address(id)).into_iter().for_each(&mut reached);
    }
    let Some(mut id) = found else {
        println!("no object of {class} is held");
        return Ok(());
    };

    let mut path = vec![id];
    while came_from[id as usize] != id {
        id = came_from[id as usize];
        path.push(id);
    }
    path.reverse();
    let held = graph.roots().iter().find(|r| r.id == path[0]).map(|r| r.root.kind);
    for (i, &id) in path.iter().enumerate() {
        let how = match i.checked_sub(1) {
            None => format!("root {:?}", held.expect("a path starts at a root")),
            Some(before) => reference(&jvm, &graph, path[before], id),
        };
        let class = class_of(id).unwrap_or_default();
        println!("{how}: {class} at {:#x}", graph.address(id));
    }
    Ok(())
}

/// Where `holder` has its reference to `target`: `.field`, `[3]`, `static field`.
fn reference(jvm: &Jvm, graph: &Graph<u32>, holder: u32, target: u32) -> String {
    let address = graph.address(holder);
    let symbol = |at| jvm.vm().reader().symbol(at).unwrap_or_default();
    let klass = graph.klass_and_size(address).map(|(klass, _)| klass);
    let layout = klass.map(|klass| graph.layout(klass));
    let field = |i: u32| {
        let name = layout.map(|l| l.slots[l.references[i as usize].slot as usize].name);
        name.map_or(String::new(), symbol)
    };
    let static_field = |i: u32| {
        let layout = graph.class_at(address).map(|class| graph.layout(class));
        let name = layout.map(|l| l.statics[l.static_references[i as usize].slot as usize].name);
        name.map_or(String::new(), symbol)
    };
    let mut how = None;
    graph.edges(holder, |edge| {
        if edge.target == Some(target) && how.is_none() {
            how = Some(match edge.place {
                Place::Object(scan::Place::Field(i)) => format!(".{}", field(i)),
                Place::Object(scan::Place::Element(i) | scan::Place::FlatElement(i, _)) => {
                    format!("[{i}]")
                }
                Place::Object(scan::Place::Static(i)) => format!("static {}", static_field(i)),
                Place::Class(ClassPart::Super) => "its super class".to_owned(),
                Place::Class(ClassPart::Loader) => "its loader".to_owned(),
                Place::Class(part) => format!("{part:?}"),
            });
        }
    });
    how.unwrap_or_else(|| "its class".to_owned())
}
