//! Between what records hold and what a table holds: a [`Shape`] unwraps change events, keeps some records, and drops,
//! renames, flattens, hashes and computes columns. `docs/shaping.md` says what becomes what.
//!
//! It is a decoder around a decoder. The inner one reads records into a *source schema*: the table's columns where the
//! table holds them as they are, under the names that records have, and those that only expressions and hashes read.
//! What the inner one asks of the source schema is translated: into a change of the table, or one of the source alone.
//! A job without a shape gets the decoder itself.

mod debezium;
mod decoder;
mod expression;
mod fields;
mod hash;
mod names;
mod output;
mod rows;
mod settings;
mod source;

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_decode::{Change, DecodeError, DecodeSettings, Decoder, Forecast, Part};
use tabletopic_records::Record;
use tabletopic_table::schema::SchemaChange;

pub use expression::Expression;
pub use hash::HashKey;
pub use names::Fate;
pub use settings::{Otherwise, Shape, Unwrap};

/// The decoder of a job for a table's schema.
///
/// # Errors
/// Those of [`tabletopic_decode::decoder`]; a shape that does not fit the table.
pub fn decoder(
    shape: Option<&Shape>,
    settings: &DecodeSettings,
    schema: &Schema,
) -> Result<Box<dyn Decoder>, DecodeError> {
    match shape {
        None => tabletopic_decode::decoder(settings, schema),
        Some(shape) => Ok(Box::new(decoder::Shaped::new(shape, settings, schema)?)),
    }
}

/// The columns of a new table, from a sample; as [`tabletopic_decode::infer`], but after the shape.
///
/// # Errors
/// Those of [`tabletopic_decode::infer`]; a shape that does not fit the records.
pub fn infer(
    shape: Option<&Shape>,
    records: &[Record<'_>],
    settings: &DecodeSettings,
) -> Result<Vec<NestedFieldRef>, DecodeError> {
    match shape {
        None => tabletopic_decode::infer(records, settings),
        Some(shape) => fields::infer(shape, records, settings),
    }
}

/// What a table would make of records that nobody has written yet; as [`tabletopic_decode::forecast`].
///
/// # Errors
/// A shape that does not fit the table.
pub fn forecast(
    shape: Option<&Shape>,
    settings: &DecodeSettings,
    part: Part,
    schema: &Schema,
) -> Result<Option<Forecast>, DecodeError> {
    match shape {
        None => tabletopic_decode::forecast(settings, part, schema),
        Some(shape) => fields::forecast(shape, settings, part, schema),
    }
}

/// Whether unwrapping makes a column of this name.
pub fn is_envelopes(name: &str) -> bool {
    debezium::makes(name)
}

/// The decoder's words for a change, in the table's.
pub fn schema_change(change: &Change) -> SchemaChange {
    match change {
        Change::AddColumn { parent, name, ty } => SchemaChange::AddColumn {
            parent: parent.clone(),
            name: name.clone(),
            ty: ty.clone(),
        },
        Change::Widen { path, to } => SchemaChange::Widen {
            path: path.clone(),
            to: to.clone(),
        },
        Change::MakeOptional { path } => SchemaChange::MakeOptional { path: path.clone() },
        Change::Rename { path, to } => SchemaChange::Rename {
            path: path.clone(),
            to: to.clone(),
        },
    }
}
