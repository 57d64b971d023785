//! Moves the tag to a new, empty snapshot where `main`'s head is somebody else's (section 4), so that the chain
//! between the two stays short enough to survive their expiry.

use async_trait::async_trait;
use tabletopic_offsets::{Follower, FollowerPosition, Kind, TableState};

use super::append::never_anchored;
use super::base::Base;
use super::change::Change;
use super::engine::Plan;
use super::error::CommitError;
use super::tag_state::{Note, SnapshotAt};
use crate::lake::Lake;

#[derive(Debug)]
pub struct Renew<'a> {
    pub lake: &'a Lake,
    /// Where the followers were last seen: a table that only others write to must not gather what they hold.
    pub followers: &'a [(Follower, FollowerPosition)],
}

#[async_trait]
impl Plan<TableState> for Renew<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(tagged) = &base.tagged else {
            return Err(never_anchored(base));
        };
        let ours = base
            .head()
            .is_some_and(|head| head.snapshot_id() == tagged.snapshot.snapshot_id());
        if ours {
            return Ok(None);
        }
        let mut state = tagged.state.next(Kind::Maintenance);
        state.outbox.acknowledge_known(self.followers);
        let reason = "another writer's snapshot is the head of `main`".to_owned();
        let note = Note {
            actor: self.lake.actor.to_string(),
            reason,
            ..Note::default()
        };
        Ok(Some(Change::empty(state, note)))
    }
}
