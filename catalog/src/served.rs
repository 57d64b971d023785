//! What a catalog does for engines that share it, beyond what the ingest asks of a [`Catalog`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableUpdate};

use crate::{Catalog, CatalogError, CommitOutcome, LoadedTable, TableChange};

/// A change of a namespace's properties. No key is in both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceChange {
    pub updates: BTreeMap<String, String>,
    /// Keys that are not there are passed over.
    pub removals: BTreeSet<String>,
}

/// What a transaction does to one table.
#[derive(Debug, Clone)]
pub enum TableCommit {
    /// Makes a table of updates that describe all of it, as engines commit what [`ServedCatalog::stage`] gave them. Ids
    /// of schemas, fields, specs and sort orders stay as they are sent: files may have been written under them.
    Create {
        ident: TableIdent,
        updates: Vec<TableUpdate>,
    },
    Change {
        base: LoadedTable,
        change: TableChange,
    },
}

impl TableCommit {
    pub fn ident(&self) -> &TableIdent {
        match self {
            Self::Create { ident, .. } => ident,
            Self::Change { base, .. } => &base.ident,
        }
    }
}

/// A catalog that can be served to engines. Implementations pass `conformance::served`.
#[async_trait]
pub trait ServedCatalog: Catalog {
    /// [`create_namespace`](Catalog::create_namespace) with its first properties.
    async fn create_namespace_with(
        &self,
        namespace: &NamespaceIdent,
        properties: BTreeMap<String, String>,
    ) -> Result<(), CatalogError>;

    /// The properties of a namespace. [`CatalogError::NotFound`] without it.
    async fn namespace_properties(
        &self,
        namespace: &NamespaceIdent,
    ) -> Result<BTreeMap<String, String>, CatalogError>;

    /// Changes the properties of a namespace, all or none, and answers which of the removals were there.
    /// [`CatalogError::NotFound`] without the namespace.
    async fn change_namespace(
        &self,
        namespace: &NamespaceIdent,
        change: NamespaceChange,
    ) -> Result<BTreeSet<String>, CatalogError>;

    /// Removes a namespace. [`CatalogError::NotFound`] without it, [`CatalogError::NotEmpty`] while tables, views or
    /// other namespaces are in it.
    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError>;

    /// The metadata that [`create`](Catalog::create) would give a table, without making it. Fails as that does.
    async fn stage(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<TableMetadata, CatalogError>;

    /// Names a table whose metadata file is there already. [`CatalogError::NotFound`] without the namespace,
    /// [`CatalogError::AlreadyExists`] if the name is taken, [`CatalogError::Corrupt`] if the file is missing or no
    /// table's.
    async fn register(
        &self,
        table: &TableIdent,
        metadata_location: &str,
    ) -> Result<LoadedTable, CatalogError>;

    /// Gives a table another name; its files stay where they are. [`CatalogError::NotFound`] without the table or the
    /// new namespace, [`CatalogError::AlreadyExists`] if the new name is taken.
    async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<(), CatalogError>;

    /// Applies commits to several tables, all or none, as [`commit`](Catalog::commit) does one. No two are of the same
    /// table.
    async fn commit_all(&self, commits: Vec<TableCommit>) -> CommitOutcome<Vec<LoadedTable>>;
}
