//! The trait that every catalog implements, and what it takes and gives.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

use crate::CatalogError;

/// A table as the catalog showed it at one moment.
#[derive(Debug, Clone)]
pub struct LoadedTable {
    pub ident: TableIdent,
    /// Absolute URI of the metadata file that `metadata` was read from. It names the table's version: no two
    /// commits share one.
    pub metadata_location: String,
    pub metadata: Arc<TableMetadata>,
}

/// The body of one commit. It can be sent again, unchanged, after [`CommitOutcome::Unknown`].
#[derive(Debug, Clone, Default)]
pub struct TableChange {
    /// What must hold of the table that the updates are applied to.
    pub requirements: Vec<TableRequirement>,
    /// Applied in this order, all or none.
    pub updates: Vec<TableUpdate>,
}

/// What became of a commit. Each variant but the first carries the catalog's own words.
///
/// The rule for implementations: `Conflict`, `Rejected` and `Unavailable` are proofs that this attempt changed
/// nothing and never will; whatever is not proven is `Unknown`. Files are never deleted because of any of the
/// four.
#[derive(Debug, Clone)]
#[must_use = "a commit that was not applied has to be settled"]
pub enum CommitOutcome<T = LoadedTable> {
    /// The table now is this.
    Applied(T),
    /// The table is no longer the one the commit was built on, or a requirement does not hold:
    /// load, check everything again, and build a new commit.
    Conflict(String),
    /// The catalog refuses this body whatever the table's state: sending it again cannot help.
    Rejected(String),
    /// Not applied, because of something that passes (a locked catalog, a full disk, a store that cannot be
    /// reached): send the same body again later. Kept apart from `Conflict` and `Rejected`, which with an
    /// unmoved table are permanent.
    Unavailable(String),
    /// It may have been applied, or still be: load and look for the snapshot before doing anything else.
    Unknown(String),
}

impl<T> CommitOutcome<T> {
    /// The same outcome, of another shape.
    pub fn map<U>(self, shape: impl FnOnce(T) -> U) -> CommitOutcome<U> {
        match self {
            Self::Applied(applied) => CommitOutcome::Applied(shape(applied)),
            Self::Conflict(words) => CommitOutcome::Conflict(words),
            Self::Rejected(words) => CommitOutcome::Rejected(words),
            Self::Unavailable(words) => CommitOutcome::Unavailable(words),
            Self::Unknown(words) => CommitOutcome::Unknown(words),
        }
    }
}

/// A catalog of Iceberg tables.
///
/// Implementations pass the suite in `conformance`. They never answer from a cache.
#[async_trait]
pub trait Catalog: Debug + Send + Sync {
    /// The catalog's name, as messages and other clients know it.
    fn name(&self) -> &str;

    /// Creates a namespace. [`CatalogError::AlreadyExists`] if it is there.
    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError>;

    /// All namespaces of the catalog, sorted.
    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError>;

    /// The tables directly in a namespace, sorted. [`CatalogError::NotFound`] without the namespace.
    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError>;

    /// The table as it is now. [`CatalogError::NotFound`] if there is none.
    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError>;

    /// Where the metadata is of the table as it is now, which says whether it has changed. As [`load`](Self::load), and
    /// cheaper where a catalog knows that by itself.
    async fn metadata_location(&self, table: &TableIdent) -> Result<String, CatalogError> {
        Ok(self.load(table).await?.metadata_location)
    }

    /// Creates an empty table. Without a location in `creation`, the catalog chooses one in its warehouse.
    /// [`CatalogError::NotFound`] without the namespace, [`CatalogError::AlreadyExists`] if the name is
    /// taken: of several creators at once, exactly one succeeds.
    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError>;

    /// Applies `change` to the table if it still is `base` and the requirements hold.
    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome;

    /// Whether this client has the rights of a writer, as far as that can be told without writing: for those who ask
    /// before a run starts.
    async fn may_write(&self) -> Result<(), CatalogError> {
        Ok(())
    }

    /// Removes the table's entry; its files stay. [`CatalogError::NotFound`] if there is none.
    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError>;
}
