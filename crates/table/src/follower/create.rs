//! Creates tables of ours: version 2, and with properties that keep foreign maintenance harmless.

use std::collections::HashMap;

use iceberg::spec::{Schema, UnboundPartitionSpec};
use iceberg::{TableCreation, TableIdent};
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_offsets::Follower;

use super::{dead_letters, ident, ledger};
use crate::commit::CommitError;
use crate::lake::Lake;

/// Loads a table, or creates it if it does not exist. Of two processes that create it at once one wins and the
/// other loads (commit protocol, section 2).
///
/// # Errors
/// Those of the catalog.
pub async fn table(
    lake: &Lake,
    table: &TableIdent,
    schema: Schema,
    spec: Option<UnboundPartitionSpec>,
) -> Result<LoadedTable, CommitError> {
    match lake.catalog.load(table).await {
        Err(CatalogError::NotFound { .. }) => {}
        loaded => return Ok(loaded?),
    }
    match lake.catalog.create_namespace(&table.namespace).await {
        Ok(()) | Err(CatalogError::AlreadyExists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let creation = TableCreation::builder()
        .name(table.name.clone())
        .schema(schema)
        .partition_spec_opt(spec)
        .properties(properties())
        .build();
    match lake.catalog.create(&table.namespace, creation).await {
        Err(CatalogError::AlreadyExists { .. }) => Ok(lake.catalog.load(table).await?),
        created => Ok(created?),
    }
}

/// Loads or creates the followers of a main table.
///
/// # Errors
/// Those of the catalog.
pub async fn followers(lake: &Lake, main: &TableIdent) -> Result<(), CommitError> {
    for which in [Follower::DeadLetters, Follower::Ledger] {
        follower(lake, main, which).await?;
    }
    Ok(())
}

/// Loads a follower, or creates it: it is new, or somebody has dropped it.
///
/// # Errors
/// Those of the catalog.
pub async fn follower(lake: &Lake, main: &TableIdent, which: Follower) -> Result<LoadedTable, CommitError> {
    let schema = match which {
        Follower::DeadLetters => dead_letters::schema()?,
        Follower::Ledger => ledger::schema()?,
    };
    table(lake, &ident(main, which), schema, None).await
}

/// Those of a new table. `gc.enabled` stays on, so that expiry works, ours and others'; old metadata files go with the
/// commit that expires them. Manifests are merged more often than by Iceberg's default: readers and commits have to read
/// fewer.
pub fn properties() -> HashMap<String, String> {
    HashMap::from(
        [
            ("write.parquet.compression-codec", "zstd"),
            ("write.metadata.delete-after-commit.enabled", "true"),
            ("write.metadata.previous-versions-max", "50"),
            ("commit.manifest.min-count-to-merge", "16"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    )
}
