//! What is done to one table in a round.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;
use tokio::time::Instant;

use super::found::Found;
use super::{Removal, Settings};
use crate::MaintainError;
use crate::compact::{Done, Means, Outcome, Round, carry_out};
use crate::manifests::{self, Look, Policy};
use crate::orphans;
use crate::retain::{Leaving, Retention, leaving, retain};
use crate::survey::Tally;

/// Between two times that a table's manifests are rewritten, at least.
pub const MANIFESTS_EVERY: Duration = Duration::from_secs(10 * 60);

/// Between two looks for rows that are too old.
const RETENTION_EVERY: Duration = Duration::from_secs(10 * 60);

/// Has rows leave that are too old, now and then.
pub async fn retained(lake: &Lake, table: &TableIdent, retention: &Retention, found: &mut Found) {
    if found
        .retained
        .is_some_and(|since| since.elapsed() < RETENTION_EVERY)
    {
        return;
    }
    found.retained = Some(Instant::now());
    match leaving(lake, table, retention, &LogWaiting).await {
        Ok(Leaving { data_files: 0, .. }) => return,
        // A clock that is far ahead would have the whole table leave, and nobody was asked.
        Ok(Leaving { all: true, .. }) => {
            let words = "no row of it would stay; if the clock of this host is right, have them leave by \
                         `tabletopic retain`";
            found.tell(table, &words);
            return;
        }
        Ok(_) => {}
        Err(error) => {
            found.tell(table, &error);
            return;
        }
    }
    match retain(lake, table, retention, &LogWaiting).await {
        Ok((left, Some(snapshot_id))) => {
            let (rows, files) = (left.rows, left.data_files);
            tracing::info!(%table, rows, files, snapshot_id, "rows that are too old have left");
        }
        Ok((_, None)) => {}
        Err(error) => found.tell(table, &error),
    }
}

/// Removes what nothing leads to, now and then.
pub async fn swept(
    means: orphans::Means<'_>,
    removal: &Removal,
    table: &TableIdent,
    began: Instant,
    found: &mut Found,
) {
    let due = match found.swept {
        Some(since) => since.elapsed() >= removal.every,
        None => began.elapsed() >= removal.first_after,
    };
    if !due {
        return;
    }
    match orphans::remove(means, table, removal.older_than, &LogWaiting, &Silent).await {
        Ok(orphans::Found { sum, .. }) if sum.files > 0 => {
            tracing::info!(%table, files = sum.files, bytes = sum.bytes, "removed files that nothing leads to");
        }
        Ok(_) => {}
        Err(error) => found.tell(table, &error),
    }
    found.swept = Some(Instant::now());
}

/// Nobody looks on.
struct Silent;

impl orphans::Progress for Silent {
    fn begins(&self, _all: Tally) {}

    fn removed(&self, _some: Tally) {}
}

/// Does what a round found worth doing.
pub async fn compacted(
    lake: &Lake,
    settings: &Settings,
    round: &Round,
    found: &mut Found,
    told: &(dyn Fn(&TableIdent, &Done) + Sync),
) {
    let table = &round.survey.table.ident;
    let location = &round.survey.table.metadata_location;
    if round.pieces.is_empty() {
        found.settled_at = (!round.waits).then(|| location.clone());
        return;
    }
    let unfit = Mutex::new(Vec::new());
    let done = |done: Done| {
        if let Outcome::Skipped { file: Some(file), .. } = &done.outcome {
            unfit
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(file.clone());
        }
        told(table, &done);
    };
    if let Err(error) = one(lake, settings, round, &done).await {
        found.tell(table, &error);
        // The same would go wrong again.
        found.settled_at = (!error.is_transient()).then(|| location.clone());
    }
    let unfit = unfit.into_inner().unwrap_or_else(PoisonError::into_inner);
    found
        .unfit
        .extend(unfit.into_iter().map(|file| (file, Instant::now())));
}

/// Rewrites a table's manifests, if that is worth it.
pub async fn arranged(lake: &Lake, settings: &Settings, table: &TableIdent, found: &mut Found) {
    let look = match Look::at(lake, table, &Policy::BACKGROUND, &LogWaiting).await {
        Ok(Some(look)) if !look.groups.is_empty() => look,
        Ok(_) => return,
        Err(error) => {
            found.tell(table, &error);
            return;
        }
    };
    match manifests::rewrite(lake, &look, &settings.share, &LogWaiting).await {
        Ok(manifests::Outcome::Committed {
            snapshot_id,
            replaced,
            written,
        }) => {
            tracing::info!(%table, manifests = replaced, into = written, snapshot_id, "rewrote manifests");
        }
        Ok(manifests::Outcome::Dropped { why }) => {
            tracing::debug!(%table, "manifests are not rewritten: {why}");
        }
        Ok(manifests::Outcome::Nothing) => {}
        Err(error) => found.tell(table, &error),
    }
    found.manifests = Some(Instant::now());
}

async fn one(
    lake: &Lake,
    settings: &Settings,
    round: &Round,
    done: &(dyn Fn(Done) + Sync),
) -> Result<(), MaintainError> {
    let means = Means {
        lake,
        waiting: &LogWaiting,
        memory: &settings.memory,
        pace: Arc::new(settings.share),
        // Files are only merged here.
        sort_memory: 0,
    };
    let table = &round.survey.table.ident;
    let told = |piece: Done| {
        let (files, bytes, partition) = (piece.read.files, piece.read.bytes, &piece.partition);
        match &piece.outcome {
            Outcome::Committed { snapshot_id, written } => {
                let into = written.files;
                tracing::info!(%table, partition, files, bytes, into, snapshot_id, "compacted");
            }
            Outcome::Dropped { why } => tracing::debug!(%table, partition, files, "not compacted: {why}"),
            Outcome::Skipped { why, .. } => {
                tracing::warn!(%table, partition, files, "cannot be compacted: {why}")
            }
            Outcome::Planned { .. } => {}
        }
        done(piece);
    };
    carry_out(&means, round, NonZeroUsize::MIN, &told).await
}
