//! The page as one HTML file that needs nothing else: styles, script and data are in it.
//!
//! Without its script it has all tables and the first level of the treemap; the script makes the pictures ones that can
//! be clicked through. Nothing of the target is trusted: maud escapes all text, the data can not end their element, and
//! the page's policy allows only this script and these styles, by their hashes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::document::{Block, Boxes, Document, Line, Piece, Section, Table};
use super::picture::{Node, Picture, WORDS};
use super::treemap::{Rect, squarify};
use crate::output::report::{count, number, size};
use crate::output::retained::share;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Width and height of the treemap where no script draws it: on a wide screen and on a phone.
const SIZES: [(&str, f64, f64); 2] = [("wide", 960.0, 480.0), ("narrow", 360.0, 420.0)];
/// Width of a character of the treemap's text, and height of its lines.
const CHARACTER: f64 = 6.8;
const LINE: f64 = 15.0;

/// What the pictures are drawn from; none where the page has none.
pub(super) struct Pictures<'p> {
    /// Who holds the memory.
    pub(super) heap: &'p Picture,
    /// The same as JSON, and how many boxes are in that.
    pub(super) heap_json: (String, usize),
    /// The threads' stacks.
    pub(super) threads_json: Option<String>,
}

/// The whole file.
pub(super) fn page(document: &Document, pictures: &Pictures<'_>) -> String {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    let title = document.title.text();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content=(concat!("rjcore ", env!("CARGO_PKG_VERSION")));
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#summary" { "Skip to the summary" }
                header { h1 { (line(&document.title)) } }
                nav aria-label="Sections" {
                    ul {
                        li { a href="#summary" { "Summary" } }
                        @for section in &document.sections {
                            li { a href={ "#" (section.id) } { (section.title) } }
                        }
                    }
                }
                main {
                    section #summary aria-labelledby="summary-title" {
                        h2 #summary-title { "Summary" }
                        @for sentence in &document.summary { p { (line(sentence)) } }
                    }
                    @for section in &document.sections { (part(section, pictures)) }
                }
                script type="application/json" #heap-data { (PreEscaped(&pictures.heap_json.0)) }
                @if let Some(json) = &pictures.threads_json {
                    script type="application/json" #threads-data { (PreEscaped(json)) }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

/// A hash as a policy names it.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

fn line(of: &Line) -> Markup {
    html! {
        @for piece in &of.0 {
            @match piece {
                Piece::Words(text) | Piece::Told(text) => (unbroken(text)),
                Piece::Name(text) => code { (text) },
            }
        }
    }
}

/// The text with no line end between a number and its unit.
fn unbroken(text: &str) -> String {
    const UNITS: [&str; 5] = [" %", " KB", " MB", " GB", " TB"];
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(digit) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, behind) = rest.split_at(digit + 1);
        out += before;
        let is_next = |unit: &&&str| behind.starts_with(**unit);
        rest = match UNITS.iter().find(is_next) {
            Some(unit) => {
                out += "\u{a0}";
                out += &unit[1..];
                &behind[unit.len()..]
            }
            None => behind,
        };
    }
    out + rest
}

fn part(section: &Section, pictures: &Pictures<'_>) -> Markup {
    let id = section.id;
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (section.title) }
            @for of in &section.blocks { (block(of, pictures)) }
        }
    }
}

fn block(of: &Block, pictures: &Pictures<'_>) -> Markup {
    html! {
        @match of {
            Block::Line(text) => p { (line(text)) },
            Block::Heading(text) => h3 { (text) },
            Block::Table(of) => (table(of)),
            // What is wider than the page is moved to by keys, too.
            Block::Lines(lines) => pre tabindex="0" { (lines.join("\n")) },
            Block::Folded(summary, inside) => details {
                summary { (line(summary)) }
                @for of in inside { (block(of, pictures)) }
            },
            Block::Map => (map(pictures)),
            Block::Boxes(of) => (boxes(of)),
            Block::Flame => @if pictures.threads_json.is_some() {
                div class="chart" #threads-chart data-unit="threads" aria-label="Flame graph of the threads" {
                    p class="script" { "The flame graph needs the page's script; the stacks below do not." }
                }
            },
        }
    }
}

