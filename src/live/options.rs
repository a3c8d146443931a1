//! The VM's options as other processes can see them: on its command line, in its environment, in
//! the files that those name, and as the VM itself recorded them in its counters.
//!
//! Knows the launcher's syntax; nothing of what the options do.

use std::collections::BTreeMap;

use crate::perfdata::Counter;

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

/// Files of options that lead to others end somewhere.
const MAX_FILES: usize = 64;

/// Options, and what runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Each with where it was seen, in the order in which the VM takes them.
    pub seen: Vec<(String, String)>,
    /// Main class, module or jar; without them the program, unless it is `java` itself.
    pub main: Option<String>,
    /// Where there are options that could not be read, in words. Empty where the VM's own
    /// counters have them all.
    pub unread: Vec<String>,
}

/// What a process shows of itself.
pub(crate) struct OptionSources<'a> {
    /// Its arguments.
    pub arguments: &'a [String],
    /// Its environment; `None` if that may not be looked at.
    pub environment: Option<&'a [(String, String)]>,
    /// The VM's counters; empty without.
    pub counters: &'a BTreeMap<String, Counter>,
    /// Reads a file that the process names so.
    pub file: &'a dyn Fn(&str) -> Option<String>,
}

impl Options {
    /// Collects them.
    pub(crate) fn of(shown: &OptionSources) -> Options {
        let mut out = Options::default();
        let text = |name: &str| shown.counters.get(name).and_then(Counter::text).unwrap_or("");
        let variable = |name: &str| {
            let all = shown.environment.unwrap_or_default();
            all.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str()).unwrap_or("")
        };
        let mut files = Files { read: shown.file, left: MAX_FILES, unread: Vec::new() };
        if shown.environment.is_none() {
            files.unread.push("its environment could not be seen".into());
        }
        out.add(words(text("java.rt.vmFlags")), "a file of flags");
        out.add(words(variable(VARIABLES[0])), VARIABLES[0]);
        let program = shown.arguments.first().map(|a| a.rsplit('/').next().unwrap_or(a));
        let is_java = matches!(program, None | Some("java" | "javaw"));
        let by_variable = files.expand(words(variable(VARIABLES[1])), VARIABLES[1]);
        out.seen.extend(by_variable.into_iter().filter(|(o, _)| o.starts_with('-')));
        let rest = shown.arguments.iter().skip(1).cloned().collect();
        let (options, mut main) = launcher(files.expand(rest, "its command line"));
        out.seen.extend(options);
        for (option, from) in out.seen.clone() {
            files.of_the_vm(&option, &from, &mut out.seen);
        }
        out.add(words(text("java.rt.vmArgs")), "its counters (java.rt.vmArgs)");
        out.add(words(variable(VARIABLES[2])), VARIABLES[2]);
        if !is_java && shown.counters.is_empty() {
            files.unread.push(format!(
                "{} may have started the VM with options of its own",
                program.unwrap_or("its program")
            ));
        }
        if shown.counters.is_empty() {
            out.unread = files.unread;
        } else {
            // The main class behind a file of arguments, or of a launcher that has its own.
            let command = text("sun.rt.javaCommand");
            let is_main = |m: &String| command.starts_with(m.as_str()) || m.ends_with(".java");
            if !main.as_ref().is_some_and(|m| is_java && is_main(m)) {
                let first = command.split(' ').next().filter(|c| !c.is_empty() && *c != "Unknown");
                main = first.map(str::to_owned).or(main.filter(|_| is_java));
            }
        }
        let program = || program.filter(|_| !is_java).map(str::to_owned);
        let is_known = is_java || !shown.counters.is_empty();
        out.main = main.filter(|_| is_known).or_else(program);
        out
    }

    fn add(&mut self, words: Vec<String>, from: &str) {
        self.seen.extend(words.into_iter().map(|w| (w, from.to_owned())));
    }

    /// The last of the options that are `-XX:+name` or `-XX:-name`: whether it is on, and the
    /// option with its place.
    pub(crate) fn switch(&self, name: &str) -> Option<(bool, String)> {
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
    pub(crate) fn plain(&self, name: &str) -> Option<String> {
        let found = self.seen.iter().rev().find(|(option, _)| option == name)?;
        Some(format!("{} in {}", found.0, found.1))
    }

    /// The value of the last option with one of these beginnings.
    pub(crate) fn value(&self, prefixes: &[&str]) -> Option<&str> {
        let value = |o: &'_ (String, String)| {
            prefixes.iter().find_map(|p| o.0.strip_prefix(p)).map(str::len).map(|n| o.0.len() - n)
        };
        self.seen.iter().rev().find_map(|o| value(o).map(|at| &o.0[at..]))
    }
}

