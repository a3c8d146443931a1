//! What it costs to find who holds whom: memory and time, told before they are spent, and kept within a limit.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::redact::RedactArgs;
use super::source::{Files, Source};
use super::tell;
use crate::error::{Advice, Error, Result};
use crate::output::pattern::bytes;
use crate::output::report::{number, size};
use crate::process::room::Room;

/// How many times as long as the objects took to be read all the rest takes: measured, docs/answers.md.
const OF_CORE: u32 = 6;
const OF_DUMP: u32 = 2;
/// What takes less is not told.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// An input of which is asked who holds whom.
#[derive(Debug, clap::Args)]
pub(super) struct GraphSource {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub redact: RedactArgs,
    /// Take no more memory than this for objects and who holds them; K, M, G stand for powers of
    /// 1024. What would take more ends, and says how much [default: what the machine and its
    /// control groups have]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
}

/// Memory and time of one run.
#[derive(Debug)]
pub(super) struct Cost {
    started: Instant,
    limit: u64,
    asked: bool,
    /// How many times as long as reading the objects the rest takes.
    rest: u32,
}

impl GraphSource {
    /// Of a file that is one of several arguments.
    pub(super) fn of(core: PathBuf, files: Files, memory: Option<u64>) -> GraphSource {
        let source = Source::of(core, files);
        GraphSource { source, redact: RedactArgs::default(), memory }
    }

    /// Starts to count.
    pub(super) fn cost(&self) -> Cost {
        let limit = self.memory.unwrap_or_else(Room::here);
        let rest = OF_CORE;
        Cost { started: Instant::now(), limit, asked: self.memory.is_some(), rest }
    }
}

impl Cost {
    /// Of an HPROF file, which takes long to be read.
    pub(super) fn of_dump(self) -> Cost {
        Cost { rest: OF_DUMP, ..self }
    }

    /// Says what so many objects will take, now that they have been read; at most so many bytes of memory.
    pub(super) fn tell(&self, objects: u64, memory: u64) {
        let rest = self.started.elapsed() * self.rest;
        if rest >= WORTH_TELLING {
            let (objects, memory) = (number(objects), size(memory));
            let seconds = rest.as_secs_f64().round();
            tell(&format!(
                "rjcore: {objects} objects: at most some {memory} of memory, {seconds} s more\n"
            ));
        }
    }

    /// An error where so many bytes are more than are allowed, beside those that are `held` since before this cost was
    /// counted: what the machine had left then did not have them any more.
    pub(super) fn check(&self, held: u64, bytes: u64) -> Result<()> {
        let bytes = if self.asked { held.saturating_add(bytes) } else { bytes };
        if bytes <= self.limit {
            return Ok(());
        }
        let limit = size(self.limit);
        let allowed = match self.asked {
            true => format!("--memory allows {limit}"),
            false => format!("there are {limit} here"),
        };
        Err(Error::NoRoom {
            what: format!(
                "to find who holds whom takes {} of memory at least, and {allowed}",
                size(bytes)
            ),
            advice: Advice::AllowMemory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_limit_is_refused_with_the_figure() {
        let of = |asked| Cost { started: Instant::now(), limit: 1 << 20, asked, rest: OF_CORE };
        let cost = of(true);
        assert!(cost.check(0, 1 << 20).is_ok());
        let refused = cost.check(2 << 20, 1 << 20).expect_err("a refusal");
        assert_eq!(refused.advice(), Some(Advice::AllowMemory));
        let words = refused.to_string();
        assert!(words.contains("3.0 MB") && words.contains("1.0 MB"), "{words}");
        // Of what the machine has left, what is held is gone already.
        assert!(of(false).check(2 << 20, 1 << 20).is_ok());
        assert!(of(false).check(0, 3 << 20).is_err());
    }
}
