//! Where a job begins in a topic partition that its table does not know yet, and in which order it reads what is there.

use chrono::DateTime;
use serde::de::{Deserialize, Deserializer, Error};
use tabletopic_clock::Millis;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record that the broker still has.
    Earliest,
    /// The next record to be written.
    Latest,
    /// The first record whose Kafka timestamp is not before this.
    Timestamp(Millis),
}

/// When what was there before the job is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backfill {
    /// Before what is new.
    First,
    /// Behind it.
    Behind,
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // TOML has timestamps of its own, without quotes: take both.
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(at) => at.to_string(),
            other => other.to_string(),
        };
        match text.as_str() {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            other => match DateTime::parse_from_rfc3339(other) {
                Ok(at) => Ok(Self::Timestamp(at.timestamp_millis())),
                Err(_) => Err(D::Error::custom(format!(
                    "`{other}` is not a start; write \"earliest\", \"latest\" or a timestamp with its zone such as \
                     \"2026-01-31T00:00:00Z\""
                ))),
            },
        }
    }
}
