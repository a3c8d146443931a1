//! The modules import one way only, and each says what it is for.
//!
//! Reads the sources as text: paths through `crate::` (alone, in `use` lines and in groups of them)
//! and through as many `super::` as lead out of a layer.

mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer may use itself and those before it, but for what [`APART`] says.
const LAYERS: [&str; 26] = [
    "address",
    "panics",
    "turns",
    "cpu",
    "collector",
    "error",
    "mapped",
    "format",
    "process",
    "perfdata",
    "capture",
    "live",
    "unpack",
    "corefile",
    "symbols",
    "native",
    "malloc",
    "vmstructs",
    "hotspot",
    "graph",
    "hprof",
    "heap",
    "jvm",
    "output",
    "cli",
    "fuzzing",
];
/// Those that meet running processes: siblings that do not use each other, and only `cli` uses them.
const APART: [&str; 2] = ["capture", "live"];
const TOP: &str = "cli";
/// The rooms of a large layer: each may use itself and those before it.
const ROOMS: [(&str, &[&str]); 1] = [(
    "hotspot",
    &[
        "states",
        "unexported",
        "eras",
        "vm_info",
        "pointers",
        "barrier",
        "classes",
        "java",
        "threads",
        "gc",
        "compaction",
        "code",
        "handles",
        "nmt",
        "frames",
        "lost_data",
        "running",
    ],
)];
/// The roots of the library and of the binary may use all.
const ROOTS: [&str; 2] = ["lib.rs", "main.rs"];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All .rs files below `dir`, in order, with their paths relative to `src`.
fn sources(dir: &Path, out: &mut Vec<(PathBuf, String)>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|e| e.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            out.push((path.strip_prefix(src()).expect("below src").to_owned(), text));
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    sources(&src(), &mut out);
    // A check of nothing would pass too.
    assert!(out.len() > 20, "only {} files below src", out.len());
    out
}

