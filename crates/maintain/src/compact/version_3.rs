//! What files of format version 3 have beside those of version 2: rows keep their ids (row lineage), and columns that a file
//! lacks may have another value than null.

use std::sync::Arc;

use iceberg::spec::{FormatVersion, SchemaRef, TableMetadata};
use tabletopic_table::read::{Lineage, OpenFile, with_lineage};

use crate::MaintainError;
use crate::survey::FileEntry;

/// The table property that names the key of an encrypted table.
const ENCRYPTION_KEY: &str = "encryption.key-id";

/// Whether rows of a table can be written again.
///
/// # Errors
/// What is not written here.
pub fn check(metadata: &TableMetadata, table: &str) -> Result<(), MaintainError> {
    let version = metadata.format_version();
    if version == FormatVersion::V1 {
        return Err(MaintainError::Unsupported(format!(
            "{table} is of format version {version}, and only tables of the versions 2 and 3 are rewritten here; upgrade \
             it, or use an engine that writes this one"
        )));
    }
    if metadata.properties().contains_key(ENCRYPTION_KEY) || metadata.encryption_keys_iter().len() > 0 {
        return Err(MaintainError::Unsupported(format!(
            "{table} is encrypted, and such tables are not rewritten here; use the engine that writes it"
        )));
    }
    written(metadata).map(drop)
}

/// The schema of rewritten files: the table's, in version 3 with the columns of row lineage.
///
/// # Errors
/// A table that has columns of their names.
pub fn written(metadata: &TableMetadata) -> Result<SchemaRef, MaintainError> {
    let schema = metadata.current_schema();
    match metadata.format_version() {
        FormatVersion::V1 | FormatVersion::V2 => Ok(schema.clone()),
        FormatVersion::V3 => match with_lineage(schema) {
            Ok(with) => Ok(Arc::new(with)),
            Err(error) => Err(MaintainError::Unsupported(format!(
                "the columns _row_id and _last_updated_sequence_number, which rewritten files have, cannot be added to those \
                 of the table; rename its own: {error}"
            ))),
        },
    }
}

/// What the rows of a file inherit; asked for by columns that only files of version 3 are written with.
pub fn inherited(file: &FileEntry) -> Lineage {
    Lineage {
        first_row_id: file.first_row_id,
        sequence_number: file.sequence_number,
    }
}

/// A column that a file lacks is null in the new one, so that its default may be no other.
///
/// # Errors
/// A column with an `initial-default` that the file does not have.
pub fn check_defaults(schema: &SchemaRef, path: &str, file: &OpenFile) -> Result<(), MaintainError> {
    match file.lacks_default(schema) {
        None => Ok(()),
        Some(field) => Err(MaintainError::Unsupported(format!(
            "{path} has no column {}, which has an initial-default, and such values are not written here; rewrite it with \
             the engine that added the column",
            field.name
        ))),
    }
}
