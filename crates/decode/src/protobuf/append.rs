//! A message's bytes into columns. Each message is scanned first, for where its fields stand, and then its columns are
//! filled in their order, each from its field.

use std::collections::HashMap;

use super::resolve::{Absent, Left, MapPlan, MessagePlan, Read, Value};
use super::scan::{Found, Scan};
use super::value::Scalar;
use super::wire::{Fields, Span, Wire};
use crate::bad::{Fault, Reason};
use crate::columns::{Column, ListColumn, MapColumn, Outcome, Reading, Slot, StructColumn};

impl StructColumn {
    /// Reads a message, which stands in these parts of the record: usually one, and none if all its fields have their
    /// defaults.
    pub(super) fn append_message(
        &mut self,
        plan: &mut MessagePlan,
        parts: &mut dyn Iterator<Item = Span>,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        self.length += 1;
        self.valid.append_non_null();
        let mut outcome = plan.scan(self.slots.len(), parts, record, reading);
        let MessagePlan { members, scan, .. } = plan;
        for (slot, member) in self.slots.iter_mut().zip(members.iter_mut()) {
            match (outcome.is_ok(), member) {
                (false, _) => slot.pad(),
                (true, None) => outcome = slot.append_absent(),
                (true, Some((at, read))) => {
                    outcome = slot.append_field(read, scan.found(*at), scan, record, reading);
                }
            }
        }
        outcome
    }
}

impl MessagePlan {
    /// Finds the message's fields, of which `members` get columns.
    fn scan(
        &mut self,
        members: usize,
        parts: &mut dyn Iterator<Item = Span>,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        self.scan.begin(self.shapes.len(), self.oneofs);
        // The columns were counted where there can be many of these.
        reading.spend(self.shapes.len().saturating_sub(members), 1)?;
        for part in parts {
            self.scan.add(&self.shapes, record, part, reading)?;
        }
        let mut left = self.left.iter();
        left.try_for_each(|(at, left)| miss(left, self.scan.found(*at), reading))
    }
}

/// A field that no column takes.
fn miss(left: &Left, found: Found, reading: &mut Reading<'_>) -> Outcome {
    match left {
        _ if found.count == 0 => Ok(()),
        Left::Unknown => {
            reading.unknown_fields += 1;
            Ok(())
        }
        Left::Refused(path) => reading.refuse(path.clone()),
    }
}

impl Slot {
    /// What there is of a field.
    fn append_field(
        &mut self,
        read: &mut Read,
        found: Found,
        scan: &Scan,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let outcome = match (read, &mut self.column) {
            // A zero that is not written is no time.
            (Read::One(_, absent), _) if found.count == 0 && (*absent == Absent::Null || self.event_time) => {
                self.append_nothing("absent")
            }
            (Read::One(value, _), _) => {
                let mut parts = scan.all(found).map(|occurrence| Span::from_raw(occurrence.raw));
                return self.append_value(value, found.raw, &mut parts, record, reading);
            }
            (Read::List(value, wire), Column::List(column)) => {
                column.append_elements(value, *wire, found, scan, record, reading)
            }
            (Read::Map(plan), Column::Map(column)) => {
                column.append_entries(plan, found, scan, record, reading)
            }
            // Fields are resolved against these very columns.
            (Read::List(..) | Read::Map(_), _) => {
                self.pad();
                Err(other_kind())
            }
        };
        outcome.or_else(|fault| self.settle(fault, reading))
    }

    /// One value: a scalar in `raw`, or a message in `parts`.
    #[inline]
    fn append_value(
        &mut self,
        value: &mut Value,
        raw: u64,
        parts: &mut dyn Iterator<Item = Span>,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let event_time = self.event_time;
        let outcome = match (&mut self.column, value) {
            (Column::Leaf(leaf), value) => {
                let outcome = match value {
                    Value::Scalar(scalar) => leaf.append_scalar(*scalar, raw, record, reading, event_time),
                    Value::Enum(names) => leaf.append_name(names, raw, reading),
                    Value::Wrapper(scalar) => {
                        leaf.append_wrapped(*scalar, parts, record, reading, event_time)
                    }
                    Value::Timestamp => leaf.append_timestamp(parts, record, reading, event_time),
                    Value::Json(kind) => leaf.append_json(*kind, parts, record, reading),
                    Value::Text(name, types) => leaf.append_message_text(name, types, parts, record, reading),
                    Value::Later => {
                        leaf.pad(self.required);
                        return Ok(());
                    }
                    Value::Unfit(detail) => Err(Fault::of_value(Reason::WrongType, detail.as_ref())),
                    Value::Message(_) => Err(other_kind()),
                };
                if outcome.is_err() {
                    leaf.pad(self.required);
                }
                outcome
            }
            (Column::Struct(column), Value::Message(plan)) => {
                column.append_message(plan, parts, record, reading)
            }
            (_, Value::Unfit(detail)) => {
                let fault = Fault::of_value(Reason::WrongType, detail.as_ref());
                self.pad();
                Err(fault)
            }
            _ => {
                self.pad();
                Err(other_kind())
            }
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(fault) => self.settle(fault, reading),
        }
    }
}

