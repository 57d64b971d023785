//! A dead-letter file's manifest entry as text, for the outbox.

use iceberg::spec::{
    DataFile, FormatVersion, Schema, StructType, deserialize_data_file_from_json, serialize_data_file_to_json,
};

use crate::commit::CommitError;

/// All that a manifest entry needs. The dead-letter table is not partitioned.
///
/// # Errors
/// None in practice: every file that we write can be written as JSON.
pub fn write(file: &DataFile) -> Result<String, CommitError> {
    Ok(serialize_data_file_to_json(
        file.clone(),
        &StructType::new(Vec::new()),
        FormatVersion::V2,
    )?)
}

/// Reads [`write`]'s text for a dead-letter table with this schema.
///
/// # Errors
/// The text was not written by [`write`], or the table has another schema.
pub fn read(text: &str, schema: &Schema) -> Result<DataFile, CommitError> {
    Ok(deserialize_data_file_from_json(
        text,
        0,
        &StructType::new(Vec::new()),
        schema,
    )?)
}
