//! From a checked configuration to the parts that work: clients, storage, catalog.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use iceberg::io::FileIO;
use iceberg::{NamespaceIdent, TableIdent};
use tabletopic_catalog::{CatalogError, MemoryCatalog, SqliteCatalog, SqliteOptions};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_registry::{self as registries, Registry, SettingsError};
use tabletopic_source::{KafkaBroker, KafkaSettings, MOST_PREFETCH, SourceError};
use tabletopic_table::Lake;
use tabletopic_table::storage::{DurableLocal, RequestCounts, file_io};

use crate::config::{Catalog, Config, Kafka, TableName};

/// How long a question to the brokers may take.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a lock on the catalog's file is waited out, and the answer to a commit.
const CATALOG_BUSY: Duration = Duration::from_secs(10);
const CATALOG_COMMIT: Duration = Duration::from_secs(30);

pub fn kafka_settings(kafka: &Kafka) -> KafkaSettings {
    KafkaSettings {
        bootstrap: kafka.bootstrap.clone(),
        group: kafka.group.clone(),
        group_protocol: kafka.group_protocol,
        instance_id: kafka.instance_id.clone(),
        prefetch: MOST_PREFETCH,
        properties: kafka
            .properties
            .iter()
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect(),
    }
}

/// The client of the schema registry, if one is configured.
pub fn registry(config: &Config) -> Result<Option<Box<dyn Registry>>, SettingsError> {
    let registry = config.registry.as_ref();
    registry
        .map(|registry| registries::client(&registry.settings()))
        .transpose()
}

pub fn broker(kafka: &Kafka) -> Result<KafkaBroker, SourceError> {
    KafkaBroker::new(&kafka_settings(kafka), BROKER_TIMEOUT)
}

/// Reads and writes the whole local file system, durably; `requests` counts what it is asked for.
pub fn storage(requests: Arc<RequestCounts>) -> FileIO {
    file_io(Arc::new(DurableLocal::new()), "file:///", requests)
}

/// The warehouse as tables store it: an absolute URI.
pub fn warehouse_uri(catalog: &Catalog) -> anyhow::Result<String> {
    let folder = std::path::absolute(&catalog.warehouse).with_context(|| {
        format!(
            "cannot tell where the warehouse {} is",
            catalog.warehouse.display()
        )
    })?;
    let folder = without_parents(&folder);
    let folder = folder.to_str().with_context(|| {
        format!(
            "the warehouse {} has a name that is not UTF-8; choose another folder",
            folder.display()
        )
    })?;
    Ok(format!("file://{folder}"))
}

/// An absolute path without `..`, which no URI has room for: where these lead, as the system follows links.
fn without_parents(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                // What is not there yet is no link.
                plain = plain.canonicalize().unwrap_or(plain);
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// Everything that commits are made with.
pub async fn lake(config: &Config, requests: Arc<RequestCounts>) -> anyhow::Result<Lake> {
    let file_io = storage(requests);
    let warehouse = warehouse_uri(&config.catalog)?;
    let catalog = catalog(&config.catalog, warehouse, file_io.clone()).await?;
    Ok(lake_of(Arc::new(catalog), file_io))
}

/// The lake for somebody who only looks: where the catalog's file is not there yet, none is made, and an empty catalog
/// stands for it.
pub async fn lake_as_it_is(config: &Config) -> anyhow::Result<Lake> {
    let requests = Arc::new(RequestCounts::default());
    if config.catalog.uri.exists() {
        return lake(config, requests).await;
    }
    let empty = MemoryCatalog::new(
        config.catalog.name.clone(),
        warehouse_uri(&config.catalog)?,
        Arc::new(SystemClock),
        Arc::new(OsEntropy),
    );
    Ok(lake_of(Arc::new(empty), storage(requests)))
}

fn lake_of(catalog: Arc<dyn tabletopic_catalog::Catalog>, file_io: FileIO) -> Lake {
    Lake {
        catalog,
        file_io,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        actor: actor().into(),
    }
}

/// Who commits, for the ledger.
fn actor() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    match host.trim() {
        "" => format!("process {}", std::process::id()),
        host => format!("{host} process {}", std::process::id()),
    }
}

/// Opens the catalog; makes its file where there is none.
pub async fn catalog(
    config: &Catalog,
    warehouse: String,
    file_io: FileIO,
) -> Result<SqliteCatalog, CatalogError> {
    let options = SqliteOptions {
        name: config.name.clone(),
        path: config.uri.clone(),
        warehouse,
        busy_timeout: CATALOG_BUSY,
        commit_timeout: CATALOG_COMMIT,
    };
    SqliteCatalog::open(options, file_io, Arc::new(SystemClock), Arc::new(OsEntropy)).await
}

pub fn table_ident(table: &TableName) -> anyhow::Result<TableIdent> {
    let namespace = NamespaceIdent::from_vec(table.namespace.clone())
        .with_context(|| format!("the namespace of table {table} is not one of Iceberg's"))?;
    Ok(TableIdent::new(namespace, table.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_folders_are_followed_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("disk/data")).unwrap();
        std::os::unix::fs::symlink(root.join("disk/data"), root.join("link")).unwrap();
        assert_eq!(
            without_parents(&root.join("link/../lake")),
            root.join("disk/lake")
        );
        assert_eq!(
            without_parents(&root.join("not/there/../lake")),
            root.join("not/lake")
        );
        assert_eq!(without_parents(Path::new("/../lake")), Path::new("/lake"));
        assert_eq!(without_parents(&root.join("link/lake")), root.join("link/lake"));
    }
}
