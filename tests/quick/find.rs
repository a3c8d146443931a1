//! Objects by an expression, against the tests' own reader of HPROF dumps, and against what `retained` says. The
//! dominator tree level by level: its lines add up, and each hangs below what dominates it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::hprof::{Dump, Kind, Object, word};
use crate::support::schema::Checker;
use crate::support::{Scratch, dep, rjcore, run, text};

fn core(name: &str) -> PathBuf {
    dep(&format!("testdata/cores/{name}.core.zst"))
}

fn json(args: &[&str], input: &Path) -> Value {
    let mut cmd = rjcore();
    cmd.arg(args[0]).arg(input).args(&args[1..]).arg("--json");
    serde_json::from_str(&text(&mut cmd)).expect("JSON")
}

fn find(input: &Path, expression: &str, more: &[&str]) -> Value {
    json(&[&["find", expression][..], more].concat(), input)
}

fn number(of: &Value, field: &str) -> u64 {
    of[field].as_u64().unwrap_or_else(|| panic!("{field} of {of}"))
}

fn list<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of[field].as_array().unwrap_or_else(|| panic!("{field} of {of}"))
}

/// The addresses of all objects that an expression finds.
fn addresses(input: &Path, expression: &str) -> BTreeSet<u64> {
    let found = find(input, expression, &["--all"]);
    let all: BTreeSet<u64> = list(&found, "objects").iter().map(address).collect();
    assert_eq!(all.len() as u64, number(&found, "count"), "{expression}");
    all
}

fn address(of: &Value) -> u64 {
    let text = of["object"].as_str().expect("an address").trim_start_matches("0x");
    u64::from_str_radix(text, 16).expect("an address")
}

/// A dump as the tests' own reader has it.
struct Plain(Dump);

impl Plain {
    fn class(&self, of: &Object) -> String {
        let name = self.0.class_name(of).replace('/', ".");
        let element = name.trim_start_matches('[');
        let depth = name.len() - element.len();
        let class = element.strip_prefix('L').and_then(|e| e.strip_suffix(';'));
        match class.filter(|_| depth > 0) {
            Some(class) => class.to_owned() + &"[]".repeat(depth),
            None => name,
        }
    }

    fn value<'a>(&'a self, of: &'a Object, name: &str) -> Option<&'a [u8]> {
        let slot = self.0.layout(of.class).into_iter().find(|s| s.name == name)?;
        Some(&self.0.bytes(of)[slot.start..slot.end])
    }

    fn to<'a>(&'a self, of: &'a Object, name: &str) -> Option<&'a Object> {
        self.0.objects.get(&word(self.value(of, name)?))
    }

    fn number(&self, of: &Object, name: &str) -> Option<u64> {
        self.value(of, name).map(word)
    }

    fn text(&self, of: &Object) -> Option<String> {
        if self.class(of) != "java.lang.String" {
            return None;
        }
        let bytes = self.0.bytes(self.to(of, "value")?);
        let units = bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]]));
        Some(match self.number(of, "coder")? {
            0 => bytes.iter().map(|b| char::from(*b)).collect(),
            _ => String::from_utf16_lossy(&units.collect::<Vec<_>>()),
        })
    }

    fn text_of(&self, of: &Object, name: &str) -> Option<String> {
        self.text(self.to(of, name)?)
    }

    /// Elements of an array, 4 to 11 being HPROF's types.
    fn length(&self, of: &Object) -> Option<u64> {
        let each = match of.kind {
            Kind::Instance => return None,
            Kind::Objects => 8,
            Kind::Primitives(4 | 8) => 1,
            Kind::Primitives(5 | 9) => 2,
            Kind::Primitives(6 | 10) => 4,
            Kind::Primitives(_) => 8,
        };
        Some(self.0.bytes(of).len() as u64 / each)
    }

    fn is(&self, of: &Object, name: &str) -> bool {
        let mut class = self.0.classes.get(&of.class);
        for _ in 0..100 {
            let Some(c) = class else { return false };
            if c.name.replace('/', ".") == name {
                return true;
            }
            class = self.0.classes.get(&c.super_id);
        }
        false
    }
}

