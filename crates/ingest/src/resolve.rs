//! `tabletopic resolve`: the operator's answers to a halt. Each looks first, says what it would do, and then is one
//! commit; running services notice the raised generation and go on by themselves.

mod cuts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tabletopic_offsets::{
    Counts, Gap, JobState, Offset, OffsetRange, TableState, TopicIdentity, TopicPartition,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::{AdoptTopic, DeclareGaps, DeclareMissing, Rewind};
use tabletopic_table::commit::{
    Base, CommitError, Committed, Halt, LogWaiting, Plan, SnapshotAt, check_standing, commit,
};
use thiserror::Error;

use crate::ask_broker::{AskBroker, log_offsets, patiently, starts};
use crate::job::Job;

/// Which answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on without what is gone: from the broker, or from the table after a rollback.
    DeclareLost,
    /// Read again what a rollback removed.
    Rewind,
    /// Go on with the topic that was created under the old name.
    AdoptTopic,
    /// Remove what logs no longer have that were cut, and read on from there.
    Truncate,
}

/// As `tabletopic resolve` is given it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeclareLost => "--declare-lost",
            Self::Rewind => "--rewind",
            Self::AdoptTopic => "--adopt-topic",
            Self::Truncate => "--truncate",
        })
    }
}

/// Why an answer was refused. Nothing was changed.
#[derive(Debug, Error)]
pub enum ResolveError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Broker(#[from] tabletopic_source::BrokerError),
    #[error("topic {topic}: {source}")]
    Topic {
        topic: Arc<str>,
        source: tabletopic_source::PartitionError,
    },
    #[error(
        "{topic_partition}: its log was cut below the table's progress, but no leader epoch that the table knows tells \
         where, and the log, which starts at {log_start}, cannot give all of it again. Which of the rows the topic still \
         has cannot be told: begin a new table for it"
    )]
    CutUnknown {
        topic_partition: TopicPartition,
        log_start: Offset,
    },
    #[error("table {table}: there is nothing to resolve with this answer: {why}")]
    Nothing { table: String, why: String },
}

/// What an answer does to one topic partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub topic_partition: TopicPartition,
    /// Where reading would have gone on.
    pub before: Option<Offset>,
    /// Where it goes on now.
    pub after: Offset,
    /// Offsets newly declared lost.
    pub lost: u64,
    /// What this removes: rows, dead letters, declared losses.
    pub removed: Counts,
}

/// What an answer does to data files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    pub removed: u64,
    /// Files that take the place of removed ones.
    pub written: u64,
}

/// What an answer does.
#[derive(Debug, Clone)]
pub struct Resolution {
    pub effects: Vec<Effect>,
    pub files: Files,
    /// The commit; `None` when it was only looked at.
    pub snapshot_id: Option<i64>,
}

/// Looks what `answer` would do to the tables of `job`, and does it unless `only_look`.
///
/// # Errors
/// The answer does not fit what is there.
pub async fn resolve(
    lake: &Lake,
    broker: &dyn AskBroker,
    job: &Job,
    answer: Answer,
    reason: String,
    only_look: bool,
) -> Result<Resolution, ResolveError> {
    let base = Base::<TableState>::read(lake.catalog.load(&job.table).await.map_err(CommitError::from)?)
        .map_err(CommitError::from)?;
    let mut plan = plan(lake, broker, job, answer, reason, &base).await?;
    if only_look {
        let at = SnapshotAt {
            sequence_number: base.metadata().last_sequence_number() + 1,
            snapshot_id: 0,
            timestamp_ms: lake.clock.now(),
            schema_id: base.metadata().current_schema_id(),
        };
        let change = plan.plan(&base, at).await?;
        let change = change.ok_or_else(|| nothing(job, "the table is as it should be"))?;
        return Ok(Resolution {
            effects: effects(base.state(), &change.state),
            files: Files {
                removed: change.files.remove.len() as u64,
                written: change.rewrites.len() as u64,
            },
            snapshot_id: None,
        });
    }
    let Committed {
        base: after,
        snapshot,
        ..
    } = commit(lake, &job.table, plan.as_mut(), &LogWaiting).await?;
    let snapshot = snapshot.ok_or_else(|| nothing(job, "the table is as it should be"))?;
    let effects = after
        .state()
        .map(|state| effects(base.state(), state))
        .unwrap_or_default();
    let counted = |name: &str| {
        let text = snapshot.summary().additional_properties.get(name);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    Ok(Resolution {
        effects,
        files: Files {
            removed: counted("deleted-data-files"),
            written: counted("added-data-files"),
        },
        snapshot_id: Some(snapshot.snapshot_id()),
    })
}

async fn plan<'a>(
    lake: &'a Lake,
    broker: &dyn AskBroker,
    job: &Job,
    answer: Answer,
    reason: String,
    base: &Base<TableState>,
) -> Result<Box<dyn Plan<TableState> + 'a>, ResolveError> {
    match answer {
        Answer::Rewind => Ok(Box::new(Rewind { lake, reason })),
        Answer::DeclareLost => match check_standing(lake, base).await {
            Ok(()) => Ok(Box::new(DeclareGaps {
                lake,
                gaps: gaps(broker, job, base).await?,
                reason,
            })),
            Err(CommitError::Halt(Halt::RolledBack { .. } | Halt::HistoryExpired { .. })) => {
                Ok(Box::new(DeclareMissing { lake, reason }))
            }
            Err(error) => Err(error.into()),
        },
        Answer::AdoptTopic => {
            let (identity, starts) = topic(broker, job).await?;
            Ok(Box::new(AdoptTopic {
                lake,
                job: job.id.clone(),
                identity,
                starts,
                reason,
            }))
        }
        Answer::Truncate => Ok(Box::new(cuts::plan(lake, broker, job, reason, base).await?)),
    }
}

