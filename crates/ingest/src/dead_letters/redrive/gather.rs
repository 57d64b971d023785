//! Reads dead letters in portions, each of one topic and small enough for one commit.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray, LargeBinaryArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use tabletopic_offsets::{Generation, JobId, Offset, OffsetRange, TableState, TopicIdentity};
use tabletopic_records::Record;
use tabletopic_table::commit::{CommitError, LettersOf};
use tabletopic_table::follower::letters::{Address, Addresses, Letters, Reading};
use tabletopic_table::rows::Offsets;

use crate::dead_letters::letter::LetterHeaders;
use crate::dead_letters::selection::Selection;

/// Letters of a portion, about. In the worst case each is a range of its own, in the snapshot and in the ledger.
const LETTERS: usize = 500;

/// Bytes of a portion, about.
const BYTES: usize = 32 << 20;

/// The columns that a record is made of again, and why it became a letter.
const COLUMNS: [&str; 5] = ["timestamp", "key", "value", "headers", "reason"];

/// Some letters of one topic, with their records.
#[derive(Debug)]
pub struct Portion {
    pub letters: LettersOf,
    /// Addresses and [`COLUMNS`]; each letter once, by partition and offset.
    batch: RecordBatch,
}

/// Collects letters by topic, until there are enough of one.
pub struct Gather<'a> {
    reading: Reading<'a>,
    /// The generations that the letters are read in.
    state: &'a TableState,
    collecting: BTreeMap<Origin, Vec<RecordBatch>>,
}

/// Which letters can be decoded together: those of one topic id that one job read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Origin {
    job: String,
    topic: String,
    topic_id: Option<String>,
}

impl Origin {
    fn of(letter: Address<'_>) -> Self {
        Self {
            job: letter.job.to_owned(),
            topic: letter.topic.to_owned(),
            topic_id: letter.topic_id.map(str::to_owned),
        }
    }

    fn is_of(&self, letter: Address<'_>) -> bool {
        (letter.job, letter.topic, letter.topic_id) == (&*self.job, &*self.topic, self.topic_id.as_deref())
    }
}

impl<'a> Gather<'a> {
    /// `letters` were opened on the base with this state.
    pub async fn begin(
        letters: &'a Letters<'a>,
        state: &'a TableState,
        selection: &Selection,
    ) -> Result<Self, CommitError> {
        Ok(Self {
            reading: letters.read(&COLUMNS, selection.predicate()).await?,
            state,
            collecting: BTreeMap::new(),
        })
    }

    /// The next portion; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Portion>, CommitError> {
        while let Some(batch) = self.reading.next().await? {
            self.collect(&batch).map_err(failed)?;
            let enough = |batches: &&Vec<RecordBatch>| {
                let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
                rows >= LETTERS || bytes >= BYTES
            };
            let full = self.collecting.iter().find(|(_, batches)| enough(batches));
            if let Some(origin) = full.map(|(origin, _)| origin.clone()) {
                return self.portion(origin).map(Some);
            }
        }
        match self.collecting.keys().next().cloned() {
            Some(origin) => self.portion(origin).map(Some),
            None => Ok(None),
        }
    }

    fn collect(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let mut origins: Vec<Origin> = Vec::new();
        let addresses = Addresses::of(batch);
        for letter in addresses.iter() {
            if !origins.iter().any(|origin| origin.is_of(letter)) {
                origins.push(Origin::of(letter));
            }
        }
        for origin in origins {
            let ours = addresses.iter().map(|letter| Some(origin.is_of(letter)));
            let ours = filter_record_batch(batch, &ours.collect::<BooleanArray>())?;
            self.collecting.entry(origin).or_default().push(ours);
        }
        Ok(())
    }

    fn portion(&mut self, origin: Origin) -> Result<Portion, CommitError> {
        let batches = self.collecting.remove(&origin).unwrap_or_default();
        let Some(first) = batches.first() else {
            return Err(CommitError::Encode("a portion without letters".to_owned()));
        };
        let batch = concat_batches(&first.schema(), &batches).map_err(failed)?;
        let mut rows = BTreeMap::new();
        for (row, letter) in (0..).zip(Addresses::of(&batch).iter()) {
            rows.entry((letter.partition, letter.offset)).or_insert(row);
        }
        let mut offsets = Offsets::new();
        for (partition, offset) in rows.keys() {
            let of_partition = offsets.entry(*partition).or_default();
            of_partition.insert(OffsetRange::new(*offset, *offset + 1));
        }
        let rows = UInt32Array::from_iter_values(rows.into_values());
        let job = JobId::new(origin.job);
        let generation = self
            .state
            .job(&job)
            .map_or(Generation::default(), |job| job.generation);
        Ok(Portion {
            letters: LettersOf {
                job,
                generation,
                identity: TopicIdentity {
                    cluster_id: None,
                    topic: origin.topic.into(),
                    topic_id: origin.topic_id,
                },
                offsets,
            },
            batch: take_record_batch(&batch, &rows).map_err(failed)?,
        })
    }
}

