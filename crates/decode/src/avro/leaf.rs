//! Columns of primitive types: one Avro value to one value of an Arrow builder.

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int32Builder, Int64Builder, LargeBinaryBuilder, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;
use iceberg::spec::PrimitiveType;
use uuid::Uuid;

use super::cursor::Cursor;
use super::reading::{Outcome, Reading, Rules};
use super::resolve::Scalar;
use super::schema::{Timestamp, Unit};
use crate::bad::{Fault, Reason};
use crate::settings::{Nanos, TimestampUnit};

const MICROS_OF_DAY: i64 = 86_400_000_000;

#[derive(Debug)]
pub(super) enum Leaf {
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
                return Err("cannot be filled from Avro: use a type of microseconds".into());
            }
        })
    }

    /// Reads a value and appends it; a fault appends nothing.
    #[inline]
    pub fn append(
        &mut self,
        scalar: Scalar,
        bytes: &mut Cursor<'_>,
        reading: &Reading<'_>,
        event_time: bool,
    ) -> Outcome {
        match (self, scalar) {
            (Self::String(values), Scalar::Text) => values.append_value(bytes.text()?),
            (Self::Long(values), Scalar::Long) => values.append_value(bytes.long()?),
            (Self::Long(values), Scalar::Int) => values.append_value(i64::from(bytes.int()?)),
            (Self::Int(values), Scalar::Int) => values.append_value(bytes.int()?),
            (Self::Double(values), Scalar::Double) => values.append_value(f64::from_le_bytes(bytes.array()?)),
            (Self::Double(values), Scalar::Float) => {
                values.append_value(f64::from(f32::from_le_bytes(bytes.array()?)));
            }
            (Self::Double(values), Scalar::Int) => values.append_value(f64::from(bytes.int()?)),
            (Self::Float(values), Scalar::Float) => values.append_value(f32::from_le_bytes(bytes.array()?)),
            (Self::Boolean(values), Scalar::Boolean) => values.append_value(bytes.boolean()?),
            (Self::Timestamp(values), Scalar::Timestamp(timestamp)) => {
                let micros = micros(bytes.long()?, timestamp, reading.rules)?;
                values.append_value(check_event_time(micros, event_time, reading.rules)?);
            }
            (Self::Timestamp(values), Scalar::Epoch) => {
                let micros = epoch(bytes.long()?, reading.rules.unit)?;
                values.append_value(check_event_time(micros, event_time, reading.rules)?);
            }
            (Self::Date(values), Scalar::Date) => values.append_value(bytes.int()?),
            (Self::Time(values), Scalar::TimeMillis) => {
                values.append_value(time_of_day(i64::from(bytes.int()?) * 1_000)?);
            }
            (Self::Time(values), Scalar::TimeMicros) => values.append_value(time_of_day(bytes.long()?)?),
            (Self::Decimal(values), Scalar::Decimal(decimal)) => {
                let unscaled = match decimal.size {
                    Some(size) => bytes.take(size)?,
                    None => bytes.bytes()?,
                };
                values.append_value(unscaled_value(unscaled, decimal.precision)?);
            }
            (Self::Binary(values), Scalar::Bytes) => values.append_value(bytes.bytes()?),
            (Self::Binary(values), Scalar::Text) => values.append_value(bytes.text()?.as_bytes()),
            (Self::Binary(values), Scalar::Fixed(size)) => values.append_value(bytes.take(size)?),
            (Self::Fixed(values, _), Scalar::Fixed(size)) => append_fixed(values, bytes.take(size)?)?,
            (Self::Fixed(values, _), Scalar::UuidBytes) => append_fixed(values, bytes.take(16)?)?,
            (Self::Fixed(values, _), Scalar::UuidText) => {
                let uuid = Uuid::try_parse(bytes.text()?)
                    .map_err(|_| Fault::of_value(Reason::InvalidValue, "the text is not a UUID"))?;
                append_fixed(values, uuid.as_bytes())?;
            }
            // Reads are resolved against this very column.
            _ => return Err(Fault::fatal(Reason::WrongType, "the column is of another type")),
        }
        Ok(())
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

fn append_fixed(values: &mut FixedSizeBinaryBuilder, bytes: &[u8]) -> Outcome {
    // The lengths were compared when the schema was resolved.
    let fits = values.append_value(bytes);
    fits.map_err(|error| Fault::of_value(Reason::WrongType, error.to_string()))
}

fn micros(value: i64, timestamp: Timestamp, rules: &Rules) -> Outcome<i64> {
    match timestamp.unit {
        Unit::Millis => value.checked_mul(1_000).ok_or_else(beyond),
        Unit::Micros => Ok(value),
        Unit::Nanos if rules.nanos == Nanos::Refuse && value % 1_000 != 0 => {
            let detail = "digits below a microsecond (see `nanos`)";
            Err(Fault::of_value(Reason::OutOfRange, detail))
        }
        Unit::Nanos => Ok(value.div_euclid(1_000)),
    }
}

fn epoch(value: i64, unit: TimestampUnit) -> Outcome<i64> {
    let scale = match unit {
        TimestampUnit::S => 1_000_000,
        TimestampUnit::Ms => 1_000,
        TimestampUnit::Us => 1,
    };
    value.checked_mul(scale).ok_or_else(beyond)
}

#[cold]
fn beyond() -> Box<Fault> {
    Fault::of_value(Reason::OutOfRange, "beyond 64 bits of microseconds")
}

fn check_event_time(micros: i64, event_time: bool, rules: &Rules) -> Outcome<i64> {
    if event_time && !rules.years.contains(&micros) {
        let (first, last) = (rules.limits.first_year, rules.limits.last_year);
        let detail = format!("outside the years {first} to {last}");
        return Err(Fault::of_value(Reason::AbsurdEventTime, detail));
    }
    Ok(micros)
}

fn time_of_day(micros: i64) -> Outcome<i64> {
    match (0..MICROS_OF_DAY).contains(&micros) {
        true => Ok(micros),
        false => Err(Fault::of_value(Reason::OutOfRange, "not a time of the day")),
    }
}

/// A two's complement number, its highest byte first.
fn unscaled_value(bytes: &[u8], precision: u32) -> Outcome<i128> {
    let Some(first) = bytes.first() else {
        return Err(Fault::of_value(Reason::InvalidValue, "a decimal of no bytes"));
    };
    let sign = if first & 0x80 == 0 { 0 } else { 0xff };
    // Writers of `fixed` fill up with the sign.
    let (fill, value) = bytes.split_at(bytes.len().saturating_sub(16));
    let mut wide = [sign; 16];
    wide[16 - value.len()..].copy_from_slice(value);
    let value = i128::from_be_bytes(wide);
    let same_sign = (value < 0) == (sign != 0);
    if !same_sign || fill.iter().any(|byte| *byte != sign) || value.unsigned_abs() >= 10u128.pow(precision) {
        let detail = format!("more than {precision} digits");
        return Err(Fault::of_value(Reason::OutOfRange, detail));
    }
    Ok(value)
}
