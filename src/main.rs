use std::path::PathBuf;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let r = (|| -> rjcore::error::Result<()> {
        let mut core =
            rjcore::corefile::CoreFile::open(&PathBuf::from(&a[2]), &Default::default())?;
        let m = core.lay_backing_files(&Default::default())?;
        eprintln!("missing {}", m.len());
        let vm = rjcore::hotspot::Vm::open(&core)?;
        let heap = rjcore::heap::Heap::open(&vm)?;
        eprintln!("{} {} {:?}", vm.version.text(), heap.collected.name, vm.pointers);
        eprintln!("{:?}", heap.damaged);
        let t = std::time::Instant::now();
        if a[1] == "dump" {
            let mut f = std::fs::File::create(&a[3]).unwrap();
            let s = rjcore::output::hprof::write_dump(&heap, 2, &mut f, &|_| ())?;
            eprintln!("{s:#?}");
        } else {
            let (rows, rep) = rjcore::output::histo::histogram(&heap, 2, &|_| ())?;
            for r in rows.iter().take(20) {
                println!("{r:?}");
            }
            eprintln!("{rep:?}");
        }
        eprintln!("{:?}", t.elapsed());
        Ok(())
    })();
    if let Err(e) = r {
        eprintln!("rjcore: {e}");
    }
}
