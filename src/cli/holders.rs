//! What the commands have in common that answer who holds the memory: from a core or an HPROF file to its dominator
//! tree, with the progress of each step, and the arguments that choose among objects.

use std::io;
use std::sync::Mutex;

use serde::Serialize;

use super::cost::{Cost, GraphSource};
use super::ending::Answer;
use super::progress::Progress;
use super::source::{Input, Opened};
use super::{Outcome, advice};
use crate::error::{Error, Result};
use crate::graph::dominators::{Dominators, Rule, Watch, fits};
use crate::graph::{Id, ObjectGraph};
use crate::heap::graph::View;
use crate::heap::{Heap, HeapGraph, pool};
use crate::hprof::Dump;
use crate::output::collection::Task;
pub(super) use crate::output::pattern::{Pattern, bytes};
use crate::output::redact::{RedactedGraph, Redaction};
use crate::output::report::Gaps;
use crate::output::retained::{By, Group, groups, roots, threads};

/// What a command makes of a dominator tree.
pub(super) trait Job {
    type Answer;

    /// What it reads of a core besides the tree, while that is open.
    fn read_core(&mut self, _core: &OpenCore<'_>) -> Result<()> {
        Ok(())
    }

    /// What it reads of an HPROF file besides the tree.
    fn read_dump(&mut self, _dump: &Dump) {}

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Self::Answer;
}

/// A core that is open, and what of it is not to be shown.
pub(super) struct OpenCore<'a> {
    pub opened: &'a Opened,
    pub heap: &'a Heap<'a>,
    pub redaction: Option<&'a Redaction>,
}

/// What is to be said of the input.
pub(super) struct Reading {
    /// What of it could not be read.
    pub gaps: Gaps,
    /// How the sizes of objects were found, where it does not have them.
    pub sizes: Option<String>,
}

impl Reading {
    /// With an answer.
    pub(super) fn with<A>(self, answer: A) -> OfInput<A> {
        OfInput { answer, sizes: self.sizes, whole: self.gaps.is_whole(), gaps: self.gaps }
    }
}

/// An answer, and what is to be said of the input.
#[derive(Debug, Serialize)]
pub(super) struct OfInput<A> {
    #[serde(flatten)]
    pub answer: A,
    /// How the sizes of objects were found, where the input does not have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<String>,
    whole: bool,
    gaps: Gaps,
}

/// An answer for people.
pub(super) trait Text: Serialize {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()>;

    /// What is to be said of it on standard error.
    fn note(&self) -> &'static str {
        ""
    }
}

impl<A> OfInput<A> {
    /// The answer alone.
    pub(super) fn answer(&self) -> &A {
        &self.answer
    }

    /// Whether all of the input was read.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What is to be said of the input on standard error.
    pub(super) fn remarks_of_input(&self) -> String {
        advice::remarks(self.sizes.as_deref(), &self.gaps)
    }
}

impl<A: Text> Answer for OfInput<A> {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.answer.text(out)
    }

    fn remarks(&self) -> String {
        self.answer.note().to_owned() + &self.remarks_of_input()
    }

    fn outcome(&self) -> Outcome {
        Outcome::of(self.whole)
    }
}

/// Whose rule says what holds.
#[derive(Debug, clap::Args)]
pub(super) struct Like {
    /// Count as this tool does: mat lets every reference hold, also weak ones
    #[arg(long = "like", value_name = "TOOL", value_enum)]
    like: Option<Tool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tool {
    /// Eclipse Memory Analyzer
    Mat,
}

impl Like {
    pub(super) fn rule(&self) -> Rule {
        match self.like {
            None => Rule::Strong,
            Some(Tool::Mat) => Rule::Mat,
        }
    }

    /// As JSON has it.
    pub(super) fn name(&self) -> &'static str {
        match self.like {
            None => "strong",
            Some(Tool::Mat) => "mat",
        }
    }
}

/// What objects are counted by together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Grouped {
    Class,
    Package,
    Loader,
    Thread,
    Root,
}

impl Grouped {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Grouped::Class => "class",
            Grouped::Package => "package",
            Grouped::Loader => "loader",
            Grouped::Thread => "thread",
            Grouped::Root => "root",
        }
    }

    /// The groups of a tree, those that retain the most first.
    pub(super) fn groups<G: ObjectGraph, I: Id>(self, tree: &Dominators<'_, G, I>) -> Vec<Group> {
        match self {
            Grouped::Class => groups(tree, By::Class),
            Grouped::Package => groups(tree, By::Package),
            Grouped::Loader => groups(tree, By::Loader),
            Grouped::Thread => threads(tree),
            Grouped::Root => roots(tree),
        }
    }
}

/// What a command makes of a graph of objects, which knows nothing of who holds what.
pub(super) trait GraphJob {
    type Answer;

    /// What it reads of a core besides the graph, while that is open.
    fn read_core(&mut self, _core: &OpenCore<'_>) -> Result<()> {
        Ok(())
    }

    /// What it reads of an HPROF file besides the graph.
    fn read_dump(&mut self, _dump: &Dump) {}

