//! Times as people type them: a point in time, or how long ago.

use std::str::FromStr;

use chrono::DateTime;
use tabletopic_clock::Millis;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    At(Millis),
    Ago(Millis),
}

impl When {
    pub fn at(self, now: Millis) -> Millis {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.saturating_sub(ago),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(at.timestamp_millis()));
        }
        let ago = humantime::parse_duration(text).ok();
        let ago = ago.and_then(|ago| Millis::try_from(ago.as_millis()).ok());
        ago.map(Self::Ago).ok_or_else(|| {
            "write a time with its zone, such as 2026-01-31T00:00:00Z, or how long ago, such as 2h".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_point_or_how_long_ago() {
        assert_eq!("1970-01-01T01:00:01+01:00".parse(), Ok(When::At(1000)));
        assert_eq!("2h".parse(), Ok(When::Ago(7_200_000)));
        assert_eq!(When::Ago(7).at(10), 3);
        assert!("2026-01-31".parse::<When>().is_err());
    }
}
