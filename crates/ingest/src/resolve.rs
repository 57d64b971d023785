//! `tabletopic resolve`: the operator's answers to a halt. Each looks first, says what it would do, and then is one
//! commit; running services notice the raised generation and go on by themselves.

mod cuts;
pub mod promote;
pub mod repair;
pub mod rollback;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use iceberg::TableIdent;
use tabletopic_offsets::{
    Counts, Gap, JobId, JobState, Offset, PartitionState, Progress, RangeSet, TableState, TopicIdentity,
    TopicPartition,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::{
    AdoptTopic, DeclareGaps, DeclareMissing, Rewind, restore_tag, tag_stood_at,
};
use tabletopic_table::commit::{
    Base, CommitError, Halt, LogWaiting, Plan, Tagged, check_standing, commit, next_snapshot, seen_by,
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
    /// The table stands still: this comes after the answer.
    #[error(transparent)]
    Halted(CommitError),
    #[error("table {table}: {detail}")]
    Target { table: String, detail: String },
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
    /// Offsets that the table had as done, and that are read again.
    pub again: RangeSet,
    /// As it is then.
    pub progress: Progress,
}

/// What an answer does to data files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    pub removed: u64,
    /// Files that take the place of removed ones.
    pub written: u64,
}

/// What an answer does.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// Our newest snapshot, which the tag is set back to: somebody had removed it.
    pub tag: Option<i64>,
    pub effects: Vec<Effect>,
    pub files: Files,
    /// What was committed; nothing when it was only looked at. Answers about topics have a snapshot for each topic.
    pub snapshots: Vec<i64>,
}

/// Looks what `answer` would do to a table, fed by `jobs`, and does it unless `only_look`. Answers about topics go to
/// each topic that needs them.
///
/// # Errors
/// The answer does not fit what is there. Of several topics, those before the one that failed have got it.
pub async fn resolve(
    lake: &Lake,
    broker: &dyn AskBroker,
    jobs: &[Arc<Job>],
    answer: Answer,
    reason: &str,
    only_look: bool,
) -> Result<Resolution, ResolveError> {
    let Some(table) = jobs.first().map(|job| &job.table) else {
        return Ok(Resolution::default());
    };
    let (mut base, tag) = read(lake, table, answer, only_look).await?;
    let mut resolution = Resolution {
        tag,
        ..Resolution::default()
    };
    for mut step in steps(lake, broker, jobs, answer, reason, &base).await? {
        let done = match only_look {
            true => step.look(lake, &base).await?,
            false => step.take(lake, &mut base).await?,
        };
        let Some((effects, files, snapshot)) = done else {
            continue;
        };
        resolution.effects.extend(effects);
        resolution.files.removed += files.removed;
        resolution.files.written += files.written;
        resolution.snapshots.extend(snapshot);
    }
    match resolution.effects.is_empty() && resolution.tag.is_none() {
        true => Err(nothing(table, "the table is as it should be")),
        false => Ok(resolution),
    }
}

/// The table and its state. Where its tag was removed, a rewind begins by setting it back.
async fn read(
    lake: &Lake,
    table: &TableIdent,
    answer: Answer,
    only_look: bool,
) -> Result<(Base<TableState>, Option<i64>), CommitError> {
    let loaded = lake.catalog.load(table).await?;
    match Base::read(loaded.clone()) {
        Err(Halt::TagMissing { .. }) if answer == Answer::Rewind => {
            let stood_at = tag_stood_at(&loaded)?.clone();
            let base = match only_look {
                true => Base {
                    tagged: Some(Tagged::read(&loaded, &stood_at)?),
                    table: loaded,
                },
                false => Base::read(restore_tag(lake, table).await?)?,
            };
            Ok((base, Some(stood_at.snapshot_id())))
        }
        base => Ok((base?, None)),
    }
}

/// One commit of an answer.
struct Step<'a> {
    plan: Box<dyn Plan<TableState> + 'a>,
    /// The only job that it touches, if it does not touch all.
    of: Option<JobId>,
}

/// What a step does, and the snapshot that did it.
type Done = Option<(Vec<Effect>, Files, Option<i64>)>;

impl Step<'_> {
    async fn look(&mut self, lake: &Lake, base: &Base<TableState>) -> Result<Done, CommitError> {
        let seen = seen_by(self.plan.as_ref(), base)?;
        let change = self.plan.plan(&seen, next_snapshot(lake, base)).await?;
        Ok(change.map(|change| {
            let files = Files {
                removed: change.files.remove.len() as u64,
                written: change.rewrites.len() as u64,
            };
            let effects = change
                .state
                .as_ref()
                .map(|after| self.effects(base.state(), after));
            (effects.unwrap_or_default(), files, None)
        }))
    }

    /// Afterwards `base` is the table with the step in it.
    async fn take(&mut self, lake: &Lake, base: &mut Base<TableState>) -> Result<Done, CommitError> {
        let committed = commit(lake, &base.table.ident, self.plan.as_mut(), &LogWaiting).await?;
        let before = std::mem::replace(base, committed.base);
        let (Some(snapshot), Some(after)) = (committed.snapshot, base.state()) else {
            return Ok(None);
        };
        let counted = |name: &str| {
            let text = snapshot.summary().additional_properties.get(name);
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        let files = Files {
            removed: counted("deleted-data-files"),
            written: counted("added-data-files"),
        };
        let effects = self.effects(before.state(), after);
        Ok(Some((effects, files, Some(snapshot.snapshot_id()))))
    }

    fn effects(&self, before: Option<&TableState>, after: &TableState) -> Vec<Effect> {
        let touched = |id: &JobId| self.of.as_ref().is_none_or(|of| of == id);
        let jobs = after.jobs.iter().filter(|(id, _)| touched(id));
        jobs.flat_map(|(id, job)| effects(id, job, before, after))
            .collect()
    }
}

