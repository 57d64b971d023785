//! A catalog that lives in the process: for the simulation, for tests, and for trying things out.
//!
//! It keeps the metadata itself and writes no metadata files, so that a simulated commit costs no I/O; the
//! metadata locations it gives are unique names of files that do not exist. With a seeded [`Entropy`] and a
//! manual [`Clock`] it does the same thing every time.

mod served;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use iceberg::spec::TableMetadata;
use iceberg::{NamespaceIdent, TableCreation, TableIdent};
use tabletopic_clock::{Clock, Entropy};

use crate::change::{self, Refused};
use crate::location::{metadata_file, table_location};
use crate::{Catalog, CatalogError, CommitOutcome, Entry, LoadedTable, ServedCatalog, TableChange};

#[derive(Debug)]
pub struct MemoryCatalog {
    name: String,
    warehouse: String,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    namespaces: BTreeMap<NamespaceIdent, BTreeMap<String, String>>,
    tables: BTreeMap<TableIdent, LoadedTable>,
    /// The last metadata of tables that were dropped, by its location: where there are files, they stay.
    dropped: BTreeMap<String, Arc<TableMetadata>>,
}

impl MemoryCatalog {
    /// An empty catalog. `warehouse`: absolute URI under which tables get their locations, such as
    /// `memory:///warehouse`.
    pub fn new(
        name: impl Into<String>,
        warehouse: impl Into<String>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let warehouse = warehouse.into().trim_end_matches('/').to_owned();
        Self {
            name: name.into(),
            warehouse,
            clock,
            entropy,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_found(&self, entry: Entry) -> CatalogError {
        CatalogError::NotFound {
            catalog: self.name.clone(),
            entry,
        }
    }

    fn already_exists(&self, entry: Entry) -> CatalogError {
        CatalogError::AlreadyExists {
            catalog: self.name.clone(),
            entry,
        }
    }

    fn rejected(&self, verb: &str, table: &TableIdent, reason: String) -> CatalogError {
        CatalogError::Rejected {
            catalog: self.name.clone(),
            operation: format!("{verb} {}", Entry::Table(table.clone())),
            reason,
        }
    }

    /// The metadata of a table that is not there yet.
    fn staged(
        &self,
        entries: &Entries,
        namespace: &NamespaceIdent,
        mut creation: TableCreation,
    ) -> Result<TableMetadata, CatalogError> {
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        if !entries.namespaces.contains_key(namespace) {
            return Err(self.not_found(Entry::Namespace(namespace.clone())));
        }
        if entries.tables.contains_key(&ident) {
            return Err(self.already_exists(Entry::Table(ident)));
        }
        let uuid = self.entropy.uuid();
        creation
            .location
            .get_or_insert_with(|| table_location(&self.warehouse, &ident, uuid));
        change::create(creation, uuid, self.clock.now())
            .map_err(|error| self.rejected("create", &ident, error.to_string()))
    }

    /// What `change` makes of `base`, if that is still the table.
    fn changed(
        &self,
        entries: &Entries,
        base: &LoadedTable,
        change: TableChange,
    ) -> Result<LoadedTable, Refused> {
        let entry = Entry::Table(base.ident.clone());
        let Some(current) = entries.tables.get(&base.ident) else {
            return Err(Refused::Conflict(format!("{entry} does not exist any more")));
        };
        if current.metadata_location != base.metadata_location {
            let (now, then) = (&current.metadata_location, &base.metadata_location);
            return Err(Refused::Conflict(format!(
                "{entry} is at {now} now, no longer at {then}"
            )));
        }
        let metadata = change::apply(current, change, self.clock.now())?.metadata;
        let location = metadata_file(&metadata, Some(&base.metadata_location), self.entropy.uuid())
            .map_err(|error| Refused::Rejected(error.to_string()))?;
        Ok(LoadedTable {
            ident: base.ident.clone(),
            metadata_location: location.to_string(),
            metadata: Arc::new(metadata),
        })
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    fn name(&self) -> &str {
        &self.name
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.create_namespace_with(namespace, BTreeMap::new()).await
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        Ok(self.entries().namespaces.keys().cloned().collect())
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        let entries = self.entries();
        if !entries.namespaces.contains_key(namespace) {
            return Err(self.not_found(Entry::Namespace(namespace.clone())));
        }
        Ok(entries
            .tables
            .keys()
            .filter(|table| table.namespace == *namespace)
            .cloned()
            .collect())
    }

    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        let loaded = self.entries().tables.get(table).cloned();
        loaded.ok_or_else(|| self.not_found(Entry::Table(table.clone())))
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        let mut entries = self.entries();
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        let metadata = self.staged(&entries, namespace, creation)?;
        let location = metadata_file(&metadata, None, self.entropy.uuid())
            .map_err(|error| self.rejected("create", &ident, error.to_string()))?;
        let table = LoadedTable {
            ident: ident.clone(),
            metadata_location: location.to_string(),
            metadata: Arc::new(metadata),
        };
        entries.tables.insert(ident, table.clone());
        Ok(table)
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        let mut entries = self.entries();
        match self.changed(&entries, base, change) {
            Ok(table) => {
                entries.tables.insert(table.ident.clone(), table.clone());
                CommitOutcome::Applied(table)
            }
            Err(refused) => refused.into(),
        }
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        let mut entries = self.entries();
        let Some(dropped) = entries.tables.remove(table) else {
            return Err(self.not_found(Entry::Table(table.clone())));
        };
        entries
            .dropped
            .insert(dropped.metadata_location, dropped.metadata);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tabletopic_clock::{ManualClock, SeededEntropy};

    use super::*;
    use crate::conformance;

    const START: i64 = 1_700_000_000_000;

    fn catalog(seed: u64) -> MemoryCatalog {
        let clock = Arc::new(ManualClock::at(START));
        MemoryCatalog::new(
            "memory",
            "memory:///warehouse",
            clock,
            Arc::new(SeededEntropy::new(seed)),
        )
    }

    #[tokio::test]
    async fn conforms() {
        conformance::conformance(&catalog(1)).await;
        conformance::served(&catalog(2)).await;
    }

    #[tokio::test]
    async fn the_same_seed_makes_the_same_table_at_the_clock_s_time() {
        let mut made = Vec::new();
        for _ in 0..2 {
            let catalog = catalog(7);
            let table = conformance::new_table(&catalog, "seeded").await;
            let change = conformance::set_property("a", "1");
            let CommitOutcome::Applied(table) = catalog.commit(&table, change).await else {
                panic!("not applied")
            };
            assert_eq!(table.metadata.last_updated_ms(), START);
            made.push((table.metadata_location.clone(), table.metadata.uuid()));
        }
        assert_eq!(made[0], made[1]);
    }
}
