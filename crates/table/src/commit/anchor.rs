//! Writes the resolved start of every partition into the table before the first record is read (section 2), so
//! that a start policy such as `latest` is evaluated once, not once per process.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tabletopic_offsets::{JobId, Kind, Offset, TableState, TopicIdentity};

use super::base::Base;
use super::change::Change;
use super::engine::Plan;
use super::error::CommitError;
use super::halt::Halt;
use super::tag_state::{Note, SnapshotAt};
use crate::lake::Lake;

/// Adds what the table does not know yet; partitions that it knows keep their progress.
#[derive(Debug)]
pub struct Anchor<'a> {
    pub lake: &'a Lake,
    pub job: &'a JobId,
    pub identity: &'a TopicIdentity,
    /// Where each partition starts if the table does not know it.
    pub starts: &'a BTreeMap<i32, Offset>,
}

#[async_trait]
impl Plan<TableState> for Anchor<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let mut state = base
            .state()
            .map_or_else(TableState::empty, |state| state.next(Kind::Anchor));
        let changed = state
            .anchor(self.job, self.identity, self.starts)
            .map_err(|error| Halt::Anchor {
                table: base.table.ident.clone(),
                detail: error.to_string(),
            })?;
        let note = Note {
            actor: self.lake.actor.to_string(),
            ..Note::default()
        };
        Ok(changed.then(|| Change::empty(state, note)))
    }
}
