//! Columns of primitive types: one JSON value to one value of an Arrow builder.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int32Builder, Int64Builder, LargeBinaryBuilder, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iceberg::spec::PrimitiveType;
use jiter::{Jiter, NumberInt, Peek};
use uuid::Uuid;

use super::number::{self, Misfit};
use super::plain::{Plain, Scalar};
use super::reading::syntax;
use super::time::{self, Zone};
use crate::bad::{Fault, Reason};
use crate::columns::leaf::{check_event_time, epoch};
use crate::columns::{Outcome, Reading, Rules};

#[derive(Debug)]
pub(super) enum Leaf {
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal {
        values: Decimal128Builder,
        precision: u32,
        scale: u32,
    },
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp {
        values: TimestampMicrosecondBuilder,
        zone: Zone,
    },
    String(StringBuilder),
    /// Any value, as it stands in the record.
    Json(StringBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Fixed {
        values: FixedSizeBinaryBuilder,
        length: usize,
        scratch: Vec<u8>,
    },
    Binary {
        values: LargeBinaryBuilder,
        scratch: Vec<u8>,
    },
}

impl Leaf {
    /// `arrow` is the Arrow type of the Iceberg type `ty`.
    pub fn new(ty: &PrimitiveType, arrow: &DataType) -> Result<Self, String> {
        let utc = Tz::from_str("+00:00").map_err(|error| error.to_string())?;
        Ok(match ty {
            PrimitiveType::Boolean => Self::Boolean(BooleanBuilder::new()),
            PrimitiveType::Int => Self::Int(Int32Builder::new()),
            PrimitiveType::Long => Self::Long(Int64Builder::new()),
            PrimitiveType::Float => Self::Float(Float32Builder::new()),
            PrimitiveType::Double => Self::Double(Float64Builder::new()),
            PrimitiveType::Decimal { precision, scale } => Self::Decimal {
                values: Decimal128Builder::new().with_data_type(arrow.clone()),
                precision: *precision,
                scale: *scale,
            },
            PrimitiveType::Date => Self::Date(Date32Builder::new()),
            PrimitiveType::Time => Self::Time(Time64MicrosecondBuilder::new()),
            PrimitiveType::Timestamp | PrimitiveType::Timestamptz => Self::Timestamp {
                values: TimestampMicrosecondBuilder::new().with_data_type(arrow.clone()),
                zone: if *ty == PrimitiveType::Timestamp {
                    Zone::Wall(utc)
                } else {
                    Zone::Known(utc)
                },
            },
            PrimitiveType::String => Self::String(StringBuilder::new()),
            PrimitiveType::Uuid => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            PrimitiveType::Binary => Self::Binary {
                values: LargeBinaryBuilder::new(),
                scratch: Vec::new(),
            },
            PrimitiveType::Fixed(_) => {
                let DataType::FixedSizeBinary(length) = arrow else {
                    return Err("is too long".into());
                };
                Self::Fixed {
                    values: FixedSizeBinaryBuilder::new(*length),
                    length: usize::try_from(*length).map_err(|error| error.to_string())?,
                    scratch: Vec::new(),
                }
            }
            PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs => {
                return Err("cannot be filled from JSON: use a type of microseconds".into());
            }
        })
    }

    /// Whether a column of text takes any value, as the JSON that it is.
    pub fn takes_any(&mut self, any: bool) {
        match self {
            Self::String(values) if any => *self = Self::Json(std::mem::take(values)),
            Self::Json(values) if !any => *self = Self::String(std::mem::take(values)),
            _ => {}
        }
    }