/// Bytes of a size as `-Xmx` takes it: a number and one of k, m, g, t.
pub(crate) fn bytes(text: &str) -> Option<u64> {
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
    split(text, false)
}

/// Words of a file of arguments: as above, and `#` begins a comment, `\` takes the next character
/// as it is, or joins two lines.
fn argfile(text: &str) -> Vec<String> {
    split(text, true)
}

fn split(text: &str, is_argfile: bool) -> Vec<String> {
    let (mut out, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (_, '\\') if is_argfile => match chars.next() {
                Some('\n') => while chars.next_if(|c| *c == ' ' || *c == '\t').is_some() {},
                Some('\r') => {
                    chars.next_if_eq(&'\n');
                }
                Some(c) => word.push(c),
                None => {}
            },
            (None, '"' | '\'') => (quote, any) = (Some(c), true),
            (None, '#') if is_argfile && word.is_empty() && !any => {
                while chars.next_if(|c| *c != '\n').is_some() {}
            }
            (None, c) if c.is_whitespace() => {
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

/// The files that options lie in.
struct Files<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    left: usize,
    unread: Vec<String>,
}

impl Files<'_> {
    fn get(&mut self, name: &str, named: &str) -> Option<String> {
        self.left = self.left.checked_sub(1)?;
        let text = (self.read)(name);
        if text.is_none() {
            self.unread.push(format!("{named} could not be read"));
        }
        text
    }

    /// Arguments with those of `@FILE` in its place, as the launcher has it from 9 on; where a
    /// file cannot be read, its name stays.
    fn expand(&mut self, arguments: Vec<String>, from: &str) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut is_literal = false;
        for word in arguments {
            is_literal |= word == "--disable-@files";
            let name = word.strip_prefix('@').filter(|n| !n.starts_with('@') && !is_literal);
            match name.and_then(|n| self.get(n, &word)) {
                Some(text) => out.extend(argfile(&text).into_iter().map(|w| (w, word.clone()))),
                None => out.push((word, from.to_owned())),
            }
        }
        out
    }

    /// What -XX:VMOptionsFile and -XX:Flags lead to.
    fn of_the_vm(&mut self, option: &str, from: &str, out: &mut Vec<(String, String)>) {
        let named = format!("{option} in {from}");
        if let Some(name) = option.strip_prefix("-XX:VMOptionsFile=") {
            let all = self.get(name, &named).map(|text| words(&text)).unwrap_or_default();
            out.extend(all.into_iter().map(|w| (w, name.to_owned())));
        } else if let Some(name) = option.strip_prefix("-XX:Flags=") {
            let all = self.get(name, &named).map(|text| argfile(&text)).unwrap_or_default();
            out.extend(all.into_iter().map(|w| (format!("-XX:{w}"), name.to_owned())));
        }
    }
}

