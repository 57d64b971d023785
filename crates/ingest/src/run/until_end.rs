//! `--until-end`: leave once the tables hold everything up to the ends seen at the start.
//!
//! Each process looks at the ends itself, and leaves when the *table's* progress has passed them for every
//! partition, whoever read it. So all processes of a group leave, one without partitions too, and what a process
//! promised holds whatever became of the others.

use std::sync::Arc;

use tabletopic_offsets::TableState;
use tabletopic_table::commit::{Base, check_standing};

use super::start::Topics;
use super::{Ended, Parts, RunError};
use crate::ask_broker::{AskBroker, log_offsets};
use crate::halts::Scope;
use crate::job::Job;
use crate::worker::Ends;

/// Looks at the ends.
pub async fn ends(broker: &dyn AskBroker, jobs: &[Arc<Job>], topics: &Topics) -> Result<Ends, RunError> {
    let mut ends = Ends::new();
    for job in jobs {
        let partitions = topics.partitions(&job.topic);
        let logs = log_offsets(broker, &partitions).await?;
        let of_job = partitions
            .iter()
            .zip(logs)
            .filter_map(|(tp, log)| Some((tp.partition, log?.end)))
            .collect();
        ends.insert(job.id.clone(), of_job);
    }
    Ok(ends)
}

/// Whether it is time to leave, and how that counts.
pub async fn reached(parts: &Parts, jobs: &[Arc<Job>], ends: &Ends) -> Option<Ended> {
    let mut halted = false;
    for job in jobs {
        let wanted = ends.get(&job.id)?;
        let halts = |partition: i32| {
            parts.observed.halts.has(|scope| match scope {
                Scope::Table { table } => *table == job.table,
                Scope::Topic { job: stopped } => *stopped == job.id,
                Scope::Partition {
                    job: stopped,
                    partition: number,
                } => *stopped == job.id && *number == partition,
            })
        };
        let state = state(parts, job).await;
        for (partition, end) in wanted {
            let held = state
                .as_ref()
                .and_then(|state| state.partition(&job.id, *partition));
            if held.is_some_and(|held| held.progress.live_end() >= *end) {
                continue;
            }
            if !halts(*partition) {
                return None;
            }
            halted = true;
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
