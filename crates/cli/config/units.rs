//! Durations and sizes, written as people write them.

use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

/// A duration above zero: `60s`, `5m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Interval(pub Duration);

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match humantime::parse_duration(&text) {
            Ok(duration) if !duration.is_zero() => Ok(Self(duration)),
            Ok(_) => Err(format!(
                "`{text}` is no time at all; write a duration above zero such as \"60s\""
            )),
            Err(error) => Err(format!(
                "`{text}` is not a duration ({error}); write for example \"60s\" or \"5m\""
            )),
        }
    }
}

/// How often is committed: an [`Interval`] of at most 12 hours. What a unit has written is not committed any more a day
/// after its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CommitInterval(pub Duration);

impl TryFrom<String> for CommitInterval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
        let Interval(interval) = Interval::try_from(text.clone())?;
        match interval <= LONGEST {
            true => Ok(Self(interval)),
            false => Err(format!(
                "`{text}` is too long: files have to be in the table a day after their first record; write at most \"12h\""
            )),
        }
    }
}

/// A number of bytes above zero: `128MiB` (1024 * 1024 each), `128MB` (1000 * 1000 each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

impl Size {
    pub const fn mib(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse::<ByteSize>() {
            Ok(ByteSize(0)) => Err(format!(
                "`{text}` is nothing; write a size above zero such as \"128MiB\""
            )),
            Ok(ByteSize(bytes)) => Ok(Self(bytes)),
            Err(_) => Err(format!(
                "`{text}` is not a size; write for example \"128MiB\" or \"512KiB\""
            )),
        }
    }
}
