//! Why two tables could not be compared. A comparison that ends with one of these says nothing of their rows.

use arrow::error::ArrowError;
use tabletopic_catalog::CatalogError;
use tabletopic_maintain::MaintainError;
use tabletopic_table::commit::CommitError;
use tabletopic_table::partition::PartitionError;
use tabletopic_table::read::ReadError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum CompareError {
    /// What is asked for is not there, or does not go together: what, and what there is.
    #[error("{0}")]
    Asked(String),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("table {table}: {source}")]
    Manifests { table: String, source: CommitError },
    #[error("table {table}: {source}")]
    Read { table: String, source: ReadError },
    /// A file, or a table, of a kind that is not read here.
    #[error("{0}")]
    Unsupported(String),
    #[error("file {file}: its rows cannot be compared: {source}")]
    Rows { file: String, source: ArrowError },
    #[error(transparent)]
    Partition(#[from] PartitionError),
    #[error(transparent)]
    Sort(#[from] MaintainError),
    #[error("the rows cannot be compared: {0}")]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Iceberg(#[from] iceberg::Error),
    /// A defect here, or of the machine: a count of our own does not add up.
    #[error("{0}; nothing is known of the tables. Please report this")]
    Miscounted(String),
}

impl CompareError {
    /// Whether it may pass by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Catalog(error) => matches!(error, CatalogError::Unavailable { .. }),
            Self::Manifests { source, .. } => source.is_transient(),
            Self::Read {
                source: ReadError::Iceberg(error),
                ..
            }
            | Self::Iceberg(error) => error.retryable(),
            Self::Asked(_)
            | Self::Read { .. }
            | Self::Unsupported(_)
            | Self::Rows { .. }
            | Self::Partition(_)
            | Self::Sort(_)
            | Self::Arrow(_)
            | Self::Miscounted(_) => false,
        }
    }

    /// Whether the command line names something that is not there.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::Asked(_) | Self::Catalog(CatalogError::NotFound { .. })
        )
    }
}
