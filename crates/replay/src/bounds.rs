//! From what is asked for to offsets: decided once, before anything is read.

use std::collections::BTreeMap;

use iceberg::TableIdent;
use tabletopic_ingest::ask_broker::{AskBroker, every_log, starts};
use tabletopic_ingest::{Job, Start};
use tabletopic_offsets::{JobState, Offset, OffsetRange, TableState, TopicIdentity, TopicPartition};
use tabletopic_source::{LogOffsets, TopicDescription};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError, TagState, check_standing};

use crate::ReplayError;
use crate::point::{Asked, Point};

/// What is read of each partition of a job's topic; partitions that are not read are left out.
///
/// # Errors
/// The log does not have it, or not yet; tables that tell nothing of the topic; outages.
pub async fn bounds(
    lake: &Lake,
    broker: &dyn AskBroker,
    job: &Job,
    topic: &TopicDescription,
    asked: &Asked,
) -> Result<BTreeMap<i32, OffsetRange>, ReplayError> {
    let partitions = topic.topic_partitions();
    let logs: BTreeMap<i32, LogOffsets> = every_log(broker, &partitions)
        .await?
        .into_iter()
        .zip(&topic.partitions)
        .map(|(log, partition)| (*partition, log))
        .collect();
    let search = Search {
        lake,
        broker,
        job,
        identity: &topic.identity,
        logs: &logs,
    };
    let from = search.offsets(&asked.from).await?;
    let to = search.offsets(&asked.to).await?;
    let named = |point, offsets: &BTreeMap<i32, Offset>| match point {
        &Point::Offsets(_) => offsets.keys().copied().collect(),
        _ => Vec::new(),
    };
    let named = [named(&asked.from, &from), named(&asked.to, &to)].concat();
    let names = [&asked.from, &asked.to]
        .into_iter()
        .any(|point| matches!(point, Point::Offsets(_)));
    if let Some(unknown) = named.iter().find(|partition| !logs.contains_key(partition)) {
        return Err(ReplayError::NoSuchPartition {
            topic: job.topic.clone(),
            partition: *unknown,
        });
    }
    let mut bounds = BTreeMap::new();
    // A partition that a table does not know yet appeared after what it holds.
    let beyond = |partition: &i32| matches!(asked.to, Point::Stood(..)) && !to.contains_key(partition);
    for (partition, log) in &logs {
        if (names && !named.contains(partition)) || beyond(partition) {
            continue;
        }
        let start = from.get(partition).copied().unwrap_or(log.start);
        let end = to.get(partition).copied().unwrap_or(log.end);
        let topic_partition = TopicPartition::new(job.topic.clone(), *partition);
        bounds.insert(*partition, checked(topic_partition, start, end, *log)?);
    }
    match bounds.is_empty() {
        false => Ok(bounds),
        true => Err(ReplayError::Nothing {
            topic: job.topic.clone(),
        }),
    }
}

/// A range that the log has.
fn checked(
    topic_partition: TopicPartition,
    from: Offset,
    to: Offset,
    log: LogOffsets,
) -> Result<OffsetRange, ReplayError> {
    if from > to {
        Err(ReplayError::Backwards {
            topic_partition,
            from,
            to,
        })
    } else if to > log.end {
        Err(ReplayError::NotYet {
            topic_partition,
            to,
            log_end: log.end,
        })
    } else if from < log.start && from < to {
        Err(ReplayError::Gone {
            topic_partition,
            from,
            log_start: log.start,
        })
    } else {
        Ok(OffsetRange::new(from, to))
    }
}

struct Search<'a> {
    lake: &'a Lake,
    broker: &'a dyn AskBroker,
    job: &'a Job,
    identity: &'a TopicIdentity,
    logs: &'a BTreeMap<i32, LogOffsets>,
}

