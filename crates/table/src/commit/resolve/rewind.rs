//! After somebody's rollback: progress goes back to what `main`'s history says, so that what the rollback removed
//! is read again from Kafka.

use async_trait::async_trait;
use tabletopic_offsets::{Kind, TableState};

use super::{abandoned, held, nearest, snapshot_ref};
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Leaving, Note, Plan, SnapshotAt};
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
        let since = nearest.as_ref().map(|(snapshot, _)| snapshot_ref(snapshot));
        if nearest
            .as_ref()
            .is_some_and(|(snapshot, _)| snapshot.snapshot_id() == tagged.snapshot.snapshot_id())
        {
            return Ok(None);
        }
        let older = nearest.map_or_else(TableState::empty, |(_, state)| state);
        let mut state = tagged.state.next(Kind::Rewind);
        let held = held(self.lake, base, &tagged.state).await?;
        state
            .rewind_to(&older, &held, at.snapshot_ref(), at.timestamp_ms)
            .map_err(|error| Halt::Resolve {
                table: base.table.ident.clone(),
                detail: error.to_string(),
            })?;
        let note = Note {
            actor: self.lake.actor.to_string(),
            reason: self.reason.clone(),
            abandons_since: since,
        };
        Ok(Some(Change {
            leaving: Leaving::Abandoned(abandoned(base, since)?),
            ..Change::empty(state, note)
        }))
    }
}
