//! A value that is never shown.

use std::fmt;

/// A secret key or a token. Prints as `***`, whatever asks.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hidden(String);

impl Hidden {
    pub(super) fn new(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// The value itself, for the client that needs it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
