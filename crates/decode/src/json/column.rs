//! Columns that follow the schema: each reads JSON and appends to Arrow builders.
//!
//! The rule that keeps all columns at the same length: `append` adds exactly one entry, whether it
//! succeeds or not. So one bad record costs one padded row, and never a second pass over the batch.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, NullBufferBuilder, StringBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use iceberg::spec::{NestedField, PrimitiveType, Type};
use jiter::{Jiter, Peek};

use super::leaf::Leaf;
use super::plain::{Key, Plain, Scalar, Scanner};
use super::reading::syntax;
use super::remarks::Remarks;
use crate::bad::{Fault, Reason};
use crate::columns::{Outcome, Reading, Rules};
use crate::ignored::Ignored;

/// One field of the schema with its column.
#[derive(Debug)]
pub(super) struct Slot {
    /// Dotted, for messages.
    path: Box<str>,
    name: Box<str>,
    /// The name in quotes. One that needs escapes has them here, so that it equals no key of a plain record.
    key: Box<[u8]>,
    required: bool,
    /// The event time, or a struct that holds it.
    event_time: bool,
    /// Columns of one entry, itself included.
    width: usize,
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
    /// `parent` is the dotted path of the enclosing field; `event_time` the rest of the event time's
    /// path, where it leads through this field.
    pub fn new(
        field: &NestedField,
        arrow: &DataType,
        parent: &str,
        event_time: Option<&[&str]>,
    ) -> Result<Self, (String, String)> {
        let path = if parent.is_empty() {
            field.name.clone()
        } else {
            format!("{parent}.{}", field.name)
        };
        let column = match (field.field_type.as_ref(), arrow) {
            (Type::Primitive(ty), arrow) => {
                if event_time.is_some_and(|rest| !rest.is_empty() || !is_time(ty)) {
                    return Err((
                        path,
                        "the event time must be a timestamptz or timestamp column".into(),
                    ));
                }
                Column::Leaf(Leaf::new(ty, arrow).map_err(|problem| (path.clone(), problem))?)
            }
            (Type::Struct(ty), DataType::Struct(fields)) => {
                let iceberg: Vec<&NestedField> = ty.fields().iter().map(AsRef::as_ref).collect();
                Column::Struct(StructColumn::new(&iceberg, fields.clone(), &path, event_time)?)
            }
            (Type::List(ty), DataType::List(element)) if event_time.is_none() => {
                let slot = Self::new(&ty.element_field, element.data_type(), &path, None)?;
                Column::List(Box::new(ListColumn {
                    element: slot,
                    field: element.clone(),
                    offsets: vec![0],
                    length: 0,
                    valid: NullBufferBuilder::new(0),
                }))
            }
            (Type::Map(ty), DataType::Map(entries, _)) if event_time.is_none() => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err((path, format!("has the Arrow type {arrow}")));
                };
                if ty.key_field.field_type.as_primitive_type() != Some(&PrimitiveType::String) {
                    return Err((
                        path,
                        "a map is filled from an object, so its keys must be strings".into(),
                    ));
                }
                let value = Self::new(&ty.value_field, fields[1].data_type(), &path, None)?;
                Column::Map(Box::new(MapColumn {
                    keys: StringBuilder::new(),
                    value,
                    entries: entries.clone(),
                    fields: fields.clone(),
                    offsets: vec![0],
                    length: 0,
                    valid: NullBufferBuilder::new(0),
                    seen: HashSet::new(),
                }))
            }
            _ if event_time.is_some() => {
                return Err((
                    path,
                    "the event time must be a timestamptz or timestamp column".into(),
                ));
            }
            (_, arrow) => return Err((path, format!("has the Arrow type {arrow}"))),
        };
        let width = 1 + match &column {
            Column::Leaf(_) => 0,
            Column::Struct(column) => column.width(),
            Column::List(_) => 0,
            Column::Map(_) => 1,
        };
        Ok(Self {
            path: path.into(),
            name: field.name.as_str().into(),
            key: format!("{:?}", field.name).into_bytes().into(),
            required: field.required,
            event_time: event_time.is_some(),
            width,
            column,
        })
    }

    /// See [`StructColumn::heed`].
    fn heed(&mut self, remarks: Option<&Remarks>) {
        match &mut self.column {
            Column::Leaf(leaf) => leaf.takes_any(remarks.is_some_and(|remarks| remarks.any)),
            Column::Struct(column) => column.heed(remarks),
            Column::List(column) => column
                .element
                .heed(remarks.and_then(|remarks| remarks.of("element"))),
            Column::Map(column) => column.value.heed(remarks.and_then(|remarks| remarks.of("value"))),
        }
    }

    /// Reads the next value.
    #[inline]
    fn append(&mut self, json: &mut Jiter<'_>, peek: Peek, reading: &mut Reading<'_>) -> Outcome {
        let outcome = match (&mut self.column, peek) {
            (_, Peek::Null) => match json.known_null() {
                Ok(()) => self.append_nothing("null"),
                Err(error) => {
                    self.pad();
                    Err(syntax(error))
                }
            },
            (Column::Leaf(leaf), _) => {
                let outcome = leaf.append(json, peek, reading, self.event_time);
                if outcome.is_err() {
                    leaf.pad(self.required);
                }
                outcome
            }
            (Column::Struct(column), _) => column.append(json, peek, reading, self.required),
            (Column::List(column), _) => column.append(json, peek, reading, self.required),
            (Column::Map(column), _) => column.append(json, peek, reading, self.required),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(fault) => self.settle(fault, reading),
        }
    }

    /// What a plain record has for this column. `None`: it is not for the quick way.
    #[inline]
    fn plain(&self, scanner: &mut Scanner<'_>, rules: &Rules) -> Option<Plain> {
        let scalar = scanner.scalar()?;
        match (&self.column, scalar) {
            (_, Scalar::Null) => self.may_be_nothing().then_some(Plain::Null),
            (Column::Leaf(leaf), _) => leaf.plain(scalar, scanner.text(), rules, self.event_time),
            _ => None,
        }
    }

    fn may_be_nothing(&self) -> bool {
        !self.required && !self.event_time
    }

    /// Appends what [`plain`](Self::plain) found; `text` is the record.
    #[inline]
    fn append_plain(&mut self, plain: Plain, text: &str) {
        match &mut self.column {
            Column::Leaf(leaf) => leaf.append_plain(plain, text),
            _ => self.pad(),
        }
    }

    /// The record has no such field.
    fn append_absent(&mut self) -> Outcome {
        self.append_nothing("absent").map_err(|fault| self.blame(fault))
    }

    /// One more entry without a value.
    fn append_nothing(&mut self, how: &str) -> Outcome {
        self.pad();
        if self.event_time {
            return Err(Fault::of_value(
                Reason::MissingEventTime,
                format!("the event time is {how}"),
            ));
        }
        if self.required {
            return Err(Fault::of_value(
                Reason::MissingRequired,
                format!("a required column is {how}"),
            ));
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

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        match &mut self.column {
            Column::Leaf(leaf) => Ok(leaf.finish()),
            Column::Struct(column) => Ok(Arc::new(column.finish()?)),
            Column::List(column) => column.finish(),
            Column::Map(column) => column.finish(),
        }
    }
}

