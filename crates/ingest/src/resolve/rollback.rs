//! `tabletopic rollback`: an operator takes a table back, and its progress with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::TableIdent;
use iceberg::spec::SnapshotRef;
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_offsets::{Gap, JobId, Offset, OffsetRange, Progress, TableState, TopicPartition};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError, TagState, check_standing, resolve};

use super::{Effect, Resolution, ResolveError, Step};
use crate::ask_broker::{AskBroker, log_offsets, patiently};

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A snapshot that `main` leads to.
    Snapshot(i64),
    /// The table as it was at this time.
    Time(Millis),
    /// The newest snapshot of ours that holds nothing of the partition from this offset on.
    Offset {
        /// Needed where several topics feed the table.
        topic: Option<Arc<str>>,
        partition: i32,
        offset: Offset,
    },
}

/// A snapshot, as people know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    pub snapshot_id: i64,
    pub sequence_number: i64,
    pub timestamp_ms: Millis,
}

impl Point {
    fn of(snapshot: &SnapshotRef) -> Self {
        Self {
            snapshot_id: snapshot.snapshot_id(),
            sequence_number: snapshot.sequence_number(),
            timestamp_ms: snapshot.timestamp_ms(),
        }
    }
}

/// What a rollback does.
#[derive(Debug, Clone)]
pub struct Rollback {
    pub to: Point,
    /// The table's last sequence number when it was looked at.
    pub looked_at: i64,
    /// Snapshots after it: of ours, and of others, whose changes are taken back as well.
    pub ours: usize,
    pub others: usize,
    pub resolution: Resolution,
    /// Where topics no longer have what is to be read again: up to the starts of their logs.
    pub gone: Vec<Gone>,
}

/// Offsets of one topic partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    pub job: JobId,
    pub topic_partition: TopicPartition,
    pub range: OffsetRange,
}

/// Looks what a rollback would do.
///
/// # Errors
/// There is no such snapshot; a table that stands still already; a topic that is not the one which fed the table.
pub async fn look(
    lake: &Lake,
    broker: &dyn AskBroker,
    table: &TableIdent,
    to: &To,
) -> Result<Rollback, ResolveError> {
    let base = standing(lake, table).await?;
    let point = Point::of(target(&base, to)?);
    // Also those that `main` does not lead to.
    let after = |snapshot: &&SnapshotRef| snapshot.sequence_number() > point.sequence_number;
    let ours = |snapshot: &&SnapshotRef| {
        let summary = &snapshot.summary().additional_properties;
        summary.contains_key(<TableState as TagState>::MARK)
    };
    let (ours, others): (Vec<_>, Vec<_>) = base.metadata().snapshots().filter(after).partition(ours);
    let looked_at = base.metadata().last_sequence_number();
    let done = step(lake, &point, looked_at, "").look(lake, &base).await?;
    let effects = done.map(|(effects, ..)| effects).unwrap_or_default();
    let gone = gone(broker, &base, &effects).await?;
    Ok(Rollback {
        to: point,
        looked_at,
        ours: ours.len(),
        others: others.len(),
        resolution: Resolution {
            effects,
            ..Resolution::default()
        },
        gone,
    })
}

/// Does it: one commit, which goes to this very snapshot.
///
/// # Errors
/// As [`look`]; another writer has committed since it was looked at; outages that last.
pub async fn roll_back(
    lake: &Lake,
    table: &TableIdent,
    looked: &Rollback,
    reason: &str,
) -> Result<Resolution, ResolveError> {
    let mut base = standing(lake, table).await?;
    let mut step = step(lake, &looked.to, looked.looked_at, reason);
    let done = step.take(lake, &mut base).await?;
    let (effects, _, snapshot) = done.unwrap_or_default();
    Ok(Resolution {
        effects,
        snapshots: snapshot.into_iter().collect(),
        ..Resolution::default()
    })
}

/// Declares lost what was said to be gone, and nothing else.
///
/// # Errors
/// Progress is not where the rollback left it; outages that last.
pub async fn declare_gone(
    lake: &Lake,
    table: &TableIdent,
    looked: &Rollback,
    reason: &str,
) -> Result<Resolution, ResolveError> {
    let mut base = standing(lake, table).await?;
    let gaps = looked.gone.iter().map(|gone| Gap {
        job: gone.job.clone(),
        partition: gone.topic_partition.partition,
        range: gone.range,
    });
    let plan = resolve::DeclareGaps {
        lake,
        gaps: gaps.collect(),
        reason: reason.to_owned(),
    };
    let mut step = Step {
        plan: Box::new(plan),
        of: None,
    };
    let (effects, _, snapshot) = step.take(lake, &mut base).await?.unwrap_or_default();
    Ok(Resolution {
        effects,
        snapshots: snapshot.into_iter().collect(),
        ..Resolution::default()
    })
}

fn step<'a>(lake: &'a Lake, to: &Point, looked_at: i64, reason: &str) -> Step<'a> {
    let plan = resolve::Rollback::new(lake, to.snapshot_id, looked_at, reason.to_owned());
    Step {
        plan: Box::new(plan),
        of: None,
    }
}

