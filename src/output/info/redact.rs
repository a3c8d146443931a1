//! The report without what is not to be shown: values of arguments and system properties, messages.

use super::Info;
use crate::output::redact::Redaction;

/// What texts outside of the heap count as.
const STRING: &str = "java.lang.String";

impl Info {
    /// Replaces them. Names stay: of properties and flags, of the main class or jar; so do numbers that set the VM up.
    pub fn redact(&mut self, redaction: &Redaction) {
        let hide = |text: &mut String| *text = redaction.shown(STRING, text).into_owned();
        // A pattern may fit names, too.
        let whole = redaction.hides_texts_of(STRING);
        let hide_behind = |text: &mut String, start: fn(&str) -> usize| match whole {
            true => behind(text, start, hide),
            false => hide(text),
        };
        if let Some(vm) = &mut self.vm {
            let arguments = vm.arguments.jvm_args.iter_mut().chain(&mut vm.arguments.jvm_flags);
            arguments.for_each(|a| hide_behind(a, value_of_argument));
            vm.arguments.java_command.iter_mut().for_each(|c| hide_behind(c, program_arguments));
            vm.flags.values_mut().filter(|v| !is_setting(v)).for_each(hide);
            vm.properties.iter_mut().flatten().for_each(|(_, value)| hide(value));
        }
        if let Some(out) = &mut self.core.out_of_memory {
            out.command.iter_mut().for_each(hide);
            out.thrown.iter_mut().filter_map(|t| t.message.as_mut()).for_each(hide);
        }
    }
}

/// Changes what of `text` lies behind where `start` says.
fn behind(text: &mut String, start: fn(&str) -> usize, change: impl Fn(&mut String)) {
    let mut rest = text.split_off(start(text));
    change(&mut rest);
    *text += &rest;
}

/// Of `-Dname=value`, `-XX:Flag=value`, `-agentlib:name=options`: where the value starts.
fn value_of_argument(argument: &str) -> usize {
    let equals = argument.find('=').map(|at| at + 1);
    let colon = argument.find(':').map(|at| at + 1);
    let named_by_equals = ["-D", "-XX:", "--"].iter().any(|start| argument.starts_with(start));
    match (named_by_equals, equals, colon) {
        (true, Some(at), _) if argument.starts_with("-XX:") && is_setting(&argument[at..]) => {
            argument.len()
        }
        (true, Some(at), _) => at,
        (false, Some(at), Some(other)) => at.min(other),
        (false, at, other) => at.or(other).unwrap_or(argument.len()),
        (true, None, _) => argument.len(),
    }
}

/// Behind the main class or jar.
fn program_arguments(command: &str) -> usize {
    command.find(' ').map_or(command.len(), |at| at + 1)
}

/// A number, perhaps with a unit, or a boolean: what a flag says of the VM, and not of the program's data.
fn is_setting(value: &str) -> bool {
    let number = value.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G', 't', 'T']);
    matches!(value, "true" | "false") || number.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::redact::What;

    #[test]
    fn names_and_settings_stay() {
        let what = What { strings: true, primitives: false };
        let redaction = Redaction::new(what, Vec::new(), Vec::new(), None);
        let hidden = |text: &str, start| {
            let mut text = text.to_owned();
            behind(&mut text, start, |t| *t = redaction.hidden(t));
            text
        };
        for (argument, shown) in [
            ("-Dpassword=geheim", "-Dpassword=******"),
            ("-Dflag", "-Dflag"),
            ("-Durl=jdbc:a=b", "-Durl=********"),
            ("-Xmx64m", "-Xmx64m"),
            ("-XX:MaxHeapSize=64m", "-XX:MaxHeapSize=64m"),
            ("-XX:OnError=mail x", "-XX:OnError=******"),
            ("-XX:+UseG1GC", "-XX:+UseG1GC"),
            ("-javaagent:a.jar=key", "-javaagent:*********"),
            ("-agentpath=x:y", "-agentpath=***"),
            ("--add-opens=a/b=c", "--add-opens=*****"),
        ] {
            assert_eq!(hidden(argument, value_of_argument), shown);
        }
        assert_eq!(hidden("a.jar --key geheim", program_arguments), "a.jar ************");
        assert_eq!(hidden("a.Main", program_arguments), "a.Main");
    }
}
