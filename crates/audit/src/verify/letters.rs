//! Dead letters: each record at most once, as many as were counted, and none that is a row as well unless it was redriven.

use std::collections::BTreeMap;

use iceberg::expr::Predicate;
use roaring::RoaringTreemap;
use tabletopic_offsets::{JobId, OffsetRange, RangeSet, TableState, TopicPartition};
use tabletopic_table::commit::CommitError;
use tabletopic_table::follower::letters::{Addresses, Letters};

use super::offsets::Line;
use super::verdict::{Finding, Findings};

/// Of which log a letter is.
type Of = (JobId, Option<String>, i32);

/// Which offsets have a letter.
#[derive(Debug, Default)]
pub struct Addressed {
    by_log: BTreeMap<Of, RoaringTreemap>,
    pub findings: Findings,
    pub letters: u64,
}

impl Addressed {
    /// Those of the log that a topic partition is read from now.
    pub fn of(&self, line: &Line) -> Option<&RoaringTreemap> {
        self.by_log
            .get(&(line.job.clone(), line.topic_id.clone(), line.tp.partition))
    }

    fn add(&mut self, topic: &str, of: Of, offset: i64) {
        self.letters += 1;
        let tp = TopicPartition::new(topic, of.2);
        if !self.by_log.entry(of).or_default().insert(offset as u64) {
            let says = format!("{tp}@{offset} is there as a dead letter more than once");
            let place = OffsetRange::new(offset, offset + 1);
            self.findings.add(
                Finding::failed("double", says)
                    .of(Some(topic), tp.partition)
                    .at(place),
            );
        }
    }

    /// Compares them with the state. `ahead`: the dead-letter table may have letters of a newer state than this one.
    pub fn compare(&mut self, state: &TableState, ahead: bool) {
        for (id, job) in &state.jobs {
            for (partition, of_partition) in &job.partitions {
                let tp = job.topic_partition(*partition);
                let mut found = 0;
                let logs = self.by_log.iter();
                for ((_, topic_id, _), offsets) in
                    logs.filter(|((job, _, number), _)| job == id && number == partition)
                {
                    if *topic_id != job.identity.topic_id {
                        found += offsets.len();
                        continue;
                    }
                    let inside: u64 = of_partition
                        .progress
                        .ranges()
                        .iter()
                        .map(|range| offsets.range_cardinality(range.start as u64..range.end as u64))
                        .sum();
                    found += inside;
                    if inside < offsets.len() && !ahead {
                        let says = format!(
                            "{tp}: {} dead letters are of offsets outside of the progress {}",
                            offsets.len() - inside,
                            of_partition.progress.offsets()
                        );
                        let finding = Finding::failed("outside", says).of(Some(&tp.topic), *partition);
                        self.findings.add_many(finding, offsets.len() - inside);
                    }
                }
                let counted = of_partition.counts.dead_letters;
                if found != counted {
                    let says = format!("{tp}: {counted} dead letters were counted, and {found} are there");
                    self.findings
                        .add(Finding::failed("counts", says).of(Some(&tp.topic), *partition));
                }
            }
        }
    }

    /// Offsets of a topic partition that have a letter and a row, though they were not redriven.
    pub fn also_rows(&mut self, line: &Line, redriven: Option<&RangeSet>) {
        let Some(letters) = self.of(line) else {
            return;
        };
        let both = letters & line.seen();
        for offset in both.iter().map(|offset| offset as i64) {
            if redriven.is_some_and(|redriven| redriven.contains(offset)) {
                continue;
            }
            let says = format!(
                "{}@{offset} is a row and a dead letter, and no redrive made it one",
                line.tp
            );
            let place = OffsetRange::new(offset, offset + 1);
            let finding = Finding::failed("also-a-row", says);
            self.findings
                .add(finding.of(Some(&line.tp.topic), line.tp.partition).at(place));
        }
    }
}

/// Reads the addresses of all letters, those that wait for their table included.
///
/// # Errors
/// Those of reading the dead-letter table and the files that wait.
pub async fn read(letters: &Letters<'_>) -> Result<Addressed, CommitError> {
    let mut addressed = Addressed::default();
    let mut reading = letters.read(&[], Predicate::AlwaysTrue).await?;
    while let Some(batch) = reading.next().await? {
        for letter in Addresses::of(&batch).iter() {
            let of = (
                JobId::new(letter.job),
                letter.topic_id.map(str::to_owned),
                letter.partition,
            );
            addressed.add(letter.topic, of, letter.offset);
        }
    }
    Ok(addressed)
}

#[cfg(test)]
mod tests {
    use tabletopic_offsets::{Counts, TopicIdentity};

    use super::*;
    use crate::verify::verdict::{Check, Name};

    fn state(letters: u64) -> TableState {
        let mut state = TableState::empty();
        let identity = TopicIdentity {
            cluster_id: None,
            topic: "orders".into(),
            topic_id: Some("t".to_owned()),
        };
        state
            .anchor(&JobId::new("orders"), &identity, &BTreeMap::from([(0, 0)]))
            .unwrap();
        let job = state.jobs.get_mut(&JobId::new("orders")).unwrap();
        let partition = job.partitions.get_mut(&0).unwrap();
        partition.progress.grow(OffsetRange::new(0, 100)).unwrap();
        partition.counts = Counts {
            dead_letters: letters,
            ..Counts::default()
        };
        state
    }

    fn found(offsets: &[i64], counted: u64, ahead: bool) -> String {
        let mut addressed = Addressed::default();
        for offset in offsets {
            addressed.add("orders", (JobId::new("orders"), Some("t".to_owned()), 0), *offset);
        }
        addressed.compare(&state(counted), ahead);
        Check::of(Name::DeadLetters, "", addressed.findings).says
    }

    #[test]
    fn letters_are_counted_and_each_is_there_once() {
        assert_eq!(found(&[3, 7], 2, false), "");
        assert_eq!(found(&[3, 7], 3, false), "counts: 1");
        assert_eq!(found(&[3, 7, 7], 2, false), "double: 1");
        assert_eq!(found(&[3, 700], 1, false), "outside: 1");
        assert_eq!(
            found(&[3, 700], 1, true),
            "",
            "of a state that is newer than the one that is judged"
        );
    }
}
