//! Why a table could not be maintained. Nothing of it is lost: what was there is still there.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use tabletopic_catalog::CatalogError;
use tabletopic_table::commit::{CommitError, Halt};
use tabletopic_table::file::FileError;
use tabletopic_table::partition::PartitionError;
use tabletopic_table::read::ReadError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum MaintainError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] FileError),
    #[error("rows cannot be put together: {0}")]
    Rows(#[from] ArrowError),
    #[error(
        "rows cannot be sorted: {0}; what memory does not hold is written to the folder for temporary files (TMPDIR)"
    )]
    Sort(#[from] DataFusionError),
    #[error(transparent)]
    Partition(#[from] PartitionError),
    #[error("store: {0}")]
    Store(#[from] iceberg::Error),
    /// Something that is not done here: which, and who does it.
    #[error("{0}")]
    Unsupported(String),
    /// One file, because of which those with it are not rewritten either.
    #[error("{why}")]
    Unfit { file: String, why: String },
}

impl MaintainError {
    /// Whether it may pass by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Commit(error) => error.is_transient(),
            Self::Store(error) | Self::Read(ReadError::Iceberg(error)) => error.retryable(),
            Self::Read(_)
            | Self::Write(_)
            | Self::Rows(_)
            | Self::Sort(_)
            | Self::Partition(_)
            | Self::Unsupported(_)
            | Self::Unfit { .. } => false,
        }
    }

    /// Whether the table stands still until somebody has looked.
    pub fn is_halt(&self) -> bool {
        matches!(self, Self::Commit(CommitError::Halt(_)))
    }

    /// Whether it is the table that is not there.
    pub fn is_no_such_table(&self) -> bool {
        matches!(
            self,
            Self::Commit(CommitError::Catalog(CatalogError::NotFound { .. }))
        )
    }
}

impl From<CatalogError> for MaintainError {
    fn from(error: CatalogError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<Halt> for MaintainError {
    fn from(halt: Halt) -> Self {
        Self::Commit(halt.into())
    }
}
