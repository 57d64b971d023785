//! Expiry that somebody asks for, of any table: a commit that only removes snapshots.
//!
//! It adds none, so that no id tells whether it was applied: after any answer the table is loaded again, and what has gone
//! from it has left.

use iceberg::TableIdent;
use iceberg::spec::{MAIN_BRANCH, SnapshotRef};
use tabletopic_catalog::{CommitOutcome, TableChange};
use tabletopic_clock::Millis;

use super::retention::{GC_ENABLED, LEAST, Retention};
use super::{candidates, delete_unreachable, down_to_ours, needed_by_others};
use crate::commit::base::Base;
use crate::commit::change::{requirements, without};
use crate::commit::engine::load_patiently;
use crate::commit::error::CommitError;
use crate::commit::halt::Halt;
use crate::commit::refs::refs;
use crate::commit::standing::{self, Counted};
use crate::commit::tag_state::TagState;
use crate::commit::wait::{Wait, Waiting};
use crate::lake::Lake;

/// Snapshots that leave with one commit: so many manifest lists are read to find out which files leave with them.
const AT_ONCE: usize = 200;

/// What is to be kept; where nothing is said, what the table's properties say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub older_than: Option<Millis>,
    /// Of the newest of `main`; never fewer than 10 of a table of ours.
    pub keep: Option<usize>,
}

/// The snapshots that would leave a table, oldest first.
///
/// # Errors
/// A table that nothing may be expired of (`gc.enabled`).
pub fn leaving<S: TagState>(
    base: &Base<S>,
    limits: Limits,
    now: Millis,
) -> Result<Vec<SnapshotRef>, CommitError> {
    let metadata = base.metadata();
    let Some(retention) = Retention::of(metadata) else {
        return Err(CommitError::Encode(format!(
            "nothing of {} may be expired: its property {GC_ENABLED} is false",
            base.table.ident
        )));
    };
    let refs = refs(metadata)?;
    let retention = retention.of_branch(refs.get(MAIN_BRANCH));
    let needed = needed_by_others(metadata, &refs);
    let (all, least) = match base.state() {
        Some(state) => (candidates(base, state, &needed), LEAST),
        None => {
            let mut all: Vec<&SnapshotRef> = metadata.snapshots().collect();
            all.sort_unstable_by_key(|snapshot| snapshot.sequence_number());
            all.retain(|snapshot| !needed.contains(&snapshot.snapshot_id()));
            (all, 1)
        }
    };
    let keep = limits.keep.unwrap_or(retention.min_to_keep).max(least);
    let kept_from = base.history().nth(keep - 1).map_or(0, |at| at.sequence_number());
    let kept_from = match base.state() {
        Some(_) => down_to_ours(base, kept_from),
        None => kept_from,
    };
    let oldest = now - limits.older_than.unwrap_or(retention.max_age_ms);
    let goes =
        |snapshot: &&SnapshotRef| snapshot.sequence_number() < kept_from && snapshot.timestamp_ms() < oldest;
    Ok(all.into_iter().take_while(goes).cloned().collect())
}

/// Removes them, and the files that only they led to. Answers how many left.
///
/// # Errors
/// A [`CommitError`] that is not transient.
pub async fn expire<S: TagState + Counted>(
    lake: &Lake,
    table: &TableIdent,
    limits: Limits,
    waiting: &dyn Waiting,
) -> Result<usize, CommitError> {
    let now = lake.clock.now();
    let mut wait = Wait::new(table.clone(), lake, waiting);
    let mut gone = 0;
    // What the last commit was to remove, and from which metadata.
    let mut asked: Option<(String, Vec<SnapshotRef>)> = None;
    loop {
        let base: Base<S> = Base::of_anyone(load_patiently(lake, table, waiting).await?)?;
        let metadata = base.metadata();
        if let Some((from, leaving)) = asked.take() {
            let there = |at: &SnapshotRef| metadata.snapshot_by_id(at.snapshot_id()).is_some();
            if from != base.table.metadata_location && !leaving.iter().any(there) {
                gone += leaving.len();
                delete_unreachable(lake, &leaving, metadata).await;
            }
        }
        standing::check(lake, &base).await?;
        let mut leaving = leaving(&base, limits, now)?;
        leaving.truncate(AT_ONCE);
        if leaving.is_empty() {
            return Ok(gone);
        }
        let ids: Vec<i64> = leaving.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        let change = TableChange {
            requirements: requirements(&base, metadata),
            updates: without(metadata.clone().into_builder(None), metadata, &ids)
                .build()?
                .changes,
        };
        let outcome = lake.catalog.commit(&base.table, change).await;
        match &outcome {
            CommitOutcome::Unavailable(words) => wait.outage(words).await,
            CommitOutcome::Unknown(words) => wait.unknown(words).await,
            CommitOutcome::Conflict(words) => {
                let moved = load_patiently(lake, table, waiting).await?;
                if moved.metadata_location == base.table.metadata_location {
                    return Err(refused(table, words));
                }
            }
            CommitOutcome::Rejected(words) => return Err(refused(table, words)),
            CommitOutcome::Applied(_) => {}
        }
        asked = Some((base.table.metadata_location, leaving));
    }
}

fn refused(table: &TableIdent, words: &str) -> CommitError {
    let (table, words) = (table.clone(), words.to_owned());
    Halt::Refused { table, words }.into()
}