fn is_time(ty: &PrimitiveType) -> bool {
    matches!(ty, PrimitiveType::Timestamptz | PrimitiveType::Timestamp)
}

/// Fields of an object; also the record as a whole.
#[derive(Debug)]
pub(super) struct StructColumn {
    /// Dotted, for messages.
    path: Box<str>,
    slots: Vec<Slot>,
    by_name: HashMap<Box<str>, usize>,
    /// For each slot the number of entries it has, to know what an object left out or has twice.
    filled: Vec<usize>,
    /// What a plain record has for each slot; between records all are absent.
    plain: Vec<Plain>,
    /// Fields without a column that make a record bad.
    refused: BTreeSet<Box<str>>,
    /// Where it is, with the fields that are passed over; `None` if there are none.
    ignored: Option<(Vec<String>, Ignored)>,
    fields: Fields,
    length: usize,
    valid: NullBufferBuilder,
}

impl StructColumn {
    /// `arrow` are the Arrow fields of the fields `iceberg`. Errors name the column and the problem.
    pub fn new(
        iceberg: &[&NestedField],
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
            let column = if path.is_empty() {
                missing.to_owned()
            } else {
                format!("{path}.{missing}")
            };
            return Err((
                column,
                "is where the event time should be, but the table has no such column".into(),
            ));
        }
        Ok(Self {
            path: path.into(),
            refused: BTreeSet::new(),
            by_name: slots
                .iter()
                .enumerate()
                .map(|(i, slot)| (slot.name.clone(), i))
                .collect(),
            filled: vec![0; slots.len()],
            plain: vec![Plain::Absent; slots.len()],
            ignored: None,
            slots,
            fields: arrow,
            length: 0,
            valid: NullBufferBuilder::new(0),
        })
    }

    /// From now on, values are read with what is said of their columns; `None` says nothing.
    pub fn heed(&mut self, remarks: Option<&Remarks>) {
        self.refused = remarks.map_or_else(BTreeSet::new, |remarks| remarks.refused.clone());
        for slot in &mut self.slots {
            slot.heed(remarks.and_then(|remarks| remarks.of(&slot.name)));
        }
    }

    /// Passes fields over, in itself and in the structs within. `path` is its own.
    pub fn pass_over(&mut self, ignored: &Ignored, path: Vec<String>) {
        if ignored.is_empty() {
            return;
        }
        for slot in &mut self.slots {
            if let Column::Struct(column) = &mut slot.column {
                let inner = path.iter().cloned().chain([slot.name.to_string()]);
                column.pass_over(ignored, inner.collect());
            }
        }
        self.ignored = Some((path, ignored.clone()));
    }

    fn passes_over(&self, name: &str) -> bool {
        self.ignored
            .as_ref()
            .is_some_and(|(path, ignored)| ignored.passes(path, name))
    }

    /// Columns of one entry.
    pub fn width(&self) -> usize {
        self.slots.iter().map(|slot| slot.width).sum()
    }

    /// Appends a record on the quick way. If it is not plain, nothing happens.
    pub fn append_plain(&mut self, value: &[u8], rules: &Rules) -> bool {
        let Some(mut scanner) = Scanner::new(value) else {
            return false;
        };
        let plain = self.slots.len() <= rules.limits.max_fields && self.scan(&mut scanner, rules).is_some();
        if plain {
            self.length += 1;
            self.valid.append_non_null();
            for ((slot, filled), plain) in self.slots.iter_mut().zip(&mut self.filled).zip(&self.plain) {
                *filled = self.length;
                slot.append_plain(*plain, scanner.text());
            }
        }
        self.plain.fill(Plain::Absent);
        plain
    }

    /// Finds what a plain record has for each slot.
    fn scan(&mut self, scanner: &mut Scanner<'_>, rules: &Rules) -> Option<()> {
        scanner.begin()?;
        // Producers write the fields of a topic in one order, so the next one is mostly known.
        let mut expected = 0;
        let mut passed_over = 0;
        loop {
            let i = match scanner.key(self.slots.get(expected).map_or(&[], |slot| &slot.key))? {
                Key::Expected => expected,
                Key::Other(name) => match self.by_name.get(name) {
                    Some(i) => *i,
                    None if self.passes_over(name) => {
                        passed_over += 1;
                        if self.slots.len() + passed_over > rules.limits.max_fields {
                            return None;
                        }
                        scanner.scalar()?;
                        match scanner.comma() {
                            Some(()) => continue,
                            None => break,
                        }
                    }
                    None => return None,
                },
            };
            if self.plain[i] != Plain::Absent {
                return None;
            }
            self.plain[i] = self.slots[i].plain(scanner, rules)?;
            expected = i + 1;
            if scanner.comma().is_none() {
                break;
            }
        }
        scanner.end()?;
        let mut absent = self
            .slots
            .iter()
            .zip(&self.plain)
            .filter(|(_, plain)| **plain == Plain::Absent);
        absent.all(|(slot, _)| slot.may_be_nothing()).then_some(())
    }

    /// Reads the next value, which must be an object. On a fault the rest of the entry is padded.
    pub fn append(
        &mut self,
        json: &mut Jiter<'_>,
        peek: Peek,
        reading: &mut Reading<'_>,
        required: bool,
    ) -> Outcome {
        if peek != Peek::Object {
            self.pad(required);
            return Err(reading.wrong_kind(json, peek, "an object"));
        }
        self.length += 1;
        self.valid.append_non_null();
        let outcome = self.read(json, reading);
        match outcome {
            Ok(filled) if filled == self.slots.len() => Ok(()),
            Ok(_) => self.fill_up(),
            Err(fault) => {
                // The first fault is the one that counts.
                let _ = self.fill_up();
                Err(fault)
            }
        }
    }

    /// Reads the fields of an object and says how many slots it filled.
    fn read(&mut self, json: &mut Jiter<'_>, reading: &mut Reading<'_>) -> Outcome<usize> {
        reading.enter()?;
        let mut filled = 0;
        // Producers write the fields of a topic in one order, so the next one is mostly known.
        let mut expected = 0;
        let mut key = json.known_object().map_err(syntax)?;
        while let Some(name) = key {
            reading.spend(1, 1)?;
            let found = match self.slots.get(expected) {
                Some(slot) if *slot.name == *name => Some(expected),
                _ => self.by_name.get(name).copied(),
            };
            let peek;
            if let Some(i) = found {
                peek = json.peek().map_err(syntax)?;
                if self.filled[i] == self.length {
                    let mut fault = Fault::fatal(Reason::DuplicateKey, "the object has this key twice");
                    fault.field = Some(self.slots[i].path.clone());
                    return Err(fault);
                }
                self.filled[i] = self.length;
                filled += 1;
                self.slots[i].append(json, peek, reading)?;
                expected = i + 1;
            } else {
                let wanted = !self.passes_over(name);
                let refused = self.refused.get(name).filter(|_| wanted);
                let refused = refused.map(|name| self.path_of(name));
                peek = json.peek().map_err(syntax)?;
                let tells = reading.read_past(json, peek)?;
                if let Some(path) = refused {
                    reading.refuse(path)?;
                }
                if wanted {
                    reading.unknown_fields += 1;
                    reading.wants_growth |= tells && reading.rules.infer;
                }
            }
            key = json.next_key().map_err(syntax)?;
        }
        reading.leave();
        Ok(filled)
    }

    fn path_of(&self, name: &str) -> Box<str> {
        match &*self.path {
            "" => name.into(),
            path => format!("{path}.{name}").into(),
        }
    }

    /// Gives the slots that the entry left out their nothing; says the first fault in that.
    fn fill_up(&mut self) -> Outcome {
        let mut outcome = Ok(());
        for (slot, filled) in self.slots.iter_mut().zip(&mut self.filled) {
            if *filled < self.length {
                *filled = self.length;
                outcome = outcome.and(slot.append_absent());
            }
        }
        outcome
    }

    /// One more entry, null where null may be.
    pub fn pad(&mut self, required: bool) {
        self.length += 1;
        self.valid.append(required);
        for (slot, filled) in self.slots.iter_mut().zip(&mut self.filled) {
            *filled = self.length;
            slot.pad();
        }
    }

    /// An entry of nulls, for a tombstone: a fault if a column may not be null, though the missing
    /// event time is none.
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
        self.filled.fill(0);
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
    /// Elements so far. A batch has fewer bytes than an `i32` counts, and an element has one.
    length: i32,
    valid: NullBufferBuilder,
}

