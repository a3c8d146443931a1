//! A name for a class that is the same in another run of the program: for what compares two cores.
//!
//! Addresses change from run to run; so do parts of the names of classes that the VM and the JDK
//! make at run time. Several classes of one core may have one key (the lambdas of a class, two
//! loaders of one kind): who compares adds them up.
// What comes from the target is asked for with `get`, so that what is missing is damage and no panic.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::disallowed_methods)
)]

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::hotspot::Vm;
use crate::hotspot::classes::Klass;

/// Loaders above one another: more run in a circle.
const MAX_CHAIN: usize = 64;
/// How the names of lambdas' classes end, before their number.
const LAMBDA: &str = "$$Lambda";
/// java.lang.reflect.Proxy's classes, before their number.
const PROXY: &str = "$Proxy";
/// The package of public proxies ends with a number from 16 on: one for each loader.
const PROXY_PACKAGE: &str = "jdk/proxy";
/// Classes that reflection makes of methods that are called often, before their number.
const ACCESSORS: [&str; 3] = [
    "GeneratedMethodAccessor",
    "GeneratedConstructorAccessor",
    "GeneratedSerializationConstructorAccessor",
];

/// Who a class is, whatever its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassKey {
    /// Its loader and that one's parents, innermost first: each loader's class, and its name where
    /// it has one. None of the boot loader, which ends the chain.
    pub loaders: Arc<[String]>,
    /// Internal form, without what changes: `java/lang/String`, `Sample$$Lambda`.
    pub name: String,
}

impl fmt::Display for ClassKey {
    /// `app-loader < platform-loader : com.acme.Order`; a class of the boot loader is its name.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = self.name.replace('/', ".");
        match self.loaders.is_empty() {
            true => f.write_str(&name),
            false => write!(f, "{} : {name}", self.loaders.join(" < ")),
        }
    }
}

/// Makes keys; each loader's chain once.
#[derive(Debug)]
pub struct ClassKeys<'v> {
    vm: &'v Vm<'v>,
    chains: HashMap<u64, Arc<[String]>>,
}

impl<'v> ClassKeys<'v> {
    /// None so far.
    pub fn new(vm: &'v Vm<'v>) -> ClassKeys<'v> {
        ClassKeys { vm, chains: HashMap::new() }
    }

    /// The key of a class.
    pub fn key(&mut self, klass: &Klass) -> ClassKey {
        let vm = self.vm;
        let loaders = self.chains.entry(klass.loader).or_insert_with(|| chain(vm, klass.loader));
        let element = klass.bottom.and_then(|b| vm.classes.get(b)).unwrap_or(klass);
        let proxy = vm.classes.named("java/lang/reflect/Proxy").map(|p| p.addr);
        let made = Made {
            is_hidden: element.has_own_loader_data,
            is_proxy: proxy.is_some() && element.super_klass == proxy,
        };
        ClassKey { loaders: loaders.clone(), name: stable(&klass.name, made) }
    }
}

/// The chain of the loader at `loader`.
fn chain(vm: &Vm, mut loader: u64) -> Arc<[String]> {
    let mut keys = ClassKeys::new(vm);
    let mut out = Vec::new();
    while loader != 0 && out.len() < MAX_CHAIN {
        let class = vm.klass_of(loader);
        // A loader of a class that a loader of its own has loaded: its class's name is enough.
        let class = class.map(|k| {
            let boot = Klass { loader: 0, ..k.clone() };
            keys.key(&boot).name.replace('/', ".")
        });
        let class = class.unwrap_or_else(|| "?".into());
        let name = vm.oop_field(loader, "name").filter(|n| *n != 0).and_then(|n| vm.text(n));
        out.push(match name {
            Some(name) => format!("{class} '{name}'"),
            None => class,
        });
        loader = vm.oop_field(loader, "parent").unwrap_or(0);
    }
    out.into()
}

/// How a class came to be.
#[derive(Debug, Clone, Copy)]
struct Made {
    /// A hidden class, or a VM-anonymous one.
    is_hidden: bool,
    /// A proxy.
    is_proxy: bool,
}

