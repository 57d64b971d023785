//! `[verify]`: `run` verifies its tables beside the ingest.

use std::time::Duration;

use super::document::Document;
use super::error::Problem;
use super::raw;
use super::units::Interval;

/// How often, and how much of the machine it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Verify {
    pub every: Duration,
    /// How often older files are judged again.
    pub whole_every: Duration,
    /// Of one processor, above 0 and at most 1.
    pub processor: f64,
}

impl Verify {
    /// `None`: tables are verified by hand.
    pub fn validate(raw: raw::Verify, document: &Document<'_>) -> Result<Option<Self>, Problem> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let processor = match raw.processor {
            None => 0.25,
            Some(said) if *said.get_ref() > 0.0 && *said.get_ref() <= 1.0 => *said.get_ref(),
            Some(said) => {
                let message = format!(
                    "{} is no share of a processor; write a number above 0 and up to 1, or leave `every` out",
                    said.get_ref()
                );
                return Err(document.problem_at(said.span(), message));
            }
        };
        Ok(raw.every.map(|Interval(every)| Self {
            every,
            whole_every: raw.whole_every.map_or(DAY, |Interval(said)| said),
            processor,
        }))
    }
}
