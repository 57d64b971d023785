//! Which offsets have a row or a dead letter.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;
use tabletopic_offsets::{JobId, Offset, OffsetRange, TableState};

use crate::commit::{Base, CommitError};
use crate::follower::letters::{Addresses, Letters};
use crate::lake::Lake;
use crate::rows::{self, Offsets, within};

/// Offsets by topic partition number.
pub(super) type Places = BTreeMap<i32, RoaringTreemap>;

/// Whose letters are meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct LettersOf<'a> {
    job: &'a JobId,
    topic_id: Option<&'a str>,
    /// Letters that are older than the topic's id was known have none.
    nameless: bool,
}

impl<'a> LettersOf<'a> {
    pub fn new(state: &'a TableState, job: &'a JobId) -> Self {
        let known = state.job(job);
        let was_another = known.is_some_and(|job| {
            let mut partitions = job.partitions.values();
            partitions.any(|state| !state.past.is_empty())
        });
        Self {
            job,
            topic_id: known.and_then(|job| job.identity.topic_id.as_deref()),
            nameless: !was_another,
        }
    }

    fn holds(&self, job: &str, topic_id: Option<&str>) -> bool {
        job == self.job.as_str() && (topic_id == self.topic_id || (self.nameless && topic_id.is_none()))
    }
}

/// Offsets that have a dead letter, and those of them that have several.
#[derive(Debug, Clone, Default)]
pub(super) struct LetterPlaces {
    pub all: Places,
    again: Places,
}

impl LetterPlaces {
    /// How many letters there are of a topic partition number's offsets.
    pub fn count(&self, partition: i32, offsets: OffsetRange) -> u64 {
        let of = |places: &Places| {
            let places = places.get(&partition);
            places.map_or(0, |places| {
                places.range_cardinality(offsets.start as u64..offsets.end as u64)
            })
        };
        of(&self.all) + of(&self.again)
    }

    fn add(&mut self, partition: i32, offset: Offset) {
        if !self.all.entry(partition).or_default().insert(offset as u64) {
            self.again.entry(partition).or_default().insert(offset as u64);
        }
    }
}

/// The dead letters of some offsets, those that wait for their table included, and those that wait for their removal not.
///
/// # Errors
/// Those of reading them.
pub(super) async fn letters(
    lake: &Lake,
    base: &Base<TableState>,
    of: LettersOf<'_>,
    offsets: &Offsets,
) -> Result<LetterPlaces, CommitError> {
    let mut places = LetterPlaces::default();
    let letters = Letters::open(lake, base).await?;
    let mut reading = letters.read(&[], within(offsets, "partition", "offset")).await?;
    while let Some(batch) = reading.next().await? {
        for letter in Addresses::of(&batch).iter() {
            let wanted = offsets.get(&letter.partition);
            if of.holds(letter.job, letter.topic_id)
                && wanted.is_some_and(|wanted| wanted.contains(letter.offset))
            {
                places.add(letter.partition, letter.offset);
            }
        }
    }
    Ok(places)
}

/// The offsets of all rows of a table.
///
/// # Errors
/// Those of reading its files.
pub(super) async fn of_rows(lake: &Lake, base: &Base<TableState>) -> Result<Places, CommitError> {
    let mut places = Places::new();
    let Some(head) = base.head() else {
        return Ok(places);
    };
    for (partition, ranges) in rows::ranges(lake, &base.table, head.snapshot_id()).await? {
        let all = places.entry(partition).or_default();
        for range in ranges {
            all.insert_range(range.start as u64..range.end as u64);
        }
    }
    Ok(places)
}
