//! What the parts of a decoder share while one record is read.

use std::ops::RangeInclusive;

use crate::bad::{Fault, Reason};
use crate::rows::micros_of_years;
use crate::settings::{DecodeSettings, Limits, Nanos, OnBadRecord, TimestampUnit};

pub(crate) type Outcome<T = ()> = Result<T, Box<Fault>>;

/// The settings that reading needs, in the form it needs them.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
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
pub(crate) struct Reading<'r> {
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
}
