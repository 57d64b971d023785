//! What a table would make of records that nobody has written yet, from their schema alone.

use iceberg::spec::Schema;

use crate::error::DecodeError;
use crate::key::KeyColumn;
use crate::settings::{DecodeSettings, Format, Part};
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

/// Of the values or the keys. `None` for formats without schemas, or where the settings have no schema that all records
/// share.
///
/// # Errors
/// The table's column for the key is none that a key fits into.
pub fn forecast(
    settings: &DecodeSettings,
    part: Part,
    table: &Schema,
) -> Result<Option<Forecast>, DecodeError> {
    let Some(key) = &settings.key else {
        return Ok(match part {
            Part::Key => None,
            Part::Value => of_format(settings, table),
        });
    };
    let column = KeyColumn::of(table, key, settings)?;
    match part {
        Part::Value => Ok(of_format(settings, &column.of_value)),
        Part::Key => {
            let of_key = of_format(&key.settings(settings), &column.of_key);
            of_key.map(|forecast| column.forecast(forecast)).transpose()
        }
    }
}

fn of_format(settings: &DecodeSettings, schema: &Schema) -> Option<Forecast> {
    match settings.format {
        Format::Avro => avro::forecast(settings, schema),
        Format::JsonSchema => json_schema::forecast(settings, schema),
        Format::Protobuf => protobuf::forecast(settings, schema),
        Format::Raw | Format::Json => None,
    }
}
