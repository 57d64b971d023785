//! The answers to a halt (commit protocol, section 7), and a rollback that an operator asks for, each a commit of its own
//! kind, for all jobs and partitions of the table at once. They raise the generation, so that units which were read before are dropped.

mod abandoned;
mod adopt_topic;
mod counted;
mod declare_lost;
mod letters_then;
mod of_offsets;
mod places;
mod prefix;
mod promote;
mod repair;
mod replayed;
mod restore_tag;
mod rewind;
mod rollback;
mod seen;
mod truncate;

use std::collections::BTreeMap;

use iceberg::spec::SnapshotRef as IcebergSnapshotRef;
use tabletopic_offsets::{Held, JobId, SnapshotRef, TableState};

pub use adopt_topic::AdoptTopic;
pub use declare_lost::{DeclareGaps, DeclareMissing};
pub use promote::{Marks, Promote};
pub use repair::{Repair, Swap, refuse_unread};
pub use restore_tag::{restore_tag, tag_stood_at};
pub use rewind::Rewind;
pub use rollback::Rollback;
pub use truncate::{LogCut, Truncate};

use abandoned::abandoned;
use prefix::prefix;

use super::base::Base;
use super::error::CommitError;
use super::halt::Halt;
use super::standing::Counted;
use super::tag_state::TagState;
use crate::lake::Lake;
use crate::rows;

/// Our nearest snapshot in the history of `main`, with its state.
fn nearest(base: &Base<TableState>) -> Result<Option<(IcebergSnapshotRef, TableState)>, CommitError> {
    let mut at = base.head();
    while let Some(snapshot) = at {
        let summary = &snapshot.summary().additional_properties;
        if summary.contains_key(TableState::MARK) {
            let state =
                <TableState as TagState>::decode(summary).map_err(|detail| Halt::StateUnreadable {
                    table: base.table.ident.clone(),
                    snapshot_id: snapshot.snapshot_id(),
                    detail,
                })?;
            return Ok(Some((snapshot.clone(), state)));
        }
        at = snapshot
            .parent_snapshot_id()
            .and_then(|parent| base.metadata().snapshot_by_id(parent));
    }
    Ok(None)
}

/// What our snapshots up to the tag's say, newest first: as far as the table still has them, and as they can be read.
pub fn states(base: &Base<TableState>) -> impl Iterator<Item = TableState> {
    let parent = |at: &&IcebergSnapshotRef| {
        at.parent_snapshot_id()
            .and_then(|parent| base.metadata().snapshot_by_id(parent))
    };
    std::iter::successors(base.tagged.as_ref().map(|tagged| &tagged.snapshot), parent).filter_map(
        |snapshot| <TableState as TagState>::decode(&snapshot.summary().additional_properties).ok(),
    )
}

fn snapshot_ref(snapshot: &IcebergSnapshotRef) -> SnapshotRef {
    SnapshotRef {
        sequence_number: snapshot.sequence_number(),
        snapshot_id: snapshot.snapshot_id(),
    }
}

/// The offsets of the rows that `main` holds.
async fn held(lake: &Lake, base: &Base<TableState>, state: &TableState) -> Result<Held, CommitError> {
    let job = only_topic(state).map_err(|detail| Halt::Resolve {
        table: base.table.ident.clone(),
        detail: format!(
            "{detail}. Set `main` forwards again to our newest snapshot, where the tag `tabletopic` points"
        ),
    })?;
    let ranges = match base.head() {
        Some(head) => rows::ranges(lake, &base.table, head.snapshot_id()).await?,
        None => BTreeMap::new(),
    };
    let by_partition = ranges
        .into_iter()
        .map(|(partition, ranges)| (partition, ranges.into_iter().collect()));
    Ok(Held::from([(job.clone(), by_partition.collect())]))
}

/// What a rewind to `older` has to know of the rows that `main` holds. Where they do not tell which topic they came
/// from, they have to be all that `older` counted, and nothing else: then none of them is beyond it.
async fn held_beyond(
    lake: &Lake,
    base: &Base<TableState>,
    state: &TableState,
    older: &TableState,
) -> Result<Held, CommitError> {
    if only_topic(state).is_ok() {
        return held(lake, base, state).await;
    }
    let counted = match base.head() {
        Some(head) => rows::held(lake, &base.table, head.snapshot_id()).await?,
        None => BTreeMap::new(),
    };
    match Some(counted) == older.held() {
        true => Ok(Held::new()),
        false => held(lake, base, state).await,
    }
}

/// The job that all rows came from.
///
/// # Errors
/// Says why rows do not tell.
fn only_topic(state: &TableState) -> Result<&JobId, &'static str> {
    let mut jobs = state.jobs.iter();
    let (Some((id, job)), None) = (jobs.next(), jobs.next()) else {
        return Err("several jobs feed it, and its rows do not tell which topic they came from");
    };
    match job.partitions.values().all(|partition| partition.past.is_empty()) {
        true => Ok(id),
        false => Err(
            "its topic was created again and adopted once, and its rows do not tell which of the two topics they came from",
        ),
    }
}
