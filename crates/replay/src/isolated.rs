//! A catalog that commits to one namespace alone, and makes the tables of replays there.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::{PartitionSpec, Schema, TableMetadata, UnboundPartitionField, UnboundPartitionSpec};
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableRequirement};
use tabletopic_catalog::{Catalog, CatalogError, CommitOutcome, LoadedTable, TableChange};

use crate::field_ids::ids_of;
use crate::note::{BESIDE, Note, PROPERTY};

/// The columns and partitions that the table of a replay is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// Those of the mapping, as for a new table.
    Mapped,
    /// Those that the original has now: records are read as the service goes on to read them into it.
    OfOriginal,
}

/// What a table is made a replay of.
#[derive(Debug, Clone)]
pub struct Original {
    pub note: Note,
    /// As it is now; `None`: there is no such table.
    pub table: Option<LoadedTable>,
    pub columns: Columns,
}

impl Original {
    /// Where the catalog has its tables, if it names them as `<warehouse>/<namespace>/<table>`.
    pub fn warehouse(&self) -> Option<&str> {
        let table = self.table.as_ref()?;
        let named = format!("/{}/{}", table.ident.namespace.join("/"), table.ident.name);
        table.metadata.location().strip_suffix(&named)
    }
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

    fn is_mine(&self, namespace: &NamespaceIdent, what: &str) -> Result<(), CatalogError> {
        match *namespace == self.namespace {
            true => Ok(()),
            false => Err(CatalogError::Rejected {
                catalog: self.inner.name().to_owned(),
                operation: format!("{what} namespace {}", namespace.join(".")),
                reason: format!("a replay into {} changes nothing else", self.namespace.join(".")),
            }),
        }
    }

    /// A folder that no other table will ever have; `None`: the catalog chooses.
    fn folder(&self, table: &str) -> Option<String> {
        // Readers disagree on whether a location is percent-decoded.
        let is_plain = |name: &str| {
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        };
        if !is_plain(table) || !self.namespace.iter().all(|name| is_plain(name)) {
            return None;
        }
        self.originals.values().find_map(|original| {
            let (warehouse, end) = (original.warehouse()?, original.note.folder.as_ref()?);
            Some(format!("{warehouse}/{}/{table}-{end}", self.namespace.join("/")))
        })
    }

    /// Makes a table whose columns have the ids of the original's. Catalogs number the columns of a new table themselves, so
    /// that it is made without any, and gets them in a commit: one that has none is not finished.
    async fn like(
        &self,
        (original, columns): (&LoadedTable, Columns),
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
        let current = original.metadata.current_schema().as_ref();
        let (was, schema, spec) = match columns {
            Columns::Mapped => {
                let schema = ids_of(&original.metadata, &creation.schema).map_err(unfit)?;
                (&creation.schema, schema, creation.partition_spec.clone())
            }
            Columns::OfOriginal => {
                let spec = original.metadata.default_partition_spec().as_ref().clone();
                let spec = Some(spec).filter(|spec| !spec.is_unpartitioned());
                (current, current.clone(), spec.map(PartitionSpec::into_unbound))
            }
        };
        let spec = spec.map(|spec| renamed(&spec, was, &schema, &original.metadata));
        let empty = TableCreation {
            schema: Schema::builder().build().map_err(unfit)?,
            partition_spec: None,
            ..creation
        };
        let made = self.inner.create(namespace, empty).await?;
        let mut builder = made.metadata.as_ref().clone().into_builder(None);
        builder = builder.add_current_schema(schema).map_err(unfit)?;
        if let Some(spec) = spec {
            builder = builder
                .add_default_partition_spec(spec.map_err(unfit)?)
                .map_err(unfit)?;
        }
        let updates = builder.build().map_err(unfit)?.changes;
        // Whoever found the table meanwhile has made nothing of it.
        let requirements = vec![
            TableRequirement::UuidMatch {
                uuid: made.metadata.uuid(),
            },
            TableRequirement::CurrentSchemaIdMatch {
                current_schema_id: made.metadata.current_schema_id(),
            },
        ];
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
) -> iceberg::Result<UnboundPartitionSpec> {
    let known = || original.partition_specs_iter().flat_map(|spec| spec.fields());
    let fields = spec.fields().iter().map(|field| {
        let source_id = was
            .name_by_field_id(field.source_id)
            .and_then(|name| now.field_id_by_name(name))
            .unwrap_or(field.source_id);
        let same = known().find(|known| known.source_id == source_id && known.transform == field.transform);
        UnboundPartitionField {
            source_id,
            field_id: None,
            name: same.map_or_else(|| field.name.clone(), |known| known.name.clone()),
            transform: field.transform,
        }
    });
    let builder = UnboundPartitionSpec::builder().add_partition_fields(fields)?;
    Ok(builder.build())
}

#[async_trait]
impl Catalog for Isolated {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.is_mine(namespace, "make")?;
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
        self.is_mine(namespace, "make a table in")?;
        creation.location = self.folder(&creation.name);
        let Some(original) = self.originals.get(&creation.name) else {
            let name = TableIdent::new(namespace.clone(), creation.name.clone());
            creation.properties.insert(BESIDE.to_owned(), name.to_string());
            return self.inner.create(namespace, creation).await;
        };
        creation
            .properties
            .insert(PROPERTY.to_owned(), original.note.text());
        match &original.table {
            None => self.inner.create(namespace, creation).await,
            Some(table) => self.like((table, original.columns), namespace, creation).await,
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
        self.is_mine(&table.namespace, "drop a table of")?;
        self.inner.drop_table(table).await
    }
}
