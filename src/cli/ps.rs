//! `rjcore ps`: the JVMs on this machine.

use std::io::{self, Write};

use serde::Serialize;

use super::ending::{Answer, end};
use super::vm_memory::look;
use super::{Outcome, advice};
use crate::collector::Collector;
use crate::error::Result;
use crate::live::diagnosis::{Reason, Verdict};
use crate::live::doctor::examine;
use crate::live::jvm::{self, Jvm};
use crate::output::report::{Table, duration, size};

const EXAMPLES: &str = "\
Examples:
  rjcore ps
  rjcore ps --json | jq -r '.jvms[] | select(.attach) | .pid'

A JVM is a process that has libjvm.so mapped, in containers too; as root all are seen. What is not
known is shown as `-`. Heap used is that after the last collection, as the JVM's counters say.";

/// List the JVMs on this machine, in containers too, and whether they can be attached to
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    jvm: Jvm,
    /// Whether attach will work.
    attach: bool,
    /// What stands in the way.
    reasons: Vec<Reason>,
    /// What to run, as doctor says.
    next: String,
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        let rows: Vec<Row> = jvm::all()
            .into_iter()
            .filter_map(|pid| {
                let examined = examine(pid, false, look);
                let diagnosis = &examined.diagnosis;
                Some(Row {
                    jvm: examined.facts?.jvm,
                    attach: diagnosis.verdict == Verdict::Attach,
                    reasons: diagnosis.obstacles().map(|f| f.reason).collect(),
                    next: advice::command(&diagnosis.next, advice::DUMP),
                })
            })
            .collect();
        end(&Report { jvms: rows }, self.json)
    }
}

/// All of them.
#[derive(Serialize)]
struct Report {
    jvms: Vec<Row>,
}

impl Answer for Report {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(table(&self.jvms).as_bytes())
    }

    fn outcome(&self) -> Outcome {
        Outcome::Whole
    }
}

fn table(rows: &[Row]) -> String {
    let head = ["PID", "NSPID", "USER", "JDK", "GC", "USED", "LIMIT", "UPTIME", "ATTACH", "MAIN"];
    let mut table = Table::new(&head, &[2, 3, 4, 8, 9]);
    let known = |o: &Option<String>| o.clone().unwrap_or_else(|| "-".into());
    for row in rows {
        let j = &row.jvm;
        table.row(vec![
            j.pid.to_string(),
            j.namespace_pid.to_string(),
            j.user.clone(),
            known(&j.version),
            j.collector.map_or("-", Collector::name).into(),
            known(&j.heap_used.map(size)),
            known(&j.heap_limit.map(size)),
            known(&j.uptime_ms.map(duration)),
            match row.reasons.first() {
                None => "yes".into(),
                Some(reason) => serde_json::to_value(reason)
                    .ok()
                    .and_then(|v| v.as_str().map(str::to_owned))
                    .unwrap_or_else(|| "no".into()),
            },
            known(&j.main),
        ]);
    }
    table.text()
}
