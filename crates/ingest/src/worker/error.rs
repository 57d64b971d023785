//! Why a job can't be written, whatever its records are.

use thiserror::Error;

/// An error of configuration, or one of ours; never one of a record.
#[derive(Debug, Error)]
pub enum WriteError {
    #[error(transparent)]
    Decode(#[from] tabletopic_decode::DecodeError),
    #[error(transparent)]
    Partition(#[from] tabletopic_table::partition::PartitionError),
    #[error(transparent)]
    File(#[from] tabletopic_table::file::FileError),
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}
