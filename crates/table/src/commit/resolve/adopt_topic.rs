//! The topic was deleted and created again: goes on with the new one from its own start.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tabletopic_offsets::{JobId, Kind, Offset, TableState, TopicIdentity};

use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Note, Plan, SnapshotAt};
use crate::lake::Lake;

#[derive(Debug)]
pub struct AdoptTopic<'a> {
    pub lake: &'a Lake,
    pub job: JobId,
    /// What the topic is now.
    pub identity: TopicIdentity,
    pub starts: BTreeMap<i32, Offset>,
    /// The operator's words, for the ledger.
    pub reason: String,
}

#[async_trait]
impl Plan<TableState> for AdoptTopic<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(state) = base.state() else {
            return Err(never_anchored(base));
        };
        let known = state.job(&self.job).map(|job| &job.identity);
        if known.is_some_and(|known| known.agrees(&self.identity)) {
            return Ok(None);
        }
        let mut state = state.next(Kind::Anchor);
        state
            .adopt(&self.job, &self.identity, &self.starts)
            .map_err(|error| Halt::Resolve {
                table: base.table.ident.clone(),
                detail: error.to_string(),
            })?;
        let actor = self.lake.actor.to_string();
        let note = Note {
            actor,
            reason: self.reason.clone(),
            abandons_since: None,
        };
        Ok(Some(Change::empty(state, note)))
    }
}
