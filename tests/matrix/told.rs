//! The objects of StopStress that say what they must hold, in a dump.

use crate::support::hprof::{Dump, Kind, word};
use std::path::Path;

/// Which bytes a Told of a number has: as in StopStress.java.
fn bytes_of(number: u64) -> Vec<u8> {
    (0..number % 977).map(|i| number.wrapping_mul(31).wrapping_add(i) as u8).collect()
}

/// Looks at all that StopStress.TOLD leads to, and at its markers; returns how many there are and what is wrong.
pub fn look(dump: &Path) -> (usize, Vec<String>) {
    let d = Dump::open(dump);
    let mut wrong: Vec<String> = d.problems.clone();
    let class = d.classes.values().find(|c| c.name == "StopStress");
    let Some(class) = class else { return (0, vec!["no class StopStress".into()]) };
    let array = |name: &str, wrong: &mut Vec<String>| -> Vec<u64> {
        let id = class.statics.iter().find(|s| s.name == name).map_or(0, |s| s.value);
        match d.objects.get(&id) {
            Some(o) if o.kind == Kind::Objects => d.bytes(o).chunks_exact(8).map(word).collect(),
            _ => {
                wrong.push(format!("{name} {id:#x} is no array"));
                Vec::new()
            }
        }
    };
    let markers = array("MARKERS", &mut wrong);
    let is_marker =
        |id: &&u64| d.objects.get(id).is_some_and(|o| d.class_name(o) == "StopStress$Marker");
    let good = markers.iter().filter(is_marker).count();
    if good != 1234 {
        wrong.push(format!("{good} of 1234 markers"));
    }
    let mut queue = array("TOLD", &mut wrong);
    queue.retain(|id| *id != 0);
    let mut seen = 0;
    while let Some(id) = queue.pop() {
        seen += 1;
        match told(&d, id) {
            Ok(before) => queue.extend((before != 0).then_some(before)),
            Err(why) => wrong.push(format!("Told {id:#x}: {why}")),
        }
    }
    (seen, wrong)
}

/// One object; returns the one before it.
fn told(d: &Dump, id: u64) -> Result<u64, String> {
    let o = d.objects.get(&id).ok_or("no object")?;
    let name = d.class_name(o);
    if name != "StopStress$Told" {
        return Err(format!("it is of {name}"));
    }
    let field = |name: &str| {
        let slot = d.layout(o.class).into_iter().find(|s| s.name == name);
        slot.and_then(|s| d.bytes(o).get(s.start..s.end).map(word)).ok_or(format!("no {name}"))
    };
    let (number, bytes) = (field("number")?, field("bytes")?);
    let array = d.objects.get(&bytes).ok_or(format!("{number}: no bytes at {bytes:#x}"))?;
    match d.bytes(array) == bytes_of(number) {
        true => field("before"),
        false => Err(format!("{number}: other bytes at {bytes:#x} ({})", d.class_name(array))),
    }
}
