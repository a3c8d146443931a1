//! Every HotSpot: JDK x collector x form of pointers, each compared with HotSpot's own dump object by object.
//!
//! `cargo test` runs the cells that are named below. scripts/matrix.sh runs all of the table, one a process:
//! RJCORE_CELL names the cell, RJCORE_RESULT the file that its figures go to.

mod support;

#[path = "matrix/cell.rs"]
mod cell;
#[path = "matrix/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::env::var_os;
use std::panic::{AssertUnwindSafe, catch_unwind};
use table::{COLLECTORS, Cell, FORMS, cells, collectors, jdks};

/// Runs a cell, which must not differ.
fn same(name: &str) {
    let cell = table::cell(name);
    let found = cell::figures(&cell);
    println!("{cell}: {} objects, {} differences", found.objects, found.differences);
    assert!(found.objects > 15_000, "{found:?}");
    assert_eq!((found.wrong.len(), found.unparsed), (0, 0), "{cell}: {:#?}", found.wrong);
}

macro_rules! cells {
    ($($name:ident: $cell:literal;)*) => {
        $(#[test] fn $name() { same($cell); })*
        /// What `cargo test` runs.
        const REPRESENTATIVE: &[&str] = &[$($cell),*];
    };
}

// Each JDK, each collector, each form of pointers at least once.
cells! {
    jdk8_cms: "8 cms default";
    jdk8_g1_aligned: "8 g1 align-32";
    jdk8_serial_kernel: "8 serial kernel";
    jdk11_g1: "11 g1 zero-based";
    jdk11_epsilon: "11 epsilon wide-klass";
    jdk21_parallel: "21 parallel appcds";
    jdk21_g1: "21 g1 40g-align-16";
    jdk26_serial: "26 serial no-cds";
    jdk26_g1_compact: "26 g1 compact";
    newest_g1: "newest g1 default";
    newest_parallel: "newest parallel based";
    newest_epsilon: "newest epsilon no-compact-wide-oops";
    jdk21_z: "21 zgc wide-klass";
    newest_z: "newest zgc-gen default";
    jdk26_shenandoah: "26 shenandoah aot-cache";
    newest_shenandoah: "newest shenandoah-gen default";
}

/// A line for scripts/matrix.sh: the cell, its verdict and figures, tab-separated.
fn line(cell: &Cell) -> String {
    let (verdict, found) = match catch_unwind(AssertUnwindSafe(|| cell::figures(cell))) {
        Ok(found) => (if found.differences == 0 { "passed" } else { "differs" }, found),
        Err(e) => {
            let said = e.downcast_ref::<String>().cloned();
            let said = said.or_else(|| e.downcast_ref::<&str>().map(|s| s.to_string()));
            let wrong = vec![said.unwrap_or_default()];
            ("failed", cell::Figures { wrong, ..cell::Figures::default() })
        }
    };
    let wrong = found.wrong.join(" ;; ").replace(['\n', '\t'], " / ");
    let cut: String = wrong.chars().take(3000).collect();
    format!(
        "{}\t{}\t{}\t{verdict}\t{}\t{}\t{}\t{:.1}\t{}\t{:.1}\t{cut}\n",
        cell.jdk,
        cell.collector.name,
        cell.form.name,
        found.objects,
        found.differences,
        found.unparsed,
        found.core_bytes as f64 / 1e6,
        found.dumping.as_millis(),
        found.all.as_secs_f64(),
    )
}

/// The table names each cell once and misses no JDK and collector; and runs the cell that the environment names.
#[test]
fn table_is_whole() {
    let all = cells();
    let names: BTreeSet<String> = all.iter().map(Cell::to_string).collect();
    assert_eq!(names.len(), all.len(), "a name twice");
    for jdk in jdks() {
        for c in collectors(jdk) {
            assert!(names.contains(&format!("{jdk} {} default", c.name)), "{jdk} {}", c.name);
        }
    }
    for f in &FORMS {
        assert!(all.iter().any(|c| c.form.name == f.name), "no JDK takes {}", f.name);
    }
    for c in &COLLECTORS {
        let tried = REPRESENTATIVE.iter().any(|r| r.split(' ').nth(1) == Some(c.name));
        assert!(tried, "no cell of {} in cargo test", c.name);
    }
    if let Some(list) = var_os("RJCORE_CELLS") {
        support::classes();
        let names: String = all.iter().map(|c| format!("{c}\n")).collect();
        std::fs::write(list, names).expect("the list of cells");
    }
    if let Some(name) = var_os("RJCORE_CELL") {
        let cell = table::cell(name.to_str().expect("UTF-8"));
        let out = var_os("RJCORE_RESULT").expect("RJCORE_RESULT");
        std::fs::write(out, line(&cell)).expect("the result");
    }
}
