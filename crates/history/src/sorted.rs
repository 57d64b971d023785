//! Rows that do not come in order: as many as memory has room for are held, and handed out sorted.

use std::collections::BTreeMap;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use arrow::error::ArrowError;
use tabletopic_offsets::{Offset, OffsetRange};

use crate::rows::Places;

/// Bytes of rows that a source holds to sort them, besides a batch that is read and one that is handed out.
pub const MOST_HELD: usize = 64 << 20;

/// Rows of a chunk at most.
const CHUNK: usize = 1024;

/// Rows of some windows. Where there are more than `most` bytes of them, the windows shrink.
pub struct Sorting {
    windows: BTreeMap<i32, OffsetRange>,
    held: Vec<RecordBatch>,
    bytes: usize,
    most: usize,
    tell_topics: bool,
}

/// A row that is held: partition, offset, batch and row in it.
type Place = (i32, Offset, usize, usize);

impl Sorting {
    pub fn new(windows: BTreeMap<i32, OffsetRange>, most: usize, tell_topics: bool) -> Self {
        Self {
            windows,
            held: Vec::new(),
            bytes: 0,
            most,
            tell_topics,
        }
    }

    /// Takes those rows of a batch that are in the windows. `is_ours` tells whose a row is.
    pub fn add(
        &mut self,
        batch: &RecordBatch,
        is_ours: &dyn Fn(&Places, usize) -> bool,
    ) -> Result<(), ArrowError> {
        self.keep(batch, is_ours)?;
        while self.bytes > self.most && self.shrink()? {}
        Ok(())
    }

    fn keep(
        &mut self,
        batch: &RecordBatch,
        is_ours: &dyn Fn(&Places, usize) -> bool,
    ) -> Result<(), ArrowError> {
        let places = Places::of(batch, self.tell_topics)?;
        let within = |row: usize| {
            let place = places.at(row);
            place.is_some_and(|(partition, offset)| {
                let window = self.windows.get(&partition);
                window.is_some_and(|window| window.contains(offset))
            })
        };
        let keep = (0..places.len()).map(|row| Some(within(row) && is_ours(&places, row)));
        let keep: BooleanArray = keep.collect();
        if keep.true_count() > 0 {
            let kept = filter_record_batch(batch, &keep)?;
            self.bytes += kept.get_array_memory_size();
            self.held.push(kept);
        }
        Ok(())
    }

    /// Gives up about half of what is held: the windows end where it began. The first row stays, so that each reading hands
    /// out something; `false` if it is all that there is.
    fn shrink(&mut self) -> Result<bool, ArrowError> {
        let places = self.places()?;
        let key = |place: &Place| (place.0, place.1);
        let Some(first) = places.first().map(key) else {
            return Ok(false);
        };
        let cut = places[places.len() / 2..]
            .iter()
            .chain(&places)
            .map(key)
            .find(|key| *key > first);
        let Some((partition, until)) = cut else {
            return Ok(false);
        };
        self.windows.retain(|number, _| *number <= partition);
        if let Some(window) = self.windows.get_mut(&partition) {
            window.end = window.end.min(until);
        }
        self.windows.retain(|_, window| !window.is_empty());
        self.bytes = 0;
        for batch in std::mem::take(&mut self.held) {
            self.keep(&batch, &|_, _| true)?;
        }
        Ok(true)
    }

    /// All rows that are held, in order.
    fn places(&self) -> Result<Vec<Place>, ArrowError> {
        let mut all = Vec::new();
        for (number, batch) in self.held.iter().enumerate() {
            let places = Places::of(batch, self.tell_topics)?;
            let of = |row: usize| {
                let (partition, offset) = places.at(row)?;
                Some((partition, offset, number, row))
            };
            all.extend((0..places.len()).filter_map(of));
        }
        all.sort_unstable();
        Ok(all)
    }

