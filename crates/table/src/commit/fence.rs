//! An empty snapshot, after which nothing that was built before it can be applied late (commit protocol, section 8):
//! every body of ours asserts the head that it was built on.

use async_trait::async_trait;

use super::base::Base;
use super::change::Change;
use super::engine::Plan;
use super::error::CommitError;
use super::replace::Maintained;
use super::tag_state::{Note, SnapshotAt};
use crate::lake::Lake;

/// Adds the snapshot to a table of ours. One that was never anchored has nobody to be fenced off.
#[derive(Debug)]
pub struct Fence<'a> {
    pub lake: &'a Lake,
    /// For the ledger.
    pub reason: &'a str,
}

#[async_trait]
impl<S: Maintained> Plan<S> for Fence<'_> {
    async fn plan(&mut self, base: &Base<S>, _at: SnapshotAt) -> Result<Option<Change<S>>, CommitError> {
        let note = Note {
            actor: self.lake.actor.to_string(),
            reason: self.reason.to_owned(),
            ..Note::default()
        };
        Ok(base.state().map(|state| Change::empty(state.maintained(), note)))
    }
}
