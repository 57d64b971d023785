//! What the parts of a decoder share while one record is read.

use std::ops::RangeInclusive;

use crate::bad::{Fault, Reason};
use crate::ignored::Ignored;
use crate::rows::micros_of_years;
use crate::settings::{DecodeSettings, JsonNumbers, Limits, Nanos, OnBadRecord, TimestampUnit};

pub(crate) type Outcome<T = ()> = Result<T, Box<Fault>>;

/// Why a field without a column is a fault.
pub(crate) const NO_COLUMN: &str = "the table has no such column, and `evolution` lets it get none";

/// The settings that reading needs, in the form it needs them.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub null_field: bool,
    /// Whether values without a column ask for one.
    pub infer: bool,
    pub unit: TimestampUnit,
    pub nanos: Nanos,
    pub numbers: JsonNumbers,
    pub limits: Limits,
    /// Fields that get no column.
    pub ignored: Ignored,
    /// The key's, which no field of a value gets; in lower case.
    pub key_column: Option<String>,
    /// Event times allowed, in microseconds.
    pub years: RangeInclusive<i64>,
}

impl Rules {
    pub fn new(settings: &DecodeSettings) -> Self {
        Self {
            null_field: settings.on_bad_record == OnBadRecord::NullField,
            infer: settings.infer,
            unit: settings.timestamp_unit,
            nanos: settings.nanos,
            numbers: settings.json_numbers,
            limits: settings.limits,
            ignored: settings.ignored.clone(),
            key_column: settings.key.as_ref().map(|key| key.column.to_lowercase()),
            years: micros_of_years(&settings.limits),
        }
    }
}

/// The state of reading one record.
pub(crate) struct Reading<'r> {
    pub rules: &'r Rules,
    /// JSON's objects and arrays around what is read.
    depth: usize,
    fields_left: usize,
    /// Bytes of symbols, which stand in no record.
    pub expanded: usize,
    /// The record has something that a change of the table could take.
    pub wants_growth: bool,
    pub unknown_fields: u64,
    /// Faults of fields that became null.
    pub nulled: Vec<Fault>,
}

impl<'r> Reading<'r> {
    pub fn new(rules: &'r Rules) -> Self {
        Self {
            rules,
            depth: 0,
            fields_left: rules.limits.max_fields,
            expanded: 0,
            wants_growth: false,
            unknown_fields: 0,
            nulled: Vec::new(),
        }
    }

    /// Goes into an object or array. A fault on the way out needs no `leave`: it ends the record.
    pub fn enter(&mut self) -> Outcome {
        self.depth += 1;
        let limit = self.rules.limits.max_depth;
        if self.depth > limit {
            let detail = format!("nested more than {limit} deep");
            return Err(Fault::fatal(Reason::TooDeep, detail));
        }
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
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

    /// A field that has no column and may get none, which has been read to its end.
    #[cold]
    pub fn refuse(&mut self, path: Box<str>) -> Outcome {
        let mut fault = Fault::of_value(Reason::WrongType, NO_COLUMN);
        fault.field = Some(path);
        if self.rules.null_field {
            self.nulled.push(*fault);
            return Ok(());
        }
        Err(fault)
    }

    /// What has been taken of the record's `max_fields`.
    pub fn spent(&self) -> usize {
        self.rules.limits.max_fields - self.fields_left
    }
}
