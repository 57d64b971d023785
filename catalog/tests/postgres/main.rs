//! The catalog in a real PostgreSQL server: the conformance suite, and what is PostgreSQL's own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test: a failure is a panic with its reason"
)]

mod failures;
mod layout;
mod logins;
mod pyiceberg;
mod writers;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use iceberg::io::FileIO;
use sqlx::{Connection, PgConnection};
use tabletopic_catalog::{CatalogError, Password, PostgresCatalog, PostgresOptions, Server, conformance};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_http::Tls;
use tabletopic_testkit::{POSTGRES_PASSWORD, Postgres};
use tempfile::TempDir;

/// For all tests that leave it as it is; each has a database of its own.
static SERVER: LazyLock<Postgres> = LazyLock::new(Postgres::start);

/// A database and a warehouse.
struct Lake {
    database: String,
    port: u16,
    warehouse: TempDir,
}

impl Lake {
    fn new(name: &str) -> Self {
        Self::on(&SERVER, name)
    }

    fn on(server: &Postgres, name: &str) -> Self {
        Self {
            database: server.create(name),
            port: server.port,
            warehouse: TempDir::new().unwrap(),
        }
    }

    /// As a service has them, but for times that a test can wait out.
    fn options(&self) -> PostgresOptions {
        PostgresOptions {
            name: "test".to_owned(),
            server: Server::parse(&Postgres::uri(self.port, &self.database)).unwrap(),
            password: Some(Password(POSTGRES_PASSWORD.to_owned())),
            tls: Tls::default(),
            warehouse: format!("file://{}", self.warehouse.path().display()),
            connect_timeout: Duration::from_secs(1),
            lock_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
        }
    }

    async fn catalog(&self) -> PostgresCatalog {
        open(self.options()).await.unwrap()
    }

    /// What somebody else has made is `lake`'s as well.
    async fn grant(&self) {
        run(
            &mut self.foreign().await,
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO lake",
        )
        .await;
    }

    /// A session of somebody else: the superuser.
    async fn foreign(&self) -> PgConnection {
        let uri = format!(
            "postgres://postgres@127.0.0.1:{}/{}?sslmode=disable",
            self.port, self.database
        );
        PgConnection::connect(&uri).await.unwrap()
    }
}

async fn open(options: PostgresOptions) -> Result<PostgresCatalog, CatalogError> {
    PostgresCatalog::open(
        options,
        FileIO::new_with_fs(),
        Arc::new(SystemClock),
        Arc::new(OsEntropy),
    )
    .await
}

async fn look(options: PostgresOptions) -> Result<Option<PostgresCatalog>, CatalogError> {
    PostgresCatalog::open_existing(
        options,
        FileIO::new_with_fs(),
        Arc::new(SystemClock),
        Arc::new(OsEntropy),
    )
    .await
}

/// Several statements may stand in `sql`.
async fn run(session: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sql).execute(session).await.unwrap();
}

#[tokio::test]
async fn conforms() {
    let catalog = Lake::new("conforms").catalog().await;
    conformance::conformance(&catalog).await;
    conformance::served(&catalog).await;
}
