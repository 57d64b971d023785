//! The statements, and what their failures mean.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use iceberg::{NamespaceIdent, TableIdent};
use sqlx::error::ErrorKind;
use sqlx::sqlite::{SqliteConnectOptions, SqliteExecutor, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, Transaction};

use super::SqliteOptions;
use super::layout::{self, Layout};
use crate::{CatalogError, Entry};

/// Loads of several tables run beside one commit; SQLite has one writer at a time anyway.
const CONNECTIONS: u32 = 4;

/// A connection keeps the file that it opened, also when somebody has put another one in its place, a restored backup
/// for example. It is opened anew this often.
const REOPEN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Backend {
    pub(super) catalog: String,
    path: PathBuf,
    busy_timeout: Duration,
    commit_timeout: Duration,
    pub(super) layout: Layout,
    pub(super) pool: SqlitePool,
}

/// What became of a compare-and-swap.
pub(super) enum Swap {
    Done,
    /// The location is not the expected one, or the table is gone.
    Moved,
    /// It failed before `COMMIT` was sent.
    NotSent(CatalogError),
    /// `COMMIT` was sent, and its answer is not "done".
    Unanswered(String),
}

impl Backend {
    pub(super) async fn open(options: &SqliteOptions) -> Result<Self, CatalogError> {
        let connect = SqliteConnectOptions::new()
            .filename(&options.path)
            .busy_timeout(options.busy_timeout)
            .synchronous(SqliteSynchronous::Extra);
        // A connection is only lent on after its last statement is over, which may have waited for a lock.
        let lend_within = options.busy_timeout + options.commit_timeout;
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .max_lifetime(REOPEN)
            .acquire_timeout(lend_within)
            .connect_lazy_with(connect.clone());
        let mut backend = Self {
            catalog: options.name.clone(),
            path: options.path.clone(),
            busy_timeout: options.busy_timeout,
            commit_timeout: options.commit_timeout,
            layout: Layout::V1,
            pool,
        };
        if let Some(folder) = options.path.parent() {
            let made = tokio::fs::create_dir_all(folder).await;
            made.map_err(|error| backend.failed("make the folder of its file", error.into()))?;
        }
        // Made here and nowhere else: a file that vanishes later is missed, not replaced by an empty one.
        let made = connect.create_if_missing(true).connect().await;
        let made = match made {
            Ok(connection) => connection.close().await,
            Err(error) => Err(error),
        };
        made.map_err(|error| backend.failed("open", error))?;
        backend.layout = backend
            .prepare()
            .await
            .map_err(|error| backend.failed("open", error))?;
        Ok(backend)
    }

