//! Maintenance beside the ingest: rounds over its tables, one after the other, within a share of the machine.

mod found;
mod steps;

use std::collections::HashMap;
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_clock::Millis;
use tabletopic_table::commit::LogWaiting;
use tokio::time::Instant;

use crate::Allowance;
use crate::compact::{Done, Known, Options, Round};
use crate::orphans::Means;
use crate::pace::Share;
use crate::retain::Retention;
use found::Found;
use steps::{MANIFESTS_EVERY, arranged, compacted, retained, swept};

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
    /// `None`: orphans stay.
    pub orphans: Option<Removal>,
}

/// The removal of files that nothing leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    pub older_than: Millis,
    /// Before the first: a process that is started again and again lists no folder each time.
    pub first_after: Duration,
    /// Between two.
    pub every: Duration,
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
    means: Means<'_>,
    settings: &Settings,
    tables: &dyn Tables,
    told: &(dyn Fn(&TableIdent, &Done) + Sync),
) {
    let lake = means.lake;
    let start = Instant::now();
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
            if let Some(removal) = &settings.orphans {
                swept(means, removal, &table, start, found).await;
            }
            let began = Instant::now();
            found.forget_old();
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
                    found.tell(&table, &error);
                    continue;
                }
            };
            found.went_well();
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
