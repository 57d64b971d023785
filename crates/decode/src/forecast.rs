//! What a table would make of records that nobody has written yet, from their schema alone.

use iceberg::spec::Schema;

use crate::settings::{DecodeSettings, Format};
use crate::{Change, avro, json_schema, protobuf};

/// A writer's schema against a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    /// What the table would take up, in this order.
    pub changes: Vec<Change>,
    /// What would make records bad, or some of them.
    pub misfits: Vec<Misfit>,
    /// Fields that get no column: their names are refused, columns are not inferred, or there are too many.
    pub left_out: Vec<String>,
}

/// A part of a schema that the table can't follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The whole path.
    pub column: String,
    /// For people.
    pub why: String,
}

/// `None` for formats without schemas, or where the settings have none that all records share.
pub fn forecast(settings: &DecodeSettings, schema: &Schema) -> Option<Forecast> {
    match settings.format {
        Format::Avro => avro::forecast(settings, schema),
        Format::JsonSchema => json_schema::forecast(settings, schema),
        Format::Protobuf => protobuf::forecast(settings, schema),
        Format::Raw | Format::Json => None,
    }
}
