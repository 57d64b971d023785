//! `$offsets`: one row for each snapshot of ours, topic partition and range: the rows of the ledger, and those of
//! newer snapshots, which wait in the table's own state until the ledger takes them over.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::ident;
use iceberg::io::FileIO;
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::{Follower, LedgerRow, TableState};
use tabletopic_table::commit::Base;
use tabletopic_table::follower::{self, FollowerState, ledger};

use crate::catalog::Namespace;
use crate::error::QueryError;
use crate::scan::{TableAt, arrow_schema};

/// The ledger is loaded after `main`: what a drain takes over in between is in both, never in neither.
///
/// # Errors
/// A table that was not written by us, or whose state cannot be read.
pub async fn provider(
    namespace: &Namespace,
    file_io: &FileIO,
    main: &LoadedTable,
) -> Result<Arc<dyn TableProvider>, QueryError> {
    let unknown = |reason: String| QueryError::State {
        table: main.ident.to_string(),
        reason,
    };
    let base = Base::<TableState>::read(main.clone()).map_err(|halt| unknown(halt.to_string()))?;
    let state = base.state().ok_or_else(|| {
        unknown("has no offsets: no snapshot of it was written by `tabletopic run`".to_owned())
    })?;
    let ledger = follower::ident(&main.ident, Follower::Ledger);
    let ledger = namespace.load_again(&ledger.name).await?;
    let drained = Base::<FollowerState>::read(ledger.clone()).map_err(|halt| unknown(halt.to_string()))?;
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
    let schema = arrow_schema(&ledger::schema()?)?;
    let waiting = ledger::batch(&waiting).map_err(|error| unknown(error.to_string()))?;
    let held = TableAt::now(ledger, file_io.clone())?;
    both(schema, held, waiting).map_err(QueryError::of)
}

fn both(schema: SchemaRef, held: TableAt, waiting: RecordBatch) -> Result<Arc<dyn TableProvider>> {
    let waiting = RecordBatch::try_new(schema.clone(), waiting.columns().to_vec())?;
    let waiting = MemTable::try_new(schema.clone(), vec![vec![waiting]])?;
    let waiting = ranges(&schema, "waiting", Arc::new(waiting))?;
    let all = LogicalPlanBuilder::from(ranges(&schema, "ledger", Arc::new(held))?).union(waiting)?;
    Ok(Arc::new(ViewTable::new(all.build()?, None)))
}

/// Rows about a range; a snapshot without one (a schema change, say) has a row in the ledger too.
fn ranges(schema: &SchemaRef, name: &str, table: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
    LogicalPlanBuilder::scan(name, provider_as_source(table), None)?
        .filter(ident("start_offset").is_not_null())?
        .project(schema.fields().iter().map(|field| ident(field.name())))?
        .build()
}
