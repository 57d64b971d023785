//! A message as JSON text, where it contains itself and so has no columns.

use std::collections::HashMap;

use arrow::temporal_conversions::timestamp_s_to_datetime;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Number, Value};

use super::json_text;
use super::leaf::{long, seconds_and_nanos, text, wrapped};
use super::scan::{Found, Scan};
use super::schema::{Field, Kind, Label, Message, Types};
use super::shapes::{default_of, of_entry, wire};
use super::value::{Enum, Scalar};
use super::wire::{Fields, Span};
use crate::bad::{Fault, Reason};
use crate::columns::{Outcome, Reading};

/// The text of the message `name` that stands in these parts of the record.
pub(super) fn write(
    name: &str,
    types: &Types,
    parts: &mut dyn Iterator<Item = Span>,
    record: &[u8],
    reading: &mut Reading<'_>,
) -> Outcome<String> {
    let mut writer = Writer {
        types,
        record,
        reading,
        json: String::new(),
        depth: 0,
    };
    writer.again(name, parts)?;
    Ok(writer.json)
}

struct Writer<'w, 'r> {
    types: &'w Types,
    record: &'w [u8],
    reading: &'w mut Reading<'r>,
    json: String,
    depth: usize,
}

impl Writer<'_, '_> {
    fn again(&mut self, name: &str, parts: &mut dyn Iterator<Item = Span>) -> Outcome {
        match self.types.get(name) {
            Some(message) => self.message(message, parts),
            // Whoever read the schema has put every such name there.
            None => Err(Fault::fatal(
                Reason::UnusableSchema,
                format!("there is no message {name}"),
            )),
        }
    }

    fn message(&mut self, message: &Message, parts: &mut dyn Iterator<Item = Span>) -> Outcome {
        self.enter()?;
        let mut scan = Scan::default();
        scan.begin(message.shapes.len(), message.oneofs);
        self.reading.spend(message.fields.len(), 1)?;
        for part in parts {
            scan.add(&message.shapes, self.record, part, self.reading)?;
        }
        self.json.push('{');
        let begin = self.json.len();
        for field in &message.fields {
            let at = message
                .shapes
                .partition_point(|shape| shape.number < field.number);
            let found = scan.found(at);
            // A field that knows whether it was written is only there if it was.
            if found.count == 0 && field.label == Label::Explicit {
                continue;
            }
            self.comma(begin);
            self.string(&field.name);
            self.json.push(':');
            self.field(field, found, &scan)?;
        }
        self.json.push('}');
        self.depth -= 1;
        Ok(())
    }

    fn field(&mut self, field: &Field, found: Found, scan: &Scan) -> Outcome {
        match (&field.kind, field.label) {
            (Kind::Map(key, value), _) => self.map(*key, value, found, scan),
            (kind, Label::Repeated) => self.list(kind, found, scan),
            (kind, _) => {
                let mut parts = scan.all(found).map(|part| Span::from_raw(part.raw));
                self.value(kind, found.raw, &mut parts)
            }
        }
    }

    fn list(&mut self, kind: &Kind, found: Found, scan: &Scan) -> Outcome {
        self.enter()?;
        self.json.push('[');
        let begin = self.json.len();
        for element in scan.all(found) {
            let span = Span::from_raw(element.raw);
            if !element.packed {
                self.comma(begin);
                self.value(kind, element.raw, &mut std::iter::once(span))?;
                continue;
            }
            let mut numbers = Fields::new(self.record, span);
            self.reading.spend(numbers.count_packed(wire(kind)), 1)?;
            while let Some(raw) = numbers.next_packed(wire(kind))? {
                self.comma(begin);
                self.value(kind, raw, &mut std::iter::empty())?;
            }
        }
        self.json.push(']');
        self.depth -= 1;
        Ok(())
    }

    /// Of several entries with one key the last one counts.
    fn map(&mut self, key: Scalar, value: &Kind, found: Found, scan: &Scan) -> Outcome {
        self.enter()?;
        let shapes = of_entry(key, value);
        let mut keys: Vec<String> = Vec::new();
        let mut entries: HashMap<String, Scan> = HashMap::new();
        for entry in scan.all(found) {
            let mut fields = Scan::default();
            fields.begin(2, 0);
            fields.add(&shapes, self.record, Span::from_raw(entry.raw), self.reading)?;
            let name = self.scalar(key, fields.found(0).raw)?;
            // JSON's keys are text.
            let name = match name.starts_with('"') {
                true => name,
                false => format!("\"{name}\""),
            };
            if entries.insert(name.clone(), fields).is_none() {
                keys.push(name);
            }
        }
        self.json.push('{');
        let begin = self.json.len();
        for name in keys {
            let Some(entry) = entries.remove(&name) else {
                continue;
            };
            self.comma(begin);
            self.json.push_str(&name);
            self.json.push(':');
            let found = entry.found(1);
            let raw = match found.count {
                0 => default_of(value),
                _ => found.raw,
            };
            let mut parts = entry.all(found).map(|part| Span::from_raw(part.raw));
            self.value(value, raw, &mut parts)?;
        }
        self.json.push('}');
        self.depth -= 1;
        Ok(())
    }

