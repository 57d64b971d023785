//! One of the two tables, at one snapshot.

use chrono::DateTime;
use iceberg::TableIdent;
use iceberg::spec::{SchemaRef, SnapshotRef, TableMetadata};
use tabletopic_catalog::LoadedTable;
use tabletopic_table::Lake;

use super::CompareError;

/// A table as it was when it was looked at, or at the snapshot that is named.
#[derive(Debug)]
pub struct Side {
    /// As somebody named it.
    pub name: String,
    pub lake: Lake,
    pub table: LoadedTable,
    /// `None`: the table has no snapshot yet, and no rows.
    pub snapshot: Option<SnapshotRef>,
    /// The current one, or the one that the snapshot had.
    pub schema: SchemaRef,
}

impl Side {
    /// Finds `namespace.table`, at the snapshot, time, tag or branch behind an `@` if there is one.
    ///
    /// # Errors
    /// A name that names nothing, with what there is; those of the catalog.
    pub async fn open(lake: &Lake, name: &str) -> Result<Self, CompareError> {
        let (table, point) = match name.split_once('@') {
            Some((table, point)) => (table, Some(point)),
            None => (name, None),
        };
        let table = lake.catalog.load(&ident(table)?).await?;
        let metadata = &table.metadata;
        let (snapshot, schema) = match point {
            None => (
                metadata.current_snapshot().cloned(),
                metadata.current_schema().clone(),
            ),
            Some(point) => {
                let snapshot = at(metadata, point).ok_or_else(|| unknown(&table, point))?;
                let schema = snapshot.schema(metadata)?;
                (Some(snapshot), schema)
            }
        };
        Ok(Self {
            name: name.to_owned(),
            lake: lake.clone(),
            snapshot,
            schema,
            table,
        })
    }
}

fn ident(name: &str) -> Result<TableIdent, CompareError> {
    let parts: Vec<&str> = name.split('.').collect();
    let ident = TableIdent::from_strs(&parts)
        .ok()
        .filter(|_| parts.len() > 1 && parts.iter().all(|part| !part.is_empty()));
    ident.ok_or_else(|| {
        CompareError::Asked(format!(
            "`{name}` is no table: write its namespace as well, as in shop.orders"
        ))
    })
}

/// The snapshot with this id, the one that `main` was at then, or the one that a tag or branch points at.
fn at(metadata: &TableMetadata, point: &str) -> Option<SnapshotRef> {
    if let Ok(id) = point.parse() {
        return metadata.snapshot_by_id(id).cloned();
    }
    let Ok(time) = DateTime::parse_from_rfc3339(point) else {
        return metadata.snapshot_for_ref(point).cloned();
    };
    let then = metadata
        .history()
        .iter()
        .rev()
        .find(|entry| entry.timestamp_ms() <= time.timestamp_millis());
    metadata.snapshot_by_id(then?.snapshot_id).cloned()
}

fn unknown(table: &LoadedTable, point: &str) -> CompareError {
    let metadata = &table.metadata;
    let known = metadata.history().iter();
    let known = known.filter(|entry| metadata.snapshot_by_id(entry.snapshot_id).is_some());
    let oldest = known
        .map(|entry| entry.timestamp_ms())
        .min()
        .and_then(DateTime::from_timestamp_millis)
        .map_or_else(
            || "it has no snapshot yet".to_owned(),
            |at| {
                format!(
                    "its oldest snapshot is of {}",
                    at.format("%Y-%m-%dT%H:%M:%S%.3fZ")
                )
            },
        );
    CompareError::Asked(format!(
        "table {} has no snapshot `{point}`: write the id of one, a time with its zone such as 2026-01-31T00:00:00Z, a \
         tag or a branch; {oldest}",
        table.ident
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Snapshots 7 and 8, an hour apart from 2026-01-01 on; a tag at the first, a branch at the second.
    fn metadata() -> TableMetadata {
        const BEGIN: i64 = 1_767_225_600_000;
        const HOUR: i64 = 3_600_000;
        let snapshot = |id: i64, at: i64| {
            json!({"snapshot-id": id, "sequence-number": id, "timestamp-ms": at, "schema-id": 0,
                "manifest-list": "file:///t/list.avro", "summary": {"operation": "append"}})
        };
        let metadata = json!({
            "format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": "file:///t",
            "last-sequence-number": 8, "last-updated-ms": BEGIN + HOUR, "last-column-id": 0,
            "schemas": [{"type": "struct", "schema-id": 0, "fields": []}], "current-schema-id": 0,
            "partition-specs": [{"spec-id": 0, "fields": []}], "default-spec-id": 0, "last-partition-id": 999,
            "sort-orders": [{"order-id": 0, "fields": []}], "default-sort-order-id": 0,
            "current-snapshot-id": 8, "snapshots": [snapshot(7, BEGIN), snapshot(8, BEGIN + HOUR)],
            "snapshot-log": [{"snapshot-id": 7, "timestamp-ms": BEGIN}, {"snapshot-id": 8, "timestamp-ms": BEGIN + HOUR}],
            "refs": {"main": {"snapshot-id": 8, "type": "branch"}, "ref-7": {"snapshot-id": 7, "type": "tag"},
                "ref-8": {"snapshot-id": 8, "type": "branch"}},
        });
        serde_json::from_value(metadata).unwrap()
    }

    #[test]
    fn a_snapshot_is_named_by_id_time_tag_or_branch() {
        let metadata = metadata();
        let found = |point| at(&metadata, point).map(|snapshot| snapshot.snapshot_id());
        for (point, id) in [
            ("7", Some(7)),
            ("9", None),
            ("2026-01-01T00:59:59.999Z", Some(7)),
            ("2026-01-01T02:00:00+01:00", Some(8)),
            ("2030-01-01T00:00:00Z", Some(8)),
            ("2025-12-31T23:59:59Z", None),
            ("ref-7", Some(7)),
            ("ref-8", Some(8)),
            ("main", Some(8)),
            ("yesterday", None),
        ] {
            assert_eq!(found(point), id, "{point}");
        }
    }

    #[test]
    fn a_table_has_a_namespace() {
        assert_eq!(ident("a.b.c").unwrap().to_string(), "a.b.c");
        for name in ["orders", "", ".", "shop."] {
            assert!(matches!(ident(name), Err(CompareError::Asked(_))), "{name}");
        }
    }
}
