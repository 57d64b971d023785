//! The metrics of a data file, from the metadata that its Parquet writer made.
//!
//! Counts follow Iceberg's Java client: every leaf column has a size, a count of values and of nulls.
//! Inside lists and maps these count elements, and there are no bounds.

use std::collections::HashMap;

use iceberg::spec::{DataFileBuilder, Datum, Schema, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::bounds::Bounds;

#[derive(Debug, Default)]
pub(super) struct Metrics {
    column_sizes: HashMap<i32, u64>,
    value_counts: HashMap<i32, u64>,
    null_value_counts: HashMap<i32, u64>,
    nan_value_counts: HashMap<i32, u64>,
    lower_bounds: HashMap<i32, Datum>,
    upper_bounds: HashMap<i32, Datum>,
    split_offsets: Vec<i64>,
}

impl Metrics {
    pub(super) fn new(
        metadata: &ParquetMetaData,
        schema: &Schema,
        nan_value_counts: HashMap<i32, u64>,
    ) -> Self {
        let mut metrics = Self {
            nan_value_counts,
            ..Self::default()
        };
        let descriptor = metadata.file_metadata().schema_descr();
        for (index, leaf) in descriptor.columns().iter().enumerate() {
            let info = leaf.self_type().get_basic_info();
            if !info.has_id() {
                continue;
            }
            let chunks: Vec<&ColumnChunkMetaData> = metadata
                .row_groups()
                .iter()
                .map(|group| group.column(index))
                .collect();
            metrics.add_column(info.id(), &chunks, schema, leaf.max_rep_level() > 0);
        }
        // A group starts where its first column does.
        metrics.split_offsets = metadata
            .row_groups()
            .iter()
            .filter_map(|group| group.columns().first())
            .map(|first| first.byte_range().0 as i64)
            .collect();
        metrics
    }

    fn add_column(&mut self, id: i32, chunks: &[&ColumnChunkMetaData], schema: &Schema, repeated: bool) {
        self.column_sizes.insert(
            id,
            chunks.iter().map(|chunk| chunk.compressed_size() as u64).sum(),
        );
        self.value_counts
            .insert(id, chunks.iter().map(|chunk| chunk.num_values() as u64).sum());
        if let Some(nulls) = chunks.iter().map(|chunk| null_count(chunk)).sum() {
            self.null_value_counts.insert(id, nulls);
        }
        if repeated {
            return;
        }
        let Some(Type::Primitive(ty)) = schema.field_by_id(id).map(|field| field.field_type.as_ref()) else {
            return;
        };
        // The writer leaves NaN out of minimum and maximum, so a chunk of nothing but nulls and NaNs
        // has neither, and takes nothing away from the bounds of the others.
        let may_lack = |chunk: &ColumnChunkMetaData| {
            null_count(chunk) == Some(chunk.num_values() as u64)
                || self.nan_value_counts.get(&id).is_some_and(|nans| *nans > 0)
        };
        let mut merged: Option<Bounds> = None;
        for chunk in chunks {
            let bounds = chunk
                .statistics()
                .and_then(|statistics| Bounds::of_chunk(statistics, ty));
            merged = match (merged, bounds) {
                (None, Some(bounds)) => Some(bounds),
                (Some(merged), Some(bounds)) => match merged.merge(bounds) {
                    Some(merged) => Some(merged),
                    None => return,
                },
                (merged, None) if may_lack(chunk) => merged,
                (_, None) => return,
            };
        }
        if let Some(Bounds { lower, upper }) = merged {
            self.lower_bounds.insert(id, lower);
            if let Some(upper) = upper {
                self.upper_bounds.insert(id, upper);
            }
        }
    }

    pub(super) fn describe(self, file: &mut DataFileBuilder) {
        file.column_sizes(self.column_sizes)
            .value_counts(self.value_counts)
            .null_value_counts(self.null_value_counts)
            .nan_value_counts(self.nan_value_counts)
            .lower_bounds(self.lower_bounds)
            .upper_bounds(self.upper_bounds)
            .split_offsets(Some(self.split_offsets));
    }
}

fn null_count(chunk: &ColumnChunkMetaData) -> Option<u64> {
    chunk
        .statistics()
        .and_then(|statistics| statistics.null_count_opt())
}
