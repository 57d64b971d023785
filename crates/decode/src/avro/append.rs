//! Avro's bytes into columns.

use std::collections::HashSet;

use super::cursor::Cursor;
use super::json_text;
use super::read::{FieldRead, Read, StructRead};
use crate::bad::{Fault, Reason};
use crate::columns::{Column, ListColumn, MapColumn, Outcome, Reading, Slot, StructColumn};

impl Slot {
    /// Reads the next value.
    #[inline]
    fn append_avro(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
        let read = match read {
            Read::Union(branches) => match bytes.index(branches.len()) {
                Ok(branch) => &branches[branch],
                Err(fault) => {
                    self.pad();
                    return Err(self.blame(fault));
                }
            },
            read => read,
        };
        let required = self.required;
        let outcome = match (&mut self.column, read) {
            (Column::Leaf(leaf), Read::Scalar(scalar)) => {
                let outcome = leaf.append_avro(*scalar, bytes, reading, self.event_time);
                if outcome.is_err() {
                    leaf.pad(required);
                }
                outcome
            }
            (_, Read::Nothing) => self.append_nothing("null"),
            (Column::Leaf(leaf), Read::Enum(symbols)) => match bytes.index(symbols.len()) {
                Ok(symbol) => {
                    reading.expanded += symbols[symbol].len();
                    leaf.append_text(&symbols[symbol]);
                    Ok(())
                }
                Err(fault) => {
                    leaf.pad(required);
                    Err(fault)
                }
            },
            (Column::Leaf(leaf), Read::Json(ty)) => match json_text::write(ty, bytes, reading) {
                Ok(text) => {
                    reading.expanded += text.len();
                    leaf.append_text(&text);
                    Ok(())
                }
                Err(fault) => {
                    leaf.pad(required);
                    Err(fault)
                }
            },
            (Column::Struct(column), Read::Struct(read)) => column.append_avro(read, bytes, reading),
            (Column::List(column), Read::List(read)) => column.append_avro(read, bytes, reading),
            (Column::Map(column), Read::Map(read)) => column.append_avro(read, bytes, reading),
            (Column::Struct(column), Read::Member(member, read)) => {
                column.append_member(*member, read, bytes, reading)
            }
            (Column::Struct(column), Read::Duration) => column.append_duration(bytes),
            (_, Read::NoMember(ty) | Read::Later(ty)) => {
                self.pad();
                reading.skip(ty, bytes)
            }
            (_, Read::Unfit(ty, detail)) => {
                self.pad();
                reading
                    .skip(ty, bytes)
                    .and_then(|()| Err(Fault::of_value(Reason::WrongType, detail.as_ref())))
            }
            // Reads are resolved against these very columns.
            (_, Read::Scalar(_) | Read::Enum(_) | Read::Struct(_) | Read::List(_) | Read::Map(_))
            | (_, Read::Union(_) | Read::Member(..) | Read::Duration | Read::Json(_)) => {
                self.pad();
                Err(Fault::fatal(Reason::WrongType, "the column is of another kind"))
            }
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(fault) => self.settle(fault, reading),
        }
    }
}

impl StructColumn {
    /// Reads a record.
    pub(super) fn append_avro(
        &mut self,
        read: &StructRead,
        bytes: &mut Cursor<'_>,
        reading: &mut Reading<'_>,
    ) -> Outcome {
        self.length += 1;
        self.valid.append_non_null();
        let mut fields = read.fields.iter();
        // The columns were counted where there can be many of these.
        let outcome = reading
            .spend(read.fields.len().saturating_sub(self.slots.len()), 1)
            .and_then(|()| fields.try_for_each(|field| self.append_field(field, bytes, reading)));
        // What a fault has left, where `try_for_each` stopped.
        for field in fields {
            if let FieldRead::Into(slot, _) = field {
                self.slots[*slot].pad();
            }
        }
        for slot in &read.later {
            self.slots[*slot].pad();
        }
        for slot in &read.absent {
            let absent = self.slots[*slot].append_absent();
            if outcome.is_ok() && absent.is_err() {
                for slot in read.absent.iter().skip_while(|at| *at != slot).skip(1) {
                    self.slots[*slot].pad();
                }
                return absent;
            }
        }
        outcome
    }

    fn append_field(
        &mut self,
        field: &FieldRead,
        bytes: &mut Cursor<'_>,
        reading: &mut Reading<'_>,
    ) -> Outcome {
        match field {
            FieldRead::Into(slot, read) => self.slots[*slot].append_avro(read, bytes, reading),
            FieldRead::Past(ty) => reading.skip(ty, bytes),
            FieldRead::Unknown(ty) => {
                reading.unknown_fields += 1;
                reading.skip(ty, bytes)
            }
            FieldRead::Refused(ty, path) => {
                reading.skip(ty, bytes)?;
                reading.refuse(path.clone())
            }
        }
    }

    /// Reads the branch of a union that `member` holds; the others are null.
    fn append_member(
        &mut self,
        member: usize,
        read: &Read,
        bytes: &mut Cursor<'_>,
        reading: &mut Reading<'_>,
    ) -> Outcome {
        self.length += 1;
        self.valid.append_non_null();
        let mut outcome = Ok(());
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if number != member {
                outcome = outcome.and(slot.append_absent());
            } else if outcome.is_ok() {
                outcome = slot.append_avro(read, bytes, reading);
            } else {
                slot.pad();
            }
        }
        outcome
    }

    fn append_duration(&mut self, bytes: &mut Cursor<'_>) -> Outcome {
        match bytes.array::<12>() {
            Ok(parts) => {
                self.length += 1;
                self.valid.append_non_null();
                for (slot, part) in self.slots.iter_mut().zip(parts.as_chunks::<4>().0) {
                    if let Column::Leaf(leaf) = &mut slot.column {
                        leaf.append_long(i64::from(u32::from_le_bytes(*part)));
                    }
                }
                Ok(())
            }
            Err(fault) => {
                self.pad(false);
                Err(fault)
            }
        }
    }
}

impl ListColumn {
    fn append_avro(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
        self.valid.append_non_null();
        let outcome = self.read_avro(read, bytes, reading);
        self.offsets.push(self.length);
        outcome
    }

    fn read_avro(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
        let width = self.element.width();
        loop {
            let (count, _) = bytes.block()?;
            if count == 0 {
                return Ok(());
            }
            reading.spend(count, width)?;
            for _ in 0..count {
                self.length += 1;
                self.element.append_avro(read, bytes, reading)?;
            }
        }
    }
}

impl MapColumn {
    fn append_avro(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
        self.valid.append_non_null();
        let outcome = self.read_avro(read, bytes, reading);
        self.offsets.push(self.length);
        outcome
    }

    fn read_avro(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
        let width = 1 + self.value.width();
        let mut seen = HashSet::new();
        loop {
            let (count, _) = bytes.block()?;
            if count == 0 {
                return Ok(());
            }
            reading.spend(count, width)?;
            for _ in 0..count {
                // What follows a key that is not UTF-8 is not looked for.
                let key = bytes
                    .text()
                    .map_err(|fault| Fault::fatal(fault.reason, fault.detail))?;
                if !seen.insert(key) {
                    let fault = Fault::fatal(Reason::DuplicateKey, "the map has a key twice");
                    return Err(self.value.blame(fault));
                }
                self.keys.append_text(key);
                self.length += 1;
                self.value.append_avro(read, bytes, reading)?;
            }
        }
    }
}
