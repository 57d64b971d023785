//! `tabletopic repair`: some offsets of a table are read again, and their rows swapped.

use std::collections::BTreeMap;

use iceberg::TableIdent;
use tabletopic_offsets::{JobId, OffsetRange, TableState};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::{Repair, refuse_unread};
use tabletopic_table::commit::{Base, CommitError, LogWaiting, commit, next_snapshot};

use super::rollback::standing;
use super::{Files, ResolveError};

pub use tabletopic_table::commit::resolve::Swap;

/// What is repaired.
#[derive(Debug, Clone)]
pub struct Damage {
    pub table: TableIdent,
    pub job: JobId,
    /// By topic partition number.
    pub ranges: BTreeMap<i32, OffsetRange>,
}

/// What a repair does.
#[derive(Debug, Clone)]
pub struct Repaired {
    pub swaps: Vec<Swap>,
    pub files: Files,
    /// What did it; `None` when it was only looked at.
    pub snapshot: Option<i64>,
}

impl Damage {
    /// Whether the table has what is to be repaired: asked before anything is read again.
    ///
    /// # Errors
    /// It does not; a table that stands still.
    pub async fn check(&self, lake: &Lake) -> Result<(), ResolveError> {
        let base = standing(lake, &self.table).await?;
        refuse_unread(&base, &self.job, &self.ranges).map_err(CommitError::from)?;
        Ok(())
    }

    /// Looks what a repair would do by a replay of these offsets. Writes nothing.
    ///
    /// # Errors
    /// It can't be done.
    pub async fn look(&self, lake: &Lake, replay: &TableIdent) -> Result<(Repaired, i64), ResolveError> {
        let base = standing(lake, &self.table).await?;
        let looked_at = head(lake, replay).await?;
        let mut repair = self.repair(lake, replay, looked_at, "");
        let (swaps, [removed, written]) = repair.look(&base, next_snapshot(lake, &base)).await?;
        let files = Files {
            removed: removed as u64,
            written: written as u64,
        };
        let would = Repaired {
            swaps,
            files,
            snapshot: None,
        };
        Ok((would, looked_at))
    }

    /// Does it, in one commit. `looked_at`: the replay's newest snapshot when it was looked at.
    ///
    /// # Errors
    /// As [`look`](Self::look); the replay has changed since; outages that last.
    pub async fn swap(
        &self,
        lake: &Lake,
        (replay, looked_at): (&TableIdent, i64),
        reason: &str,
    ) -> Result<Repaired, ResolveError> {
        let mut repair = self.repair(lake, replay, looked_at, reason);
        let committed = commit(lake, &self.table, &mut repair, &LogWaiting).await?;
        let snapshot = committed.snapshot;
        let counted = |name: &str| {
            let summary = snapshot.as_ref().map(|snapshot| snapshot.summary());
            let text = summary.and_then(|summary| summary.additional_properties.get(name));
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        Ok(Repaired {
            files: Files {
                removed: counted("deleted-data-files"),
                written: counted("added-data-files"),
            },
            snapshot: snapshot.as_ref().map(|snapshot| snapshot.snapshot_id()),
            swaps: repair.swaps,
        })
    }

    fn repair<'a>(&self, lake: &'a Lake, replay: &TableIdent, looked_at: i64, reason: &str) -> Repair<'a> {
        Repair::new(
            lake,
            (replay.clone(), looked_at),
            (self.job.clone(), self.ranges.clone()),
            reason.to_owned(),
        )
    }
}

async fn head(lake: &Lake, replay: &TableIdent) -> Result<i64, ResolveError> {
    let read: Base<TableState> = standing(lake, replay).await?;
    let head = read.head().map(|head| head.snapshot_id());
    head.ok_or_else(|| ResolveError::Target {
        table: replay.to_string(),
        detail: "it holds nothing yet".to_owned(),
    })
}
