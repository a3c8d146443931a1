//! `rjcore paths`: by which references roots hold an object, or the objects of a class.

use std::io;
use std::str::FromStr;

use serde::Serialize;

use super::Outcome;
use super::cost::GraphSource;
use super::ending::end;
use super::holders::{self, Job, OfInput, Pattern, Reading, Text};
use crate::error::{Error, Result};
use crate::graph::dominators::{Dominators, Rule};
use crate::graph::paths::Paths;
use crate::graph::{Id, ObjectGraph, Strength};
use crate::output::paths::{Chain, Merged, chain, chain_table, merged, merged_table};
use crate::output::report::{clean, count, size_exact};
use crate::output::retained::{Held, held_at};

const EXAMPLES: &str = "\
Examples:
  rjcore paths core.1234 0x7f3a12c80
  rjcore paths core.1234 com.acme.Session
  rjcore paths heap.hprof 'com.acme.*' --top 5
  rjcore paths core.1234 0x7f3a12c80 --json | jq '.paths[0].steps[].name'

Of one object: the shortest path from a root to it, and those by its other referrers, none of
which leads through the object itself. All of them have to be cut before it can go. Of many objects
of a class: their shortest paths as one tree, the same classes and fields merged. Both read from
the root down. References that are weaker than strong do not count.";

/// Paths, and branches, that are shown at most.
const MOST: u64 = 100_000;

/// Show the paths of references by which an object is held
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: GraphSource,
    /// The object by its address (0x...), or the objects of a class by its name, `*` stands for any
    /// characters
    #[arg(value_name = "OBJ|CLASS")]
    what: String,
    /// Show N paths, or N branches at one place of the tree
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    top: u64,
    /// Let soft, weak, final and phantom references count, too
    #[arg(long)]
    weak: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What paths are to lead to.
#[derive(Debug, Clone)]
enum Wanted {
    Object(u64),
    Class(Pattern),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Wanted, String> {
        Ok(match text.starts_with("0x") {
            true => Wanted::Object(holders::address(text)?),
            false => Wanted::Class(text.parse().map_err(|_| "no name")?),
        })
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// As it was asked for.
    what: String,
    /// Whether references that are weaker than strong count.
    weak: bool,
    /// The one object; none where nothing holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Held>,
    /// The paths to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Vec<Chain>>,
    /// Whether others may lead there that are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_paths: Option<bool>,
    /// Of several objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<Merged>,
    /// Objects of the class that no path leads to: garbage, and what weaker references hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreached: Option<u64>,
}

impl Text for Report {
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        if let Some(tree) = &self.tree {
            return self.tree_text(tree, out);
        }
        let paths = self.paths.as_deref().unwrap_or_default();
        let Some(of) = &self.object else {
            return writeln!(out, "{}: nothing holds it: it is garbage", clean(&self.what));
        };
        let label = of.label.as_ref().map(|l| format!(" ({})", clean(l))).unwrap_or_default();
        let (class, retained) = (clean(&of.class), size_exact(of.retained));
        writeln!(out, "{class} @ {:#x}{label} retains {retained}", of.object)?;
        if paths.is_empty() {
            let name = of.strength.name();
            return writeln!(
                out,
                "No path of strong references leads to it: it is held by {name} ones at most; \
                 --weak lets these count."
            );
        }
        for (i, path) in (1..).zip(paths) {
            let length = match path.length {
                0 => "it is a root itself".into(),
                n => count(n, "reference from a root", "references from a root"),
            };
            writeln!(out, "\n{i}. {length}")?;
            out.write_all(chain_table(path, 3).as_bytes())?;
        }
        if self.more_paths == Some(true) {
            writeln!(out, "\nThere may be more, which are no shorter (--top N).")?;
        }
        Ok(())
    }
}

impl Report {
    fn tree_text(&self, tree: &Merged, out: &mut dyn io::Write) -> io::Result<()> {
        let objects = count(tree.objects, "object", "objects");
        let (what, retained) = (clean(&self.what), size_exact(tree.retained));
        writeln!(out, "{objects} of {what} retain {retained} together")?;
        if let Some(left) = self.unreached.filter(|n| *n > 0) {
            let which = if self.weak { "" } else { " of strong references" };
            writeln!(out, "No path{which} leads to {} more", count(left, "object", "objects"))?;
        }
        if tree.objects == 0 {
            return Ok(());
        }
        writeln!(out)?;
        out.write_all(merged_table(tree).as_bytes())
    }
}

