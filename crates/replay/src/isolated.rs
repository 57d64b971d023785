//! A catalog that commits to one namespace alone, and makes the tables of replays there.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::{Schema, TableMetadata, UnboundPartitionField, UnboundPartitionSpec};
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};
use tabletopic_catalog::{Catalog, CatalogError, CommitOutcome, LoadedTable, TableChange};

use crate::field_ids::ids_of;
use crate::note::{Note, PROPERTY};

/// What a table is made a replay of.
#[derive(Debug, Clone)]
pub struct Original {
    pub note: Note,
    /// As it is now; `None`: there is no such table.
    pub table: Option<LoadedTable>,
}

/// See the module.
#[derive(Debug)]
pub struct Isolated {
    inner: Arc<dyn Catalog>,
    namespace: NamespaceIdent,
    /// By the names of the tables that are to be made.
    originals: BTreeMap<String, Original>,
}

impl Isolated {
    pub fn new(
        inner: Arc<dyn Catalog>,
        namespace: NamespaceIdent,
        originals: BTreeMap<String, Original>,
    ) -> Self {
        Self {
            inner,
            namespace,
            originals,
        }
    }

    /// Makes a table whose columns have the ids of the original's. Catalogs number the columns of a new table themselves, so
    /// that it is made without any, and gets them in a commit: one that has none is not finished.
    async fn like(
        &self,
        original: &LoadedTable,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        let operation = format!("make table {}.{}", namespace.join("."), creation.name);
        let refused = |reason: String| CatalogError::Rejected {
            catalog: self.inner.name().to_owned(),
            operation: operation.clone(),
            reason,
        };
        let unfit = |error: iceberg::Error| refused(format!("its columns: {error}"));
        let schema = ids_of(&original.metadata, &creation.schema).map_err(unfit)?;
        let spec = creation.partition_spec.clone();
        let spec = spec.map(|spec| renamed(&spec, &creation.schema, &schema, &original.metadata));
        let empty = TableCreation {
            schema: Schema::builder().build().map_err(unfit)?,
            partition_spec: None,
            ..creation
        };
        let made = self.inner.create(namespace, empty).await?;
        let mut updates = vec![
            TableUpdate::AddSchema { schema },
            TableUpdate::SetCurrentSchema { schema_id: -1 },
        ];
        if let Some(spec) = spec {
            updates.push(TableUpdate::AddSpec { spec });
            updates.push(TableUpdate::SetDefaultSpec { spec_id: -1 });
        }
        let requirements = vec![TableRequirement::UuidMatch {
            uuid: made.metadata.uuid(),
        }];
        match self
            .inner
            .commit(
                &made,
                TableChange {
                    requirements,
                    updates,
                },
            )
            .await
        {
            CommitOutcome::Applied(table) => Ok(table),
            CommitOutcome::Rejected(reason) => Err(refused(reason)),
            // Whoever comes next finds it without columns, and begins again; or finds it whole.
            CommitOutcome::Conflict(reason)
            | CommitOutcome::Unavailable(reason)
            | CommitOutcome::Unknown(reason) => Err(CatalogError::Unavailable {
                catalog: self.inner.name().to_owned(),
                operation: operation.clone(),
                reason,
                check: "the catalog".to_owned(),
                source: None,
            }),
        }
    }
}

/// A spec on the columns of `now`, by their names in `was`. A field that the original has keeps its name.
fn renamed(
    spec: &UnboundPartitionSpec,
    was: &Schema,
    now: &Schema,
    original: &TableMetadata,
) -> UnboundPartitionSpec {
    let known = || original.partition_specs_iter().flat_map(|spec| spec.fields());
    let fields = spec.fields().iter().map(|field| {
        let source_id = was
            .name_by_field_id(field.source_id)
            .and_then(|name| now.field_id_by_name(name))
            .unwrap_or(field.source_id);
        let same = known().find(|known| known.source_id == source_id && known.transform == field.transform);
        UnboundPartitionField {
            source_id,
            field_id: same.map(|known| known.field_id),
            name: same.map_or_else(|| field.name.clone(), |known| known.name.clone()),
            transform: field.transform,
        }
    });
    let mut builder = UnboundPartitionSpec::builder();
    builder = builder
        .add_partition_fields(fields)
        .unwrap_or_else(|_| UnboundPartitionSpec::builder());
    builder.build()
}

#[async_trait]
impl Catalog for Isolated {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.inner.create_namespace(namespace).await
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        self.inner.list_namespaces().await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        self.inner.list_tables(namespace).await
    }

    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        self.inner.load(table).await
    }

    async fn metadata_location(&self, table: &TableIdent) -> Result<String, CatalogError> {
        self.inner.metadata_location(table).await
    }

    async fn create(
        &self,
        namespace: &NamespaceIdent,
        mut creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        let Some(original) = self.originals.get(&creation.name) else {
            return self.inner.create(namespace, creation).await;
        };
        creation
            .properties
            .insert(PROPERTY.to_owned(), original.note.text());
        match &original.table {
            None => self.inner.create(namespace, creation).await,
            Some(table) => self.like(table, namespace, creation).await,
        }
    }

    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        if base.ident.namespace != self.namespace {
            return CommitOutcome::Rejected(format!(
                "a replay into {} commits nothing to table {}",
                self.namespace.join("."),
                base.ident
            ));
        }
        self.inner.commit(base, change).await
    }

    async fn may_write(&self) -> Result<(), CatalogError> {
        self.inner.may_write().await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        self.inner.drop_table(table).await
    }
}
