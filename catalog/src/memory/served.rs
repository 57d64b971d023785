//! [`ServedCatalog`] in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use iceberg::{NamespaceIdent, TableCreation, TableIdent};

use super::{Entries, MemoryCatalog};
use crate::change::Refused;
use crate::location::{metadata_file, table_location};
use crate::staged;
use crate::{CatalogError, CommitOutcome, Entry, LoadedTable, NamespaceChange, ServedCatalog, TableCommit};

#[async_trait]
impl ServedCatalog for MemoryCatalog {
    async fn create_namespace_with(
        &self,
        namespace: &NamespaceIdent,
        properties: BTreeMap<String, String>,
    ) -> Result<(), CatalogError> {
        let mut entries = self.entries();
        if entries.namespaces.contains_key(namespace) {
            return Err(self.already_exists(Entry::Namespace(namespace.clone())));
        }
        entries.namespaces.insert(namespace.clone(), properties);
        Ok(())
    }

    async fn namespace_properties(
        &self,
        namespace: &NamespaceIdent,
    ) -> Result<BTreeMap<String, String>, CatalogError> {
        let properties = self.entries().namespaces.get(namespace).cloned();
        properties.ok_or_else(|| self.not_found(Entry::Namespace(namespace.clone())))
    }

    async fn change_namespace(
        &self,
        namespace: &NamespaceIdent,
        change: NamespaceChange,
    ) -> Result<BTreeSet<String>, CatalogError> {
        let mut entries = self.entries();
        let Some(properties) = entries.namespaces.get_mut(namespace) else {
            return Err(self.not_found(Entry::Namespace(namespace.clone())));
        };
        let removed = change.removals.into_iter();
        let removed = removed.filter(|key| properties.remove(key).is_some()).collect();
        properties.extend(change.updates);
        Ok(removed)
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        let mut entries = self.entries();
        let holds_tables = entries.tables.keys().any(|table| table.namespace == *namespace);
        let mut inner = entries.namespaces.keys();
        let holds_namespaces = inner.any(|other| other != namespace && other.starts_with(namespace));
        if holds_tables || holds_namespaces {
            return Err(CatalogError::NotEmpty {
                catalog: self.name.clone(),
                entry: Entry::Namespace(namespace.clone()),
            });
        }
        let dropped = entries.namespaces.remove(namespace);
        dropped
            .map(|_| ())
            .ok_or_else(|| self.not_found(Entry::Namespace(namespace.clone())))
    }

    async fn stage(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<TableMetadata, CatalogError> {
        self.staged(&self.entries(), namespace, creation)
    }

    async fn register(
        &self,
        table: &TableIdent,
        metadata_location: &str,
    ) -> Result<LoadedTable, CatalogError> {
        let mut entries = self.entries();
        self.is_free(&entries, table)?;
        let Some(metadata) = entries.dropped.get(metadata_location).cloned() else {
            return Err(CatalogError::Corrupt {
                catalog: self.name.clone(),
                entry: Entry::Table(table.clone()),
                location: metadata_location.to_owned(),
                reason: "there is no such metadata".to_owned(),
            });
        };
        let loaded = LoadedTable {
            ident: table.clone(),
            metadata_location: metadata_location.to_owned(),
            metadata,
        };
        entries.tables.insert(table.clone(), loaded.clone());
        Ok(loaded)
    }

    async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<(), CatalogError> {
        let mut entries = self.entries();
        if !entries.tables.contains_key(from) {
            return Err(self.not_found(Entry::Table(from.clone())));
        }
        self.is_free(&entries, to)?;
        if let Some(mut table) = entries.tables.remove(from) {
            table.ident = to.clone();
            entries.tables.insert(to.clone(), table);
        }
        Ok(())
    }

    async fn commit_all(&self, commits: Vec<TableCommit>) -> CommitOutcome<Vec<LoadedTable>> {
        let mut entries = self.entries();
        let made = commits.into_iter().map(|commit| match commit {
            TableCommit::Create { ident, updates } => self.created(&entries, ident, updates),
            TableCommit::Change { base, change } => self.changed(&entries, &base, change),
        });
        let tables: Vec<LoadedTable> = match made.collect() {
            Ok(tables) => tables,
            Err(refused) => return refused.into(),
        };
        for table in &tables {
            entries.tables.insert(table.ident.clone(), table.clone());
        }
        CommitOutcome::Applied(tables)
    }
}

impl MemoryCatalog {
    /// Nothing is called so yet, and its namespace is there.
    fn is_free(&self, entries: &Entries, table: &TableIdent) -> Result<(), CatalogError> {
        if !entries.namespaces.contains_key(&table.namespace) {
            return Err(self.not_found(Entry::Namespace(table.namespace.clone())));
        }
        match entries.tables.contains_key(table) {
            true => Err(self.already_exists(Entry::Table(table.clone()))),
            false => Ok(()),
        }
    }

    fn created(
        &self,
        entries: &Entries,
        ident: TableIdent,
        updates: Vec<iceberg::TableUpdate>,
    ) -> Result<LoadedTable, Refused> {
        self.is_free(entries, &ident)
            .map_err(|error| Refused::Conflict(error.to_string()))?;
        let uuid = self.entropy.uuid();
        let location = table_location(&self.warehouse, &ident, uuid);
        let rejected = |error: iceberg::Error| Refused::Rejected(error.to_string());
        let metadata = staged::create(updates, location, uuid, self.clock.now()).map_err(rejected)?;
        let location = metadata_file(&metadata, None, self.entropy.uuid()).map_err(rejected)?;
        Ok(LoadedTable {
            ident,
            metadata_location: location.to_string(),
            metadata: Arc::new(metadata),
        })
    }
}