/// The names of a file's module, outermost first: `hotspot/gc/mod.rs` is hotspot, gc.
fn module(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        path.iter().map(|n| n.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
    if names.last().is_some_and(|n| n == "mod") {
        names.pop();
    }
    names
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text without its comments, so that prose may name any module.
fn code(text: &str) -> String {
    text.lines().map(|l| l.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The first names behind a `::`: one, or one of each member of a `{...}` group.
fn first_names(rest: &str) -> Vec<String> {
    let ident = |s: &str| s.trim_start().chars().take_while(|c| is_ident(*c)).collect::<String>();
    let Some(group) = rest.trim_start().strip_prefix('{') else { return vec![ident(rest)] };
    let (mut depth, mut member, mut out) = (1, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            out.push(ident(&member));
            member.clear();
        } else {
            member.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    out.retain(|n| !n.is_empty());
    out
}

/// The crate's own modules that a file names, each with the line that names it.
fn uses(path: &Path, text: &str) -> Vec<(usize, String)> {
    let code = code(text);
    let depth = module(path).len();
    let mut out = Vec::new();
    let mut found = |at: usize, rest: &str| {
        let line = code[..at].matches('\n').count() + 1;
        out.extend(first_names(rest).into_iter().map(|name| (line, name)));
    };
    let free = |at: usize| !code[..at].ends_with(|c: char| is_ident(c) || c == ':');
    for (at, _) in code.match_indices("crate::").filter(|m| free(m.0)) {
        found(at, &code[at + "crate::".len()..]);
    }
    let up = "super::".repeat(depth);
    for (at, _) in code.match_indices(&up).filter(|m| free(m.0)) {
        // Inside a nested module as many lead back to the file's own one: only layers count.
        let rest = code[at + up.len()..].trim_start_matches("super::");
        if first_names(rest).iter().any(|n| LAYERS.contains(&n.as_str())) {
            found(at, rest);
        }
    }
    out
}

/// What a file imports against the order, in words.
fn violations(path: &Path, text: &str) -> Vec<String> {
    let own = module(path)[0].clone();
    let Some(rank) = LAYERS.iter().position(|l| *l == own) else {
        return vec![format!("src/{}: {own} is no layer; give it a place", path.display())];
    };
    let wrong = |name: &str| match LAYERS.iter().position(|l| *l == name) {
        Some(_) if APART.contains(&name) && ![name, TOP].contains(&own.as_str()) => {
            Some("which only cli may")
        }
        Some(other) if other <= rank => None,
        Some(_) => Some("which comes later"),
        None => Some("which is no layer"),
    };
    uses(path, text)
        .into_iter()
        .filter_map(|(line, name)| {
            let why = wrong(&name)?;
            Some(format!("src/{}:{line}: {own} uses crate::{name}, {why}", path.display()))
        })
        .collect()
}

#[test]
fn layers_import_only_from_those_before() {
    let mut found = Vec::new();
    let mut imports = 0;
    for (path, text) in all_sources() {
        if path.to_str().is_some_and(|p| ROOTS.contains(&p)) {
            continue;
        }
        imports += uses(&path, &text).len();
        found.extend(violations(&path, &text));
    }
    assert!(imports > 50, "only {imports} imports were seen");
    assert!(found.is_empty(), "the order is {}\n{}", LAYERS.join(" < "), found.join("\n"));
}

#[test]
fn modules_say_what_they_are_for() {
    let bare: Vec<String> = all_sources()
        .into_iter()
        .filter(|(path, _)| path.to_str() != Some("main.rs"))
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| format!("src/{}", path.display()))
        .collect();
    assert!(bare.is_empty(), "no `//!` header opens {}", bare.join(", "));
}

/// The check sees every way to write an import, and no comment.
#[test]
fn violations_are_seen() {
    let found = |path: &str, text: &str| violations(Path::new(path), text);
    for (path, text) in [
        ("heap/walk.rs", "use crate::output::sink;\n"),
        ("heap/walk.rs", "use crate::{error::Error, output::{sink, gzip}};\n"),
        ("heap/walk.rs", "fn f() {\n    let x = crate::cli::run();\n}\n"),
        ("heap/walk.rs", "use super::super::output;\n"),
        ("symbols.rs", "pub(crate) use super::hotspot::Vm;\n"),
        ("error.rs", "impl From<crate::corefile::CoreFile> for Error {}\n"),
        ("hotspot/gc/g1.rs", "use super::super::super::heap::Heap;\n"),
        ("heap/walk.rs", "use crate::nonsense::X;\n"),
        ("nonsense.rs", "use crate::error::Error;\n"),
        ("live/door.rs", "use crate::capture::Report;\n"),
        ("corefile/elf.rs", "use crate::capture::Report;\n"),
        ("output/sink.rs", "fn f(m: &crate::live::jvm::Jvm) {}\n"),
    ] {
        assert_eq!(found(path, text).len(), 1, "{path}: {text} gave {:?}", found(path, text));
    }
    let two = found("corefile/mod.rs", "\nuse crate::{\n    heap,\n    cli::progress,\n};\n");
    assert_eq!(
        two,
        [
            "src/corefile/mod.rs:2: corefile uses crate::heap, which comes later",
            "src/corefile/mod.rs:2: corefile uses crate::cli, which comes later"
        ]
    );
    for (path, text) in [
        ("heap/walk.rs", "use crate::hotspot::{klass::Size, Vm};\nuse super::klasses::heads;\n"),
        ("heap/walk.rs", "// crate::output is for others\n/// See [`crate::cli`].\n"),
        ("hotspot/gc/g1.rs", "use super::super::Vm;\nuse mycrate::output;\n"),
        ("symbols.rs", "mod tests { use super::*; }\n"),
        ("live/door.rs", "use super::socket;\nuse crate::live::target::Target;\n"),
        ("cli/dump.rs", "use crate::capture::Report;\nuse crate::live::jvm;\n"),
        ("cli/dump.rs", "use crate::output::{hprof, sink};\nuse crate::cli::progress;\n"),
    ] {
        assert_eq!(found(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}

/// What hangs on the era of a JDK is asked of `hotspot::eras` alone: no other file asks whether one of the fields is
/// there, or how it is made, that tell the eras apart.
#[test]
fn eras_are_told_apart_in_one_file() {
    let eras = fs::read_to_string(src().join("hotspot/eras.rs")).expect("eras");
    let asks = [".is_oop()", ".opt().is_none()", ".opt().is_some()"];
    let before = |text: &str, at: usize| {
        let name = text[..at].rsplit(|c| !is_ident(c)).next().unwrap_or("");
        name.to_owned()
    };
    let asked = |text: &str| -> Vec<String> {
        let code = code(text).split_whitespace().collect::<String>();
        let all = asks.iter().flat_map(|ask| code.match_indices(ask).map(|(at, _)| at));
        all.map(|at| before(&code, at)).collect()
    };
    let fields = asked(&eras);
    assert!(fields.len() > 4, "{fields:?}");
    for (path, text) in all_sources() {
        if path != Path::new("hotspot/eras.rs") {
            let again: Vec<String> =
                asked(&text).into_iter().filter(|f| fields.contains(f)).collect();
            assert!(again.is_empty(), "src/{} asks for {again:?}", path.display());
        }
    }
}

/// What differs from CPU to CPU is asked of a `Cpu`: no other file goes by the machine that rjcore is built for, or by
/// a count of registers.
#[test]
fn cpus_are_told_apart_in_one_file() {
    let own = |path: &Path| path.starts_with("cpu") || path == Path::new("capture/x86_64.rs");
    for (path, text) in all_sources().iter().filter(|(path, _)| !own(path)) {
        let code = code(text);
        for asked in ["target_arch", "EM_X86_64", "EM_AARCH64", "words.len() =="] {
            assert!(!code.contains(asked), "src/{} asks for {asked}", path.display());
        }
    }
}

/// Outputs that read nothing of a heap by themselves: what the others share, and `check`, which asks them.
const NO_READERS: [&str; 11] = [
    "check",
    "collection",
    "dangling",
    "fidelity",
    "gzip",
    "interrupt",
    "reader",
    "readers",
    "redact",
    "report",
    "sink",
];

/// The modules of `output` that read a core and are not in `listed`.
fn unlisted(sources: &[(PathBuf, String)], listed: &[&str]) -> Vec<String> {
    let reads = |text: &str| {
        let code = code(text);
        ["Heap", "Vm", "CoreFile", "Visitor"].iter().any(|name| {
            code.match_indices(name).any(|(at, _)| {
                !code[..at].ends_with(is_ident) && !code[at + name.len()..].starts_with(is_ident)
            })
        })
    };
    let mut out: Vec<String> = sources
        .iter()
        .filter(|(path, text)| path.starts_with("output") && reads(text))
        .filter_map(|(path, _)| module(path).get(1).cloned())
        .filter(|name| !listed.contains(&name.as_str()) && !NO_READERS.contains(&name.as_str()))
        .collect();
    out.dedup();
    out
}

/// `trim` keeps what the listed outputs read: one that is not listed gets trimmed cores that it cannot read.
#[test]
fn outputs_that_read_cores_are_listed() {
    let listed = rjcore::output::readers::READERS.map(|r| r.name);
    let mut sources = all_sources();
    assert_eq!(unlisted(&sources, &listed), Vec::<String>::new());
    // Each of them is found where it is missing, and so is a new one.
    for name in listed {
        let others: Vec<&str> = listed.into_iter().filter(|l| *l != name).collect();
        assert_eq!(unlisted(&sources, &others), [name]);
    }
    let new = "use crate::heap::{Heap, walk};\npub fn paths(heap: &Heap) {}\n";
    sources.push((PathBuf::from("output/paths.rs"), new.into()));
    assert_eq!(unlisted(&sources, &listed), ["paths"]);
}

/// rjcore's own flags that a text below the commands names, each with its file.
fn flags_below(sources: &[(PathBuf, String)], flags: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| !path.starts_with("cli")) {
        let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        let code: Vec<&str> = code.collect();
        let code = code.join("\n");
        for flag in flags {
            let whole = |at: usize| {
                !code[at + flag.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '-')
            };
            if code.match_indices(flag.as_str()).any(|(at, _)| whole(at)) {
                out.push(format!("{}: {flag}", path.display()));
            }
        }
    }
    out
}

/// Errors of the layers below carry advice as data; the flags that follow it are worded by `cli` alone.
#[test]
fn flags_are_named_by_the_commands_only() {
    let page = super::support::text(super::support::rjcore().arg("man"))
        .replace("\\fR", " ")
        .replace('\\', "");
    let mut flags: Vec<String> = page
        .split("--")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect())
        .map(|name: String| format!("--{}", name.trim_end_matches('-')))
        .filter(|flag| flag.len() > 3)
        .collect();
    flags.sort();
    flags.dedup();
    assert!(flags.len() > 25 && flags.contains(&"--sysroot".into()), "{flags:?}");
    // docker's and java's flags of the same name are none of ours: `--source`, `--user` are not in the list.
    let mut sources = all_sources();
    assert_eq!(flags_below(&sources, &flags), Vec::<String>::new());
    sources.push(("heap/x.rs".into(), "let s = \"give it with --jvm\";\n".into()));
    assert_eq!(flags_below(&sources, &flags), ["heap/x.rs: --jvm"]);
}
