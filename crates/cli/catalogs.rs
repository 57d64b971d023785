//! Opens the catalog that the configuration names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use iceberg::io::FileIO;
use object_store::aws::AwsCredential;
use tabletopic_catalog::{
    AwsLogin, AwsSigner, Password, PostgresCatalog, PostgresOptions, RestClient, RestSettings, ServedCatalog,
    SqliteCatalog, SqliteOptions,
};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_table::storage::{OpenError, RequestCounts, Store, aws_credentials, aws_region};

use crate::commands::environment;
use crate::config::{Catalog, CatalogKind, Config, Postgres};
use crate::exit::UsageError;
use crate::parts::{warehouse_store, warehouse_uri};

/// How long a connection to the catalog is waited for, a lock in it is waited out, and the answer to a commit.
const CATALOG_CONNECT: Duration = Duration::from_secs(10);
const CATALOG_BUSY: Duration = Duration::from_secs(10);
const CATALOG_COMMIT: Duration = Duration::from_secs(30);

/// Opens a catalog that can be served to engines, and the store of its warehouse; makes it where there is none.
pub async fn served(
    config: &Config,
    requests: Arc<RequestCounts>,
) -> anyhow::Result<(Arc<dyn ServedCatalog>, Store)> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let catalog = &config.catalog;
    match &catalog.kind {
        CatalogKind::Sqlite(file) => {
            let store = warehouse_store(config, requests)?;
            let options = sqlite_options(catalog, file)?;
            let opened = SqliteCatalog::open(options, store.file_io.clone(), clock, entropy).await?;
            Ok((Arc::new(opened), store))
        }
        CatalogKind::Postgres(postgres) => {
            let store = warehouse_store(config, requests)?;
            let options = postgres_options(catalog, postgres)?;
            let opened = PostgresCatalog::open(options, store.file_io.clone(), clock, entropy).await?;
            Ok((Arc::new(opened), store))
        }
        CatalogKind::Rest(_) => {
            let place = catalog.place();
            let words = format!("the catalog at {place} has a server already; have engines ask that one");
            Err(UsageError(words).into())
        }
    }
}

/// Opens a database to look at it; `None` where no catalog is in it yet.
pub async fn existing_database(
    config: &Catalog,
    postgres: &Postgres,
    file_io: FileIO,
) -> anyhow::Result<Option<PostgresCatalog>> {
    let options = postgres_options(config, postgres)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    Ok(PostgresCatalog::open_existing(options, file_io, clock, entropy).await?)
}

/// Somebody else's server.
pub async fn client(config: &Catalog, settings: &RestSettings) -> anyhow::Result<RestClient> {
    let signer = settings.aws().map(aws_signer).transpose()?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    Ok(RestClient::open(&config.name, settings, signer, clock, entropy).await?)
}

fn sqlite_options(config: &Catalog, file: &Path) -> anyhow::Result<SqliteOptions> {
    Ok(SqliteOptions {
        name: config.name.clone(),
        path: file.to_owned(),
        warehouse: own_warehouse(config)?,
        busy_timeout: CATALOG_BUSY,
        commit_timeout: CATALOG_COMMIT,
    })
}

fn postgres_options(config: &Catalog, postgres: &Postgres) -> anyhow::Result<PostgresOptions> {
    Ok(PostgresOptions {
        name: config.name.clone(),
        server: postgres.server.clone(),
        password: postgres
            .password
            .as_ref()
            .map(|password| Password(password.reveal().to_owned())),
        tls: postgres.tls.clone(),
        warehouse: own_warehouse(config)?,
        connect_timeout: CATALOG_CONNECT,
        lock_timeout: CATALOG_BUSY,
        answer_timeout: CATALOG_COMMIT,
    })
}

fn own_warehouse(config: &Catalog) -> anyhow::Result<String> {
    warehouse_uri(config)?.context("a catalog without a server has a warehouse")
}

/// Who signs requests to a catalog of AWS.
fn aws_signer(login: &AwsLogin) -> anyhow::Result<AwsSigner> {
    let region = login.region.clone().or_else(|| aws_region(&environment));
    let region = region.ok_or_else(OpenError::no_region)?;
    let keys = login.keys.as_ref().map(|keys| AwsCredential {
        key_id: keys.key_id.clone(),
        secret_key: keys.secret.clone(),
        token: keys.token.clone(),
    });
    let credentials = aws_credentials(keys, &environment)?;
    Ok(AwsSigner::new(credentials, &login.service, &region))
}