impl Search<'_> {
    /// Of the partitions that a point says something about.
    async fn offsets(&self, point: &Point) -> Result<BTreeMap<i32, Offset>, ReplayError> {
        let all = |offset: fn(&LogOffsets) -> Offset| {
            self.logs
                .iter()
                .map(|(number, log)| (*number, offset(log)))
                .collect()
        };
        Ok(match point {
            Point::Earliest => all(|log| log.start),
            Point::Latest => all(|log| log.end),
            Point::Time(at) => {
                let partitions: Vec<i32> = self.logs.keys().copied().collect();
                starts(self.broker, &self.job.topic, &partitions, Start::Timestamp(*at)).await?
            }
            Point::Offsets(_) => Asked::named(point, &self.job.topic).unwrap_or_default(),
            Point::Began(table) => self.of_table(table, None, |state| state.anchor()).await?,
            Point::Stood(table, snapshot) => {
                self.of_table(table, *snapshot, |progress| progress.live_end())
                    .await?
            }
        })
    }

    async fn of_table(
        &self,
        table: &TableIdent,
        snapshot: Option<i64>,
        offset: fn(&tabletopic_offsets::Progress) -> Offset,
    ) -> Result<BTreeMap<i32, Offset>, ReplayError> {
        let job = self.state(table, snapshot).await?;
        let partitions = job.partitions.iter();
        Ok(partitions
            .map(|(number, state)| (*number, offset(&state.progress)))
            .collect())
    }

    /// What a table says of the job's topic.
    async fn state(&self, table: &TableIdent, snapshot: Option<i64>) -> Result<JobState, ReplayError> {
        let nothing = |why: String| ReplayError::TellsNothing {
            table: table.clone(),
            topic: self.job.topic.clone(),
            why,
        };
        let loaded = self.lake.catalog.load(table).await?;
        let base = Base::<TableState>::read(loaded).map_err(CommitError::from)?;
        let state = match snapshot {
            None => {
                check_standing(self.lake, &base).await?;
                base.state().cloned()
            }
            Some(id) => {
                let Some(named) = base.metadata().snapshot_by_id(id) else {
                    return Err(nothing(format!("it has no snapshot {id}, or not any more")));
                };
                let summary = &named.summary().additional_properties;
                if !summary.contains_key(<TableState as TagState>::MARK) {
                    return Err(nothing(format!(
                        "snapshot {id} is another writer's; name one of tabletopic's"
                    )));
                }
                let state = <TableState as TagState>::decode(summary);
                Some(state.map_err(|detail| nothing(format!("snapshot {id} can't be read: {detail}")))?)
            }
        };
        let Some(state) = state else {
            return Err(nothing(
                "it is no table of tabletopic's, or has read nothing yet".to_owned(),
            ));
        };
        let of_topic = |job: &&JobState| job.identity.topic == self.job.topic;
        let Some(found) = state.jobs.values().find(of_topic) else {
            return Err(nothing("it is fed by others".to_owned()));
        };
        match found.identity.agrees(self.identity) {
            true => Ok(found.clone()),
            false => Err(ReplayError::OtherTopic {
                table: table.clone(),
                was: Box::new(found.identity.clone()),
                now: Box::new(self.identity.clone()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_the_log_has() {
        let tp = || TopicPartition::new("orders", 3);
        let log = LogOffsets { start: 10, end: 20 };
        assert_eq!(checked(tp(), 10, 20, log).unwrap(), OffsetRange::new(10, 20));
        // Nothing of what is gone is asked for.
        assert_eq!(checked(tp(), 5, 5, log).unwrap(), OffsetRange::new(5, 5));
        assert!(matches!(
            checked(tp(), 9, 20, log),
            Err(ReplayError::Gone { log_start: 10, .. })
        ));
        assert!(matches!(
            checked(tp(), 10, 21, log),
            Err(ReplayError::NotYet { log_end: 20, .. })
        ));
        assert!(matches!(
            checked(tp(), 15, 12, log),
            Err(ReplayError::Backwards { .. })
        ));
    }
}