    /// Reads a value that is not null and appends it; a fault appends nothing.
    #[inline]
    pub fn append(
        &mut self,
        json: &mut Jiter<'_>,
        peek: Peek,
        reading: &mut Reading<'_>,
        event_time: bool,
    ) -> Outcome {
        match self {
            Self::String(values) => {
                if peek != Peek::String {
                    return Err(reading.wrong_kind(json, peek, "a string"));
                }
                values.append_value(json.known_str().map_err(syntax)?);
            }
            Self::Json(values) => {
                let start = json.current_index();
                reading.read_past(json, peek)?;
                let text = std::str::from_utf8(json.slice_to_current(start))
                    .map_err(|error| Fault::fatal(Reason::InvalidUtf8, error.to_string()))?;
                values.append_value(text);
            }
            Self::Long(values) => values.append_value(integer(json, peek, reading)?),
            Self::Timestamp { values, zone } => {
                let micros = timestamp(json, peek, reading, *zone)?;
                values.append_value(check_event_time(micros, event_time, reading.rules)?);
            }
            Self::Boolean(values) => match peek {
                Peek::True | Peek::False => values.append_value(json.known_bool(peek).map_err(syntax)?),
                _ => return Err(reading.wrong_kind(json, peek, "a boolean")),
            },
            Self::Int(values) => {
                let long = integer(json, peek, reading)?;
                let int = i32::try_from(long).map_err(|_| out_of_range(reading, "beyond 32 bits"))?;
                values.append_value(int);
            }
            Self::Double(values) => values.append_value(float(json, peek, reading)?),
            Self::Float(values) => {
                let single = float(json, peek, reading)? as f32;
                if single.is_infinite() {
                    return Err(out_of_range(reading, "beyond the range of float"));
                }
                values.append_value(single);
            }
            Self::Decimal {
                values,
                precision,
                scale,
            } => {
                let unscaled = match peek {
                    Peek::String => {
                        number::decimal(json.known_str().map_err(syntax)?.as_bytes(), *precision, *scale)
                    }
                    _ if peek.is_num() => {
                        number::decimal(json.known_number_bytes(peek).map_err(syntax)?, *precision, *scale)
                    }
                    _ => return Err(reading.wrong_kind(json, peek, "a number, or a string that is one")),
                };
                values.append_value(unscaled.map_err(|misfit| decimal_fault(misfit, reading))?);
            }
            Self::Date(values) => values.append_value(text(json, peek, reading, time::date)?),
            Self::Time(values) => {
                let nanos = reading.rules.nanos;
                values.append_value(text(json, peek, reading, |text| time::time_of_day(text, nanos))?);
            }
            Self::Uuid(values) => {
                let uuid = text(json, peek, reading, |text| {
                    Uuid::try_parse(text).map_err(|_| (Reason::InvalidValue, "expected a UUID"))
                })?;
                append_fixed(values, uuid.as_bytes())?;
            }
            Self::Binary { values, scratch } => {
                text(json, peek, reading, |text| base64(text, scratch))?;
                values.append_value(scratch);
            }
            Self::Fixed {
                values,
                length,
                scratch,
            } => {
                text(json, peek, reading, |text| base64(text, scratch))?;
                if scratch.len() != *length {
                    let detail = format!("expected {length} bytes, got {}", scratch.len());
                    return Err(Fault::of_value(Reason::InvalidValue, detail));
                }
                append_fixed(values, scratch)?;
            }
        }
        Ok(())
    }

    /// What this column takes from a scalar of a plain record; `None` where jiter has to look. `text` is the record.
    #[inline]
    pub fn plain(&self, scalar: Scalar, text: &str, rules: &Rules, event_time: bool) -> Option<Plain> {
        match (self, scalar) {
            (Self::String(_), Scalar::Text(span)) => Some(Plain::Text(span)),
            (Self::Long(_), Scalar::Integer(long, _)) => Some(Plain::Long(long)),
            (Self::Int(_), Scalar::Integer(long, _)) => {
                i32::try_from(long).is_ok().then_some(Plain::Long(long))
            }
            (Self::Double(_), Scalar::Integer(_, span) | Scalar::Number(span)) => {
                number::double(span.of(text)).map(Plain::Double)
            }
            (Self::Float(_), Scalar::Integer(_, span) | Scalar::Number(span)) => {
                let double = number::double(span.of(text));
                let single = double.filter(|double| (*double as f32).is_finite());
                single.map(Plain::Double)
            }
            (
                Self::Decimal { precision, scale, .. },
                Scalar::Integer(_, span) | Scalar::Number(span) | Scalar::Text(span),
            ) => {
                let unscaled = number::decimal(span.of(text).as_bytes(), *precision, *scale);
                unscaled
                    .ok()
                    .map(|unscaled| Plain::Decimal(unscaled.to_ne_bytes()))
            }
            (Self::Date(_), Scalar::Text(span)) => {
                let days = time::date(span.of(text)).ok();
                days.map(|days| Plain::Long(days.into()))
            }
            (Self::Time(_), Scalar::Text(span)) => {
                let micros = time::time_of_day(span.of(text), rules.nanos).ok();
                micros.map(Plain::Long)
            }
            (Self::Boolean(_), Scalar::Boolean(value)) => Some(Plain::Boolean(value)),
            (Self::Timestamp { zone, .. }, _) => {
                let micros = match scalar {
                    Scalar::Integer(number, _) => epoch(number, rules.unit).ok(),
                    Scalar::Number(span) => {
                        let number = span.of(text).as_bytes();
                        time::epoch(number, rules.unit, rules.nanos).ok()
                    }
                    Scalar::Text(span) => time::timestamp(span.of(text), *zone, rules.nanos).ok(),
                    Scalar::Boolean(_) | Scalar::Null => None,
                };
                let micros = micros.filter(|micros| !event_time || rules.years.contains(micros));
                micros.map(Plain::Long)
            }
            _ => None,
        }
    }