impl ListColumn {
    fn append(
        &mut self,
        json: &mut Jiter<'_>,
        peek: Peek,
        reading: &mut Reading<'_>,
        required: bool,
    ) -> Outcome {
        let outcome = match peek {
            Peek::Array => {
                self.valid.append_non_null();
                self.read(json, reading)
            }
            _ => {
                self.valid.append(required);
                Err(reading.wrong_kind(json, peek, "an array"))
            }
        };
        self.offsets.push(self.length);
        outcome
    }

    fn read(&mut self, json: &mut Jiter<'_>, reading: &mut Reading<'_>) -> Outcome {
        reading.enter()?;
        let mut next = json.known_array().map_err(syntax)?;
        while let Some(peek) = next {
            reading.spend(1, self.element.width)?;
            self.length += 1;
            self.element.append(json, peek, reading)?;
            next = json.array_step().map_err(syntax)?;
        }
        reading.leave();
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        self.length = 0;
        let elements = self.element.finish()?;
        Ok(Arc::new(ListArray::try_new(
            self.field.clone(),
            offsets,
            elements,
            self.valid.finish(),
        )?))
    }
}

/// A map with string keys, from an object.
#[derive(Debug)]
struct MapColumn {
    keys: StringBuilder,
    value: Slot,
    entries: FieldRef,
    fields: Fields,
    offsets: Vec<i32>,
    length: i32,
    valid: NullBufferBuilder,
    /// The keys of the entry being read.
    seen: HashSet<Box<str>>,
}

