//! Gives up what a log lost that was cut below our progress.

use super::{Abandoned, CommandError, keep_outside};
use crate::{
    AddedRange, Counts, JobId, Offset, OffsetRange, PendingRemoval, RangeSet, SnapshotRef, TableState,
};

/// A log that was cut: what it held at or above an offset is gone, and other records may have taken these offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub job: JobId,
    pub partition: i32,
    pub offset: Offset,
    /// Of the last record below `offset`, or later; so that a log which is cut again there is noticed.
    pub leader_epoch: Option<i32>,
    /// What the table held at or above `offset`, exactly. Its `lost` is not asked for: the state knows it.
    pub removed: Counts,
}

impl TableState {
    /// Logs were cut below our progress: gives up everything at or above each cut, whose rows the same commit
    /// removes, and notes it in `added`. Progress goes back to the cut; one below the anchor becomes the anchor.
    /// Dead letters are treated as in [`TableState::rewind_to`], by the snapshot `at`, made at `now_ms`.
    pub fn truncate(&mut self, cuts: &[Cut], at: SnapshotRef, now_ms: i64) -> Result<(), CommandError> {
        let mut next = self.clone();
        let mut given_up = Abandoned::new();
        for cut in cuts {
            let (gone, took_back) = next.cut(cut)?;
            given_up.insert((cut.job.clone(), cut.partition), gone);
            next.note_added(took_back);
        }
        let pending = std::mem::take(&mut next.outbox.dead_letters);
        next.outbox.dead_letters = keep_outside(pending, &given_up, |_| false)?;
        for ((job, partition), offsets) in given_up {
            // A cut between two ranges gives up a lane of zero length, and no offset.
            if offsets.is_empty() {
                continue;
            }
            let topic_id = next.jobs.get(&job).and_then(|job| job.identity.topic_id.clone());
            next.outbox.removals.push(PendingRemoval {
                snapshot: at,
                job,
                topic_id,
                partition,
                offsets,
                time_ms: now_ms,
            });
        }
        next.raise_generation(|id| cuts.iter().any(|cut| cut.job == *id));
        *self = next;
        Ok(())
    }

    /// Cuts one partition: the offsets given up, and what the ledger says of them.
    fn cut(&mut self, cut: &Cut) -> Result<(RangeSet, AddedRange), CommandError> {
        let (topic_partition, state) = self.partition_mut(&cut.job, cut.partition)?;
        let progress = state.progress.live_end();
        if cut.offset >= progress {
            return Err(CommandError::NotTruncated {
                topic_partition,
                cut: cut.offset,
                progress,
            });
        }
        if cut.offset < 0 {
            return Err(CommandError::NegativeStart {
                topic_partition,
                start: cut.offset,
            });
        }
        let above = OffsetRange::new(cut.offset, Offset::MAX);
        let lost = state.lost.intersection(&[above].into_iter().collect());
        let removed = Counts {
            lost: lost.len_offsets(),
            ..cut.removed
        };
        state.uncount(&topic_partition, removed)?;
        let before = state.progress.offsets();
        state.progress.cut(cut.offset);
        state.lost.remove(above);
        state.abandoned.remove(above);
        state.leader_epoch = cut.leader_epoch;
        if state.progress.backfill().is_none() {
            state.backfill_epoch = None;
        }
        let took_back = AddedRange {
            job: cut.job.clone(),
            partition: cut.partition,
            range: OffsetRange::new(cut.offset, progress),
            counts: removed,
        };
        Ok((before.difference(&state.progress.offsets()), took_back))
    }
}
