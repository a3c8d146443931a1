//! `rjcore export`: tables that are what the other commands say, that appear whole or not at all, and the same at any
//! number of threads.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use rjcore::output::export::TABLES;
use serde_json::Value as Json;

use crate::support::child::Command;
use crate::support::hprof_file::{Class, File, Value};
use crate::support::schema::Checker;
use crate::support::{Scratch, dep, rjcore, run, text};

type Row = BTreeMap<String, Field>;

fn core(name: &str) -> PathBuf {
    dep(&format!("testdata/cores/{name}.core.zst"))
}

fn open(file: &Path) -> SerializedFileReader<fs::File> {
    let opened = fs::File::open(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    SerializedFileReader::new(opened).expect("Parquet")
}

fn rows(dir: &Path, table: &str) -> Vec<Row> {
    let file = open(&dir.join(format!("{table}.parquet")));
    let rows = file.get_row_iter(None).expect("rows");
    let named = |row: parquet::record::Row| {
        row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect()
    };
    rows.map(|row| named(row.expect("a row"))).collect()
}

/// None of NULL.
fn long(row: &Row, column: &str) -> Option<i64> {
    match &row[column] {
        Field::Long(n) => Some(*n),
        Field::Int(n) => Some((*n).into()),
        Field::Null => None,
        other => panic!("{column}: {other:?}"),
    }
}

fn word<'r>(row: &'r Row, column: &str) -> &'r str {
    match &row[column] {
        Field::Str(text) => text,
        Field::Null => "NULL",
        other => panic!("{column}: {other:?}"),
    }
}

fn export(input: &Path, to: &Path, args: &[&str]) -> Json {
    let said = text(rjcore().arg("export").arg(input).arg("-o").arg(to).args(args).arg("--json"));
    serde_json::from_str(&said).expect("JSON")
}

fn ask(input: &Path, words: &str) -> Json {
    let said = text(rjcore().args(words.split(' ')).arg(input).arg("--json"));
    serde_json::from_str(&said).expect("JSON")
}

fn address(json: &Json) -> i64 {
    let digits = json.as_str().and_then(|s| s.strip_prefix("0x")).expect("an address");
    u64::from_str_radix(digits, 16).expect("an address") as i64
}

/// All files below a directory, with their contents.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(&path).expect("a file"))),
        }
    }
    found
}

/// What the tables say of all classes, of the objects that retain the most, and of how all is held.
fn agrees_with_the_commands(input: &Path, dir: &Path) {
    let classes = rows(dir, "classes");
    let histo = ask(input, "histo");
    let counted = |c: &Json| {
        (c["id"].as_str().map(|_| address(&c["id"])), c["instances"].as_i64(), c["bytes"].as_i64())
    };
    let mut told: Vec<_> =
        histo["classes"].as_array().expect("a list").iter().map(counted).collect();
    let has_any = |c: &&Row| long(c, "instances") != Some(0);
    let of_class = |c: &Row| (long(c, "object"), long(c, "instances"), long(c, "shallow"));
    let mut ours: Vec<_> = classes.iter().filter(has_any).map(of_class).collect();
    told.sort();
    ours.sort();
    assert_eq!(ours, told, "classes");

    let objects = rows(dir, "objects");
    assert_eq!(objects.len() as i64, histo["total"]["instances"].as_i64().expect("a count"));
    let retained = ask(input, "retained --top 300");
    let mut strong: Vec<&Row> = objects.iter().filter(|o| word(o, "reach") == "strong").collect();
    strong.sort_by_key(|o| (std::cmp::Reverse(long(o, "retained")), long(o, "address")));
    let of_object = |o: &&Row| {
        let figures = ["shallow", "retained", "retained_weak"].map(|c| long(o, c));
        (long(o, "address").expect("an address"), figures)
    };
    let ours: Vec<_> = strong.iter().take(300).map(of_object).collect();
    let held = |o: &Json| {
        (address(&o["object"]), ["shallow", "retained", "weaker"].map(|f| o[f].as_i64()))
    };
    let told = retained["objects"].as_array().expect("a list").iter();
    assert_eq!(ours, told.map(held).collect::<Vec<_>>(), "what retains the most");
    for reach in ["strong", "soft", "weak", "final", "phantom", "garbage"] {
        let of = objects.iter().filter(|o| word(o, "reach") == reach);
        let bytes: i64 = of.map(|o| long(o, "shallow").expect("bytes")).sum();
        assert_eq!(Some(bytes), retained["totals"][reach].as_i64(), "{reach}");
    }

    // What an object retains is itself and what those retain that it dominates, as strongly as it is held.
    let mut below: BTreeMap<i64, i64> = BTreeMap::new();
    for object in &strong {
        if let Some(dominator) = long(object, "dominator") {
            *below.entry(dominator).or_default() += long(object, "retained").expect("bytes");
        }
    }
    for object in &strong {
        let address = long(object, "address").expect("an address");
        let sum = long(object, "shallow").map(|own| own + below.get(&address).unwrap_or(&0));
        assert_eq!(sum, long(object, "retained"), "{address:#x}");
    }

    // Of References that are garbage the command tells nothing.
    let told = ask(input, "refs");
    let refs = rows(dir, "refs");
    let held: HashSet<i64> = objects
        .iter()
        .filter(|o| word(o, "reach") != "garbage")
        .filter_map(|o| long(o, "address"))
        .collect();
    let is_held = |r: &&Row| held.contains(&long(r, "from").expect("an address"));
    for kind in told["kinds"].as_array().expect("a list") {
        let strength = kind["strength"].as_str().expect("a word");
        let of = refs.iter().filter(is_held).filter(|r| word(r, "strength") == strength);
        let ours = of.count() as i64;
        let set =
            kind["references"].as_i64().zip(kind["cleared"].as_i64()).map(|(all, no)| all - no);
        assert_eq!(Some(ours), set, "{strength}");
    }
    let addresses: HashSet<i64> = objects.iter().filter_map(|o| long(o, "address")).collect();
    for row in &refs {
        let ends = ["from", "to"].map(|c| addresses.contains(&long(row, c).expect("an address")));
        assert_eq!(ends, [true, true], "{row:?}");
        assert!(row["field_id"] == Field::Null || row["index"] == Field::Null, "{row:?}");
    }
}

