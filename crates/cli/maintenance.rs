//! Maintenance beside `run`: `[maintenance]` in the configuration.

use std::collections::BTreeSet;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_ingest::observe::Observed;
use tabletopic_maintain::background::{Removal, Settings, Tables, keep_up};
use tabletopic_maintain::compact::{Done, Layout, Options};
use tabletopic_maintain::orphans::Means;
use tabletopic_maintain::pace::Share;
use tabletopic_maintain::retain::Retention;
use tabletopic_maintain::survey::Tally;
use tabletopic_offsets::Follower;
use tabletopic_replay::{Found, discard, found};
use tabletopic_table::follower::ident;
use tabletopic_table::storage::RequestCounts;

use crate::aside::Aside;
use crate::commands::maintain::memory;
use crate::config::{self, Config};
use crate::parts;

/// Bytes that are read at most for each file that queries need not open any more: see `docs/maintenance.md`.
const BYTES_PER_FILE: u64 = 32 << 20;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// `None`: the configuration wants none. What it was about to write when it ends is left to the removal of orphans.
///
/// # Errors
/// Those of making a thread.
pub fn start(
    config: &Config,
    requests: Arc<RequestCounts>,
    observed: Arc<Observed>,
) -> std::io::Result<Option<Aside>> {
    let Some(wanted) = &config.maintenance else {
        return Ok(None);
    };
    let settings = Settings {
        interval: wanted.interval,
        options: options(wanted),
        share: Share {
            processor: wanted.processor,
            bytes_per_second: wanted.read_rate,
        },
        memory: memory(config),
        orphans: wanted.orphans.map(|age| Removal {
            older_than: i64::try_from(age.as_millis()).unwrap_or(i64::MAX),
            first_after: HOUR,
            every: 24 * HOUR,
        }),
    };
    let config = config.clone();
    let work = async move || {
        let fed = Fed {
            config: &config,
            observed: &observed,
        };
        let compacted = |table: &TableIdent, done: &Done| {
            let Tally { files, bytes } = done.read;
            observed.compacted(table, done.outcome.as_str(), files, bytes);
        };
        // Connections of its own: those that are opened here wait while there is something to encode.
        match parts::open(&config, requests).await {
            Ok(opened) => {
                let means = Means {
                    lake: &opened.lake,
                    listing: opened.listing.as_ref(),
                };
                tokio::join!(
                    keep_up(means, &settings, &fed, &compacted),
                    remove_expired_replays(means, &fed),
                );
            }
            Err(error) => tracing::warn!("tables are not maintained: {error:#}"),
        }
    };
    Aside::start("maintenance", work).map(Some)
}

/// Removes replays whose time is over, at the start and then every hour. What fails is tried again then.
async fn remove_expired_replays(means: Means<'_>, fed: &Fed<'_>) {
    loop {
        match found(means.lake, None).await {
            Ok(all) => {
                let now = means.lake.clock.now();
                let feeds = fed.all();
                let is_over = |one: &&Found| one.has_expired(now) && !feeds.contains(&one.table);
                for one in all.iter().filter(is_over) {
                    match discard(means.lake, means.listing, &one.table).await {
                        Ok(_) => {
                            tracing::info!(table = %one.table, "the time of this replay is over: removed")
                        }
                        Err(error) => tracing::warn!("a replay is not removed yet: {error}"),
                    }
                }
            }
            Err(error) => tracing::warn!("replays whose time is over are not looked for now: {error}"),
        }
        tokio::time::sleep(HOUR).await;
    }
}

/// What it finds worth doing.
pub fn options(wanted: &config::Maintenance) -> Options {
    Options {
        target: None,
        hot_for: i64::try_from(wanted.hot_for.as_millis()).unwrap_or(i64::MAX),
        bytes_per_file: Some(BYTES_PER_FILE),
        layout: Layout::AsRead,
        old_specs: false,
    }
}

/// The tables of a service.
struct Fed<'a> {
    config: &'a Config,
    observed: &'a Observed,
}

impl Tables for Fed<'_> {
    /// Those that hold something, and their followers.
    fn all(&self) -> Vec<TableIdent> {
        let main = self.observed.tables().into_keys();
        main.flat_map(|table| {
            let followers = [Follower::DeadLetters, Follower::Ledger].map(|follower| ident(&table, follower));
            std::iter::once(table).chain(followers)
        })
        .collect()
    }

    /// What a topic says that feeds it.
    fn retention(&self, table: &TableIdent) -> Option<Retention> {
        let jobs = self.observed.jobs();
        let mut feeding = jobs.iter().filter(|job| job.table == *table);
        feeding.find_map(|job| {
            let matched = self.config.matched(slice::from_ref(&job.topic), &BTreeSet::new());
            let mut topics = self.config.topics.iter().chain(&matched.topics);
            let retain = topics
                .find(|topic| *topic.job == *job.id.as_str())?
                .retain
                .as_ref()?;
            Some(Retention {
                age: retain.age,
                column: Some(retain.column.clone()),
            })
        })
    }
}