type Test = fn(&Plain, &Object) -> bool;

/// Expressions, and what they mean.
const MEANT: &[(&str, Test)] = &[
    ("class=Sample$Order", |d, o| d.class(o) == "Sample$Order"),
    ("class=java.util.*Map*", |d, o| {
        let name = d.class(o);
        name.strip_prefix("java.util.").is_some_and(|rest| rest.contains("Map"))
    }),
    ("class ~ '^Sample.(Order|Item)$'", |d, o| {
        ["Sample$Order", "Sample$Item"].contains(&d.class(o).as_str())
    }),
    ("is java.util.AbstractMap", |d, o| d.is(o, "java.util.AbstractMap")),
    ("instanceof java.util.AbstractMap and class!=java.util.HashMap", |d, o| {
        d.is(o, "java.util.AbstractMap") && d.class(o) != "java.util.HashMap"
    }),
    ("class=byte[] and length>100", |d, o| {
        d.class(o) == "byte[]" && d.length(o).is_some_and(|n| n > 100)
    }),
    ("class=*[] and length=0 and not class=byte[]", |d, o| {
        d.length(o) == Some(0) && d.class(o) != "byte[]"
    }),
    ("class=java.lang.String and length>=20 and length<25", |d, o| {
        d.text(o).is_some_and(|t| (20..25).contains(&t.encode_utf16().count()))
    }),
    (r#"text ~ "^item \d+/3$""#, |d, o| {
        let text = d.text(o).unwrap_or_default();
        let middle = text.strip_prefix("item ").and_then(|t| t.strip_suffix("/3"));
        middle.is_some_and(|m| !m.is_empty() && m.chars().all(|c| c.is_ascii_digit()))
    }),
    ("text = 'Käse & 茶'", |d, o| d.text(o).as_deref() == Some("Käse & 茶")),
    ("text != '' and text !~ '[a-z]'", |d, o| {
        let text = d.text(o);
        text.is_some_and(|t| !t.is_empty() && !t.chars().any(|c| c.is_ascii_lowercase()))
    }),
    ("class=Sample$Order and field.gift=true", |d, o| {
        d.class(o) == "Sample$Order" && d.number(o, "gift") == Some(1)
    }),
    ("field.state.name = PAID", |d, o| {
        let name = d.to(o, "state").and_then(|s| d.text_of(s, "name"));
        name.as_deref() == Some("PAID")
    }),
    ("class=Sample$Order and field.number>=10 and field.number<0x14", |d, o| {
        d.class(o) == "Sample$Order" && d.number(o, "number").is_some_and(|n| (10..20).contains(&n))
    }),
    // NaN is neither more nor less, and not equal.
    ("field.weight<1 or field.weight>=1 or field.weight=0", |_, _| false),
    ("class=Sample$Item and field.name ~ /3$ and field.cents>100", |d, o| {
        d.class(o) == "Sample$Item"
            && d.text_of(o, "name").is_some_and(|t| t.ends_with("/3"))
            && d.number(o, "cents").is_some_and(|n| n > 100)
    }),
    ("class=Sample$Item and (field.cents=0 or field.name='item 99/4')", |d, o| {
        d.class(o) == "Sample$Item"
            && (d.number(o, "cents") == Some(0)
                || d.text_of(o, "name").as_deref() == Some("item 99/4"))
    }),
    ("class=java.util.HashMap and length>=5", |d, o| {
        d.class(o) == "java.util.HashMap" && d.number(o, "size").is_some_and(|n| n >= 5)
    }),
    ("field.items.size=5", |d, o| d.to(o, "items").and_then(|l| d.number(l, "size")) == Some(5)),
    ("class=java.util.HashMap$Node and field.next!=null", |d, o| {
        d.class(o) == "java.util.HashMap$Node" && d.number(o, "next").is_some_and(|n| n != 0)
    }),
    ("class=java.util.HashMap$Node and field.next=null", |d, o| {
        d.class(o) == "java.util.HashMap$Node" && d.number(o, "next") == Some(0)
    }),
    ("class=java.lang.String and shallow=24 and not length>3", |d, o| {
        d.text(o).is_some_and(|t| t.encode_utf16().count() <= 3)
    }),
];

