//! Is the tag's snapshot still in `main`? (commit protocol, section 4)
//!
//! Expiry removes snapshots between a tag and `main`, so a broken parent chain is not a rollback. The walk
//! over parents is pure; only where it ends at a parent that is missing is evidence looked for in the files.

use std::collections::BTreeMap;

use iceberg::spec::{SnapshotRef, TableMetadata};

use super::base::{Base, Tagged};
use super::error::CommitError;
use super::halt::Halt;
use tabletopic_offsets::TableState;

use super::tag_state::TagState;
use crate::lake::Lake;
use crate::rows::{self, Held};
use crate::snapshot::live;

/// What the parents of `main` say about the tag's snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walk {
    /// The tag's snapshot is the head of `main` or one of its ancestors.
    InMain,
    /// `main` was rolled back: what was seen.
    NotInMain(String),
    /// `main` leads to a newer snapshot of ours first, so the tag was moved back.
    TagMovedBack { newest: i64 },
    /// The chain ends above the tag, so the snapshots alone do not tell: what was seen.
    Unknown(String),
}

/// Walks from the head of `main` to its oldest known ancestor. Each snapshot of ours moves the tag in its own
/// commit, so none can lie between `main` and the tag: progress read through such a tag would be too low.
pub fn walk<S: TagState>(metadata: &TableMetadata, head: Option<&SnapshotRef>, tagged: &SnapshotRef) -> Walk {
    let Some(mut at) = head else {
        return Walk::NotInMain("`main` has no snapshot".to_owned());
    };
    loop {
        if at.snapshot_id() == tagged.snapshot_id() {
            return Walk::InMain;
        }
        if at.sequence_number() <= tagged.sequence_number() {
            return Walk::NotInMain(format!(
                "`main` leads to snapshot {} with sequence number {}, ours has {}",
                at.snapshot_id(),
                at.sequence_number(),
                tagged.sequence_number()
            ));
        }
        if at.summary().additional_properties.contains_key(S::MARK) {
            return Walk::TagMovedBack {
                newest: at.snapshot_id(),
            };
        }
        // PyIceberg's expiry makes the children of what it expires parentless; others leave the parent's id.
        let Some(parent) = at.parent_snapshot_id() else {
            return Walk::Unknown(format!("snapshot {} has no parent", at.snapshot_id()));
        };
        match metadata.snapshot_by_id(parent) {
            Some(snapshot) => at = snapshot,
            None => return Walk::Unknown(format!("the parent {parent} is missing")),
        }
    }
}

/// Rows that a state says the table holds, by topic partition number; `None` for states that keep no counts.
pub trait Counted {
    fn held(&self) -> Option<BTreeMap<i32, Held>>;
}

/// Passes if the tag's snapshot is in `main`; every commit of ours begins with this.
///
/// # Errors
/// Halts after a rollback, where somebody moved the tag, and where expiry has removed what could tell.
pub async fn check<S: TagState + Counted>(lake: &Lake, base: &Base<S>) -> Result<(), CommitError> {
    let Some(tagged) = &base.tagged else { return Ok(()) };
    let table = base.table.ident.clone();
    let snapshot_id = tagged.snapshot.snapshot_id();
    match walk::<S>(base.metadata(), base.head(), &tagged.snapshot) {
        Walk::InMain => Ok(()),
        Walk::NotInMain(seen) => Err(Halt::RolledBack {
            table,
            snapshot_id,
            seen,
        }
        .into()),
        Walk::TagMovedBack { newest } => Err(Halt::TagMovedBack {
            table,
            snapshot_id,
            newest,
        }
        .into()),
        Walk::Unknown(seen) => {
            if evidence(lake, base, tagged).await? {
                Ok(())
            } else {
                let seen = format!("{seen}, and the rows differ from our counts");
                Err(Halt::HistoryExpired {
                    table,
                    snapshot_id,
                    seen,
                }
                .into())
            }
        }
    }
}

