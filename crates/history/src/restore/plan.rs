//! What a restore has to write, and whether it may. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tabletopic_offsets::{JobId, OffsetRange, TopicIdentity};
use tabletopic_source::{LogOffsets, Mark, Retention, TopicDescription};

use super::RestoreError;
use crate::History;

/// The log that is to be written.
#[derive(Debug, Clone)]
pub struct Log {
    /// What tells it from all others: the table's uuid and the job.
    pub table_uuid: String,
    pub job: JobId,
    /// The topic that the job reads.
    pub identity: TopicIdentity,
    pub partitions: BTreeMap<i32, OffsetRange>,
    /// The oldest timestamp of all records, in milliseconds since the Unix epoch.
    pub oldest: Option<i64>,
}

impl Log {
    pub fn of(history: &History) -> Self {
        let partitions = history.partitions().iter();
        Self {
            table_uuid: history.table_uuid(),
            job: history.job().clone(),
            identity: history.identity().clone(),
            partitions: partitions.map(|(number, log)| (*number, log.offsets)).collect(),
            oldest: history.oldest(),
        }
    }

    /// How many partitions a topic needs to have one of each number.
    pub fn needed(&self) -> i32 {
        self.partitions.keys().next_back().map_or(0, |last| last + 1)
    }
}

/// The topic that is written into, as it was found.
#[derive(Debug, Clone)]
pub struct Topic {
    pub description: TopicDescription,
    /// Of all its partitions.
    pub offsets: BTreeMap<i32, LogOffsets>,
    pub retention: Retention,
    pub keeps_timestamps: bool,
    /// How far a restore is that was begun.
    pub marks: BTreeMap<i32, Mark>,
}

/// Whether a restore was begun before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    Now,
    Before,
}

/// Whether it has written all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    Yes,
    NotYet,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub begun: Begun,
    /// The offsets of the log that are still to be written; none of them need have a record.
    pub partitions: BTreeMap<i32, OffsetRange>,
    /// What is noted with each transaction.
    pub note: String,
}

impl Plan {
    /// # Errors
    /// Why this log must not be written into this topic.
    pub fn of(log: &Log, topic: &Topic, now: i64) -> Result<Self, RestoreError> {
        let identity = &topic.description.identity;
        let name = identity.topic.to_string();
        if identity.agrees(&log.identity) {
            return Err(RestoreError::ReadByTheTable {
                topic: name,
                job: log.job.clone(),
            });
        }
        let missing = log
            .partitions
            .keys()
            .any(|number| !topic.description.partitions.contains(number));
        if missing {
            return Err(RestoreError::TooFewPartitions {
                topic: name,
                found: topic.description.partitions.len(),
                needed: log.needed(),
            });
        }
        let note = note(log, identity);
        let begun = begun(topic, &note)?;
        if !topic.keeps_timestamps {
            return Err(RestoreError::LosesTimestamps { topic: name });
        }
        kept(log, topic, now)?;
        let left = log.partitions.iter().map(|(number, log)| {
            let next = topic.marks.get(number).map_or(log.start, |mark| mark.next);
            let start = next.clamp(log.start, log.end);
            (*number, OffsetRange::new(start, log.end))
        });
        Ok(Self {
            begun,
            partitions: left.collect(),
            note,
        })
    }

    pub fn whole(&self) -> Whole {
        let left = self.partitions.values().any(|left| !left.is_empty());
        match left {
            true => Whole::NotYet,
            false => Whole::Yes,
        }
    }
}

/// What tells this restore from all others: a topic that is created again has another id.
fn note(log: &Log, topic: &TopicIdentity) -> String {
    let id = topic.topic_id.as_deref().unwrap_or("-");
    format!("table {} job {} topic {id}", log.table_uuid, log.job)
}

/// A restore that was begun has marked all partitions at once, before its first record.
fn begun(topic: &Topic, note: &str) -> Result<Begun, RestoreError> {
    let name = || topic.description.identity.topic.to_string();
    if let Some(other) = topic.marks.values().find(|mark| mark.note != note) {
        return Err(RestoreError::OfAnother {
            topic: name(),
            found: other.note.clone(),
            expected: note.to_owned(),
        });
    }
    if !topic.marks.is_empty() {
        return Ok(Begun::Before);
    }
    match topic.offsets.iter().find(|(_, log)| log.start < log.end) {
        None => Ok(Begun::Now),
        Some((partition, log)) => Err(RestoreError::NotEmpty {
            topic: name(),
            partition: *partition,
            start: log.start,
            end: log.end,
        }),
    }
}

