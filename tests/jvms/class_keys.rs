//! A class's key is the same in two runs of one program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rjcore::corefile::{CoreFile, OpenOptions};
use rjcore::heap::class_key::ClassKeys;
use rjcore::hotspot::Vm;

use crate::support::{Jvm, Scratch, rjcore, run};

/// The keys of all classes of a core, how many have each; and the names as they are.
fn keys(core: &Path) -> (BTreeMap<String, usize>, BTreeSet<String>) {
    let core = CoreFile::open(core, &OpenOptions::default()).expect("a core");
    let vm = Vm::open(&core).expect("its JVM");
    let mut keys = ClassKeys::new(&vm);
    let mut out = BTreeMap::new();
    for k in vm.classes.java() {
        *out.entry(keys.key(k).to_string()).or_default() += 1;
    }
    (out, vm.classes.java().map(|k| k.name.clone()).collect())
}

/// Two runs of one program, with other addresses, another order of its lambdas, and another heap.
fn survives(version: u32, made: &[&str]) {
    let dir = Scratch::new(&format!("keys-{version}"));
    let take = |name: &str, flags: &[&str]| {
        let common = ["-Xmx48m", "-XX:ReservedCodeCacheSize=16m", "-Xshare:off"];
        let jvm = Jvm::start(version, &[&common, flags].concat(), "Everything", &dir);
        let core = dir.path(name);
        run(rjcore().args(["capture", "-o"]).arg(&core).arg(jvm.pid().to_string()));
        keys(&core)
    };
    let (a, names) = take("a", &["-XX:+UseSerialGC"]);
    let (b, other_names) = take("b", &["-XX:+UseG1GC", "-XX:-UseCompressedOops"]);
    // What the program made has the same keys; of the JDK's own classes, G1 brings a few for its beans.
    let own = |keys: &BTreeMap<String, usize>| -> BTreeMap<String, usize> {
        let own = keys.iter().filter(|(k, _)| k.contains(" : ") || k.contains("$$Lambda"));
        own.map(|(k, n)| (k.clone(), *n)).collect()
    };
    println!("{:#?}", own(&a));
    assert_eq!(own(&a), own(&b), "{version}");
    let common = a.iter().filter(|(k, n)| b.get(*k) == Some(n)).count();
    assert!(common * 100 >= a.len().max(b.len()) * 97, "{common} of {} and {}", a.len(), b.len());
    for wanted in made {
        assert!(a.keys().any(|k| k.contains(wanted)), "{version}: no {wanted} in {:#?}", own(&a));
    }
    // By their names alone some would not be found again.
    let changed = names.difference(&other_names).filter(|n| n.contains("+0x"));
    assert!(version == 8 || changed.count() > 0, "{version}");
    assert!(a.keys().all(|k| !k.contains("+0x")), "{version}");
}

#[test]
fn a_class_is_known_again_in_17() {
    survives(17, &["Everything$$Lambda", "Everything$Hidden", "'app' < "]);
}

#[test]
fn a_class_is_known_again_in_25() {
    survives(25, &["Everything$$Lambda", "Everything$Hidden", "'app' < "]);
}
