//! The decoder of a job with a shape: reads records into the source, and makes the table's rows of it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use iceberg::spec::Schema;
use tabletopic_decode::{
    BadRecord, DecodeError, DecodeSettings, Decoded, Decoder, OnBadRecord, Proposal, Reason,
};
use tabletopic_records::Record;
use tabletopic_table::schema::arrow_schema;

use crate::debezium;
use crate::expression::Compiled;
use crate::output::{From, Outputs};
use crate::rows::{Rows, retyped};
use crate::settings::{Otherwise, Shape};
use crate::source::{self, Source, translate};

/// See the module.
pub struct Shaped {
    shape: Shape,
    settings: DecodeSettings,
    table: Schema,
    arrow: SchemaRef,
    source: Source,
    reading: Reading,
}

/// What is made anew whenever the source changes.
struct Reading {
    decoder: Box<dyn Decoder>,
    keep: Option<Compiled>,
    key: Option<ring::hmac::Key>,
    /// In the order of the table's columns.
    columns: Vec<From>,
    /// What the table lacks, whatever records hold.
    lacking: Vec<Proposal>,
}

impl Reading {
    fn new(
        shape: &Shape,
        settings: &DecodeSettings,
        table: &Schema,
        source: &Source,
    ) -> Result<Self, DecodeError> {
        let decoder = tabletopic_decode::decoder(settings, &source.schema)?;
        let failed = |problem| unfit(settings, problem);
        let arrow = decoder.arrow_schema();
        let mut outputs = Outputs::of(shape, &arrow).map_err(failed)?;
        let lacking = outputs.lacking(table).map_err(failed)?.into_iter();
        Ok(Self {
            decoder,
            keep: outputs.keep.take(),
            key: outputs.key.take(),
            columns: outputs.columns(shape, &arrow, table),
            lacking: lacking.map(|change| Proposal { change, caused_by: 0 }).collect(),
        })
    }
}

impl Shaped {
    pub fn new(shape: &Shape, settings: &DecodeSettings, table: &Schema) -> Result<Self, DecodeError> {
        let mut settings = source::settings(shape, settings);
        let source = Source::of(shape, table).map_err(|problem| unfit(&settings, problem))?;
        settings.former_names = source.former_names(shape, table, &settings.former_names);
        let arrow = arrow_schema(table).map_err(|error| unfit(&settings, error.to_string()))?;
        Ok(Self {
            reading: Reading::new(shape, &settings, table, &source)?,
            shape: shape.clone(),
            table: table.clone(),
            arrow,
            source,
            settings,
        })
    }