/// What the launcher makes of its arguments: the options, and what runs.
fn launcher(arguments: Vec<(String, String)>) -> (Vec<(String, String)>, Option<String>) {
    let mut options = Vec::new();
    let mut rest = arguments.into_iter();
    let mut is_hidden = false;
    while let Some((word, from)) = rest.next() {
        if word == "-jar" || word == "-m" || word == "--module" {
            return (options, rest.next().map(|w| w.0));
        }
        if let Some(module) = word.strip_prefix("--module=") {
            return (options, Some(module.into()));
        }
        if !word.starts_with('-') {
            // After a file that could not be read nobody knows whether a word is the main class.
            if word.starts_with('@') {
                is_hidden = true;
                continue;
            }
            return (options, (!is_hidden).then_some(word));
        }
        let has_value = WITH_VALUE.contains(&word.as_str());
        options.push((word, from));
        if has_value {
            options.extend(rest.next());
        }
    }
    (options, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Options {
        with(line, &[], &BTreeMap::new())
    }

    fn with(
        line: &str,
        environment: &[(String, String)],
        counters: &BTreeMap<String, Counter>,
    ) -> Options {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let file = |name: &str| match name {
            "/args" => Some("-Xmx1g # heap\n\"-Dx=a b\" -XX:+Quick\\\nly\n-cp x Main y".into()),
            "/flags" => Some("+One\n-Two\nThree=3".into()),
            "/options" => Some("-Xrs '-Dq=a b'".into()),
            _ => None,
        };
        Options::of(&OptionSources {
            arguments: &arguments,
            environment: Some(environment),
            counters,
            file: &file,
        })
    }

    #[test]
    fn files_of_options() {
        let options = of("java @/args z");
        let seen: Vec<&str> = options.seen.iter().map(|o| o.0.as_str()).collect();
        assert_eq!(seen, ["-Xmx1g", "-Dx=a b", "-XX:+Quickly", "-cp", "x"]);
        assert_eq!(options.switch("Quickly"), Some((true, "-XX:+Quickly in @/args".into())));
        assert_eq!((options.main.as_deref(), options.unread.len()), (Some("Main"), 0));
        let options = of("java -XX:Flags=/flags -XX:VMOptionsFile=/options A");
        assert_eq!(options.switch("One").map(|s| s.0), Some(true));
        assert_eq!(options.switch("Two").map(|s| s.0), Some(false));
        assert_eq!(options.value(&["-XX:Three="]), Some("3"));
        assert_eq!(options.plain("-Xrs").as_deref(), Some("-Xrs in /options"));
        let environment = [("JDK_JAVA_OPTIONS".into(), "@/args".into())];
        let options = with("java A", &environment, &BTreeMap::new());
        assert!(options.switch("Quickly").is_some());
        // What could not be read is told, unless the VM's counters have it.
        for line in ["java @/none A", "java -XX:Flags=/none A", "launcher"] {
            assert_eq!(of(line).unread.len(), 1, "{line}");
            let counters = [("java.rt.vmArgs".into(), Counter::Text("-Xrs".into()))];
            let options = with(line, &[], &counters.into());
            assert_eq!((options.unread.len(), options.plain("-Xrs").is_some()), (0, true));
        }
        assert!(of("java --disable-@files @/none A").unread.is_empty());
    }

    #[test]
    fn what_runs_by_the_counters() {
        for (line, command, main) in [
            (
                "javac -Xmaxerrs 5 A.java",
                "jdk.compiler/com.sun.tools.javac.Main -Xmaxerrs 5",
                "jdk.compiler/com.sun.tools.javac.Main",
            ),
            ("java @/none", "a.B x", "a.B"),
            ("java -jar my_app.jar x", "my_app.jar x", "my_app.jar"),
            (
                "java A.java",
                "jdk.compiler/com.sun.tools.javac.launcher.SourceLauncher A.java",
                "A.java",
            ),
            ("/opt/soffice.bin", "", "soffice.bin"),
            ("/usr/bin/python3 x.py", "Unknown", "python3"),
        ] {
            let counters = [("sun.rt.javaCommand".into(), Counter::Text(command.into()))];
            let options = with(line, &[], &counters.into());
            assert_eq!(options.main.as_deref(), Some(main), "{line}");
        }
        assert_eq!(of("javac -Xmaxerrs 5 A.java").main.as_deref(), Some("javac"));
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
        let options = with("java", &environment, &BTreeMap::new());
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
