//! The options that say what is not to leave with an answer. Shared by the commands that write or show contents.

use std::path::PathBuf;

use clap::ValueEnum;
use regex::Regex;

use crate::error::{Error, Result};
use crate::output::pattern::Pattern;
use crate::output::redact::{Key, Redaction, What};

/// What to redact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Contents {
    /// Texts: byte[], char[] and int[], and fields with a hash in their names
    Strings,
    /// Numbers: fields, static fields, all arrays but byte[] and char[]
    Primitives,
    /// Both
    All,
}

#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct RedactArgs {
    /// Redact contents: they become zeroes, with --redact-key texts become tokens. References, lengths and the names of
    /// classes, fields and threads are kept
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Redaction")]
    redact: Option<Contents>,
    /// Keep the values of classes with this name, which may have `*`: the fields that they declare or their objects
    /// have, the elements of arrays (`byte[]`); may be repeated
    #[arg(long, value_name = "CLASS-PATTERN", help_heading = "Redaction")]
    keep: Vec<Pattern>,
    /// In texts that are not redacted as a whole, redact what fits, such as keys and card numbers; may be repeated
    #[arg(long, value_name = "REGEX", help_heading = "Redaction")]
    redact_pattern: Vec<Regex>,
    /// Replace a text by a token of its length: the same text has the same token wherever this key is used. FILE has 16
    /// bytes at least, from /dev/urandom; keep it as secret as the texts
    #[arg(long, value_name = "FILE", help_heading = "Redaction")]
    redact_key: Option<PathBuf>,
}

/// Of commands that write cores: what is asked for cannot be had.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct NoRedaction {
    #[arg(long, value_name = "WHAT", hide = true)]
    redact: Option<String>,
    #[arg(long, value_name = "REGEX", hide = true)]
    redact_pattern: Option<String>,
}

impl NoRedaction {
    /// An error if it is asked for, which names `instead`.
    pub(super) fn refuse(&self, instead: &str) -> Result<()> {
        if self.redact.is_none() && self.redact_pattern.is_none() {
            return Ok(());
        }
        Err(Error::usage(format!(
            "a core cannot be redacted: besides the heap it has stacks, arguments and native memory, and nothing tells \
             which of these bytes are secrets; write a redacted dump instead: {instead} --redact all"
        )))
    }
}

impl RedactArgs {
    /// What they ask for; none where it is nothing.
    pub(super) fn redaction(&self) -> Result<Option<Redaction>> {
        if self.redact.is_none() && self.redact_pattern.is_empty() {
            return match self.keep.is_empty() && self.redact_key.is_none() {
                true => Ok(None),
                false => Err(Error::usage(
                    "--keep and --redact-key say how to redact; say what with --redact or --redact-pattern",
                )),
            };
        }
        let what = What {
            strings: matches!(self.redact, Some(Contents::Strings | Contents::All)),
            primitives: matches!(self.redact, Some(Contents::Primitives | Contents::All)),
        };
        let key = self.redact_key.as_ref().map(|path| {
            let secret = std::fs::read(path).map_err(Error::io(path))?;
            Key::new(&secret).map_err(|e| Error::usage(format!("{}: {e}", path.display())))
        });
        let key = key.transpose()?;
        let (keep, patterns) = (self.keep.clone(), self.redact_pattern.clone());
        Ok(Some(Redaction::new(what, keep, patterns, key)))
    }
}
