//! `$offsets`: one row for each snapshot of ours, topic partition and range.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::ViewTable;
use datafusion::prelude::ident;
use iceberg::io::FileIO;
use tabletopic_catalog::LoadedTable;

use super::recorded::Recorded;
use crate::catalog::Namespace;
use crate::error::QueryError;

/// Columns of the ledger that say nothing of ranges.
const OF_CHANGES: [&str; 2] = ["change", "record_offset"];

/// # Errors
/// A table that was not written by us, or whose state cannot be read.
pub async fn provider(
    namespace: &Namespace,
    file_io: &FileIO,
    main: &LoadedTable,
) -> Result<Arc<dyn TableProvider>, QueryError> {
    let recorded = Recorded::load(namespace, file_io, main).await?;
    let recorded = recorded.ok_or_else(|| QueryError::State {
        table: main.ident.to_string(),
        reason: "has no offsets: no snapshot of it was written by `tabletopic run`".to_owned(),
    })?;
    ranges(&recorded).map_err(QueryError::of)
}

/// Rows about a range: a snapshot without one has rows in the ledger too.
fn ranges(recorded: &Recorded) -> Result<Arc<dyn TableProvider>> {
    let columns = recorded.schema.fields().iter().map(|field| field.name());
    let columns = columns.filter(|name| !OF_CHANGES.contains(&name.as_str()));
    let ranges = recorded
        .rows(&ident("start_offset").is_not_null())?
        .project(columns.map(ident).collect::<Vec<_>>())?;
    Ok(Arc::new(ViewTable::new(ranges.build()?, None)))
}
