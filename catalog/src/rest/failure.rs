//! Requests that were not answered as they should be: what is known of each, and what it means.
//!
//! What a server says in the specification's error model is believed. Any other page may be a proxy's, which knows
//! nothing of what has become of the request behind it.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

use crate::{CatalogError, CommitOutcome};

/// Characters of a server's words that are passed on.
const LONGEST_WORDS: usize = 1000;

/// How often something that changes nothing is asked.
const ATTEMPTS: u32 = 4;
/// Before the second attempt; then twice as long each time.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no token to show. The request was not sent.
    NoToken {
        words: String,
        refused: bool,
    },
    /// There was no connection: the server knows nothing of it.
    NotSent(String),
    /// What the server wants to be sent can't be. Nothing was.
    Unusable(String),
    /// It may have been carried out, or still be.
    Unanswered(String),
    Refused(Refused),
}

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    /// In the error model.
    said: Option<Said>,
    retry_after: Option<Duration>,
}

#[derive(Debug, Deserialize)]
struct Model {
    error: Said,
}

#[derive(Debug, Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let seconds = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            status,
            said: serde_json::from_slice(body).ok().map(|Model { error }| error),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    /// The credentials are not good, or not good enough.
    pub(super) fn is_denial(&self) -> bool {
        matches!(self.status.as_u16(), 401 | 403 | 407 | 419)
    }

    /// The catalog itself says that it has no such thing.
    fn is_absence(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.said.is_some()
    }

    /// The same request may be good later.
    fn may_pass(&self) -> bool {
        let passing = matches!(self.status.as_u16(), 408 | 425 | 429) || self.status.is_server_error();
        passing || self.is_denial() || self.said.is_none()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it answers {}", self.status)?;
        match &self.said {
            Some(Said { message, kind }) => {
                let words = format!("{kind}: {message}");
                let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
                write!(f, ", {}", plain.take(LONGEST_WORDS).collect::<String>())?;
            }
            None if self.status.is_redirection() => {
                f.write_str(" and leads elsewhere; write the URI that it leads to")?;
            }
            None => f.write_str(" in words that are no catalog's")?,
        }
        match self.is_denial() {
            true => {
                f.write_str("; correct the credentials in [catalog.properties], or what they may do there")
            }
            false => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken { words, .. }
            | Self::NotSent(words)
            | Self::Unusable(words)
            | Self::Unanswered(words) => f.write_str(words),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl Failure {
    /// The server has said that there is no such thing.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.is_absence())
    }

    /// What was asked for still is the version that was known.
    pub(super) fn is_unchanged(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.status == StatusCode::NOT_MODIFIED)
    }

    /// There is something else already.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.status == StatusCode::CONFLICT && refused.said.is_some())
    }

    /// The server does not know such a request, or not with these parameters.
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(self, Self::Refused(refused) if matches!(refused.status.as_u16(), 400 | 406 | 422 | 501))
    }

    /// The server has understood the request, and will not carry it out as it is.
    pub(super) fn is_refusal(&self) -> bool {
        let passing = [408, 425, 429];
        matches!(self, Self::Refused(refused)
            if refused.status.is_client_error() && !passing.contains(&refused.status.as_u16()))
    }

    /// Credentials that are no good now.
    pub(super) fn is_denial(&self) -> bool {
        match self {
            Self::NoToken { refused, .. } => *refused,
            Self::Refused(refused) => refused.is_denial(),
            Self::NotSent(_) | Self::Unusable(_) | Self::Unanswered(_) => false,
        }
    }

    /// How long to wait before what changes nothing is asked again, for the `attempt`th time. `None`: no more.
    pub(super) fn pause(&self, attempt: u32) -> Option<Duration> {
        let said = match self {
            Self::NoToken { .. } | Self::Unusable(_) => return None,
            Self::NotSent(_) | Self::Unanswered(_) => None,
            Self::Refused(refused) => match refused.status.as_u16() {
                429 | 502 | 503 | 504 => refused.retry_after,
                _ => return None,
            },
        };
        let pause = said.unwrap_or(PAUSE * 2_u32.pow(attempt - 1));
        (attempt < ATTEMPTS).then(|| pause.min(LONGEST_PAUSE))
    }

    /// As an error of `catalog`, which is at `uri`.
    pub(super) fn of(self, catalog: &str, uri: &str, operation: String) -> CatalogError {
        let catalog = catalog.to_owned();
        match self {
            Self::Refused(refused) if !refused.may_pass() => CatalogError::Rejected {
                catalog,
                operation,
                reason: refused.to_string(),
            },
            Self::Unusable(words) => CatalogError::Rejected {
                catalog,
                operation,
                reason: words,
            },
            passing => CatalogError::Unavailable {
                catalog,
                operation,
                reason: passing.to_string(),
                check: format!("the catalog at {uri}"),
                source: None,
            },
        }
    }

    /// As the outcome of a commit. Only what proves that nothing was changed is anything but `Unknown`
    /// (`open-api/rest-catalog-open-api.yaml`, `updateTable`: after 500, 502 and 504 the state is unknown; a proxy that
    /// has lost its server answers 503, too).
    pub(super) fn outcome<T>(self) -> CommitOutcome<T> {
        let words = self.to_string();
        match self {
            Self::NoToken { .. } | Self::NotSent(_) => CommitOutcome::Unavailable(words),
            Self::Unusable(_) => CommitOutcome::Rejected(words),
            Self::Unanswered(_) => CommitOutcome::Unknown(words),
            Self::Refused(refused) => match refused.status.as_u16() {
                429 => CommitOutcome::Unavailable(words),
                _ if refused.is_denial() => CommitOutcome::Unavailable(words),
                413 | 414 | 431 => CommitOutcome::Rejected(words),
                _ if refused.may_pass() => CommitOutcome::Unknown(words),
                // The table is gone, or something is required of it that does not hold.
                404 | 409 | 412 => CommitOutcome::Conflict(words),
                _ => CommitOutcome::Rejected(words),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        Failure::Refused(Refused::new(status, &HeaderMap::new(), body.as_bytes()))
    }

    const MODEL: &str = r#"{"error":{"message":"no\nmore","type":"SomeException","code":1}}"#;

    #[test]
    fn only_what_is_proven_is_more_than_unknown() {
        for (status, body, expected) in [
            (409, MODEL, "Conflict"),
            (404, MODEL, "Conflict"),
            (412, MODEL, "Conflict"),
            (400, MODEL, "Rejected"),
            (422, MODEL, "Rejected"),
            (413, "<html>", "Rejected"),
            (401, MODEL, "Unavailable"),
            (403, "<html>", "Unavailable"),
            (429, "", "Unavailable"),
            (500, MODEL, "Unknown"),
            (502, MODEL, "Unknown"),
            (503, MODEL, "Unknown"),
            (504, MODEL, "Unknown"),
            (408, MODEL, "Unknown"),
            // Somebody in between.
            (404, "<html>", "Unknown"),
            (409, "{}", "Unknown"),
            (400, "", "Unknown"),
            (301, "", "Unknown"),
        ] {
            let outcome: CommitOutcome<()> = refused(status, body).outcome();
            let name = format!("{outcome:?}");
            assert!(name.starts_with(expected), "{status} {body}: {name}");
        }
        let unsent: CommitOutcome<()> = Failure::NotSent(String::new()).outcome();
        assert!(matches!(unsent, CommitOutcome::Unavailable(_)));
        let unanswered: CommitOutcome<()> = Failure::Unanswered(String::new()).outcome();
        assert!(matches!(unanswered, CommitOutcome::Unknown(_)));
    }

    #[test]
    fn a_server_is_quoted_in_one_line_and_not_for_ever() {
        let said = refused(409, MODEL).to_string();
        assert_eq!(said, "it answers 409 Conflict, SomeException: no more");
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(100_000));
        assert!(refused(400, &long).to_string().len() < 2 * LONGEST_WORDS);
    }

    #[test]
    fn what_is_asked_again_is_bounded() {
        let busy = |seconds: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(seconds))]);
            Failure::Refused(Refused::new(StatusCode::SERVICE_UNAVAILABLE, &headers, b""))
        };
        assert_eq!(busy("2").pause(1), Some(Duration::from_secs(2)));
        assert_eq!(busy("86400").pause(1), Some(LONGEST_PAUSE));
        assert_eq!(busy("tomorrow").pause(1), Some(PAUSE));
        assert_eq!(busy("0").pause(ATTEMPTS), None);
        let broken = Failure::Unanswered(String::new());
        let pauses: Vec<_> = (1..=ATTEMPTS).map(|attempt| broken.pause(attempt)).collect();
        assert_eq!(pauses, [Some(PAUSE), Some(PAUSE * 2), Some(PAUSE * 4), None]);
        for status in [400, 401, 404, 409, 500] {
            assert_eq!(refused(status, MODEL).pause(1), None, "{status}");
        }
    }
}
