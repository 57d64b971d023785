//! Writes the resolved start of every partition into the table before the first record is read (section 2), so
//! that a start policy such as `latest` is evaluated once, not once per process.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tabletopic_offsets::{AnchorError, History, JobId, Kind, Offset, TableState, TopicIdentity};

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
        anchored(self.lake, base, |state| {
            state.anchor(self.job, self.identity, self.starts)
        })
    }
}

/// The same where history is read behind what is new: each partition gets two ranges of progress, which meet when it is
/// filled.
#[derive(Debug)]
pub struct AnchorBehind<'a> {
    pub lake: &'a Lake,
    pub job: &'a JobId,
    pub identity: &'a TopicIdentity,
    /// What there is of each partition before what is new.
    pub history: &'a BTreeMap<i32, History>,
}

#[async_trait]
impl Plan<TableState> for AnchorBehind<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        anchored(self.lake, base, |state| {
            state.anchor_behind(self.job, self.identity, self.history)
        })
    }
}

/// The change that anchors; none where the table knows all of it.
fn anchored(
    lake: &Lake,
    base: &Base<TableState>,
    anchor: impl FnOnce(&mut TableState) -> Result<bool, AnchorError>,
) -> Result<Option<Change<TableState>>, CommitError> {
    let mut state = base
        .state()
        .map_or_else(TableState::empty, |state| state.next(Kind::Anchor));
    let changed = anchor(&mut state).map_err(|error| Halt::Anchor {
        table: base.table.ident.clone(),
        detail: error.to_string(),
    })?;
    let note = Note {
        actor: lake.actor.to_string(),
        ..Note::default()
    };
    Ok(changed.then(|| Change::empty(state, note)))
}
