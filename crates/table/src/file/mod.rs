//! Data files: rows -> Parquet in memory, with the metrics that Iceberg's manifests carry.
//!
//! [`FileWriter`] is one open file. [`OpenFiles`] is all of one job: one file for each partition value
//! that is being written, rolled at the target size and bounded in number. Nothing here does I/O: an
//! [`EncodedFile`] comes out, and the caller uploads it.
//!
//! # Which file closes when there are too many
//!
//! A bound on open files that goes by plain recency fails in the case that matters: a batch whose rows
//! are nearly all of this hour, with single late rows of fifty other hours, would touch fifty files
//! after the hot one and so close it, for every batch. Late rows take the same path as all others
//! here, but recency is weighed by rows: a file's *heat* is the number of rows that it took, halved
//! with every batch since. The coldest file closes for a partition value that comes with more rows than its heat. A file that gets most rows of each batch stays
//! open whatever trickles in beside it; when a backfill moves on to the next day, the last day cools
//! off within a few batches; and among files of equal heat the one untouched for longest goes first.
//!
//! Rows of a partition value that are only a few yet wait as they are: with a thousand buckets each batch has some of
//! each, and a file for each of these would hold no more. Waiting costs the rows' own memory, counted as that of open
//! files is; when it is needed, they become files, one for each partition value.

mod bounds;
mod copier;
mod encoded;
mod encodings;
mod file_names;
mod file_schema;
mod metrics;
mod nan_counts;
mod open_files;
mod settings;
mod sink;
#[cfg(test)]
mod tests;
mod waiting;
mod writer;

use thiserror::Error;

pub use self::copier::FileCopier;
pub use self::encoded::EncodedFile;
pub use self::encodings::Encodings;
pub use self::file_names::FileNames;
pub use self::file_schema::FileSchema;
pub use self::open_files::OpenFiles;
pub use self::settings::FileSettings;
pub use self::writer::FileWriter;
use crate::partition::PartitionError;
use crate::schema::SchemaError;

/// Why a file could not be written. The file is lost as a whole: its offsets are read again.
#[derive(Debug, Error)]
pub enum FileError {
    /// A batch is not of the schema that the file was opened with.
    #[error("{path}: a batch does not have the file's schema: {problem}")]
    WrongBatch { path: String, problem: String },

    /// A setting that Parquet cannot take.
    #[error("zstd level {level} is not between 1 and 22: correct `zstd_level` in the configuration")]
    ZstdLevel { level: i32 },

    #[error("{path}: cannot encode Parquet: {source}")]
    Parquet {
        path: String,
        source: parquet::errors::ParquetError,
    },

    #[error("{path}: cannot describe the file: {problem}")]
    DataFile { path: String, problem: String },

    #[error("rows cannot be put together: {0}")]
    Rows(#[from] arrow::error::ArrowError),

    #[error(transparent)]
    Schema(#[from] SchemaError),

    #[error(transparent)]
    Partition(#[from] PartitionError),

    /// The table's schema has no Parquet form.
    #[error("the table's schema cannot be written as Parquet: {0}")]
    Unwritable(parquet::errors::ParquetError),
}
