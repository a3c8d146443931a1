//! Which JVM a command means: a process id, or the name of what runs.

use std::path::Path;

use crate::error::{Error, Result};
use crate::live::jvm;

/// The argument: `1234`, `Main`, `com.example.Main`, `app.jar`.
#[derive(Debug, Clone)]
pub(super) struct Who(String);

impl std::str::FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Who, String> {
        let is_number = text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit());
        match text.parse::<i32>() {
            Ok(1..) => Ok(Who(text.into())),
            _ if is_number => Err("a process id is a number from 1 on".into()),
            _ => Ok(Who(text.into())),
        }
    }
}

impl Who {
    /// The process id. A name must be that of one JVM only.
    pub(super) fn pid(&self) -> Result<i32> {
        if let Ok(pid) = self.0.parse() {
            return Ok(pid);
        }
        named(&self.0)?.ok_or_else(|| Error::NoSuchJvm(self.0.clone()))
    }
}

/// The JVM that an argument means where there is no file of that name; an error where it is neither.
pub(super) fn live(argument: &Path) -> Result<Option<i32>> {
    if argument.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let Some(text) = argument.to_str().filter(|t| !matches!(*t, "" | "-") && !t.contains('/'))
    else {
        return Ok(None);
    };
    match text.parse::<i32>() {
        Ok(pid) => Ok((pid > 0).then_some(pid)),
        Err(_) => match named(text)? {
            None => Err(Error::NoSuchInput(text.into())),
            found => Ok(found),
        },
    }
}

/// The one JVM that runs this: a main class, with or without its package, a module or a jar.
fn named(name: &str) -> Result<Option<i32>> {
    let main = |pid: &i32| jvm::main(*pid).is_some_and(|main| is_called(&main, name));
    let all: Vec<i32> = jvm::all().into_iter().filter(main).collect();
    match all[..] {
        [] => Ok(None),
        [pid] => Ok(Some(pid)),
        _ => {
            let all: Vec<String> = all.iter().map(i32::to_string).collect();
            Err(Error::usage(format!(
                "{} JVMs run {name:?}: give one of the process ids {}",
                all.len(),
                all.join(", ")
            )))
        }
    }
}

fn is_called(main: &str, name: &str) -> bool {
    let file = main.rsplit('/').next().unwrap_or(main);
    let is_file = file.ends_with(".jar") || file.ends_with(".java");
    let simple = if is_file { file } else { file.rsplit('.').next().unwrap_or(file) };
    [main, file, simple, file.trim_end_matches(".jar")].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (main, name) in [
            ("com.example.Main", "Main"),
            ("com.example.Main", "com.example.Main"),
            ("mod.a/com.example.Main", "com.example.Main"),
            ("/opt/app-1.2.jar", "app-1.2.jar"),
            ("/opt/app-1.2.jar", "app-1.2"),
            ("Main", "Main"),
        ] {
            assert!(is_called(main, name), "{main} {name}");
        }
        for (main, name) in [("com.example.Main", "example"), ("a.jar", "jar"), ("Main", "main")] {
            assert!(!is_called(main, name), "{main} {name}");
        }
        assert!("0".parse::<Who>().is_err() && "-5".parse::<Who>().is_err());
        assert!("99999999999".parse::<Who>().is_err() && "Main".parse::<Who>().is_ok());
        assert!(live(Path::new("a/b")).is_ok_and(|l| l.is_none()));
        assert!(live(Path::new("/etc")).is_ok_and(|l| l.is_none()));
        assert!(live(Path::new("-")).is_ok_and(|l| l.is_none()));
        assert!(matches!(live(Path::new("no.such.Main")), Err(Error::NoSuchInput(_))));
        assert!(live(Path::new("123")).is_ok_and(|l| l == Some(123)));
    }
}
