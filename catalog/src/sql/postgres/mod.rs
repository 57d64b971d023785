//! Tables named in a PostgreSQL database, which Spark, Trino, PyIceberg and several of our own processes can share.
//!
//! - **Compare-and-swap.** A commit is a transaction around one `UPDATE … WHERE metadata_location = …`. Of two at once the
//!   second waits for the first one's row lock, finds the row moved (`READ COMMITTED` looks again) and has lost.
//! - **A transaction, not a lone statement.** All waiting for locks is over before `COMMIT` is sent, so that a time-out, a
//!   broken connection or a server that is shut down before is a proven non-commit; whatever goes wrong with `COMMIT`
//!   itself leaves it open and is [`Unknown`](crate::CommitOutcome::Unknown). And between a pooler and the server,
//!   only within a transaction do the steps of one statement reach the same session. So reads are transactions too, and
//!   no statement is kept prepared.
//! - **The primary only.** A standby shows what was; a catalog must not. Each read asks for a transaction that could
//!   write, which a standby refuses.
//! - **Durable.** What a commit has answered survives a crash of the server: `synchronous_commit = off` is overruled,
//!   stronger settings are kept.

mod database;
mod failure;
mod server;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use iceberg::io::FileIO;
use tabletopic_clock::{Clock, Entropy};
use tabletopic_http::Tls;

use crate::sql::{SqlCatalog, absolute};
use crate::{Catalog, CatalogError};

pub use database::Postgres;
pub use server::Server;

/// Where a catalog is, and how long to wait for it. Plain data.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The `catalog_name` of the rows: several catalogs can share a database, and other clients must use the same.
    pub name: String,
    pub server: Server,
    /// Without one, what libpq would take: `PGPASSWORD`, or the file `~/.pgpass`.
    pub password: Option<Password>,
    pub tls: Tls,
    /// Absolute URI under which tables get their locations, such as `file:///lake/warehouse`.
    pub warehouse: String,
    /// How long a connection is waited for: a new one, or one of the few that are open.
    pub connect_timeout: Duration,
    /// How long a lock held by another transaction is waited out.
    pub lock_timeout: Duration,
    /// How long the answer to a statement is waited for, `COMMIT` included. Longer than `lock_timeout`.
    pub answer_timeout: Duration,
}

/// Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A [`Catalog`] in a PostgreSQL database, in the layout of the JDBC catalog.
pub type PostgresCatalog = SqlCatalog<Postgres>;

impl PostgresCatalog {
    /// Opens the catalog to write to it; makes its two tables where they are missing. `file_io` reads and writes the
    /// metadata files.
    ///
    /// # Errors
    /// `Rejected` where a person has to mend something first (warehouse, login, database, rights, TLS); `Unavailable` if
    /// the server cannot be reached now.
    pub async fn open(
        options: PostgresOptions,
        file_io: FileIO,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, CatalogError> {
        let warehouse = absolute(&options.name, &options.warehouse)?;
        let database = Postgres::connect(&options).await?;
        let layout = database.prepare(&options.name).await?;
        let catalog = Self::new(options.name, warehouse, database, layout, file_io, clock, entropy);
        catalog.may_write().await?;
        Ok(catalog)
    }

    /// Opens the catalog to look at it; `None` where its tables are not there. Makes nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open); `Rejected` too where the tables are missing and this user could not make them.
    pub async fn open_existing(
        options: PostgresOptions,
        file_io: FileIO,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Option<Self>, CatalogError> {
        let warehouse = absolute(&options.name, &options.warehouse)?;
        let database = Postgres::connect(&options).await?;
        let Some(layout) = database.layout(&options.name).await? else {
            database.may_make(&options.name).await?;
            return Ok(None);
        };
        Ok(Some(Self::new(
            options.name,
            warehouse,
            database,
            layout,
            file_io,
            clock,
            entropy,
        )))
    }
}
