//! What can stop a commit.

use tabletopic_catalog::CatalogError;
use thiserror::Error;

use super::halt::Halt;

/// Why a commit was not made. [`CommitError::is_transient`] tells the caller whether to try again.
#[derive(Debug, Error)]
pub enum CommitError {
    /// Somebody has to look; trying again changes nothing.
    #[error(transparent)]
    Halt(#[from] Halt),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A manifest, manifest list or data file could not be written or read.
    #[error("store: {0}")]
    Store(#[from] iceberg::Error),
    #[error("encoding: {0}")]
    Encode(String),
}

impl CommitError {
    /// Whether waiting and trying again may help: an outage of the catalog or of the store.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Halt(_) | Self::Encode(_) => false,
            Self::Catalog(error) => matches!(error, CatalogError::Unavailable { .. }),
            Self::Store(error) => error.kind() == iceberg::ErrorKind::Unexpected || error.retryable(),
        }
    }
}
