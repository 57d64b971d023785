//! Names with a suffix: `orders$files`, `orders@8839`, `orders@2026-01-31T00:00:00Z`.

use chrono::DateTime;
use iceberg::spec::{SnapshotRef, TableMetadata};

use crate::error::QueryError;
use crate::metadata::Kind;

/// What a name asks for, beside the table that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    Now,
    Metadata(Kind),
    /// At a snapshot or a time, as it is written.
    At(&'a str),
}

/// Takes a name apart that is no table's own.
///
/// # Errors
/// A metadata table that does not exist.
pub fn parse(name: &str) -> Result<(&str, Asked<'_>), QueryError> {
    if let Some((table, kind)) = name.rsplit_once('$') {
        let kind = Kind::from_name(kind).ok_or_else(|| QueryError::UnknownMetadata {
            table: table.to_owned(),
            kind: kind.to_owned(),
            known: Kind::ALL.map(Kind::name).join(", "),
        })?;
        return Ok((table, Asked::Metadata(kind)));
    }
    Ok(match name.rsplit_once('@') {
        Some((table, point)) => (table, Asked::At(point)),
        None => (name, Asked::Now),
    })
}

/// The snapshot that a point in time names: an id, or the one that `main` was at then. `table` is the table with its
/// namespace, `name` without, for what errors say.
///
/// # Errors
/// What names nothing, with what there is.
pub fn snapshot(
    metadata: &TableMetadata,
    table: &str,
    name: &str,
    point: &str,
) -> Result<SnapshotRef, QueryError> {
    if let Ok(snapshot_id) = point.parse() {
        let found = metadata.snapshot_by_id(snapshot_id).cloned();
        return found.ok_or_else(|| QueryError::UnknownSnapshot {
            table: table.to_owned(),
            name: name.to_owned(),
            snapshot_id,
        });
    }
    let at = DateTime::parse_from_rfc3339(point).map_err(|_| QueryError::PointInTime {
        name: name.to_owned(),
        point: point.to_owned(),
    })?;
    let then = metadata
        .history()
        .iter()
        .rev()
        .find(|entry| entry.timestamp_ms() <= at.timestamp_millis());
    then.and_then(|entry| metadata.snapshot_by_id(entry.snapshot_id))
        .cloned()
        .ok_or_else(|| QueryError::BeforeHistory {
            table: table.to_owned(),
            name: name.to_owned(),
            at: point.to_owned(),
            oldest: oldest(metadata),
        })
}

fn oldest(metadata: &TableMetadata) -> String {
    let known = metadata
        .history()
        .iter()
        .filter(|entry| metadata.snapshot_by_id(entry.snapshot_id).is_some());
    let oldest = known.map(|entry| entry.timestamp_ms()).min();
    match oldest.and_then(DateTime::from_timestamp_millis) {
        Some(oldest) => format!(" (the oldest is of {})", oldest.format("%Y-%m-%dT%H:%M:%S%.3fZ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_taken_off() {
        assert_eq!(parse("orders").unwrap(), ("orders", Asked::Now));
        assert_eq!(
            parse("orders$files").unwrap(),
            ("orders", Asked::Metadata(Kind::Files))
        );
        assert_eq!(parse("orders@12").unwrap(), ("orders", Asked::At("12")));
        assert_eq!(
            parse("orders@2026-01-31T00:00:00+01:00").unwrap(),
            ("orders", Asked::At("2026-01-31T00:00:00+01:00"))
        );
        let error = parse("orders$snapshot").unwrap_err().to_string();
        assert!(error.contains("snapshots, "), "{error}");
    }
}
