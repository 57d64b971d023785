//! Tables named in an SQLite file.
//!
//! - **Journal.** The file's own journal mode is left as it is. A new file gets SQLite's default, a rollback
//!   journal: write-ahead logging needs shared memory beside the file, so that neither a reader with a
//!   read-only mount nor one on a network file system could open it. `synchronous` is `EXTRA`: with `FULL` a
//!   power cut may still bring back the journal of a transaction whose commit was acknowledged.
//! - **Waiting.** A file locked by another process is waited for as long as `busy_timeout` says. A commit's
//!   transaction is begun `EXCLUSIVE`, so that all the waiting for readers and writers is over before `COMMIT` is
//!   sent. What fails before `COMMIT` was sent is therefore a proven non-commit; whatever goes wrong with
//!   `COMMIT` itself leaves it open and is [`Unknown`](crate::CommitOutcome::Unknown).

mod database;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iceberg::io::FileIO;
use tabletopic_clock::{Clock, Entropy};

use crate::CatalogError;
use crate::sql::{SqlCatalog, absolute};
pub use database::Sqlite;

/// Where a catalog is, and how long to wait for it. Plain data.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The `catalog_name` of the rows: several catalogs can share a file, and other clients must use the same.
    pub name: String,
    /// The database file; it is made, with its folder, if there is none.
    pub path: PathBuf,
    /// Absolute URI under which tables get their locations, such as `file:///lake/warehouse`.
    pub warehouse: String,
    /// How long a lock held by another process is waited out.
    pub busy_timeout: Duration,
    /// How long the answer to `COMMIT` is waited for.
    pub commit_timeout: Duration,
}

/// A [`Catalog`](crate::Catalog) in an SQLite file, in the layout of the JDBC catalog.
pub type SqliteCatalog = SqlCatalog<Sqlite>;

impl SqliteCatalog {
    /// Opens the catalog, or makes it. `file_io` reads and writes the metadata files.
    ///
    /// # Errors
    /// `Rejected` if the warehouse is not an absolute URI or the file is not a database; `Unavailable` if it
    /// cannot be opened.
    pub async fn open(
        options: SqliteOptions,
        file_io: FileIO,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, CatalogError> {
        let warehouse = absolute(&options.name, &options.warehouse)?;
        let (database, layout) = Sqlite::open(&options).await?;
        Ok(Self::new(
            options.name,
            warehouse,
            database,
            layout,
            file_io,
            clock,
            entropy,
        ))
    }
}
