//! One Avro value to one value of a primitive column.

use arrow::array::FixedSizeBinaryBuilder;
use uuid::Uuid;

use super::cursor::Cursor;
use super::read::Scalar;
use super::schema::{Timestamp, Unit};
use crate::bad::{Fault, Reason};
use crate::columns::leaf::{Leaf, beyond, check_event_time, epoch, micros_of_nanos};
use crate::columns::{Outcome, Reading, Rules};

const MICROS_OF_DAY: i64 = 86_400_000_000;

impl Leaf {
    /// Reads a value and appends it; a fault appends nothing.
    #[inline]
    pub(super) fn append_avro(
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
        Unit::Nanos => micros_of_nanos(value, rules),
    }
}

fn time_of_day(micros: i64) -> Outcome<i64> {
    match (0..MICROS_OF_DAY).contains(&micros) {
        true => Ok(micros),
        false => Err(Fault::of_value(Reason::OutOfRange, "not a time of the day")),
    }
}

/// A two's complement number, its highest byte first.
pub(super) fn unscaled_value(bytes: &[u8], precision: u32) -> Outcome<i128> {
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
