//! What threads, class loaders and references keep, of a program of which it is known (tests/java/Kept.java): from a core,
//! from the dump of it, and as HotSpot prints it.

use std::path::Path;

use serde_json::Value;

use crate::support::{Jvm, PATIENTLY, Scratch, jdks, rjcore, run, schema::Checker, text};

/// Bytes of an array of bytes with so many, and of an object with so many references, with compressed ones.
const fn array(length: u64) -> u64 {
    (16 + length).next_multiple_of(8)
}
const fn object(references: u64) -> u64 {
    (12 + 4 * references).next_multiple_of(8)
}
/// A Kept.Held.
const fn held(length: u64) -> u64 {
    object(1) + array(length)
}

fn ask(command: &str, input: &Path, args: &[&str]) -> Value {
    let said = text(rjcore().arg(command).arg(input).args(args).args(["--json", "--top", "500"]));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["whole"], true, "{said}");
    Checker::new().check(command, &said, command);
    said
}

fn number(of: &Value, field: &str) -> u64 {
    of[field].as_u64().unwrap_or_else(|| panic!("{field} of {of:#}"))
}

fn all<'a>(of: &'a Value, list: &str) -> &'a Vec<Value> {
    of[list].as_array().unwrap_or_else(|| panic!("{list} of {of:#}"))
}

/// The entries of a list whose field starts like this.
fn named<'a>(of: &'a Value, list: &str, field: &str, name: &str) -> Vec<&'a Value> {
    let is_it = |v: &&Value| v[field].as_str().is_some_and(|n| n.starts_with(name));
    let found: Vec<&Value> = all(of, list).iter().filter(is_it).collect();
    assert!(!found.is_empty(), "no {name} in {:#}", of[list]);
    found
}

fn one<'a>(of: &'a Value, list: &str, field: &str, name: &str) -> &'a Value {
    let found = named(of, list, field, name);
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0]
}

fn threads(input: &Path, is_core: bool) {
    let said = ask("threads", input, &["--details", "500"]);
    let thread = |name: &str| one(&said, "threads", "name", name);
    let frame = |thread: &str, method: &str| {
        one(one(&said, "threads", "name", thread), "frames", "text", method).clone()
    };
    // Each frame holds what goes when it returns.
    let inner = frame("framed", "Kept$Framed.inner(");
    assert_eq!(number(&inner, "retained"), held(2_000_000) + array(3_000_000));
    assert_eq!(number(&inner, "object_count"), 2);
    let given = named(&inner, "shared", "class", "Kept$Held");
    assert_eq!(number(given[0], "retained"), held(1_000_000));
    let outer = frame("framed", "Kept$Framed.outer(");
    assert_eq!(number(&outer, "retained"), held(1_000_000));
    let framed = thread("framed");
    let least = held(1_000_000) + held(2_000_000) + array(3_000_000);
    assert!((least..least + 1000).contains(&number(framed, "frames_retained")), "{framed:#}");
    // What two frames lead to goes with the outer one.
    let run = frame("joint", "Kept$Joint.run(");
    assert_eq!(number(&run, "retained"), object(1) + held(600_000));
    assert_eq!(number(&run, "joint"), held(600_000));
    assert_eq!(number(&frame("joint", "Kept$Joint.second("), "retained"), object(1));
    // What two threads have is neither's.
    for twin in ["twin-1", "twin-2"] {
        assert!(number(thread(twin), "retained") < 2000, "{:#}", thread(twin));
    }
    let shared = one(&said, "shared", "class", "Kept$Held");
    assert_eq!(number(shared, "retained"), held(1_500_000));
    // 8 has the newest thread first.
    let mut twins: Vec<&str> = all(shared, "threads").iter().filter_map(Value::as_str).collect();
    twins.sort();
    assert_eq!(twins, ["twin-1", "twin-2"]);
    let main = frame("main", "Kept.hold(");
    assert_eq!(number(one(&main, "objects", "class", "Kept$Held"), "retained"), held(3_100_000));
    // Thread locals.
    let pool = one(&said, "names", "name", "pool-*-thread-*");
    assert_eq!(number(pool, "threads"), 8);
    let locals = number(pool, "thread_locals");
    assert!((8 * held(200_000)..8 * held(201_000)).contains(&locals), "{pool:#}");
    let key = |name: &str| {
        let of = one(&said, "thread_locals", "key_name", name);
        (number(of, "threads"), number(of, "retained"))
    };
    assert_eq!(key("Kept.OWN"), (8, 8 * held(200_000)));
    assert_eq!(key("Kept.COMMON"), (8, 0));
    assert_eq!(key("Kept.INHERITED"), (1, held(250_000)));
    let of_main = one(thread("main"), "thread_locals", "key_name", "Kept.INHERITED");
    assert_eq!(
        (of_main["inheritable"].clone(), number(of_main, "retained")),
        (true.into(), held(250_000))
    );
    // Parts are a whole, and so are all threads.
    let mut sum = 0;
    for of in all(&said, "threads") {
        let parts = ["frames_retained", "thread_locals_retained", "rest"].map(|p| number(of, p));
        assert_eq!(parts.iter().sum::<u64>(), number(of, "retained"), "{of:#}");
        sum += number(of, "retained");
    }
    assert_eq!(number(&said["totals"], "retained"), sum);
    // What only a core tells.
    if is_core {
        assert!((6_000_000..9_000_000).contains(&number(framed, "allocated")), "{framed:#}");
        assert!(number(&said["totals"], "tlab") >= number(&said["totals"], "tlab_used"));
    } else {
        assert!(said["totals"]["allocated"].is_null() && framed["allocated"].is_null());
    }
    let some = ask("threads", input, &["--thread", "pool-*", "--min", "100K"]);
    assert_eq!(number(&some, "thread_count"), 8);
    assert_eq!(all(&some, "names").len(), 1);
}