/// A class's or array class's name without what changes from run to run.
fn stable(name: &str, made: Made) -> String {
    let element = name.trim_start_matches('[');
    let dimensions = name.strip_suffix(element).unwrap_or_default();
    let (start, class, end) = match element.strip_prefix('L').and_then(|e| e.strip_suffix(';')) {
        Some(class) if !dimensions.is_empty() => ("L", class, ";"),
        _ => ("", element, ""),
    };
    let class = stable_class(class, made);
    format!("{dimensions}{start}{class}{end}")
}

fn stable_class(name: &str, made: Made) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // Behind a plus sign stands a hidden class's address (from 15), behind `$$Lambda$` a lambda's
    // number (until 20). A lambda's own loader data, or its address, tells it from a name.
    let (name, is_hidden) = match name.rsplit_once("+0x") {
        Some((class, address)) if address.bytes().all(|b| b.is_ascii_hexdigit()) => (class, true),
        _ => (name, made.is_hidden),
    };
    if is_hidden
        && let Some((class, number)) = name.rsplit_once('$')
        && class.ends_with(LAMBDA)
        && digits(number)
    {
        return class.to_owned();
    }
    let (package, class) = name.rsplit_once('/').map_or(("", name), |(p, c)| (p, c));
    if made.is_proxy && class.strip_prefix(PROXY).is_some_and(digits) {
        let package = match package.strip_prefix(PROXY_PACKAGE).is_some_and(digits) {
            true => PROXY_PACKAGE,
            false => package,
        };
        return [package, PROXY].join(if package.is_empty() { "" } else { "/" });
    }
    let reflection = matches!(package, "jdk/internal/reflect" | "sun/reflect");
    let accessor = ACCESSORS.iter().find(|a| class.strip_prefix(**a).is_some_and(digits));
    match accessor.filter(|_| reflection) {
        Some(accessor) => format!("{package}/{accessor}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Made = Made { is_hidden: false, is_proxy: false };
    const HIDDEN: Made = Made { is_hidden: true, is_proxy: false };
    const PROXY: Made = Made { is_hidden: false, is_proxy: true };

    #[test]
    fn what_changes_is_left_out() {
        for (name, made, stable_name) in [
            ("java/lang/String", PLAIN, "java/lang/String"),
            ("[[I", PLAIN, "[[I"),
            ("[Ljava/lang/Object;", PLAIN, "[Ljava/lang/Object;"),
            // 17, 21, 8.
            ("Sample$$Lambda$14+0x00007f1c40000a00", PLAIN, "Sample$$Lambda"),
            ("Sample$1+0x00007f1c40000a00", HIDDEN, "Sample$1"),
            ("a/Sample$$Lambda+0x000075b9c8003200", HIDDEN, "a/Sample$$Lambda"),
            ("Sample$$Lambda$2", HIDDEN, "Sample$$Lambda"),
            ("[La/Sample$$Lambda$14+0x0000000800c03200;", HIDDEN, "[La/Sample$$Lambda;"),
            (
                "java/lang/invoke/LambdaForm$MH+0x0000000100a80400",
                HIDDEN,
                "java/lang/invoke/LambdaForm$MH",
            ),
            // A class of someone's own that only looks like one.
            ("Sample$$Lambda$2", PLAIN, "Sample$$Lambda$2"),
            ("Sample$1", PLAIN, "Sample$1"),
            ("jdk/proxy2/$Proxy17", PROXY, "jdk/proxy/$Proxy"),
            ("com/sun/proxy/$Proxy3", PROXY, "com/sun/proxy/$Proxy"),
            ("$Proxy3", PROXY, "$Proxy"),
            ("com/acme/$Proxy3", PLAIN, "com/acme/$Proxy3"),
            (
                "jdk/internal/reflect/GeneratedMethodAccessor12",
                PLAIN,
                "jdk/internal/reflect/GeneratedMethodAccessor",
            ),
            ("com/acme/GeneratedMethodAccessor12", PLAIN, "com/acme/GeneratedMethodAccessor12"),
        ] {
            assert_eq!(stable(name, made), stable_name, "{name}");
        }
    }
}
