//! What a partition field, or a field of a sort order, makes of a batch: the values of its transform.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray, make_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::substring::substring;
use arrow::compute::{max, min};
use arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use iceberg::arrow::arrow_primitive_to_literal;
use iceberg::spec::{Literal, Schema, StructType, Transform, Type};
use iceberg::transform::{BoxedTransformFunction, create_transform_function};

use super::PartitionError;

/// Hour partitions are 32-bit, so no time transform is given a time further from 1970 than this; the
/// calendar functions below them end soon after.
const FARTHEST_MICROS: i64 = i32::MAX as i64 * 3_600_000_000;
const FARTHEST_DAYS: i64 = FARTHEST_MICROS / MICROS_PER_DAY;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// One partition field: where its source is in a batch, and what makes the partition value of it.
#[derive(Debug)]
pub(super) struct Key {
    column: String,
    /// Positions, from the batch's columns down through structs.
    path: Vec<usize>,
    transform: Transform,
    function: BoxedTransformFunction,
    result_type: Type,
}

/// The partition values of a batch, for one partition field.
pub(super) enum Values {
    /// The same for every row.
    One(Option<Literal>),
    /// By row.
    Each(ArrayRef),
}

impl Key {
    /// The field `name`: what `transform` makes of the column `source_id`.
    pub(super) fn new(
        name: &str,
        source_id: i32,
        transform: Transform,
        schema: &Schema,
    ) -> Result<Self, PartitionError> {
        let unsupported = |problem: String| PartitionError::Unsupported {
            field: name.to_owned(),
            problem,
        };
        let column = schema.name_by_field_id(source_id).unwrap_or_default().to_owned();
        let source = schema.field_by_id(source_id).ok_or_else(|| {
            unsupported(format!(
                "its source, field id {}, is not in the schema",
                source_id
            ))
        })?;
        let path = path_to(schema.as_struct(), source_id)
            .ok_or_else(|| unsupported(format!("`{column}` is inside a list or map")))?;
        Ok(Self {
            path,
            transform,
            function: create_transform_function(&transform)?,
            result_type: transform.result_type(&source.field_type)?,
            column,
        })
    }

    pub(super) fn values(&self, batch: &RecordBatch) -> Result<Values, PartitionError> {
        if self.transform == Transform::Void {
            return Ok(Values::One(None));
        }
        let source = in_micros(&self.source(batch)?);
        if source.null_count() == source.len() {
            return Ok(Values::One(None));
        }
        if let Some(extremes) = self.extremes(&source)? {
            self.check_range(&extremes)?;
            let is_time = matches!(
                self.transform,
                Transform::Year | Transform::Month | Transform::Day | Transform::Hour
            );
            if is_time && source.null_count() == 0 {
                let literals = self.literals(&self.apply(extremes)?)?;
                if let [first, last] = literals.as_slice()
                    && first == last
                {
                    return Ok(Values::One(first.clone()));
                }
            }
        }
        Ok(Values::Each(self.apply(source)?))
    }

    /// The values by row, also where all are the same.
    pub(super) fn array(&self, batch: &RecordBatch) -> Result<ArrayRef, PartitionError> {
        let source = self.source(batch)?;
        if self.transform == Transform::Identity {
            return Ok(source);
        }
        let source = in_micros(&source);
        if let Some(extremes) = self.extremes(&source)? {
            self.check_range(&extremes)?;
        }
        self.apply(source)
    }

    /// The source column, null where a struct around it is.
    fn source(&self, batch: &RecordBatch) -> Result<ArrayRef, PartitionError> {
        let wrong = |problem: String| PartitionError::WrongBatch {
            column: self.column.clone(),
            problem,
        };
        let mut array: Option<ArrayRef> = None;
        for position in &self.path {
            let next = match &array {
                None => batch.columns().get(*position).cloned(),
                Some(parent) => match parent.as_struct_opt() {
                    Some(fields) if *position < fields.num_columns() => {
                        Some(mask(fields.column(*position), parent.nulls())?)
                    }
                    _ => None,
                },
            };
            array = Some(next.ok_or_else(|| wrong("is missing".to_owned()))?);
        }
        array.ok_or_else(|| wrong("is missing".to_owned()))
    }

