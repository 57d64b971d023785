//! Columns of primitive types.

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int32Builder, Int64Builder, LargeBinaryBuilder, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;
use iceberg::spec::PrimitiveType;

use super::reading::{Outcome, Rules};
use crate::bad::{Fault, Reason};
use crate::settings::{Nanos, TimestampUnit};

#[derive(Debug)]
pub(crate) enum Leaf {
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    String(StringBuilder),
    Binary(LargeBinaryBuilder),
    /// Also UUIDs.
    Fixed(FixedSizeBinaryBuilder, usize),
}

impl Leaf {
    /// `arrow` is the Arrow type of the Iceberg type `ty`.
    pub fn new(ty: &PrimitiveType, arrow: &DataType) -> Result<Self, String> {
        Ok(match ty {
            PrimitiveType::Boolean => Self::Boolean(BooleanBuilder::new()),
            PrimitiveType::Int => Self::Int(Int32Builder::new()),
            PrimitiveType::Long => Self::Long(Int64Builder::new()),
            PrimitiveType::Float => Self::Float(Float32Builder::new()),
            PrimitiveType::Double => Self::Double(Float64Builder::new()),
            PrimitiveType::Decimal { .. } => {
                Self::Decimal(Decimal128Builder::new().with_data_type(arrow.clone()))
            }
            PrimitiveType::Date => Self::Date(Date32Builder::new()),
            PrimitiveType::Time => Self::Time(Time64MicrosecondBuilder::new()),
            PrimitiveType::Timestamp | PrimitiveType::Timestamptz => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(arrow.clone()))
            }
            PrimitiveType::String => Self::String(StringBuilder::new()),
            PrimitiveType::Binary => Self::Binary(LargeBinaryBuilder::new()),
            PrimitiveType::Uuid | PrimitiveType::Fixed(_) => {
                let DataType::FixedSizeBinary(length) = arrow else {
                    return Err("is too long".into());
                };
                let bytes = usize::try_from(*length).map_err(|error| error.to_string())?;
                Self::Fixed(FixedSizeBinaryBuilder::new(*length), bytes)
            }
            PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs => {
                return Err("cannot be filled: use a type of microseconds".into());
            }
        })
    }

    /// Appends text that is known to be UTF-8, if this is a column of text.
    pub fn append_text(&mut self, text: &str) {
        match self {
            Self::String(values) => values.append_value(text),
            other => other.pad(false),
        }
    }

    /// Appends a number, if this is a column of longs.
    pub fn append_long(&mut self, long: i64) {
        match self {
            Self::Long(values) => values.append_value(long),
            other => other.pad(false),
        }
    }

    /// What an entry costs at least, in values of eight bytes or so: a null takes a fixed column's whole length.
    pub fn width(&self) -> usize {
        match self {
            Self::Fixed(_, length) => 1 + length / 64,
            _ => 1,
        }
    }

    /// One more entry: null, or for a required column some value of a row that will be thrown away.
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
            Self::Decimal(values) => pad!(values, 0),
            Self::Date(values) => pad!(values, 0),
            Self::Time(values) => pad!(values, 0),
            Self::Timestamp(values) => pad!(values, 0),
            Self::String(values) => pad!(values, ""),
            Self::Binary(values) => pad!(values, b""),
            Self::Fixed(values, length) => {
                if !required || values.append_value(vec![0; *length]).is_err() {
                    values.append_null();
                }
            }
        }
    }

    /// The values so far; the builder starts again.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(values) => ArrayBuilder::finish(values),
            Self::Int(values) => ArrayBuilder::finish(values),
            Self::Long(values) => ArrayBuilder::finish(values),
            Self::Float(values) => ArrayBuilder::finish(values),
            Self::Double(values) => ArrayBuilder::finish(values),
            Self::Decimal(values) => ArrayBuilder::finish(values),
            Self::Date(values) => ArrayBuilder::finish(values),
            Self::Time(values) => ArrayBuilder::finish(values),
            Self::Timestamp(values) => ArrayBuilder::finish(values),
            Self::String(values) => ArrayBuilder::finish(values),
            Self::Binary(values) => ArrayBuilder::finish(values),
            Self::Fixed(values, _) => ArrayBuilder::finish(values),
        }
    }
}

/// Microseconds of a time in nanoseconds, as `nanos` wants it.
pub(crate) fn micros_of_nanos(nanos: i64, rules: &Rules) -> Outcome<i64> {
    if rules.nanos == Nanos::Refuse && nanos % 1_000 != 0 {
        let detail = "digits below a microsecond (see `nanos`)";
        return Err(Fault::of_value(Reason::OutOfRange, detail));
    }
    Ok(nanos.div_euclid(1_000))
}

/// Microseconds of a plain number, which counts `unit`s.
pub(crate) fn epoch(value: i64, unit: TimestampUnit) -> Outcome<i64> {
    let scale = match unit {
        TimestampUnit::S => 1_000_000,
        TimestampUnit::Ms => 1_000,
        TimestampUnit::Us => 1,
    };
    value.checked_mul(scale).ok_or_else(beyond)
}

#[cold]
pub(crate) fn beyond() -> Box<Fault> {
    Fault::of_value(Reason::OutOfRange, "beyond 64 bits of microseconds")
}

/// An event time is one of the years that are allowed.
pub(crate) fn check_event_time(micros: i64, event_time: bool, rules: &Rules) -> Outcome<i64> {
    if event_time && !rules.years.contains(&micros) {
        let (first, last) = (rules.limits.first_year, rules.limits.last_year);
        let detail = format!("outside the years {first} to {last} (timestamp_unit fits?)");
        return Err(Fault::of_value(Reason::AbsurdEventTime, detail));
    }
    Ok(micros)
}