    /// Reads records into the source, which takes up by itself what the table need not know of.
    fn read(&mut self, records: &[Record<'_>]) -> Result<Decoded, DecodeError> {
        loop {
            let mut decoded = self.reading.decoder.decode(records)?;
            if decoded.grown.is_empty() || !decoded.awaits.is_empty() {
                return Ok(decoded);
            }
            let asked = translate(&self.shape, &decoded.grown).map_err(|problem| self.unfit(problem))?;
            if !asked.of_table.is_empty() {
                decoded.grown = asked.of_table;
                return Ok(decoded);
            }
            let changed = self.source.grow(&asked.of_source);
            if !changed.map_err(|problem| self.unfit(problem))? {
                let change = decoded.grown.first().map(|asked| format!("{:?}", asked.change));
                let problem = format!("nothing comes of {}", change.unwrap_or_default());
                return Err(self.unfit(problem));
            }
            self.reading = Reading::new(&self.shape, &self.settings, &self.table, &self.source)?;
        }
    }

    fn unfit(&self, problem: String) -> DecodeError {
        unfit(&self.settings, problem)
    }

    /// The table's rows of the source's.
    fn shape(&self, records: &[Record<'_>], decoded: &mut Decoded) -> Result<(), ArrowError> {
        let without: BTreeSet<usize> = lost(&decoded.bad).collect();
        let with = (0..decoded.taken).filter(|index| !without.contains(index));
        let batch = std::mem::replace(&mut decoded.batch, RecordBatch::new_empty(self.arrow.clone()));
        let mut rows = Rows::new(&self.shape, batch, with.collect())?;
        let mut bad = Vec::new();
        if self.shape.unwrap.is_some() {
            self.unwrap(records, &mut rows, &mut decoded.filtered, &mut bad)?;
        }
        self.keep(&mut rows, &mut decoded.filtered, &mut bad)?;
        decoded.batch = self.columns(&rows, &mut bad)?;
        decoded.filtered.sort_unstable();
        // What became null in a record without a row does not matter any more.
        let lost: BTreeSet<usize> = lost(&bad).chain(decoded.filtered.iter().copied()).collect();
        decoded.bad.retain(|bad| !lost.contains(&bad.index));
        decoded.bad.extend(bad);
        decoded.bad.sort_by_key(|bad| bad.index);
        Ok(())
    }

    /// Leaves tombstones out: the event before each of them told of the delete.
    fn unwrap(
        &self,
        records: &[Record<'_>],
        rows: &mut Rows<'_>,
        filtered: &mut Vec<usize>,
        bad: &mut Vec<BadRecord>,
    ) -> Result<(), ArrowError> {
        let op = rows.column("_op")?;
        let op = op.as_ref().map(|op| op.as_string::<i32>());
        let has_image = rows.has_image().unwrap_or_default();
        let mut kept = Vec::with_capacity(rows.len());
        for (row, index) in rows.records.iter().enumerate() {
            let op = op.filter(|op| op.is_valid(row)).map(|op| op.value(row));
            let problem = match op {
                _ if records[*index].value.is_none() => {
                    filtered.push(*index);
                    kept.push(false);
                    continue;
                }
                Some("c" | "r" | "u") if !has_image.get(row).copied().unwrap_or(false) => {
                    Some("the event has no `after`".to_owned())
                }
                // The image before a delete is there only where the database keeps one.
                Some("c" | "r" | "u" | "d" | "t") => None,
                Some(_) => Some("its `op` is none of c, r, u, d and t".to_owned()),
                None => Some("it has no `op`".to_owned()),
            };
            kept.push(problem.is_none());
            bad.extend(problem.map(|detail| BadRecord {
                index: *index,
                reason: Reason::NotDebezium,
                field: None,
                detail,
                nulled: false,
            }));
        }
        only(rows, kept)
    }

    /// Leaves out what `where` does not keep.
    fn keep(
        &self,
        rows: &mut Rows<'_>,
        filtered: &mut Vec<usize>,
        bad: &mut Vec<BadRecord>,
    ) -> Result<(), ArrowError> {
        let Some(keep) = &self.reading.keep else {
            return Ok(());
        };
        let found = keep.evaluate(rows.len(), &DataType::Boolean, |name| rows.column(name))?;
        let values = found.values.as_boolean();
        let mut failed = found.failed.into_iter().peekable();
        let mut kept = Vec::with_capacity(rows.len());
        for (row, index) in rows.records.iter().enumerate() {
            let mut aside = |reason, detail| {
                bad.push(BadRecord {
                    index: *index,
                    reason,
                    field: None,
                    detail,
                    nulled: false,
                });
            };
            let keeps = values.is_valid(row) && values.value(row);
            match failed.next_if(|(failed, _)| *failed == row) {
                Some((_, why)) => aside(Reason::ExpressionFailed, format!("`where` came upon {why}")),
                None if keeps => {}
                None => match self.shape.otherwise {
                    Otherwise::Drop => filtered.push(*index),
                    Otherwise::DeadLetter => aside(Reason::NotKept, "`where` does not keep it".to_owned()),
                },
            }
            kept.push(keeps);
        }
        only(rows, kept)
    }

    /// Fills the table's columns. Rows that one of them has no value for are bad.
    fn columns(&self, rows: &Rows<'_>, bad: &mut Vec<BadRecord>) -> Result<RecordBatch, ArrowError> {
        let mut lost = BTreeSet::new();
        let fields = self.table.as_struct().fields();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
        for ((field, arrow), from) in fields.iter().zip(self.arrow.fields()).zip(&self.reading.columns) {
            let ty = arrow.data_type();
            let mut fault = |row: usize, reason, detail: String, nulled| {
                // The first fault of a record is the one that counts.
                if nulled || lost.insert(row) {
                    bad.push(BadRecord {
                        index: rows.records[row],
                        reason,
                        field: Some(field.name.clone()),
                        detail,
                        nulled,
                    });
                }
            };
            let nulled = self.settings.on_bad_record == OnBadRecord::NullField && !field.required;
            let mut failures = BTreeSet::new();
            let column = match from {
                From::Nothing => new_null_array(ty, rows.len()),
                From::Column(name) => match rows.column(name)? {
                    Some(column) => retyped(&column, ty)?,
                    None => new_null_array(ty, rows.len()),
                },
                From::Hash(name) => match (rows.column(name)?, &self.reading.key) {
                    (Some(column), Some(key)) => cast(&crate::hash::hashes(key, &column)?, ty)?,
                    _ => new_null_array(ty, rows.len()),
                },
                From::Computed(compiled) => {
                    let found = compiled.evaluate(rows.len(), ty, |name| rows.column(name))?;
                    for (row, why) in found.failed {
                        failures.insert(row);
                        fault(
                            row,
                            Reason::ExpressionFailed,
                            format!("its expression came upon {why}"),
                            nulled,
                        );
                    }
                    found.values
                }
            };
            if field.required && column.null_count() > 0 {
                let nothing = |row: &usize| column.is_null(*row) && !failures.contains(row);
                for row in (0..rows.len()).filter(nothing) {
                    let detail = "a required column has nothing".to_owned();
                    fault(row, Reason::MissingRequired, detail, false);
                }
            }
            columns.push(column);
        }
        bad.retain(|bad| !bad.nulled || !lost.iter().any(|row| rows.records[*row] == bad.index));
        self.batch(columns, rows.len(), &lost)
    }

    /// Without the rows that are lost.
    fn batch(
        &self,
        columns: Vec<ArrayRef>,
        rows: usize,
        lost: &BTreeSet<usize>,
    ) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        if lost.is_empty() {
            return RecordBatch::try_new_with_options(self.arrow.clone(), columns, &options);
        }
        // Required columns may have holes until these rows are gone.
        let fields = self.arrow.fields().iter();
        let loose: arrow::datatypes::Fields = fields
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        let loose = std::sync::Arc::new(arrow::datatypes::Schema::new(loose));
        let all = RecordBatch::try_new_with_options(loose, columns, &options)?;
        let good: BooleanArray = (0..rows).map(|row| Some(!lost.contains(&row))).collect();
        let good = filter_record_batch(&all, &good)?;
        let options = RecordBatchOptions::new().with_row_count(Some(good.num_rows()));
        RecordBatch::try_new_with_options(self.arrow.clone(), good.columns().to_vec(), &options)
    }
}

impl Decoder for Shaped {
    fn decode(&mut self, records: &[Record<'_>]) -> Result<Decoded, DecodeError> {
        let events = match self.shape.unwrap {
            Some(_) => debezium::events(self.settings.format, records),
            None => Cow::Borrowed(records),
        };
        let mut decoded = self.read(&events)?;
        if decoded.grown.is_empty() && decoded.awaits.is_empty() && decoded.taken > 0 {
            decoded.grown.clone_from(&self.reading.lacking);
        }
        if decoded.grown.is_empty() && decoded.awaits.is_empty() {
            let shaped = self.shape(&events, &mut decoded);
            shaped.map_err(|source| DecodeError::Arrow {
                topic: self.settings.topic.clone(),
                source,
            })?;
        } else {
            decoded.batch = RecordBatch::new_empty(self.arrow.clone());
        }
        Ok(decoded)
    }

    fn arrow_schema(&self) -> SchemaRef {
        self.arrow.clone()
    }
}

/// The records without a row.
fn lost(bad: &[BadRecord]) -> impl Iterator<Item = usize> {
    bad.iter().filter(|bad| !bad.nulled).map(|bad| bad.index)
}

fn only(rows: &mut Rows<'_>, kept: Vec<bool>) -> Result<(), ArrowError> {
    if kept.iter().all(|kept| *kept) {
        return Ok(());
    }
    rows.keep(&BooleanArray::from(kept))
}

fn unfit(settings: &DecodeSettings, problem: String) -> DecodeError {
    DecodeError::Settings {
        topic: settings.topic.clone(),
        problem,
    }
}
