//! `--until-end`: leave once the tables hold everything up to the ends seen at the start.
//!
//! Each process looks at the ends itself, and leaves when the *table's* progress has passed them for every
//! partition, whoever read it, and no backfill is left behind them. So all processes of a group leave, one without
//! partitions too, and what a process promised holds whatever became of the others.

use std::sync::Arc;

use tabletopic_offsets::{JobState, TableState, TopicPartition};
use tabletopic_table::commit::{Base, check_standing};

use super::start::Prepared;
use super::tables::Tables;
use super::{Ended, Parts, RunError, Topics};
use crate::ask_broker::{AskBroker, every_log};
use crate::halts::Scope;
use crate::job::Job;
use crate::lane::Lane;
use crate::worker::Ends;

/// Looks at the ends: of every partition, or of those that the configuration names.
pub async fn ends(broker: &dyn AskBroker, jobs: &[Arc<Job>], topics: &Topics) -> Result<Ends, RunError> {
    let mut ends = Ends::new();
    for job in jobs {
        let mut partitions = topics.partitions(&job.topic);
        if let Some(named) = &job.partitions {
            partitions.retain(|tp| named.contains(&tp.partition));
        }
        let logs = every_log(broker, &partitions).await?;
        let end = |(tp, log): (&TopicPartition, tabletopic_source::LogOffsets)| (tp.partition, log.end);
        ends.insert(job.id.clone(), partitions.iter().zip(logs).map(end).collect());
    }
    Ok(ends)
}

/// Whether it is time to leave, and how that counts. Progress in a topic that was deleted since says nothing about
/// the one whose ends these are.
pub async fn reached(parts: &Parts, prepared: &Prepared, tables: &Tables, ends: &Ends) -> Option<Ended> {
    let mut halted = false;
    for job in prepared.ready.iter().chain(&prepared.late) {
        let wanted = ends.get(&job.id)?;
        let halts = |partition: i32, lane: Lane| {
            let of_reader = Scope::of_reader(job.id.clone(), partition, lane);
            parts.observed.halts.has(|scope| match scope {
                Scope::Table { table } => *table == job.table,
                Scope::Topic { job: stopped } => *stopped == job.id,
                Scope::Partition { .. } | Scope::Backfill { .. } => *scope == of_reader,
            })
        };
        let state = state(parts, job).await;
        let same_topic = |job: &&JobState| {
            prepared
                .topics
                .identity(&job.identity.topic)
                .is_some_and(|topic| topic.agrees(&job.identity))
        };
        let held_job = state
            .as_ref()
            .and_then(|state| state.job(&job.id))
            .filter(same_topic);
        for (partition, end) in wanted {
            let held = held_job.and_then(|job| job.partitions.get(partition));
            let waits = || *end == 0 && tables.wait_for_a_record(&job.id);
            let is_read = held.is_some_and(|held| held.progress.live_end() >= *end) || waits();
            let is_filled = held.is_none_or(|held| held.progress.backfill().is_none());
            for (lane, done) in [(Lane::Live, is_read), (Lane::Backfill, is_filled)] {
                if done {
                    continue;
                }
                if !halts(*partition, lane) {
                    return None;
                }
                halted = true;
            }
        }
    }
    Some(if halted { Ended::Halted } else { Ended::ReachedEnd })
}

/// The table's state, section 4 passed.
async fn state(parts: &Parts, job: &Job) -> Option<TableState> {
    let table = parts.lake.catalog.load(&job.table).await.ok()?;
    let base = Base::<TableState>::read(table).ok()?;
    check_standing(&parts.lake, &base).await.ok()?;
    base.tagged.map(|tagged| tagged.state)
}
