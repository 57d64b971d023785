//! Rows leave a table once they are older than it keeps them: whole partitions by time, without a look into files.

use std::collections::BTreeSet;
use std::time::Duration;

use iceberg::TableIdent;
use iceberg::spec::{FormatVersion, PartitionSpec, TableMetadata};
use serde::Serialize;
use tabletopic_catalog::LoadedTable;
use tabletopic_clock::Millis;
use tabletopic_table::Lake;
use tabletopic_table::commit::{Limit, Old, Retain, Waiting, commit, find_old, load_patiently};
use tabletopic_table::partition::is_of_time;

use crate::MaintainError;
use crate::owner::Owner;

/// For how long rows are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    pub age: Duration,
    /// Whose time it is; by default the one that the table is partitioned by.
    pub column: Option<String>,
}

/// What leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leaving {
    pub column: String,
    /// Milliseconds since 1970: partitions that end here or before.
    pub before: Millis,
    pub data_files: usize,
    /// Those that apply to nothing without the data files.
    pub delete_files: usize,
    /// Rows that were deleted in the files included.
    pub rows: u64,
    /// Of the data files.
    pub bytes: u64,
    /// Whether no data file would stay that is partitioned by the column.
    pub all: bool,
}

impl Leaving {
    fn new(column: String, limit: Limit, old: &Old) -> Self {
        Self {
            column,
            before: limit.before / 1000,
            data_files: old.data.len(),
            delete_files: old.deletes.len(),
            rows: old.rows,
            bytes: old.bytes,
            all: old.stay == 0 && !old.data.is_empty(),
        }
    }
}

/// What would leave a table now.
///
/// # Errors
/// Those of reading the table; one that has no partition by time, or more than one where no column is named.
pub async fn leaving(
    lake: &Lake,
    table: &TableIdent,
    retention: &Retention,
    waiting: &dyn Waiting,
) -> Result<Leaving, MaintainError> {
    let table = load_patiently(lake, table, waiting).await?;
    let (column, limit) = limit(lake, &table, retention)?;
    let old = find_old(lake, &table.metadata, limit).await?;
    Ok(Leaving::new(column, limit, &old))
}

/// Has it leave; answers what left, and with which snapshot. `None`: nothing was too old.
///
/// # Errors
/// As [`leaving`]; a halt of the table, and outages that last.
pub async fn retain(
    lake: &Lake,
    table: &TableIdent,
    retention: &Retention,
    waiting: &dyn Waiting,
) -> Result<(Leaving, Option<i64>), MaintainError> {
    let loaded = load_patiently(lake, table, waiting).await?;
    let (column, limit) = limit(lake, &loaded, retention)?;
    let older_than = humantime::format_duration(retention.age).to_string();
    let mut plan = Retain::new(lake, limit, older_than);
    let committed = commit(lake, table, &mut plan, waiting).await?;
    let snapshot = committed.snapshot.map(|snapshot| snapshot.snapshot_id());
    Ok((Leaving::new(column, limit, &plan.into_removed()), snapshot))
}

/// Which files are too old, and the name of the column that tells.
fn limit(lake: &Lake, table: &LoadedTable, retention: &Retention) -> Result<(String, Limit), MaintainError> {
    let (ident, metadata) = (&table.ident, &table.metadata);
    let version = metadata.format_version();
    if version == FormatVersion::V1 {
        return Err(MaintainError::Unsupported(format!(
            "{ident} is of format version {version}, and rows are only removed from tables of the versions 2 and 3 here; \
             upgrade it, or use an engine that writes this one"
        )));
    }
    if Owner::of(table) == Owner::Follower {
        return Err(MaintainError::Unsupported(format!(
            "{ident} says what became of another table's records, and keeps all of it; name the table itself"
        )));
    }
    let (name, column) = column(table, retention.column.as_deref())?;
    let age = i64::try_from(retention.age.as_micros()).unwrap_or(i64::MAX);
    let now = lake.clock.now().saturating_mul(1000);
    Ok((
        name,
        Limit {
            column,
            before: now.saturating_sub(age),
        },
    ))
}

fn column(table: &LoadedTable, named: Option<&str>) -> Result<(String, i32), MaintainError> {
    let (ident, metadata) = (&table.ident, &table.metadata);
    let schema = metadata.current_schema();
    let all: BTreeSet<i32> = metadata
        .partition_specs_iter()
        .flat_map(|spec| times(spec))
        .collect();
    let found = match named {
        Some(name) => {
            let Some(id) = schema.field_id_by_name(name) else {
                return Err(MaintainError::Unsupported(format!(
                    "{ident} has no column `{name}`"
                )));
            };
            BTreeSet::from([id]).intersection(&all).copied().collect()
        }
        None => match times(metadata.default_partition_spec()) {
            // From before it was partitioned otherwise.
            now if now.is_empty() => all,
            now => now,
        },
    };
    let name = |id: &i32| schema.name_by_field_id(*id).unwrap_or("?").to_owned();
    let mut ids = found.iter();
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok((name(id), *id)),
        (None, _) => Err(MaintainError::Unsupported(format!(
            "{ident} is not partitioned by the year, month, day or hour of {}, so that no file is known to be old; \
             partition it by one of them (`partition_by`)",
            named.map_or_else(|| "a column".to_owned(), |name| format!("`{name}`"))
        ))),
        (Some(_), Some(_)) => {
            let names: Vec<String> = found.iter().map(name).collect();
            Err(MaintainError::Unsupported(format!(
                "{ident} is partitioned by the time of several columns, {}; name the one that says how old a row is",
                names.join(" and ")
            )))
        }
    }
}

/// The columns whose time a spec partitions by.
fn times(spec: &PartitionSpec) -> BTreeSet<i32> {
    let fields = spec.fields().iter();
    fields
        .filter(|field| is_of_time(field.transform))
        .map(|field| field.source_id)
        .collect()
}

/// Whether some files of a table are partitioned by the time of a column.
pub fn is_kept_by(metadata: &TableMetadata, column: &str) -> bool {
    let id = metadata.current_schema().field_id_by_name(column);
    id.is_some_and(|id| {
        metadata
            .partition_specs_iter()
            .any(|spec| times(spec).contains(&id))
    })
}
