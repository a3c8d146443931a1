//! Redaction: no secret of tests/java/Secrets is in what is written, in any encoding that Java has, and the graph is that of
//! the dump that has them.

use crate::support::child::Command;
use crate::support::hprof::{Dump, Kind, Object, REF, word};
use crate::support::{Jvm, Scratch, jdk, jdks, rjcore, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LATIN1: &str = "S3cret-Latin-kWq7";
const WIDE: &str = "S3cret-Wide-Zb4x";
const CHARS: &str = "S3cret-Chars-mT9p";
const BYTES: &str = "S3cret-Bytes-Hv2d";
const PROPERTY: &str = "S3cret-Property-e5Rn";
const ENVIRONMENT: &str = "S3cret-Environ-yU8j";
const NUMBER: i32 = 0x5ec2_e711;
const CARD: i64 = 0x3bad_b002_dead_c0de;
/// The thread's name, which stays.
const NAME: &str = "a-thread-by-name";

/// With small heaps: gdb writes reservations too.
const FLAGS: [&str; 4] = [
    "-Xmx64m",
    "-XX:CompressedClassSpaceSize=16m",
    "-XX:ReservedCodeCacheSize=32m",
    "-XX:+UseSerialGC",
];

/// Starts the program on this JDK.
fn start(version: u32, flags: &[&str], dir: &Scratch) -> Jvm {
    let mut cmd = Command::new("env");
    cmd.arg(format!("SECRET={ENVIRONMENT}"));
    let property = format!("-Dsecret={PROPERTY}");
    let flags = [flags, &[&property]].concat();
    let program = format!("Secrets {LATIN1} {WIDE} {CHARS} {BYTES} {NUMBER} {CARD}");
    match version {
        17 | 25 => Jvm::start_by(cmd, &jdk(version), &flags, &program, dir),
        _ => jdks::start_by(cmd, version, &flags, &program, dir),
    }
}

/// A core of it: whole, as gdb's may not be.
fn core(version: u32, flags: &[&str], dir: &Scratch) -> PathBuf {
    let (jvm, core) = (start(version, flags, dir), dir.path("core"));
    let pid = jvm.pid().to_string();
    run(rjcore().args(["capture", &pid, crate::support::PATIENTLY, "-o"]).arg(&core));
    core
}

fn on(command: &str, version: u32, core: &Path) -> Command {
    let mut cmd = rjcore();
    cmd.arg(command).arg(core);
    if version != 17 && version != 25 {
        cmd.arg("--sysroot").arg(jdks::root());
    }
    cmd
}

fn dump(version: u32, core: &Path, out: &Path, more: &[&str]) -> Dump {
    run(on("dump", version, core).arg("-o").arg(out).arg("--overwrite").args(more));
    let dump = Dump::open(out);
    assert!(dump.problems.is_empty(), "{:?}", dump.problems);
    dump
}

/// All that a text may be written as.
fn texts(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let wide = |order: fn(u16) -> [u8; 2]| secret.encode_utf16().flat_map(order).collect();
    let four = |order: fn(u32) -> [u8; 4]| secret.chars().flat_map(|c| order(c as u32)).collect();
    vec![
        // The same in Latin-1, UTF-8 and modified UTF-8.
        ("one byte each", secret.as_bytes().to_vec()),
        ("UTF-16BE", wide(u16::to_be_bytes)),
        ("UTF-16LE", wide(u16::to_le_bytes)),
        ("code points, BE", four(u32::to_be_bytes)),
        ("code points, LE", four(u32::to_le_bytes)),
    ]
}

/// What is looked for: its name, and its bytes.
type Secret = (String, Vec<u8>);

/// Every secret text in every encoding, and every number.
fn secrets() -> (Vec<Secret>, Vec<Secret>) {
    let mut strings = Vec::new();
    for secret in [LATIN1, WIDE, CHARS, BYTES, PROPERTY, ENVIRONMENT] {
        let all = texts(secret).into_iter();
        strings.extend(all.map(|(encoding, bytes)| (format!("{secret} in {encoding}"), bytes)));
    }
    for secret in [NUMBER.to_string(), CARD.to_string()] {
        let all = texts(&secret).into_iter();
        strings.extend(all.map(|(encoding, bytes)| (format!("{secret} in {encoding}"), bytes)));
    }
    // What else is in the wide one, in modified UTF-8 and UTF-16.
    let rest = "\u{4e16}\u{754c}";
    strings.push(("the wide one's end, UTF-16LE".into(), wide_le(rest)));
    strings.push(("the wide one's end, UTF-8".into(), rest.as_bytes().to_vec()));
    let numbers = vec![
        ("the int, BE".into(), NUMBER.to_be_bytes().to_vec()),
        ("the int, LE".into(), NUMBER.to_le_bytes().to_vec()),
        ("the long, BE".into(), CARD.to_be_bytes().to_vec()),
        ("the long, LE".into(), CARD.to_le_bytes().to_vec()),
    ];
    (strings, numbers)
}

fn wide_le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn has(data: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(data, what).is_some()
}

/// Which of these are in the data.
fn found(data: &[u8], secrets: &[Secret]) -> Vec<String> {
    secrets.iter().filter(|(_, bytes)| has(data, bytes)).map(|(name, _)| name.clone()).collect()
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The file's bytes, unpacked.
fn plain(path: &Path) -> Vec<u8> {
    run(Command::new("gzip").arg("-dc").arg(path)).stdout
}

/// The values of the references of an object, and how many other values it has.
fn references(dump: &Dump, o: &Object) -> (Vec<u64>, usize) {
    let bytes = dump.bytes(o);
    let references = match o.kind {
        Kind::Primitives(_) => Vec::new(),
        Kind::Objects => bytes.chunks_exact(8).map(word).collect(),
        Kind::Instance => {
            let slots = dump.layout(o.class).into_iter().filter(|s| s.ty == REF);
            slots.map(|s| word(&bytes[s.start..s.end])).collect()
        }
    };
    (references, bytes.len())
}

/// The same ids, classes, names, lengths, references, threads and roots.
fn same_graph(whole: &Dump, redacted: &Dump) {
    assert_eq!(whole.header_time, redacted.header_time);
    assert_eq!(whole.strings, redacted.strings);
    assert_eq!(whole.roots, redacted.roots);
    assert_eq!(whole.traces, redacted.traces);
    assert_eq!(whole.frames, redacted.frames);
    assert!(whole.classes.keys().eq(redacted.classes.keys()));
    for (a, b) in whole.classes.values().zip(redacted.classes.values()) {
        let mut without = a.clone();
        for (a, b) in without.statics.iter_mut().zip(&b.statics).filter(|(a, _)| a.ty != REF) {
            a.value = b.value;
        }
        assert_eq!(&without, b);
    }
    assert!(whole.objects.keys().eq(redacted.objects.keys()));
    for (id, a) in &whole.objects {
        let b = &redacted.objects[id];
        assert_eq!((a.kind, a.class, a.trace), (b.kind, b.class, b.trace), "{id:#x}");
        assert_eq!(references(whole, a), references(redacted, b), "{id:#x}");
    }
}

/// The value of a primitive field, by object.
fn field(dump: &Dump, class: &str, name: &str) -> BTreeMap<u64, u64> {
    let of = dump.objects.iter().filter(|(_, o)| dump.class_name(o) == class);
    let value = |o: &Object| {
        let slots = dump.layout(o.class);
        let slot = slots.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no {name}"));
        word(&dump.bytes(o)[slot.start..slot.end])
    };
    of.map(|(id, o)| (*id, value(o))).collect()
}

fn statics(dump: &Dump, class: &str, name: &str) -> u64 {
    let class = dump.classes.values().find(|c| c.name == class).expect("the class");
    class.statics.iter().find(|s| s.name == name).expect("the field").value
}

fn nothing_is_left(version: u32, flags: &[&str]) {
    let dir = Scratch::new(&format!("redact-{version}"));
    let core = core(version, &[&FLAGS[..3], flags].concat(), &dir);
    let out = dir.path("heap.hprof");
    let whole = dump(version, &core, &out, &[]);
    let (strings, numbers) = secrets();
    let all = [&strings[..], &numbers].concat();
    let there = found(&bytes(&out), &all);
    // Otherwise the test says nothing. Little-endian numbers are in no dump.
    for needed in [LATIN1, WIDE, CHARS, BYTES, PROPERTY, ENVIRONMENT, "the int, BE", "the long, BE"]
    {
        assert!(there.iter().any(|t| t.starts_with(needed)), "{needed} is not in {there:?}");
    }
    let redacted = dump(version, &core, &out, &["--redact", "all"]);
    assert_eq!(found(&bytes(&out), &all), [""; 0]);
    same_graph(&whole, &redacted);
    let name = texts(NAME);
    assert!(name.iter().any(|(_, bytes)| has(&self::bytes(&out), bytes)), "the thread's name");
    // What readers need of the layout.
    for (class, name) in [("java/lang/Thread", "tid"), ("java/util/HashMap", "size")] {
        assert_eq!(field(&whole, class, name), field(&redacted, class, name), "{class}.{name}");
    }
    drop(redacted);
    let gz = dir.path("heap.hprof.gz");
    let threads = ["--redact", "all", "--gz", "--threads", "1"];
    dump(version, &core, &gz, &threads);
    assert!(plain(&gz) == bytes(&out), "the same bytes, packed and by one thread");
    // Tokens leave nothing either.
    let key = dir.path("key");
    std::fs::write(&key, [0x5a; 32]).expect("a key");
    let by_key = ["--redact", "all", "--redact-key", key.to_str().expect("UTF-8")];
    let tokens = dump(version, &core, &out, &by_key);
    assert_eq!(found(&bytes(&out), &all), [""; 0]);
    same_graph(&whole, &tokens);
    same_texts_same_tokens(&whole, &tokens);
}

/// Arrays of bytes and chars with the same contents have the same token, and others another one.
fn same_texts_same_tokens(whole: &Dump, tokens: &Dump) {
    let (mut of, mut back) = (BTreeMap::new(), BTreeMap::new());
    let mut seen = 0;
    for (id, o) in &whole.objects {
        let Kind::Primitives(ty @ (5 | 8)) = o.kind else { continue };
        let (text, token) = (whole.bytes(o), tokens.bytes(&tokens.objects[id]));
        // Threads' names are kept, where they are; tokens of short texts may be the same.
        if text == token {
            continue;
        }
        let token = of.entry((ty, text)).or_insert(token);
        assert_eq!(*token, tokens.bytes(&tokens.objects[id]), "{id:#x}");
        if text.len() >= 20 {
            assert_eq!(*back.entry((ty, *token)).or_insert(text), text, "{id:#x}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} texts");
}

#[test]
fn nothing_is_left_jdk8() {
    nothing_is_left(8, &["-XX:+UseSerialGC"]);
}

#[test]
fn nothing_is_left_jdk17() {
    nothing_is_left(17, &["-XX:+UseG1GC"]);
}

#[test]
fn nothing_is_left_jdk25() {
    nothing_is_left(25, &["-XX:+UseSerialGC"]);
}

#[test]
fn nothing_is_left_zgc_jdk25() {
    nothing_is_left(25, &["-XX:+UseZGC"]);
}

/// What each of the options does, and what it leaves.
#[test]
fn each_option_does_what_it_says() {
    let dir = Scratch::new("redact-options");
    let core = core(17, &FLAGS, &dir);
    let out = dir.path("heap.hprof");
    let whole = dump(17, &core, &out, &[]);
    let (strings, numbers) = secrets();
    let decimal = |found: Vec<String>| -> Vec<String> {
        found.into_iter().filter(|f| !f.starts_with(|c: char| c.is_ascii_digit())).collect()
    };
    let redacted = dump(17, &core, &out, &["--redact", "strings"]);
    assert_eq!(found(&bytes(&out), &strings), [""; 0]);
    assert_eq!(found(&bytes(&out), &numbers), ["the int, BE", "the long, BE"]);
    same_graph(&whole, &redacted);
    // A hash would tell the text.
    assert!(field(&whole, "java/lang/String", "hash").values().any(|h| *h != 0));
    for class in ["java/lang/String", "java/util/HashMap$Node"] {
        assert!(field(&redacted, class, "hash").values().all(|h| *h == 0), "{class}");
    }
    let redacted = dump(17, &core, &out, &["--redact", "primitives"]);
    let left = decimal(found(&bytes(&out), &strings));
    assert!(left.iter().any(|l| l.starts_with(LATIN1)), "{left:?}");
    // As bytes that somebody wrote they are a text.
    assert_eq!(found(&bytes(&out), &numbers), ["the int, BE", "the long, BE"]);
    assert_eq!(statics(&redacted, "Secrets", "number"), 0);
    assert_eq!(statics(&redacted, "Secrets", "card"), 0);
    assert!(field(&redacted, "Secrets$Account", "balance").values().all(|v| *v == 0));
    same_graph(&whole, &redacted);
    // Kept: of the class its fields, and nothing else.
    let keep = ["--redact", "all", "--keep", "Secrets$Conf*", "--keep", "long[]"];
    let redacted = dump(17, &core, &out, &keep);
    assert_eq!(statics(&redacted, "Secrets$Config", "epoch"), 0x0102_0304_0506_0708);
    let ports = field(&redacted, "Secrets$Config", "port");
    assert!(!ports.is_empty() && ports.values().all(|p| *p == 0x0f0e_0d0c), "{ports:?}");
    assert_eq!(statics(&redacted, "Secrets", "card"), 0);
    assert_eq!(found(&bytes(&out), &numbers), ["the long, BE"]);
    // A pattern: in all texts, and nowhere else.
    let pattern = ["--redact-pattern", r"S3cret-\w+-\w{4}"];
    let redacted = dump(17, &core, &out, &pattern);
    assert_eq!(decimal(found(&bytes(&out), &strings[..25])), [""; 0]);
    same_graph(&whole, &redacted);
    assert!(has(&bytes(&out), b"java.vm.name"));
    assert_eq!(statics(&redacted, "Secrets", "number"), NUMBER as u64);
    let text = |d: &Dump| {
        let of = d.objects.values().filter(|o| d.bytes(o).ends_with(b"/local")).map(|o| d.bytes(o));
        of.map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let stars = format!("{}/local", "*".repeat(LATIN1.len()));
    assert!(text(&redacted).contains(&stars.into_bytes()), "{:?}", text(&redacted));
}

/// What people are shown: values in frames, properties, arguments.
#[test]
fn what_is_shown_is_redacted() {
    for version in [17, 25] {
        let dir = Scratch::new(&format!("redact-shown-{version}"));
        let core = core(version, &FLAGS, &dir);
        let (strings, _) = secrets();
        let said =
            |command: &str, args: &[&str]| run(on(command, version, &core).args(args)).stdout;
        let whole = said("stack", &["--locals", "--no-heap"]);
        let local = format!("{LATIN1}/local");
        for there in
            [local.as_bytes(), &NUMBER.to_string().into_bytes(), &CARD.to_string().into_bytes()]
        {
            assert!(has(&whole, there), "{} is not shown", String::from_utf8_lossy(there));
        }
        for format in [&[][..], &["--json"]] {
            let args = [&["--locals", "--no-heap", "--redact", "all"], format].concat();
            let hidden = said("stack", &args);
            assert_eq!(found(&hidden, &strings), [""; 0]);
            assert!(has(&hidden, NAME.as_bytes()) && has(&hidden, b"Secrets"));
        }
        let text =
            String::from_utf8(said("stack", &["--locals", "--no-heap", "--redact", "primitives"]));
        let text = text.expect("UTF-8");
        assert!(text.contains(&local) && text.contains(": redacted (int)"), "{text}");
        let kept = ["--locals", "--no-heap", "--redact", "all", "--keep", "Secrets"];
        assert!(has(&said("stack", &kept), CARD.to_string().as_bytes()));
        let pattern = ["--locals", "--no-heap", "--redact-pattern", "S3cret-[A-Za-z0-9-]*"];
        let text = said("stack", &pattern);
        assert!(has(&text, format!("{}/local", "*".repeat(LATIN1.len())).as_bytes()));

        let whole = said("info", &["--properties"]);
        for there in [LATIN1, PROPERTY] {
            assert!(has(&whole, there.as_bytes()), "{there} is not shown");
        }
        for format in [&[][..], &["--json"]] {
            let args = [&["--properties", "--redact", "strings"], format].concat();
            let hidden = said("info", &args);
            assert_eq!(found(&hidden, &strings), [""; 0]);
            for name in ["java.vm.name", "MaxHeapSize", "-Xmx64m", "-Dsecret=****", "Secrets ***"] {
                assert!(has(&hidden, name.as_bytes()), "{name}");
            }
        }
    }
}

/// What the answers show of texts and numbers, of a core and of a dump.
#[test]
fn answers_are_redacted() {
    let dir = Scratch::new("redact-answers");
    let (core, heap) = (core(25, &FLAGS, &dir), dir.path("heap.hprof"));
    let whole = dump(25, &core, &heap, &[]);
    let (strings, _) = secrets();
    let holds = |bytes: &[u8]| has(bytes, LATIN1.as_bytes());
    let text =
        whole.objects.iter().find(|(_, o)| o.kind == Kind::Primitives(8) && holds(whole.bytes(o)));
    let account = whole.objects.iter().find(|(_, o)| whole.class_name(o) == "Secrets$Account");
    let [text, account] = [text, account].map(|o| format!("{:#x}", o.expect("it is there").0));
    for input in [&core, &heap] {
        let said = |words: &str, redacted: bool| {
            let mut words = words.split_whitespace();
            let mut cmd = rjcore();
            cmd.arg(words.next().expect("a command")).arg(input).args(words);
            let out = cmd.args(if redacted { &["--redact", "all"][..] } else { &[] }).output();
            let out = out.expect("it runs");
            // In an HPROF file some JDKs have gaps.
            assert!(matches!(out.status.code(), Some(0 | 3)), "{cmd:?}: {out:?}");
            out.stdout
        };
        for words in [
            "show ADDRESS --json",
            "find class=java.lang.String --show text --all",
            "waste --top 1000 --json",
        ] {
            let words = words.replace("ADDRESS", &account);
            let there = found(&said(&words, false), &strings);
            assert!(!there.is_empty(), "{words} shows none");
            assert_eq!(found(&said(&words, true), &strings), [""; 0], "{words}");
        }
        for words in [
            "show TEXT --json",
            "leaks --json",
            "retained --top 1000 --json",
            "tree --expand",
            "paths java.lang.String --top 50",
            "threads --details 50",
            "loaders --json",
            "refs --json",
            "report --md -o -",
            "report -o -",
        ] {
            let words = words.replace("TEXT", &text);
            assert_eq!(found(&said(&words, true), &strings), [""; 0], "{words}");
        }
    }
}

/// Without a file between, of a JVM that runs.
#[test]
fn of_a_live_jvm() {
    let dir = Scratch::new("redact-live");
    let jvm = start(25, &FLAGS, &dir);
    let out = dir.path("live.hprof");
    let pid = jvm.pid().to_string();
    let patient = crate::support::PATIENTLY;
    run(rjcore().args(["dump", "--pid", &pid, "--redact", "all", patient, "-o"]).arg(&out));
    let (strings, numbers) = secrets();
    assert_eq!(found(&bytes(&out), &[strings, numbers].concat()), [""; 0]);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let dir = Scratch::new("redact-refused");
    let (short, core) = (dir.path("short"), dir.path("core"));
    std::fs::write(&short, "too short").expect("a key");
    let said = |args: &[&str]| {
        let out = rjcore().arg("dump").arg(&core).args(args).output().expect("it runs");
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let key = short.to_str().expect("UTF-8");
    assert!(said(&["--redact", "all", "--redact-key", key]).contains("16 bytes"));
    assert!(said(&["--keep", "a.B"]).contains("--redact"));
    assert!(said(&["--redact-pattern", "("]).contains("regex"));
    // What comes through a pipe would lie on a disk.
    let piped = |temporary: &Path| {
        let mut cmd = Command::new("sh");
        cmd.args(["-c", "echo no core | \"$0\" dump - --redact all -o \"$1\""]);
        cmd.arg(env!("CARGO_BIN_EXE_rjcore")).arg(dir.path("x")).env("TMPDIR", temporary);
        let out = cmd.output().expect("it runs");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, said) = piped(&dir.path("."));
    assert!(code == Some(2) && said.contains("TMPDIR"), "{code:?} {said}");
    let (code, said) = piped(Path::new("/dev/shm"));
    assert!(code == Some(1) && !said.contains("TMPDIR"), "{code:?} {said}");
    for (command, args) in [("trim", ["-o", "x"]), ("capture", ["-o", "x"])] {
        let out = rjcore().arg(command).arg("1").args(args).args(["--redact", "all"]).output();
        let out = out.expect("it runs");
        assert_eq!(out.status.code(), Some(2), "{command}");
        assert!(String::from_utf8_lossy(&out.stderr).contains("rjcore dump"), "{out:?}");
    }
}
