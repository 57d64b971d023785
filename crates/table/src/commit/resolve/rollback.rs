//! An operator's own rollback: `main` and progress go back in one commit, so that no reader and no process sees one without
//! the other.

use async_trait::async_trait;
use tabletopic_offsets::TableState;

use super::rewind::rewound;
use super::{held_beyond, nearest, snapshot_ref};
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Plan, SnapshotAt};
use crate::lake::Lake;

/// Takes `main` back to one of the snapshots that it leads to. What the snapshots after that one brought is read again
/// from Kafka, and what others did in them is taken back.
#[derive(Debug)]
pub struct Rollback<'a> {
    pub lake: &'a Lake,
    pub to: i64,
    /// The operator's words, for the ledger.
    pub reason: String,
}

#[async_trait]
impl Plan<TableState> for Rollback<'_> {
    fn rolls_back_to(&self) -> Option<i64> {
        Some(self.to)
    }

    async fn plan(
        &mut self,
        base: &Base<TableState>,
        at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(tagged) = &base.tagged else {
            return Err(never_anchored(base));
        };
        let Some((snapshot, older)) = nearest(base)? else {
            return Err(Halt::Resolve {
                table: base.table.ident.clone(),
                detail: format!(
                    "what the table held at snapshot {} cannot be told any more: no snapshot of ours is left before it",
                    self.to
                ),
            }
            .into());
        };
        let held = held_beyond(self.lake, base, &tagged.state, &older).await?;
        let since = Some(snapshot_ref(&snapshot));
        let reason = self.reason.clone();
        Ok(Some(rewound(self.lake, base, at, (since, older), &held, reason)?))
    }
}
