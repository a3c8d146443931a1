//! Walks all objects, with a visitor of its own: how many bytes do arrays take of which length?
//! `cargo run --release --example objects -- core.1234`

use rjcore::heap::{Object, Visitor, walk};
use rjcore::hotspot::classes::Kind;
use rjcore::{Error, Jvm};

/// One worker's counts: by the power of two of the arrays' bytes.
struct Lengths<'j> {
    jvm: &'j Jvm,
    bytes: [u64; 64],
}

impl Visitor for Lengths<'_> {
    fn object(&mut self, object: Object) {
        let klass = &self.jvm.vm().classes.all()[object.klass as usize];
        if matches!(klass.kind, Kind::TypeArray(_) | Kind::ObjArray) {
            self.bytes[object.bytes.len().ilog2() as usize] += object.bytes.len() as u64;
        }
    }

    fn clear(&mut self) {
        self.bytes = [0; 64];
    }
}

fn main() -> Result<(), Error> {
    let core = std::env::args_os().nth(1).expect("usage: objects CORE");
    let jvm = Jvm::open(core)?;
    let mut total = [0; 64];
    // Chunks of the heap are walked by all workers, and come in the order of their addresses.
    let make = || Lengths { jvm: &jvm, bytes: [0; 64] };
    walk(jvm.heap(), 4, make, |lengths, _| {
        total.iter_mut().zip(lengths.bytes).for_each(|(sum, n)| *sum += n);
        Ok(())
    })?;
    for (power, bytes) in total.iter().enumerate().filter(|(_, bytes)| **bytes > 0) {
        println!(
            "{:>12} bytes in arrays of {} to {} bytes",
            bytes,
            1u64 << power,
            (2u64 << power) - 1
        );
    }
    Ok(())
}
