//! Rows by their position in the file.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::error::ArrowError;

use super::deletion_vector::DeletionVector;

/// Walks over the rows of the row groups that are read, and tells their positions in the file.
#[derive(Debug)]
pub struct Positions {
    /// What is still to come.
    ahead: std::vec::IntoIter<Range<u64>>,
    at: Range<u64>,
}

impl Positions {
    /// `read` are the rows that are read, in order.
    pub fn new(read: Vec<Range<u64>>) -> Self {
        Self {
            ahead: read.into_iter(),
            at: 0..0,
        }
    }

    /// Those of the next batch.
    ///
    /// # Errors
    /// More rows than the footer says.
    pub fn next(&mut self, rows: usize) -> Result<Vec<u64>, ArrowError> {
        let mut positions = Vec::with_capacity(rows);
        while positions.len() < rows {
            let Some(position) = self.at.next() else {
                self.at = self.ahead.next().ok_or_else(|| {
                    ArrowError::ParquetError("it has more rows than its footer says".to_owned())
                })?;
                continue;
            };
            positions.push(position);
        }
        Ok(positions)
    }
}

/// The positions that are deleted from a data file.
#[derive(Debug, Default)]
pub struct DeletedPositions {
    /// By position delete files: sorted, and each once.
    pub listed: Vec<u64>,
    pub vector: Option<Arc<DeletionVector>>,
}

impl DeletedPositions {
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.vector.is_none()
    }

    /// Whether each row is kept.
    pub fn keep(&self, positions: &[u64]) -> BooleanArray {
        let vector = self.vector.as_ref();
        let keep = positions.iter().map(|position| {
            self.listed.binary_search(position).is_err()
                && !vector.is_some_and(|vector| vector.has(*position))
        });
        keep.collect::<Vec<bool>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_the_start_of_the_file_also_when_row_groups_are_left_out() {
        // The row groups 0..10 and 20..30 are read, 10..20 is pruned; batches do not end with them.
        let mut positions = Positions::new(vec![0..10, 20..30]);
        let deleted = DeletedPositions {
            listed: vec![0, 9, 15, 20, 29],
            vector: None,
        };
        let mut of_next = |rows| -> Vec<usize> {
            let keep = deleted.keep(&positions.next(rows).unwrap());
            let rows = keep.iter().enumerate();
            rows.filter_map(|(at, keep)| (keep == Some(false)).then_some(at))
                .collect()
        };
        assert_eq!(of_next(12), [0, 9, 10]);
        assert_eq!(of_next(8), [7]);
        assert!(positions.next(1).is_err(), "there are no more rows");
    }
}