    /// Appends what [`plain`](Self::plain) gave; `text` is the record.
    #[inline]
    pub fn append_plain(&mut self, plain: Plain, text: &str) {
        match (self, plain) {
            (Self::String(values), Plain::Text(span)) => values.append_value(span.of(text)),
            (Self::Long(values), Plain::Long(long)) => values.append_value(long),
            (Self::Int(values), Plain::Long(long)) => values.append_value(long as i32),
            (Self::Timestamp { values, .. }, Plain::Long(micros)) => values.append_value(micros),
            (Self::Double(values), Plain::Double(double)) => values.append_value(double),
            (Self::Float(values), Plain::Double(double)) => values.append_value(double as f32),
            (Self::Decimal { values, .. }, Plain::Decimal(unscaled)) => {
                values.append_value(i128::from_ne_bytes(unscaled));
            }
            (Self::Date(values), Plain::Long(days)) => values.append_value(days as i32),
            (Self::Time(values), Plain::Long(micros)) => values.append_value(micros),
            (Self::Boolean(values), Plain::Boolean(value)) => values.append_value(value),
            (column, _) => column.pad(false),
        }
    }

    /// One more entry that nobody will see as a value: null, or where null may not be, a zero.
    pub fn pad(&mut self, required: bool) {
        macro_rules! pad {
            ($values:expr, $zero:expr) => {
                if required {
                    $values.append_value($zero)
                } else {
                    $values.append_null()
                }
            };
        }
        match self {
            Self::Boolean(values) => pad!(values, false),
            Self::Int(values) => pad!(values, 0),
            Self::Long(values) => pad!(values, 0),
            Self::Float(values) => pad!(values, 0.0),
            Self::Double(values) => pad!(values, 0.0),
            Self::Decimal { values, .. } => pad!(values, 0),
            Self::Date(values) => pad!(values, 0),
            Self::Time(values) => pad!(values, 0),
            Self::Timestamp { values, .. } => pad!(values, 0),
            Self::String(values) | Self::Json(values) => pad!(values, ""),
            Self::Binary { values, .. } => pad!(values, b""),
            Self::Uuid(values) => {
                if !required || values.append_value([0; 16]).is_err() {
                    values.append_null();
                }
            }
            Self::Fixed { values, length, .. } => {
                if !required || values.append_value(vec![0; *length]).is_err() {
                    values.append_null();
                }
            }
        }
    }

