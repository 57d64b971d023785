//! What must hold of a table for a commit, in the words of Iceberg's Java implementation, which clients pass on.

use iceberg::spec::{MAIN_BRANCH, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};

/// The first requirement that does not hold.
pub fn check(metadata: &TableMetadata, requirements: &[TableRequirement]) -> Result<(), String> {
    requirements
        .iter()
        .try_for_each(|requirement| one(metadata, requirement))
}

fn one(metadata: &TableMetadata, requirement: &TableRequirement) -> Result<(), String> {
    let same = |what: &str, expected: i64, found: i64| match expected == found {
        true => Ok(()),
        false => Err(format!(
            "Requirement failed: {what} changed: expected id {expected} != {found}"
        )),
    };
    match requirement {
        TableRequirement::NotExist => Err("Requirement failed: table already exists".to_owned()),
        TableRequirement::UuidMatch { uuid } if *uuid == metadata.uuid() => Ok(()),
        TableRequirement::UuidMatch { uuid } => Err(format!(
            "Requirement failed: UUID does not match: expected {} != {uuid}",
            metadata.uuid()
        )),
        TableRequirement::RefSnapshotIdMatch { r#ref, snapshot_id } => {
            reference(metadata, r#ref, *snapshot_id)
        }
        TableRequirement::CurrentSchemaIdMatch { current_schema_id } => same(
            "current schema",
            i64::from(*current_schema_id),
            i64::from(metadata.current_schema_id()),
        ),
        TableRequirement::LastAssignedFieldIdMatch {
            last_assigned_field_id,
        } => same(
            "last assigned field id",
            i64::from(*last_assigned_field_id),
            i64::from(metadata.last_column_id()),
        ),
        TableRequirement::DefaultSpecIdMatch { default_spec_id } => same(
            "default partition spec",
            i64::from(*default_spec_id),
            i64::from(metadata.default_partition_spec_id()),
        ),
        TableRequirement::LastAssignedPartitionIdMatch {
            last_assigned_partition_id,
        } => same(
            "last assigned partition id",
            i64::from(*last_assigned_partition_id),
            i64::from(metadata.last_partition_id()),
        ),
        TableRequirement::DefaultSortOrderIdMatch {
            default_sort_order_id,
        } => same(
            "default sort order",
            *default_sort_order_id,
            metadata.default_sort_order_id(),
        ),
    }
}

fn reference(metadata: &TableMetadata, name: &str, expected: Option<i64>) -> Result<(), String> {
    let found = metadata.snapshot_for_ref(name).map(|found| found.snapshot_id());
    let kind = if name == MAIN_BRANCH {
        "branch"
    } else {
        "branch or tag"
    };
    match (expected, found) {
        (None, Some(_)) => Err(format!(
            "Requirement failed: {kind} {name} was created concurrently"
        )),
        (Some(expected), None) => Err(format!(
            "Requirement failed: {kind} {name} is missing, expected {expected}"
        )),
        (Some(expected), Some(found)) if expected != found => Err(format!(
            "Requirement failed: {kind} {name} has changed: expected id {expected} != {found}"
        )),
        _ => Ok(()),
    }
}

/// Whether updates hold what only fits an older version of the table: a snapshot whose sequence number or first row id
/// has been given away since. The client has to build another commit.
pub fn stale(metadata: &TableMetadata, updates: &[TableUpdate]) -> Option<String> {
    updates.iter().find_map(|update| {
        let TableUpdate::AddSnapshot { snapshot } = update else {
            return None;
        };
        let (sequence, last) = (snapshot.sequence_number(), metadata.last_sequence_number());
        // A replaced table begins anew, without a parent.
        if sequence > 0 && sequence <= last && snapshot.parent_snapshot_id().is_some() {
            return Some(format!(
                "Cannot add snapshot with sequence number {sequence} older than last sequence number {last}"
            ));
        }
        let (first, next) = (snapshot.first_row_id()?, metadata.next_row_id());
        (first < next).then(|| {
            format!("Cannot add a snapshot, first-row-id is behind table next-row-id: {first} < {next}")
        })
    })
}

/// Whether this very commit is in the table already: a client that has lost the answer sends it again, and told that it
/// failed, it would add its rows once more. Ids of snapshots are random, and manifest lists are never written again.
pub fn applied_before(metadata: &TableMetadata, updates: &[TableUpdate]) -> bool {
    let mut added = updates.iter().filter_map(|update| match update {
        TableUpdate::AddSnapshot { snapshot } => Some(snapshot),
        _ => None,
    });
    let is_there = |snapshot: &iceberg::spec::Snapshot| {
        let there = metadata.snapshot_by_id(snapshot.snapshot_id());
        there.is_some_and(|there| there.manifest_list() == snapshot.manifest_list())
    };
    match added.next() {
        Some(first) => is_there(first) && added.all(is_there),
        None => false,
    }
}
