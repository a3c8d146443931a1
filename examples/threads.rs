//! What each thread does: `cargo run --release --example threads -- core.1234`

use rjcore::output::stack::{Options, collect};
use rjcore::{Error, Jvm};

fn main() -> Result<(), Error> {
    let core = std::env::args_os().nth(1).expect("usage: threads CORE");
    let jvm = Jvm::open(core)?;
    let options = Options {
        heap: false,
        virtual_threads: 0,
        values: false,
        redaction: None,
        native: None,
        workers: 4,
    };
    let (dump, _) = collect(jvm.core(), jvm.heap(), options, &|_| {})?;
    for thread in &dump.threads {
        let top = thread.stack.frames.first();
        let top =
            top.map_or("no Java frame".into(), |f| format!("{}.{}", f.place.class, f.place.method));
        let state = thread.state.map_or("?".to_owned(), |s| s.to_string());
        println!("{:<30} {:<30} {top}", thread.name, state);
    }
    Ok(())
}
