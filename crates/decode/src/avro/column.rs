//! Columns that follow the table's schema: each reads Avro's bytes and appends to Arrow builders.
//!
//! The rule that keeps all columns at the same length is that of JSON's: `append` adds exactly one entry, whether it
//! succeeds or not. So one bad record costs one padded row, and never a second pass over the batch.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, NullBufferBuilder, StringBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use iceberg::spec::{NestedField, NestedFieldRef, PrimitiveType, Type};

use super::cursor::Cursor;
use super::leaf::Leaf;
use super::reading::{Outcome, Reading};
use super::resolve::{FieldRead, Read, StructRead};
use crate::bad::{Fault, Reason};

/// One field of the schema with its column.
#[derive(Debug)]
pub(super) struct Slot {
    /// Dotted, for messages.
    path: Box<str>,
    required: bool,
    /// The event time, or a struct that holds it.
    event_time: bool,
    column: Column,
}

#[derive(Debug)]
enum Column {
    Leaf(Leaf),
    Struct(StructColumn),
    List(Box<ListColumn>),
    Map(Box<MapColumn>),
}

impl Slot {
    /// `parent` is the dotted path of the enclosing field; `event_time` the rest of the event time's path, where it
    /// leads through this field. Errors name the column and the problem.
    fn new(
        field: &NestedField,
        arrow: &DataType,
        parent: &str,
        event_time: Option<&[&str]>,
    ) -> Result<Self, (String, String)> {
        let path = match parent {
            "" => field.name.clone(),
            parent => format!("{parent}.{}", field.name),
        };
        let not_a_time = "the event time must be a timestamptz or timestamp column";
        let column = match (field.field_type.as_ref(), arrow) {
            (Type::Primitive(ty), arrow) => {
                let is_time = matches!(ty, PrimitiveType::Timestamptz | PrimitiveType::Timestamp);
                if event_time.is_some_and(|rest| !rest.is_empty() || !is_time) {
                    return Err((path, not_a_time.into()));
                }
                Column::Leaf(Leaf::new(ty, arrow).map_err(|problem| (path.clone(), problem))?)
            }
            (Type::Struct(ty), DataType::Struct(fields)) => {
                let members: Vec<&NestedFieldRef> = ty.fields().iter().collect();
                Column::Struct(StructColumn::new(&members, fields.clone(), &path, event_time)?)
            }
            _ if event_time.is_some() => return Err((path, not_a_time.into())),
            (Type::List(ty), DataType::List(element)) => Column::List(Box::new(ListColumn {
                element: Self::new(&ty.element_field, element.data_type(), &path, None)?,
                field: element.clone(),
                offsets: vec![0],
                length: 0,
                valid: NullBufferBuilder::new(0),
            })),
            (Type::Map(ty), DataType::Map(entries, _)) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err((path, format!("has the Arrow type {arrow}")));
                };
                if ty.key_field.field_type.as_primitive_type() != Some(&PrimitiveType::String) {
                    return Err((
                        path,
                        "the keys of Avro's maps are strings, and these are not".into(),
                    ));
                }
                Column::Map(Box::new(MapColumn {
                    keys: StringBuilder::new(),
                    value: Self::new(&ty.value_field, fields[1].data_type(), &path, None)?,
                    entries: entries.clone(),
                    fields: fields.clone(),
                    offsets: vec![0],
                    length: 0,
                    valid: NullBufferBuilder::new(0),
                }))
            }
            (_, arrow) => return Err((path, format!("has the Arrow type {arrow}"))),
        };
        Ok(Self {
            path: path.into(),
            required: field.required,
            event_time: event_time.is_some(),
            column,
        })
    }

    /// Reads the next value.
    #[inline]
    fn append(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
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
                let outcome = leaf.append(*scalar, bytes, reading, self.event_time);
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
            (Column::Struct(column), Read::Struct(read)) => column.append(read, bytes, reading),
            (Column::List(column), Read::List(read)) => column.append(read, bytes, reading),
            (Column::Map(column), Read::Map(read)) => column.append(read, bytes, reading),
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
            | (_, Read::Union(_) | Read::Member(..) | Read::Duration) => {
                self.pad();
                Err(Fault::fatal(Reason::WrongType, "the column is of another kind"))
            }
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(fault) => self.settle(fault, reading),
        }
    }

    /// The writer has no such field.
    fn append_absent(&mut self) -> Outcome {
        self.append_nothing("absent").map_err(|fault| self.blame(fault))
    }

    /// One more entry without a value.
    fn append_nothing(&mut self, how: &str) -> Outcome {
        self.pad();
        if self.event_time {
            let detail = format!("the event time is {how}");
            return Err(Fault::of_value(Reason::MissingEventTime, detail));
        }
        if self.required {
            let detail = format!("a required column is {how}");
            return Err(Fault::of_value(Reason::MissingRequired, detail));
        }
        Ok(())
    }

    /// Names the field, and with `null-field` lets the record go on without it.
    #[cold]
    fn settle(&self, fault: Box<Fault>, reading: &mut Reading<'_>) -> Outcome {
        let own = fault.field.is_none();
        let fault = self.blame(fault);
        if own && fault.resumable && reading.rules.null_field && !self.required && !self.event_time {
            reading.nulled.push(*fault);
            return Ok(());
        }
        Err(fault)
    }

    fn blame(&self, mut fault: Box<Fault>) -> Box<Fault> {
        fault.field.get_or_insert_with(|| self.path.clone());
        fault
    }

    /// One more entry, null where null may be.
    fn pad(&mut self) {
        match &mut self.column {
            Column::Leaf(leaf) => leaf.pad(self.required),
            Column::Struct(column) => column.pad(self.required),
            Column::List(column) => {
                column.offsets.push(column.length);
                column.valid.append(self.required);
            }
            Column::Map(column) => {
                column.offsets.push(column.length);
                column.valid.append(self.required);
            }
        }
    }

    /// Columns of one entry, itself included.
    fn width(&self) -> usize {
        match &self.column {
            Column::Leaf(leaf) => leaf.width(),
            Column::Struct(column) => 1 + column.width(),
            Column::List(_) => 1,
            Column::Map(_) => 2,
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        match &mut self.column {
            Column::Leaf(leaf) => Ok(leaf.finish()),
            Column::Struct(column) => Ok(Arc::new(column.finish()?)),
            Column::List(column) => column.finish(),
            Column::Map(column) => column.finish(),
        }
    }
}

