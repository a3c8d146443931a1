//! Within a layer, no modules use each other in a circle.
//!
//! Reads the sources as text: paths that begin with `crate::` or `super::`, groups of them, and what a `mod.rs` passes
//! on of its parts. A directory is one module to those beside it, and its `mod.rs` holds what its parts share: that these
//! two name each other is no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{ROOMS, all_sources, code, module};

/// A module's names, outermost first: `hotspot`, `gc`, `z`.
type Module = Vec<String>;

/// All paths of `a::{b, c::{d, e}}` and the like, from its start on.
fn paths(text: &str) -> Vec<Module> {
    fn tree(mut rest: &str, before: &Module, out: &mut Vec<Module>) -> usize {
        let whole = rest.len();
        let mut path = before.clone();
        loop {
            rest = rest.trim_start();
            if let Some(mut group) = rest.strip_prefix('{') {
                loop {
                    group = &group[tree(group, &path, out)..];
                    group = group.trim_start();
                    match group.strip_prefix(',') {
                        Some(next) if !next.trim_start().starts_with('}') => group = next,
                        Some(next) => break rest = next.trim_start(),
                        None => break rest = group,
                    }
                }
                return whole - rest.strip_prefix('}').unwrap_or(rest).len();
            }
            let ident: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            rest = &rest[ident.len()..];
            if !ident.is_empty() {
                path.push(ident);
            }
            match rest.strip_prefix("::") {
                Some(next) => rest = next,
                None => {
                    out.push(path);
                    // `as name`, `*`: of no matter here.
                    let end = rest.find([',', '}', ';']).unwrap_or(rest.len());
                    return whole - rest.len() + end;
                }
            }
        }
    }
    let mut out = Vec::new();
    tree(text, &Vec::new(), &mut out);
    out
}

/// The names of the modules within the file that each line lies in, by rustfmt's indents.
fn inner(text: &str) -> Vec<Module> {
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut out = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        out.push(open.iter().map(|m| m.1.clone()).collect());
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [.., "mod", name, "{"] = words[..] {
            open.push((indent, name.to_owned()));
        } else if open.last().is_some_and(|m| m.0 == indent) && words == ["}"] {
            open.pop();
        }
    }
    out
}

/// Every path that the file of `from` names by `crate` or `super`, from the crate's root.
fn named(from: &Module, text: &str) -> Vec<Module> {
    let within = inner(text);
    let mut out = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(start) {
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let here = &within[text[..at].matches('\n').count()];
            for path in paths(&text[at..]) {
                let mut full: Module = from.iter().chain(here).cloned().collect();
                for name in path {
                    match name.as_str() {
                        "crate" => full.clear(),
                        "super" => drop(full.pop()),
                        "self" => {}
                        _ => full.push(name),
                    }
                }
                out.push(full);
            }
        }
    }
    out
}

/// What a `mod.rs` has of its parts: the path by which others name it, and the one that it has.
fn passed_on(all: &BTreeMap<Module, String>) -> BTreeMap<Module, Module> {
    let mut out = BTreeMap::new();
    for (module, text) in all {
        for (at, _) in text.match_indices("use ") {
            if !text[..at].trim_end_matches("pub ").ends_with('\n') && at > 0 {
                continue;
            }
            for path in paths(&text[at + 4..]) {
                let part: Module = module.iter().chain(&path).cloned().collect();
                let is_part = path.len() > 1 && all.contains_key(&part[..module.len() + 1]);
                if let Some(name) = path.last().filter(|_| is_part) {
                    out.insert(module.iter().chain([name]).cloned().collect(), part);
                }
            }
        }
    }
    out
}

/// Of each directory: which of its modules name which others.
type Uses = BTreeMap<Module, BTreeMap<String, BTreeSet<String>>>;

fn uses(all: &BTreeMap<Module, String>) -> Uses {
    let passed = passed_on(all);
    let mut out = Uses::new();
    for (from, text) in all {
        for mut path in named(from, text) {
            // What another module only passes on counts as its owner's.
            for _ in 0..4 {
                let known = (1..=path.len()).rev().find_map(|n| Some((n, passed.get(&path[..n])?)));
                let Some((n, owner)) = known else { break };
                path = owner.iter().chain(&path[n..]).cloned().collect();
            }
            while !path.is_empty() && !all.contains_key(&path) {
                path.pop();
            }
            let common = from.iter().zip(&path).take_while(|(a, b)| a == b).count();
            if common == 0 || common == from.len() || common == path.len() {
                continue;
            }
            let uses = out.entry(from[..common].to_vec()).or_default();
            uses.entry(from[common].clone()).or_default().insert(path[common].clone());
        }
    }
    out
}

/// The uses that lie on a circle, as `directory::who` and `directory::whom`.
fn circles(uses: &Uses) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (directory, uses) in uses {
        let reaches = |from: &String, to: &String| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(one) = next.pop() {
                if one == to {
                    return true;
                }
                if seen.insert(one) {
                    next.extend(uses.get(one).into_iter().flatten());
                }
            }
            false
        };
        for (who, whom) in uses.iter().flat_map(|(who, all)| all.iter().map(move |w| (who, w))) {
            if reaches(whom, who) {
                let name = |module: &String| format!("{}::{module}", directory.join("::"));
                out.push((name(who), name(whom)));
            }
        }
    }
    out
}

/// All modules that are files, with their texts without comments.
fn sources() -> BTreeMap<Module, String> {
    all_sources().iter().map(|(path, text)| (module(path), code(text))).collect()
}