/// A live file of the tag's snapshot, or rows that equal the tag's counters. The second is needed because
/// anchors, renewals and foreign compaction leave no entry with our snapshot's id.
async fn evidence<S: TagState + Counted>(
    lake: &Lake,
    base: &Base<S>,
    tagged: &Tagged<S>,
) -> Result<bool, CommitError> {
    let Some(head) = base.head() else { return Ok(false) };
    if live::has_entry_of(lake, base.metadata(), head, &tagged.snapshot).await? {
        return Ok(true);
    }
    let Some(expected) = tagged.state.held() else {
        return Ok(false);
    };
    Ok(rows::held(lake, &base.table, head.snapshot_id()).await? == expected)
}

impl Counted for TableState {
    /// Jobs are added up by partition number: rows do not always tell their topic. What retention has removed is not there.
    fn held(&self) -> Option<BTreeMap<i32, Held>> {
        let mut held = BTreeMap::<i32, Held>::new();
        for (partition, state) in self.jobs.values().flat_map(|job| &job.partitions) {
            if state.counts.rows > 0 {
                let total = held.entry(*partition).or_default();
                total.rows += state.counts.rows;
                total.offset_sum = total.offset_sum.wrapping_add(state.counts.offset_sum);
            }
        }
        for (partition, retired) in &self.retired {
            let total = held.entry(*partition).or_default();
            total.rows = total.rows.saturating_sub(retired.rows);
            total.offset_sum = total.offset_sum.wrapping_sub(retired.offset_sum);
        }
        // A partition without rows is not among those that are read.
        held.retain(|_, total| total.rows > 0);
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::history::History;

    fn seen(history: &History, head: i64, tagged: i64) -> Walk {
        let metadata = history.metadata();
        let snapshot = |id| metadata.snapshot_by_id(id).expect("it is in the history");
        walk::<TableState>(&metadata, Some(snapshot(head)), snapshot(tagged))
    }

    #[test]
    fn a_tag_below_other_writers_snapshots_is_in_main() {
        let history = History::default()
            .ours(1, None)
            .ours(2, Some(1))
            .foreign(3, Some(2))
            .foreign(4, Some(3));
        assert_eq!(seen(&history, 2, 2), Walk::InMain);
        assert_eq!(seen(&history, 4, 2), Walk::InMain);
    }

    #[test]
    fn a_newer_snapshot_of_ours_above_the_tag_means_that_the_tag_was_moved_back() {
        let history = History::default()
            .ours(1, None)
            .ours(2, Some(1))
            .ours(3, Some(2))
            .foreign(4, Some(3));
        assert_eq!(seen(&history, 4, 1), Walk::TagMovedBack { newest: 3 });
        assert_eq!(seen(&history, 3, 2), Walk::TagMovedBack { newest: 3 });
    }

    #[test]
    fn a_head_below_the_tag_or_beside_it_is_a_rollback() {
        let history = History::default()
            .ours(1, None)
            .ours(2, Some(1))
            .foreign(3, Some(1));
        assert!(matches!(seen(&history, 1, 2), Walk::NotInMain(_)), "below");
        assert!(matches!(seen(&history, 3, 2), Walk::NotInMain(_)), "beside");
        let metadata = history.metadata();
        let tagged = metadata.snapshot_by_id(2).expect("it is in the history");
        assert!(
            matches!(walk::<TableState>(&metadata, None, tagged), Walk::NotInMain(_)),
            "emptied"
        );
    }

    #[test]
    fn a_chain_that_ends_above_the_tag_tells_nothing() {
        let history = History::default()
            .ours(1, None)
            .foreign(2, Some(1))
            .foreign(3, Some(2))
            .expired(2);
        assert_eq!(
            seen(&history, 3, 1),
            Walk::Unknown("the parent 2 is missing".to_owned())
        );
        let parentless = History::default()
            .ours(1, None)
            .foreign(3, None)
            .foreign(4, Some(3));
        assert_eq!(
            seen(&parentless, 4, 1),
            Walk::Unknown("snapshot 3 has no parent".to_owned())
        );
    }
}