    fn work<G: ObjectGraph>(
        self,
        graph: &G,
        pool: &rayon::ThreadPool,
        input: Reading,
        cost: &Cost,
    ) -> Result<Self::Answer>;
}

/// Opens a core or an HPROF file, finds its dominator tree by the rule and hands it to the job.
pub(super) fn with_tree<J: Job>(of: &GraphSource, rule: Rule, job: J) -> Result<J::Answer> {
    with_graph(of, rule, Treed { rule, job })
}

/// Opens a core or an HPROF file and hands its objects to the job: those that the rule counts.
pub(super) fn with_graph<J: GraphJob>(
    of: &GraphSource,
    rule: Rule,
    mut job: J,
) -> Result<J::Answer> {
    let cost = of.cost();
    let redaction = of.redact.redaction()?;
    of.source.in_memory.set(redaction.is_some());
    match of.source.open_input()? {
        Input::Core(core) => of_core(&core.restored(), of, rule, redaction.as_ref(), job),
        Input::Dump(dump) => {
            job.read_dump(&dump);
            let gaps = Gaps::of_dump(dump.loss());
            let input = Reading { gaps, sizes: Some(dump.size_note()) };
            let graph = RedactedGraph::new(&*dump, redaction.as_ref());
            job.work(&graph, &pool(of.source.threads())?, input, &cost.of_dump())
        }
    }
}

fn of_core<J: GraphJob>(
    opened: &Opened,
    of: &GraphSource,
    rule: Rule,
    redaction: Option<&Redaction>,
    mut job: J,
) -> Result<J::Answer> {
    let threads = of.source.threads();
    opened.with_heap(|heap| {
        job.read_core(&OpenCore { opened, heap, redaction })?;
        let view = match rule {
            Rule::Strong => View::Heap,
            Rule::Mat => View::Dumped,
        };
        // What was read before tells nothing of how long the objects take.
        let cost = of.cost();
        let progress = Progress::new("walking", heap.used());
        let graph = HeapGraph::open(heap, view, threads, &|n| progress.add(n))?;
        progress.finish();
        let caught = heap.caught(graph.report());
        let gaps =
            Gaps::new(graph.report(), graph.damaged(), opened.core.truncation(), &opened.missing)
                .caught(caught, Task::Objects);
        let graph = RedactedGraph::new(&graph, redaction);
        job.work(&graph, &pool(threads)?, Reading { gaps, sizes: None }, &cost)
    })
}

/// A job on the dominator tree of a graph.
struct Treed<J> {
    rule: Rule,
    job: J,
}

impl<J: Job> GraphJob for Treed<J> {
    type Answer = J::Answer;

    fn read_core(&mut self, core: &OpenCore<'_>) -> Result<()> {
        self.job.read_core(core)
    }

    fn read_dump(&mut self, dump: &Dump) {
        self.job.read_dump(dump);
    }

    fn work<G: ObjectGraph>(
        self,
        graph: &G,
        pool: &rayon::ThreadPool,
        input: Reading,
        cost: &Cost,
    ) -> Result<J::Answer> {
        // Numbers of 4 bytes where they do.
        match fits::<u32>(graph) {
            true => find::<u32, G, J>(graph, self.rule, pool, self.job, input, cost),
            false => find::<u64, G, J>(graph, self.rule, pool, self.job, input, cost),
        }
    }
}

fn find<I: Id, G: ObjectGraph, J: Job>(
    graph: &G,
    rule: Rule,
    pool: &rayon::ThreadPool,
    job: J,
    input: Reading,
    cost: &Cost,
) -> Result<J::Answer> {
    cost.tell(graph.numbers().len(), Dominators::<G, I>::memory_at_most(graph));
    let tree = watched(cost, 0, |watch| Dominators::<G, I>::find(graph, rule, pool, watch))?;
    Ok(job.work(&tree, input))
}

/// Shows the progress of each step of some work, and keeps it within the limit of memory, of which `held` bytes are taken.
pub(super) fn watched<T>(cost: &Cost, held: u64, work: impl FnOnce(Watch<'_>) -> T) -> T {
    let bar = Mutex::new(Progress::none());
    let shown =
        |work: &dyn Fn(&mut Progress)| work(&mut bar.lock().unwrap_or_else(|e| e.into_inner()));
    work(Watch {
        step: &|name, objects| shown(&|bar| *bar = Progress::of_objects(name, objects)),
        add: &|objects| shown(&|bar| bar.add(objects)),
        room: &|bytes| cost.check(held, bytes),
    })
}

/// An address in hexadecimal digits: `0x7f0012345678`.
pub(super) fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let digits = digits.ok_or("an address starts with 0x")?;
    u64::from_str_radix(digits, 16).map_err(|_| format!("{digits:?} are no hexadecimal digits"))
}

/// The place of the object at an address.
pub(super) fn object(graph: &impl ObjectGraph, address: u64) -> Result<u64> {
    let place = graph.place(address);
    place.ok_or_else(|| Error::usage(format!("no object begins at {address:#x}")))
}
