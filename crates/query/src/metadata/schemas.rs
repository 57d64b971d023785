//! `$schemas`: one row for each change of the table's columns or partitions. Ours are recorded, with the record that
//! asked for them. Other writers' are told by the table's own list of schemas, which says neither when nor why.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::error::ArrowError;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column as Named, JoinType, Result};
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::logical_expr::{LogicalPlanBuilder, lit};
use datafusion::prelude::ident;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use tabletopic_catalog::LoadedTable;
use tabletopic_table::follower::ledger;
use tabletopic_table::read::row_schema;
use tabletopic_table::schema::differences;

use super::recorded::Recorded;
use super::{Column, table};
use crate::catalog::Namespace;
use crate::error::QueryError;

/// Columns of the ledger, and what they are called here.
const COLUMNS: [(&str, &str); 7] = [
    ("schema_id", "schema_id"),
    ("change", "change"),
    ("committed_at", "committed_at"),
    ("snapshot_id", "snapshot_id"),
    ("topic", "topic"),
    ("partition", "partition"),
    ("record_offset", "offset"),
];

const CHANGED_BY: &str = "changed_by";

/// Who changed it: we, whichever process and release.
const OURS: &str = "tabletopic";

/// # Errors
/// As those of [`Recorded::load`].
pub async fn provider(
    namespace: &Namespace,
    file_io: &FileIO,
    main: &LoadedTable,
) -> Result<Arc<dyn TableProvider>, QueryError> {
    let recorded = Recorded::load(namespace, file_io, main).await?;
    let listed = listed(&main.metadata)?;
    changes(recorded.as_ref(), listed).map_err(QueryError::of)
}

fn changes(recorded: Option<&Recorded>, listed: RecordBatch) -> Result<Arc<dyn TableProvider>> {
    let listed = MemTable::try_new(listed.schema(), vec![vec![listed]])?;
    let listed = LogicalPlanBuilder::scan("listed", provider_as_source(Arc::new(listed)), None)?;
    let all = match recorded {
        None => listed,
        Some(recorded) => {
            let ours = || recorded.rows(&ident("change").is_not_null());
            let columns = COLUMNS.map(|(name, here)| ident(name).alias(here));
            let by_us = lit(OURS).alias(CHANGED_BY);
            let own = ours()?.project(columns.into_iter().chain([by_us]))?;
            // No schema of the list is somebody else's that a change of ours made.
            let made = ours()?.project([ident("schema_id").alias("made")])?.build()?;
            let same = (
                vec![Named::from_name("schema_id")],
                vec![Named::from_name("made")],
            );
            let others = listed.join(made, JoinType::LeftAnti, same, None)?;
            own.union(others.build()?)?
        }
    };
    Ok(Arc::new(ViewTable::new(all.build()?, None)))
}

/// The differences of each schema in the table's list to the one before it, as somebody else's changes.
fn listed(metadata: &TableMetadata) -> Result<RecordBatch, QueryError> {
    let mut schemas: Vec<_> = metadata.schemas_iter().collect();
    schemas.sort_by_key(|schema| schema.schema_id());
    let changes: Vec<(i32, String)> = schemas
        .windows(2)
        .flat_map(|pair| {
            let changes = differences(pair[0], pair[1]);
            changes.into_iter().map(|change| (pair[1].schema_id(), change))
        })
        .collect();
    let of_ledger = row_schema(&ledger::schema()?)?;
    let column = |(name, here): (&str, &'static str)| -> Result<Column, ArrowError> {
        let values: ArrayRef = match here {
            "schema_id" => Arc::new(Int32Array::from_iter_values(changes.iter().map(|(id, _)| *id))),
            "change" => Arc::new(StringArray::from_iter_values(
                changes.iter().map(|(_, change)| change),
            )),
            _ => new_null_array(of_ledger.field_with_name(name)?.data_type(), changes.len()),
        };
        Ok((here, values, true))
    };
    let mut columns = COLUMNS.into_iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let others = vec!["another writer"; changes.len()];
    columns.push((CHANGED_BY, Arc::new(StringArray::from(others)), false));
    Ok(table(columns)?)
}