fn loaders(input: &Path) {
    let said = ask("loaders", input, &["--loader", "Kept$*"]);
    let plugins = named(&said, "loaders", "class", "Kept$PluginLoader");
    assert_eq!(plugins.len(), 2, "{plugins:#?}");
    let [leaked, loose] = [6, 1].map(|instances| {
        let found = plugins.iter().find(|l| number(l, "instances") == instances);
        found.unwrap_or_else(|| panic!("none with {instances}: {plugins:#?}"))
    });
    for (of, instances) in [(leaked, 6), (loose, 1)] {
        assert_eq!(number(of, "classes"), 1);
        assert_eq!(number(of, "instance_bytes"), instances * object(1));
    }
    // The one object that is kept holds its class and the loader.
    // The loader alone does not hold its class: the object does, too.
    let kept = array(300_000) + array(700_000);
    for of in [leaked, loose] {
        assert!((kept..kept + 20_000).contains(&number(of, "freed")), "{of:#}");
        let alone = number(of, "retained");
        assert!(alone > array(300_000) && alone < kept + 20_000, "{of:#}");
    }
    let steps = |of: &Value| -> Vec<(String, String)> {
        let word = |s: &Value, field| s[field].as_str().unwrap_or("").to_owned();
        all(&of["path"], "steps").iter().map(|s| (word(s, "by"), word(s, "name"))).collect()
    };
    let path = steps(leaked);
    assert!(path.contains(&("static".into(), "leaked".into())), "{path:?}");
    let last = all(&leaked["path"], "steps").last().expect("a step");
    assert_eq!(last["class"], "Kept$Plugin");
    assert_eq!(leaked["life"], "held");
    // In 8 a loader's monitor that was inflated when a class was loaded is a root until the next safepoint.
    let is_locked = loose["path"]["root"] == "monitor";
    assert!(is_locked || loose["life"] == "unloadable" && loose["path"].is_null(), "{loose:#}");
    let web = one(&said, "loaders", "class", "Kept$WebLoader");
    assert_eq!((web["life"].clone(), number(web, "classes")), ("held".into(), 0));
    assert_eq!(web["path"]["thread"], "web");
    assert_eq!(steps(web).last(), Some(&("field".into(), "contextClassLoader".into())));
    let twice = one(&said, "duplicates", "name", "Kept$Plugin");
    assert_eq!((number(twice, "loaders"), number(twice, "instances")), (2, 7));
    assert_eq!(number(twice, "bytes"), 7 * object(1));
    // All of them: the loaders of the JDK are never unloaded.
    let said = ask("loaders", input, &[]);
    let boot: Vec<&Value> =
        all(&said, "loaders").iter().filter(|l| l["object"].is_null()).collect();
    assert_eq!(boot.len(), 1);
    assert!(number(boot[0], "classes") > 300 && boot[0]["retained"].is_null());
    let lasting = all(&said, "loaders").iter().filter(|l| l["life"] == "permanent").count();
    // From 9 on an object stands for the boot loader, too.
    assert!((3..=4).contains(&lasting), "{said:#}");
}

