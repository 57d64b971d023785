//! Which row groups of a file may hold wanted rows, by the statistics in its footer.

use std::collections::HashSet;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

/// The statistics of all row groups of one file, by the table's column names.
pub struct RowGroups<'a> {
    pub file: &'a ArrowReaderMetadata,
    /// The table's columns, which the predicate knows.
    pub table: &'a SchemaRef,
    /// The name that a column of the table has in the file; `None` if the file does not have it.
    pub name_in_file: &'a dyn Fn(&str) -> Option<String>,
}

impl RowGroups<'_> {
    /// The indices of the row groups to read, in order. Without statistics, or where they cannot be compared, a row
    /// group is read.
    pub fn keep(&self, predicate: Option<&PruningPredicate>) -> Vec<usize> {
        let all = 0..self.num_containers();
        match predicate.and_then(|predicate| predicate.prune(self).ok()) {
            Some(keep) => all
                .zip(keep)
                .filter_map(|(at, keep)| keep.then_some(at))
                .collect(),
            None => all.collect(),
        }
    }

    /// One statistic of a column, of each row group, in the table's type.
    fn of(
        &self,
        column: &Column,
        statistic: impl Fn(&StatisticsConverter<'_>) -> parquet::errors::Result<ArrayRef>,
    ) -> Option<ArrayRef> {
        let name = (self.name_in_file)(&column.name)?;
        let file: &ArrowSchema = self.file.schema();
        let converter = StatisticsConverter::try_new(&name, file, self.file.parquet_schema())
            .ok()?
            // Writers that count no nulls have not thereby said that there are none.
            .with_missing_null_counts_as_zero(false);
        statistic(&converter).ok()
    }

    fn bounds(
        &self,
        column: &Column,
        statistic: impl Fn(&StatisticsConverter<'_>) -> parquet::errors::Result<ArrayRef>,
    ) -> Option<ArrayRef> {
        let ty = self.table.field_with_name(&column.name).ok()?.data_type();
        cast(&self.of(column, statistic)?, ty).ok()
    }
}

impl PruningStatistics for RowGroups<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |converter| {
            converter.row_group_mins(self.file.metadata().row_groups())
        })
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let ty = self.table.field_with_name(&column.name).ok()?.data_type();
        // The largest value of all is NaN, which statistics do not count.
        if ty.is_floating() {
            return None;
        }
        self.bounds(column, |converter| {
            converter.row_group_maxes(self.file.metadata().row_groups())
        })
    }

    fn num_containers(&self) -> usize {
        self.file.metadata().num_row_groups()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |converter| {
            let counts = converter.row_group_null_counts(self.file.metadata().row_groups())?;
            Ok(std::sync::Arc::new(counts))
        })
    }

    fn row_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |converter| {
            let counts = converter.row_group_row_counts(self.file.metadata().row_groups())?;
            counts
                .map(|counts| std::sync::Arc::new(counts) as ArrayRef)
                .ok_or_else(|| parquet::errors::ParquetError::General("no counts".to_owned()))
        })
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
