//! After somebody's rollback: progress goes back to what `main`'s history says, so that what the rollback removed
//! is read again from Kafka. Where that history was expired, the ledger says it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tabletopic_offsets::{Held, Kind, SnapshotRef, TableState};

use super::{abandoned, held, held_beyond, nearest, prefix, snapshot_ref};
use crate::commit::append::never_anchored;
use crate::commit::{
    Base, Change, CommitError, Halt, Leaving, Note, Plan, SnapshotAt, TagState, check_standing,
};
use crate::lake::Lake;

#[derive(Debug)]
pub struct Rewind<'a> {
    pub lake: &'a Lake,
    /// The operator's words, for the ledger.
    pub reason: String,
}

#[async_trait]
impl Plan<TableState> for Rewind<'_> {
    fn needs_standing(&self) -> bool {
        false
    }

    async fn plan(
        &mut self,
        base: &Base<TableState>,
        at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(tagged) = &base.tagged else {
            return Err(never_anchored(base));
        };
        let nearest = nearest(base)?;
        if nearest
            .as_ref()
            .is_some_and(|(snapshot, _)| snapshot.snapshot_id() == tagged.snapshot.snapshot_id())
        {
            return Ok(None);
        }
        let (since, older, held) = match nearest {
            Some((snapshot, older)) => {
                let held = held_beyond(self.lake, base, &tagged.state, &older).await?;
                (Some(snapshot_ref(&snapshot)), older, held)
            }
            // Only files tell that our snapshot is in `main`, and they do.
            None if is_standing(self.lake, base).await? => return Ok(None),
            None => {
                let held = held(self.lake, base, &tagged.state).await?;
                match prefix(self.lake, base, tagged, &held).await {
                    Ok((since, older)) => (Some(since), older, held),
                    // Where no row is left, going back to the anchors is right whatever the ledger says.
                    Err(CommitError::Halt(_)) if held.values().all(BTreeMap::is_empty) => {
                        (None, TableState::empty(), held)
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let reason = self.reason.clone();
        Ok(Some(rewound(self.lake, base, at, (since, older), &held, reason)?))
    }
}

/// Progress goes back to `older`, the state of our snapshot `since`; `base` is the table as it is rolled back.
pub(super) fn rewound(
    lake: &Lake,
    base: &Base<TableState>,
    at: SnapshotAt,
    (since, older): (Option<SnapshotRef>, TableState),
    held: &Held,
    reason: String,
) -> Result<Change<TableState>, CommitError> {
    let Some(tagged) = &base.tagged else {
        return Err(never_anchored(base));
    };
    if has_letters_of_before(base, since, &older) {
        let detail = "a replay was promoted after that snapshot, or offsets were repaired, and took the place of dead letters of \
                      then, which can't be put back. Replay the topic by the mapping of then, and promote that";
        return Err(Halt::Resolve {
            table: base.table.ident.clone(),
            detail: detail.to_owned(),
        }
        .into());
    }
    let mut state = tagged.state.next(Kind::Rewind);
    state
        .rewind_to(&older, held, at.snapshot_ref(), at.timestamp_ms)
        .map_err(|error| Halt::Resolve {
            table: base.table.ident.clone(),
            detail: error.to_string(),
        })?;
    let note = Note {
        actor: lake.actor.to_string(),
        reason,
        abandons_since: since,
    };
    Ok(Change {
        leaving: Leaving::Abandoned(abandoned(base, since)?),
        ..Change::empty(state, note)
    })
}

async fn is_standing(lake: &Lake, base: &Base<TableState>) -> Result<bool, CommitError> {
    match check_standing(lake, base).await {
        Ok(()) => Ok(true),
        Err(CommitError::Halt(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a promote after `since` took dead letters away that `older` counts, or put others in the place of what it counts; or a
/// repair did.
fn has_letters_of_before(base: &Base<TableState>, since: Option<SnapshotRef>, older: &TableState) -> bool {
    let letters = |state: &TableState| {
        let partitions = state.jobs.values().flat_map(|job| job.partitions.values());
        partitions.map(|state| state.counts.dead_letters).sum::<u64>() > 0
    };
    let since = since.map_or(0, |since| since.sequence_number);
    let now = base.state().is_some_and(&letters);
    let later = base
        .metadata()
        .snapshots()
        .filter(|snapshot| snapshot.sequence_number() > since);
    let mut later = later.filter_map(|snapshot| {
        let state = <TableState as TagState>::decode(&snapshot.summary().additional_properties);
        Some((snapshot_ref(snapshot), state.ok()?))
    });
    later.any(|(at, state)| match state.kind {
        Kind::Promote => now || letters(&state) || letters(older),
        // Its ledger rows wait at least until the snapshot is there.
        Kind::Repair => {
            let mut told = state
                .outbox
                .ledger
                .iter()
                .filter(|entry| entry.stamp.snapshot == at);
            told.any(|entry| entry.ranges.iter().any(|range| range.counts.dead_letters > 0))
        }
        _ => false,
    })
}
