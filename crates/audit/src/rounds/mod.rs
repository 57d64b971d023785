//! Verification beside the ingest: rounds over its tables, one after the other. A round judges what is younger than the
//! snapshot that the last one found good, and now and then the whole table (`docs/verify.md`).

mod known;
mod told;

use std::collections::HashMap;
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_catalog::CatalogError;
use tabletopic_table::commit::CommitError;
use tokio::time::Instant;

use crate::verify::{Means, Verdict, VerifyError, verify};
use known::{Came, Known};
use told::Told;

/// The first round begins as early as this, so that a process which is started every day verifies its tables too.
const FIRST_AFTER: Duration = Duration::from_secs(10 * 60);

/// When tables are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// From the end of a round to the next one.
    pub every: Duration,
    /// Older files are judged again after so long.
    pub whole_every: Duration,
}

/// Whose tables are verified.
pub trait Service: Sync {
    /// Those that hold something, each with our newest snapshot in it.
    fn tables(&self) -> Vec<(TableIdent, i64)>;

    /// Is told of each verdict.
    fn judged(&self, table: &TableIdent, verdict: &Verdict);
}

/// What is known of one table.
#[derive(Default)]
struct Table {
    known: Known,
    told: Told,
}

/// Goes on until it is dropped. What is found is told, and halts nothing.
pub async fn keep_verifying(means: &Means<'_>, settings: &Settings, service: &dyn Service) {
    let mut tables = HashMap::<TableIdent, Table>::new();
    let mut pause = settings.every.min(FIRST_AFTER);
    loop {
        tokio::time::sleep(pause).await;
        pause = settings.every;
        for (ident, newest) in service.tables() {
            let table = tables.entry(ident.clone()).or_default();
            judge(means, settings, service, &ident, newest, table).await;
        }
    }
}

async fn judge(
    means: &Means<'_>,
    settings: &Settings,
    service: &dyn Service,
    ident: &TableIdent,
    newest: i64,
    table: &mut Table,
) {
    let began = Instant::now();
    let mut since = table.known.since(began, settings.whole_every);
    let mut verdict = verify(means, ident, since).await;
    if since.is_some() && verdict.as_ref().is_err_and(rests_on_nothing) {
        // That snapshot has left, or its verdict is not of what is there now.
        since = None;
        verdict = verify(means, ident, since).await;
    }
    match verdict {
        Ok(verdict) => {
            table.known.came(Came::of(&verdict), newest, since, began);
            table.told.verdict(ident, &verdict);
            service.judged(ident, &verdict);
        }
        // It was there a moment ago: somebody has dropped it, and its committer says so.
        Err(VerifyError::Commit(CommitError::Catalog(CatalogError::NotFound { .. }))) => {}
        Err(error) => table.told.error(ident, &error),
    }
}

fn rests_on_nothing(error: &VerifyError) -> bool {
    match error {
        VerifyError::NoSuchSnapshot { .. } | VerifyError::TakenBack { .. } => true,
        VerifyError::Commit(_) | VerifyError::Read(_) | VerifyError::Store(_) => false,
    }
}
