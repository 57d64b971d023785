//! Maintenance beside the ingest: rounds over its tables, one after the other, within a share of the machine.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;
use tokio::time::Instant;

use crate::compact::{Done, Means, Options, Outcome, Round, carry_out};
use crate::pace::Share;
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

/// Goes on until it is dropped. `tables` says which there are by now; `told` hears of each piece.
pub async fn keep_up(
    lake: &Lake,
    settings: &Settings,
    tables: &(dyn Fn() -> Vec<TableIdent> + Sync),
    told: &(dyn Fn(&TableIdent, &Done) + Sync),
) {
    // Where tables stand that nothing is to be done for until somebody commits to them.
    let mut quiet = HashMap::<TableIdent, String>::new();
    let mut rest = settings.interval;
    loop {
        tokio::time::sleep(rest).await;
        rest = settings.interval;
        for table in tables() {
            let began = Instant::now();
            let round = match Round::of(lake, &table, &settings.options, quiet.get(&table), &LogWaiting).await
            {
                Ok(round) => round,
                // A follower that nothing was written to yet.
                Err(error) if error.is_no_such_table() => continue,
                Err(error) => {
                    tell(&table, &error);
                    continue;
                }
            };
            rest = rest.max(began.elapsed() * LOOKING);
            let Some(round) = round else { continue };
            if round.pieces.is_empty() && !round.waits {
                quiet.insert(table, round.survey.table.metadata_location.clone());
                continue;
            }
            if let Err(error) = one(lake, settings, &round, &|done| told(&table, &done)).await {
                tell(&table, &error);
            }
        }
    }
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
            Outcome::Skipped { why } => {
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