    /// The values so far; the builder starts again, with room for as many.
    pub fn finish(&mut self) -> ArrayRef {
        macro_rules! finish {
            ($values:expr, $fresh:expr) => {{
                let values = $values.finish();
                *$values = $fresh;
                Arc::new(values)
            }};
        }
        match self {
            Self::Boolean(values) => Arc::new(values.finish()),
            Self::Int(values) => finish!(values, Int32Builder::with_capacity(values.len())),
            Self::Long(values) => finish!(values, Int64Builder::with_capacity(values.len())),
            Self::Float(values) => Arc::new(values.finish()),
            Self::Double(values) => Arc::new(values.finish()),
            Self::Decimal { values, .. } => Arc::new(values.finish()),
            Self::Date(values) => Arc::new(values.finish()),
            Self::Time(values) => Arc::new(values.finish()),
            Self::Timestamp { values, .. } => Arc::new(values.finish()),
            Self::String(values) | Self::Json(values) => {
                let (rows, bytes) = (values.len(), values.values_slice().len());
                let strings = values.finish();
                *values = StringBuilder::with_capacity(rows, bytes);
                Arc::new(strings)
            }
            Self::Uuid(values) => Arc::new(values.finish()),
            Self::Fixed { values, .. } => Arc::new(values.finish()),
            Self::Binary { values, .. } => Arc::new(values.finish()),
        }
    }
}

fn integer(json: &mut Jiter<'_>, peek: Peek, reading: &mut Reading<'_>) -> Outcome<i64> {
    if !peek.is_num() {
        return Err(reading.wrong_kind(json, peek, "an integer"));
    }
    match json.known_int(peek) {
        Ok(NumberInt::Int(value)) => Ok(value),
        Err(_) => {
            // jiter's integers end at 18 digits; a `long` has up to 19.
            let number = json.known_number_bytes(peek).map_err(syntax)?;
            if number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                let detail = "expected an integer, got a number with a fraction or exponent";
                return Err(Fault::of_value(Reason::WrongType, detail));
            }
            let long = std::str::from_utf8(number)
                .ok()
                .and_then(|digits| digits.parse().ok());
            long.ok_or_else(|| out_of_range(reading, "beyond 64 bits"))
        }
    }
}

fn float(json: &mut Jiter<'_>, peek: Peek, reading: &mut Reading<'_>) -> Outcome<f64> {
    if !peek.is_num() {
        return Err(reading.wrong_kind(json, peek, "a number"));
    }
    let value = json.known_float(peek).map_err(syntax)?;
    if value.is_infinite() {
        return Err(Fault::of_value(Reason::OutOfRange, "beyond the range of double"));
    }
    Ok(value)
}

fn timestamp(json: &mut Jiter<'_>, peek: Peek, reading: &mut Reading<'_>, zone: Zone) -> Outcome<i64> {
    let rules = reading.rules;
    if peek == Peek::String {
        return text(json, peek, reading, |text| {
            time::timestamp(text, zone, rules.nanos)
        });
    }
    if !peek.is_num() {
        return Err(reading.wrong_kind(json, peek, "a timestamp (a string or a number)"));
    }
    let parsed = match json.known_int(peek) {
        Ok(NumberInt::Int(value)) => return epoch(value, rules.unit),
        Err(_) => time::epoch(
            json.known_number_bytes(peek).map_err(syntax)?,
            rules.unit,
            rules.nanos,
        ),
    };
    parsed.map_err(|(reason, detail)| Fault::of_value(reason, detail))
}

/// A string whose text `parse` understands.
fn text<T>(
    json: &mut Jiter<'_>,
    peek: Peek,
    reading: &mut Reading<'_>,
    parse: impl FnOnce(&str) -> Result<T, (Reason, &'static str)>,
) -> Outcome<T> {
    if peek != Peek::String {
        return Err(reading.wrong_kind(json, peek, "a string"));
    }
    let text = json.known_str().map_err(syntax)?;
    parse(text).map_err(|(reason, detail)| Fault::of_value(reason, detail))
}

fn base64(text: &str, bytes: &mut Vec<u8>) -> Result<(), (Reason, &'static str)> {
    bytes.clear();
    let decoded = STANDARD.decode_vec(text, bytes);
    decoded.map_err(|_| (Reason::InvalidValue, "expected base64 (RFC 4648, with padding)"))
}

fn append_fixed(values: &mut FixedSizeBinaryBuilder, bytes: &[u8]) -> Outcome {
    values
        .append_value(bytes)
        .map_err(|error| Fault::of_value(Reason::InvalidValue, error.to_string()))
}

/// A number that a wider column might take.
#[cold]
fn out_of_range(reading: &mut Reading<'_>, detail: &str) -> Box<Fault> {
    reading.wants_growth |= reading.rules.infer;
    Fault::of_value(Reason::OutOfRange, detail)
}

#[cold]
fn decimal_fault(misfit: Misfit, reading: &mut Reading<'_>) -> Box<Fault> {
    match misfit {
        Misfit::NotANumber => Fault::of_value(Reason::InvalidValue, "expected a decimal number"),
        Misfit::TooFine => Fault::of_value(Reason::OutOfRange, "more digits behind the point than the scale"),
        Misfit::TooLarge { .. } => out_of_range(reading, "more digits than the precision"),
    }
}