/// What the tables say of a core's threads, frames, locks, local variables and spaces.
fn agrees_with_stack_and_info(core: &Path, dir: &Path) {
    let stack = ask(core, "stack --locals");
    let told: Vec<&Json> = stack["threads"].as_array().expect("a list").iter().collect();
    let [threads, frames, locals, monitors] =
        ["threads", "frames", "locals", "monitors"].map(|table| rows(dir, table));
    let of = |rows: &[Row], id: Option<i64>| {
        rows.iter().filter(|r| long(r, "thread_id") == id).cloned().collect::<Vec<_>>()
    };
    let mut known = 0;
    for thread in threads.iter().filter(|t| t["os_thread"] != Field::Null) {
        let nid = long(thread, "os_thread");
        let told = told.iter().find(|t| t["nid"].as_i64() == nid).expect("a thread");
        assert_eq!(word(thread, "name"), told["name"]);
        assert_eq!(word(thread, "state"), told["state"].as_str().unwrap_or("NULL"));
        assert_eq!(thread["daemon"], Field::Bool(told["daemon"] == true));
        for column in ["number", "priority", "allocated"] {
            assert_eq!(long(thread, column), told[column].as_i64(), "{column}");
        }
        let id = long(thread, "id");
        let of_told = told["stack"]["frames"].as_array().expect("a list");
        let of_frames = of(&frames, id);
        assert_eq!(of_frames.len(), of_told.len(), "{told}");
        for (ours, told) in of_frames.iter().zip(of_told) {
            let method = [&told["class"], &told["method"]].map(|t| t.as_str().expect("a name"));
            assert!(word(ours, "text").starts_with(&format!("{}(", method.join("."))), "{ours:?}");
        }
        let in_frames = |field: &str| {
            let all = of_told.iter().zip(0..).flat_map(|(frame, i)| {
                let list = frame[field].as_array().into_iter().flatten();
                list.map(move |of| (i, of.clone()))
            });
            all.collect::<Vec<(i64, Json)>>()
        };
        let object = |of: &Json| of["object"].as_str().map(|_| address(&of["object"]));
        let set = in_frames("locks")
            .into_iter()
            .map(|(i, l)| (Some(i), l["kind"].to_string(), object(&l)));
        let ours = of(&monitors, id);
        let ours = ours
            .iter()
            .map(|m| (long(m, "frame"), format!("{:?}", word(m, "kind")), long(m, "object")));
        assert!(ours.eq(set), "{told}");
        let set = in_frames("values").into_iter().map(|(i, v)| {
            let value = v["value"].as_str().unwrap_or("NULL").to_owned();
            (Some(i), v["slot"].as_i64(), v["type"].to_string(), object(&v), value)
        });
        let ours = of(&locals, id);
        let ours = ours.iter().map(|l| {
            let kind = format!("{:?}", word(l, "kind"));
            (
                long(l, "frame"),
                long(l, "slot"),
                kind,
                long(l, "object"),
                word(l, "value").to_owned(),
            )
        });
        assert!(ours.eq(set), "{told}");
        known += 1;
    }
    assert!(known > 3 && !locals.is_empty(), "{known} threads");
    let info = ask(core, "info");
    let spaces = rows(dir, "spaces");
    let told = info["heap"]["spaces"].as_array().expect("a list").iter();
    let mut told: Vec<_> = told
        .map(|s| {
            (
                s["space"].as_str().expect("a name"),
                ["regions", "capacity", "used"].map(|f| s[f].as_i64()),
            )
        })
        .collect();
    let mut ours: Vec<_> = spaces
        .iter()
        .map(|s| (word(s, "space"), ["regions", "capacity", "used"].map(|c| long(s, c))))
        .collect();
    told.sort();
    ours.sort();
    assert_eq!(ours, told);
}

