//! Columns that follow the table's schema, for formats whose records are read by their writer's schema. Each format
//! appends to them in its own way.
//!
//! The rule that keeps all columns at the same length is that of JSON's: appending adds exactly one entry, whether it
//! succeeds or not. So one bad record costs one padded row, and never a second pass over the batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, NullBufferBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use iceberg::spec::{NestedField, NestedFieldRef, PrimitiveType, Type};

use crate::bad::{Fault, Reason};

pub(crate) mod leaf;
mod reading;

use leaf::Leaf;
pub(crate) use reading::{NO_COLUMN, Outcome, Reading, Rules};

/// One field of the schema with its column.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Dotted, for messages.
    pub path: Box<str>,
    pub required: bool,
    /// The event time, or a struct that holds it.
    pub event_time: bool,
    pub column: Column,
}

#[derive(Debug)]
pub(crate) enum Column {
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
                let Some(key) = ty.key_field.field_type.as_primitive_type() else {
                    return Err((
                        path,
                        "the keys of maps are of primitive types, and these are not".into(),
                    ));
                };
                Column::Map(Box::new(MapColumn {
                    keys: Leaf::new(key, fields[0].data_type()).map_err(|problem| (path.clone(), problem))?,
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

    /// The writer has no such field.
    pub fn append_absent(&mut self) -> Outcome {
        self.append_nothing("absent").map_err(|fault| self.blame(fault))
    }

    /// One more entry without a value.
    pub fn append_nothing(&mut self, how: &str) -> Outcome {
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
    pub fn settle(&self, fault: Box<Fault>, reading: &mut Reading<'_>) -> Outcome {
        let own = fault.field.is_none();
        let fault = self.blame(fault);
        if own && fault.resumable && reading.rules.null_field && !self.required && !self.event_time {
            reading.nulled.push(*fault);
            return Ok(());
        }
        Err(fault)
    }

    pub fn blame(&self, mut fault: Box<Fault>) -> Box<Fault> {
        fault.field.get_or_insert_with(|| self.path.clone());
        fault
    }

    /// One more entry, null where null may be.
    pub fn pad(&mut self) {
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
    pub fn width(&self) -> usize {
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
pub(crate) struct StructColumn {
    pub slots: Vec<Slot>,
    fields: Fields,
    pub length: usize,
    pub valid: NullBufferBuilder,
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
pub(crate) struct ListColumn {
    pub element: Slot,
    field: FieldRef,
    pub offsets: Vec<i32>,
    /// Elements so far. A batch has fewer than `MAX_BATCH_VALUES` before its last record, and that one `max_fields`.
    pub length: i32,
    pub valid: NullBufferBuilder,
}

impl ListColumn {
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
pub(crate) struct MapColumn {
    pub keys: Leaf,
    pub value: Slot,
    entries: FieldRef,
    fields: Fields,
    pub offsets: Vec<i32>,
    pub length: i32,
    pub valid: NullBufferBuilder,
}

impl MapColumn {
    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        self.length = 0;
        let columns: Vec<ArrayRef> = vec![self.keys.finish(), self.value.finish()?];
        let entries = StructArray::try_new(self.fields.clone(), columns, None)?;
        let map = MapArray::try_new(self.entries.clone(), offsets, entries, self.valid.finish(), false)?;
        Ok(Arc::new(map))
    }
}
