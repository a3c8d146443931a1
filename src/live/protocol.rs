//! HotSpot's attach protocol: bytes of a request, and the answer's result code.
//!
//! Version 1 since JDK 6, version 2 since 24 (JDK-8342995); attachListener.hpp describes both.
//! Knows nothing of sockets.

/// AttachOperation::arg_count_max: what version 1 always sends.
const ARGUMENTS: usize = 3;
/// AttachOperation::arg_length_max, in bytes.
const LENGTH: usize = 1024;
/// AttachOperation::name_length_max, in bytes: 16 in JDK 8.
const NAME: usize = 16;
/// The longest request of version 2.
const LARGEST: usize = 256 << 10;
/// A result code with its line end is no longer than this.
const CODE: usize = 16;

/// What is asked of the JVM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The operation's name.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
}

impl Request {
    /// A request.
    pub(crate) fn new(command: &str, arguments: &[&[u8]]) -> Request {
        let arguments = arguments.iter().map(|a| a.to_vec()).collect();
        Request { command: command.into(), arguments }
    }

    /// Why no version can carry it.
    pub(crate) fn impossible(&self) -> Option<String> {
        let nul = self.arguments.iter().any(|a| a.contains(&0)) || self.command.contains('\0');
        if nul || self.command.len() > NAME {
            return Some("an attach command holds no zero byte and is 16 bytes at most".into());
        }
        let size = self.data().len();
        (size > LARGEST).then(|| format!("{size} bytes are too long: the protocol takes {LARGEST}"))
    }

    /// Whether version 1 can carry it.
    pub(crate) fn fits_version_1(&self) -> bool {
        self.arguments.len() <= ARGUMENTS && self.arguments.iter().all(|a| a.len() <= LENGTH)
    }

    /// `<command>0(<argument>0)*`
    fn data(&self) -> Vec<u8> {
        let mut out = self.command.clone().into_bytes();
        out.push(0);
        for argument in &self.arguments {
            out.extend(argument);
            out.push(0);
        }
        out
    }

    /// `1 0 <command> 0 <argument> 0 <argument> 0 <argument> 0`
    pub(crate) fn version_1(&self) -> Vec<u8> {
        let mut out = b"1\0".to_vec();
        out.extend(self.data());
        out.extend(std::iter::repeat_n(0, ARGUMENTS.saturating_sub(self.arguments.len())));
        out
    }

    /// `2 0 <size> 0 <data>`
    pub(crate) fn version_2(&self) -> Vec<u8> {
        let data = self.data();
        let mut out = format!("2\0{}\0", data.len()).into_bytes();
        out.extend(data);
        out
    }
}

/// Takes the result code off the front of an answer that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    head: Vec<u8>,
    /// The code, once its line has come.
    pub code: Option<i32>,
}

impl Answer {
    /// Takes a piece; answers what of it belongs to the text. An error is what came instead of a
    /// code.
    pub(crate) fn take<'p>(&mut self, piece: &'p [u8]) -> Result<&'p [u8], String> {
        if self.code.is_some() {
            return Ok(piece);
        }
        let end = piece.iter().position(|b| *b == b'\n');
        self.head.extend(&piece[..end.unwrap_or(piece.len()).min(CODE + 1)]);
        let text = || String::from_utf8_lossy(&self.head).into_owned();
        match end {
            Some(end) => {
                self.code = Some(text().parse().map_err(|_| text())?);
                Ok(&piece[end + 1..])
            }
            None if self.head.len() > CODE => Err(text()),
            None => Ok(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let r = Request::new("printflag", &[b"UseG1GC"]);
        assert_eq!(r.version_1(), b"1\0printflag\0UseG1GC\0\0\0");
        assert_eq!(r.version_2(), b"2\x0018\0printflag\0UseG1GC\0");
        assert!(r.fits_version_1() && r.impossible().is_none());
        assert_eq!(Request::new("properties", &[]).version_1(), b"1\0properties\0\0\0\0");
        assert!(!Request::new("jcmd", &[&[b'a'; 1025]]).fits_version_1());
        assert!(!Request::new("x", &[b"", b"", b"", b""]).fits_version_1());
        assert!(Request::new("jcmd", &[b"a\0b"]).impossible().is_some());
        assert!(Request::new("jcmd", &[&[b'a'; 300_000]]).impossible().is_some());
    }

    #[test]
    fn answers_in_pieces() {
        let mut a = Answer::default();
        assert_eq!(a.take(b""), Ok(&b""[..]));
        assert_eq!(a.take(b"-1"), Ok(&b""[..]));
        assert_eq!((a.take(b"2\nte"), a.code), (Ok(&b"te"[..]), Some(-12)));
        assert_eq!(a.take(b"xt\n"), Ok(&b"xt\n"[..]));
        assert!(Answer::default().take(b"what\n").is_err());
        assert!(Answer::default().take(&[b'7'; 40]).is_err());
    }
}
