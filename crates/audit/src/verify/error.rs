//! Why there is no verdict.

use iceberg::TableIdent;
use tabletopic_catalog::CatalogError;
use tabletopic_offsets::Kind;
use tabletopic_table::commit::CommitError;
use tabletopic_table::read::ReadError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum VerifyError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("store: {0}")]
    Store(#[from] iceberg::Error),
    #[error(
        "table {table} has no snapshot {snapshot_id} of ours, so that nothing can rest on it; leave --since out, or name \
         one that `$snapshots` has"
    )]
    NoSuchSnapshot { table: TableIdent, snapshot_id: i64 },
    #[error(
        "table {table}: rows were taken back or written off after snapshot {since} ({}, sequence number {at}), so that \
         its verdict is not of what is there now; leave --since out, or name a newer snapshot", kind.name()
    )]
    TakenBack {
        table: TableIdent,
        since: i64,
        kind: Kind,
        at: i64,
    },
}

impl VerifyError {
    /// Whether waiting and trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Commit(error) => error.is_transient(),
            Self::Store(error) | Self::Read(ReadError::Iceberg(error)) => error.retryable(),
            Self::Read(_) | Self::NoSuchSnapshot { .. } | Self::TakenBack { .. } => false,
        }
    }

    /// The file whose rows could not be read, and why; `None` if it was something else.
    pub(super) fn of_data_file(&self) -> Option<(String, String)> {
        match self {
            Self::Read(
                ReadError::File { file, .. }
                | ReadError::ColumnType { file, .. }
                | ReadError::DeleteFile { file, .. },
            ) => Some((file.clone(), self.to_string())),
            Self::Read(ReadError::Memory(_) | ReadError::Iceberg(_))
            | Self::Commit(_)
            | Self::Store(_)
            | Self::NoSuchSnapshot { .. }
            | Self::TakenBack { .. } => None,
        }
    }

    /// Whether what was asked for is not there, or says nothing any more.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::NoSuchSnapshot { .. }
                | Self::TakenBack { .. }
                | Self::Commit(CommitError::Catalog(CatalogError::NotFound { .. }))
        )
    }

    /// Whether the table stands still until somebody has looked.
    pub fn is_halt(&self) -> bool {
        matches!(self, Self::Commit(CommitError::Halt(_)))
    }
}

impl From<CatalogError> for VerifyError {
    fn from(error: CatalogError) -> Self {
        Self::Commit(error.into())
    }
}
