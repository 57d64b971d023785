//! What the parts of the JSON decoder share while one record is read: the rules, what is left of the
//! record's limits, and what has been noticed.

use std::ops::RangeInclusive;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

use crate::bad::{Fault, Reason};
use crate::ignored::Ignored;
use crate::rows::micros_of_years;
use crate::settings::{DecodeSettings, JsonNumbers, Limits, Nanos, OnBadRecord, TimestampUnit};

pub(super) type Outcome<T = ()> = Result<T, Box<Fault>>;

/// The settings that reading needs, in the form it needs them.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub null_field: bool,
    pub infer: bool,
    pub unit: TimestampUnit,
    pub nanos: Nanos,
    pub numbers: JsonNumbers,
    pub limits: Limits,
    pub ignored: Ignored,
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
            years: micros_of_years(&settings.limits),
        }
    }
}

/// The state of reading one record.
pub(super) struct Reading<'r> {
    pub rules: &'r Rules,
    depth: usize,
    fields_left: usize,
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
            return Err(Fault::fatal(
                Reason::TooDeep,
                format!("nested more than {limit} deep"),
            ));
        }
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Takes `fields` from what the record may still have.
    pub fn spend(&mut self, fields: usize) -> Outcome {
        match self.fields_left.checked_sub(fields) {
            Some(left) => self.fields_left = left,
            None => {
                let limit = self.rules.limits.max_fields;
                return Err(Fault::fatal(
                    Reason::TooManyFields,
                    format!("more than {limit} fields"),
                ));
            }
        }
        Ok(())
    }

    /// What has been taken of the record's `max_fields`.
    pub fn spent(&self) -> usize {
        self.rules.limits.max_fields - self.fields_left
    }

    /// Reads a value of any kind to its end and checks it as strictly as a value that is kept (jiter's
    /// own skip leaves UTF-8 unchecked). Says whether the value tells anything about a type: null, and
    /// objects and arrays of nothing but null, do not.
    pub fn skip(&mut self, json: &mut Jiter<'_>, peek: Peek) -> Outcome<bool> {
        match peek {
            Peek::Null => {
                json.known_null().map_err(syntax)?;
                return Ok(false);
            }
            Peek::True | Peek::False => {
                json.known_bool(peek).map_err(syntax)?;
            }
            Peek::String => {
                json.known_str().map_err(syntax)?;
            }
            Peek::Array => return self.skip_array(json),
            Peek::Object => return self.skip_object(json),
            _ => {
                json.known_number_bytes(peek).map_err(syntax)?;
            }
        }
        Ok(true)
    }

    fn skip_array(&mut self, json: &mut Jiter<'_>) -> Outcome<bool> {
        self.enter()?;
        let mut tells = false;
        let mut next = json.known_array().map_err(syntax)?;
        while let Some(peek) = next {
            self.spend(1)?;
            tells |= self.skip(json, peek)?;
            next = json.array_step().map_err(syntax)?;
        }
        self.leave();
        Ok(tells)
    }

    fn skip_object(&mut self, json: &mut Jiter<'_>) -> Outcome<bool> {
        self.enter()?;
        let mut tells = false;
        let mut more = json.known_object().map_err(syntax)?.is_some();
        while more {
            self.spend(1)?;
            let peek = json.peek().map_err(syntax)?;
            tells |= self.skip(json, peek)?;
            more = json.next_key().map_err(syntax)?.is_some();
        }
        self.leave();
        Ok(tells)
    }

    /// Reads past a value of the wrong kind, so that the record can be read on behind it.
    #[cold]
    pub fn wrong_kind(&mut self, json: &mut Jiter<'_>, peek: Peek, wanted: &str) -> Box<Fault> {
        match self.skip(json, peek) {
            Ok(_) => Fault::of_value(
                Reason::WrongType,
                format!("expected {wanted}, got {}", kind(peek)),
            ),
            Err(fault) => fault,
        }
    }
}

/// The kind of JSON value that starts like this, for people.
pub(super) fn kind(peek: Peek) -> &'static str {
    match peek {
        Peek::Null => "null",
        Peek::True | Peek::False => "a boolean",
        Peek::String => "a string",
        Peek::Array => "an array",
        Peek::Object => "an object",
        _ => "a number",
    }
}

/// A fault of the JSON text itself.
#[cold]
pub(super) fn syntax(error: JiterError) -> Box<Fault> {
    let reason = match &error.error_type {
        JiterErrorType::JsonError(JsonErrorType::InvalidUnicodeCodePoint) => Reason::InvalidUtf8,
        // jiter reads integers of up to 4,300 digits.
        JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange) => Reason::OutOfRange,
        _ => Reason::NotJson,
    };
    Fault::fatal(reason, error.to_string())
}