fn references(input: &Path) {
    let said = ask("refs", input, &[]);
    let class = |name: &str| {
        let of = one(&said, "classes", "class", name);
        let counts = ["references", "cleared", "strong", "alone", "other"].map(|f| number(of, f));
        (counts, number(of, "held"))
    };
    // From 9 on, who puts a reference into its queue by hand clears it.
    let (weak, held_weakly) = class("Kept$Weak");
    assert_eq!((weak[0], weak[1] + weak[2], weak[3], weak[4]), (112, 77, 30, 5));
    assert!([40, 47].contains(&weak[1]), "{weak:?}");
    assert_eq!(held_weakly, 30 * held(1_000));
    assert_eq!(class("Kept$Soft"), ([20, 0, 0, 20, 0], 20 * held(2_000)));
    assert_eq!(class("Kept$Phantom"), ([10, 0, 0, 10, 0], 10 * held(3_000)));
    for (name, strength, objects, length) in [
        ("Kept$WeaklyHeld", "weak", 30, 1_000),
        ("Kept$SoftlyHeld", "soft", 20, 2_000),
        ("Kept$PhantomHeld", "phantom", 10, 3_000),
        ("Kept$Backlog", "final", 12, 50_000),
    ] {
        let of = one(&said, "referents", "class", name);
        assert_eq!(of["strength"], strength);
        assert_eq!(
            (number(of, "objects"), number(of, "retained")),
            (objects, objects * held(length))
        );
    }
    // What hangs on references directly is all that they hold.
    for kind in all(&said, "kinds") {
        let own = all(&said, "referents").iter().filter(|r| r["strength"] == kind["strength"]);
        assert_eq!(
            own.map(|r| number(r, "retained")).sum::<u64>(),
            number(kind, "held"),
            "{kind:#}"
        );
    }
    let queue = one(&said, "queues", "name", "Kept.QUEUE");
    assert_eq!((number(queue, "length"), number(queue, "own_length")), (7, 7));
    let finalizers = &said["finalizers"];
    let queued = one(finalizers, "queued_classes", "name", "Kept$Backlog");
    assert_eq!((number(queued, "objects"), number(queued, "retained")), (12, 12 * held(50_000)));
    let registered =
        |name: &str| number(one(finalizers, "registered_classes", "name", name), "objects");
    assert_eq!((registered("Kept$Backlog"), registered("Kept$Registered")), (12, 5));
    let running = one(finalizers, "running", "thread", "Finalizer");
    let frame = running["finalizer"].as_str().expect("a frame");
    assert!(frame.starts_with("Kept$Blocks.finalize("), "{running:#}");
    let direct = &said["direct_buffers"];
    let of = |fields: [&str; 2]| fields.map(|f| number(direct, f));
    assert_eq!(of(["buffers", "capacity"]), [4, 4 * 65_536]);
    assert_eq!(of(["dead_buffers", "dead_capacity"]), [2, 2 * 32_768]);
    assert_eq!(of(["count", "total_capacity"]), [6, 4 * 65_536 + 2 * 32_768]);
    assert!(number(direct, "reserved") >= number(direct, "total_capacity"));
    assert_eq!(number(direct, "deallocators"), 6);
}

fn kept(name: &str, start: impl FnOnce(&[&str], &Scratch) -> Jvm, prints: bool) {
    let dir = Scratch::new(&format!("kept-{name}"));
    let flags = ["-Xmx128m", "-XX:ReservedCodeCacheSize=32m", "-Xint"];
    let jvm = start(&flags, &dir);
    let core = dir.path("core");
    run(rjcore().args(["capture", PATIENTLY, &jvm.pid().to_string(), "-o"]).arg(&core));
    if prints {
        as_printed(&jvm, &core);
    }
    drop(jvm);
    let dump = dir.path("heap.hprof");
    run(rjcore().arg("dump").arg(&core).arg("-o").arg(&dump));
    for (input, is_core) in [(&core, true), (&dump, false)] {
        threads(input, is_core);
        loaders(input);
        references(input);
    }
    for command in ["threads", "loaders", "refs"] {
        let [one, two] = ["1", "3"].map(|n| ask(command, &core, &["--threads", n]));
        assert!(one == two, "{command} with one thread and with three");
    }
}

/// HotSpot's own counts of classes by loader, and of objects that wait for their finalizer.
fn as_printed(jvm: &Jvm, core: &Path) {
    let printed = jvm.jcmd(&["GC.finalizer_info"]);
    let refs = ask("refs", core, &[]);
    let queued = all(&refs["finalizers"], "queued_classes");
    let ours = queued.iter().map(|c| format!("{}  {}", c["objects"], c["name"].as_str().unwrap()));
    let theirs = printed.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (count, class) = (words.next()?, words.next()?);
        count.parse::<u64>().is_ok().then(|| format!("{count}  {class}"))
    });
    assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>(), "{printed}");
    let printed = jvm.jcmd(&["VM.classloader_stats"]);
    let loaders = ask("loaders", core, &["--loader", "Kept$*"]);
    let mut ours: Vec<(String, u64)> = all(&loaders, "loaders")
        .iter()
        .map(|l| {
            let class = l["class"].as_str().expect("a class").to_owned();
            (class, number(l, "classes") + number(l, "array_classes"))
        })
        .filter(|(_, classes)| *classes > 0)
        .collect();
    let mut theirs: Vec<(String, u64)> = printed
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let class = words.last().filter(|c| c.starts_with("Kept$"))?;
            Some(((*class).to_owned(), words[3].parse().ok()?))
        })
        .collect();
    ours.sort();
    theirs.sort();
    assert!(ours.len() == 2 && ours == theirs, "{ours:?}\n{printed}");
}

#[test]
fn jdk17_g1() {
    let start = |flags: &[&str], dir: &Scratch| {
        Jvm::start(17, &[flags, &["-XX:+UseG1GC"]].concat(), "Kept", dir)
    };
    kept("jdk17", start, true);
}

#[test]
fn jdk25_serial() {
    let start = |flags: &[&str], dir: &Scratch| {
        Jvm::start(25, &[flags, &["-XX:+UseSerialGC"]].concat(), "Kept", dir)
    };
    kept("jdk25", start, true);
}

#[test]
fn jdk8_parallel() {
    let start = |flags: &[&str], dir: &Scratch| {
        jdks::start(8, &[flags, &["-XX:+UseParallelGC"]].concat(), "Kept", dir)
    };
    kept("jdk8", start, false);
}