/// What lies between progress and the log's start.
async fn gaps(broker: &dyn AskBroker, job: &Job, base: &Base<TableState>) -> Result<Vec<Gap>, ResolveError> {
    let state = same_topic(broker, job, base).await?;
    let partitions: Vec<TopicPartition> = state
        .partitions
        .keys()
        .map(|partition| TopicPartition::new(job.topic.clone(), *partition))
        .collect();
    let logs = log_offsets(broker, &partitions).await?;
    let gaps: Vec<Gap> = state
        .partitions
        .iter()
        .zip(logs)
        .filter_map(|((partition, held), log)| {
            let range = OffsetRange::new(held.progress.live_end(), log?.start);
            (range.start < range.end).then(|| Gap {
                job: job.id.clone(),
                partition: *partition,
                range,
            })
        })
        .collect();
    if gaps.is_empty() {
        return Err(nothing(
            job,
            "the broker still has every offset above the table's progress",
        ));
    }
    Ok(gaps)
}

/// What the table knows of the job, if it reads the topic that is there now.
async fn same_topic<'a>(
    broker: &dyn AskBroker,
    job: &Job,
    base: &'a Base<TableState>,
) -> Result<&'a JobState, ResolveError> {
    let Some(state) = base.state().and_then(|state| state.job(&job.id)) else {
        return Err(nothing(job, "it holds nothing of this job yet"));
    };
    let (identity, _) = topic(broker, job).await?;
    if !state.identity.agrees(&identity) {
        return Err(nothing(
            job,
            "the topic was deleted and created again; use `--adopt-topic`",
        ));
    }
    Ok(state)
}

/// The topic as it is now, and where it starts.
async fn topic(
    broker: &dyn AskBroker,
    job: &Job,
) -> Result<(TopicIdentity, BTreeMap<i32, Offset>), ResolveError> {
    let described = patiently(|| broker.describe(&job.topic))
        .await?
        .map_err(|source| ResolveError::Topic {
            topic: job.topic.clone(),
            source,
        })?;
    let starts = starts(
        broker,
        &job.topic,
        &described.partitions,
        crate::job::Start::Earliest,
    )
    .await?;
    Ok((described.identity, starts))
}

fn nothing(job: &Job, why: &str) -> ResolveError {
    ResolveError::Nothing {
        table: job.table.to_string(),
        why: why.to_owned(),
    }
}

fn effects(before: Option<&TableState>, after: &TableState) -> Vec<Effect> {
    let mut effects = Vec::new();
    for (id, job) in &after.jobs {
        for (number, partition) in &job.partitions {
            let old = before.and_then(|before| before.partition(id, *number));
            effects.push(Effect {
                topic_partition: TopicPartition::new(job.identity.topic.clone(), *number),
                before: old.map(|old| old.progress.live_end()),
                after: partition.progress.live_end(),
                lost: partition
                    .counts
                    .lost
                    .saturating_sub(old.map_or(0, |old| old.counts.lost)),
                removed: after.taken_back(id, *number),
            });
        }
    }
    effects
}
