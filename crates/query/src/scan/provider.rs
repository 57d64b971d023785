//! A table at one of its snapshots.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::TableType;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::ExecutionPlan;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{FormatVersion, Schema, SnapshotRef, Type};
use tabletopic_catalog::LoadedTable;
use tabletopic_table::read::{DeleteFiles, column_id, row_schema};

use super::exec::{IcebergScan, Shared};
use super::plan::{self, Planned};
use super::predicate::{self, Referred};
use super::widened::may_be_widened;
use crate::error::QueryError;

/// A table as a query reads it: one snapshot, under one schema.
#[derive(Debug)]
pub struct TableAt {
    table: LoadedTable,
    file_io: FileIO,
    /// `None`: the table has no snapshot yet, and no rows.
    snapshot: Option<SnapshotRef>,
    schema: SchemaRef,
    /// The same columns with their field ids.
    fields: Vec<FieldRef>,
}

impl TableAt {
    /// The table as it is now, under its current schema.
    ///
    /// # Errors
    /// A format version that is not read here.
    pub fn now(table: LoadedTable, file_io: FileIO) -> Result<Self, QueryError> {
        let schema = table.metadata.current_schema().clone();
        let snapshot = table.metadata.current_snapshot().cloned();
        Self::new(table, file_io, snapshot, &schema)
    }

    /// The table at a snapshot, under the schema that it had then.
    ///
    /// # Errors
    /// As [`now`](Self::now).
    pub fn at(table: LoadedTable, file_io: FileIO, snapshot: SnapshotRef) -> Result<Self, QueryError> {
        let schema = snapshot.schema(&table.metadata)?;
        Self::new(table, file_io, Some(snapshot), &schema)
    }

    fn new(
        table: LoadedTable,
        file_io: FileIO,
        snapshot: Option<SnapshotRef>,
        schema: &Schema,
    ) -> Result<Self, QueryError> {
        let version = table.metadata.format_version();
        if version > FormatVersion::V2 {
            return Err(QueryError::FormatVersion {
                table: table.ident.to_string(),
                version: version.to_string(),
            });
        }
        Ok(Self {
            schema: row_schema(schema)?,
            fields: schema_to_arrow_schema(schema)?.fields().to_vec(),
            table,
            file_io,
            snapshot,
        })
    }

    async fn plan(&self, filters: &[Expr]) -> Result<Planned, QueryError> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(Planned::default());
        };
        // Planning binds names by the schema of the snapshot, which may have had others for the same columns.
        let then = snapshot.schema(&self.table.metadata)?;
        let referred = |name: &str| {
            let id = column_id(&self.fields[self.schema.index_of(name).ok()?])?;
            let field = then.as_struct().field_by_id(id)?;
            match field.field_type.as_ref() {
                Type::Primitive(ty)
                    if then.field_id_by_name(&field.name) == Some(id)
                        && !may_be_widened(&self.table.metadata, id, ty) =>
                {
                    Some(Referred {
                        name: field.name.clone(),
                        ty: ty.clone(),
                    })
                }
                _ => None,
            }
        };
        let predicate = predicate::convert(filters, &referred);
        plan::files(&self.table, &self.file_io, snapshot, predicate).await
    }
}

#[async_trait]
impl TableProvider for TableAt {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Any filter may prune; none is applied to rows here.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut planned = self.plan(filters).await?;
        // With filters, the first rows may all be unwanted ones.
        let limit = limit.filter(|_| filters.is_empty());
        if let Some(limit) = limit {
            planned.tasks = plan::enough(planned.tasks, limit);
        }
        let predicate = match conjunction(filters.iter().cloned()) {
            Some(filter) => {
                let filter = state.create_physical_expr(filter, &DFSchema::try_from(self.schema.clone())?)?;
                // Filters of a kind that it cannot judge prune nothing.
                PruningPredicate::try_new(filter, self.schema.clone()).ok()
            }
            None => None,
        };
        let shared = Shared {
            label: match &self.snapshot {
                Some(snapshot) => format!("{}@{}", self.table.ident, snapshot.snapshot_id()),
                None => self.table.ident.to_string(),
            },
            table: self.schema.clone(),
            fields: self.fields.clone(),
            predicate: predicate.filter(|predicate| !predicate.always_true()),
            filtered: !filters.is_empty(),
            deletes: DeleteFiles::new(self.file_io.clone(), self.table.metadata.clone()),
            file_io: self.file_io.clone(),
        };
        let projection = projection
            .cloned()
            .unwrap_or_else(|| (0..self.fields.len()).collect());
        let partitions = state.config().target_partitions();
        Ok(Arc::new(IcebergScan::new(
            shared, planned, projection, partitions, limit,
        )?))
    }
}
