//! C++ names in words, without their parameters, as HotSpot's own error files have them.

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, Symbol};

/// A name may stand for a text that is exponentially longer.
const MAX_NAME: usize = 1024;

/// What a symbol is called in its source; symbols of C as they are.
pub(super) fn demangled(symbol: &[u8]) -> String {
    let raw = || {
        let start = symbol.get(..MAX_NAME).unwrap_or(symbol);
        String::from_utf8_lossy(start).into_owned()
    };
    if !symbol.starts_with(b"_Z") || symbol.len() > MAX_NAME {
        return raw();
    }
    let Ok(parsed) = Symbol::new(symbol) else { return raw() };
    let options = DemangleOptions::new().no_params().no_return_type();
    let mut out = Bounded(String::new());
    match parsed.structured_demangle(&mut out, &options) {
        Ok(()) if !out.0.is_empty() => out.0,
        _ => raw(),
    }
}

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        match self.0.len() + s.len() <= MAX_NAME {
            true => self.0.write_str(s),
            false => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cpp_lose_their_parameters() {
        assert_eq!(demangled(b"_ZN10JavaThread3runEv"), "JavaThread::run");
        assert_eq!(demangled(b"pthread_cond_wait"), "pthread_cond_wait");
        assert_eq!(demangled(b"_Znonsense"), "_Znonsense");
    }

    #[test]
    fn a_name_that_would_not_end_stays_as_it_is() {
        // Each S_ stands for all before it: the text doubles with every template.
        let mut name = b"_Z1fI".to_vec();
        name.extend(b"1aI".repeat(20));
        name.extend(b"i");
        name.extend(b"E".repeat(20));
        name.extend(b"S_".repeat(200));
        name.extend(b"Evv");
        assert!(demangled(&name).len() <= MAX_NAME);
    }
}
