//! Table metadata made from a creation or a change: the part of a commit that a REST catalog does on its
//! server, and that the other catalogs do here.

use iceberg::TableCreation;
use iceberg::TableUpdate;
use iceberg::spec::{Schema, TableMetadata, TableMetadataBuildResult, TableMetadataBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tabletopic_clock::Millis;
use uuid::Uuid;

use crate::{CommitOutcome, LoadedTable, TableChange};

/// Why a change was not applied, in words for the caller.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A requirement does not hold.
    Conflict(String),
    /// An update cannot be applied, or the result is not valid table metadata.
    Rejected(String),
}

impl<T> From<Refused> for CommitOutcome<T> {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Conflict(words) => Self::Conflict(words),
            Refused::Rejected(words) => Self::Rejected(words),
        }
    }
}

/// The metadata of a new, empty table. `creation` names its location.
pub(crate) fn create(creation: TableCreation, uuid: Uuid, now: Millis) -> iceberg::Result<TableMetadata> {
    let built = TableMetadataBuilder::from_table_creation(creation)?
        .assign_uuid(uuid)
        .build()?;
    let metadata = dated(built.metadata, now, false)?;
    check_readable(&metadata)?;
    Ok(metadata)
}

/// Checks the requirements against `base` and applies the updates to it. The base's metadata file enters the
/// metadata log.
pub(crate) fn apply(
    base: &LoadedTable,
    change: TableChange,
    now: Millis,
) -> Result<TableMetadataBuildResult, Refused> {
    for requirement in &change.requirements {
        let checked = requirement.check(Some(&base.metadata));
        checked.map_err(|error| Refused::Conflict(error.to_string()))?;
    }
    let adds_snapshot = change
        .updates
        .iter()
        .any(|update| matches!(update, TableUpdate::AddSnapshot { .. }));
    let rejected = |error: iceberg::Error| Refused::Rejected(error.to_string());
    let only_snapshots = change.updates.iter().all(is_about_snapshots);
    let mut built = build(base, change.updates).map_err(rejected)?;
    if !adds_snapshot {
        let now = now.max(base.metadata.last_updated_ms());
        let moved_main = built.metadata.history().len() > base.metadata.history().len();
        built.metadata = dated(built.metadata, now, moved_main).map_err(rejected)?;
    }
    if !only_snapshots {
        check_readable(&built.metadata).map_err(rejected)?;
    }
    Ok(built)
}

/// Snapshots and references have one shape, which is known to be read back; and nearly every commit is of these.
fn is_about_snapshots(update: &TableUpdate) -> bool {
    matches!(
        update,
        TableUpdate::AddSnapshot { .. }
            | TableUpdate::SetSnapshotRef { .. }
            | TableUpdate::RemoveSnapshots { .. }
            | TableUpdate::RemoveSnapshotRef { .. }
    )
}

/// Metadata that can be written need not be readable: JSON parsers limit how deep they go, so that types nested deep
/// enough would make a table that nobody can load any more.
pub(crate) fn check_readable(metadata: &TableMetadata) -> iceberg::Result<()> {
    read_back(metadata)
}

/// [`check_readable`] of metadata that is not made here: schemas stand as deep in it as in a list of a list.
pub(crate) fn check_schema_readable(schema: &Schema) -> iceberg::Result<()> {
    read_back(&vec![vec![schema.clone()]])
}

fn read_back<T: Serialize + DeserializeOwned>(written: &T) -> iceberg::Result<()> {
    let json = serde_json::to_vec(written)?;
    match serde_json::from_slice::<T>(&json) {
        Ok(_) => Ok(()),
        Err(error) => Err(iceberg::Error::new(
            iceberg::ErrorKind::DataInvalid,
            format!(
                "the table could not be loaded any more, because its metadata could not be read back: {error}"
            ),
        )),
    }
}

fn build(base: &LoadedTable, updates: Vec<TableUpdate>) -> iceberg::Result<TableMetadataBuildResult> {
    let location = Some(base.metadata_location.clone());
    let mut builder = TableMetadata::clone(&base.metadata).into_builder(location);
    for update in updates {
        builder = update.apply(builder)?;
    }
    builder.build()
}

/// The builder dates metadata by the host's clock unless a snapshot brings a time. We date it by ours, or a
/// simulated clock would stand before the table's own history. There is no setter: it goes through JSON.
pub(crate) fn dated(
    metadata: TableMetadata,
    now: Millis,
    last_history_entry_too: bool,
) -> iceberg::Result<TableMetadata> {
    let mut json = serde_json::to_value(metadata)?;
    json["last-updated-ms"] = Value::from(now);
    if last_history_entry_too
        && let Some(entry) = json["snapshot-log"]
            .as_array_mut()
            .and_then(|entries| entries.last_mut())
    {
        entry["timestamp-ms"] = Value::from(now);
    }
    Ok(serde_json::from_value(json)?)
}
