//! After somebody's rollback: progress goes back to what `main`'s history says, so that what the rollback removed
//! is read again from Kafka. Where that history was expired, the ledger says it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tabletopic_offsets::{Held, Kind, SnapshotRef, TableState};

use super::letters_then::{LettersThen, letters_then};
use super::of_offsets::acknowledge_letters;
use super::{abandoned, held, held_beyond, nearest, prefix, snapshot_ref};
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Leaving, Note, Plan, SnapshotAt, check_standing};
use crate::lake::Lake;

#[derive(Debug)]
pub struct Rewind<'a> {
    lake: &'a Lake,
    /// The operator's words, for the ledger.
    reason: String,
    /// Of the newest plan.
    letters: Option<LettersThen<'a>>,
}

impl<'a> Rewind<'a> {
    pub fn new(lake: &'a Lake, reason: String) -> Self {
        Self {
            lake,
            reason,
            letters: None,
        }
    }
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
        let (change, letters) = rewound(self.lake, base, at, (since, older), &held, reason).await?;
        self.letters = letters;
        Ok(Some(change))
    }

    async fn write(
        &mut self,
        change: Change<TableState>,
        at: SnapshotAt,
    ) -> Result<Change<TableState>, CommitError> {
        with_letters(self.letters.as_ref(), change, at).await
    }
}

/// Progress goes back to `older`, the state of our snapshot `since`; `base` is the table as it is rolled back. With the dead
/// letters that come back, which [`with_letters`] writes.
pub(super) async fn rewound<'a>(
    lake: &'a Lake,
    base: &Base<TableState>,
    at: SnapshotAt,
    (since, older): (Option<SnapshotRef>, TableState),
    held: &Held,
    reason: String,
) -> Result<(Change<TableState>, Option<LettersThen<'a>>), CommitError> {
    let Some(tagged) = &base.tagged else {
        return Err(never_anchored(base));
    };
    let mut state = tagged.state.next(Kind::Rewind);
    acknowledge_letters(lake, base, &mut state).await?;
    let letters = letters_then(lake, base, (since, &older)).await?;
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
    let note = Note {
        actor: lake.actor.to_string(),
        reason,
        abandons_since: since,
    };
    let change = Change {
        leaving: Leaving::Abandoned(abandoned(base, since)?),
        ..Change::empty(state, note)
    };
    Ok((change, letters))
}

/// Writes the dead letters that come back.
///
/// # Errors
/// Those of reading and writing.
pub(super) async fn with_letters(
    letters: Option<&LettersThen<'_>>,
    mut change: Change<TableState>,
    at: SnapshotAt,
) -> Result<Change<TableState>, CommitError> {
    if let (Some(letters), Some(state)) = (letters, &mut change.state) {
        letters.put_back(state, at).await?;
    }
    Ok(change)
}

async fn is_standing(lake: &Lake, base: &Base<TableState>) -> Result<bool, CommitError> {
    match check_standing(lake, base).await {
        Ok(()) => Ok(true),
        Err(CommitError::Halt(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
