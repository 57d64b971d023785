//! `[maintenance]`: what `run` does beside the ingest to keep its tables fast.

use std::time::Duration;

use tabletopic_maintain::orphans;

use super::document::Document;
use super::error::Problem;
use super::raw;
use super::units::{Interval, Size};

/// What `orphans` takes at least.
const LEAST_AGE: Duration = Duration::from_millis(orphans::LEAST_AGE.unsigned_abs());

/// How much of the machine it may have, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Maintenance {
    pub interval: Duration,
    pub hot_for: Duration,
    /// Of one processor, above 0 and at most 1.
    pub processor: f64,
    /// Bytes a second.
    pub read_rate: u64,
    /// How old a file has to be to be removed that nothing leads to; `None`: none is.
    pub orphans: Option<Duration>,
}

impl Maintenance {
    /// `None`: there is none.
    pub fn validate(raw: raw::Maintenance, document: &Document<'_>) -> Result<Option<Self>, Problem> {
        let or = |said: Option<Interval>, default| said.map_or(default, |Interval(said)| said);
        let processor = match raw.processor {
            None => 0.5,
            Some(said) if *said.get_ref() > 0.0 && *said.get_ref() <= 1.0 => *said.get_ref(),
            Some(said) => {
                let message = format!(
                    "{} is no share of a processor; write a number above 0 and up to 1, or enabled = false",
                    said.get_ref()
                );
                return Err(document.problem_at(said.span(), message));
            }
        };
        let orphans = match raw.orphans {
            None => None,
            Some(said) if said.get_ref().0 >= LEAST_AGE => Some(said.into_inner().0),
            Some(said) => {
                let message = "is too young: a commit that is under way may yet bring files in that are a day old; write \
                               \"24h\" or more, such as \"3d\"";
                return Err(document.problem_at(said.span(), message.to_owned()));
            }
        };
        let maintenance = Self {
            interval: or(raw.interval, Duration::from_secs(60)),
            hot_for: or(raw.hot_for, Duration::from_secs(600)),
            processor,
            read_rate: raw.read_rate.unwrap_or(Size::mib(64)).0,
            orphans,
        };
        Ok(raw.enabled.unwrap_or(true).then_some(maintenance))
    }
}
