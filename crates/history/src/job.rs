//! Which job's rows are read, and whether they make one log. Pure.

use std::collections::BTreeMap;

use iceberg::TableIdent;
use tabletopic_offsets::{JobId, JobState, OffsetRange, PartitionState, TableState};

use crate::HistoryError;
use crate::rows::Whose;

/// The job that was named, or the only one.
pub fn chosen<'s>(
    table: &TableIdent,
    state: &'s TableState,
    named: Option<&JobId>,
) -> Result<(&'s JobId, &'s JobState), HistoryError> {
    let all = || state.jobs.keys().cloned().collect::<Vec<JobId>>();
    if let Some(named) = named {
        let found = state.jobs.get_key_value(named);
        return found.ok_or_else(|| HistoryError::NoSuchJob {
            table: table.clone(),
            job: named.clone(),
            jobs: all(),
        });
    }
    let mut jobs = state.jobs.iter();
    match (jobs.next(), jobs.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(HistoryError::NotFed { table: table.clone() }),
        (Some(_), Some(_)) => Err(HistoryError::SeveralJobs {
            table: table.clone(),
            jobs: all(),
        }),
    }
}

/// How the rows of a job are told from those of the others.
pub fn told_apart(
    table: &TableIdent,
    state: &TableState,
    id: &JobId,
    tell_topics: bool,
) -> Result<Whose, HistoryError> {
    let of_job = &state.jobs[id];
    let rivals = state.jobs.iter().filter(|(other, _)| *other != id);
    let mut whose = Whose { topic: None };
    for (other, rival) in rivals {
        let shared = of_job
            .partitions
            .keys()
            .find(|number| rival.partitions.contains_key(number));
        let Some(partition) = shared else { continue };
        let why = match (tell_topics, rival.identity.topic == of_job.identity.topic) {
            (true, false) => {
                whose.topic = Some(of_job.identity.topic.clone());
                continue;
            }
            (false, _) => "the table has no column _kafka_topic",
            (true, true) => "both topics have one name",
        };
        return Err(HistoryError::NotToldApart {
            table: table.clone(),
            job: id.clone(),
            other: other.clone(),
            partition: *partition,
            why,
        });
    }
    Ok(whose)
}

/// The offsets that each partition has as done.
pub fn logs(table: &TableIdent, job: &JobState) -> Result<BTreeMap<i32, OffsetRange>, HistoryError> {
    let of = |(number, state): (&i32, &PartitionState)| {
        let (table, tp) = (table.clone(), job.topic_partition(*number));
        if !state.past.is_empty() {
            return Err(HistoryError::Adopted { table, tp });
        }
        if let [first, second, ..] = state.progress.ranges() {
            let missing = OffsetRange::new(first.end, second.start);
            return Err(HistoryError::Unfinished { table, tp, missing });
        }
        let log = OffsetRange::new(state.progress.anchor(), state.progress.live_end());
        Ok((*number, log))
    };
    job.partitions.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use tabletopic_offsets::{Generation, PastTopic, RangeSet, TopicIdentity};

    use super::*;

    fn table() -> TableIdent {
        TableIdent::from_strs(["shop", "orders"]).unwrap()
    }

    fn fed(jobs: &[(&str, &str, &[i32])]) -> TableState {
        let mut state = TableState::empty();
        for (job, topic, partitions) in jobs {
            let identity = TopicIdentity {
                cluster_id: None,
                topic: (*topic).into(),
                topic_id: Some((*job).to_owned()),
            };
            let starts = partitions.iter().map(|partition| (*partition, 5)).collect();
            state.anchor(&JobId::new(*job), &identity, &starts).unwrap();
        }
        state
    }

    #[test]
    fn one_of_several_jobs_has_to_be_named() {
        let state = fed(&[("a", "orders", &[0]), ("b", "returns", &[0])]);
        let said = chosen(&table(), &state, None).unwrap_err().to_string();
        assert!(said.contains("several jobs: a, b"), "{said}");
        let said = chosen(&table(), &state, Some(&JobId::new("c"))).unwrap_err();
        assert!(said.to_string().contains("job c, but by a, b"), "{said}");
        assert!(chosen(&table(), &state, Some(&JobId::new("b"))).is_ok());
    }

    #[test]
    fn rows_of_jobs_are_told_apart_by_partition_or_by_topic() {
        let whose = |state: &TableState, tell| told_apart(&table(), state, &JobId::new("a"), tell);
        let apart = fed(&[("a", "orders", &[0]), ("b", "returns", &[1])]);
        assert_eq!(whose(&apart, false).unwrap().topic, None);
        let both = fed(&[("a", "orders", &[0, 1]), ("b", "returns", &[1])]);
        assert_eq!(whose(&both, true).unwrap().topic.as_deref(), Some("orders"));
        let said = whose(&both, false).unwrap_err().to_string();
        assert!(
            said.contains("partition 1") && said.contains("no column"),
            "{said}"
        );
        let same = fed(&[("a", "orders", &[0]), ("b", "orders", &[0])]);
        let said = whose(&same, true).unwrap_err().to_string();
        assert!(said.contains("one name"), "{said}");
    }

    #[test]
    fn a_log_of_several_logs_or_with_a_part_to_come_is_refused() {
        let mut state = fed(&[("a", "orders", &[0])]);
        let job = state.jobs.get_mut(&JobId::new("a")).unwrap();
        assert_eq!(logs(&table(), job).unwrap()[&0], OffsetRange::new(5, 5));
        let partition = job.partitions.get_mut(&0).unwrap();
        partition.progress.grow(OffsetRange::new(5, 9)).unwrap();
        partition.progress.declare(20).unwrap();
        let said = logs(&table(), job).unwrap_err().to_string();
        assert!(said.contains("[9, 20)"), "{said}");
        let partition = job.partitions.get_mut(&0).unwrap();
        partition.past.push(PastTopic {
            generation: Generation(0),
            claimed: RangeSet::new(),
        });
        let said = logs(&table(), job).unwrap_err().to_string();
        assert!(said.contains("several logs"), "{said}");
    }
}