    /// Minimum and maximum as an array of two, of the types where they say something about the
    /// partition value or its range.
    fn extremes(&self, source: &ArrayRef) -> Result<Option<ArrayRef>, PartitionError> {
        let extremes: Option<ArrayRef> = match source.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let array = source.as_primitive::<TimestampMicrosecondType>();
                let extremes = TimestampMicrosecondArray::from(vec![min(array), max(array)]);
                Some(Arc::new(extremes.with_timezone_opt(zone.clone())))
            }
            DataType::Date32 => {
                let array = source.as_primitive::<Date32Type>();
                Some(Arc::new(arrow::array::Date32Array::from(vec![
                    min(array),
                    max(array),
                ])))
            }
            DataType::Int32 => {
                let array = source.as_primitive::<Int32Type>();
                Some(Arc::new(arrow::array::Int32Array::from(vec![
                    min(array),
                    max(array),
                ])))
            }
            DataType::Int64 => {
                let array = source.as_primitive::<Int64Type>();
                Some(Arc::new(Int64Array::from(vec![min(array), max(array)])))
            }
            _ => None,
        };
        Ok(extremes)
    }

    pub(super) fn refused(
        &self,
        batch: &RecordBatch,
    ) -> Result<Vec<(usize, PartitionError)>, PartitionError> {
        let source = in_micros(&self.source(batch)?);
        let Some(extremes) = self.extremes(&source)? else {
            return Ok(Vec::new());
        };
        if self.outside(&extremes)?.is_empty() {
            return Ok(Vec::new());
        }
        self.outside(&source)
    }

    fn check_range(&self, extremes: &ArrayRef) -> Result<(), PartitionError> {
        match self.outside(extremes)?.pop() {
            None => Ok(()),
            Some((_, error)) => Err(error),
        }
    }

    /// Which of these values the transform would wrap, or turn into null, without a word.
    fn outside(&self, values: &ArrayRef) -> Result<Vec<(usize, PartitionError)>, PartitionError> {
        let Some(inside) = self.range(values.data_type()) else {
            return Ok(Vec::new());
        };
        let numbers = arrow::compute::cast(values, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>().iter().enumerate();
        let outside = numbers.filter_map(|(row, value)| {
            let error = || PartitionError::OutOfRange {
                column: self.column.clone(),
                transform: self.transform.to_string(),
            };
            value
                .filter(|value| !inside.contains(value))
                .map(|_| (row, error()))
        });
        Ok(outside.collect())
    }

    /// The values that the transform takes; `None` for all.
    fn range(&self, source: &DataType) -> Option<RangeInclusive<i64>> {
        match (self.transform, source) {
            (Transform::Year | Transform::Month | Transform::Day | Transform::Hour, DataType::Date32) => {
                Some(-FARTHEST_DAYS..=FARTHEST_DAYS)
            }
            (Transform::Year | Transform::Month | Transform::Day | Transform::Hour, _) => {
                Some(-FARTHEST_MICROS..=FARTHEST_MICROS)
            }
            (Transform::Truncate(width), DataType::Int32) => {
                Some(i64::from(i32::MIN) + i64::from(width)..=i64::MAX)
            }
            (Transform::Truncate(width), DataType::Int64) => Some(i64::MIN + i64::from(width)..=i64::MAX),
            _ => None,
        }
    }

    fn apply(&self, source: ArrayRef) -> Result<ArrayRef, PartitionError> {
        match (self.transform, source.data_type()) {
            // The iceberg crate rounds the last second of each day before 1970 up.
            (Transform::Day, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
                let micros = source.as_primitive::<TimestampMicrosecondType>();
                let day = |micros: i64| micros.div_euclid(MICROS_PER_DAY) as i32;
                Ok(Arc::new(micros.unary::<_, Date32Type>(day)))
            }
            // The iceberg crate truncates Binary arrays, and reads tables into LargeBinary ones.
            (Transform::Truncate(width), DataType::LargeBinary) => {
                Ok(substring(&source, 0, Some(u64::from(width)))?)
            }
            _ => Ok(self.function.transform(source)?),
        }
    }

    pub(super) fn literals(&self, values: &ArrayRef) -> Result<Vec<Option<Literal>>, PartitionError> {
        Ok(arrow_primitive_to_literal(values, &self.result_type)?)
    }
}

/// Nanosecond timestamps as microseconds, rounded down as Iceberg does: the iceberg crate's hour
/// transform refuses the former, and its bucket transform rounds them towards 1970.
fn in_micros(source: &ArrayRef) -> ArrayRef {
    match source.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            let micros: TimestampMicrosecondArray = source
                .as_primitive::<TimestampNanosecondType>()
                .unary(|nanos| nanos.div_euclid(1000));
            Arc::new(micros.with_timezone_opt(zone.clone()))
        }
        _ => Arc::clone(source),
    }
}

/// `array` with its own nulls and its parent's.
fn mask(array: &ArrayRef, parent: Option<&NullBuffer>) -> Result<ArrayRef, PartitionError> {
    if parent.is_none_or(|nulls| nulls.null_count() == 0) {
        return Ok(Arc::clone(array));
    }
    let nulls = NullBuffer::union(array.nulls(), parent);
    Ok(make_array(array.to_data().into_builder().nulls(nulls).build()?))
}

fn path_to(fields: &StructType, id: i32) -> Option<Vec<usize>> {
    fields.fields().iter().enumerate().find_map(|(position, field)| {
        let below = match field.field_type.as_ref() {
            _ if field.id == id => Some(Vec::new()),
            Type::Struct(inner) => path_to(inner, id),
            _ => None,
        };
        below.map(|below| std::iter::once(position).chain(below).collect())
    })
}
