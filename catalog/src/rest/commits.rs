//! Commits. The server builds the new metadata; what is required of the table is in the request, and nothing else is
//! checked against the base.
//!
//! A commit is sent once. Where the server takes a key with it, one whose answer is lost is sent again under that key.

use bytes::Bytes;
use http::Method;
use iceberg::TableUpdate;

use super::RestClient;
use super::bodies::{CommitTable, json};
use super::connection::Asked;
use super::keys;
use crate::change::check_schema_readable;
use crate::{CommitOutcome, LoadedTable, TableChange};

impl RestClient {
    pub(super) async fn commit_to(&self, base: &LoadedTable, change: &TableChange) -> CommitOutcome {
        let (path, body) = match self.request(base, change) {
            Ok(request) => request,
            Err(words) => return CommitOutcome::Rejected(words),
        };
        let keyed = self.keys.as_ref().and_then(|keys| Some((keys, keys.next()?)));
        let asked = Asked {
            method: Method::POST,
            url: self.connection.url(&path, None),
            headers: keyed
                .iter()
                .map(|(_, key)| (keys::HEADER, key.value.clone()))
                .collect(),
            body: Some(body),
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let answer = self.connection.send(&asked).await;
            let failure = match answer.and_then(|answer| self.loaded(&base.ident, &answer)) {
                Ok(table) => return CommitOutcome::Applied(table),
                Err(failure) => failure,
            };
            let is_known = keyed.as_ref().is_some_and(|(keys, key)| keys.is_good(key));
            let pause = failure.pause(attempt).filter(|_| is_known);
            let outcome = match attempt {
                1 => failure.outcome(),
                _ => of_one_sent_again(failure.outcome()),
            };
            match (outcome, pause) {
                (CommitOutcome::Unknown(_), Some(pause)) => tokio::time::sleep(pause).await,
                (outcome, _) => return outcome,
            }
        }
    }

    /// # Errors
    /// In words: nobody could load the table any more, or it has a name that no path can have.
    fn request(&self, base: &LoadedTable, change: &TableChange) -> Result<(String, Bytes), String> {
        for update in &change.updates {
            if let TableUpdate::AddSchema { schema } = update {
                check_schema_readable(schema).map_err(|error| error.to_string())?;
            }
        }
        let body = CommitTable::new(base.ident.clone().into(), change);
        Ok((self.paths.table(&base.ident)?, json(&body)?))
    }
}

/// Where the answer to the first was lost, only success proves anything: a server that knows the key no more, after a
/// restart for example, refuses the second because of the first.
fn of_one_sent_again(outcome: CommitOutcome) -> CommitOutcome {
    match outcome {
        CommitOutcome::Applied(table) => CommitOutcome::Applied(table),
        CommitOutcome::Conflict(words)
        | CommitOutcome::Rejected(words)
        | CommitOutcome::Unavailable(words)
        | CommitOutcome::Unknown(words) => CommitOutcome::Unknown(words),
    }
}