async fn steps<'a>(
    lake: &'a Lake,
    broker: &dyn AskBroker,
    jobs: &[Arc<Job>],
    answer: Answer,
    reason: &str,
    base: &Base<TableState>,
) -> Result<Vec<Step<'a>>, ResolveError> {
    let reason = reason.to_owned();
    let of_all = |plan: Box<dyn Plan<TableState> + 'a>| vec![Step { plan, of: None }];
    match answer {
        Answer::Rewind => Ok(of_all(Box::new(Rewind::new(lake, reason)))),
        Answer::DeclareLost => match check_standing(lake, base).await {
            Ok(()) => {
                let gaps = each(jobs, async |job: &Job| gaps(broker, job, base).await).await?;
                let gaps = gaps.into_iter().flatten().collect();
                Ok(of_all(Box::new(DeclareGaps { lake, gaps, reason })))
            }
            Err(CommitError::Halt(Halt::RolledBack { .. } | Halt::HistoryExpired { .. })) => {
                Ok(of_all(Box::new(DeclareMissing { lake, reason })))
            }
            Err(error) => Err(error.into()),
        },
        Answer::AdoptTopic => {
            each(jobs, async |job: &Job| {
                let (identity, starts) = new_topic(broker, job, base).await?;
                let plan = AdoptTopic {
                    lake,
                    job: job.id.clone(),
                    identity,
                    starts,
                    reason: reason.clone(),
                };
                Ok(Step::of(&job.id, plan))
            })
            .await
        }
        Answer::Truncate => {
            each(jobs, async |job: &Job| {
                let plan = cuts::plan(lake, broker, job, reason.clone(), base).await?;
                Ok(Step::of(&job.id, plan))
            })
            .await
        }
    }
}

impl<'a> Step<'a> {
    fn of(job: &JobId, plan: impl Plan<TableState> + 'a) -> Self {
        Self {
            plan: Box::new(plan),
            of: Some(job.clone()),
        }
    }
}

/// What the jobs need of an answer that is about topics. Topics that do not need it, or are not there, are passed over
/// as long as another needs it.
async fn each<T>(
    jobs: &[Arc<Job>],
    ask: impl AsyncFn(&Job) -> Result<T, ResolveError>,
) -> Result<Vec<T>, ResolveError> {
    let (mut needed, mut passed_over) = (Vec::new(), None);
    for job in jobs {
        match ask(job).await {
            Ok(what) => needed.push(what),
            Err(error @ (ResolveError::Nothing { .. } | ResolveError::Topic { .. })) => {
                tracing::info!(job = %job.id, "passed over: {error}");
                passed_over.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match passed_over {
        Some(error) if needed.is_empty() => Err(error),
        _ => Ok(needed),
    }
}

/// What progress does not have below the log's start.
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
            let gaps = held.progress.gaps_below(log?.start);
            Some(gaps.into_iter().map(move |range| Gap {
                job: job.id.clone(),
                partition: *partition,
                range,
            }))
        })
        .flatten()
        .collect();
    if gaps.is_empty() {
        return Err(nothing(
            &job.table,
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
    let state = known(job, base)?;
    let (identity, _) = topic(broker, job).await?;
    match state.identity.agrees(&identity) {
        true => Ok(state),
        false => Err(nothing(
            &job.table,
            &format!(
                "topic {} was deleted and created again; use `--adopt-topic`",
                job.topic
            ),
        )),
    }
}

/// The topic that is there now, if it is not the one that the table reads.
async fn new_topic(
    broker: &dyn AskBroker,
    job: &Job,
    base: &Base<TableState>,
) -> Result<(TopicIdentity, BTreeMap<i32, Offset>), ResolveError> {
    let state = known(job, base)?;
    let (identity, starts) = topic(broker, job).await?;
    match state.identity.agrees(&identity) {
        true => Err(nothing(
            &job.table,
            &format!("topic {} is the one that the table reads", job.topic),
        )),
        false => Ok((identity, starts)),
    }
}

fn known<'a>(job: &Job, base: &'a Base<TableState>) -> Result<&'a JobState, ResolveError> {
    let state = base.state().and_then(|state| state.job(&job.id));
    state.ok_or_else(|| {
        nothing(
            &job.table,
            &format!("it holds nothing of topic {} yet", job.topic),
        )
    })
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

fn nothing(table: &TableIdent, why: &str) -> ResolveError {
    ResolveError::Nothing {
        table: table.to_string(),
        why: why.to_owned(),
    }
}

fn effects(id: &JobId, job: &JobState, before: Option<&TableState>, after: &TableState) -> Vec<Effect> {
    let effect = |number: &i32, partition: &PartitionState| {
        let old = before.and_then(|before| before.partition(id, *number));
        let lost_before = old.map_or(0, |old| old.counts.lost);
        let same_topic = |before: &JobState| before.identity.agrees(&job.identity);
        let is_same = before.and_then(|before| before.job(id)).is_some_and(same_topic);
        let had = old.filter(|_| is_same).map(|old| old.progress.offsets());
        Effect {
            topic_partition: job.topic_partition(*number),
            before: old.map(|old| old.progress.live_end()),
            after: partition.progress.live_end(),
            lost: partition.counts.lost.saturating_sub(lost_before),
            removed: after.taken_back(id, *number),
            again: had.unwrap_or_default().difference(&partition.progress.offsets()),
            progress: partition.progress.clone(),
        }
    };
    let partitions = job.partitions.iter();
    partitions.map(|(number, state)| effect(number, state)).collect()
}