    /// Makes the tables where they are missing; writes nothing where they are there, so that a catalog can be
    /// opened while somebody else is writing to it.
    async fn prepare(&self) -> sqlx::Result<Layout> {
        let there: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sqlite_master
             WHERE type = 'table' AND name IN ('iceberg_tables', 'iceberg_namespace_properties')",
        )
        .fetch_one(&self.pool)
        .await?;
        if there < 2 {
            for statement in layout::CREATE {
                sqlx::query(statement).execute(&self.pool).await?;
            }
        }
        let typed: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pragma_table_info('iceberg_tables') WHERE name = 'iceberg_type'",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(if typed == 0 { Layout::V0 } else { Layout::V1 })
    }

    /// Every namespace that has an entry or a table, and those that they lie in.
    pub(super) async fn namespaces(&self) -> Result<BTreeSet<NamespaceIdent>, CatalogError> {
        let written: Vec<String> = sqlx::query_scalar(
            "SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?
             UNION SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?",
        )
        .bind(&self.catalog)
        .bind(&self.catalog)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed("list namespaces", error))?;
        Ok(written
            .iter()
            .flat_map(|written| layout::read_namespace(written))
            .collect())
    }

    pub(super) async fn tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        let operation = || format!("list the tables of {}", Entry::Namespace(namespace.clone()));
        let names: Vec<String> = sqlx::query_scalar(&format!(
            "SELECT table_name FROM iceberg_tables
             WHERE catalog_name = ? AND table_namespace = ? AND {} ORDER BY table_name",
            self.layout.is_table()
        ))
        .bind(&self.catalog)
        .bind(self.written(namespace, operation)?)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(operation(), error))?;
        Ok(names
            .into_iter()
            .map(|name| TableIdent::new(namespace.clone(), name))
            .collect())
    }

    /// The metadata location of a table, `None` if there is no such table.
    pub(super) async fn location(&self, table: &TableIdent) -> Result<Option<String>, CatalogError> {
        let operation = || format!("load {}", Entry::Table(table.clone()));
        let row: Option<Option<String>> = sqlx::query_scalar(&format!(
            "SELECT metadata_location FROM iceberg_tables
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND {}",
            self.layout.is_table()
        ))
        .bind(&self.catalog)
        .bind(self.written(&table.namespace, operation)?)
        .bind(&table.name)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.failed(operation(), error))?;
        match row {
            Some(None) => Err(CatalogError::Corrupt {
                catalog: self.catalog.clone(),
                entry: Entry::Table(table.clone()),
                location: self.path.display().to_string(),
                reason: "its row has no metadata_location".to_owned(),
            }),
            row => Ok(row.flatten()),
        }
    }

    /// Whether the table was inserted; false if the name is taken. `place` is the pool or a transaction.
    pub(super) async fn insert_table(
        &self,
        place: impl SqliteExecutor<'_>,
        table: &TableIdent,
        location: &str,
    ) -> Result<bool, CatalogError> {
        let operation = || format!("create {}", Entry::Table(table.clone()));
        let inserted = sqlx::query(self.layout.insert_table())
            .bind(&self.catalog)
            .bind(self.written(&table.namespace, operation)?)
            .bind(&table.name)
            .bind(location)
            .execute(place)
            .await;
        self.unless_taken(inserted, operation)
    }

    /// Whether there was such a table.
    pub(super) async fn delete_table(&self, table: &TableIdent) -> Result<bool, CatalogError> {
        let operation = || format!("drop {}", Entry::Table(table.clone()));
        let deleted = sqlx::query(&format!(
            "DELETE FROM iceberg_tables
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND {}",
            self.layout.is_table()
        ))
        .bind(&self.catalog)
        .bind(self.written(&table.namespace, operation)?)
        .bind(&table.name)
        .execute(&self.pool)
        .await
        .map_err(|error| self.failed(operation(), error))?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Moves a table from one metadata location to the next.
    pub(super) async fn swap(&self, table: &TableIdent, from: &str, to: &str) -> Swap {
        let mut transaction = match self.pool.begin_with("BEGIN EXCLUSIVE").await {
            Ok(transaction) => transaction,
            Err(error) => {
                let operation = format!("commit to {}", Entry::Table(table.clone()));
                return Swap::NotSent(self.failed(operation, error));
            }
        };
        match self.swap_in(&mut transaction, table, from, to).await {
            Ok(true) => self.send(transaction).await,
            Ok(false) => Swap::Moved,
            Err(error) => Swap::NotSent(error),
        }
    }

    /// Sends `COMMIT`.
    pub(super) async fn send(&self, transaction: Transaction<'static, Sqlite>) -> Swap {
        match tokio::time::timeout(self.commit_timeout, transaction.commit()).await {
            Ok(Ok(())) => Swap::Done,
            Ok(Err(error)) => Swap::Unanswered(error.to_string()),
            Err(_) => Swap::Unanswered(format!("no answer to COMMIT within {:?}", self.commit_timeout)),
        }
    }

    pub(super) fn written(
        &self,
        namespace: &NamespaceIdent,
        operation: impl FnOnce() -> String,
    ) -> Result<String, CatalogError> {
        layout::write_namespace(namespace).ok_or_else(|| CatalogError::Rejected {
            catalog: self.catalog.clone(),
            operation: operation(),
            reason: format!(
                "an SQL catalog writes namespace levels joined by dots, so that none of {:?} may be empty or hold one",
                namespace.as_ref()
            ),
        })
    }

    pub(super) fn unless_taken(
        &self,
        inserted: sqlx::Result<sqlx::sqlite::SqliteQueryResult>,
        operation: impl FnOnce() -> String,
    ) -> Result<bool, CatalogError> {
        match inserted {
            Ok(_) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.kind() == ErrorKind::UniqueViolation => Ok(false),
            Err(error) => Err(self.failed(operation(), error)),
        }
    }

    pub(super) fn failed(&self, operation: impl Into<String>, error: sqlx::Error) -> CatalogError {
        let (catalog, operation) = (self.catalog.clone(), operation.into());
        let path = self.path.display();
        match primary_code(&error) {
            Some(SQLITE_CORRUPT | SQLITE_NOTADB) => CatalogError::Rejected {
                catalog,
                operation,
                reason: format!("{path} is no sound SQLite database: {error}"),
            },
            Some(SQLITE_BUSY) => CatalogError::Unavailable {
                catalog,
                operation,
                reason: format!("another process kept {path} locked for {:?}", self.busy_timeout),
                check: format!("which process has {path} open"),
                source: Some(error.into()),
            },
            _ => CatalogError::Unavailable {
                catalog,
                operation,
                reason: error.to_string(),
                check: format!("{path}, the free space and the permissions of its folder"),
                source: Some(error.into()),
            },
        }
    }
}

// From sqlite3.h, "Result Codes".
const SQLITE_BUSY: i32 = 5;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

/// The primary result code, which is the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
