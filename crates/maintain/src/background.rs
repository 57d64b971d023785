//! Maintenance beside the ingest: rounds over its tables, one after the other, within a share of the machine.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;
use tokio::time::Instant;

use crate::compact::{Done, Known, Means, Options, Outcome, Round, carry_out};
use crate::manifests::{self, Look, Policy};
use crate::pace::Share;
use crate::retain::{Retention, retain};
use crate::{Allowance, MaintainError};

/// Looking at the tables takes at most one part in so many of the time.
const LOOKING: u32 = 20;

/// How it is done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Between two rounds, at least.
    pub interval: Duration,
    pub options: Options,
    pub share: Share,
    pub memory: Allowance,
}

/// For so long a file is left alone that could not be rewritten: an outage may have been the cause.
const UNFIT_FOR: Duration = Duration::from_secs(60 * 60);

/// Between two times that a table's manifests are rewritten, at least.
const MANIFESTS_EVERY: Duration = Duration::from_secs(10 * 60);

/// Between two looks for rows that are too old.
const RETENTION_EVERY: Duration = Duration::from_secs(10 * 60);

/// What earlier rounds have found of a table.
#[derive(Debug, Default)]
struct Found {
    /// Where nothing was left to do until somebody commits, or where it went wrong.
    settled_at: Option<String>,
    /// Files that could not be rewritten.
    unfit: HashMap<String, Instant>,
    /// When its manifests were rewritten, or could not be.
    manifests: Option<Instant>,
    /// When rows that are too old were looked for.
    retained: Option<Instant>,
}

/// What is maintained.
pub trait Tables: Sync {
    /// Those that there are by now.
    fn all(&self) -> Vec<TableIdent>;

    /// For how long a table keeps its rows; `None` for good.
    fn retention(&self, table: &TableIdent) -> Option<Retention>;
}

/// Goes on until it is dropped. `told` hears of each piece.
pub async fn keep_up(
    lake: &Lake,
    settings: &Settings,
    tables: &dyn Tables,
    told: &(dyn Fn(&TableIdent, &Done) + Sync),
) {
    let mut found = HashMap::<TableIdent, Found>::new();
    let mut looked = Duration::ZERO;
    loop {
        tokio::time::sleep(settings.interval.max(looked * LOOKING)).await;
        looked = Duration::ZERO;
        for table in tables.all() {
            let found = found.entry(table.clone()).or_default();
            // What leaves need not be merged before.
            if let Some(retention) = tables.retention(&table) {
                retained(lake, &table, &retention, found).await;
            }
            let began = Instant::now();
            found.unfit.retain(|_, since| since.elapsed() < UNFIT_FOR);
            let round = {
                let known = Known {
                    settled_at: found.settled_at.as_ref(),
                    unfit: &|path| found.unfit.contains_key(path),
                };
                Round::of(lake, &table, &settings.options, &known, &LogWaiting).await
            };
            looked += began.elapsed();
            let round = match round {
                Ok(Some(round)) => round,
                Ok(None) => continue,
                // A follower that nothing was written to yet.
                Err(error) if error.is_no_such_table() => continue,
                Err(error) => {
                    tell(&table, &error);
                    continue;
                }
            };
            compacted(lake, settings, &round, found, told).await;
            if found
                .manifests
                .is_none_or(|since| since.elapsed() > MANIFESTS_EVERY)
            {
                arranged(lake, settings, &table, found).await;
            }
        }
    }
}

/// Has rows leave that are too old, now and then.
async fn retained(lake: &Lake, table: &TableIdent, retention: &Retention, found: &mut Found) {
    if found
        .retained
        .is_some_and(|since| since.elapsed() < RETENTION_EVERY)
    {
        return;
    }
    match retain(lake, table, retention, &LogWaiting).await {
        Ok((left, Some(snapshot_id))) => {
            let (rows, files) = (left.rows, left.data_files);
            tracing::info!(%table, rows, files, snapshot_id, "rows that are too old have left");
        }
        Ok((_, None)) => {}
        Err(error) => tell(table, &error),
    }
    found.retained = Some(Instant::now());
}

/// Does what a round found worth doing.
async fn compacted(
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
        tell(table, &error);
        // The same would go wrong again.
        found.settled_at = (!error.is_transient()).then(|| location.clone());
    }
    let unfit = unfit.into_inner().unwrap_or_else(PoisonError::into_inner);
    found
        .unfit
        .extend(unfit.into_iter().map(|file| (file, Instant::now())));
}

/// Rewrites a table's manifests, if that is worth it.
async fn arranged(lake: &Lake, settings: &Settings, table: &TableIdent, found: &mut Found) {
    let look = match Look::at(lake, table, &Policy::BACKGROUND, &LogWaiting).await {
        Ok(Some(look)) if !look.groups.is_empty() => look,
        Ok(_) => return,
        Err(error) => {
            tell(table, &error);
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
        // The next round looks again.
        Ok(manifests::Outcome::Dropped { why }) => {
            tracing::debug!(%table, "manifests are not rewritten: {why}");
            return;
        }
        Ok(manifests::Outcome::Nothing) => {}
        Err(error) => tell(table, &error),
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

/// A halt is told by the committer of the table, which sees it as well.
fn tell(table: &TableIdent, error: &MaintainError) {
    tracing::warn!(%table, "it is not maintained for now: {error}");
}
