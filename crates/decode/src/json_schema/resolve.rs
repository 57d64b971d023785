//! A schema against the table: what the table lacks for it, and what is to be known of columns to read its records. Done
//! once for each schema and version of the table. Where types differ, each value says whether it fits.

use std::sync::Arc;

use iceberg::spec::{NestedFieldRef, PrimitiveType, Schema, Type};

use super::schema::Shape;
use super::types::Typing;
use crate::columns::NO_COLUMN;
use crate::json::names::Names;
use crate::json::remarks::Remarks;
use crate::settings::DecodeSettings;
use crate::{Change, Forecast, Misfit};

/// A schema as a table takes it.
#[derive(Debug)]
pub(super) struct Resolved {
    /// `None` if there is nothing to remark.
    pub remarks: Option<Arc<Remarks>>,
    pub forecast: Forecast,
}

/// `own` are the columns of the table that records fill.
pub(super) fn resolve(
    properties: &[(Box<str>, Shape)],
    own: &[&NestedFieldRef],
    table: &Schema,
    settings: &DecodeSettings,
) -> Resolved {
    let mut resolving = Resolving {
        typing: Typing {
            settings,
            names: Names::of_table(table),
        },
        path: Vec::new(),
        remarks: Remarks::default(),
        forecast: Forecast::default(),
    };
    resolving.members(properties, own);
    let Resolving {
        remarks, forecast, ..
    } = resolving;
    Resolved {
        remarks: (remarks != Remarks::default()).then(|| Arc::new(remarks)),
        forecast,
    }
}

struct Resolving<'s> {
    typing: Typing<'s>,
    /// As the table has it.
    path: Vec<String>,
    remarks: Remarks,
    forecast: Forecast,
}

impl Resolving<'_> {
    fn members(&mut self, properties: &[(Box<str>, Shape)], members: &[&NestedFieldRef]) {
        for (name, shape) in properties {
            match members.iter().find(|member| *member.name == **name) {
                Some(member) => self.within(name, shape, &member.field_type),
                None => self.column(name, shape),
            }
        }
        for member in members {
            let is_missing = properties.iter().all(|(name, _)| **name != *member.name);
            let path = self.path_of(&member.name);
            if is_missing && self.is_event_time(&path) {
                self.misfit(path, "the event time is missing".to_owned());
            } else if is_missing && member.required {
                self.misfit(path, "a required column is missing".to_owned());
            }
        }
    }

    fn within(&mut self, name: &str, shape: &Shape, column: &Type) {
        self.path.push(name.to_owned());
        self.typing.names.push(name);
        self.value(shape, column);
        self.typing.names.pop();
        self.path.pop();
    }

    fn value(&mut self, shape: &Shape, column: &Type) {
        match (shape, column) {
            (Shape::Struct(properties), Type::Struct(members)) => {
                self.members(properties, &members.fields().iter().collect::<Vec<_>>());
            }
            (Shape::List(element), Type::List(list)) => {
                self.within("element", element, &list.element_field.field_type);
            }
            (Shape::Map(value), Type::Map(map))
                if map.key_field.field_type.as_primitive_type() == Some(&PrimitiveType::String) =>
            {
                self.within("value", value, &map.value_field.field_type);
            }
            (Shape::Any, Type::Primitive(PrimitiveType::String)) => self.remarks.at(&self.path).any = true,
            (shape, Type::Primitive(column)) => self.scalar(shape, column),
            (shape, column) => self.unfit(shape, column),
        }
    }

    fn scalar(&mut self, shape: &Shape, column: &PrimitiveType) {
        let wider = match (shape, column) {
            (Shape::Integer, PrimitiveType::Int) => PrimitiveType::Long,
            (Shape::Number, PrimitiveType::Float) => PrimitiveType::Double,
            _ if takes(column, shape) => return,
            _ => return self.unfit(shape, &Type::Primitive(column.clone())),
        };
        let settings = self.typing.settings;
        if settings.infer && settings.evolution.widen {
            self.forecast.changes.push(Change::Widen {
                path: self.path.clone(),
                to: wider,
            });
        }
    }

    /// A property that the table has no column for.
    fn column(&mut self, name: &str, shape: &Shape) {
        let settings = self.typing.settings;
        if settings.ignored.passes(&self.path, name) {
            return;
        }
        self.typing.names.push(name);
        if !settings.infer || !self.typing.may_be() {
            self.forecast.left_out.push(self.path_of(name).join("."));
        } else if !settings.evolution.add {
            self.remarks.at(&self.path).refused.insert(name.into());
            self.misfit(self.path_of(name), NO_COLUMN.to_owned());
        } else if let Some(ty) = self.typing.column_type(shape, None) {
            self.forecast.changes.push(Change::AddColumn {
                parent: self.path.clone(),
                name: name.to_owned(),
                ty,
            });
        }
        self.typing.names.pop();
    }

    /// Whether the column at `path` is the event time, or holds it.
    fn is_event_time(&self, path: &[String]) -> bool {
        let event_time = self.typing.settings.event_time.as_deref();
        let mut steps = event_time.into_iter().flat_map(|path| path.split('.'));
        path.iter().all(|name| steps.next() == Some(name))
    }

    fn path_of(&self, name: &str) -> Vec<String> {
        let path = self.path.iter().map(String::as_str);
        path.chain([name]).map(str::to_owned).collect()
    }

    fn unfit(&mut self, shape: &Shape, column: &Type) {
        let why = format!("it is {}, and the column is {column}", words(shape));
        self.misfit(self.path.clone(), why);
    }

    fn misfit(&mut self, path: Vec<String>, why: String) {
        self.forecast.misfits.push(Misfit {
            column: path.join("."),
            why,
        });
    }
}

/// Whether a column holds the values of a shape, or tells those that it does not from the others.
fn takes(column: &PrimitiveType, shape: &Shape) -> bool {
    use PrimitiveType as P;
    match shape {
        Shape::Boolean => matches!(column, P::Boolean),
        Shape::Integer => matches!(
            column,
            P::Long | P::Float | P::Double | P::Decimal { .. } | P::Timestamp | P::Timestamptz
        ),
        Shape::Number => matches!(
            column,
            P::Double | P::Decimal { .. } | P::Timestamp | P::Timestamptz
        ),
        Shape::Text => !matches!(column, P::Boolean | P::Int | P::Long | P::Float | P::Double),
        Shape::Date => matches!(column, P::Date | P::String | P::Timestamp | P::Timestamptz),
        Shape::DateTime => matches!(column, P::Timestamp | P::Timestamptz | P::String),
        Shape::Uuid => matches!(column, P::Uuid | P::String),
        Shape::Bytes => matches!(column, P::Binary | P::Fixed(_) | P::String),
        Shape::Any => matches!(column, P::Timestamp | P::Timestamptz),
        Shape::List(_) | Shape::Map(_) | Shape::Struct(_) => false,
    }
}

fn words(shape: &Shape) -> &'static str {
    match shape {
        Shape::Boolean => "a boolean",
        Shape::Integer => "an integer",
        Shape::Number => "a number",
        Shape::Text => "text",
        Shape::Date => "a date",
        Shape::DateTime => "a time",
        Shape::Uuid => "a UUID",
        Shape::Bytes => "text in base64",
        Shape::List(_) => "a list",
        Shape::Map(_) => "a map",
        Shape::Struct(_) => "an object",
        Shape::Any => "of several types",
    }
}
