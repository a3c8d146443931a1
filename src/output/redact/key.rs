//! Tokens of texts, and their key.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

/// Bytes that a key must have at least: fewer could be tried out.
const LEAST: usize = 16;
/// The letters of tokens: 64, one for 6 bits.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Letters that one hash gives.
const PER_HASH: usize = 16;

/// What the units of a text are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// Bytes: Latin-1, UTF-16 of either byte order, UTF-8.
    Bytes,
    /// UTF-16, little-endian.
    Chars,
    /// Code points of 32 bits, little-endian, or bytes that are none.
    Words,
}

/// A secret by which texts become tokens. Whoever has it can try out texts.
#[derive(Clone)]
pub struct Key {
    hasher: SipHasher24,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// By all of these bytes.
    ///
    /// # Errors
    ///
    /// Fewer than 16 bytes, in words.
    pub fn new(secret: &[u8]) -> Result<Key, String> {
        if secret.len() < LEAST {
            return Err(format!("a key has {LEAST} bytes at least, this one {}", secret.len()));
        }
        let mut hasher = SipHasher24::new();
        hasher.write(secret);
        let hash = hasher.finish128();
        Ok(Key { hasher: SipHasher24::new_with_keys(hash.h1, hash.h2) })
    }

    /// Of a text whose units have this form, in pieces.
    pub(super) fn digest(&self, form: Form, pieces: &[&[u8]]) -> u128 {
        let mut digest = self.begin(form);
        pieces.iter().for_each(|p| digest.add(p));
        digest.end()
    }

    /// Of a text that comes in pieces.
    pub(super) fn begin(&self, form: Form) -> Digest {
        let mut hasher = self.hasher;
        hasher.write(&[form as u8]);
        Digest(hasher)
    }

    /// The letters of the token of the text with this digest; it does not end.
    pub(super) fn token(&self, digest: u128) -> impl Iterator<Item = u8> + '_ {
        self.token_from(digest, 0)
    }

    /// The same from the letter with this number on.
    pub(super) fn token_from(&self, digest: u128, from: u64) -> impl Iterator<Item = u8> + '_ {
        let block = move |number: u64| {
            let mut hasher = self.hasher;
            hasher.write(b"token");
            hasher.write(&digest.to_le_bytes());
            hasher.write(&number.to_le_bytes());
            hasher.finish128().as_bytes().map(|b| LETTERS[usize::from(b & 63)])
        };
        let per = PER_HASH as u64;
        (from / per..u64::MAX).flat_map(block).skip((from % per) as usize)
    }
}

/// A digest that is being made.
pub(super) struct Digest(SipHasher24);

impl Digest {
    /// Adds bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// Of all that was added.
    pub(super) fn end(&self) -> u128 {
        self.0.finish128().as_u128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(key: &[u8], text: &[u8], len: usize) -> String {
        let key = Key::new(key).expect("a key");
        let digest = key.digest(Form::Bytes, &[text]);
        String::from_utf8(key.token(digest).take(len).collect()).expect("letters")
    }

    #[test]
    fn the_same_text_and_key_give_the_same_token() {
        let (one, other) = (b"0123456789abcdef", b"0123456789abcdeg");
        assert_eq!(token(one, b"secret", 40), token(one, b"secret", 40));
        assert_ne!(token(one, b"secret", 40), token(one, b"secreu", 40));
        assert_ne!(token(one, b"secret", 40), token(other, b"secret", 40));
        assert!(Key::new(b"short").is_err());
    }

    #[test]
    fn a_token_goes_on_where_it_stopped() {
        let key = Key::new(&[7; 32]).expect("a key");
        let all: Vec<u8> = key.token(5).take(100).collect();
        for from in [0, 1, 15, 16, 17, 47] {
            let rest: Vec<u8> = key.token_from(5, from as u64).take(100 - from).collect();
            assert_eq!(rest, all[from..], "from {from}");
        }
    }
}