fn table(of: &Table) -> Markup {
    html! {
        div class="wide" tabindex="0" role="region" aria-label=(of.caption) {
            table {
                caption { (of.caption) }
                thead { tr {
                    @for (text, is_number) in &of.head { th scope="col" class=[is_number.then_some("n")] { (text) } }
                } }
                tbody {
                    @for row in &of.rows { tr {
                        @for (cell, (_, is_number)) in row.iter().zip(&of.head) {
                            td class=[is_number.then_some("n")] { (line(cell)) }
                        }
                    } }
                }
            }
        }
    }
}

/// The treemap's first level, which the script replaces by one that can be clicked through.
fn map(pictures: &Pictures<'_>) -> Markup {
    let picture = pictures.heap;
    let Some(all) = picture.nodes.first() else { return html! {} };
    let mut nodes: Vec<&Node> = picture.inside(0).collect();
    nodes.sort_by_key(|n| std::cmp::Reverse(n.value));
    html! {
        div class="chart" #heap-chart data-unit="bytes" aria-label="Who holds the memory" {
            @for (class, w, h) in SIZES {
                (first_level(picture, &nodes, all, Rect { x: 0.0, y: 0.0, w, h }, class))
            }
        }
        @for sentence in left_out(picture, pictures.heap_json.1) { p { (sentence) } }
    }
}

/// What of the picture is not on the page, of which so many boxes are.
fn left_out(picture: &Picture, boxes: usize) -> Vec<String> {
    let left = picture.nodes.len().saturating_sub(boxes) as u64;
    let mut said = Vec::new();
    if left > 0 {
        said.push(format!(
            "{} of the picture, inside of the smallest, {} left out so that the page is not too large.",
            count(left, "box", "boxes"),
            if left == 1 { "is" } else { "are" }
        ));
    }
    if picture.unopened > 0 {
        said.push(format!(
            "What is in {} is not shown.",
            count(picture.unopened, "small box", "small boxes")
        ));
    }
    said
}

/// What a box is drawn by.
struct Drawn {
    name: String,
    /// The name in so many characters.
    fitted: fn(&str, usize) -> String,
    value: u64,
    /// Number of its colour.
    colour: u32,
}

fn first_level(
    picture: &Picture,
    nodes: &[&Node],
    all: &Node,
    room: Rect,
    class: &'static str,
) -> Markup {
    let drawn = |n: &&Node| Drawn {
        name: name(picture, n),
        fitted,
        value: n.value,
        colour: colour(picture, n),
    };
    let drawn: Vec<Drawn> = nodes.iter().map(drawn).collect();
    let label = "Treemap of all objects, by what holds them; the table below has the largest";
    treemap(&drawn, all.value, room, class, label)
}

/// A treemap that no script changes, on a wide screen and on a phone.
fn boxes(of: &Boxes) -> Markup {
    let drawn = |(name, value, group): &(String, u64, u32)| Drawn {
        name: name.clone(),
        fitted: cut,
        value: *value,
        colour: group % 9,
    };
    let mut drawn: Vec<Drawn> = of.boxes.iter().map(drawn).collect();
    drawn.sort_by_key(|d| std::cmp::Reverse(d.value));
    let all = drawn.iter().map(|d| d.value).sum();
    html! {
        div class="chart" aria-label=(of.label) {
            @for (class, w, h) in SIZES {
                (treemap(&drawn, all, Rect { x: 0.0, y: 0.0, w, h: h / 2.0 }, class, &of.label))
            }
        }
    }
}

