//! Instances and bytes per class, as `jmap -histo` counts them, and per space.

use serde::Serialize;

use crate::error::Result;
use crate::heap::{Heap, Object, Visitor, WalkReport, walk};

/// Counts of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Objects.
    pub instances: u64,
    /// Their bytes on the heap, header and alignment included.
    pub bytes: u64,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// As `jmap -histo` prints it: `[B`, `java.lang.String`.
    pub class: String,
    /// Address of the class's mirror: several classes can share a name.
    pub class_id: u64,
    /// The counts.
    #[serde(flatten)]
    pub count: Count,
}

#[derive(Debug)]
struct Counter(Vec<Count>);

impl Visitor for Counter {
    #[inline(always)]
    fn object(&mut self, object: Object) {
        let count = &mut self.0[object.klass as usize];
        count.instances += 1;
        count.bytes += object.bytes.len() as u64;
    }

    fn clear(&mut self) {
        self.0.fill(Count::default());
    }
}

/// Counts the heap's objects; rows with the most bytes first, then by name.
pub fn histogram(
    heap: &Heap,
    threads: usize,
    progress: &dyn Fn(u64),
) -> Result<(Vec<Row>, WalkReport)> {
    let classes = heap.vm.classes.all();
    let mut total = vec![Count::default(); classes.len()];
    let make = || Counter(vec![Count::default(); classes.len()]);
    let report = walk(heap, threads, make, |counter, bytes| {
        for (sum, part) in total.iter_mut().zip(&counter.0) {
            sum.instances += part.instances;
            sum.bytes += part.bytes;
        }
        progress(bytes);
        Ok(())
    })?;
    let mut rows: Vec<Row> = classes
        .iter()
        .zip(total)
        .filter(|(_, count)| count.instances > 0)
        .map(|(k, count)| Row { class: k.name.replace('/', "."), class_id: k.mirror, count })
        .collect();
    rows.sort_by(|a, b| {
        (b.count.bytes, &a.class, a.class_id).cmp(&(a.count.bytes, &b.class, b.class_id))
    });
    Ok((rows, report))
}
