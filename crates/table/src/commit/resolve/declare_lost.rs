//! Declares offsets lost: those that the broker no longer has, or those whose rows somebody's rollback removed.

use async_trait::async_trait;
use tabletopic_offsets::{Gap, Kind, TableState};

use super::{abandoned, held, nearest, snapshot_ref};
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Leaving, Note, Plan, SnapshotAt};
use crate::follower::ledger;
use crate::lake::Lake;

/// Offsets right above progress that retention has taken.
#[derive(Debug)]
pub struct DeclareGaps<'a> {
    pub lake: &'a Lake,
    pub gaps: Vec<Gap>,
    /// The operator's words, for the ledger.
    pub reason: String,
}

#[async_trait]
impl Plan<TableState> for DeclareGaps<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(state) = base.state() else {
            return Err(never_anchored(base));
        };
        let mut state = state.next(Kind::DeclareLost);
        // Gaps that somebody has declared since they were looked up are done.
        let open = |gap: &&Gap| {
            state
                .partition(&gap.job, gap.partition)
                .is_none_or(|held| !held.lost.covers(gap.range))
        };
        let gaps: Vec<Gap> = self.gaps.iter().filter(open).cloned().collect();
        if gaps.is_empty() {
            return Ok(None);
        }
        state.declare_lost(&gaps).map_err(|error| Halt::Resolve {
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

/// What progress accounts for and `main` no longer holds.
#[derive(Debug)]
pub struct DeclareMissing<'a> {
    pub lake: &'a Lake,
    /// The operator's words, for the ledger.
    pub reason: String,
}

#[async_trait]
impl Plan<TableState> for DeclareMissing<'_> {
    fn needs_standing(&self) -> bool {
        false
    }

    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(tagged) = &base.tagged else {
            return Err(never_anchored(base));
        };
        let since = nearest(base)?.map(|(snapshot, _)| snapshot_ref(&snapshot));
        let mut state = tagged.state.next(Kind::DeclareLost);
        let above = since.map_or(0, |since| since.sequence_number);
        let outbox = &tagged.state.outbox;
        if ledger::took_back(self.lake, &base.table.ident, outbox, above).await? {
            let detail = "the rollback brought rows back that a log no longer has, or whose place others had taken, and they cannot be \
                          told from these. Use `--rewind`, and after a log that was cut `--truncate`"
                .to_owned();
            return Err(Halt::Resolve {
                table: base.table.ident.clone(),
                detail,
            }
            .into());
        }
        let held = held(self.lake, base, &tagged.state).await?;
        state.declare_missing_lost(&held).map_err(|error| Halt::Resolve {
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
