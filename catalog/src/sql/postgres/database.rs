//! How statements run on PostgreSQL.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection, PgConnection, Row as _};

use super::failure::{self, DUPLICATES, code};
use super::{PostgresOptions, Server};
use crate::CatalogError;
use crate::sql::backend::{Backend, Row, Statement, Transacted};
use crate::sql::layout::{self, Layout};

/// A commit is a few milliseconds of one connection, every few seconds for each table.
const CONNECTIONS: u32 = 4;

/// How often the tables are looked for, and made where they are not: once, unless others make them too.
const TRIES: u32 = 4;

/// A PostgreSQL database.
#[derive(Debug)]
pub struct Postgres {
    pub(super) server: Server,
    pub(super) lock_timeout: Duration,
    answer_timeout: Duration,
    pool: PgPool,
}

/// Where a statement that writes has failed.
enum Unwritten {
    /// Before `COMMIT` was sent.
    NotSent(sqlx::Error),
    Unanswered(sqlx::Error),
}

impl Unwritten {
    fn into_error(self) -> sqlx::Error {
        match self {
            Self::NotSent(error) | Self::Unanswered(error) => error,
        }
    }
}

impl Postgres {
    /// Connects, so that what is wrong with server, login or TLS is known at once and in its own words.
    pub(super) async fn connect(options: &PostgresOptions) -> Result<Self, CatalogError> {
        let refused = |reason: String| CatalogError::Rejected {
            catalog: options.name.clone(),
            operation: "open".to_owned(),
            reason,
        };
        let client = options.tls.client.iter();
        let client = client.flat_map(|client| [&client.certificate, &client.key]);
        let files: Vec<&PathBuf> = options.tls.ca.iter().chain(client).collect();
        for file in files {
            // The client would not name it.
            let read = tokio::fs::read(file).await;
            read.map_err(|error| {
                refused(format!(
                    "{} cannot be read: {error}; correct its path",
                    file.display()
                ))
            })?;
        }
        let connect = connect_options(options).map_err(|error| refused(error.to_string()))?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(options.connect_timeout)
            .connect_lazy_with(connect.clone());
        let database = Self {
            server: options.server.clone(),
            lock_timeout: options.lock_timeout,
            answer_timeout: options.answer_timeout,
            pool,
        };
        let connected = within(options.connect_timeout, connect.connect()).await;
        let connection = connected.map_err(|error| failure::to_open(&database, &options.name, error))?;
        // Whether it takes its leave well says nothing.
        let _ = connection.close().await;
        Ok(database)
    }

    /// Makes the tables where they are missing.
    pub(super) async fn prepare(&self, catalog: &str) -> Result<Layout, CatalogError> {
        for _ in 0..TRIES {
            if let Some(layout) = self.layout(catalog).await? {
                return Ok(layout);
            }
            match within(self.answer_timeout, self.make_tables()).await {
                // Somebody else makes them at the same time.
                Err(error) if code(&error).is_some_and(|code| DUPLICATES.contains(&code.as_ref())) => {}
                made => made.map_err(|error| failure::to_open(self, catalog, error))?,
            }
        }
        Err(failure::not_seen(self, catalog))
    }

