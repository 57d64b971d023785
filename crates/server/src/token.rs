//! What somebody has to know to be answered.

use std::fmt;

use subtle::ConstantTimeEq;

/// The least length of a token: shorter ones can be guessed over the network.
pub const SHORTEST: usize = 16;

/// A shared secret. Never printed; compared in the same time whatever is wrong about the other.
#[derive(Clone)]
pub struct Token(String);

/// A token that would keep nobody out, or that a header cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeakToken;

impl fmt::Display for WeakToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a token has at least {SHORTEST} characters, letters, digits or punctuation without spaces; for example \
             what `openssl rand -hex 16` prints"
        )
    }
}

impl std::error::Error for WeakToken {}

impl Token {
    /// # Errors
    /// Fewer than 16 characters, or one that is not visible ASCII.
    pub fn new(text: &str) -> Result<Self, WeakToken> {
        let fits = text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned())).ok_or(WeakToken)
    }

    pub fn is(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_can_stand_in_a_header() {
        assert!(Token::new("0123456789abcdef").is_ok());
        for weak in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdéf"] {
            assert_eq!(Token::new(weak).unwrap_err(), WeakToken, "{weak:?}");
        }
    }

    #[test]
    fn it_equals_itself_only_and_is_not_shown() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        for other in [
            &b"0123456789abcdeg"[..],
            b"0123456789abcdef0",
            b"0123456789abcde",
            b"",
        ] {
            assert!(!token.is(other), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "***");
    }
}