impl Args {
    pub(super) fn run(&self) -> Result<Outcome> {
        self.wanted()?;
        let report = holders::with_tree(&self.source, Rule::Strong, self)??;
        end(&report, self.json)
    }

    fn wanted(&self) -> Result<Wanted> {
        self.what.parse().map_err(|e: String| Error::usage(e))
    }

    fn weakest(&self) -> Strength {
        if self.weak { Strength::Phantom } else { Strength::Strong }
    }
}

impl Job for &Args {
    type Answer = Result<OfInput<Report>>;

    fn work<G: ObjectGraph, I: Id>(
        self,
        tree: &Dominators<'_, G, I>,
        input: Reading,
    ) -> Result<OfInput<Report>> {
        let mut report = Report {
            what: self.what.clone(),
            weak: self.weak,
            object: None,
            paths: None,
            more_paths: None,
            tree: None,
            unreached: None,
        };
        match self.wanted()? {
            Wanted::Object(address) => {
                let place = holders::object(tree.graph(), address)?;
                self.object(tree, place, &mut report)?;
            }
            Wanted::Class(pattern) => self.class(tree, &pattern, &mut report)?,
        }
        Ok(input.with(report))
    }
}

impl Args {
    fn object<G: ObjectGraph, I: Id>(
        &self,
        tree: &Dominators<'_, G, I>,
        place: u64,
        report: &mut Report,
    ) -> Result<()> {
        let (graph, pool) = (tree.graph(), tree.pool());
        let (weakest, top, cost) = (self.weakest(), self.top as usize, self.source.cost());
        let found = holders::watched(&cost, tree.memory(), |watch| {
            Paths::<G, I>::apart(graph, weakest, place, top, pool, watch)
        })?;
        let paths = &found.paths;
        let mut chains: Vec<Chain> = Vec::new();
        if paths.is_root(place) {
            let alone = holders::watched(&cost, tree.memory(), |watch| {
                Paths::<G, I>::find(graph, weakest, Some(&[place]), pool, watch)
            })?;
            chains.extend(chain(tree, &alone, place, None));
        }
        let referrers = found.referrers.iter().take(top);
        chains.extend(referrers.filter_map(|r| chain(tree, paths, *r, Some(place))));
        report.more_paths =
            Some(found.has_more || found.referrers.len() > top || chains.len() > top);
        chains.truncate(top);
        // A part is held as strongly as what it lies in, if that is held.
        let of_part = match tree.is_part(place) {
            true => tree.node_of_part(place).map(|(_, number)| tree.strength(number)),
            false => Some(Strength::Strong),
        };
        report.object = of_part.and_then(|strength| held_at(tree, place, strength));
        report.paths = Some(chains);
        Ok(())
    }

    fn class<G: ObjectGraph, I: Id>(
        &self,
        tree: &Dominators<'_, G, I>,
        pattern: &Pattern,
        report: &mut Report,
    ) -> Result<()> {
        let graph = tree.graph();
        let wanted: Vec<bool> = graph.classes().iter().map(|c| pattern.fits(&c.name)).collect();
        if !wanted.contains(&true) {
            return Err(Error::usage(format!("no class has the name {}", clean(&report.what))));
        }
        let (weakest, cost) = (self.weakest(), self.source.cost());
        let paths = holders::watched(&cost, tree.memory(), |watch| {
            Paths::<G, I>::find(graph, weakest, None, tree.pool(), watch)
        })?;
        let is_wanted =
            |place: &u64| wanted.get(graph.class_of(*place) as usize).copied().unwrap_or(false);
        let all = graph.numbers().iter().filter(is_wanted);
        let (mut reached, mut unreached) = (Vec::new(), 0);
        for place in all {
            match paths.is_reached(place) {
                true if reached.len() < 2 => reached.push(place),
                true => {}
                false => unreached += 1,
            }
        }
        report.unreached = Some(unreached);
        if let [one] = reached[..] {
            drop(paths);
            return self.object(tree, one, report);
        }
        report.tree = Some(merged(tree, &paths, &wanted, self.top as usize));
        Ok(())
    }
}
