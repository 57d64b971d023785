//! Which of some offsets have rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use futures::TryStreamExt;
use iceberg::expr::{Predicate, Reference};
use iceberg::spec::Datum;
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::{Offset, OffsetRange, RangeSet};

use super::{iceberg_table, read, visit_batch};
use crate::commit::CommitError;
use crate::lake::Lake;

/// Offsets by topic partition number.
pub type Offsets = BTreeMap<i32, RangeSet>;

/// Spans of offsets that a filter of files names at most: each costs time for every file.
const MOST_SPANS: usize = 64;

/// The column that tells rows of several topics apart, in tables that have it.
pub(super) const TOPIC: &str = "_kafka_topic";

/// Looks the same offsets of a topic up in one snapshot of a table after the other.
#[derive(Debug, Clone)]
pub struct Lookup {
    topic: Arc<str>,
    wanted: Offsets,
    /// Paths of files that hold none of them. A data file never changes, so they are not read again.
    without: BTreeSet<String>,
}

impl Lookup {
    pub fn new(topic: Arc<str>, wanted: Offsets) -> Self {
        Self {
            topic,
            wanted,
            without: BTreeSet::new(),
        }
    }

    /// Those that have a row in this snapshot. Where rows do not tell their topic, it may be another one's row, of
    /// several that feed the table, or of one that had the name before.
    ///
    /// # Errors
    /// Those of reading manifests and files; a table without Kafka's columns.
    pub async fn held(
        &mut self,
        lake: &Lake,
        table: &LoadedTable,
        snapshot_id: i64,
    ) -> Result<Offsets, CommitError> {
        let mut columns = vec!["_kafka_partition", "_kafka_offset"];
        let snapshot = table.metadata.snapshot_by_id(snapshot_id);
        let schema = snapshot.map(|at| at.schema(&table.metadata)).transpose()?;
        columns.extend(schema.and_then(|schema| schema.field_by_name(TOPIC).map(|_| TOPIC)));
        let scan = iceberg_table(lake, table)?
            .scan()
            .snapshot_id(snapshot_id)
            .select(columns)
            .with_filter(within(&self.wanted, "_kafka_partition", "_kafka_offset"))
            .build()?;
        let mut held = Offsets::new();
        let mut files = scan.plan_files().await?;
        while let Some(task) = files.try_next().await? {
            let path = task.data_file_path.clone();
            if self.without.contains(&path) {
                continue;
            }
            // What a delete file takes from it, somebody's rollback may bring back.
            let mut none = task.deletes.is_empty();
            let mut batches = read(lake, task)?;
            while let Some(batch) = batches.try_next().await? {
                let batch = self.of_topic(batch).map_err(|error| {
                    CommitError::Encode(format!("the column {TOPIC} of {path} can't be read: {error}"))
                })?;
                visit_batch(&path, &batch, &mut |partition, offset| {
                    if self.wanted.get(&partition).is_some_and(|of| of.contains(offset)) {
                        let found = held.entry(partition).or_default();
                        found.insert(OffsetRange::new(offset, offset + 1));
                        none = false;
                    }
                })?;
            }
            if none {
                self.without.insert(path);
            }
        }
        Ok(held)
    }

    /// The rows that do not say that they are of another topic.
    fn of_topic(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let Some(topics) = batch.column_by_name(TOPIC) else {
            return Ok(batch);
        };
        let topics = cast(topics, &DataType::Utf8)?;
        let topics = topics.as_string::<i32>();
        let ours = topics
            .iter()
            .map(|topic| topic.is_none_or(|topic| *topic == *self.topic));
        let ours: BooleanArray = ours.map(Some).collect();
        filter_record_batch(&batch, &ours)
    }
}

/// A filter that lets all rows of these offsets through, and few others.
pub fn within(offsets: &Offsets, partition: &str, offset: &str) -> Predicate {
    let inside = |span: OffsetRange| {
        let from = Reference::new(offset).greater_than_or_equal_to(Datum::long(span.start));
        from.and(Reference::new(offset).less_than(Datum::long(span.end)))
    };
    let most = MOST_SPANS / offsets.len().max(1);
    if most == 0 {
        let ranges = || offsets.values().flat_map(RangeSet::ranges);
        let first = ranges().map(|range| range.start).min();
        let end = ranges().map(|range| range.end).max();
        return inside(OffsetRange::new(first.unwrap_or(0), end.unwrap_or(0)));
    }
    let of_partition = |(number, offsets): (&i32, &RangeSet)| {
        let number = Datum::int(*number);
        let spans = spans(offsets, most).into_iter();
        spans.map(move |span| {
            Reference::new(partition)
                .equal_to(number.clone())
                .and(inside(span))
        })
    };
    let all = offsets.iter().flat_map(of_partition);
    all.reduce(Predicate::or).unwrap_or(Predicate::AlwaysFalse)
}

/// At most `most` ranges with all of `offsets` in them: the widest gaps stay.
fn spans(offsets: &RangeSet, most: usize) -> Vec<OffsetRange> {
    let ranges = offsets.ranges();
    let mut gaps: Vec<Offset> = ranges
        .windows(2)
        .map(|pair| pair[1].start - pair[0].end)
        .collect();
    gaps.sort_unstable_by_key(|gap| std::cmp::Reverse(*gap));
    let too_narrow = gaps.get(most - 1).copied().unwrap_or(0);
    let mut spans: Vec<OffsetRange> = Vec::new();
    for range in ranges {
        match spans.last_mut() {
            Some(last) if range.start - last.end <= too_narrow => last.end = range.end,
            _ => spans.push(*range),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(Offset, Offset)]) -> RangeSet {
        let ranges = ranges.iter().map(|(start, end)| OffsetRange::new(*start, *end));
        ranges.collect()
    }

    #[test]
    fn spans_hold_all_offsets_and_keep_the_widest_gaps() {
        let offsets = set(&[(0, 1), (3, 4), (10, 11), (12, 13), (100, 101)]);
        assert_eq!(spans(&offsets, 9), offsets.ranges());
        assert_eq!(spans(&offsets, 3), set(&[(0, 4), (10, 13), (100, 101)]).ranges());
        assert_eq!(spans(&offsets, 1), [OffsetRange::new(0, 101)]);
        assert_eq!(spans(&RangeSet::new(), 1), []);
    }

    #[test]
    fn a_filter_stays_small_whatever_the_number_of_partitions() {
        let offsets = |partitions: i32| -> Offsets {
            let each = |partition| (partition, set(&[(0, 1), (8, 9), (50, 51)]));
            (0..partitions).map(each).collect()
        };
        let leaves = |offsets: &Offsets| within(offsets, "p", "o").to_string().matches('=').count();
        assert!(leaves(&offsets(64)) <= 2 * MOST_SPANS);
        assert_eq!(leaves(&offsets(65)), 1, "by offset alone");
        assert_eq!(within(&Offsets::new(), "p", "o"), Predicate::AlwaysFalse);
    }
}
