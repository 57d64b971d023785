//! JSON Schema -> Iceberg types, for columns that a table does not have yet. `docs/json-schema.md` has the table.

use std::sync::Arc;

use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Type};

use super::schema::Shape;
use crate::json::names::Names;
use crate::schema::{PLACEHOLDER_ID, optional, structure};
use crate::settings::{DecodeSettings, JsonNumbers};

/// The columns of a new table; ids are placeholders. Where the event time's path leads to text or a number, the column
/// is one of timestamps.
pub(super) fn columns(properties: &[(Box<str>, Shape)], settings: &DecodeSettings) -> Vec<NestedFieldRef> {
    let path = settings.event_time.as_deref().map(|path| path.split('.'));
    let path: Vec<&str> = path.into_iter().flatten().collect();
    let mut typing = Typing {
        settings,
        names: Names::default(),
    };
    typing.members(properties, &path)
}

/// Gives types to shapes, and takes the names of their columns.
pub(super) struct Typing<'s> {
    pub settings: &'s DecodeSettings,
    pub names: Names,
}

impl Typing<'_> {
    fn members(&mut self, properties: &[(Box<str>, Shape)], event_time: &[&str]) -> Vec<NestedFieldRef> {
        let mut members = Vec::with_capacity(properties.len());
        for (name, shape) in properties {
            let path = match event_time.split_first() {
                Some((first, rest)) if **first == **name => Some(rest),
                _ => None,
            };
            self.names.push(name);
            let ty = match self.may_be() {
                true => self.column_type(shape, path),
                false => None,
            };
            self.names.pop();
            members.extend(ty.map(|ty| Arc::new(optional(name, ty))));
        }
        members
    }

    /// Whether there may be a column where the names lead.
    pub fn may_be(&self) -> bool {
        let settings = self.settings;
        self.names.allows(&settings.ignored, settings.limits.max_columns)
    }

    /// The type of the column to which the names lead; `None` if there is nothing to keep in it. `event_time` is the
    /// rest of the event time's path, where it leads through it.
    pub fn column_type(&mut self, shape: &Shape, event_time: Option<&[&str]>) -> Option<Type> {
        if !self.names.take() {
            return None;
        }
        let ty = self.of_shape(shape, event_time);
        if ty.is_none() {
            self.names.give_back();
        }
        ty
    }

    fn of_shape(&mut self, shape: &Shape, event_time: Option<&[&str]>) -> Option<Type> {
        match shape {
            Shape::Integer | Shape::Number | Shape::Text | Shape::Date | Shape::Any
                if event_time == Some(&[]) =>
            {
                Some(PrimitiveType::Timestamptz.into())
            }
            Shape::List(element) => {
                let element = self.part("element", element)?;
                let element = NestedField::list_element(PLACEHOLDER_ID, element, false);
                Some(Type::List(ListType::new(Arc::new(element))))
            }
            Shape::Map(value) => {
                let key = NestedField::map_key_element(PLACEHOLDER_ID, PrimitiveType::String.into());
                let value = self.part("value", value)?;
                let value = NestedField::map_value_element(PLACEHOLDER_ID, value, false);
                Some(Type::Map(MapType::new(Arc::new(key), Arc::new(value))))
            }
            Shape::Struct(properties) => structure(self.members(properties, event_time.unwrap_or_default())),
            shape => primitive(shape, self.settings.json_numbers).map(Type::Primitive),
        }
    }

    fn part(&mut self, name: &str, shape: &Shape) -> Option<Type> {
        self.names.push(name);
        let ty = self.column_type(shape, None);
        self.names.pop();
        ty
    }
}

fn primitive(shape: &Shape, numbers: JsonNumbers) -> Option<PrimitiveType> {
    Some(match shape {
        Shape::Boolean => PrimitiveType::Boolean,
        Shape::Integer if numbers == JsonNumbers::Infer => PrimitiveType::Long,
        Shape::Integer | Shape::Number => match numbers {
            JsonNumbers::Infer | JsonNumbers::Double => PrimitiveType::Double,
            JsonNumbers::Decimal { precision, scale } => PrimitiveType::Decimal { precision, scale },
        },
        Shape::Text | Shape::Any => PrimitiveType::String,
        Shape::Date => PrimitiveType::Date,
        Shape::DateTime => PrimitiveType::Timestamptz,
        Shape::Uuid => PrimitiveType::Uuid,
        Shape::Bytes => PrimitiveType::Binary,
        Shape::List(_) | Shape::Map(_) | Shape::Struct(_) => return None,
    })
}