    /// One value: a scalar in `raw`, or a message in `parts`.
    fn value(&mut self, kind: &Kind, raw: u64, parts: &mut dyn Iterator<Item = Span>) -> Outcome {
        match kind {
            Kind::Scalar(scalar) => {
                let text = self.scalar(*scalar, raw)?;
                self.json.push_str(&text);
            }
            Kind::Wrapper(scalar) => {
                let text = self.scalar(*scalar, wrapped(*scalar, parts, self.record)?)?;
                self.json.push_str(&text);
            }
            Kind::Enum(names) => self.name(names, raw)?,
            Kind::Message(message) | Kind::Group(message) => self.message(message, parts)?,
            Kind::Again(name, _) => self.again(name, parts)?,
            Kind::Timestamp => {
                let (seconds, nanos) = seconds_and_nanos(parts, self.record)?;
                let Some(time) = timestamp_s_to_datetime(seconds) else {
                    return Err(Fault::of_value(Reason::OutOfRange, "a time that no calendar has"));
                };
                let fraction = match nanos {
                    0 => String::new(),
                    nanos => format!(".{nanos:09}"),
                };
                // With a `T` between date and time.
                self.string(&format!("{time:?}{fraction}Z"));
            }
            Kind::Json(kind) => {
                let parts: Vec<Span> = parts.collect();
                let text = json_text::write(*kind, &parts, self.record, self.reading)?;
                self.json.push_str(&text);
            }
            // A map is no value of a list or another map.
            Kind::Map(..) => self.json.push_str("null"),
        }
        let limit = self.reading.rules.limits.max_record_bytes;
        match self.json.len() > limit {
            true => Err(Fault::fatal(
                Reason::TooLarge,
                format!("as JSON text it has more than {limit} bytes"),
            )),
            false => Ok(()),
        }
    }

    fn scalar(&self, scalar: Scalar, raw: u64) -> Outcome<String> {
        let number = |number: Option<Number>| {
            let detail = "infinity, or not a number, which JSON does not have";
            let number = number.ok_or_else(|| Fault::of_value(Reason::InvalidValue, detail))?;
            Ok(number.to_string())
        };
        match scalar {
            Scalar::Bool => Ok((raw != 0).to_string()),
            Scalar::Double => number(Number::from_f64(f64::from_bits(raw))),
            // By its digits: as a double it would have others.
            Scalar::Float => number(f32::from_bits(raw as u32).to_string().parse().ok()),
            Scalar::Text => Ok(Value::from(text(raw, self.record)?).to_string()),
            Scalar::Bytes => {
                let bytes = Span::from_raw(raw).of(self.record);
                Ok(format!("\"{}\"", BASE64_STANDARD.encode(bytes)))
            }
            Scalar::Uint64 | Scalar::Fixed64 => Ok(raw.to_string()),
            scalar => Ok(long(scalar, raw)?.to_string()),
        }
    }

    /// The name of an enum's value, or its number if it has none.
    fn name(&mut self, names: &Enum, raw: u64) -> Outcome {
        let number = long(Scalar::Int32, raw)?;
        match i32::try_from(number).ok().and_then(|number| names.name(number)) {
            Some(name) => self.string(name),
            None => self.json.push_str(&number.to_string()),
        }
        Ok(())
    }

    fn comma(&mut self, begin: usize) {
        if self.json.len() > begin {
            self.json.push(',');
        }
    }

    fn string(&mut self, text: &str) {
        self.json.push_str(&Value::from(text).to_string());
    }

    fn enter(&mut self) -> Outcome {
        self.depth += 1;
        let limit = self.reading.rules.limits.max_depth;
        match self.depth > limit {
            true => Err(Fault::of_value(
                Reason::TooDeep,
                format!("nested more than {limit} deep"),
            )),
            false => Ok(()),
        }
    }
}