/// Fields of a record; also the record as a whole.
#[derive(Debug)]
pub(super) struct StructColumn {
    slots: Vec<Slot>,
    fields: Fields,
    length: usize,
    valid: NullBufferBuilder,
    /// Columns of one entry.
    width: usize,
}

impl StructColumn {
    /// `arrow` are the Arrow fields of the fields `iceberg`. Errors name the column and the problem.
    pub fn new(
        iceberg: &[&NestedFieldRef],
        arrow: Fields,
        path: &str,
        event_time: Option<&[&str]>,
    ) -> Result<Self, (String, String)> {
        let rest = |field: &NestedField| match event_time {
            Some([first, rest @ ..]) if *first == field.name => Some(rest),
            _ => None,
        };
        let slots = iceberg
            .iter()
            .zip(&arrow)
            .map(|(field, arrow)| Slot::new(field, arrow.data_type(), path, rest(field)))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(names) = event_time
            && !slots.iter().any(|slot| slot.event_time)
        {
            let missing = names.first().copied().unwrap_or_default();
            let column = match path {
                "" => missing.to_owned(),
                path => format!("{path}.{missing}"),
            };
            let problem = "is where the event time should be, but the table has no such column";
            return Err((column, problem.into()));
        }
        Ok(Self {
            width: slots.iter().map(Slot::width).sum(),
            slots,
            fields: arrow,
            length: 0,
            valid: NullBufferBuilder::new(0),
        })
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Reads a record.
    pub fn append(
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
            FieldRead::Into(slot, read) => self.slots[*slot].append(read, bytes, reading),
            FieldRead::Past(ty) => reading.skip(ty, bytes),
            FieldRead::Unknown(ty) => {
                reading.unknown_fields += 1;
                reading.skip(ty, bytes)
            }
            FieldRead::Refused(ty, path) => {
                reading.skip(ty, bytes)?;
                let detail = "the table has no such column, and `evolution` lets it get none";
                let mut fault = Fault::of_value(Reason::WrongType, detail);
                fault.field = Some(path.clone());
                if reading.rules.null_field {
                    reading.nulled.push(*fault);
                    return Ok(());
                }
                Err(fault)
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
                outcome = slot.append(read, bytes, reading);
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

    /// One more entry, null where null may be.
    pub fn pad(&mut self, required: bool) {
        self.length += 1;
        self.valid.append(required);
        self.slots.iter_mut().for_each(Slot::pad);
    }

    /// An entry of nulls, for a tombstone: a fault if a column may not be null, though the missing event time is none.
    pub fn append_tombstone(&mut self) -> Outcome {
        self.pad(false);
        match self.slots.iter().find(|slot| slot.required) {
            None => Ok(()),
            Some(slot) => {
                let detail = "a tombstone (null value) has nothing for a required column";
                Err(slot.blame(Fault::of_value(Reason::MissingRequired, detail)))
            }
        }
    }

    /// The columns of the fields; the builders start again.
    pub fn finish_columns(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.length = 0;
        self.valid = NullBufferBuilder::new(0);
        self.slots.iter_mut().map(Slot::finish).collect()
    }

    fn finish(&mut self) -> Result<StructArray, ArrowError> {
        let (length, valid) = (self.length, self.valid.finish());
        let columns = self.finish_columns()?;
        StructArray::try_new_with_length(self.fields.clone(), columns, valid, length)
    }
}

#[derive(Debug)]
struct ListColumn {
    element: Slot,
    field: FieldRef,
    offsets: Vec<i32>,
    /// Elements so far. A batch has fewer than `MAX_BATCH_VALUES` before its last record, and that one `max_fields`.
    length: i32,
    valid: NullBufferBuilder,
}

impl ListColumn {
    fn append(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
        self.valid.append_non_null();
        let outcome = self.read(read, bytes, reading);
        self.offsets.push(self.length);
        outcome
    }

    fn read(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
        let width = self.element.width();
        loop {
            let (count, _) = bytes.block()?;
            if count == 0 {
                return Ok(());
            }
            reading.spend(count, width)?;
            for _ in 0..count {
                self.length += 1;
                self.element.append(read, bytes, reading)?;
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        self.length = 0;
        let elements = self.element.finish()?;
        let valid = self.valid.finish();
        Ok(Arc::new(ListArray::try_new(
            self.field.clone(),
            offsets,
            elements,
            valid,
        )?))
    }
}

#[derive(Debug)]
struct MapColumn {
    keys: StringBuilder,
    value: Slot,
    entries: FieldRef,
    fields: Fields,
    offsets: Vec<i32>,
    length: i32,
    valid: NullBufferBuilder,
}

impl MapColumn {
    fn append(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
        self.valid.append_non_null();
        let outcome = self.read(read, bytes, reading);
        self.offsets.push(self.length);
        outcome
    }

    fn read(&mut self, read: &Read, bytes: &mut Cursor<'_>, reading: &mut Reading<'_>) -> Outcome {
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
                self.keys.append_value(key);
                self.length += 1;
                self.value.append(read, bytes, reading)?;
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        self.length = 0;
        let columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), self.value.finish()?];
        let entries = StructArray::try_new(self.fields.clone(), columns, None)?;
        let map = MapArray::try_new(self.entries.clone(), offsets, entries, self.valid.finish(), false)?;
        Ok(Arc::new(map))
    }
}
