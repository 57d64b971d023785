//! What the parts of the Avro decoder share while one record is read.

use std::ops::RangeInclusive;

use super::cursor::Cursor;
use super::schema::Avro;
use crate::bad::{Fault, Reason};
use crate::rows::micros_of_years;
use crate::settings::{DecodeSettings, Limits, Nanos, OnBadRecord, TimestampUnit};

pub(super) type Outcome<T = ()> = Result<T, Box<Fault>>;

/// The settings that reading needs, in the form it needs them.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub null_field: bool,
    pub unit: TimestampUnit,
    pub nanos: Nanos,
    pub limits: Limits,
    /// Event times allowed, in microseconds.
    pub years: RangeInclusive<i64>,
}

impl Rules {
    pub fn new(settings: &DecodeSettings) -> Self {
        Self {
            null_field: settings.on_bad_record == OnBadRecord::NullField,
            unit: settings.timestamp_unit,
            nanos: settings.nanos,
            limits: settings.limits,
            years: micros_of_years(&settings.limits),
        }
    }
}

/// The state of reading one record.
pub(super) struct Reading<'r> {
    pub rules: &'r Rules,
    fields_left: usize,
    /// Bytes of symbols, which stand in no record.
    pub expanded: usize,
    pub unknown_fields: u64,
    /// Faults of fields that became null.
    pub nulled: Vec<Fault>,
}

impl<'r> Reading<'r> {
    pub fn new(rules: &'r Rules) -> Self {
        Self {
            rules,
            fields_left: rules.limits.max_fields,
            expanded: 0,
            unknown_fields: 0,
            nulled: Vec::new(),
        }
    }

    /// Takes `items` of `width` columns each from what the record may still have, before any of them is read: items
    /// may take no bytes at all.
    pub fn spend(&mut self, items: usize, width: usize) -> Outcome {
        let left = items
            .checked_mul(width.max(1))
            .and_then(|fields| self.fields_left.checked_sub(fields));
        match left {
            Some(left) => self.fields_left = left,
            None => {
                let limit = self.rules.limits.max_fields;
                let detail = format!("more than {limit} fields, elements of arrays and maps included");
                return Err(Fault::fatal(Reason::TooManyFields, detail));
            }
        }
        Ok(())
    }

    /// What has been taken of the record's `max_fields`.
    pub fn spent(&self) -> usize {
        self.rules.limits.max_fields - self.fields_left
    }

    /// Reads past a value.
    pub fn skip(&mut self, ty: &Avro, bytes: &mut Cursor<'_>) -> Outcome {
        match ty {
            Avro::Null => {}
            Avro::Boolean => {
                bytes.boolean()?;
            }
            Avro::Int | Avro::Date | Avro::TimeMillis => {
                bytes.int()?;
            }
            Avro::Long | Avro::TimeMicros | Avro::Timestamp(_) => {
                bytes.long()?;
            }
            Avro::Float => {
                bytes.take(4)?;
            }
            Avro::Double => {
                bytes.take(8)?;
            }
            Avro::Bytes | Avro::String | Avro::UuidText => {
                bytes.bytes()?;
            }
            Avro::Fixed(size) => {
                bytes.take(*size)?;
            }
            Avro::UuidBytes => {
                bytes.take(16)?;
            }
            Avro::Duration => {
                bytes.take(12)?;
            }
            Avro::Decimal(decimal) => {
                match decimal.size {
                    Some(size) => bytes.take(size)?,
                    None => bytes.bytes()?,
                };
            }
            Avro::Enum(symbols) => {
                bytes.index(symbols.len())?;
            }
            Avro::Array(items) => self.skip_blocks(bytes, |reading, bytes| reading.skip(items, bytes))?,
            Avro::Map(values) => self.skip_blocks(bytes, |reading, bytes| {
                bytes.bytes()?;
                reading.skip(values, bytes)
            })?,
            Avro::Record(fields) => {
                self.spend(1, fields.len())?;
                for field in fields.iter() {
                    self.skip(&field.ty, bytes)?;
                }
            }
            Avro::Union(branches) => {
                let branch = bytes.index(branches.len())?;
                self.skip(&branches[branch].ty, bytes)?;
            }
        }
        Ok(())
    }

    fn skip_blocks(
        &mut self,
        bytes: &mut Cursor<'_>,
        mut item: impl FnMut(&mut Self, &mut Cursor<'_>) -> Outcome,
    ) -> Outcome {
        loop {
            match bytes.block()? {
                (0, _) => return Ok(()),
                (_, Some(size)) => {
                    bytes.take(size)?;
                }
                (count, None) => {
                    self.spend(count, 1)?;
                    for _ in 0..count {
                        item(self, bytes)?;
                    }
                }
            }
        }
    }
}