/// The table, if it does not stand still.
pub(super) async fn standing(lake: &Lake, table: &TableIdent) -> Result<Base<TableState>, ResolveError> {
    let halted = |error| match error {
        halt @ CommitError::Halt(_) => ResolveError::Halted(halt),
        error => error.into(),
    };
    let loaded = lake.catalog.load(table).await.map_err(CommitError::from)?;
    let base = Base::read(loaded).map_err(|halt| halted(halt.into()))?;
    check_standing(lake, &base).await.map_err(halted)?;
    Ok(base)
}

/// The snapshot that is meant.
fn target<'a>(base: &'a Base<TableState>, to: &To) -> Result<&'a SnapshotRef, ResolveError> {
    let refused = |detail: String| ResolveError::Target {
        table: base.table.ident.to_string(),
        detail,
    };
    let found = match to {
        To::Snapshot(id) => base
            .history()
            .find(|snapshot| snapshot.snapshot_id() == *id)
            .ok_or_else(|| refused(format!("`main` does not lead to snapshot {id}; {}", known(base))))?,
        To::Time(time) => base
            .history()
            .find(|snapshot| snapshot.timestamp_ms() <= *time)
            .ok_or_else(|| refused(format!("no snapshot of that time is left; {}", known(base))))?,
        To::Offset {
            topic,
            partition,
            offset,
        } => {
            let holds = |state: &TableState| {
                let of_topic = |name: &Arc<str>| topic.as_ref().is_none_or(|topic| topic == name);
                let jobs = state.jobs.values().filter(|job| of_topic(&job.identity.topic));
                let ends: Vec<Offset> = jobs
                    .filter_map(|job| job.partitions.get(partition))
                    .map(|partition| partition.progress.highest_end())
                    .collect();
                ends
            };
            match base.state().map(holds).unwrap_or_default().len() {
                1 => {}
                0 => return Err(refused(format!("no topic of it has a partition {partition}"))),
                _ => {
                    let detail =
                        "several topics feed it; name the one that is meant, as TOPIC/PARTITION:OFFSET";
                    return Err(refused(detail.to_owned()));
                }
            }
            let below = |state: &TableState| holds(state).iter().all(|end| end <= offset);
            base.history()
                .find(|snapshot| {
                    let summary = &snapshot.summary().additional_properties;
                    <TableState as TagState>::decode(summary).is_ok_and(|state| below(&state))
                })
                .ok_or_else(|| {
                    let held =
                        format!("every snapshot that is left holds offset {offset} of partition {partition}");
                    refused(format!("{held}; {}", known(base)))
                })?
        }
    };
    match base.head() {
        Some(head) if head.snapshot_id() == found.snapshot_id() => Err(refused(format!(
            "`main` is on snapshot {} already",
            head.snapshot_id()
        ))),
        _ => Ok(found),
    }
}

/// What may be meant instead.
fn known(base: &Base<TableState>) -> String {
    let ids: Vec<String> = base
        .history()
        .map(|snapshot| snapshot.snapshot_id().to_string())
        .collect();
    match ids.as_slice() {
        [newest, .., oldest] => format!(
            "it leads to {} snapshots, from {oldest} to {newest} (`SELECT * FROM \"{}$snapshots\"` in `tabletopic sql`)",
            ids.len(),
            base.table.ident.name
        ),
        _ => "it leads to no other".to_owned(),
    }
}

/// What of the offsets that will be read again is not in the topics' logs any more.
pub(super) async fn gone(
    broker: &dyn AskBroker,
    base: &Base<TableState>,
    effects: &[Effect],
) -> Result<Vec<Gone>, ResolveError> {
    let again: BTreeMap<&TopicPartition, &Progress> = effects
        .iter()
        .filter(|effect| !effect.again.is_empty())
        .map(|effect| (&effect.topic_partition, &effect.progress))
        .collect();
    let refused = |detail: String| ResolveError::Target {
        table: base.table.ident.to_string(),
        detail,
    };
    let mut gone = Vec::new();
    for (id, job) in base.state().into_iter().flat_map(|state| &state.jobs) {
        let topic = &job.identity.topic;
        let partitions: Vec<TopicPartition> = job
            .partitions
            .keys()
            .map(|number| job.topic_partition(*number))
            .collect();
        let partitions: Vec<TopicPartition> = partitions
            .into_iter()
            .filter(|of| again.contains_key(of))
            .collect();
        if partitions.is_empty() {
            continue;
        }
        let found = patiently(|| broker.describe(topic)).await?;
        let found = found.map_err(|source| ResolveError::Topic {
            topic: topic.clone(),
            source,
        })?;
        if !job.identity.agrees(&found.identity) {
            return Err(refused(format!(
                "topic {topic} was deleted and created again, so that nothing of it could be read again: the table was fed \
                 from {}, now it is {}",
                job.identity, found.identity
            )));
        }
        let logs = log_offsets(broker, &partitions).await?;
        for (topic_partition, log) in partitions.into_iter().zip(logs) {
            let Some(log) = log else {
                return Err(refused(format!(
                    "the broker does not tell now what it has of {topic_partition}; try again later"
                )));
            };
            let gaps = again[&topic_partition].gaps_below(log.start);
            gone.extend(gaps.into_iter().map(|range| Gone {
                job: id.clone(),
                topic_partition: topic_partition.clone(),
                range,
            }));
        }
    }
    Ok(gone)
}
