//! Rows that are deleted by their position in the file.

use std::ops::Range;

use arrow::array::{BooleanArray, RecordBatch};

/// Walks over the rows of the row groups that are read, and tells which of them are deleted by position.
#[derive(Debug)]
pub struct Positions {
    /// What is still to come, as row numbers of the file.
    ahead: std::vec::IntoIter<Range<u64>>,
    at: Range<u64>,
    deleted: Vec<u64>,
}

impl Positions {
    /// `read` are the rows that are read, in order; `deleted` is sorted.
    pub fn new(read: Vec<Range<u64>>, deleted: Vec<u64>) -> Self {
        Self {
            ahead: read.into_iter(),
            at: 0..0,
            deleted,
        }
    }

    /// Whether each row of the next batch is kept.
    pub fn keep(&mut self, batch: &RecordBatch) -> BooleanArray {
        let mut keep = Vec::with_capacity(batch.num_rows());
        while keep.len() < batch.num_rows() {
            let Some(position) = self.at.next() else {
                match self.ahead.next() {
                    Some(range) => self.at = range,
                    // More rows than the footer says: none of them can be named by a delete file.
                    None => keep.push(true),
                }
                continue;
            };
            keep.push(self.deleted.binary_search(&position).is_err());
        }
        BooleanArray::from(keep)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatchOptions;
    use arrow::datatypes::Schema;

    use super::*;

    fn rows(count: usize) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap()
    }

    #[test]
    fn positions_count_from_the_start_of_the_file_also_when_row_groups_are_left_out() {
        // The row groups 0..10 and 20..30 are read, 10..20 is pruned; batches do not end with them.
        let mut positions = Positions::new(vec![0..10, 20..30], vec![0, 9, 15, 20, 29]);
        let deleted = |keep: BooleanArray| -> Vec<usize> {
            let rows = keep.iter().enumerate();
            rows.filter_map(|(at, keep)| (keep == Some(false)).then_some(at))
                .collect()
        };
        assert_eq!(deleted(positions.keep(&rows(12))), [0, 9, 10]);
        assert_eq!(deleted(positions.keep(&rows(8))), [7]);
    }
}
