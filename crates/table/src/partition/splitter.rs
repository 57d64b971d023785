//! A batch of rows -> the rows of each partition value.
//!
//! Nearly every batch of a live topic falls into one partition. For time partitions that is seen from
//! the minimum and maximum of the source column, and the batch passes through untouched. Otherwise
//! rows are grouped by the bytes of their partition key and put in order by one `take`; each group is
//! then a slice of that, without a further copy. (A slice keeps the whole reordered batch alive: encode
//! it, do not store it.)

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array, make_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::substring::substring;
use arrow::compute::{max, min, take, take_record_batch};
use arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow::row::{Row, RowConverter, SortField};
use iceberg::arrow::arrow_primitive_to_literal;
use iceberg::spec::{Literal, PartitionField, PartitionSpec, Schema, Struct, StructType, Transform, Type};
use iceberg::transform::{BoxedTransformFunction, create_transform_function};

use super::PartitionError;

/// Hour partitions are 32-bit, so no time transform is given a time further from 1970 than this; the
/// calendar functions below them end soon after.
const FARTHEST_MICROS: i64 = i32::MAX as i64 * 3_600_000_000;
const FARTHEST_DAYS: i64 = FARTHEST_MICROS / 86_400_000_000;

/// Splits batches of one schema by one partition spec.
#[derive(Debug)]
pub struct Splitter {
    keys: Vec<Key>,
}

/// One partition field: where its source is in a batch, and what makes the partition value of it.
#[derive(Debug)]
struct Key {
    column: String,
    /// Positions, from the batch's columns down through structs.
    path: Vec<usize>,
    transform: Transform,
    function: BoxedTransformFunction,
    result_type: Type,
}

/// The partition values of a batch, for one partition field.
enum Values {
    /// The same for every row.
    One(Option<Literal>),
    /// By row.
    Each(ArrayRef),
}

impl Splitter {
    /// # Errors
    /// When the spec uses a transform that is unknown here, or a column inside a list or map.
    pub fn new(spec: &PartitionSpec, schema: &Schema) -> Result<Self, PartitionError> {
        let keys = spec.fields().iter().map(|field| Key::new(field, schema));
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// The rows of `batch` that no partition can hold, and why: by row, the first partition field that cannot. Such a
    /// record is a bad record. One look at minimum and maximum tells that there are none.
    ///
    /// # Errors
    /// When `batch` has another schema than [`split`](Self::split) wants.
    pub fn refused(&self, batch: &RecordBatch) -> Result<BTreeMap<usize, PartitionError>, PartitionError> {
        let mut refused = BTreeMap::new();
        for key in &self.keys {
            for (row, error) in key.refused(batch)? {
                refused.entry(row).or_insert(error);
            }
        }
        Ok(refused)
    }

    /// The rows of `batch` by partition value, in the order in which the values first occur; rows keep
    /// their order. A row with a null source has a null partition value. An empty batch has no parts.
    ///
    /// `batch` has the schema of [`crate::schema::arrow_schema`], and no row that is [`refused`](Self::refused).
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<(Struct, RecordBatch)>, PartitionError> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let values = self
            .keys
            .iter()
            .map(|key| key.values(batch))
            .collect::<Result<Vec<_>, _>>()?;
        let varying: Vec<ArrayRef> = values
            .iter()
            .filter_map(|values| match values {
                Values::One(_) => None,
                Values::Each(array) => Some(Arc::clone(array)),
            })
            .collect();
        let groups = Groups::of(&varying, batch.num_rows())?;
        let partitions = self.partitions(&values, &groups.first_rows)?;
        if let [partition] = partitions.as_slice() {
            return Ok(vec![(partition.clone(), batch.clone())]);
        }
        let (order, ends) = groups.order();
        let sorted = take_record_batch(batch, &order)?;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let parts = starts
            .zip(&ends)
            .map(|(start, end)| sorted.slice(start, end - start));
        Ok(partitions.into_iter().zip(parts).collect())
    }