#[test]
fn tables_of_cores_and_of_their_dumps_say_what_the_commands_say() {
    let mut schemas = Checker::new();
    for name in ["jdk17-g1", "jdk25-serial"] {
        let dir = Scratch::new("export-agrees");
        let (input, tables) = (core(name), dir.path("tables"));
        let said = export(&input, &tables, &[]);
        schemas.check("export", &said, name);
        let written: Vec<_> = said["tables"].as_array().expect("a list").iter().collect();
        assert_eq!(written.len(), TABLES.len());
        for (table, of) in TABLES.iter().zip(written) {
            let found = rows(&tables, table.name);
            assert_eq!(
                (of["table"].as_str(), of["rows"].as_u64()),
                (Some(table.name), Some(found.len() as u64))
            );
            let file = tables.join(format!("{}.parquet", table.name));
            assert_eq!(of["bytes"].as_u64(), Some(fs::metadata(file).expect("a file").len()));
            assert!(!found.is_empty() || table.name == "monitors", "{name}: {}", table.name);
        }
        agrees_with_the_commands(&input, &tables);
        agrees_with_stack_and_info(&input, &tables);
        let objects = rows(&tables, "objects");
        assert!(objects.iter().all(|o| o["space"] != Field::Null), "an object in no space");
        let dump = dir.path("heap.hprof");
        run(rjcore().arg("dump").arg(&input).arg("-o").arg(&dump));
        let of_dump = dir.path("of-dump");
        export(&dump, &of_dump, &[]);
        agrees_with_the_commands(&dump, &of_dump);
        let one = &rows(&of_dump, "dump")[0];
        assert_eq!((word(one, "input"), word(one, "collector")), ("hprof", "NULL"));
        // Strings are the same by their hashes, whatever they were read from.
        let hashes = |dir: &Path| {
            let mut all: Vec<_> =
                rows(dir, "strings").iter().map(|s| (long(s, "hash"), long(s, "length"))).collect();
            all.sort();
            all
        };
        assert_eq!(hashes(&tables), hashes(&of_dump));
    }
}

/// With one thread or two, and as a partition: the same files.
#[test]
fn tables_are_the_same_at_any_number_of_threads() {
    let dir = Scratch::new("export-threads");
    let input = core("jdk17-g1");
    let contents = |name: &str, args: &[&str]| {
        let to = dir.path(name);
        export(&input, &to, args);
        let found = files(&to);
        assert_eq!(found.len(), TABLES.len());
        found
    };
    let [one, two] = ["1", "2"].map(|n| contents(n, &["--text", "--threads", n]));
    assert!(one.values().eq(two.values()));
    let apart = ["--text", "--partition", "--host", "db 1", "--name", "a=b"];
    let apart = contents("apart", &apart);
    for table in TABLES.iter().filter(|t| t.name != "dump") {
        let place = format!("{}/host=db%201/dump=a%3Db/part-0.parquet", table.name);
        let plain = dir.path("1").join(format!("{}.parquet", table.name));
        assert!(apart[&dir.path("apart").join(place)] == one[&plain], "{}", table.name);
    }
    // Another dump beside it, and the same again.
    let again = |args: &[&str]| {
        rjcore().arg("export").arg(&input).arg("-o").arg(dir.path("apart")).args(args).output()
    };
    let ours = ["--partition", "--host", "db 1", "--name"];
    let out = again(&[&ours[..], &["other"]].concat()).expect("rjcore runs");
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let out = again(&[&ours[..], &["a=b"]].concat()).expect("rjcore runs");
    fails(&out, 2, "part-0.parquet: exists already");
    let out = again(&[&ours[..], &["a=b", "--overwrite"]].concat()).expect("rjcore runs");
    assert_eq!(out.status.code(), Some(0), "{out:?}");
}

