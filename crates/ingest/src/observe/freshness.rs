//! How old the newest record of a table is, by its Kafka timestamp: from the bounds that data files carry anyway.

use std::cmp::Reverse;

use iceberg::spec::{DataFile, PrimitiveLiteral, Schema, SnapshotRef};
use tabletopic_catalog::LoadedTable;
use tabletopic_clock::Millis;
use tabletopic_decode::kafka_columns::KafkaColumn;
use tabletopic_offsets::TableState;
use tabletopic_table::Lake;
use tabletopic_table::commit::{CommitError, TagState};
use tabletopic_table::snapshot::live;

/// The highest Kafka timestamp in these files. `None` without rows, and for tables without the column.
pub fn newest_record<'a>(files: impl Iterator<Item = &'a DataFile>, schema: &Schema) -> Option<Millis> {
    let column = schema.field_by_name(KafkaColumn::Timestamp.name())?.id;
    let bounds = files.filter_map(|file| match file.upper_bounds().get(&column)?.literal() {
        PrimitiveLiteral::Long(micros) => Some(micros.div_euclid(1000)),
        _ => None,
    });
    bounds.max()
}

/// Whether a snapshot of ours read what was new then. History says nothing of how fresh a table is.
fn has_moved_live_edge(snapshot: &SnapshotRef) -> bool {
    let summary = &snapshot.summary().additional_properties;
    let Ok(state) = <TableState as TagState>::decode(summary) else {
        return false;
    };
    state.added.iter().any(|added| {
        let held = state.partition(&added.job, added.partition);
        held.is_some_and(|held| held.progress.live_end() == added.range.end)
    })
}

/// The same of the last snapshot of ours that added rows which were new, from its manifests.
///
/// # Errors
/// Those of reading manifests.
pub(super) async fn of_last_commit(lake: &Lake, table: &LoadedTable) -> Result<Option<Millis>, CommitError> {
    let metadata = &table.metadata;
    let ours = metadata.snapshots().filter(|snapshot| {
        let summary = &snapshot.summary().additional_properties;
        summary.contains_key(<TableState as TagState>::MARK) && summary.contains_key("added-records")
    });
    let mut ours: Vec<&SnapshotRef> = ours.collect();
    ours.sort_by_key(|snapshot| Reverse(snapshot.sequence_number()));
    let of_new = ours.iter().find(|snapshot| has_moved_live_edge(snapshot));
    let Some(last) = of_new.or(ours.first()) else {
        return Ok(None);
    };
    let mut added = Vec::new();
    for manifest in live::manifests(lake, metadata, last).await? {
        if manifest.added_snapshot_id == last.snapshot_id() {
            let live = live::files(lake, &manifest).await?;
            let of_it = live
                .into_iter()
                .filter(|live| live.snapshot_id == last.snapshot_id());
            added.extend(of_it.map(|live| live.file));
        }
    }
    Ok(newest_record(added.iter(), metadata.current_schema()))
}
