//! Old snapshots leave with the commits that add new ones: by age, by number, and by the size of the metadata file,
//! which every commit and every reader has to read (commit protocol, sections 1, 4 and 6).
//!
//! Never expired are: the newest ten of `main`; what somebody else's tag points at, or branch leads to; snapshots of
//! ours whose ledger rows are not in the ledger yet; and what was there before our first snapshot. The tag moves to the
//! new head in the same commit, so that nothing can go between the two.

pub mod by_hand;
mod files;
mod retention;
mod size;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use iceberg::spec::{MAIN_BRANCH, SnapshotRef, SnapshotReference, TableMetadata};

use super::base::{Base, TAG, ancestors};
use super::error::CommitError;
use super::refs::refs;
use super::tag_state::{SnapshotAt, TagState};
use retention::{LEAST, Retention};

pub(super) use files::delete_unreachable;

/// The snapshots that leave with the commit that adds `at`, oldest first. `summary` is what `at` will say.
///
/// # Errors
/// None in practice.
pub(super) fn expired<S: TagState>(
    base: &Base<S>,
    state: &S,
    summary: &BTreeMap<String, String>,
    at: SnapshotAt,
) -> Result<Vec<SnapshotRef>, CommitError> {
    let metadata = base.metadata();
    let Some(retention) = Retention::of(metadata) else {
        return Ok(Vec::new());
    };
    let held = Held::of(base, summary);
    if !held.is_due(&retention, at) {
        return Ok(Vec::new());
    }
    let refs = refs(metadata)?;
    let candidates = candidates(base, state, &needed_by_others(metadata, &refs));
    let kept_from = held.cut(retention.of_branch(refs.get(MAIN_BRANCH)), at, &candidates);
    let kept_from = down_to_ours(base, kept_from);
    Ok(candidates
        .into_iter()
        .filter(|snapshot| snapshot.sequence_number() < kept_from)
        .cloned()
        .collect())
}

/// What the table would hold after the commit if nothing left.
struct Held<'a> {
    /// `main`, newest first, without the snapshot to be.
    history: Vec<&'a SnapshotRef>,
    bytes: usize,
}

impl<'a> Held<'a> {
    fn of<S: TagState>(base: &'a Base<S>, summary: &BTreeMap<String, String>) -> Self {
        let metadata = base.metadata();
        let snapshots = metadata.snapshots().map(|snapshot| size::of_snapshot(snapshot));
        Self {
            history: base.history().collect(),
            bytes: size::of_the_rest(metadata) + snapshots.sum::<usize>() + size::of_new(summary),
        }
    }

    /// Whether a limit is passed; the age by an eighth, since it is only cut to what it promises.
    fn is_due(&self, retention: &Retention, at: SnapshotAt) -> bool {
        let oldest = self
            .history
            .last()
            .map_or(at.timestamp_ms, |oldest| oldest.timestamp_ms());
        let late = retention.max_age_ms.saturating_add(retention.max_age_ms / 8);
        self.history.len() >= LEAST
            && (self.bytes > retention.max_metadata_bytes
                || self.history.len() + 1 > retention.max_snapshots.max(retention.min_to_keep)
                || at.timestamp_ms - oldest > late && self.history.len() >= retention.min_to_keep)
    }

    /// The sequence number from which on everything is kept. `candidates`: oldest first.
    fn cut(&self, retention: Retention, at: SnapshotAt, candidates: &[&SnapshotRef]) -> i64 {
        // The snapshot to be is the first of those that are kept.
        let newest = |count: usize| self.history.get(count - 2).map_or(0, |at| at.sequence_number());
        let (least, min_to_keep) = (newest(LEAST), newest(retention.min_to_keep));
        let mut kept_from = 0;
        let over_number = self.history.len() + 1 > retention.max_snapshots;
        let by_number = if over_number {
            newest(Retention::slack(retention.max_snapshots).max(LEAST))
        } else {
            0
        };
        let target = if self.bytes > retention.max_metadata_bytes {
            Retention::slack(retention.max_metadata_bytes)
        } else {
            usize::MAX
        };
        let mut bytes = self.bytes;
        for snapshot in candidates {
            let sequence_number = snapshot.sequence_number();
            let too_old = at.timestamp_ms - snapshot.timestamp_ms() > retention.max_age_ms;
            let goes =
                bytes > target || sequence_number < min_to_keep && (too_old || sequence_number < by_number);
            if sequence_number >= least || !goes {
                break;
            }
            bytes -= size::of_snapshot(snapshot).min(bytes);
            kept_from = sequence_number + 1;
        }
        kept_from
    }
}

/// Ids of the snapshots that somebody else's branches lead to and tags point at.
fn needed_by_others(metadata: &TableMetadata, refs: &BTreeMap<String, SnapshotReference>) -> HashSet<i64> {
    let mut needed = HashSet::new();
    for (name, reference) in refs {
        match reference.is_branch() {
            _ if name == MAIN_BRANCH || name == TAG => {}
            true => {
                let head = metadata.snapshot_by_id(reference.snapshot_id);
                needed.extend(ancestors(metadata, head).map(|snapshot| snapshot.snapshot_id()));
            }
            false => {
                needed.insert(reference.snapshot_id);
            }
        }
    }
    needed
}

/// What may leave at all, oldest first: in `main` or left beside it, whoever made it.
fn candidates<'a, S: TagState>(base: &'a Base<S>, state: &S, needed: &HashSet<i64>) -> Vec<&'a SnapshotRef> {
    let mut snapshots: Vec<&SnapshotRef> = base.metadata().snapshots().collect();
    snapshots.sort_unstable_by_key(|snapshot| snapshot.sequence_number());
    let settled = state.settled();
    snapshots
        .into_iter()
        .skip_while(|snapshot| !is_ours::<S>(snapshot))
        .take_while(|snapshot| !is_ours::<S>(snapshot) || snapshot.sequence_number() <= settled)
        .filter(|snapshot| !needed.contains(&snapshot.snapshot_id()))
        .collect()
}

/// What is kept of `main` begins with a snapshot of ours: to whichever of the rest somebody rolls back, there is a
/// state to rewind to.
fn down_to_ours<S: TagState>(base: &Base<S>, kept_from: i64) -> i64 {
    let kept: Vec<&SnapshotRef> = base.history().collect();
    let Some(last) = kept
        .iter()
        .rposition(|snapshot| snapshot.sequence_number() >= kept_from)
    else {
        return kept_from;
    };
    let ours = kept[last..].iter().find(|snapshot| is_ours::<S>(snapshot));
    ours.map_or(kept_from, |ours| kept_from.min(ours.sequence_number()))
}

fn is_ours<S: TagState>(snapshot: &SnapshotRef) -> bool {
    snapshot.summary().additional_properties.contains_key(S::MARK)
}
