//! The snapshots that leave the table with the answer to a rollback.
//!
//! What they added is read again from Kafka or declared lost. As long as one of them is in the table, anybody can
//! cherry-pick it back into `main`, and its rows would be there twice. That holds for other writers' snapshots too:
//! one may itself be a cherry-pick of ours.

use std::collections::HashSet;

use iceberg::spec::MAIN_BRANCH;
use tabletopic_offsets::{SnapshotRef, TableState};

use crate::commit::refs::refs;
use crate::commit::{Base, CommitError, Halt, TAG};

/// Ids of all snapshots above `since`, our nearest one in the history of `main`, that `main` does not lead to.
///
/// # Errors
/// Refused while a branch or tag of somebody else leads to one of them: it would vanish with the snapshot. (All
/// descendants of such a snapshot are such snapshots themselves.)
pub(super) fn abandoned(
    base: &Base<TableState>,
    since: Option<SnapshotRef>,
) -> Result<Vec<i64>, CommitError> {
    let above = since.map_or(0, |since| since.sequence_number);
    let history: HashSet<i64> = base.history().map(|snapshot| snapshot.snapshot_id()).collect();
    let outside: Vec<i64> = base
        .metadata()
        .snapshots()
        .filter(|snapshot| snapshot.sequence_number() > above)
        .map(|snapshot| snapshot.snapshot_id())
        .filter(|id| !history.contains(id))
        .collect();
    let foreign = |name: &str| name != MAIN_BRANCH && name != TAG;
    let held = refs(base.metadata())?
        .into_iter()
        .find(|(name, at)| foreign(name) && outside.contains(&at.snapshot_id));
    match held {
        None => Ok(outside),
        Some((name, at)) => {
            let (what, snapshot_id) = (if at.is_branch() { "branch" } else { "tag" }, at.snapshot_id);
            let detail = format!(
                "the {what} `{name}` points at snapshot {snapshot_id}, which is not in the history of `main`. Its \
                 records will be read again or declared lost, so it has to leave the table: otherwise somebody could \
                 cherry-pick it back, and rows would be there twice. Drop the {what} `{name}`, or move it to a \
                 snapshot of `main`, then try again"
            );
            Err(Halt::Resolve {
                table: base.table.ident.clone(),
                detail,
            }
            .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::history::History;

    const SINCE: Option<SnapshotRef> = Some(SnapshotRef {
        sequence_number: 2,
        snapshot_id: 2,
    });

    /// Ours up to 4, rolled back to 2. 5 is somebody's cherry-pick of 3, rolled back as well.
    fn rolled_back() -> History {
        let ours = History::default()
            .ours(1, None)
            .ours(2, Some(1))
            .ours(3, Some(2))
            .ours(4, Some(3));
        ours.foreign(5, Some(2)).main(2).tag(TAG, 4)
    }

    fn ids(history: History, since: Option<SnapshotRef>) -> Vec<i64> {
        let mut ids = abandoned(&history.base(), since).expect("nothing stands in the way");
        ids.sort_unstable();
        ids
    }

    #[test]
    fn all_that_a_rollback_left_behind_goes_whoever_made_it() {
        assert_eq!(ids(rolled_back(), SINCE), [3, 4, 5]);
    }

    #[test]
    fn the_history_of_main_stays_and_what_is_older_than_our_nearest_snapshot_too() {
        let history = History::default()
            .ours(1, None)
            .foreign(2, Some(1))
            .ours(3, Some(1))
            .ours(4, Some(3));
        let since = SnapshotRef {
            sequence_number: 3,
            snapshot_id: 3,
        };
        assert_eq!(
            ids(history.foreign(5, Some(3)).main(5).tag(TAG, 4), Some(since)),
            [4]
        );
    }

    #[test]
    fn without_a_snapshot_of_ours_in_main_all_that_is_not_in_main_goes() {
        let history = History::default()
            .foreign(1, None)
            .ours(2, Some(1))
            .ours(3, Some(2))
            .main(1)
            .tag(TAG, 3);
        assert_eq!(ids(history, None), [2, 3]);
    }

    #[test]
    fn a_branch_or_tag_of_somebody_else_refuses_by_its_name() {
        let tag = abandoned(&rolled_back().tag("release", 3).base(), SINCE)
            .expect_err("it holds 3")
            .to_string();
        assert!(tag.contains("the tag `release` points at snapshot 3"), "{tag}");
        let history = rolled_back()
            .foreign(6, Some(4))
            .foreign(7, Some(6))
            .branch("audit", 7);
        let branch = abandoned(&history.base(), SINCE)
            .expect_err("7 leads to 4")
            .to_string();
        assert!(
            branch.contains("the branch `audit` points at snapshot 7"),
            "{branch}"
        );
    }

    #[test]
    fn refs_into_the_history_of_main_stand_in_nobodys_way() {
        assert_eq!(
            ids(rolled_back().tag("release", 1).branch("audit", 2), SINCE),
            [3, 4, 5]
        );
    }
}