    async fn make_tables(&self) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for statement in layout::CREATE {
            sqlx::raw_sql(statement).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Which layout the tables have, `None` if one of them is not there.
    pub(super) async fn layout(&self, catalog: &str) -> Result<Option<Layout>, CatalogError> {
        // Where unqualified names lead, as all statements here have them.
        let sql = "SELECT attname::text FROM pg_catalog.pg_attribute
                   WHERE attrelid = to_regclass('iceberg_tables') AND attnum > 0 AND NOT attisdropped
                     AND to_regclass('iceberg_namespace_properties') IS NOT NULL";
        let columns = self.read(sql, &[]).await;
        let columns = columns.map_err(|error| failure::to_open(self, catalog, error))?;
        Ok(
            match columns
                .iter()
                .flatten()
                .flatten()
                .any(|column| column == "iceberg_type")
            {
                _ if columns.is_empty() => None,
                true => Some(Layout::V1),
                false => Some(Layout::V0),
            },
        )
    }

    /// Whether this user can make the tables.
    pub(super) async fn may_make(&self, catalog: &str) -> Result<(), CatalogError> {
        let sql = "SELECT current_schema()::text WHERE has_schema_privilege(current_schema(), 'CREATE')";
        let schema = self.read(sql, &[]).await;
        match schema
            .map_err(|error| failure::to_open(self, catalog, error))?
            .is_empty()
        {
            false => Ok(()),
            true => Err(failure::no_rights_to_make(self, catalog)),
        }
    }

    /// Runs statements in a transaction of their own, and answers how many rows each has written; `None`, and nothing is
    /// written, if one that must write found no row.
    async fn run(&self, statements: &[Statement<'_>]) -> Result<Option<Vec<u64>>, Unwritten> {
        let mut connection = self.pool.acquire().await.map_err(Unwritten::NotSent)?;
        let written = self.run_on(&mut connection, statements).await;
        written.inspect_err(|_| no_longer(&mut connection))
    }

    async fn run_on(
        &self,
        connection: &mut PgConnection,
        statements: &[Statement<'_>],
    ) -> Result<Option<Vec<u64>>, Unwritten> {
        // A process that freezes before its COMMIT would keep the row from everybody.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {lock};
             SET LOCAL idle_in_transaction_session_timeout = {idle};
             SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'",
            lock = self.lock_timeout.as_millis(),
            idle = self.answer_timeout.as_millis(),
        );
        let begun = within(self.answer_timeout, connection.begin_with(begin)).await;
        let mut transaction = begun.map_err(Unwritten::NotSent)?;
        let mut rows = Vec::with_capacity(statements.len());
        for statement in statements {
            let run = query(statement.sql, &statement.parameters).execute(&mut *transaction);
            let written = within(self.answer_timeout, run).await;
            match written.map_err(Unwritten::NotSent)?.rows_affected() {
                0 if statement.must_write => return Ok(None),
                written => rows.push(written),
            }
        }
        let committed = within(self.answer_timeout, transaction.commit()).await;
        committed.map_err(Unwritten::Unanswered)?;
        Ok(Some(rows))
    }

    async fn read_on(
        &self,
        connection: &mut PgConnection,
        sql: &str,
        parameters: &[&str],
    ) -> sqlx::Result<Vec<Row>> {
        // READ WRITE is what a standby refuses.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = {}",
            self.lock_timeout.as_millis()
        );
        let mut transaction = connection.begin_with(begin).await?;
        let rows = query(sql, parameters).fetch_all(&mut *transaction).await?;
        let columns = |row: &PgRow| (0..row.len()).map(|column| row.try_get(column)).collect();
        rows.iter().map(columns).collect()
    }
}

#[async_trait]
impl Backend for Postgres {
    async fn read(&self, sql: &str, parameters: &[&str]) -> sqlx::Result<Vec<Row>> {
        let mut connection = self.pool.acquire().await?;
        let read = within(
            self.answer_timeout,
            self.read_on(&mut connection, sql, parameters),
        )
        .await;
        read.inspect_err(|_| no_longer(&mut connection))
    }

    async fn write(&self, sql: &str, parameters: &[&str]) -> sqlx::Result<u64> {
        let written = self.run(&[Statement::must_write(sql, parameters)]).await;
        let rows = written.map_err(Unwritten::into_error)?;
        Ok(rows.into_iter().flatten().sum())
    }

    async fn transact(&self, statements: &[Statement<'_>]) -> Transacted {
        match self.run(statements).await {
            Ok(Some(rows)) => Transacted::Done(rows),
            Ok(None) => Transacted::Moved,
            Err(Unwritten::NotSent(error)) => Transacted::NotSent(error),
            Err(Unwritten::Unanswered(error)) => Transacted::Unanswered(failure::words(&error)),
        }
    }

    async fn may_write(&self, catalog: &str) -> Result<(), CatalogError> {
        let sql = "SELECT name || ' (' || privilege || ')'
                   FROM (VALUES ('iceberg_tables'), ('iceberg_namespace_properties')) AS tables (name),
                        (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS privileges (privilege)
                   WHERE NOT has_table_privilege(to_regclass(name), privilege) ORDER BY 1";
        let missing = self.read(sql, &[]).await;
        let missing = missing.map_err(|error| failure::to_open(self, catalog, error))?;
        let missing: Vec<String> = missing.into_iter().flatten().flatten().collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(failure::no_rights_to_write(self, catalog, &missing)),
        }
    }

    fn failed(&self, catalog: &str, operation: String, error: sqlx::Error) -> CatalogError {
        failure::of(self, catalog, operation, error)
    }

    fn place(&self) -> String {
        self.server.to_string()
    }
}

fn connect_options(options: &PostgresOptions) -> sqlx::Result<PgConnectOptions> {
    let mut connect = options.server.connect_options()?;
    if let Some(password) = &options.password {
        connect = connect.password(&password.0);
    }
    if let Some(ca) = &options.tls.ca {
        connect = connect.ssl_root_cert(ca);
    }
    if let Some(client) = &options.tls.client {
        connect = connect
            .ssl_client_cert(&client.certificate)
            .ssl_client_key(&client.key);
    }
    Ok(connect)
}

/// A connection on which something went wrong may still have an answer to come: it is closed, not lent again.
fn no_longer(connection: &mut PoolConnection<sqlx::Postgres>) {
    connection.close_on_drop();
}

async fn within<T>(time: Duration, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match tokio::time::timeout(time, work).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {time:?}")).into()),
    }
}

fn query<'q>(sql: &'q str, parameters: &[&'q str]) -> Query<'q, sqlx::Postgres, PgArguments> {
    let query = sqlx::query(sql).persistent(false);
    parameters
        .iter()
        .fold(query, |query, parameter| query.bind(*parameter))
}