fn by_another_reader(name: &str) {
    let core = core(name);
    let dir = Scratch::new(&format!("find-{name}"));
    let dump = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&dump));
    let plain = Plain(Dump::open(&dump));
    let mut seen = BTreeMap::new();
    for (expression, test) in MEANT {
        let meant = plain.0.objects.iter().filter(|(_, o)| test(&plain, o));
        let meant: BTreeSet<u64> = meant.map(|(id, _)| *id).collect();
        for input in [&core, &dump] {
            let mut found = addresses(input, expression);
            // That reader has class objects apart.
            found.retain(|id| plain.0.objects.contains_key(id));
            assert!(found == meant, "{expression}: {} {}", found.len(), meant.len());
        }
        seen.insert(*expression, meant.len());
    }
    // By construction: tests/java/Sample.java.
    assert_eq!(seen["class=Sample$Order"], 100);
    assert_eq!(seen["class ~ '^Sample.(Order|Item)$'"], 400);
    assert_eq!(seen["field.state.name = PAID"], 33);
    assert_eq!(seen["class=Sample$Order and field.gift=true"], 50);
    assert_eq!(seen["field.items.size=5"], 20);
    assert_eq!(seen[r#"text ~ "^item \d+/3$""#], 40);
    assert_eq!(seen.values().filter(|n| **n > 0).count(), MEANT.len() - 1, "{seen:?}");
}

#[test]
fn another_reader_finds_the_same_of_jdk17() {
    by_another_reader("jdk17-g1");
}

#[test]
fn another_reader_finds_the_same_of_jdk25() {
    by_another_reader("jdk25-serial");
}

/// What objects retain, how they are held, and what they retain together: as `retained` has it.
#[test]
fn as_retained_has_it() {
    for (name, like) in
        [("jdk17-g1", &[][..]), ("jdk25-g1", &[][..]), ("jdk17-serial", &["--like", "mat"])]
    {
        let core = core(name);
        let all = ["--top", "1000000", "--min", "1025"];
        let said = json(&[&["retained"][..], &all, like].concat(), &core);
        let one = |o: &Value| (address(o), number(o, "retained"), number(o, "weaker"));
        let mut expected: Vec<_> = list(&said, "objects").iter().map(one).collect();
        if like.is_empty() {
            expected.extend(list(&said, "weaker_objects").iter().map(one));
        }
        expected.sort_unstable();
        let found = find(&core, "retained>1K", &[&["--all"][..], like].concat());
        Checker::new().check("find", &found, name);
        let mut told: Vec<_> = list(&found, "objects").iter().map(one).collect();
        let by_retained = |all: &[(u64, u64, u64)]| {
            all.windows(2).all(|w| (w[1].1, w[0].0) < (w[0].1, w[1].0) || w[0].1 > w[1].1)
        };
        assert!(by_retained(&told) && told.len() > 100, "{name}");
        told.sort_unstable();
        assert!(told == expected, "{name}: {} {}", told.len(), expected.len());
        let totals = &said["totals"];
        for strength in ["strong", "soft", "garbage"] {
            let of = format!("strength={strength}");
            let found = find(&core, &of, &[&["--count"][..], like].concat());
            assert_eq!(number(&found, "shallow"), number(totals, strength), "{name} {strength}");
        }
        for class in ["java.lang.String", "java.util.HashMap"] {
            let groups = [&["retained", "--by", "class", "--class", class][..], like].concat();
            let group = json(&groups, &core)["groups"][0].take();
            let of = format!("class={class} and strength!=garbage");
            let found = find(&core, &of, &[&["--top", "3"][..], like].concat());
            assert_eq!(found["retained"], group["retained"], "{name} {class}");
            assert_eq!(found["weaker"], group["weaker"], "{name} {class}");
            assert_eq!(found["count"], group["objects"], "{name} {class}");
            let tree = [&["tree", "--class", class, "--min", "0"][..], like].concat();
            let tree = json(&tree, &core);
            let strong = |l: &&Value| l["strength"] == "strong";
            let lines = list(&tree, "children").iter().filter(strong);
            let sum: u64 = lines.map(|l| number(l, "retained")).sum();
            let left = number(&tree["left"], "retained");
            assert!(sum + left >= number(&group, "retained"), "{name} {class} {tree}");
        }
    }
}

#[test]
fn the_same_at_any_number_of_threads_and_on_lines() {
    let core = core("jdk17-g1");
    for expression in ["class=java.*", "retained>100 and class=java.*"] {
        let ask = |more: &[&str]| {
            text(rjcore().arg("find").arg(&core).arg(expression).args(more).args(["--top", "500"]))
        };
        let one = ask(&["--threads", "1", "--json"]);
        assert!(one == ask(&["--threads", "3", "--json"]), "{expression}");
        let lines = ask(&["--json-lines"]);
        let lines: Vec<Value> =
            lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        let one: Value = serde_json::from_str(&one).expect("JSON");
        assert!(Value::Array(lines) == one["objects"], "{expression}");
    }
}

#[test]
fn what_is_shown_and_sorted_by() {
    let core = core("jdk25-g1");
    let more = ["--show", "field.number,field.state,field.items.size,length", "--sort"];
    let found = find(&core, "class=Sample$Order", &[&more[..], &["field.number"]].concat());
    Checker::new().check("find", &found, "with fields");
    let numbers = list(&found, "objects").iter().map(|o| {
        let field = |name: &str| {
            let mut all = list(o, "fields").iter();
            all.find(|f| f["name"] == name).unwrap_or_else(|| panic!("{name} of {o}"))["value"]
                .clone()
        };
        assert_eq!(field("field.state")["class"], "Sample$State");
        let number = field("field.number").as_u64().expect("a number");
        assert_eq!(field("field.items.size").as_u64(), Some(number % 5 + 1));
        number
    });
    assert!(numbers.eq((80..100).rev()), "{found}");
    let said = text(rjcore().arg("find").arg(&core).args([
        "class=Sample$Item and field.cents=396",
        "--show",
        "field.name,field.cents",
    ]));
    assert!(said.contains("\"item 99/4\"") && said.contains("396"), "{said}");
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let wrong = |args: &[&str]| {
        let out = rjcore().arg("find").arg(core("jdk17-g1")).args(args).output().expect("rjcore");
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(out.stdout.is_empty());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let said = wrong(&["class=a and retaned>5"]);
    assert!(said.contains("\n  class=a and retaned>5\n              ^\n"), "{said}");
    assert!(wrong(&["class=a", "--show", "retaned"]).contains("--show"));
    assert!(wrong(&["class=a", "--sort", "class"]).contains("--sort"));
    let out = text(rjcore().arg("find").arg(core("jdk17-g1")).arg("class=no.such.*"));
    assert!(out.starts_with("0 objects"), "{out}");
}

/// Adds up a line and all below it: by strength what hangs there, as its own figures must have it.
fn add_up(line: &Value, count: &mut u64, shallow: &mut u64) {
    *count += number(line, "objects");
    *shallow += number(line, "shallow");
    let Some(children) = line["children"].as_array() else { return };
    assert_eq!(number(&line["left"], "objects"), 0);
    let mut sums = (number(line, "shallow"), 0);
    for child in children {
        match child["strength"] == line["strength"] {
            true => sums.0 += number(child, "retained"),
            false => sums.1 += number(child, "retained"),
        }
        sums.1 += number(child, "weaker");
        add_up(child, count, shallow);
    }
    assert_eq!(sums, (number(line, "retained"), number(line, "weaker")), "{}", line["object"]);
}

#[test]
fn a_tree_adds_up() {
    for name in ["jdk17-g1", "jdk25-serial"] {
        let core = core(name);
        let all = ["tree", "--depth", "50", "--top", "1000000", "--min", "0"];
        for more in [&[][..], &["--expand"], &["--like", "mat"]] {
            let tree = json(&[&all[..], more].concat(), &core);
            Checker::new().check("tree", &tree, name);
            let (mut count, mut shallow) = (0, 0);
            list(&tree, "children").iter().for_each(|l| add_up(l, &mut count, &mut shallow));
            let totals = &tree["totals"];
            let held = number(totals, "bytes") - number(totals, "garbage");
            assert_eq!(shallow, held, "{name} {more:?}");
            assert!(count > 10_000);
            if more.is_empty() {
                let again = json(&[&all[..], &["--threads", "1"]].concat(), &core);
                assert!(again == tree, "{name}");
            }
        }
        // Fewer lines, and what they leave out.
        let short = json(&["tree", "--depth", "4", "--top", "5"], &core);
        for line in list(&short, "children") {
            if let Some(children) = line["children"].as_array() {
                assert!(children.len() <= 5);
                let shown: u64 = children.iter().map(|c| number(c, "retained")).sum();
                let all = shown + number(&line["left"], "retained") + number(line, "shallow");
                let retained = number(line, "retained");
                assert!((retained..=retained + number(line, "weaker")).contains(&all), "{line}");
            }
        }
    }
}

#[test]
fn a_tree_from_an_object() {
    let core = core("jdk17-g1");
    let of = find(&core, "class=java.util.HashMap and field.size=100 and retained>30K", &[]);
    let map = &list(&of, "objects")[0];
    let address = map["object"].as_str().expect("an address");
    let tree = json(&["tree", address, "--depth", "2"], &core);
    Checker::new().check("tree", &tree, "of an object");
    let object = &tree["object"];
    assert_eq!(object["retained"], map["retained"]);
    assert_eq!(object["children"][0]["field"], "table");
    assert_eq!(tree["above"][0]["label"], "Sample$Shop");
    let said = text(rjcore().arg("tree").arg(&core).arg(address));
    assert!(said.contains("held by class Sample$Shop @") && said.contains("table: "), "{said}");
    // An array of characters is a part of its String.
    let string = find(&core, "text='item 99/4' and strength=strong", &["--show", "field.value"]);
    let string = &list(&string, "objects")[0];
    let array = string["fields"][0]["value"]["object"].as_str().expect("an address");
    let tree = json(&["tree", array], &core);
    assert_eq!(tree["object"]["retained"], tree["object"]["shallow"]);
    assert!(tree["above"].as_array().is_some_and(|a| a.len() > 3), "{tree}");
    let garbage = find(&core, "strength=garbage", &["--top", "1"]);
    let garbage = garbage["objects"][0]["object"].as_str().expect("an address");
    for (address, why) in [(garbage, "garbage"), ("0x10", "no object begins")] {
        let out = rjcore().arg("tree").arg(&core).arg(address).output().expect("rjcore");
        assert_eq!(out.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&out.stderr).contains(why), "{out:?}");
    }
}

/// Without shares of a whole that a dump has less of.
fn without_shares(value: &mut Value) {
    match value {
        Value::Object(all) => {
            all.remove("share");
            all.values_mut().for_each(without_shares);
        }
        Value::Array(all) => all.iter_mut().for_each(without_shares),
        _ => {}
    }
}

#[test]
fn a_tree_of_a_dump_is_the_same() {
    let core = core("jdk17-g1");
    let dir = Scratch::new("tree-dump");
    let dump = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&dump));
    for more in [&[][..], &["--like", "mat"]] {
        let [of_core, of_dump] = [&core, &dump].map(|input| {
            let args = ["tree", "--class", "Sample$*", "--depth", "5", "--expand", "--min", "0"];
            let mut tree = json(&[&args[..], &["--top", "1000"], more].concat(), input);
            let mut lines = tree["children"].take();
            without_shares(&mut lines);
            lines
        });
        assert!(of_core.as_array().is_some_and(|a| a.len() > 100));
        assert_eq!(of_core, of_dump, "{more:?}");
    }
}
