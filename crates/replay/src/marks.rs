//! What becomes of a replay, written down before it does: so that whoever comes after a crash knows.

use std::collections::HashMap;

use iceberg::{TableIdent, TableRequirement, TableUpdate};
use tabletopic_catalog::{CatalogError, CommitOutcome, TableChange};
use tabletopic_table::Lake;

use crate::ReplayError;

/// One of the properties [`PROMOTED`](crate::PROMOTED) and [`DISCARDING`](crate::DISCARDING) is set.
///
/// # Errors
/// Those of the catalog.
pub async fn mark(lake: &Lake, table: &TableIdent, property: &str) -> Result<(), ReplayError> {
    let updates = HashMap::from([(property.to_owned(), "true".to_owned())]);
    change(lake, table, TableUpdate::SetProperties { updates }).await
}

/// Sets it again where the answer was lost, which changes nothing.
async fn change(lake: &Lake, table: &TableIdent, update: TableUpdate) -> Result<(), ReplayError> {
    const TIMES: usize = 5;
    let mut why = String::new();
    for _ in 0..TIMES {
        let base = lake.catalog.load(table).await?;
        let change = TableChange {
            requirements: vec![TableRequirement::UuidMatch {
                uuid: base.metadata.uuid(),
            }],
            updates: vec![update.clone()],
        };
        why = match lake.catalog.commit(&base, change).await {
            CommitOutcome::Applied(_) => return Ok(()),
            CommitOutcome::Conflict(why) | CommitOutcome::Unavailable(why) | CommitOutcome::Unknown(why) => {
                why
            }
            CommitOutcome::Rejected(why) => {
                let catalog = lake.catalog.name().to_owned();
                let operation = format!("set properties of table {table}");
                return Err(CatalogError::Rejected {
                    catalog,
                    operation,
                    reason: why,
                }
                .into());
            }
        };
    }
    Err(CatalogError::Unavailable {
        catalog: lake.catalog.name().to_owned(),
        operation: format!("set properties of table {table}"),
        reason: why,
        check: "the catalog".to_owned(),
        source: None,
    }
    .into())
}
