//! Which classes have the most bytes: `cargo run --release --example histogram -- core.1234`

use rjcore::output::histo::histogram;
use rjcore::{Error, Jvm};

fn main() -> Result<(), Error> {
    let core = std::env::args_os().nth(1).expect("usage: histogram CORE");
    let jvm = Jvm::open(core)?;
    let (rows, report) = histogram(jvm.heap(), 4, &|_| {})?;
    for row in rows.iter().take(10) {
        println!("{:>10} {:>12} {}", row.count.instances, row.count.bytes, row.class);
    }
    // What could not be read is no part of the counts: say so.
    if report.damaged > 0 {
        println!("and {} stretches that are no objects", report.damaged);
    }
    Ok(())
}
