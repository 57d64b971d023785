//! How old the newest record of a table is, by its Kafka timestamp: from the bounds that data files carry anyway.

use iceberg::spec::{DataFile, PrimitiveLiteral, Schema};
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

/// The same of the last snapshot of ours that added rows, from its manifests.
///
/// # Errors
/// Those of reading manifests.
pub(super) async fn of_last_commit(lake: &Lake, table: &LoadedTable) -> Result<Option<Millis>, CommitError> {
    let metadata = &table.metadata;
    let ours = metadata.snapshots().filter(|snapshot| {
        let summary = &snapshot.summary().additional_properties;
        summary.contains_key(<TableState as TagState>::MARK) && summary.contains_key("added-records")
    });
    let Some(last) = ours.max_by_key(|snapshot| snapshot.sequence_number()) else {
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