/// Whether the brokers keep what is as old as the log.
fn kept(log: &Log, topic: &Topic, now: i64) -> Result<(), RestoreError> {
    let limit = topic.retention.ms.filter(|_| topic.retention.deletes);
    let (Some(limit), Some(oldest)) = (limit, log.oldest) else {
        return Ok(());
    };
    if oldest >= now.saturating_sub(limit) {
        return Ok(());
    }
    let hours = Duration::from_millis(u64::try_from(limit).unwrap_or(0)).as_secs() / 3_600;
    Err(RestoreError::RemovedAtOnce {
        topic: topic.description.identity.topic.to_string(),
        kept: format!("{hours} hours"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: i64 = 1_000 * HOUR;

    fn log() -> Log {
        Log {
            table_uuid: "u".to_owned(),
            job: JobId::new("orders"),
            identity: identity("orders", "source"),
            partitions: BTreeMap::from([(0, OffsetRange::new(5, 100)), (2, OffsetRange::new(0, 0))]),
            oldest: Some(NOW - 200 * HOUR),
        }
    }

    fn identity(topic: &str, id: &str) -> TopicIdentity {
        TopicIdentity {
            cluster_id: None,
            topic: topic.into(),
            topic_id: Some(id.to_owned()),
        }
    }

    fn topic() -> Topic {
        let offsets = LogOffsets { start: 0, end: 0 };
        Topic {
            description: TopicDescription {
                identity: identity("restored", "target"),
                partitions: vec![0, 1, 2],
            },
            offsets: (0..3).map(|number| (number, offsets)).collect(),
            retention: Retention {
                ms: None,
                bytes: None,
                deletes: true,
            },
            keeps_timestamps: true,
            marks: BTreeMap::new(),
        }
    }

    fn refused(topic: &Topic) -> String {
        Plan::of(&log(), topic, NOW).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_topic_gets_all_of_it() {
        let plan = Plan::of(&log(), &topic(), NOW).unwrap();
        assert_eq!((plan.begun, plan.whole()), (Begun::Now, Whole::NotYet));
        assert_eq!(plan.partitions, log().partitions);
        assert_eq!(plan.note, "table u job orders topic target");
    }

    #[test]
    fn a_restore_goes_on_where_it_was_and_knows_when_it_is_whole() {
        let mut topic = topic();
        topic.offsets.insert(0, LogOffsets { start: 0, end: 42 });
        let mark = |next| Mark {
            next,
            note: "table u job orders topic target".to_owned(),
        };
        topic.marks = BTreeMap::from([(0, mark(47)), (2, mark(0))]);
        let plan = Plan::of(&log(), &topic, NOW).unwrap();
        assert_eq!(plan.begun, Begun::Before);
        assert_eq!(plan.partitions[&0], OffsetRange::new(47, 100));
        topic.marks.insert(0, mark(100));
        let plan = Plan::of(&log(), &topic, NOW).unwrap();
        assert_eq!(plan.whole(), Whole::Yes);
        let anothers = Mark {
            next: 5,
            note: "table u job orders topic another".to_owned(),
        };
        topic.marks.insert(2, anothers);
        assert!(refused(&topic).contains("topic another in the place of table u"));
    }

    #[test]
    fn a_topic_that_is_not_for_it_is_refused() {
        let mut full = topic();
        full.offsets.insert(1, LogOffsets { start: 3, end: 9 });
        assert!(refused(&full).contains("its partition 1 has offsets from 3 to 8"));
        let mut narrow = topic();
        narrow.description.partitions = vec![0, 1];
        assert!(refused(&narrow).contains("has 2 partitions, and the log 3"));
        let mut source = topic();
        source.description.identity = identity("orders", "source");
        assert!(refused(&source).contains("job orders reads"));
        let mut stamping = topic();
        stamping.keeps_timestamps = false;
        assert!(refused(&stamping).contains("CreateTime"));
        let mut short = topic();
        short.retention.ms = Some(168 * HOUR);
        assert!(refused(&short).contains("keeps records for 168 hours"));
        short.retention.ms = Some(300 * HOUR);
        assert!(Plan::of(&log(), &short, NOW).is_ok());
    }
}
