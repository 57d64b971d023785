//! The report from the tables and the broker alone, with no running process: for `tabletopic status`.
//!
//! It finds the halts that follow from what a table holds and what the broker has. A bad record, a log that was cut
//! and written again, and what a catalog refuses are known only to the process that met them.

use std::collections::BTreeSet;

use iceberg::TableIdent;
use tabletopic_catalog::CatalogError;
use tabletopic_offsets::{JobId, TableState};
use tabletopic_source::PartitionError;
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError, Halt, check_standing, make_room};
use tabletopic_table::follower::positions::positions;
use thiserror::Error;

use super::observed::Observed;
use super::report::{Report, Source};
use super::{Heard, Metrics, freshness};
use crate::ask_broker::AskBroker;
use crate::diagnose::{lost_history, lost_position, other_topic};
use crate::halts::{Scope, Why};
use crate::job::Job;
use crate::lane::Lane;
use crate::patterns::Matched;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum LookError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// Looks at the tables of jobs and asks the broker once. Topics that were refused are among the halts. Where the brokers can't be reached, the report says so and
/// has the rest. `resolve` as in [`Observed::new`].
///
/// # Errors
/// The catalog or the store can't be read.
pub async fn look(
    lake: &Lake,
    broker: &dyn AskBroker,
    Matched { jobs, refused }: Matched,
    resolve: String,
) -> Result<Report, LookError> {
    let metrics = Metrics::register(&prometheus::Registry::new())?;
    let observed = Observed::new(jobs, lake.clock.clone(), metrics, resolve);
    for (topic, why) in refused {
        let scope = Scope::Topic {
            job: JobId::new(&*topic),
        };
        observed.halts.note(scope, why.into());
    }
    let tables: BTreeSet<TableIdent> = observed.jobs().iter().map(|job| job.table.clone()).collect();
    for table in &tables {
        look_at_table(lake, table, &observed).await?;
    }
    observed.refresh(broker).await;
    let heard = observed.heard();
    for job in &observed.jobs() {
        look_at_topic(job, broker, &heard, &observed).await;
    }
    Ok(observed.report_of(Source::Tables))
}

async fn look_at_table(lake: &Lake, table: &TableIdent, observed: &Observed) -> Result<(), CommitError> {
    let loaded = match lake.catalog.load(table).await {
        Ok(loaded) => loaded,
        Err(CatalogError::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let halted = |halt: &Halt| {
        observed
            .halts
            .note(Scope::Table { table: table.clone() }, Why::from(halt));
    };
    let base = match Base::<TableState>::read(loaded) {
        Ok(base) => base,
        Err(halt) => {
            halted(&halt);
            return Ok(());
        }
    };
    observed.saw(&base);
    observed.newest_record(table, freshness::of_last_commit(lake, &base.table).await?);
    match check_standing(lake, &base).await {
        Ok(()) => {}
        Err(CommitError::Halt(halt)) => halted(&halt),
        Err(error) => return Err(error),
    }
    if let Some(state) = base.state() {
        let followers = positions(lake, table).await?;
        let room = make_room(table, &mut state.outbox.clone(), &followers, lake.clock.now());
        room.unwrap_or_else(|full| halted(&full));
    }
    Ok(())
}

/// Whether a topic is still the one that fed the table, and has what the table does not hold.
async fn look_at_topic(job: &Job, broker: &dyn AskBroker, heard: &Heard, observed: &Observed) {
    let state = observed.tables().remove(&job.table).map(|seen| seen.state);
    let Some(state) = state.as_ref().and_then(|state| state.job(&job.id)) else {
        return;
    };
    let halted = |why: Why| {
        observed.halts.note(Scope::Topic { job: job.id.clone() }, why);
    };
    match broker.describe(&job.topic).await {
        Ok(Ok(found)) if state.identity.agrees(&found.identity) => {}
        Ok(Ok(found)) => return halted(other_topic(&job.table, &state.identity, &found.identity)),
        Ok(Err(error @ (PartitionError::UnknownTopicOrPartition | PartitionError::Unauthorized))) => {
            return halted(format!("topic {}: {error}", job.topic).into());
        }
        // The round of questions has told that they can't be reached.
        Ok(Err(_)) | Err(_) => return,
    }
    for (number, partition) in &state.partitions {
        let tp = state.topic_partition(*number);
        let Some(Ok(found)) = heard.partitions.get(&(job.id.clone(), tp.clone())) else {
            continue;
        };
        let id = || job.id.clone();
        if let Some(why) = lost_position(&job.table, &tp, found.next, found.log) {
            let scope = Scope::of_reader(id(), *number, Lane::Live);
            observed.halts.note(scope, why);
        }
        let left = partition.progress.backfill();
        if let Some(why) = left.and_then(|left| lost_history(&job.table, &tp, left, found.log)) {
            let scope = Scope::of_reader(id(), *number, Lane::Backfill);
            observed.halts.note(scope, why);
        }
    }
}
