//! A batch of the source's rows, by the names that expressions and columns have for it.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, make_array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{CastOptions, cast, cast_with_options, filter, filter_record_batch};
use arrow::datatypes::{DataType, Fields, SchemaRef};
use arrow::error::ArrowError;
use tabletopic_decode::kafka_columns::KafkaColumn;

use crate::debezium::{self, Kind, Made};
use crate::expression::arrow_of;
use crate::settings::{Shape, Unwrap};

/// See the module.
#[derive(Debug)]
pub struct Rows<'s> {
    shape: &'s Shape,
    batch: RecordBatch,
    /// For each row the index of its record.
    pub records: Vec<usize>,
    /// Of an unwrapped job: the rows that a delete tells of.
    deleted: Option<BooleanArray>,
}

impl<'s> Rows<'s> {
    /// `batch` has a row for each of `records`.
    pub fn new(shape: &'s Shape, batch: RecordBatch, records: Vec<usize>) -> Result<Self, ArrowError> {
        let deleted = match shape.unwrap {
            None => None,
            Some(Unwrap::Debezium) => {
                let op = batch.column_by_name(debezium::OP);
                let op = op.ok_or_else(|| ArrowError::SchemaError("no `op`".to_owned()))?;
                Some(
                    op.as_string::<i32>()
                        .iter()
                        .map(|op| Some(op == Some("d")))
                        .collect(),
                )
            }
        };
        Ok(Self {
            shape,
            batch,
            records,
            deleted,
        })
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Leaves the other rows out.
    pub fn keep(&mut self, kept: &BooleanArray) -> Result<(), ArrowError> {
        self.batch = filter_record_batch(&self.batch, kept)?;
        if let Some(deleted) = &self.deleted {
            self.deleted = Some(filter(deleted, kept)?.as_boolean().clone());
        }
        let mut kept = kept.values().iter();
        self.records.retain(|_| kept.next().unwrap_or(false));
        Ok(())
    }

    /// A column by its name; `None` if no record has had it.
    pub fn column(&self, name: &str) -> Result<Option<ArrayRef>, ArrowError> {
        if KafkaColumn::by_name(name).is_some() {
            return Ok(self.batch.column_by_name(name).cloned());
        }
        if let (Some(made), Some(_)) = (debezium::made(name), self.shape.unwrap) {
            return self.envelopes(made);
        }
        let path = self.shape.path(name);
        let Some(deleted) = &self.deleted else {
            return Ok(self.at(path.iter().map(String::as_str)));
        };
        let image = |image| self.at([image].into_iter().chain(path.iter().map(String::as_str)));
        match debezium::IMAGES.map(image) {
            [Some(after), Some(before)] => {
                let before = retyped(&before, after.data_type())?;
                Ok(Some(zip(deleted, &before, &after)?))
            }
            [Some(after), None] => {
                let nothing = new_null_array(after.data_type(), after.len());
                Ok(Some(zip(deleted, &nothing, &after)?))
            }
            [None, Some(before)] => {
                let nothing = new_null_array(before.data_type(), before.len());
                Ok(Some(zip(deleted, &before, &nothing)?))
            }
            [None, None] => Ok(None),
        }
    }

    /// Of which rows the event has an image: the one that its columns are taken from.
    pub fn has_image(&self) -> Option<Vec<bool>> {
        let deleted = self.deleted.as_ref()?;
        let [after, before] = debezium::IMAGES.map(|image| self.batch.column_by_name(image));
        let has = |image: Option<&ArrayRef>, row| image.is_some_and(|image| image.is_valid(row));
        let rows = deleted.values().iter().enumerate();
        Some(
            rows.map(|(row, deleted)| has(if deleted { before } else { after }, row))
                .collect(),
        )
    }

    fn envelopes(&self, made: Made) -> Result<Option<ArrayRef>, ArrowError> {
        let Some(found) = self.at(made.path.iter().copied()) else {
            return Ok(None);
        };
        let to = arrow_of(&made.kind.primitive()).map_err(ArrowError::SchemaError)?;
        match made.kind {
            Kind::Text => cast(&found, &to).map(Some),
            Kind::Time => {
                // A time that no column holds has none.
                let millis = cast_with_options(&found, &DataType::Int64, &CastOptions::default())?;
                let millis = millis.as_primitive::<arrow::datatypes::Int64Type>();
                let micros: Int64Array = millis.iter().map(|at| at?.checked_mul(1_000)).collect();
                cast(&micros, &to).map(Some)
            }
        }
    }

    /// The column at a path of the source. Within a struct that is null everything is.
    fn at<'n>(&self, mut path: impl Iterator<Item = &'n str>) -> Option<ArrayRef> {
        let mut array = self.batch.column_by_name(path.next()?)?.clone();
        for name in path {
            let members = array.as_struct_opt()?;
            let member = members.column_by_name(name)?;
            let nulls = NullBuffer::union(members.nulls(), member.nulls());
            // Fewer values are valid than before, so that what was sound stays sound.
            let data = member.to_data().into_builder().nulls(nulls).build().ok()?;
            array = make_array(data);
        }
        Some(array)
    }
}

/// The type of a column by its name, where the source has it.
pub fn type_of(shape: &Shape, source: &SchemaRef, name: &str) -> Option<DataType> {
    if KafkaColumn::by_name(name).is_some() {
        return at(source.fields(), &[name]);
    }
    if let (Some(made), Some(_)) = (debezium::made(name), shape.unwrap) {
        at(source.fields(), made.path)?;
        return arrow_of(&made.kind.primitive()).ok();
    }
    let path = shape.path(name);
    shape.roots().iter().find_map(|root| {
        let path: Vec<&str> = root.iter().chain(&path).map(String::as_str).collect();
        at(source.fields(), &path)
    })
}

fn at(fields: &Fields, path: &[&str]) -> Option<DataType> {
    let (first, rest) = path.split_first()?;
    let (_, field) = fields.find(first)?;
    match (rest, field.data_type()) {
        ([], ty) => Some(ty.clone()),
        (rest, DataType::Struct(members)) => at(members, rest),
        _ => None,
    }
}

/// The same values under a type that differs in names and ids of fields alone.
///
/// # Errors
/// Types that differ in more.
pub fn retyped(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    if !to.is_nested() {
        return cast(array, to);
    }
    let data = array.to_data();
    let children: Vec<&DataType> = match to {
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::List(element) => vec![element.data_type()],
        DataType::Map(entries, _) => vec![entries.data_type()],
        _ => return cast(array, to),
    };
    if children.len() != data.child_data().len() {
        let problem = format!("{} where {to} should be", array.data_type());
        return Err(ArrowError::SchemaError(problem));
    }
    let children = data.child_data().iter().zip(children).map(|(child, to)| {
        let child = retyped(&make_array(child.clone()), to)?;
        Ok(child.to_data())
    });
    let children = children.collect::<Result<Vec<_>, ArrowError>>()?;
    let retyped = data
        .into_builder()
        .data_type(to.clone())
        .child_data(children)
        .build()?;
    Ok(make_array(retyped))
}
