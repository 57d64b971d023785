//! How statements run on SQLite, and what their failures mean.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Arguments, ConnectOptions, Connection, Row as _};

use super::SqliteOptions;
use crate::CatalogError;
use crate::sql::backend::{Backend, Row, Statement, Transacted};
use crate::sql::layout::{self, Layout};

/// Loads of several tables run beside one commit; SQLite has one writer at a time anyway.
const CONNECTIONS: u32 = 4;

/// A connection keeps the file that it opened, also when somebody has put another one in its place, a restored backup
/// for example. It is opened anew this often.
const REOPEN: Duration = Duration::from_secs(30);

/// An SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    busy_timeout: Duration,
    commit_timeout: Duration,
    pool: SqlitePool,
}

impl Sqlite {
    pub(super) async fn open(options: &SqliteOptions) -> Result<(Self, Layout), CatalogError> {
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
            // SQLite ends some transactions itself, on a full disk for example. `sqlx` does not notice, and begins no
            // other one on that connection.
            .after_release(|connection, _| {
                Box::pin(async move {
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_lazy_with(connect.clone());
        let database = Self {
            path: options.path.clone(),
            busy_timeout: options.busy_timeout,
            commit_timeout: options.commit_timeout,
            pool,
        };
        let failed = |operation: &str, error| database.failed(&options.name, operation.to_owned(), error);
        if let Some(folder) = options.path.parent() {
            let made = tokio::fs::create_dir_all(folder).await;
            made.map_err(|error| failed("make the folder of its file", error.into()))?;
        }
        // Made here and nowhere else: a file that vanishes later is missed, not replaced by an empty one.
        let made = connect.create_if_missing(true).connect().await;
        let made = match made {
            Ok(connection) => connection.close().await,
            Err(error) => Err(error),
        };
        made.map_err(|error| failed("open", error))?;
        let layout = database.prepare().await.map_err(|error| failed("open", error))?;
        Ok((database, layout))
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
}

#[async_trait]
impl Backend for Sqlite {
    async fn read(&self, sql: &str, parameters: &[&str]) -> sqlx::Result<Vec<Row>> {
        let rows = sqlx::query_with(sql, text(parameters)?)
            .fetch_all(&self.pool)
            .await?;
        let columns = |row: &SqliteRow| (0..row.len()).map(|column| row.try_get(column)).collect();
        rows.iter().map(columns).collect()
    }

    async fn write(&self, sql: &str, parameters: &[&str]) -> sqlx::Result<u64> {
        let written = sqlx::query_with(sql, text(parameters)?)
            .execute(&self.pool)
            .await?;
        Ok(written.rows_affected())
    }

    async fn transact(&self, statements: &[Statement<'_>]) -> Transacted {
        let mut transaction = match self.pool.begin_with("BEGIN EXCLUSIVE").await {
            Ok(transaction) => transaction,
            Err(error) => return Transacted::NotSent(error),
        };
        let mut rows = Vec::with_capacity(statements.len());
        for statement in statements {
            match run(&mut transaction, statement).await {
                Err(error) => return Transacted::NotSent(error),
                Ok(0) if statement.must_write => return Transacted::Moved,
                Ok(written) => rows.push(written),
            }
        }
        match tokio::time::timeout(self.commit_timeout, transaction.commit()).await {
            Ok(Ok(())) => Transacted::Done(rows),
            Ok(Err(error)) => Transacted::Unanswered(error.to_string()),
            Err(_) => Transacted::Unanswered(format!("no answer to COMMIT within {:?}", self.commit_timeout)),
        }
    }

    fn failed(&self, catalog: &str, operation: String, error: sqlx::Error) -> CatalogError {
        let catalog = catalog.to_owned();
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

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// How many rows the statement has written.
async fn run(connection: &mut SqliteConnection, statement: &Statement<'_>) -> sqlx::Result<u64> {
    let query = sqlx::query_with(statement.sql, text(&statement.parameters)?);
    Ok(query.execute(connection).await?.rows_affected())
}

fn text<'q>(parameters: &[&'q str]) -> sqlx::Result<SqliteArguments<'q>> {
    let mut arguments = SqliteArguments::default();
    for parameter in parameters {
        arguments.add(*parameter).map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
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
