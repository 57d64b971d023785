//! After somebody's rollback: progress goes back to what `main`'s history says, so that what the rollback removed
//! is read again from Kafka. Where that history was expired, the ledger says it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tabletopic_offsets::{Held, Kind, SnapshotRef, TableState};

use super::letters_then::letters_then;
use super::of_offsets::acknowledge_letters;
use super::{abandoned, held, held_beyond, nearest, prefix, snapshot_ref};
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Leaving, Note, Plan, SnapshotAt, check_standing};
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
        let change = rewound(self.lake, base, at, (since, older), &held, reason).await?;
        Ok(Some(change))
    }
}

/// Progress goes back to `older`, the state of our snapshot `since`; `base` is the table as it is rolled back.
pub(super) async fn rewound(
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
    let mut state = tagged.state.next(Kind::Rewind);
    acknowledge_letters(lake, base, &mut state).await?;
    let letters = letters_then(lake, base, (since, &older), at).await?;
    if letters.is_some() {
        // All of then come back, and none of now stays.
        state.outbox.dead_letters.clear();
    }
    state
        .rewind_to(&older, held, at.snapshot_ref(), at.timestamp_ms)
        .map_err(|error| Halt::Resolve {
            table: base.table.ident.clone(),
            detail: error.to_string(),
        })?;
    if let Some(letters) = letters {
        state.put_letters_back(letters, at.snapshot_ref(), at.timestamp_ms);
    }
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
