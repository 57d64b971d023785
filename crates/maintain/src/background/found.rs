//! What is known of a table from one round to the next.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use iceberg::TableIdent;
use tokio::time::Instant;

/// For so long a file is left alone that could not be rewritten: an outage may have been the cause.
const UNFIT_FOR: Duration = Duration::from_secs(60 * 60);

/// What earlier rounds have found of a table.
#[derive(Debug, Default)]
pub struct Found {
    /// Where nothing was left to do until somebody commits, or where it went wrong.
    pub settled_at: Option<String>,
    /// Files that could not be rewritten.
    pub unfit: HashMap<String, Instant>,
    /// When its manifests were rewritten, or could not be.
    pub manifests: Option<Instant>,
    /// When rows that are too old were looked for.
    pub retained: Option<Instant>,
    /// When orphans were looked for.
    pub swept: Option<Instant>,
    /// What was told last that keeps it from being maintained.
    told: Option<String>,
}

impl Found {
    pub fn forget_old(&mut self) {
        self.unfit.retain(|_, since| since.elapsed() < UNFIT_FOR);
    }

    /// Tells what keeps the table from being maintained: in a warning the first time, since each round finds it again. A
    /// halt is told by the committer of the table, too.
    pub fn tell(&mut self, table: &TableIdent, error: &dyn Display) {
        let words = error.to_string();
        if self.told.as_ref() == Some(&words) {
            tracing::debug!(%table, "it is still not maintained: {words}");
        } else {
            tracing::warn!(%table, "it is not maintained for now: {words}");
            self.told = Some(words);
        }
    }

    pub fn went_well(&mut self) {
        self.told = None;
    }
}
