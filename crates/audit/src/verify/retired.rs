//! Rows that retention removed, whose records the broker may still have: where they were, as the ledger says.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;
use tabletopic_offsets::{JobId, LedgerRange, Offset, OffsetRange, RangeSet, TableState};

use super::Since;
use super::offsets::cardinality;

/// What one commit removed of one topic partition.
#[derive(Debug, Clone)]
struct Span {
    /// From the lowest of their offsets to behind the highest.
    offsets: OffsetRange,
    /// Less those that records of the broker were taken for.
    rows: u64,
}

/// By job and partition.
#[derive(Debug, Clone, Default)]
pub struct Retired(BTreeMap<(JobId, i32), Vec<Span>>);

impl Retired {
    /// Where no ledger says which offsets they had: as many as the state counts, anywhere in their partition.
    pub fn of_state(state: &TableState) -> Self {
        let mut retired = Self::default();
        for (id, job) in &state.jobs {
            for (number, counts) in &state.retired {
                if job.partitions.contains_key(number) {
                    let offsets = OffsetRange::new(0, Offset::MAX);
                    retired.insert(id, *number, offsets, counts.rows);
                }
            }
        }
        retired
    }

    /// Takes a range of an entry of retention.
    pub fn add(&mut self, range: &LedgerRange) {
        self.insert(&range.job, range.partition, range.range, range.counts.rows);
    }

    fn insert(&mut self, job: &JobId, partition: i32, offsets: OffsetRange, rows: u64) {
        let spans = self.0.entry((job.clone(), partition)).or_default();
        spans.push(Span { offsets, rows });
    }

    /// How many of these offsets, `most` at most, may be of removed rows. No row is taken twice.
    pub fn take(&mut self, job: &JobId, partition: i32, offsets: &RoaringTreemap, most: u64) -> u64 {
        let Some(spans) = self.0.get_mut(&(job.clone(), partition)) else {
            return 0;
        };
        // Spans may overlap.
        let all: RangeSet = spans.iter().map(|span| span.offsets).collect();
        let inside: u64 = all
            .ranges()
            .iter()
            .map(|range| cardinality(offsets, *range))
            .sum();
        let most = most.min(inside);
        let mut left = most;
        for span in spans {
            let rows = span.rows.min(cardinality(offsets, span.offsets)).min(left);
            span.rows -= rows;
            left -= rows;
        }
        most - left
    }

    /// How many of them at most had offsets that were done after a snapshot, by partition.
    pub fn after(&self, since: &Since) -> BTreeMap<i32, u64> {
        let mut after = BTreeMap::<i32, u64>::new();
        for ((job, partition), spans) in &self.0 {
            let before = since.progress(job, *partition);
            let rows = spans.iter().map(|span| rows_outside(span, &before));
            *after.entry(*partition).or_default() += rows.sum::<u64>();
        }
        after
    }
}

fn rows_outside(span: &Span, before: &RangeSet) -> u64 {
    let offsets: RangeSet = [span.offsets].into_iter().collect();
    span.rows.min(offsets.difference(before).len_offsets())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(start: Offset, end: Offset) -> RoaringTreemap {
        (start as u64..end as u64).collect()
    }

    #[test]
    fn rows_are_taken_off_where_they_were_and_once() {
        let job = JobId::new("orders");
        let mut retired = Retired::default();
        retired.insert(&job, 0, OffsetRange::new(0, 50), 40);
        assert_eq!(retired.take(&job, 1, &set(0, 10), 10), 0, "of another partition");
        assert_eq!(retired.take(&job, 0, &set(50, 60), 10), 0, "behind the span");
        assert_eq!(retired.take(&job, 0, &set(45, 60), 15), 5);
        assert_eq!(
            retired.take(&job, 0, &set(0, 45), 45),
            35,
            "the others were taken"
        );
        assert_eq!(retired.take(&job, 0, &set(0, 45), 45), 0);
    }

    #[test]
    fn spans_that_overlap_are_not_taken_twice() {
        let job = JobId::new("orders");
        let mut retired = Retired::default();
        retired.insert(&job, 0, OffsetRange::new(0, 50), 40);
        retired.insert(&job, 0, OffsetRange::new(0, 50), 10);
        let found = set(5, 6) | set(80, 81);
        assert_eq!(retired.take(&job, 0, &found, 2), 1);
    }

    #[test]
    fn rows_of_older_offsets_excuse_no_newer_ones() {
        let span = |start, end, rows| Span {
            offsets: OffsetRange::new(start, end),
            rows,
        };
        let before: RangeSet = [OffsetRange::new(0, 100)].into_iter().collect();
        assert_eq!(rows_outside(&span(0, 100, 80), &before), 0);
        assert_eq!(rows_outside(&span(0, 110, 80), &before), 10);
        assert_eq!(rows_outside(&span(200, 300, 80), &before), 80);
    }
}
