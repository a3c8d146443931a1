//! The VM's options as other processes can see them: on its command line, in its environment, and
//! as the VM itself recorded them in its counters.
//!
//! Knows the launcher's syntax; nothing of what the options do.

use std::collections::BTreeMap;

use super::perfdata::Counter;

/// Variables that the launcher (JDK_JAVA_OPTIONS, from 9 on) and the VM read options from.
const VARIABLES: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

/// Options of the launcher whose value is the next argument.
const WITH_VALUE: [&str; 14] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--limit-modules",
    "--add-exports",
    "--add-reads",
    "--add-opens",
    "--patch-module",
    "--enable-native-access",
    "--source",
];

/// Options, and what runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Each with where it was seen, in the order in which the VM takes them.
    pub seen: Vec<(String, &'static str)>,
    /// Main class, module or jar; `None` where an argument file hides it.
    pub main: Option<String>,
}

impl Options {
    /// Collects them.
    pub fn of(
        arguments: &[String],
        environment: &[(String, String)],
        counters: &BTreeMap<String, Counter>,
    ) -> Options {
        let mut out = Options::default();
        let text = |name: &str| counters.get(name).and_then(Counter::text).unwrap_or("");
        let mut add = |text: &str, from: &'static str| {
            out.seen.extend(words(text).into_iter().map(|w| (w, from)));
        };
        let variable = |name: &str| {
            environment.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str()).unwrap_or("")
        };
        add(text("java.rt.vmFlags"), "a file of flags");
        for name in &VARIABLES[..2] {
            add(variable(name), name);
        }
        let (options, main) = launcher(arguments);
        out.seen.extend(options.into_iter().map(|o| (o, "its command line")));
        let mut add = |text: &str, from: &'static str| {
            out.seen.extend(words(text).into_iter().map(|w| (w, from)));
        };
        add(text("java.rt.vmArgs"), "its counters (java.rt.vmArgs)");
        add(variable(VARIABLES[2]), VARIABLES[2]);
        let command = text("sun.rt.javaCommand").split(' ').next().filter(|c| !c.is_empty());
        out.main = main.or(command.map(str::to_owned));
        out
    }

    /// The last of the options that are `-XX:+name` or `-XX:-name`: whether it is on, and the
    /// option with its place.
    pub fn switch(&self, name: &str) -> Option<(bool, String)> {
        self.seen.iter().rev().find_map(|(option, from)| {
            let sign = option.strip_prefix("-XX:")?.strip_suffix(name)?;
            let on = match sign {
                "+" => true,
                "-" => false,
                _ => return None,
            };
            Some((on, format!("{option} in {from}")))
        })
    }

    /// The option that is exactly `name`, with its place.
    pub fn plain(&self, name: &str) -> Option<String> {
        let found = self.seen.iter().rev().find(|(option, _)| option == name)?;
        Some(format!("{} in {}", found.0, found.1))
    }

    /// The value of the last option with one of these beginnings.
    pub fn value(&self, prefixes: &[&str]) -> Option<&str> {
        let value = |o: &'_ (String, &str)| {
            prefixes.iter().find_map(|p| o.0.strip_prefix(p)).map(str::len).map(|n| o.0.len() - n)
        };
        self.seen.iter().rev().find_map(|o| value(o).map(|at| &o.0[at..]))
    }
}

/// Bytes of a size as `-Xmx` takes it: a number and one of k, m, g, t.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << unit)
}

/// Words between blanks; quotes hold a word together, as the launcher and the VM have it.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '"' || c == '\'' => (quote, any) = (Some(c), true),
            None if c.is_whitespace() => {
                if any || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                any = false;
            }
            _ => word.push(c),
        }
    }
    if any || !word.is_empty() {
        out.push(word);
    }
    out
}

/// What the launcher makes of its arguments: the options, and what runs.
fn launcher(arguments: &[String]) -> (Vec<String>, Option<String>) {
    let mut options = Vec::new();
    let mut rest = arguments.iter().skip(1);
    let mut hidden = false;
    while let Some(word) = rest.next() {
        if word == "-jar" || word == "-m" || word == "--module" {
            return (options, rest.next().cloned());
        }
        if let Some(module) = word.strip_prefix("--module=") {
            return (options, Some(module.into()));
        }
        if !word.starts_with('-') {
            // After a file of arguments nobody knows whether a word is the main class.
            if word.starts_with('@') {
                hidden = true;
                continue;
            }
            return (options, (!hidden).then(|| word.clone()));
        }
        options.push(word.clone());
        if WITH_VALUE.contains(&word.as_str()) {
            options.extend(rest.next().cloned());
        }
    }
    (options, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Options {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Options::of(&arguments, &[], &BTreeMap::new())
    }

    #[test]
    fn what_runs() {
        for (line, main) in [
            ("java -Xmx1g -cp a:b Main x", Some("Main")),
            ("java -jar app.jar -m", Some("app.jar")),
            ("java -p mods -m a.b/c.D x", Some("a.b/c.D")),
            ("java --module=a.b/c.D", Some("a.b/c.D")),
            ("java --add-opens x=y Main", Some("Main")),
            ("java @file x", None),
            ("java -version", None),
        ] {
            assert_eq!(of(line).main.as_deref(), main, "{line}");
        }
    }

    #[test]
    fn the_last_one_counts() {
        let options =
            of("java -XX:+DisableAttachMechanism -Xmx1g -XX:-DisableAttachMechanism -Xmx2g A");
        assert!(options.switch("DisableAttachMechanism").is_some_and(|s| !s.0));
        assert_eq!(options.value(&["-Xmx", "-XX:MaxHeapSize="]), Some("2g"));
        assert_eq!(options.switch("AttachMechanism"), None);
        // What follows the main class is the program's.
        assert_eq!(of("java A -Xrs").plain("-Xrs"), None);
        assert_eq!(of("java -Xrs A").plain("-Xrs").as_deref(), Some("-Xrs in its command line"));
        let environment = [("JAVA_TOOL_OPTIONS".into(), "-Dx='a b' -Xrs".into())];
        let options = Options::of(&["java".into()], &environment, &BTreeMap::new());
        assert_eq!(options.plain("-Xrs").as_deref(), Some("-Xrs in JAVA_TOOL_OPTIONS"));
        assert_eq!(options.seen[0].0, "-Dx=a b");
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("64m"), Some(64 << 20));
        assert_eq!(bytes("1G"), Some(1 << 30));
        assert_eq!(bytes("12345"), Some(12345));
        assert_eq!((bytes("1x"), bytes(""), bytes("99999999999t")), (None, None, None));
    }
}