#[test]
fn no_circle_within_a_layer() {
    let uses = uses(&sources());
    for layer in ["hotspot", "heap", "corefile", "output"] {
        let seen: usize = uses[&vec![layer.to_owned()]].values().map(BTreeSet::len).sum();
        assert!(seen > 5, "only {seen} uses were seen within {layer}");
    }
    let found = circles(&uses);
    let lines: Vec<String> = found.iter().map(|(who, whom)| format!("{who} uses {whom}")).collect();
    assert!(found.is_empty(), "in a circle:\n{}", lines.join("\n"));
}

/// What rooms use against their layer's order, and rooms that it does not name.
fn out_of_order(uses: &Uses, layer: &str, order: &[&str]) -> Vec<String> {
    let rank = |room: &str| order.iter().position(|o| *o == room);
    let pairs = uses.get([layer.to_owned()].as_slice()).into_iter().flatten();
    let pairs = pairs.flat_map(|(who, all)| all.iter().map(move |whom| (who, whom)));
    pairs
        .filter_map(|(who, whom)| match (rank(who), rank(whom)) {
            (Some(own), Some(other)) if other < own => None,
            (Some(_), Some(_)) => Some(format!("{layer}::{who} uses {whom}, which comes later")),
            _ => Some(format!("{layer}::{who} uses {whom}: give both a place")),
        })
        .collect()
}

/// Rooms have an order, as layers have; docs/design.md says it.
#[test]
fn rooms_use_only_those_before() {
    let sources = sources();
    let found = uses(&sources);
    let design = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/design.md");
    let design = std::fs::read_to_string(&design).expect("docs/design.md");
    for (layer, order) in ROOMS {
        assert_eq!(out_of_order(&found, layer, order), Vec::<String>::new());
        let mut rooms: Vec<&str> = sources
            .keys()
            .filter(|m| m.len() > 1 && m[0] == layer)
            .map(|m| m[1].as_str())
            .collect();
        rooms.dedup();
        let mut named = order.to_vec();
        named.sort_unstable();
        assert_eq!(rooms, named, "the rooms of {layer}");
        let told = design.split_once(&format!("### The rooms of `{layer}`")).expect("a table").1;
        let told = told.split("\n#").next().expect("a section");
        let places: Vec<Option<usize>> =
            order.iter().map(|room| told.find(&format!("`{room}`"))).collect();
        let told = places.iter().all(Option::is_some) && places.is_sorted();
        assert!(told, "docs/design.md has other rooms of {layer}, or another order: {places:?}");
    }
    // What would be wrong is seen.
    let of = |texts: &[(&str, &str)]| {
        let all = texts.iter().map(|(path, text)| (module(Path::new(path)), code(text)));
        out_of_order(&uses(&all.collect()), "l", &["a", "b"])
    };
    assert_eq!(of(&[("l/a.rs", ""), ("l/b/c.rs", "use super::super::a::X;\n")]), [""; 0]);
    let later = [("l/a.rs", "use crate::l::b::X;\n"), ("l/b.rs", "")];
    assert_eq!(of(&later), ["l::a uses b, which comes later"]);
    let unknown = [("l/c.rs", "use super::a;\n"), ("l/a.rs", "")];
    assert_eq!(of(&unknown), ["l::c uses a: give both a place"]);
}

/// The check sees every way to name a module.
#[test]
fn circles_are_seen() {
    let of = |texts: &[(&str, &str)]| {
        let all = texts.iter().map(|(path, text)| (module(Path::new(path)), code(text)));
        circles(&uses(&all.collect()))
    };
    let both = [("l::a", "l::b"), ("l::b", "l::a")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let a = ("l/a.rs", "use super::b::X;\n");
    let top = ("l/mod.rs", "mod a;\nmod b;\n\npub use a::Y;\n");
    for b in [
        "use super::a::Y;\n",
        "use super::{\n    a::{Y, Z},\n    c,\n};\n",
        "use crate::l::a;\n",
        "fn f() -> super::a::Y {}\n",
        "use super::Y;\n",
        "use crate::l::{c::{d, e}, Y};\n",
        "mod tests {\n    use super::super::a::Y;\n}\n",
    ] {
        assert_eq!(of(&[top, a, ("l/b.rs", b)]), both, "{b}");
        assert_eq!(
            of(&[
                top,
                a,
                ("l/b/mod.rs", ""),
                ("l/b/c.rs", &b.replacen("super::", "super::super::", 1))
            ]),
            both,
            "{b}"
        );
    }
    for b in [
        "use super::c::Y;\n",
        "// use super::a;\n",
        "use super::*;\nmod tests {\n    use super::Y;\n}\n",
        "mod tests {\n    use super::*;\n}\nuse other::super_a::Y;\n",
    ] {
        assert_eq!(of(&[top, a, ("l/b.rs", b)]), [], "{b}");
    }
    let three = of(&[
        a,
        ("l/b.rs", "use super::c;\n"),
        ("l/c.rs", "use super::a;\n"),
        ("l/d.rs", "use super::a;\n"),
    ]);
    assert_eq!(three.len(), 3, "{three:?}");
    let parts = [
        ("l/p/mod.rs", "mod a;\nuse a::X;\n"),
        ("l/p/a.rs", "use super::super::p;\nuse super::Z;\n"),
    ];
    assert_eq!(of(&parts), []);
}
