//! Writes one batch as one data file of a follower table.

use arrow::array::RecordBatch;
use iceberg::spec::{DataFile, Struct, TableMetadata};

use crate::commit::CommitError;
use crate::file::{EncodedFile, Encodings, FileError, FileNames, FileSchema, FileSettings, FileWriter};
use crate::lake::Lake;

/// Encodes a batch in the layout of the table's current schema. The file is not stored yet.
///
/// # Errors
/// The batch has another layout than the table.
pub fn encode(lake: &Lake, metadata: &TableMetadata, batch: &RecordBatch) -> Result<EncodedFile, FileError> {
    let schema = FileSchema::new(
        metadata.current_schema().clone(),
        metadata.default_partition_spec().clone(),
    )?;
    let encodings = Encodings::choose(&schema, batch);
    let path = FileNames::new(metadata.location()).next(&schema, &Struct::empty(), lake.entropy.as_ref())?;
    let mut writer = FileWriter::new(
        &FileSettings::default(),
        schema,
        &encodings,
        Struct::empty(),
        path,
    )?;
    writer.write(batch)?;
    writer.finish()
}

/// Encodes and stores.
///
/// # Errors
/// As [`encode`], and those of the store.
pub async fn store(
    lake: &Lake,
    metadata: &TableMetadata,
    batch: &RecordBatch,
) -> Result<DataFile, CommitError> {
    let encoded = encode(lake, metadata, batch).map_err(|error| CommitError::Encode(error.to_string()))?;
    encoded.store(&lake.file_io).await?;
    Ok(encoded.data_file)
}
