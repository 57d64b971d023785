//! What engines ask of the catalog beyond the ingest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use iceberg::{MetadataLocation, NamespaceIdent, TableCreation, TableIdent};

use super::SqlCatalog;
use super::backend::Backend;
use super::layout::EXISTS;
use super::moves::TableMove;
use super::rows::Move;
use super::tables::{Written, not_applied};
use crate::location::{metadata_file, table_location};
use crate::{
    Catalog, CatalogError, CommitOutcome, Entry, LoadedTable, NamespaceChange, ServedCatalog, TableCommit,
    change, staged,
};

#[async_trait]
impl<B: Backend> ServedCatalog for SqlCatalog<B> {
    async fn create_namespace_with(
        &self,
        namespace: &NamespaceIdent,
        properties: BTreeMap<String, String>,
    ) -> Result<(), CatalogError> {
        self.refuse_marker("create", namespace, properties.keys())?;
        let there = self.rows.namespaces().await?.contains(namespace);
        if there || !self.rows.insert_namespace(namespace, &properties).await? {
            return Err(self.already_exists(Entry::Namespace(namespace.clone())));
        }
        Ok(())
    }

    async fn namespace_properties(
        &self,
        namespace: &NamespaceIdent,
    ) -> Result<BTreeMap<String, String>, CatalogError> {
        self.require_namespace(namespace).await?;
        self.rows.properties(namespace).await
    }

    async fn change_namespace(
        &self,
        namespace: &NamespaceIdent,
        change: NamespaceChange,
    ) -> Result<BTreeSet<String>, CatalogError> {
        self.refuse_marker("change", namespace, change.updates.keys().chain(&change.removals))?;
        self.require_namespace(namespace).await?;
        self.rows.change_properties(namespace, change).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.require_namespace(namespace).await?;
        match self.rows.delete_namespace(namespace).await? {
            true => Ok(()),
            false => Err(CatalogError::NotEmpty {
                catalog: self.name().to_owned(),
                entry: Entry::Namespace(namespace.clone()),
            }),
        }
    }

    async fn stage(
        &self,
        namespace: &NamespaceIdent,
        mut creation: TableCreation,
    ) -> Result<TableMetadata, CatalogError> {
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        self.require_free(&ident).await?;
        let uuid = self.entropy.uuid();
        creation
            .location
            .get_or_insert_with(|| table_location(&self.warehouse, &ident, uuid));
        change::create(creation, uuid, self.clock.now())
            .map_err(|error| self.rejected(&ident, error.to_string()))
    }

    async fn register(
        &self,
        table: &TableIdent,
        metadata_location: &str,
    ) -> Result<LoadedTable, CatalogError> {
        self.require_free(table).await?;
        let metadata = match TableMetadata::read_from(&self.file_io, metadata_location).await {
            Ok(metadata) => Arc::new(metadata),
            Err(error) => return Err(self.unreadable(table, metadata_location.to_owned(), error).await),
        };
        if !self.rows.insert_table(table, metadata_location).await? {
            return Err(self.already_exists(Entry::Table(table.clone())));
        }
        Ok(LoadedTable {
            ident: table.clone(),
            metadata_location: metadata_location.to_owned(),
            metadata,
        })
    }

    async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<(), CatalogError> {
        self.require_location(from).await?;
        self.require_free(to).await?;
        match self.rows.rename_table(from, to).await? {
            Some(true) => Ok(()),
            Some(false) => Err(self.not_found(Entry::Table(from.clone()))),
            None => Err(self.already_exists(Entry::Table(to.clone()))),
        }
    }

