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
    /// What the table had was not what was counted.
    pub lacked: bool,
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

    /// A repair by a replay of these offsets, as it is now. `reason` goes into the ledger.
    ///
    /// # Errors
    /// The replay holds nothing, or stands still.
    pub async fn by<'a>(
        &self,
        lake: &'a Lake,
        replay: &TableIdent,
        reason: &str,
    ) -> Result<Swapping<'a>, ResolveError> {
        let looked_at = head(lake, replay).await?;
        Ok(Swapping {
            lake,
            table: self.table.clone(),
            repair: Repair::new(
                lake,
                (replay.clone(), looked_at),
                (self.job.clone(), self.ranges.clone()),
                reason.to_owned(),
            ),
        })
    }
}

/// A repair that may be looked at, and carried out: what was found stays known.
#[derive(Debug)]
pub struct Swapping<'a> {
    lake: &'a Lake,
    table: TableIdent,
    repair: Repair<'a>,
}

impl Swapping<'_> {
    /// Looks what it would do. Writes nothing. What the table has of the offsets has to stay what it is from now on, whatever file
    /// it is in.
    ///
    /// # Errors
    /// It can't be done.
    pub async fn look(&mut self) -> Result<Repaired, ResolveError> {
        let base = standing(self.lake, &self.table).await?;
        let at = next_snapshot(self.lake, &base);
        let (swaps, [removed, written]) = self.repair.look(&base, at).await?;
        Ok(Repaired {
            swaps,
            lacked: self.repair.lacks,
            files: Files {
                removed: removed as u64,
                written: written as u64,
            },
            snapshot: None,
        })
    }

    /// Does it, in one commit.
    ///
    /// # Errors
    /// As [`look`](Self::look); the replay has changed, or what the table has of the offsets since it was looked at; outages that
    /// last.
    pub async fn carry_out(mut self) -> Result<Repaired, ResolveError> {
        let committed = commit(self.lake, &self.table, &mut self.repair, &LogWaiting).await?;
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
            lacked: self.repair.lacks,
            swaps: self.repair.swaps,
        })
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
