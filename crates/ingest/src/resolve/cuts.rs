//! Where logs were cut below the table's progress. Only the broker can tell, by leader epochs: a log that was cut may have
//! grown past the progress again, with other records.

use std::collections::BTreeMap;

use tabletopic_offsets::{JobState, Offset, PartitionState, TableState, TopicPartition};
use tabletopic_source::{PartitionError, Position};
use tabletopic_table::Lake;
use tabletopic_table::commit::Base;
use tabletopic_table::commit::resolve::{LogCut, Truncate, states};

use super::{ResolveError, nothing, same_topic};
use crate::ask_broker::{AskBroker, log_offsets, patiently};
use crate::job::Job;
use crate::lane::Lane;

/// The plan that answers logs which were cut.
///
/// # Errors
/// No log was cut; or one was, and nothing that the table knows tells where.
pub(super) async fn plan<'a>(
    lake: &'a Lake,
    broker: &dyn AskBroker,
    job: &Job,
    reason: String,
    base: &Base<TableState>,
) -> Result<Truncate<'a>, ResolveError> {
    let state = same_topic(broker, job, base).await?;
    let cuts = find(broker, job, base, state).await?;
    if cuts.is_empty() {
        let why = "every log still leads to the table's progress: none was cut";
        return Err(nothing(&job.table, why));
    }
    Ok(Truncate {
        lake,
        job: job.id.clone(),
        generation: state.generation,
        cuts,
        reason,
    })
}

async fn find(
    broker: &dyn AskBroker,
    job: &Job,
    base: &Base<TableState>,
    state: &JobState,
) -> Result<BTreeMap<i32, LogCut>, ResolveError> {
    let mut cuts = BTreeMap::<i32, LogCut>::new();
    // One lane after the other: a question names no partition twice.
    for lane in [Lane::Live, Lane::Backfill] {
        let of = |(partition, known): (&i32, &PartitionState)| {
            let stretch = lane.next(known)?;
            Some((state.topic_partition(*partition), stretch.from))
        };
        let positions: Vec<(TopicPartition, Position)> = state.partitions.iter().filter_map(of).collect();
        let answers = patiently(|| broker.validate(&positions)).await?;
        let partitions: Vec<TopicPartition> = positions.iter().map(|(tp, _)| tp.clone()).collect();
        let logs = log_offsets(broker, &partitions).await?;
        for (((tp, position), answer), log) in positions.into_iter().zip(answers).zip(logs) {
            match (answer, log) {
                (Ok(()), _) => continue,
                // Retention took what comes next, and says nothing about what was read.
                (Err(PartitionError::OutOfRange { .. }), Some(log)) if position.offset < log.start => {
                    continue;
                }
                (Err(PartitionError::Truncated { .. } | PartitionError::OutOfRange { .. }), Some(log)) => {
                    let cut = parts_at(broker, job, base, (&tp, position), log.start).await?;
                    // A transaction that was cut is open again: how it ends is not known yet.
                    let offset = cut.offset.min(log.end);
                    let lower = cuts.get(&tp.partition).is_none_or(|other| offset < other.offset);
                    if lower {
                        cuts.insert(tp.partition, LogCut { offset, ..cut });
                    }
                }
                (Err(error), _) => return Err(topic(job, error)),
            }
        }
    }
    Ok(cuts)
}

/// Where the log parts from what the table read of it below a position.
///
/// The end of the leader epoch at our position is it, if the leader has records of that very epoch. If not, the log
/// parted earlier. What our snapshots say, newest first, narrows it down: a position that still stands is a cut that
/// leaves nothing wrong in the table, and so is the end of its own epoch. Where none proves anything, all of the
/// partition goes, if the log can give all of it again.
async fn parts_at(
    broker: &dyn AskBroker,
    job: &Job,
    base: &Base<TableState>,
    (tp, below): (&TopicPartition, Position),
    log_start: Offset,
) -> Result<LogCut, ResolveError> {
    let now = base.state().and_then(|state| state.job(&job.id));
    let of_topic = |state: TableState| {
        let of_job = state.jobs.get(&job.id)?;
        let same_topic = now?.identity.agrees(&of_job.identity);
        same_topic.then(|| positions(of_job, tp.partition))
    };
    let mut lowest = below.offset + 1;
    for position in states(base).filter_map(of_topic).flatten() {
        let Some(epoch) = position.leader_epoch.filter(|_| position.offset < lowest) else {
            continue;
        };
        lowest = position.offset;
        let question = [(tp.clone(), position)];
        match patiently(|| broker.validate(&question)).await?.into_iter().next() {
            Some(Ok(())) => {
                return Ok(LogCut {
                    offset: position.offset,
                    leader_epoch: Some(epoch),
                });
            }
            Some(Err(PartitionError::Truncated { epoch_end, .. })) => {
                if let Some(end) = epoch_end.filter(|end| end.leader_epoch == epoch) {
                    return Ok(LogCut {
                        offset: end.offset,
                        leader_epoch: Some(epoch),
                    });
                }
            }
            Some(Err(PartitionError::OutOfRange { .. })) | None => {}
            Some(Err(error)) => return Err(topic(job, error)),
        }
    }
    match now.and_then(|job| job.partitions.get(&tp.partition)) {
        Some(known) if log_start <= known.progress.anchor() => Ok(LogCut {
            offset: known.progress.anchor(),
            leader_epoch: None,
        }),
        _ => Err(ResolveError::CutUnknown {
            topic_partition: tp.clone(),
            log_start,
        }),
    }
}

/// Where a state has a partition read on: that of what is new first.
fn positions(state: &JobState, partition: i32) -> Vec<Position> {
    let Some(known) = state.partitions.get(&partition) else {
        return Vec::new();
    };
    let lanes = [Lane::Live, Lane::Backfill].into_iter();
    let stretches = lanes.filter_map(|lane| lane.next(known));
    stretches.map(|stretch| stretch.from).collect()
}

fn topic(job: &Job, source: PartitionError) -> ResolveError {
    ResolveError::Topic {
        topic: job.topic.clone(),
        source,
    }
}
