//! What was recorded of our snapshots: the rows of the ledger, and those of newer snapshots, which wait in the table's
//! own state until the ledger takes them over.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{LogicalPlanBuilder, cast, lit};
use datafusion::prelude::{Expr, ident};
use iceberg::io::FileIO;
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::{Follower, LedgerRow, TableState};
use tabletopic_table::commit::Base;
use tabletopic_table::follower::{self, FollowerState, ledger};
use tabletopic_table::read::row_schema;

use crate::catalog::Namespace;
use crate::error::QueryError;
use crate::scan::TableAt;

pub struct Recorded {
    /// Of the ledger, as this release makes it.
    pub schema: SchemaRef,
    held: Arc<dyn TableProvider>,
    waiting: Arc<dyn TableProvider>,
}

impl Recorded {
    /// `None` for a table that has no snapshot of ours. The ledger is loaded after `main`: what a drain takes over in
    /// between is in both, never in neither.
    ///
    /// # Errors
    /// A table whose state cannot be read; those of loading the ledger.
    pub async fn load(
        namespace: &Namespace,
        file_io: &FileIO,
        main: &LoadedTable,
    ) -> Result<Option<Self>, QueryError> {
        let unknown = |reason: String| QueryError::State {
            table: main.ident.to_string(),
            reason,
        };
        let base = Base::<TableState>::read(main.clone()).map_err(|halt| unknown(halt.to_string()))?;
        let Some(state) = base.state() else {
            return Ok(None);
        };
        let ledger = follower::ident(&main.ident, Follower::Ledger);
        let ledger = namespace.load_again(&ledger.name).await?;
        let drained =
            Base::<FollowerState>::read(ledger.clone()).map_err(|halt| unknown(halt.to_string()))?;
        let drained = drained
            .state()
            .map_or(0, |state| state.drained.snapshot.sequence_number);
        let waiting: Vec<LedgerRow<'_>> = state
            .outbox
            .ledger
            .iter()
            .filter(|entry| entry.stamp.snapshot.sequence_number > drained)
            .flat_map(|entry| entry.rows())
            .collect();
        let schema = row_schema(&ledger::schema()?)?;
        let waiting = ledger::batch(&waiting).map_err(|error| unknown(error.to_string()))?;
        let waiting = RecordBatch::try_new(schema.clone(), waiting.columns().to_vec())?;
        let waiting = MemTable::try_new(schema.clone(), vec![vec![waiting]]).map_err(QueryError::of)?;
        Ok(Some(Self {
            schema,
            held: Arc::new(TableAt::now(ledger, file_io.clone())?),
            waiting: Arc::new(waiting),
        }))
    }

    /// The rows that meet a condition, of all columns of the ledger.
    pub fn rows(&self, condition: &Expr) -> Result<LogicalPlanBuilder> {
        let rows = |name: &str, table: &Arc<dyn TableProvider>| {
            let known = table.schema();
            let columns = self
                .schema
                .fields()
                .iter()
                .map(|field| match known.index_of(field.name()) {
                    Ok(_) => ident(field.name()),
                    // A ledger that an earlier release made, and no drain has come to since.
                    Err(_) => cast(lit(ScalarValue::Null), field.data_type().clone()).alias(field.name()),
                });
            LogicalPlanBuilder::scan(name, provider_as_source(table.clone()), None)?
                .project(columns.collect::<Vec<_>>())?
                .filter(condition.clone())
        };
        rows("ledger", &self.held)?.union(rows("waiting", &self.waiting)?.build()?)
    }
}
