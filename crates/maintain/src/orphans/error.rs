//! Why no orphans were looked for, or not all were removed. Nothing that a table needs is gone.

use iceberg::TableIdent;
use tabletopic_catalog::CatalogError;
use tabletopic_table::commit::{CommitError, Halt};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum OrphansError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(
        "files younger than {} hours are never removed, since a commit that is under way may bring them into the table; \
         ask for older ones",
        super::LEAST_AGE / 3_600_000
    )]
    TooYoung,
    #[error(
        "table {table} has the property gc.enabled = false: others may need its files; set it to true if nobody does"
    )]
    Kept { table: TableIdent },
    #[error(
        "nothing was removed: table {table} at {location} and table {other} at {other_location} share a folder, so that \
         files of the one could be taken for garbage of the other; remove orphans by hand, or move one of the tables"
    )]
    Shared {
        table: TableIdent,
        location: String,
        other: TableIdent,
        other_location: String,
    },
    #[error(
        "nothing was removed: table {other} cannot be loaded, so that nobody knows whether its files lie among those of \
         {table}; mend it, or drop it from the catalog: {source}"
    )]
    Neighbour {
        table: TableIdent,
        other: TableIdent,
        source: CatalogError,
    },
    #[error(
        "nothing was removed: {path} of snapshot {snapshot_id} of table {table} cannot be read, so that nobody knows \
         which files it needs; restore the file, or expire the snapshot: {source}"
    )]
    Unreadable {
        table: TableIdent,
        snapshot_id: i64,
        path: String,
        source: CommitError,
    },
    #[error(
        "nothing was removed: table {table} names the file {path:?}, which is no absolute location, so that nobody \
         knows which file it is"
    )]
    Relative { table: TableIdent, path: String },
    #[error(
        "nothing was removed: table {table} follows a table that is not there as {main}, which may know of files that \
         wait for it; rename it back, or drop it and let the next run make it anew"
    )]
    NoMain { table: TableIdent, main: TableIdent },
    #[error(
        "table {table} was dropped and created again, or moved, meanwhile; nothing more was removed. Start again"
    )]
    Another { table: TableIdent },
    #[error("table {table}: {source}")]
    Listing {
        table: TableIdent,
        source: iceberg::Error,
    },
    #[error(
        "table {table}: {removed} orphans were removed, and then: {source}; the next time goes on with the rest"
    )]
    Removal {
        table: TableIdent,
        removed: u64,
        source: iceberg::Error,
    },
}

impl OrphansError {
    /// Whether waiting and trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Commit(error) | Self::Unreadable { source: error, .. } => error.is_transient(),
            Self::Neighbour { source, .. } => matches!(source, CatalogError::Unavailable { .. }),
            Self::Listing { source, .. } | Self::Removal { source, .. } => source.retryable(),
            Self::TooYoung
            | Self::Kept { .. }
            | Self::Shared { .. }
            | Self::Relative { .. }
            | Self::NoMain { .. }
            | Self::Another { .. } => false,
        }
    }
}

impl OrphansError {
    /// Whether a table stands still until somebody has looked.
    pub fn is_halt(&self) -> bool {
        matches!(self, Self::Commit(CommitError::Halt(_)))
    }

    /// Whether what was asked for can't be: too young files, or a table that is not there.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::TooYoung | Self::Commit(CommitError::Catalog(CatalogError::NotFound { .. }))
        )
    }
}

impl From<CatalogError> for OrphansError {
    fn from(error: CatalogError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<Halt> for OrphansError {
    fn from(halt: Halt) -> Self {
        Self::Commit(halt.into())
    }
}
