//! Commits. The server builds the new metadata; what is required of the table is in the request, and nothing else is
//! checked against the base.

use bytes::Bytes;
use http::Method;
use iceberg::TableUpdate;

use super::RestClient;
use super::bodies::{CommitTable, json};
use super::connection::Asked;
use crate::change::check_schema_readable;
use crate::{CommitOutcome, LoadedTable, TableChange};

impl RestClient {
    pub(super) async fn commit_to(&self, base: &LoadedTable, change: &TableChange) -> CommitOutcome {
        let (path, body) = match self.request(base, change) {
            Ok(request) => request,
            Err(words) => return CommitOutcome::Rejected(words),
        };
        let asked = Asked {
            method: Method::POST,
            path: &path,
            query: None,
            body: Some(body),
        };
        let answer = self.connection.send(&asked).await;
        match answer.and_then(|answer| self.loaded(&base.ident, &answer)) {
            Ok(table) => CommitOutcome::Applied(table),
            Err(failure) => failure.outcome(),
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
