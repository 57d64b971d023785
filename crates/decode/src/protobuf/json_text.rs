//! `google.protobuf.Struct`, `Value` and `ListValue` as JSON text: they have no fields of their own, and hold
//! themselves.

use super::leaf::text;
use super::value::JsonKind;
use super::wire::{Field, Fields, Span, Wire, not_protobuf};
use crate::bad::{Fault, Reason};
use crate::columns::{Outcome, Reading};

/// The text of a message that stands in these parts of the record.
pub(super) fn write(
    kind: JsonKind,
    parts: &[Span],
    record: &[u8],
    reading: &mut Reading<'_>,
) -> Outcome<String> {
    let mut writer = Writer {
        record,
        reading,
        json: String::new(),
    };
    match kind {
        JsonKind::Struct => writer.object(parts, 1)?,
        JsonKind::Value => writer.value(parts, 1)?,
        JsonKind::List => writer.list(parts, 1)?,
    }
    Ok(writer.json)
}

struct Writer<'w, 'r> {
    record: &'w [u8],
    reading: &'w mut Reading<'r>,
    json: String,
}

impl Writer<'_, '_> {
    /// `fields` is its only field: a map of text to values. The last of several entries of one key counts.
    fn object(&mut self, parts: &[Span], depth: usize) -> Outcome {
        self.enter(depth)?;
        let mut members: Vec<(&str, Vec<Span>)> = Vec::new();
        for entry in self.all(parts, 1)? {
            let (mut key, mut value) = ("", Vec::new());
            let mut fields = Fields::new(self.record, entry);
            while let Some(field) = fields.next()? {
                match field.number {
                    1 => key = text(delimited(field)?.raw, self.record)?,
                    2 => value.push(Span::from_raw(delimited(field)?.raw)),
                    _ => {}
                }
            }
            members.push((key, value));
        }
        let last: std::collections::HashMap<&str, usize> =
            members.iter().zip(0..).map(|((key, _), at)| (*key, at)).collect();
        self.json.push('{');
        let begin = self.json.len();
        for (at, (key, value)) in members.iter().enumerate() {
            if last[key] != at {
                continue;
            }
            if self.json.len() > begin {
                self.json.push(',');
            }
            self.string(key);
            self.json.push(':');
            self.value(value, depth + 1)?;
        }
        self.json.push('}');
        Ok(())
    }

    /// `values` is its only field.
    fn list(&mut self, parts: &[Span], depth: usize) -> Outcome {
        self.enter(depth)?;
        self.json.push('[');
        for (at, value) in self.all(parts, 1)?.into_iter().enumerate() {
            if at > 0 {
                self.json.push(',');
            }
            self.value(&[value], depth + 1)?;
        }
        self.json.push(']');
        Ok(())
    }

    /// A oneof of everything that JSON has. The last one counts; of objects and lists that follow each other, all.
    fn value(&mut self, parts: &[Span], depth: usize) -> Outcome {
        let mut chosen: Vec<Field> = Vec::new();
        for part in parts {
            let mut fields = Fields::new(self.record, *part);
            while let Some(field) = fields.next()? {
                if !(1..=6).contains(&field.number) {
                    continue;
                }
                if !matches!(chosen.last(), Some(last) if last.number == field.number && field.number >= 5) {
                    chosen.clear();
                }
                chosen.push(field);
            }
        }
        let Some(last) = chosen.last().copied() else {
            self.json.push_str("null");
            return Ok(());
        };
        match (last.number, last.wire) {
            (1, Wire::Varint) => self.json.push_str("null"),
            (2, Wire::Fixed64) => self.number(f64::from_bits(last.raw))?,
            (3, Wire::Delimited) => {
                let value = text(last.raw, self.record)?;
                self.string(value);
            }
            (4, Wire::Varint) => self.json.push_str(if last.raw != 0 { "true" } else { "false" }),
            (number @ (5 | 6), _) => {
                let parts = chosen.into_iter().map(delimited);
                let parts: Vec<Span> = parts
                    .map(|field| Ok(Span::from_raw(field?.raw)))
                    .collect::<Outcome<_>>()?;
                match number {
                    5 => self.object(&parts, depth)?,
                    _ => self.list(&parts, depth)?,
                }
            }
            _ => return Err(not_json()),
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> Outcome {
        // Whole numbers as such: JSON has one kind, and most readers have two.
        if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
            self.json.push_str(&(number as i64).to_string());
            return Ok(());
        }
        match serde_json::Number::from_f64(number) {
            Some(number) => self.json.push_str(&number.to_string()),
            None => {
                let detail = "infinity, or not a number, which JSON does not have";
                return Err(Fault::of_value(Reason::InvalidValue, detail));
            }
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.json.push_str(&serde_json::Value::from(text).to_string());
    }

    fn enter(&self, depth: usize) -> Outcome {
        let limit = self.reading.rules.limits.max_depth;
        match depth > limit {
            true => Err(Fault::of_value(
                Reason::TooDeep,
                format!("nested more than {limit} deep"),
            )),
            false => Ok(()),
        }
    }

    /// Where the messages of one field stand.
    fn all(&mut self, parts: &[Span], number: u32) -> Outcome<Vec<Span>> {
        let mut all = Vec::new();
        for part in parts {
            let mut fields = Fields::new(self.record, *part);
            while let Some(field) = fields.next()? {
                if field.number == number {
                    self.reading.spend(1, 1)?;
                    all.push(Span::from_raw(delimited(field)?.raw));
                }
            }
        }
        Ok(all)
    }
}

fn delimited(field: Field) -> Outcome<Field> {
    match field.wire {
        Wire::Delimited => Ok(field),
        _ => Err(not_json()),
    }
}

#[cold]
fn not_json() -> Box<Fault> {
    not_protobuf("a field of google.protobuf.Struct is written as another type")
}
