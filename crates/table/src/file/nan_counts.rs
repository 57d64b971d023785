//! Counts of NaN by field id, which Parquet does not keep.
//!
//! Float columns at the top or inside structs are counted. Those inside lists and maps are not: they
//! have no bounds either, and an absent count means "may contain NaN".

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use iceberg::spec::{PrimitiveType, Schema, StructType, Type};

#[derive(Debug)]
pub(super) struct NanCounts {
    floats: Vec<FloatColumn>,
}

#[derive(Debug)]
struct FloatColumn {
    field_id: i32,
    /// Positions, from the batch's columns down through structs.
    path: Vec<usize>,
    count: u64,
}

impl NanCounts {
    pub(super) fn new(schema: &Schema) -> Self {
        let mut floats = Vec::new();
        find_floats(schema.as_struct(), &mut Vec::new(), &mut floats);
        Self { floats }
    }

    /// Counts in `batch`, which has the file's schema.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        for float in &mut self.floats {
            if let Some((first, rest)) = float.path.split_first() {
                float.count += count(batch.column(*first), None, rest);
            }
        }
    }

    pub(super) fn by_field_id(&self) -> HashMap<i32, u64> {
        self.floats
            .iter()
            .map(|float| (float.field_id, float.count))
            .collect()
    }
}

fn find_floats(fields: &StructType, path: &mut Vec<usize>, floats: &mut Vec<FloatColumn>) {
    for (position, field) in fields.fields().iter().enumerate() {
        path.push(position);
        match field.field_type.as_ref() {
            Type::Primitive(PrimitiveType::Float | PrimitiveType::Double) => {
                floats.push(FloatColumn {
                    field_id: field.id,
                    path: path.clone(),
                    count: 0,
                });
            }
            Type::Struct(inner) => find_floats(inner, path, floats),
            _ => {}
        }
        path.pop();
    }
}

/// NaNs in the column that `path` leads to from `array`; what is null above counts as null below.
fn count(array: &ArrayRef, above: Option<&NullBuffer>, path: &[usize]) -> u64 {
    let nulls = NullBuffer::union(array.nulls(), above);
    if let Some((first, rest)) = path.split_first() {
        return array
            .as_struct_opt()
            .map_or(0, |fields| count(fields.column(*first), nulls.as_ref(), rest));
    }
    match array.data_type() {
        DataType::Float32 => count_where(
            array.as_primitive::<Float32Type>().values(),
            nulls.as_ref(),
            |v| v.is_nan(),
        ),
        DataType::Float64 => count_where(
            array.as_primitive::<Float64Type>().values(),
            nulls.as_ref(),
            |v| v.is_nan(),
        ),
        _ => 0,
    }
}

fn count_where<T>(values: &[T], nulls: Option<&NullBuffer>, is_nan: impl Fn(&T) -> bool) -> u64 {
    let nans = match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => values.iter().filter(|value| is_nan(value)).count(),
        Some(nulls) => values
            .iter()
            .zip(nulls)
            .filter(|(value, valid)| *valid && is_nan(value))
            .count(),
    };
    nans as u64
}
