//! The columns of JSON objects, and how a whole record is read into them.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Fields;
use arrow::error::ArrowError;
use iceberg::spec::{NestedField, NestedFieldRef};
use jiter::{Jiter, Peek};

use super::column::StructColumn;
use super::reading::{kind, syntax};
use super::remarks::Remarks;
use crate::bad::{Fault, Reason};
use crate::by_writer::RecordColumns;
use crate::columns::{Outcome, Reading};
use crate::ignored::Ignored;

/// See the module.
pub(crate) struct ObjectColumns {
    record: StructColumn,
    /// What values are read by now.
    remarks: Option<Arc<Remarks>>,
    /// Where jiter unescapes strings; kept, so that it is allocated once.
    tape: Vec<u8>,
}

impl ObjectColumns {
    /// Reads a record to its end. Adds exactly one entry to each column, whatever comes. `remarks` are those of its
    /// schema.
    pub fn append(
        &mut self,
        value: &[u8],
        remarks: Option<&Arc<Remarks>>,
        reading: &mut Reading<'_>,
    ) -> Outcome {
        // Producers seldom take turns.
        if remarks.map(Arc::as_ptr) != self.remarks.as_ref().map(Arc::as_ptr) {
            self.record.heed(remarks.map(Arc::as_ref));
            self.remarks = remarks.cloned();
        }
        if self.record.append_plain(value, reading.rules) {
            return Ok(());
        }
        let mut json = Jiter::with_tape(value, std::mem::take(&mut self.tape));
        let outcome = match json.peek() {
            Ok(Peek::Object) => {
                let outcome = self.record.append(&mut json, Peek::Object, reading, false);
                outcome.and_then(|()| json.finish().map_err(syntax))
            }
            Ok(peek) => {
                self.record.pad(false);
                Err(not_an_object(&mut json, peek, reading))
            }
            Err(error) => {
                self.record.pad(false);
                Err(syntax(error))
            }
        };
        self.tape = json.into_tape();
        outcome
    }
}

impl RecordColumns for ObjectColumns {
    fn new(
        iceberg: &[&NestedFieldRef],
        arrow: Fields,
        event_time: Option<&[&str]>,
    ) -> Result<Self, (String, String)> {
        let iceberg: Vec<&NestedField> = iceberg.iter().map(|field| field.as_ref()).collect();
        Ok(Self {
            record: StructColumn::new(&iceberg, arrow, "", event_time)?,
            remarks: None,
            tape: Vec::new(),
        })
    }

    fn pass_over(&mut self, ignored: &Ignored) {
        self.record.pass_over(ignored, Vec::new());
    }

    fn pad(&mut self) {
        self.record.pad(false);
    }

    fn append_tombstone(&mut self) -> Outcome {
        self.record.append_tombstone()
    }

    fn width(&self) -> usize {
        self.record.width()
    }

    fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.record.finish_columns()
    }
}

#[cold]
fn not_an_object(json: &mut Jiter<'_>, peek: Peek, reading: &mut Reading<'_>) -> Box<Fault> {
    match reading
        .read_past(json, peek)
        .and_then(|_| json.finish().map_err(syntax))
    {
        Ok(()) => Fault::fatal(Reason::NotAnObject, format!("the value is {}", kind(peek))),
        Err(fault) => fault,
    }
}
