//! From a checked configuration to the parts that work: clients, storage, catalog.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use iceberg::io::FileIO;
use iceberg::{NamespaceIdent, TableIdent};
use tabletopic_catalog::{Catalog as NamesTables, MemoryCatalog};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_registry::{self as registries, Registry, SettingsError};
use tabletopic_source::{
    KafkaBroker, KafkaSettings, KafkaTarget, LONGEST_FETCH_WAIT, MOST_PREFETCH, MskIam, SourceError, Tokens,
};
use tabletopic_table::Lake;
use tabletopic_table::storage::{AbandonedUploads, Listing, OpenError, RequestCounts, Store};

use crate::aws::Keys;
use crate::catalogs;
use crate::commands::environment;
use crate::config::{Catalog, CatalogKind, Config, Kafka, Storage, TableName, Warehouse};

/// How long a question to the brokers may take.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

pub fn kafka_settings(kafka: &Kafka) -> KafkaSettings {
    KafkaSettings {
        bootstrap: kafka.bootstrap.clone(),
        group: kafka.group.clone(),
        group_protocol: kafka.group_protocol,
        instance_id: kafka.instance_id.clone(),
        prefetch: MOST_PREFETCH,
        fetch_wait: LONGEST_FETCH_WAIT,
        properties: kafka
            .properties
            .iter()
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect(),
        files: Some(Arc::new(kafka.files.clone())),
        tokens: kafka.aws_region.as_ref().map(|region| -> Arc<dyn Tokens> {
            Arc::new(MskIam {
                region: region.clone(),
                credentials: Arc::new(Keys::default()),
                clock: Arc::new(SystemClock),
            })
        }),
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

/// A topic to write a log into.
pub fn target(kafka: &Kafka, topic: &str) -> Result<KafkaTarget, SourceError> {
    KafkaTarget::new(&kafka_settings(kafka), topic, BROKER_TIMEOUT)
}

/// The warehouse as tables store it: an absolute URI. `None` where the catalog's server decides on it.
pub fn warehouse_uri(catalog: &Catalog) -> anyhow::Result<Option<String>> {
    let folder = match &catalog.warehouse {
        Warehouse::Folder(folder) => folder,
        Warehouse::Uri(uri) => return Ok(Some(uri.clone())),
        Warehouse::OfCatalog(_) => return Ok(None),
    };
    let absolute = std::path::absolute(folder)
        .with_context(|| format!("cannot tell where the warehouse {} is", folder.display()))?;
    let folder = without_parents(&absolute);
    let folder = folder.to_str().with_context(|| {
        format!(
            "the warehouse {} has a name that is not UTF-8; choose another folder",
            folder.display()
        )
    })?;
    Ok(Some(format!("file://{folder}")))
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

/// Everything that commits are made with, and what of a store is not a file's.
pub struct Opened {
    pub lake: Lake,
    pub listing: Arc<dyn Listing>,
    pub abandoned: Option<AbandonedUploads>,
}

/// Opens all that commits are made with; makes the catalog where there is none. `requests` counts what the store is asked
/// for.
pub async fn open(config: &Config, requests: Arc<RequestCounts>) -> anyhow::Result<Opened> {
    let (catalog, store): (Arc<dyn NamesTables>, Store) = match &config.catalog.kind {
        CatalogKind::Sqlite(_) | CatalogKind::Postgres(_) => {
            let (catalog, store) = catalogs::served(config, requests).await?;
            (catalog, store)
        }
        CatalogKind::Rest(settings) => {
            let client = Arc::new(catalogs::client(&config.catalog, settings).await?);
            let store = match &config.storage {
                Storage::Warehouse(settings) => settings.open(&environment, requests)?,
                Storage::OfCatalog(settings) => settings.open(environment, client.clone(), requests),
            };
            (client, store)
        }
    };
    Ok(opened(catalog, store))
}

fn opened(catalog: Arc<dyn NamesTables>, store: Store) -> Opened {
    Opened {
        lake: lake_of(catalog, store.file_io),
        listing: store.listing,
        abandoned: store.abandoned,
    }
}

/// The store of a warehouse that the configuration names.
pub fn warehouse_store(config: &Config, requests: Arc<RequestCounts>) -> Result<Store, OpenError> {
    match &config.storage {
        Storage::Warehouse(settings) => settings.open(&environment, requests),
        Storage::OfCatalog(_) => Err(OpenError::no_warehouse()),
    }
}

/// [`open`], for commits alone.
pub async fn lake(config: &Config, requests: Arc<RequestCounts>) -> anyhow::Result<Lake> {
    Ok(open(config, requests).await?.lake)
}

/// [`open`], if there is a catalog. Makes nothing.
async fn existing(config: &Config) -> anyhow::Result<Option<Opened>> {
    match &config.catalog.kind {
        CatalogKind::Sqlite(file) if !file.exists() => Ok(None),
        CatalogKind::Sqlite(_) | CatalogKind::Rest(_) => Ok(Some(open(config, Arc::default()).await?)),
        CatalogKind::Postgres(postgres) => {
            let store = warehouse_store(config, Arc::default())?;
            let catalog =
                catalogs::existing_database(&config.catalog, postgres, store.file_io.clone()).await?;
            Ok(catalog.map(|catalog| opened(Arc::new(catalog), store)))
        }
    }
}

/// [`lake`], if there is a catalog. Makes nothing.
pub async fn existing_lake(config: &Config) -> anyhow::Result<Option<Lake>> {
    Ok(existing(config).await?.map(|opened| opened.lake))
}

/// [`open`] for somebody who asks about what is there: an error where there is no catalog yet.
pub async fn open_to_ask(config: &Config) -> anyhow::Result<Opened> {
    existing(config).await?.with_context(|| {
        let place = config.catalog.place();
        format!("there is no catalog at {place} yet; `tabletopic run` makes it")
    })
}

/// [`open_to_ask`], for commits alone.
pub async fn lake_to_ask(config: &Config) -> anyhow::Result<Lake> {
    Ok(open_to_ask(config).await?.lake)
}

/// [`existing_lake`] for somebody who only looks: where there is no catalog yet, an empty one stands for it.
pub async fn lake_as_it_is(config: &Config) -> anyhow::Result<Lake> {
    if let Some(lake) = existing_lake(config).await? {
        return Ok(lake);
    }
    let empty = MemoryCatalog::new(
        config.catalog.name.clone(),
        warehouse_uri(&config.catalog)?.context("a server's catalog is always there")?,
        Arc::new(SystemClock),
        Arc::new(OsEntropy),
    );
    let file_io = warehouse_store(config, Arc::default())?.file_io;
    Ok(lake_of(Arc::new(empty), file_io))
}

fn lake_of(catalog: Arc<dyn NamesTables>, file_io: FileIO) -> Lake {
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
