//! Where reading would begin, and what would keep it from beginning.

use std::collections::BTreeMap;

use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::{TableState, TopicPartition};
use tabletopic_source::{LogOffsets, TopicDescription};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError, check_standing};

use crate::ask_broker::AskBroker;
use crate::diagnose::{lost_history, lost_position, other_topic};
use crate::job::{Job, Start};
use crate::prepare::PrepareError;
use crate::run::RunError;
use crate::run::sample::Ranges;
use crate::run::start::sample_ranges;

/// See the module.
#[derive(Debug, Default)]
pub struct Beginning {
    /// Where the records are that would be read next, or (before the job's first run) that stand for them.
    pub ranges: Ranges,
    /// Offsets between where reading would begin and the ends of the topic.
    pub unread: u64,
    /// What would stand still, and why.
    pub halts: Vec<String>,
}

/// Asks the table, and the broker for its logs.
pub async fn begin(
    lake: &Lake,
    broker: &dyn AskBroker,
    job: &Job,
    table: Option<&LoadedTable>,
    description: &TopicDescription,
) -> Result<Beginning, RunError> {
    let state = match standing(lake, table).await {
        Ok(state) => state,
        Err(CommitError::Halt(halt)) => {
            return Ok(Beginning {
                halts: vec![halt.to_string()],
                ..Beginning::default()
            });
        }
        Err(error) => return Err(PrepareError::from(error).into()),
    };
    let logs = logs(broker, job, description).await?;
    let Some(known) = state.as_ref().and_then(|state| state.job(&job.id)) else {
        let unread = match job.start {
            Start::Latest => 0,
            Start::Earliest | Start::Timestamp(_) => {
                logs.values().map(|log| log.end.abs_diff(log.start)).sum()
            }
        };
        return Ok(Beginning {
            ranges: sample_ranges(job.start, logs),
            unread,
            halts: Vec::new(),
        });
    };
    if !known.identity.agrees(&description.identity) {
        return Ok(Beginning {
            halts: vec![other_topic(&job.table, &known.identity, &description.identity).message],
            ..Beginning::default()
        });
    }
    let mut beginning = Beginning::default();
    for (partition, log) in logs {
        // A partition that the table does not know appeared later: everything in it is new.
        let position = known
            .partitions
            .get(&partition)
            .map_or(0, |known| known.progress.live_end());
        let tp = TopicPartition::new(job.topic.clone(), partition);
        if let Some(why) = lost_position(&job.table, &tp, position, log) {
            beginning.halts.push(why.message);
            continue;
        }
        let left = known
            .partitions
            .get(&partition)
            .and_then(|known| known.progress.backfill());
        let lost = left.and_then(|left| lost_history(&job.table, &tp, left, log));
        beginning.halts.extend(lost.map(|why| why.message));
        beginning.unread += left.map_or(0, |left| left.len()) + log.end.abs_diff(position);
        beginning.ranges.insert(partition, (position, log.end));
    }
    Ok(beginning)
}

/// What the table says of itself, unless somebody has to look at it first.
async fn standing(lake: &Lake, table: Option<&LoadedTable>) -> Result<Option<TableState>, CommitError> {
    let Some(table) = table else { return Ok(None) };
    let base = Base::<TableState>::read(table.clone())?;
    check_standing(lake, &base).await?;
    Ok(base.tagged.map(|tagged| tagged.state))
}

/// The logs of the partitions that the job reads, where the broker can tell.
async fn logs(
    broker: &dyn AskBroker,
    job: &Job,
    description: &TopicDescription,
) -> Result<BTreeMap<i32, LogOffsets>, RunError> {
    let read = |partition: &&i32| {
        job.partitions
            .as_ref()
            .is_none_or(|named| named.contains(partition))
    };
    let partitions: Vec<TopicPartition> = description
        .partitions
        .iter()
        .filter(read)
        .map(|partition| TopicPartition::new(job.topic.clone(), *partition))
        .collect();
    let answers = broker.offsets(&partitions).await?;
    Ok(partitions
        .iter()
        .zip(answers)
        .filter_map(|(tp, log)| Some((tp.partition, log.ok()?)))
        .collect())
}