    async fn commit_all(&self, commits: Vec<TableCommit>) -> CommitOutcome<Vec<LoadedTable>> {
        let mut moves = Vec::with_capacity(commits.len());
        let mut tables = Vec::with_capacity(commits.len());
        let mut expired = Vec::new();
        for commit in commits {
            let from = match &commit {
                TableCommit::Create { .. } => None,
                TableCommit::Change { base, .. } => Some(base.metadata_location.clone()),
            };
            let (table, logs) = match self.written_ahead(commit).await {
                Ok(written) => written,
                Err(outcome) => return outcome,
            };
            moves.push(TableMove {
                table: table.ident.clone(),
                from,
                to: table.metadata_location.clone(),
            });
            expired.push((Entry::Table(table.ident.clone()), logs));
            tables.push(table);
        }
        match self.rows.swap_all(&moves).await {
            Move::Done => {}
            Move::Moved => {
                let words = "one of the tables changed, or was created, while this commit was written";
                return CommitOutcome::Conflict(words.to_owned());
            }
            Move::NotSent(error) => return not_applied(error),
            Move::Unanswered(words) => return CommitOutcome::Unknown(format!("COMMIT: {words}")),
        }
        for ((entry, logs), table) in expired.iter().zip(&tables) {
            self.delete_expired(entry, &table.metadata, logs).await;
        }
        CommitOutcome::Applied(tables)
    }
}

impl<B: Backend> SqlCatalog<B> {
    /// The property that keeps a namespace's row is not anybody's to set or remove.
    fn refuse_marker<'k>(
        &self,
        verb: &str,
        namespace: &NamespaceIdent,
        mut keys: impl Iterator<Item = &'k String>,
    ) -> Result<(), CatalogError> {
        match keys.any(|key| key == EXISTS) {
            false => Ok(()),
            true => Err(CatalogError::Rejected {
                catalog: self.name().to_owned(),
                operation: format!("{verb} {}", Entry::Namespace(namespace.clone())),
                reason: format!("the property {EXISTS:?} is the catalog's own; choose another name"),
            }),
        }
    }

    pub(super) fn rejected(&self, table: &TableIdent, reason: String) -> CatalogError {
        CatalogError::Rejected {
            catalog: self.name().to_owned(),
            operation: format!("create {}", Entry::Table(table.clone())),
            reason,
        }
    }

    /// A table could get this name now.
    async fn require_free(&self, table: &TableIdent) -> Result<(), CatalogError> {
        if table.name.is_empty() {
            return Err(self.rejected(table, "a table needs a name".to_owned()));
        }
        self.require_namespace(&table.namespace).await?;
        match self.rows.location(table).await? {
            None => Ok(()),
            Some(_) => Err(self.already_exists(Entry::Table(table.clone()))),
        }
    }

    /// Writes the first metadata file of a table.
    pub(super) async fn write_first(
        &self,
        table: &TableIdent,
        metadata: &TableMetadata,
    ) -> Result<MetadataLocation, CatalogError> {
        let location = metadata_file(metadata, None, self.entropy.uuid())
            .map_err(|error| self.rejected(table, error.to_string()))?;
        metadata
            .write_to(&self.file_io, &location)
            .await
            .map_err(|error| CatalogError::Unavailable {
                catalog: self.name().to_owned(),
                operation: format!("create {}", Entry::Table(table.clone())),
                reason: format!("its metadata file {location} cannot be written: {error}"),
                check: "the warehouse's free space and permissions".to_owned(),
                source: Some(error.into()),
            })?;
        Ok(location)
    }

    /// Writes the metadata file of what one commit makes, and answers the table as it will be then.
    async fn written_ahead(&self, commit: TableCommit) -> Result<Written, CommitOutcome<Vec<LoadedTable>>> {
        match commit {
            TableCommit::Create { ident, updates } => {
                if let Err(error) = self.require_free(&ident).await {
                    return Err(match error {
                        CatalogError::NotFound { .. } | CatalogError::AlreadyExists { .. } => {
                            CommitOutcome::Conflict(error.to_string())
                        }
                        error => not_applied(error),
                    });
                }
                let uuid = self.entropy.uuid();
                let location = table_location(&self.warehouse, &ident, uuid);
                let metadata = staged::create(updates, location, uuid, self.clock.now())
                    .map_err(|error| CommitOutcome::Rejected(error.to_string()))?;
                let location = self.write_first(&ident, &metadata).await.map_err(not_applied)?;
                let table = LoadedTable {
                    ident,
                    metadata_location: location.to_string(),
                    metadata: Arc::new(metadata),
                };
                Ok((table, Vec::new()))
            }
            TableCommit::Change { base, change } => self.write_next(&base, change).await,
        }
    }
}