    /// The partition value of each group, read off its first row.
    fn partitions(&self, values: &[Values], first_rows: &[u32]) -> Result<Vec<Struct>, PartitionError> {
        let first_rows = UInt32Array::from(first_rows.to_vec());
        let mut columns = Vec::with_capacity(values.len());
        for (key, values) in self.keys.iter().zip(values) {
            columns.push(match values {
                Values::One(literal) => vec![literal.clone(); first_rows.len()],
                Values::Each(array) => key.literals(&take(array, &first_rows, None)?)?,
            });
        }
        let partition = |group: usize| columns.iter().map(|column| column[group].clone()).collect();
        Ok((0..first_rows.len()).map(partition).collect())
    }
}

impl Key {
    fn new(field: &PartitionField, schema: &Schema) -> Result<Self, PartitionError> {
        let unsupported = |problem: String| PartitionError::Unsupported {
            field: field.name.clone(),
            problem,
        };
        let column = schema
            .name_by_field_id(field.source_id)
            .unwrap_or_default()
            .to_owned();
        let source = schema.field_by_id(field.source_id).ok_or_else(|| {
            unsupported(format!(
                "its source, field id {}, is not in the schema",
                field.source_id
            ))
        })?;
        let path = path_to(schema.as_struct(), field.source_id)
            .ok_or_else(|| unsupported(format!("`{column}` is inside a list or map")))?;
        Ok(Self {
            path,
            transform: field.transform,
            function: create_transform_function(&field.transform)?,
            result_type: field.transform.result_type(&source.field_type)?,
            column,
        })
    }

    fn values(&self, batch: &RecordBatch) -> Result<Values, PartitionError> {
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
                let literals = self.literals(&self.function.transform(extremes)?)?;
                if let [first, last] = literals.as_slice()
                    && first == last
                {
                    return Ok(Values::One(first.clone()));
                }
            }
        }
        Ok(Values::Each(self.apply(source)?))
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

    fn refused(&self, batch: &RecordBatch) -> Result<Vec<(usize, PartitionError)>, PartitionError> {
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
            // The iceberg crate truncates Binary arrays, and reads tables into LargeBinary ones.
            (Transform::Truncate(width), DataType::LargeBinary) => {
                Ok(substring(&source, 0, Some(u64::from(width)))?)
            }
            _ => Ok(self.function.transform(source)?),
        }
    }

    fn literals(&self, values: &ArrayRef) -> Result<Vec<Option<Literal>>, PartitionError> {
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

/// Rows numbered by group, groups numbered by first occurrence.
struct Groups {
    of_row: Vec<u32>,
    first_rows: Vec<u32>,
}

impl Groups {
    fn of(columns: &[ArrayRef], rows: usize) -> Result<Self, PartitionError> {
        if columns.is_empty() {
            return Ok(Self {
                of_row: vec![0; rows],
                first_rows: vec![0],
            });
        }
        let fields = columns
            .iter()
            .map(|column| SortField::new(column.data_type().clone()))
            .collect();
        let keys = RowConverter::new(fields)?.convert_columns(columns)?;
        let mut groups: HashMap<Row<'_>, u32> = HashMap::new();
        let mut of_row: Vec<u32> = Vec::with_capacity(rows);
        let mut first_rows = Vec::new();
        let mut previous: Option<(Row<'_>, u32)> = None;
        for (row, key) in keys.iter().enumerate() {
            // Neighbours mostly share a partition: comparing is cheaper than hashing.
            let group = match previous {
                Some((same, group)) if same == key => group,
                _ => *groups.entry(key).or_insert_with(|| {
                    first_rows.push(row as u32);
                    first_rows.len() as u32 - 1
                }),
            };
            previous = Some((key, group));
            of_row.push(group);
        }
        Ok(Self { of_row, first_rows })
    }

    /// The rows in order of group (rows of one group stay in order), and where each group ends.
    fn order(&self) -> (UInt32Array, Vec<usize>) {
        let mut ends = vec![0; self.first_rows.len()];
        for group in &self.of_row {
            ends[*group as usize] += 1;
        }
        let mut next = Vec::with_capacity(ends.len());
        let mut total = 0;
        for end in &mut ends {
            next.push(total);
            total += *end;
            *end = total;
        }
        let mut order = vec![0; self.of_row.len()];
        for (row, group) in self.of_row.iter().enumerate() {
            let position = &mut next[*group as usize];
            order[*position] = row as u32;
            *position += 1;
        }
        (UInt32Array::from(order), ends)
    }
}
