//! What can stop the reading of a file.

use thiserror::Error;

/// Why a file could not be read. Each message says which, and what to do where something can be done.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("file {file} cannot be read: {reason}")]
    File { file: String, reason: String },

    #[error("file {file}: column {column} is {found}, which cannot become the table's {expected}")]
    ColumnType {
        file: String,
        column: String,
        found: String,
        expected: String,
    },

    #[error("delete file {file} cannot be applied: {reason}")]
    DeleteFile { file: String, reason: String },

    /// What the [`Memory`](super::Memory) says that did not give any.
    #[error("what delete files say needs more memory than is given: {0}")]
    Memory(String),

    #[error(transparent)]
    Iceberg(#[from] iceberg::Error),
}
