//! A value as JSON text, where its type contains itself and so has no column of another kind.

use arrow::datatypes::{Decimal128Type, DecimalType};
use arrow::temporal_conversions::{
    date32_to_datetime, time64us_to_time, timestamp_ms_to_datetime, timestamp_ns_to_datetime,
    timestamp_us_to_datetime,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};
use uuid::Uuid;

use super::cursor::Cursor;
use super::leaf::unscaled_value;
use super::schema::{Avro, Decimal, Field, Timestamp, Unit};
use super::types::DURATION;
use crate::bad::{Fault, Reason};
use crate::columns::{Outcome, Reading};

/// Reads a value.
pub(super) fn write(ty: &Avro, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome<String> {
    let mut writer = Writer {
        bytes,
        reading,
        json: String::new(),
    };
    match writer.value(ty) {
        Ok(()) => Ok(writer.json),
        // What is left of the value is not looked for.
        Err(fault) => Err(Fault::fatal(fault.reason, fault.detail)),
    }
}

struct Writer<'w, 'b, 'r> {
    bytes: &'w mut Cursor<'b>,
    reading: &'w mut Reading<'r>,
    json: String,
}

impl Writer<'_, '_, '_> {
    fn value(&mut self, ty: &Avro) -> Outcome {
        let limit = self.reading.rules.limits.max_record_bytes;
        if self.json.len() > limit {
            let detail = format!("as JSON text it has more than {limit} bytes");
            return Err(Fault::fatal(Reason::TooLarge, detail));
        }
        match ty {
            Avro::Null => self.json.push_str("null"),
            Avro::Boolean => {
                let boolean = self.bytes.boolean()?;
                self.push(boolean);
            }
            Avro::Int => {
                let int = self.bytes.int()?;
                self.push(int);
            }
            Avro::Long => {
                let long = self.bytes.long()?;
                self.push(long);
            }
            Avro::Float => {
                let float = f32::from_le_bytes(self.bytes.array()?);
                // By its digits: as a double it would have others.
                self.number(float.to_string().parse().ok())?;
            }
            Avro::Double => {
                let double = f64::from_le_bytes(self.bytes.array()?);
                self.number(Number::from_f64(double))?;
            }
            Avro::Bytes => {
                let bytes = self.bytes.bytes()?;
                self.string(&STANDARD.encode(bytes));
            }
            Avro::Fixed(size) => {
                let bytes = self.bytes.take(*size)?;
                self.string(&STANDARD.encode(bytes));
            }
            Avro::String | Avro::UuidText => {
                let text = self.bytes.text()?;
                self.string(text);
            }
            Avro::UuidBytes => {
                let uuid = Uuid::from_bytes(self.bytes.array()?);
                self.string(&uuid.to_string());
            }
            Avro::Enum(symbols) => {
                let symbol = self.bytes.index(symbols.len())?;
                self.string(&symbols[symbol]);
            }
            Avro::Date => {
                let date = date32_to_datetime(self.bytes.int()?);
                self.time(date.map(|date| date.date().to_string()))?;
            }
            Avro::TimeMillis => {
                let micros = i64::from(self.bytes.int()?) * 1_000;
                self.time(time64us_to_time(micros).map(|time| time.to_string()))?;
            }
            Avro::TimeMicros => {
                let time = time64us_to_time(self.bytes.long()?);
                self.time(time.map(|time| time.to_string()))?;
            }
            Avro::Timestamp(timestamp) => self.timestamp(*timestamp)?,
            Avro::Decimal(decimal) => self.decimal(*decimal)?,
            Avro::Duration => {
                let parts = self.bytes.array::<12>()?;
                let parts = DURATION.iter().zip(parts.as_chunks::<4>().0);
                let parts = parts.map(|(name, part)| format!("\"{name}\":{}", u32::from_le_bytes(*part)));
                self.push(format_args!("{{{}}}", parts.collect::<Vec<_>>().join(",")));
            }
            Avro::Array(items) => self.items('[', ']', |writer| writer.value(items))?,
            Avro::Map(values) => self.items('{', '}', |writer| {
                let key = writer.bytes.text()?;
                writer.member(key, values)
            })?,
            Avro::Record(fields) => self.record(fields)?,
            Avro::Union(branches) => {
                let branch = self.bytes.index(branches.len())?;
                self.value(&branches[branch].ty)?;
            }
            Avro::Again(name) => {
                let types = self.bytes.types;
                match types.get(name) {
                    Some(ty) => self.value(ty)?,
                    // The parser has put every such name there.
                    None => {
                        return Err(Fault::fatal(
                            Reason::UnusableSchema,
                            format!("there is no type {name}"),
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, fields: &[Field]) -> Outcome {
        self.reading.enter()?;
        self.reading.spend(1, fields.len())?;
        self.json.push('{');
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                self.json.push(',');
            }
            self.member(&field.name, &field.ty)?;
        }
        self.json.push('}');
        self.reading.leave();
        Ok(())
    }

    fn member(&mut self, name: &str, ty: &Avro) -> Outcome {
        self.string(name);
        self.json.push(':');
        self.value(ty)
    }

    /// The items of an array, or the entries of a map.
    fn items(&mut self, begin: char, end: char, mut item: impl FnMut(&mut Self) -> Outcome) -> Outcome {
        self.reading.enter()?;
        self.json.push(begin);
        let mut first = true;
        loop {
            let (count, _) = self.bytes.block()?;
            if count == 0 {
                break;
            }
            self.reading.spend(count, 1)?;
            for _ in 0..count {
                if !std::mem::take(&mut first) {
                    self.json.push(',');
                }
                item(self)?;
            }
        }
        self.json.push(end);
        self.reading.leave();
        Ok(())
    }

    fn timestamp(&mut self, Timestamp { unit, local }: Timestamp) -> Outcome {
        let value = self.bytes.long()?;
        let time = match unit {
            Unit::Millis => timestamp_ms_to_datetime(value),
            Unit::Micros => timestamp_us_to_datetime(value),
            Unit::Nanos => timestamp_ns_to_datetime(value),
        };
        let zone = if local { "" } else { "Z" };
        // With a `T` between date and time.
        self.time(time.map(|time| format!("{time:?}{zone}")))
    }

    fn decimal(&mut self, decimal: Decimal) -> Outcome {
        let unscaled = match decimal.size {
            Some(size) => self.bytes.take(size)?,
            None => self.bytes.bytes()?,
        };
        let value = unscaled_value(unscaled, decimal.precision)?;
        // Neither is above 38.
        let (precision, scale) = (decimal.precision as u8, decimal.scale as i8);
        self.json
            .push_str(&Decimal128Type::format_decimal(value, precision, scale));
        Ok(())
    }

    fn time(&mut self, text: Option<String>) -> Outcome {
        match text {
            Some(text) => {
                self.string(&text);
                Ok(())
            }
            None => Err(Fault::fatal(Reason::OutOfRange, "a time that no calendar has")),
        }
    }

    fn number(&mut self, number: Option<Number>) -> Outcome {
        match number {
            Some(number) => {
                self.push(number);
                Ok(())
            }
            None => {
                let detail = "infinity, or not a number, which JSON does not have";
                Err(Fault::fatal(Reason::InvalidValue, detail))
            }
        }
    }

    fn push(&mut self, value: impl ToString) {
        self.json.push_str(&value.to_string());
    }

    fn string(&mut self, text: &str) {
        self.push(Value::from(text));
    }
}
