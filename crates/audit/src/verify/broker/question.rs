//! What the broker is asked at first: whether the topics are those that were read, and how far their logs go.

use std::collections::BTreeMap;
use std::sync::Arc;

use tabletopic_offsets::{OffsetRange, TableState, TopicPartition};
use tabletopic_source::{Broker, BrokerError, LogOffsets, PartitionError};

use crate::verify::verdict::{Finding, Findings};

pub type Logs = BTreeMap<TopicPartition, LogOffsets>;

/// Blocks, at most for the broker's time-out.
///
/// # Errors
/// The brokers gave no answer at all.
pub fn question(broker: &dyn Broker, state: &TableState) -> Result<(Logs, Findings), BrokerError> {
    let (mut findings, mut wanted) = (Findings::default(), Vec::new());
    let topics: Vec<Arc<str>> = state
        .jobs
        .values()
        .map(|job| job.identity.topic.clone())
        .collect();
    let described = broker.describe(&topics)?;
    for (job, described) in state.jobs.values().zip(described) {
        let topic = &job.identity.topic;
        match described {
            Ok(found) if found.identity.agrees(&job.identity) => {
                let partitions = job.partitions.keys();
                wanted.extend(partitions.map(|partition| job.topic_partition(*partition)));
            }
            Ok(found) => {
                let says = format!(
                    "the brokers have {}, and the table was fed by {}; if the topic was created again, answer with \
                     `tabletopic resolve --adopt-topic`",
                    found.identity, job.identity
                );
                findings.add(Finding::failed("other-topic", says));
            }
            Err(PartitionError::UnknownTopicOrPartition) => {
                let says = format!("topic {topic} is gone from the brokers: its rows rest on the table");
                findings.add(Finding::note("topic-gone", says));
            }
            Err(error) => {
                let says = format!("topic {topic} was not asked for: {error}");
                findings.add(Finding::note("not-asked", says));
            }
        }
    }
    let mut logs = Logs::new();
    // What was found of the topics stays found.
    let answers = broker.offsets(&wanted).unwrap_or_else(|error| {
        let says = format!("the ends of the logs were not asked for: {error}");
        findings.add(Finding::note("not-asked", says));
        Vec::new()
    });
    for (tp, answer) in wanted.iter().zip(answers) {
        match answer {
            Ok(log) => {
                logs.insert(tp.clone(), log);
            }
            Err(error) => {
                let says = format!("{tp} was not asked for: {error}");
                findings.add(Finding::note("not-asked", says).of(Some(&tp.topic), tp.partition));
            }
        }
    }
    for job in state.jobs.values() {
        for (partition, state) in &job.partitions {
            let (tp, progress) = (job.topic_partition(*partition), state.progress.live_end());
            if let Some(log) = logs.get(&tp).filter(|log| log.end < progress) {
                let says = format!(
                    "{tp}: the log ends at {}, below the progress {progress}: it was cut, and other records may take these \
                     offsets; answer with `tabletopic resolve --truncate`",
                    log.end
                );
                let cut = OffsetRange::new(log.end, progress);
                findings.add(
                    Finding::failed("log-cut", says)
                        .of(Some(&tp.topic), tp.partition)
                        .at(cut),
                );
            }
        }
    }
    Ok((logs, findings))
}