    /// The rows in order, chunk by chunk, and the windows that they are all rows of.
    pub fn finish(self) -> Result<(Chunks, BTreeMap<i32, OffsetRange>), ArrowError> {
        let places = self.places()?;
        let each = self.bytes / places.len().max(1);
        let chunks = Chunks {
            places: places
                .into_iter()
                .map(|(_, _, batch, row)| (batch, row))
                .collect(),
            held: self.held,
            done: 0,
            rows: ((4 << 20) / each.max(1)).clamp(1, CHUNK),
        };
        Ok((chunks, self.windows))
    }
}

/// Sorted rows, a part at a time.
pub struct Chunks {
    held: Vec<RecordBatch>,
    places: Vec<(usize, usize)>,
    done: usize,
    /// Rows of a chunk.
    rows: usize,
}

impl Iterator for Chunks {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.places[self.done..];
        let next = &rest[..rest.len().min(self.rows)];
        if next.is_empty() {
            return None;
        }
        self.done += next.len();
        let held: Vec<&RecordBatch> = self.held.iter().collect();
        Some(interleave_record_batch(&held, next))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, TimestampMicrosecondArray};
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::*;

    fn batch(rows: &[(i32, Offset)]) -> RecordBatch {
        let partitions = Int32Array::from_iter_values(rows.iter().map(|row| row.0));
        let offsets = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
        let timestamps = TimestampMicrosecondArray::from(vec![None; rows.len()]).with_timezone("+00:00");
        RecordBatch::try_from_iter([
            ("_kafka_partition", Arc::new(partitions) as ArrayRef),
            ("_kafka_offset", Arc::new(offsets)),
            ("_kafka_timestamp", Arc::new(timestamps)),
        ])
        .unwrap()
    }

    /// Reads over and over, as a reader does.
    fn read(batches: &[Vec<(i32, Offset)>], most: usize) -> Vec<(i32, Offset)> {
        let all = OffsetRange::new(0, 1_000);
        let mut left: BTreeMap<i32, OffsetRange> = (0..3).map(|partition| (partition, all)).collect();
        let mut read = Vec::new();
        while !left.is_empty() {
            let mut sorting = Sorting::new(left.clone(), most, false);
            for rows in batches {
                sorting.add(&batch(rows), &|_, _| true).unwrap();
            }
            let (chunks, windows) = sorting.finish().unwrap();
            for chunk in chunks {
                let chunk = chunk.unwrap();
                let partitions = Places::of(&chunk, false).unwrap();
                assert!(chunk.num_rows() > 0);
                assert_eq!(
                    chunk.column(1).as_primitive::<Int64Type>().len(),
                    chunk.num_rows()
                );
                read.extend((0..partitions.len()).filter_map(|row| partitions.at(row)));
            }
            assert!(!windows.is_empty(), "nothing was read");
            for (partition, window) in windows {
                let left_of = left.get_mut(&partition).unwrap();
                left_of.start = window.end;
            }
            left.retain(|_, window| !window.is_empty());
        }
        read
    }

    proptest! {
        #[test]
        fn rows_come_sorted_within_their_partition_whatever_the_memory(
            rows in proptest::collection::btree_set((0..3i32, 0..1_000i64), 0..80),
            most in 1..4_000usize,
            seed in any::<u64>(),
        ) {
            let mut shuffled: Vec<(i32, Offset)> = rows.iter().copied().collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let batches: Vec<Vec<(i32, Offset)>> = shuffled.chunks(7).map(<[_]>::to_vec).collect();
            let mut read = read(&batches, most);
            // Partitions may take turns.
            let of = |partition: i32| read.iter().filter(|row| row.0 == partition).map(|row| row.1).collect::<Vec<_>>();
            for partition in 0..3 {
                prop_assert!(of(partition).windows(2).all(|pair| pair[0] < pair[1]));
            }
            read.sort_unstable();
            prop_assert_eq!(read, rows.into_iter().collect::<Vec<_>>());
        }
    }
}