impl ListColumn {
    fn append_elements(
        &mut self,
        value: &mut Value,
        wire: Wire,
        found: Found,
        scan: &Scan,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        self.valid.append_non_null();
        let outcome = scan
            .all(found)
            .try_for_each(|occurrence| match occurrence.packed {
                true => self.append_packed(value, wire, Span::from_raw(occurrence.raw), record, reading),
                false => {
                    reading.spend(1, self.element.width())?;
                    self.length += 1;
                    let part = Span::from_raw(occurrence.raw);
                    self.element.append_value(
                        value,
                        occurrence.raw,
                        &mut std::iter::once(part),
                        record,
                        reading,
                    )
                }
            });
        self.offsets.push(self.length);
        outcome
    }

    fn append_packed(
        &mut self,
        value: &mut Value,
        wire: Wire,
        span: Span,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let mut numbers = Fields::new(record, span);
        reading.spend(numbers.count_packed(wire), self.element.width())?;
        while let Some(raw) = numbers.next_packed(wire)? {
            self.length += 1;
            self.element
                .append_value(value, raw, &mut std::iter::empty(), record, reading)?;
        }
        Ok(())
    }
}

impl MapColumn {
    fn append_entries(
        &mut self,
        plan: &mut MapPlan,
        found: Found,
        scan: &Scan,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        self.valid.append_non_null();
        let outcome = self.read_entries(plan, found, scan, record, reading);
        self.offsets.push(self.length);
        outcome
    }

    /// Of several entries with one key the last one counts.
    fn read_entries(
        &mut self,
        plan: &mut MapPlan,
        found: Found,
        scan: &Scan,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let MapPlan {
            shapes,
            key,
            value,
            default,
            scan: entry,
        } = plan;
        let width = 1 + self.value.width();
        let mut last = HashMap::new();
        if found.count > 1 {
            for (at, occurrence) in scan.all(found).enumerate() {
                entry.begin(2, 0);
                entry.add(shapes, record, Span::from_raw(occurrence.raw), reading)?;
                last.insert(Key::of(*key, entry.found(0).raw, record), at);
            }
        }
        for (at, occurrence) in scan.all(found).enumerate() {
            reading.spend(1, width)?;
            entry.begin(2, 0);
            entry.add(shapes, record, Span::from_raw(occurrence.raw), reading)?;
            let (found_key, found_value) = (entry.found(0), entry.found(1));
            if found.count > 1 && last.get(&Key::of(*key, found_key.raw, record)) != Some(&at) {
                continue;
            }
            // What follows a key that is none is not looked for.
            self.keys
                .append_scalar(*key, found_key.raw, record, reading, false)
                .map_err(|fault| Fault::fatal(fault.reason, fault.detail))?;
            self.length += 1;
            let raw = match found_value.count {
                0 => *default,
                _ => found_value.raw,
            };
            let mut parts = entry
                .all(found_value)
                .map(|occurrence| Span::from_raw(occurrence.raw));
            self.value.append_value(value, raw, &mut parts, record, reading)?;
        }
        Ok(())
    }
}

/// What makes two keys of a map one.
#[derive(PartialEq, Eq, Hash)]
enum Key<'b> {
    Number(u64),
    Text(&'b [u8]),
}

impl<'b> Key<'b> {
    fn of(key: Scalar, raw: u64, record: &'b [u8]) -> Self {
        match key {
            Scalar::Text | Scalar::Bytes => Self::Text(Span::from_raw(raw).of(record)),
            Scalar::Bool => Self::Number(u64::from(raw != 0)),
            _ => Self::Number(raw),
        }
    }
}

#[cold]
fn other_kind() -> Box<Fault> {
    Fault::fatal(Reason::WrongType, "the column is of another kind")
}
