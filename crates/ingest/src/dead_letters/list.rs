//! Counts dead letters by reason, and lists the newest.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_offsets::{Offset, OffsetRange, TableState};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError};
use tabletopic_table::follower::letters::{Addresses, Letters};
use tabletopic_table::rows::{Lookup, Offsets};

use super::error::DeadLettersError;
use super::letter::Letter;
use super::selection::Selection;

/// What dead letters there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub reasons: BTreeMap<String, Tally>,
    /// By their records' timestamps, the newest first.
    pub newest: Vec<Letter>,
}

/// Letters of one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub letters: u64,
    /// Those of them that the table has rows of.
    pub redriven: u64,
    /// The highest timestamp of their records, milliseconds since the Unix epoch.
    #[serde(rename = "newest_record_at")]
    pub newest: Option<Millis>,
}

/// Looks at the dead letters of a table, those that wait on the way to the dead-letter table included. `most` letters
/// are listed; all are counted.
///
/// # Errors
/// Those of reading the tables; halts of either.
pub async fn list(
    lake: &Lake,
    table: &TableIdent,
    selection: &Selection,
    most: usize,
) -> Result<Listed, DeadLettersError> {
    let base = main_table(lake, table).await?;
    let letters = Letters::open(lake, &base).await?;
    let rows = Rows::of(lake, &base, &letters, selection).await?;
    let mut listed = Listed::default();
    let mut reading = letters.read(&Letter::COLUMNS, selection.predicate()).await?;
    while let Some(batch) = reading.next().await? {
        for letter in Letter::of(&batch, |topic, partition, offset| {
            rows.holds(topic, partition, offset)
        }) {
            listed.count(&letter);
            listed.newest.push(letter);
        }
        listed.keep(most);
    }
    Ok(listed)
}

/// The table as it is. Letters can be looked at whatever stands still.
pub(super) async fn main_table(lake: &Lake, table: &TableIdent) -> Result<Base<TableState>, CommitError> {
    Ok(Base::read(lake.catalog.load(table).await?)?)
}

impl Listed {
    fn count(&mut self, letter: &Letter) {
        let tally = self.reasons.entry(letter.reason.clone()).or_default();
        tally.letters += 1;
        tally.redriven += u64::from(letter.redriven);
        tally.newest = tally.newest.max(letter.timestamp);
    }

    fn keep(&mut self, most: usize) {
        let place = |letter: &Letter| (letter.timestamp, letter.offset);
        self.newest.sort_by_key(|letter| Reverse(place(letter)));
        self.newest.truncate(most);
    }
}

/// Which of the letters have rows in the main table, by topic.
pub(super) struct Rows(BTreeMap<Arc<str>, Offsets>);

impl Rows {
    pub async fn of(
        lake: &Lake,
        base: &Base<TableState>,
        letters: &Letters<'_>,
        selection: &Selection,
    ) -> Result<Self, CommitError> {
        let mut wanted = BTreeMap::<Arc<str>, Offsets>::new();
        let mut reading = letters.read(&[], selection.predicate()).await?;
        while let Some(batch) = reading.next().await? {
            for letter in Addresses::of(&batch).iter() {
                let topic = match wanted.get_mut(letter.topic) {
                    Some(topic) => topic,
                    None => wanted.entry(letter.topic.into()).or_default(),
                };
                let offset = OffsetRange::new(letter.offset, letter.offset + 1);
                topic.entry(letter.partition).or_default().insert(offset);
            }
        }
        let mut rows = BTreeMap::new();
        if let Some(head) = base.head() {
            for (topic, offsets) in wanted {
                let mut lookup = Lookup::new(topic.clone(), offsets);
                rows.insert(topic, lookup.held(lake, &base.table, head.snapshot_id()).await?);
            }
        }
        Ok(Self(rows))
    }

    pub fn holds(&self, topic: &str, partition: i32, offset: Offset) -> bool {
        let of_partition = self.0.get(topic).and_then(|topic| topic.get(&partition));
        of_partition.is_some_and(|offsets| offsets.contains(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(offset: Offset, timestamp: Option<Millis>) -> Letter {
        Letter {
            job: "orders".to_owned(),
            topic: "orders".to_owned(),
            topic_id: None,
            partition: 0,
            offset,
            timestamp,
            reason: "not_json".to_owned(),
            field: None,
            detail: String::new(),
            redriven: offset == 1,
        }
    }

    #[test]
    fn the_newest_are_kept_and_all_are_counted() {
        let mut listed = Listed::default();
        for (offset, timestamp) in [(0, Some(50)), (1, None), (2, Some(70)), (3, Some(50))] {
            let letter = letter(offset, timestamp);
            listed.count(&letter);
            listed.newest.push(letter);
            listed.keep(3);
        }
        let offsets: Vec<Offset> = listed.newest.iter().map(|letter| letter.offset).collect();
        assert_eq!(offsets, [2, 3, 0]);
        let tally = Tally {
            letters: 4,
            redriven: 1,
            newest: Some(70),
        };
        assert_eq!(listed.reasons, BTreeMap::from([("not_json".to_owned(), tally)]));
    }
}
