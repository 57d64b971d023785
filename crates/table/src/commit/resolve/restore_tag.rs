//! Somebody removed the tag `tabletopic`: sets it back where the table itself proves that it stood.

use std::collections::HashSet;

use iceberg::spec::{SnapshotRef, SnapshotReference, SnapshotRetention};
use iceberg::{TableIdent, TableUpdate};
use tabletopic_catalog::{CommitOutcome, LoadedTable, TableChange};
use tabletopic_offsets::TableState;

use crate::commit::change::requirements;
use crate::commit::wait::Wait;
use crate::commit::{Base, CommitError, Halt, LogWaiting, TAG, TagState, load_patiently};
use crate::lake::Lake;

/// The snapshot where the tag stood.
///
/// Each of our commits moves the tag, so it stood at the newest snapshot that we ever made. That is the newest of ours
/// which the table still has, if each sequence number above it belongs to a snapshot that is there to be seen.
///
/// # Errors
/// A halt where a snapshot above it was expired, which may have been ours, and where there is none of ours.
pub fn tag_stood_at(table: &LoadedTable) -> Result<&SnapshotRef, Halt> {
    let refused = |detail: &str| Halt::Resolve {
        table: table.ident.clone(),
        detail: format!(
            "its tag `tabletopic` is gone, and {detail}. If you know our newest snapshot from elsewhere (the log of the \
             service, `commit_sequence_number` in the ledger), set `main` and the tag to it, or to an older one of ours; \
             else begin a new table"
        ),
    };
    let metadata = &table.metadata;
    let is_ours = |snapshot: &&SnapshotRef| {
        let summary = &snapshot.summary().additional_properties;
        summary.contains_key(TableState::MARK)
    };
    let newest = metadata
        .snapshots()
        .filter(is_ours)
        .max_by_key(|snapshot| snapshot.sequence_number())
        .ok_or_else(|| refused("no snapshot of ours is left that says how far the table is"))?;
    let seen: HashSet<i64> = metadata
        .snapshots()
        .map(|snapshot| snapshot.sequence_number())
        .collect();
    let above = newest.sequence_number() + 1..=metadata.last_sequence_number();
    match above.clone().find(|number| !seen.contains(number)) {
        None => Ok(newest),
        Some(number) => Err(refused(&format!(
            "the snapshot with sequence number {number} was expired, which may have been ours and newer than {}",
            newest.snapshot_id()
        ))),
    }
}

/// Sets the tag to where it stood. Fine if it is there already.
///
/// # Errors
/// Those of [`tag_stood_at`], and a [`CommitError`] that is not transient.
pub async fn restore_tag(lake: &Lake, ident: &TableIdent) -> Result<LoadedTable, CommitError> {
    let mut wait = Wait::new(ident.clone(), lake, &LogWaiting);
    loop {
        let table = load_patiently(lake, ident, &LogWaiting).await?;
        if table.metadata.snapshot_for_ref(TAG).is_some() {
            return Ok(table);
        }
        let max_ref_age_ms = Some(i64::MAX);
        let reference = SnapshotReference::new(
            tag_stood_at(&table)?.snapshot_id(),
            SnapshotRetention::Tag { max_ref_age_ms },
        );
        let base = Base::<TableState> { table, tagged: None };
        let change = TableChange {
            requirements: requirements(&base, base.metadata()),
            updates: vec![TableUpdate::SetSnapshotRef {
                ref_name: TAG.to_owned(),
                reference,
            }],
        };
        match lake.catalog.commit(&base.table, change).await {
            CommitOutcome::Applied(_) => {}
            CommitOutcome::Unknown(words) => wait.unknown(&words).await,
            // Somebody was faster; or not, and it is asked again with growing pauses.
            CommitOutcome::Unavailable(words) | CommitOutcome::Conflict(words) => wait.outage(&words).await,
            CommitOutcome::Rejected(words) => {
                let table = ident.clone();
                return Err(Halt::Refused { table, words }.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::history::History;

    fn stood_at(history: &History) -> Result<i64, String> {
        let found = tag_stood_at(&history.table()).map(|snapshot| snapshot.snapshot_id());
        found.map_err(|halt| halt.to_string())
    }

    #[test]
    fn it_stood_at_our_newest_snapshot_wherever_main_is() {
        let history = History::default()
            .ours(1, None)
            .ours(2, Some(1))
            .ours(3, Some(2))
            .foreign(4, Some(2));
        assert_eq!(stood_at(&history), Ok(3));
        assert_eq!(stood_at(&history.main(4).expired(1)), Ok(3));
    }

    #[test]
    fn an_expired_snapshot_above_it_may_have_been_ours() {
        let history = History::default()
            .ours(1, None)
            .ours(2, Some(1))
            .foreign(3, Some(2))
            .expired(2);
        let refused = stood_at(&history).expect_err("2 may have been ours, and was");
        assert!(refused.contains("sequence number 2 was expired"), "{refused}");
    }

    #[test]
    fn without_a_snapshot_of_ours_nothing_tells() {
        let refused = stood_at(&History::default().foreign(1, None)).expect_err("it never stood");
        assert!(refused.contains("no snapshot of ours is left"), "{refused}");
    }
}