/// The boxes, the largest first.
fn treemap(drawn: &[Drawn], all: u64, room: Rect, class: &'static str, label: &str) -> Markup {
    let values: Vec<u64> = drawn.iter().map(|d| d.value).collect();
    let places = squarify(&values, all, room);
    // What is narrower than a pixel is seen by nobody.
    let seen = drawn.iter().zip(places).filter(|(_, at)| at.w >= 1.0 && at.h >= 1.0);
    let seen: Vec<_> = seen.collect();
    let thin = (drawn.len() - seen.len()) as u64;
    let percent = |value: u64| format!("{:.1} %", share(value, all));
    html! {
        svg class={ "map " (class) } viewBox={ "0 0 " (room.w) " " (room.h) } role="img"
            aria-label=(label) {
            @for (of, at) in &seen {
                g class={ "b c" (of.colour) } {
                    title { (of.name) ", " (size(of.value)) ", " (percent(of.value)) }
                    rect x=(round(at.x)) y=(round(at.y)) width=(round(at.w)) height=(round(at.h)) {}
                    @let room = ((at.w - 8.0) / CHARACTER) as usize;
                    @if room >= 4 && at.h >= LINE + 4.0 {
                        text x=(round(at.x + 4.0)) y=(round(at.y + LINE)) { ((of.fitted)(&of.name, room)) }
                        @if at.h >= 2.0 * LINE + 4.0 && room >= 9 {
                            text x=(round(at.x + 4.0)) y=(round(at.y + 2.0 * LINE)) {
                                (size(of.value)) @if room >= 17 { ", " (percent(of.value)) }
                            }
                        }
                    }
                }
            }
        }
        @if thin > 0 {
            @let class = if class == "wide" { "wide-only" } else { class };
            p class={ "hint " (class) } { (count(thin, "box is", "boxes are")) " too small to be drawn." }
        }
    }
}

/// A box's name with what tells it from others.
pub(super) fn name(picture: &Picture, node: &Node) -> String {
    let name = &picture.names[node.name as usize];
    match &node.object {
        Some((_, Some(class))) if name == "java.lang.Class" => format!("class {class}"),
        Some((_, Some(label))) => format!("{name} ({label})"),
        _ if node.count > 1 && node.flags & WORDS == 0 => {
            format!("{} × {name}", number(node.count))
        }
        _ if node.count > 1 => format!("{name}: {}", count(node.count, "object", "objects")),
        _ => name.clone(),
    }
}

/// A tenth of a pixel does.
fn round(n: f64) -> f64 {
    (n * 10.0).round() / 10.0
}

/// A text in so many characters. Of a class's name the end says most.
fn fitted(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let (before, name) = match text.split_once("× ").or_else(|| text.split_once("class ")) {
        Some((_, name)) => (&text[..text.len() - name.len()], name),
        None => ("", text),
    };
    let name = name.split_once(" (").map_or(name, |(class, _)| class);
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    let short = format!("{before}{name}");
    cut(&short, room)
}

/// The start of a text that has no room.
fn cut(text: &str, room: usize) -> String {
    match text.chars().count() <= room {
        true => text.to_owned(),
        false => text.chars().take(room - 1).chain(['…']).collect(),
    }
}

/// The number of a box's colour: the same for all classes of a package, 0 for what is no class. The script counts alike.
fn colour(picture: &Picture, node: &Node) -> u32 {
    if node.flags & WORDS != 0 {
        return 0;
    }
    let name = &picture.names[node.name as usize];
    let package = name.rsplit_once('.').map_or("", |(package, _)| package);
    // FNV-1a over UTF-16, as JavaScript has it.
    let hash = |hash: u32, unit: u16| (hash ^ u32::from(unit)).wrapping_mul(0x0100_0193);
    package.encode_utf16().fold(0x811c_9dc5, hash) % 8 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_unit() {
        assert_eq!(unbroken("79.3 % of 1.2 GB"), "79.3\u{a0}% of 1.2\u{a0}GB");
        assert_eq!(unbroken("3 objects, 5"), "3 objects, 5");
    }
}
