//! Reads again what a rollback removed.

use std::collections::BTreeMap;

use super::{Abandoned, CommandError, Held, keep_outside, removals};
use crate::{
    AddedRange, Counts, Generation, JobState, PartitionState, PastTopic, PendingFile, PendingRemoval,
    RangeSet, SnapshotRef, TableState,
};

impl TableState {
    /// After somebody's rollback: takes progress back to `older`, the newest state in `main`'s history
    /// (an empty one where none is left), so that what is gone is read again. Partitions that it does
    /// not know go back to their anchor. What is given up is remembered as abandoned; over an adoption,
    /// that is what had been read of the topic before it, and of topics in between all is lost. Pending
    /// dead letters of it are dropped; those that may be in the dead-letter table already are to be
    /// removed, by the snapshot `at`, made at `now_ms`.
    ///
    /// `older` must not be abandoned itself (the ledger knows). Refused while `main` holds a row at or
    /// above the progress to be; rows below it may be left out of `held`.
    pub fn rewind_to(
        &mut self,
        older: &TableState,
        held: &Held,
        at: SnapshotRef,
        now_ms: i64,
    ) -> Result<Abandoned, CommandError> {
        let mut jobs = older.jobs.clone();
        let mut given_up = Abandoned::new();
        let mut removals = Vec::new();
        let mut never_read = Vec::new();
        for (id, job) in &self.jobs {
            let target = jobs.entry(id.clone()).or_insert_with(|| JobState {
                partitions: BTreeMap::new(),
                ..job.clone()
            });
            let same_topic = target.identity.agrees(&job.identity);
            let known = older.jobs.get(id);
            let read_under = known.map_or(Generation::default(), |known| known.generation);
            // What adoptions since `older` had closed. The first of them closed the topic that `older` was fed from,
            // in the same generation for every partition that this topic had.
            let opened = |past: &&PastTopic| past.generation >= read_under;
            let since = job
                .partitions
                .values()
                .flat_map(|state| &state.past)
                .filter(opened);
            let closing = known.and(since.map(|past| past.generation).min());
            target.generation = target.generation.max(job.generation).next();
            if same_topic {
                target.identity = job.identity.clone();
            }
            let target_topic = target.identity.topic_id.clone();
            for (partition, state) in &job.partitions {
                let mut removed = |topic_id: &Option<String>, offsets: RangeSet| {
                    if offsets.is_empty() {
                        return;
                    }
                    let all = given_up.entry((id.clone(), *partition)).or_default();
                    *all = std::mem::take(all).union(&offsets);
                    removals.push(PendingRemoval {
                        snapshot: at,
                        job: id.clone(),
                        topic_id: topic_id.clone(),
                        partition: *partition,
                        offsets,
                        time_ms: now_ms,
                    });
                };
                let (closed, between): (Vec<_>, Vec<_>) = state
                    .past
                    .iter()
                    .filter(opened)
                    .partition(|past| Some(past.generation) == closing);
                let closed = closed.first();
                let read = closed.and_then(|closed| closed.claimed.ranges().first());
                let anchor = match read {
                    _ if same_topic => state.progress.anchor(),
                    Some(first) => first.start,
                    // Nothing was read of it, if it had it at all: it appears, at 0.
                    None => 0,
                };
                let unknown = || PartitionState::anchored(anchor);
                let target = target.partitions.entry(*partition).or_insert_with(unknown);
                let kept = target.progress.offsets();
                let current = state.progress.offsets();
                if same_topic {
                    target.abandon(current.clone().union(&state.abandoned));
                    removed(&job.identity.topic_id, current.difference(&kept));
                } else {
                    removed(&job.identity.topic_id, current);
                }
                if let Some(closed) = closed {
                    target.abandon(closed.claimed.clone());
                    removed(&target_topic, closed.claimed.clone().difference(&kept));
                }
                // Of topics in between nothing is left, and no adoption will come across them again.
                for range in between.into_iter().flat_map(|past| past.claimed.ranges()) {
                    let counts = Counts::of_lost(range.len());
                    target.counts.add(counts);
                    target.inherited.add(counts);
                    never_read.push(AddedRange {
                        job: id.clone(),
                        partition: *partition,
                        range: *range,
                        counts,
                    });
                }
            }
        }
        let mut next = Self {
            jobs,
            // What retention removed since then is in `main` again.
            retired: older.retired.clone(),
            ..self.clone()
        };
        next.refuse_unknown(held)?;
        next.refuse_rows_beyond(held)?;
        let carried = |file: &PendingFile| older.outbox.dead_letters.contains(file);
        let pending = std::mem::take(&mut next.outbox.dead_letters);
        next.outbox.dead_letters = keep_outside(pending, &given_up, carried)?;
        next.outbox.removals.extend(removals);
        never_read.into_iter().for_each(|added| next.note_added(added));
        *self = next;
        Ok(given_up)
    }

    /// After [`rewind_to`](Self::rewind_to) over a promote or a repair, which had put other dead letters in the place of those of
    /// then: `letters` are those of then, all of them, and whatever there is of now leaves, by the snapshot `at`, made at `now_ms`.
    pub fn put_letters_back(&mut self, letters: Vec<PendingFile>, at: SnapshotRef, now_ms: i64) {
        for (id, job) in &self.jobs {
            for (partition, state) in &job.partitions {
                let offsets = state.progress.offsets();
                if offsets.is_empty() {
                    continue;
                }
                let leaving = removals((id, job, *partition), &offsets, (at, now_ms));
                self.outbox.removals.extend(leaving);
            }
        }
        self.outbox.dead_letters = letters;
    }
}

impl PartitionState {
    /// Remembers what of `seen` progress does not cover.
    fn abandon(&mut self, seen: RangeSet) {
        let all = std::mem::take(&mut self.abandoned).union(&seen);
        self.abandoned = all.difference(&self.progress.offsets());
    }
}