#[track_caller]
fn fails(out: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn what_is_there_is_kept_unless_overwrite() {
    let dir = Scratch::new("export-there");
    let (input, to) = (core("jdk25-serial"), dir.path("tables"));
    let again = |args: &[&str]| {
        let mut cmd = rjcore();
        cmd.arg("export").arg(&input).arg("-o").arg(&to).args(args).output().expect("rjcore runs")
    };
    fs::create_dir(&to).expect("a directory");
    assert_eq!(again(&["--tables", "classes,roots"]).status.code(), Some(0), "an empty directory");
    fs::write(to.join("notes.txt"), "mine").expect("a file");
    let before = files(&to);
    assert_eq!(before.len(), 3);
    fails(
        &again(&[]),
        2,
        "tables: exists already and is not empty; give another name, or --overwrite",
    );
    assert!(files(&to) == before);
    // What is left of the earlier dump would be taken for a table of this one.
    assert_eq!(again(&["--tables", "roots,dump", "--overwrite"]).status.code(), Some(0));
    let names: Vec<_> = files(&to).into_keys().collect();
    assert_eq!(names, ["dump.parquet", "notes.txt", "roots.parquet"].map(|n| to.join(n)));
    fails(&again(&["--tables", "rots"]), 2, "the tables are dump, classes, class_fields, objects");
    let mut cmd = rjcore();
    let out = cmd.arg("export").arg(&input).arg("-o").arg(to.join("notes.txt")).output();
    fails(&out.expect("rjcore runs"), 2, "notes.txt: is no directory");
}

/// Files may not grow beyond a few blocks, as on a full disk: nothing is left, not even the directory.
#[test]
fn no_room_leaves_nothing() {
    for args in [&[][..], &["--partition"]] {
        let dir = Scratch::new("export-full");
        let mut cmd = Command::new("sh");
        cmd.args(["-c", "ulimit -f 16; exec \"$0\" \"$@\""]).arg(rjcore().get_program());
        // A file that is unpacked would be too large before.
        let plain = dir.path("core");
        fs::write(
            &plain,
            zstd::decode_all(fs::File::open(core("jdk17-g1")).expect("a core")).expect("zstd"),
        )
        .expect("the core");
        cmd.arg("export").arg(&plain).arg("-o").arg(dir.path("tables")).args(args);
        let out = cmd.output().expect("rjcore runs");
        fails(&out, 1, "File too large");
        fails(&out, 1, "nothing is left behind");
        let left: Vec<_> = fs::read_dir(dir.path("")).expect("a directory").flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

/// Of a core that lost its end there are tables, and all that says so: the exit code, the words, and the table.
#[test]
fn damage_is_told() {
    let dir = Scratch::new("export-cut");
    let whole = zstd::decode_all(fs::File::open(core("jdk17-g1")).expect("a core")).expect("zstd");
    let cut = dir.path("core");
    fs::write(&cut, &whole[..whole.len() - (300 << 10)]).expect("the core");
    let mut cmd = rjcore();
    let out = cmd.arg("export").arg(&cut).arg("-o").arg(dir.path("tables")).output();
    fails(&out.expect("rjcore runs"), 3, "not readable:");
    let dump = &rows(&dir.path("tables"), "dump")[0];
    assert_eq!(dump["whole"], Field::Bool(false));
    assert!(long(dump, "unread_bytes") > Some(0), "{dump:?}");
}

/// Texts are there where they are asked for, and shown as redaction says.
#[test]
fn texts_are_written_where_they_are_asked_for() {
    let dir = Scratch::new("export-text");
    let input = core("jdk25-serial");
    let strings = |name: &str, args: &[&str]| {
        let args = [&["--tables", "strings"], args].concat();
        export(&input, &dir.path(name), &args);
        rows(&dir.path(name), "strings")
    };
    let (none, all) = (strings("none", &[]), strings("all", &["--text"]));
    let hidden = strings("hidden", &["--text", "--redact", "strings"]);
    assert!(none.iter().all(|s| s["text"] == Field::Null && s["hash"] != Field::Null));
    let is = |rows: &[Row], text: &str| rows.iter().any(|s| word(s, "text") == text);
    assert!(is(&all, "java.lang.String") && !is(&hidden, "java.lang.String"));
    for (plain, text) in none.iter().zip(&all) {
        assert_eq!((&plain["object"], &plain["hash"]), (&text["object"], &text["hash"]));
        let units = word(text, "text").encode_utf16().count() as i64;
        assert_eq!(Some(units), long(text, "length"), "{text:?}");
    }
    // What is hidden is the same for all texts of a length, and so is its hash.
    let hashes = |rows: &[Row]| {
        let all = rows.iter().map(|s| (long(s, "length"), long(s, "hash")));
        all.collect::<BTreeSet<_>>()
    };
    let lengths: BTreeSet<_> = hashes(&all).into_iter().map(|h| h.0).collect();
    assert_eq!(hashes(&hidden).len(), lengths.len());
    assert!(hashes(&all).len() > 2 * lengths.len());
}

/// An array with more references than a row group has rows: it falls into several, each element once.
#[test]
fn a_long_array_falls_into_several_row_groups() {
    const LENGTH: u64 = 2_300_000;
    let (object, array, first) = (0x1000, 0x1100, 0x10_0000);
    let mut f = File::new("1.0.2", 8);
    for (id, name) in [(1, "java/lang/Object"), (2, "[Ljava/lang/Object;")] {
        f.utf8(id, name);
    }
    f.load(object, 1);
    f.load(array, 2);
    f.class(&Class { id: object, ..Class::default() });
    f.class(&Class { id: array, super_class: object, ..Class::default() });
    let all: Vec<u64> = (0..LENGTH).map(|i| if i % 3 == 0 { 0 } else { first }).collect();
    f.instance(first, object, &[] as &[Value]);
    f.objects(first + 0x100, array, &all);
    f.objects(first + 0x400_0000, array, &[first, 0, first]);
    f.sub(0x05, object, &[]);
    f.flush(0x1c);
    f.record(0x2c, &[]);
    let dir = Scratch::new("export-long");
    let input = dir.path("heap.hprof");
    fs::write(&input, &f.bytes).expect("a file");
    export(&input, &dir.path("tables"), &["--tables", "refs"]);
    let file = open(&dir.path("tables").join("refs.parquet"));
    let groups: Vec<i64> = file.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    assert!(groups.len() >= 3 && groups.iter().all(|n| *n <= 1_000_000), "{groups:?}");
    let of_array = |r: &Row| long(r, "from") == Some(first as i64 + 0x100);
    let found = rows(&dir.path("tables"), "refs");
    let indices = found.iter().filter(|r| of_array(r)).map(|r| long(r, "index"));
    let set = (0..LENGTH as i64).filter(|i| i % 3 != 0).map(Some);
    assert!(indices.eq(set));
}

/// docs/parquet.md has each table and column, with its type, and says when one is NULL.
#[test]
fn the_document_has_all_tables_and_columns() {
    let document = fs::read_to_string(dep("docs/parquet.md")).expect("docs/parquet.md");
    let mut lacking = Vec::new();
    for table in TABLES {
        let head = format!("\n## {}\n", table.name);
        let section = document.split_once(&head).map_or("", |(_, rest)| rest);
        let section = section.split("\n## ").next().unwrap_or("");
        let described = section.lines().filter(|l| l.starts_with("| `"));
        let named: Vec<&str> = described.clone().filter_map(|l| l.split('`').nth(1)).collect();
        let columns: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
        if named != columns {
            lacking.push(format!("{}: {named:?} are not {columns:?}", table.name));
        }
        for (column, line) in table.columns.iter().zip(described) {
            let ty = format!("{:?}", column.kind).to_lowercase();
            let ty = match ty.as_str() {
                "long" => "bigint",
                "flag" => "boolean",
                ty => ty,
            };
            if line.split('|').nth(2).map(str::trim) != Some(ty) {
                lacking.push(format!("{}.{} is {ty}: {line}", table.name, column.name));
            }
        }
    }
    assert!(lacking.is_empty(), "docs/parquet.md: {lacking:#?}");
}
