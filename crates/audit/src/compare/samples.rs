//! Rows of the samples, read once more: which columns differ, and both values.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use serde_json::{Map, Value};

use super::answer::{Shown, Values};
use super::digest::Digests;
use super::files::{Both, FileRef, Sink};
use super::merge::{Kind, Sample};
use super::places::Places;
use super::sums::Sums;
use super::{CompareError, Progress};

/// Stands for null inside of a nested value.
const NULL: &str = "∅";

/// What samples are shown with.
pub struct Showing<'a> {
    pub both: &'a Arc<Both>,
    pub digests: &'a Arc<Digests>,
    pub places: &'a Places,
    pub sums: &'a Sums,
    /// How many of the first columns are the key.
    pub key: usize,
}

impl Showing<'_> {
    /// # Errors
    /// Those of reading.
    pub async fn show(
        &self,
        samples: &[Sample],
        progress: &Arc<dyn Progress>,
    ) -> Result<Vec<Shown>, CompareError> {
        // Where there is no key, the values are all that a row is known by.
        let wanted = samples
            .iter()
            .filter(|sample| sample.kind == Kind::Different || self.key == 0);
        let wanted = wanted.flat_map(|sample| sample.unmatched.iter().flatten());
        let wanted: HashSet<(FileRef, u128)> = wanted.map(|row| (row.file, row.digest)).collect();
        let files: HashSet<FileRef> = wanted.iter().map(|(file, _)| *file).collect();
        let finding = Arc::new(Finding {
            digests: self.digests.clone(),
            wanted,
            found: Mutex::default(),
        });
        if !files.is_empty() {
            let wanted = |file| files.contains(&file);
            progress.begins("reading samples", self.both.bytes(&wanted));
            self.both.read(&wanted, finding.clone(), progress).await?;
        }
        let found = std::mem::take(&mut *finding.found.lock().unwrap_or_else(PoisonError::into_inner));
        let ids: Vec<Vec<u8>> = samples.iter().map(|sample| sample.id.clone()).collect();
        let keys = self.digests.keys(&ids)?;
        let samples = samples.iter().enumerate();
        samples
            .map(|(at, sample)| self.one(sample, &keys, at, &found))
            .collect()
    }

    fn one(
        &self,
        sample: &Sample,
        keys: &[ArrayRef],
        at: usize,
        found: &HashMap<u128, RecordBatch>,
    ) -> Result<Shown, CompareError> {
        let fields = self.both.compared.fields();
        let mut key = Map::new();
        for (field, column) in fields.iter().zip(keys) {
            key.insert(field.name().clone(), value(column, at)?);
        }
        let rows = [0, 1].map(|side| {
            let row = sample.unmatched[side].as_ref();
            row.and_then(|row| found.get(&row.digest))
        });
        let place = sample.unmatched.iter().flatten().next().map(|row| row.place);
        let value_of = place.and_then(|place| self.sums.places.value_of(place));
        let partition = self.places.partitioned_by().and(value_of);
        Ok(Shown {
            kind: sample.kind,
            key,
            partition: partition.map(|value| self.places.value(&self.sums.places.values()[value])),
            rows_in_a: sample.rows[0],
            rows_in_b: sample.rows[1],
            columns: self.columns(rows)?,
        })
    }

    /// The columns that differ; of one row alone, all of them.
    fn columns(&self, rows: [Option<&RecordBatch>; 2]) -> Result<Vec<Values>, CompareError> {
        let comparable = |row: Option<&RecordBatch>| row.map(|row| self.digests.comparable(row)).transpose();
        let [a, b] = [comparable(rows[0])?, comparable(rows[1])?];
        let mut columns = Vec::new();
        for (at, field) in self.both.compared.fields().iter().enumerate().skip(self.key) {
            if let (Some(a), Some(b)) = (&a, &b)
                && same(&a[at], &b[at])?
            {
                continue;
            }
            let shown = |row: Option<&RecordBatch>| row.map(|row| value(row.column(at), 0)).transpose();
            let (a, b) = (shown(rows[0])?, shown(rows[1])?);
            if a.is_some() || b.is_some() {
                columns.push(Values {
                    column: field.name().clone(),
                    a,
                    b,
                });
            }
        }
        Ok(columns)
    }
}

/// Whether two arrays of one value each hold the same.
fn same(a: &ArrayRef, b: &ArrayRef) -> Result<bool, ArrowError> {
    let rows = RowConverter::new(vec![SortField::new(a.data_type().clone())])?;
    let (a, b) = (
        rows.convert_columns(std::slice::from_ref(a))?,
        rows.convert_columns(std::slice::from_ref(b))?,
    );
    Ok(a.row(0) == b.row(0))
}

/// A value as JSON: whole numbers, booleans and texts as they are, everything else as text, null as null.
fn value(column: &ArrayRef, row: usize) -> Result<Value, ArrowError> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Boolean => Value::from(column.as_boolean().value(row)),
        DataType::Int32 => Value::from(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        _ => {
            let options = FormatOptions::default().with_null(NULL);
            Value::from(ArrayFormatter::try_new(column, &options)?.value(row).to_string())
        }
    })
}

/// Keeps the rows that are wanted.
struct Finding {
    digests: Arc<Digests>,
    wanted: HashSet<(FileRef, u128)>,
    found: Mutex<HashMap<u128, RecordBatch>>,
}

#[async_trait]
impl Sink for Finding {
    async fn take(&self, file: FileRef, rows: RecordBatch) -> Result<(), CompareError> {
        let digests = self.digests.of(&rows)?.digests;
        for (row, digest) in digests.into_iter().enumerate() {
            if self.wanted.contains(&(file, digest)) {
                // Not a slice, which would keep the whole batch.
                let row = take_record_batch(&rows, &UInt32Array::from(vec![row as u32]))?;
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(digest, row);
            }
        }
        Ok(())
    }
}