impl MapColumn {
    fn append(
        &mut self,
        json: &mut Jiter<'_>,
        peek: Peek,
        reading: &mut Reading<'_>,
        required: bool,
    ) -> Outcome {
        let outcome = match peek {
            Peek::Object => {
                self.valid.append_non_null();
                self.read(json, reading)
            }
            _ => {
                self.valid.append(required);
                Err(reading.wrong_kind(json, peek, "an object"))
            }
        };
        self.offsets.push(self.length);
        outcome
    }

    fn read(&mut self, json: &mut Jiter<'_>, reading: &mut Reading<'_>) -> Outcome {
        reading.enter()?;
        self.seen.clear();
        let mut key = json.known_object().map_err(syntax)?;
        while let Some(name) = key {
            reading.spend(1, 1 + self.value.width)?;
            if !self.seen.insert(name.into()) {
                return Err(self
                    .value
                    .blame(Fault::fatal(Reason::DuplicateKey, "the object has a key twice")));
            }
            self.keys.append_value(name);
            self.length += 1;
            let peek = match json.peek() {
                Ok(peek) => peek,
                Err(error) => {
                    self.value.pad();
                    return Err(syntax(error));
                }
            };
            self.value.append(json, peek, reading)?;
            key = json.next_key().map_err(syntax)?;
        }
        reading.leave();
        Ok(())
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
