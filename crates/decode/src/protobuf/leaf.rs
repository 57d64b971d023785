//! One Protobuf value to one value of a primitive column.

use super::schema::Types;
use super::value::{Enum, JsonKind, Scalar};
use super::wire::{Fields, Span, Wire, not_protobuf, zigzag};
use super::{json_text, message_text};
use crate::bad::{Fault, Reason};
use crate::columns::leaf::{Leaf, check_event_time, epoch, micros_of_nanos};
use crate::columns::{Outcome, Reading};

/// The seconds of a `Timestamp`: the years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl Leaf {
    /// Appends a scalar; a fault appends nothing.
    #[inline]
    pub(super) fn append_scalar(
        &mut self,
        scalar: Scalar,
        raw: u64,
        record: &[u8],
        reading: &Reading<'_>,
        event_time: bool,
    ) -> Outcome {
        match (self, scalar) {
            (Self::String(values), Scalar::Text) => values.append_value(text(raw, record)?),
            (Self::Binary(values), Scalar::Bytes) => values.append_value(Span::from_raw(raw).of(record)),
            (Self::Binary(values), Scalar::Text) => values.append_value(text(raw, record)?.as_bytes()),
            (Self::Boolean(values), Scalar::Bool) => values.append_value(raw != 0),
            (Self::Double(values), Scalar::Double) => values.append_value(f64::from_bits(raw)),
            (Self::Double(values), Scalar::Float) => {
                values.append_value(f64::from(f32::from_bits(raw as u32)));
            }
            (Self::Float(values), Scalar::Float) => values.append_value(f32::from_bits(raw as u32)),
            (Self::Long(values), scalar) => values.append_value(long(scalar, raw)?),
            (Self::Int(values), scalar) => {
                values.append_value(i32::try_from(long(scalar, raw)?).map_err(|_| wider("32 bits"))?);
            }
            // Integers of 32 bits, each of which a double holds.
            (Self::Double(values), scalar) => values.append_value(long(scalar, raw)? as f64),
            (Self::Decimal(values), Scalar::Uint64 | Scalar::Fixed64) => {
                values.append_value(i128::from(raw));
            }
            (Self::Decimal(values), scalar) => values.append_value(i128::from(long(scalar, raw)?)),
            (Self::Timestamp(values), scalar) => {
                let micros = epoch(long(scalar, raw)?, reading.rules.unit)?;
                values.append_value(check_event_time(micros, event_time, reading.rules)?);
            }
            // Fields are resolved against this very column.
            _ => return Err(Fault::fatal(Reason::WrongType, "the column is of another type")),
        }
        Ok(())
    }

    /// Appends the name of an enum's value, or its number as text if it has no name.
    pub(super) fn append_name(&mut self, names: &Enum, raw: u64, reading: &mut Reading<'_>) -> Outcome {
        let number = i32::try_from(raw as i64).map_err(|_| wider("32 bits"))?;
        match names.name(number) {
            Some(name) => {
                reading.expanded += name.len();
                self.append_text(name);
            }
            None => self.append_text(&number.to_string()),
        }
        Ok(())
    }

    /// Appends what a wrapper holds.
    pub(super) fn append_wrapped(
        &mut self,
        scalar: Scalar,
        parts: &mut dyn Iterator<Item = Span>,
        record: &[u8],
        reading: &Reading<'_>,
        event_time: bool,
    ) -> Outcome {
        let value = wrapped(scalar, parts, record)?;
        self.append_scalar(scalar, value, record, reading, event_time)
    }

    /// Appends a `google.protobuf.Timestamp`.
    pub(super) fn append_timestamp(
        &mut self,
        parts: &mut dyn Iterator<Item = Span>,
        record: &[u8],
        reading: &Reading<'_>,
        event_time: bool,
    ) -> Outcome {
        let (seconds, nanos) = seconds_and_nanos(parts, record)?;
        let micros = seconds * 1_000_000 + micros_of_nanos(nanos, reading.rules)?;
        match self {
            Self::Timestamp(values) => {
                values.append_value(check_event_time(micros, event_time, reading.rules)?);
                Ok(())
            }
            _ => Err(Fault::fatal(Reason::WrongType, "the column is of another type")),
        }
    }

    /// Appends a message that contains itself.
    pub(super) fn append_message_text(
        &mut self,
        name: &str,
        types: &Types,
        parts: &mut dyn Iterator<Item = Span>,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let text = message_text::write(name, types, parts, record, reading)?;
        reading.expanded += text.len();
        self.append_text(&text);
        Ok(())
    }

    /// Appends a `google.protobuf.Struct`, `Value` or `ListValue` as JSON.
    pub(super) fn append_json(
        &mut self,
        kind: JsonKind,
        parts: &mut dyn Iterator<Item = Span>,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let parts: Vec<Span> = parts.collect();
        let text = json_text::write(kind, &parts, record, reading)?;
        reading.expanded += text.len();
        self.append_text(&text);
        Ok(())
    }
}