fn failed(error: ArrowError) -> CommitError {
    CommitError::Encode(error.to_string())
}

impl Portion {
    /// The letters of these offsets.
    pub fn only(&self, offsets: &Offsets) -> Result<Self, CommitError> {
        let inside = |letter: Address<'_>| {
            let of_partition = offsets.get(&letter.partition);
            of_partition.is_some_and(|of| of.contains(letter.offset))
        };
        let kept = Addresses::of(&self.batch)
            .iter()
            .map(|letter| Some(inside(letter)));
        let kept = kept.collect::<BooleanArray>();
        Ok(Self {
            letters: LettersOf {
                offsets: offsets.clone(),
                ..self.letters.clone()
            },
            batch: filter_record_batch(&self.batch, &kept).map_err(failed)?,
        })
    }

    /// Topic partition number and offset of one letter.
    pub fn place(&self, index: usize) -> (i32, Offset) {
        let letter = Addresses::of(&self.batch).get(index);
        (letter.partition, letter.offset)
    }

    /// Why these letters were letters: `12 wrong_type, 1 not_json`.
    pub fn reasons(&self, offsets: &Offsets) -> String {
        let reasons = self.batch.column(9).as_string::<i32>();
        let mut counts = BTreeMap::<&str, u64>::new();
        for (row, letter) in Addresses::of(&self.batch).iter().enumerate() {
            let of_partition = offsets.get(&letter.partition);
            if of_partition.is_some_and(|of| of.contains(letter.offset)) {
                *counts.entry(reasons.value(row)).or_default() += 1;
            }
        }
        let counts = counts.iter().map(|(reason, count)| format!("{count} {reason}"));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// The records that the letters were, in their order.
    pub fn records(&self) -> LetterRecords<'_> {
        let column = self.batch.column(8);
        let headers = (0..self.batch.num_rows()).map(|row| LetterHeaders::of(column, row));
        LetterRecords {
            batch: &self.batch,
            headers: headers.collect(),
        }
    }
}

/// Letters on the way to being records again.
pub struct LetterRecords<'a> {
    batch: &'a RecordBatch,
    headers: Vec<LetterHeaders>,
}

impl LetterRecords<'_> {
    pub fn as_records(&self) -> Vec<Record<'_>> {
        let timestamps = self.batch.column(5).as_primitive::<TimestampMicrosecondType>();
        let (keys, values) = (self.batch.column(6).as_binary(), self.batch.column(7).as_binary());
        let addresses = Addresses::of(self.batch);
        let record = |(row, headers)| {
            let Address {
                partition, offset, ..
            } = addresses.get(row);
            Record {
                partition,
                offset,
                timestamp: timestamps
                    .is_valid(row)
                    .then(|| timestamps.value(row).div_euclid(1000)),
                key: bytes(keys, row),
                value: bytes(values, row),
                headers,
            }
        };
        let headers = self.headers.iter().map(|headers| headers as _);
        headers.enumerate().map(record).collect()
    }
}

fn bytes(column: &LargeBinaryArray, row: usize) -> Option<&[u8]> {
    column.is_valid(row).then(|| column.value(row))
}