/// What a wrapper holds.
pub(super) fn wrapped(scalar: Scalar, parts: &mut dyn Iterator<Item = Span>, record: &[u8]) -> Outcome<u64> {
    let [value] = numbers(parts, record, [scalar.wire()])?;
    Ok(value)
}

/// Of a `google.protobuf.Timestamp`, since the Unix epoch.
pub(super) fn seconds_and_nanos(parts: &mut dyn Iterator<Item = Span>, record: &[u8]) -> Outcome<(i64, i64)> {
    let [seconds, nanos] = numbers(parts, record, [Wire::Varint; 2])?;
    let (seconds, nanos) = (seconds as i64, nanos as i64);
    if !SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        let detail = "not a time of the years 1 to 9999, or its nanoseconds are a second or more";
        return Err(Fault::of_value(Reason::OutOfRange, detail));
    }
    Ok((seconds, nanos))
}

/// A field's text, which is checked.
#[inline]
pub(super) fn text(raw: u64, record: &[u8]) -> Outcome<&str> {
    let bytes = Span::from_raw(raw).of(record);
    std::str::from_utf8(bytes).map_err(|_| Fault::of_value(Reason::InvalidUtf8, "the text is not UTF-8"))
}

/// An integer. One that its schema's type does not hold was written by another schema, and is no number of this one.
#[inline]
pub(super) fn long(scalar: Scalar, raw: u64) -> Outcome<i64> {
    let (value, fits) = match scalar {
        Scalar::Int64 | Scalar::Sfixed64 => (raw as i64, true),
        Scalar::Sint64 => (zigzag(raw), true),
        Scalar::Int32 => (raw as i64, i32::try_from(raw as i64).is_ok()),
        Scalar::Sint32 => (zigzag(raw), u32::try_from(raw).is_ok()),
        Scalar::Uint32 => (raw as i64, u32::try_from(raw).is_ok()),
        Scalar::Fixed32 => (raw as i64, true),
        Scalar::Sfixed32 => (i64::from(raw as u32 as i32), true),
        Scalar::Uint64 | Scalar::Fixed64 => match i64::try_from(raw) {
            Ok(value) => (value, true),
            Err(_) => return Err(wider("the column's 63 bits")),
        },
        Scalar::Bool | Scalar::Float | Scalar::Double | Scalar::Text | Scalar::Bytes => {
            return Err(Fault::fatal(Reason::WrongType, "the column is of another type"));
        }
    };
    match fits {
        true => Ok(value),
        false => Err(wider("32 bits")),
    }
}

#[cold]
fn wider(than: &str) -> Box<Fault> {
    Fault::of_value(Reason::OutOfRange, format!("a number of more than {than}"))
}

/// The last of each of a message's fields, which are numbered from one; others are read past.
fn numbers<const N: usize>(
    parts: &mut dyn Iterator<Item = Span>,
    record: &[u8],
    wires: [Wire; N],
) -> Outcome<[u64; N]> {
    let mut numbers = [0; N];
    for part in parts {
        let mut fields = Fields::new(record, part);
        while let Some(field) = fields.next()? {
            let at = field.number as usize - 1;
            match wires.get(at) {
                Some(wire) if *wire == field.wire => numbers[at] = field.raw,
                Some(_) => {
                    return Err(not_protobuf(
                        "a well-known type's field is written as another one",
                    ));
                }
                None => {}
            }
        }
    }
    Ok(numbers)
}
