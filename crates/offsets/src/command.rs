//! The operator's answers to a halt (commit protocol, section 7), and redrive. Each refuses without
//! having changed anything, and each that changes what offsets mean raises the generation, so that
//! units which were read before it are dropped.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::{
    AddedRange, Counts, Generation, JobId, JobState, Offset, OffsetRange, PartitionState, PastTopic,
    PendingFile, PendingRemoval, RangeSet, Refusal, SnapshotRef, TableState, TopicIdentity, TopicPartition,
};

/// The offsets of the rows that `main` holds, of the topic ids that the jobs have now.
pub type Held = BTreeMap<JobId, BTreeMap<i32, RangeSet>>;

/// The offsets that a rewind gave up, by job and partition.
pub type Abandoned = BTreeMap<(JobId, i32), RangeSet>;

/// Offsets that can no longer be read, right after the end of a range of progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub job: JobId,
    pub partition: i32,
    pub range: OffsetRange,
}

/// Why a command was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the table knows no job {job}; name one that feeds it")]
    UnknownJob { job: JobId },
    #[error("{topic_partition}: the table does not know this partition")]
    UnknownPartition { topic_partition: TopicPartition },
    #[error("{topic_partition}: {refusal}; only offsets right after progress can be declared lost")]
    NotAtProgress {
        topic_partition: TopicPartition,
        refusal: Refusal,
    },
    #[error("no row is missing: nothing to declare lost")]
    NothingMissing,
    #[error(
        "{topic_partition}: the table holds rows at {rows}, outside the progress that it would have; \
         rewind to the state that wrote them instead"
    )]
    RowsOutsideProgress {
        topic_partition: TopicPartition,
        rows: RangeSet,
    },
    #[error(
        "{topic_partition}: the table holds rows at {rows}, which were declared lost; rewind to the state that \
         wrote them instead"
    )]
    RowsDeclaredLost {
        topic_partition: TopicPartition,
        rows: RangeSet,
    },
    #[error("job {job} reads {identity} already: nothing to adopt")]
    SameTopic { job: JobId, identity: TopicIdentity },
    #[error("job {job}: {identity} feeds this table already, as job {fed_by}; it would double its rows")]
    TopicAlreadyFed {
        job: JobId,
        identity: TopicIdentity,
        fed_by: JobId,
    },
    #[error("{topic_partition}: {start} is no offset to start at")]
    NegativeStart {
        topic_partition: TopicPartition,
        start: Offset,
    },
    #[error("{topic_partition}: the log's end {cut} is not below progress {progress}: nothing was truncated")]
    NotTruncated {
        topic_partition: TopicPartition,
        cut: Offset,
        progress: Offset,
    },
    #[error(
        "{topic_partition}: to remove {removed:?}, more than the {counted:?} that the table has counted; the \
         counts of the removed offsets are wrong"
    )]
    CountsTooHigh {
        topic_partition: TopicPartition,
        removed: Counts,
        counted: Counts,
    },
    #[error(
        "a dead-letter file of snapshot {snapshot} holds letters on both sides of the cut; wait until the \
         dead-letter table has it, then try again"
    )]
    PendingOnBothSides { snapshot: SnapshotRef },
    #[error("{topic_partition}: offset {offset} is not below progress; it will be read in its turn")]
    NotInProgress {
        topic_partition: TopicPartition,
        offset: Offset,
    },
    #[error("{topic_partition}: this snapshot adds offset {offset} already; name each dead letter once")]
    AddedAlready {
        topic_partition: TopicPartition,
        offset: Offset,
    },
    #[error("{topic_partition}: the dead letter is of {found}, but the job reads {expected}")]
    OtherTopic {
        topic_partition: TopicPartition,
        expected: Box<TopicIdentity>,
        found: Box<TopicIdentity>,
    },
}

impl TableState {
    /// Declares offsets lost that cannot be read any more (retention was faster), and moves progress
    /// over them. Several gaps of one partition must be in order, lowest first.
    pub fn declare_lost(&mut self, gaps: &[Gap]) -> Result<(), CommandError> {
        let mut next = self.clone();
        for gap in gaps {
            let (topic_partition, state) = next.partition_mut(&gap.job, gap.partition)?;
            let refused = |refusal| CommandError::NotAtProgress {
                topic_partition,
                refusal,
            };
            state.progress.grow(gap.range).map_err(refused)?;
            // Whichever epoch the gap ended in: an older one would look like a truncated log to the broker.
            state.leader_epoch = None;
            state.abandoned.remove(gap.range);
            state.lost.insert(gap.range);
            let counts = Counts::of_lost(gap.range.len());
            state.counts.add(counts);
            next.note_added(AddedRange {
                job: gap.job.clone(),
                partition: gap.partition,
                range: gap.range,
                counts,
            });
        }
        let touched = |id: &JobId| gaps.iter().any(|gap| gap.job == *id);
        next.raise_generation(touched);
        *self = next;
        Ok(())
    }

    /// After somebody's rollback: declares lost what progress accounts for and `main` no longer holds
    /// (`held`: all offsets of all jobs' rows). Progress stays, so nothing is read again. A partition
    /// whose rows are all there, by count and offset sum, has lost nothing: what has no row in it are dead
    /// letters, which stay, and offsets that never had a record for us.
    pub fn declare_missing_lost(&mut self, held: &Held) -> Result<(), CommandError> {
        self.refuse_unknown(held)?;
        let mut next = self.clone();
        let mut found = Vec::new();
        for (id, job) in &mut next.jobs {
            for (partition, state) in &mut job.partitions {
                let topic_partition = TopicPartition::new(job.identity.topic.clone(), *partition);
                let rows = held
                    .get(id)
                    .and_then(|job| job.get(partition))
                    .cloned()
                    .unwrap_or_default();
                let outside = rows.clone().difference(&state.progress.offsets());
                if !outside.is_empty() {
                    return Err(CommandError::RowsOutsideProgress {
                        topic_partition,
                        rows: outside,
                    });
                }
                let declared = rows.intersection(&state.lost);
                if !declared.is_empty() {
                    return Err(CommandError::RowsDeclaredLost {
                        topic_partition,
                        rows: declared,
                    });
                }
                let offset_sum = state.inherited.offset_sum.wrapping_add(rows.offset_sum());
                let now = (state.inherited.rows + rows.len_offsets(), offset_sum);
                if now == (state.counts.rows, state.counts.offset_sum) {
                    continue;
                }
                let missing = state.progress.offsets().difference(&rows).difference(&state.lost);
                (state.counts.rows, state.counts.offset_sum) = now;
                state.counts.lost += missing.len_offsets();
                state.lost = std::mem::take(&mut state.lost).union(&missing);
                found.extend(missing.ranges().iter().map(|range| AddedRange {
                    job: id.clone(),
                    partition: *partition,
                    range: *range,
                    counts: Counts::of_lost(range.len()),
                }));
            }
        }
        if found.is_empty() {
            return Err(CommandError::NothingMissing);
        }
        found.into_iter().for_each(|added| next.note_added(added));
        next.raise_generation(|_| true);
        *self = next;
        Ok(())
    }

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
                // What adoptions since `older` had closed: first the topic that `older` was fed from.
                let mut opened = state.past.iter().filter(|past| past.generation >= read_under);
                let closed = known.and_then(|_| opened.next());
                let anchor = match closed.and_then(|closed| closed.claimed.ranges().first()) {
                    Some(first) if !same_topic => first.start,
                    _ => state.progress.anchor(),
                };
                let target = match target.partitions.entry(*partition) {
                    Entry::Occupied(known) => known.into_mut(),
                    // The topic of `older` never had it.
                    Entry::Vacant(_) if !same_topic && closed.is_none() => continue,
                    Entry::Vacant(unknown) => unknown.insert(PartitionState::anchored(anchor)),
                };
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
                for range in opened.flat_map(|past| past.claimed.ranges()) {
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
        let mut next = Self { jobs, ..self.clone() };
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

    /// The topic was deleted and created again: reads the new one from its own `starts`. Rows, counts
    /// and pending dead letters of the old one stay. Offsets that a rewind had abandoned and nobody
    /// read again cannot be read any more: they are counted as lost and noted in `added`.
    pub fn adopt(
        &mut self,
        job: &JobId,
        identity: &TopicIdentity,
        starts: &BTreeMap<i32, Offset>,
    ) -> Result<(), CommandError> {
        if let Some((partition, start)) = starts.iter().find(|(_, start)| **start < 0) {
            let topic_partition = TopicPartition::new(identity.topic.clone(), *partition);
            return Err(CommandError::NegativeStart {
                topic_partition,
                start: *start,
            });
        }
        if let Some(fed_by) = self.other_feeder(job, identity) {
            return Err(CommandError::TopicAlreadyFed {
                job: job.clone(),
                identity: identity.clone(),
                fed_by,
            });
        }
        let state = self
            .jobs
            .get_mut(job)
            .ok_or_else(|| CommandError::UnknownJob { job: job.clone() })?;
        if state.identity.agrees(identity) {
            return Err(CommandError::SameTopic {
                job: job.clone(),
                identity: identity.clone(),
            });
        }
        let generation = state.generation;
        state.identity = identity.clone();
        state.generation = generation.next();
        let mut added = Vec::new();
        for (partition, old) in &mut state.partitions {
            let counts = Counts::of_lost(old.abandoned.len_offsets());
            added.extend(old.abandoned.ranges().iter().map(|range| AddedRange {
                job: job.clone(),
                partition: *partition,
                range: *range,
                counts: Counts::of_lost(range.len()),
            }));
            old.counts.add(counts);
            // Partitions that the new topic does not have yet would appear later, at 0.
            let start = starts.get(partition).copied().unwrap_or(0);
            added.push(AddedRange::anchor(job, *partition, start));
            let mut past = std::mem::take(&mut old.past);
            past.push(PastTopic {
                generation,
                claimed: old.progress.offsets().union(&old.abandoned),
            });
            let (counts, inherited) = (old.counts, old.counts);
            *old = PartitionState {
                counts,
                inherited,
                past,
                ..PartitionState::anchored(start)
            };
        }
        for (partition, start) in starts {
            state.partitions.entry(*partition).or_insert_with(|| {
                added.push(AddedRange::anchor(job, *partition, *start));
                PartitionState::anchored(*start)
            });
        }
        added.into_iter().for_each(|added| self.note_added(added));
        Ok(())
    }

    /// The log was cut below our progress: gives up everything at or above `cut`, whose rows the same
    /// commit removes. `removed` counts what was given up, exactly; its `lost` is not asked for, because
    /// the state knows it. Dead letters are treated as in [`TableState::rewind_to`].
    pub fn truncate(
        &mut self,
        job: &JobId,
        partition: i32,
        cut: Offset,
        removed: Counts,
        at: SnapshotRef,
        now_ms: i64,
    ) -> Result<(), CommandError> {
        let mut next = self.clone();
        let (topic_partition, state) = next.partition_mut(job, partition)?;
        if cut >= state.progress.live_end() {
            let progress = state.progress.live_end();
            return Err(CommandError::NotTruncated {
                topic_partition,
                cut,
                progress,
            });
        }
        if cut < 0 {
            return Err(CommandError::NegativeStart {
                topic_partition,
                start: cut,
            });
        }
        let above = OffsetRange::new(cut, Offset::MAX);
        let lost = state
            .lost
            .intersection(&[above].into_iter().collect())
            .len_offsets();
        let removed = Counts { lost, ..removed };
        // What earlier topic ids made is not of this log.
        let counted = state.counts.minus(state.inherited).unwrap_or_default();
        let Some(mut counts) = counted.minus(removed) else {
            return Err(CommandError::CountsTooHigh {
                topic_partition,
                removed,
                counted,
            });
        };
        counts.add(state.inherited);
        state.counts = counts;
        let before = state.progress.offsets();
        state.progress.cut(cut);
        state.lost.remove(above);
        state.abandoned.remove(above);
        state.leader_epoch = None;
        let gone = before.difference(&state.progress.offsets());
        let given_up = Abandoned::from([((job.clone(), partition), gone.clone())]);
        next.outbox.dead_letters =
            keep_outside(std::mem::take(&mut next.outbox.dead_letters), &given_up, |_| {
                false
            })?;
        // A cut between two ranges gives up a lane of zero length, and no offset.
        if !gone.is_empty() {
            let topic_id = next.jobs.get(job).and_then(|job| job.identity.topic_id.clone());
            next.outbox.removals.push(PendingRemoval {
                snapshot: at,
                job: job.clone(),
                topic_id,
                partition,
                offsets: gone,
                time_ms: now_ms,
            });
        }
        next.raise_generation(|id| id == job);
        *self = next;
        Ok(())
    }

    /// A dead letter became a row. The caller has seen that the table holds no row of it, and that
    /// the dead-letter table, loaded after, does. Its dead letter stays counted: the audit joins the two.
    pub fn redrive(
        &mut self,
        job: &JobId,
        partition: i32,
        identity: &TopicIdentity,
        offset: Offset,
    ) -> Result<(), CommandError> {
        let expected = self.jobs.get(job).map(|job| job.identity.clone());
        let added = self
            .added
            .iter()
            .any(|added| added.job == *job && added.partition == partition && added.range.contains(offset));
        let (topic_partition, state) = self.partition_mut(job, partition)?;
        if let Some(expected) = expected.filter(|expected| !expected.agrees(identity)) {
            let found = identity.clone();
            return Err(CommandError::OtherTopic {
                topic_partition,
                expected: Box::new(expected),
                found: Box::new(found),
            });
        }
        if !state.progress.contains(offset) {
            return Err(CommandError::NotInProgress {
                topic_partition,
                offset,
            });
        }
        if added {
            return Err(CommandError::AddedAlready {
                topic_partition,
                offset,
            });
        }
        let range = OffsetRange::new(offset, offset + 1);
        if state.lost.contains(offset) {
            state.lost.remove(range);
            state.counts.lost = state.counts.lost.saturating_sub(1);
        }
        let counts = Counts::of_rows(1, range.offset_sum());
        state.counts.add(counts);
        self.note_added(AddedRange {
            job: job.clone(),
            partition,
            range,
            counts,
        });
        Ok(())
    }

    /// Refuses rows that nobody here would account for.
    fn refuse_unknown(&self, held: &Held) -> Result<(), CommandError> {
        for (id, partitions) in held {
            let job = self
                .jobs
                .get(id)
                .ok_or_else(|| CommandError::UnknownJob { job: id.clone() })?;
            if let Some(unknown) = partitions
                .keys()
                .find(|known| !job.partitions.contains_key(known))
            {
                let topic_partition = job.topic_partition(*unknown);
                return Err(CommandError::UnknownPartition { topic_partition });
            }
        }
        Ok(())
    }

    /// Refuses while `main` holds a row that would be read once more.
    fn refuse_rows_beyond(&self, held: &Held) -> Result<(), CommandError> {
        for (id, job) in &self.jobs {
            let Some(held) = held.get(id) else { continue };
            for (partition, state) in &job.partitions {
                let mut rows = held.get(partition).cloned().unwrap_or_default();
                rows.remove(OffsetRange::new(Offset::MIN, state.progress.anchor()));
                let rows = rows.difference(&state.progress.offsets());
                if !rows.is_empty() {
                    return Err(CommandError::RowsOutsideProgress {
                        topic_partition: job.topic_partition(*partition),
                        rows,
                    });
                }
            }
        }
        Ok(())
    }

    fn raise_generation(&mut self, touched: impl Fn(&JobId) -> bool) {
        for (_, job) in self.jobs.iter_mut().filter(|(id, _)| touched(id)) {
            job.generation = job.generation.next();
        }
    }

    fn partition_mut(
        &mut self,
        job: &JobId,
        partition: i32,
    ) -> Result<(TopicPartition, &mut PartitionState), CommandError> {
        let state = self
            .jobs
            .get_mut(job)
            .ok_or_else(|| CommandError::UnknownJob { job: job.clone() })?;
        let topic_partition = state.topic_partition(partition);
        match state.partitions.get_mut(&partition) {
            Some(state) => Ok((topic_partition, state)),
            None => Err(CommandError::UnknownPartition { topic_partition }),
        }
    }
}

impl PartitionState {
    /// Remembers what of `seen` progress does not cover.
    fn abandon(&mut self, seen: RangeSet) {
        let all = std::mem::take(&mut self.abandoned).union(&seen);
        self.abandoned = all.difference(&self.progress.offsets());
    }
}

/// The files none of whose offsets were given up. A file with offsets on both sides refuses the command,
/// because it can be neither kept nor dropped.
fn keep_outside(
    files: Vec<PendingFile>,
    given_up: &Abandoned,
    carried: impl Fn(&PendingFile) -> bool,
) -> Result<Vec<PendingFile>, CommandError> {
    let mut kept = Vec::new();
    for file in files {
        let mut inside = RangeTally::default();
        for pending in &file.ranges {
            let whole: RangeSet = [pending.range].into_iter().collect();
            let gone = given_up.get(&(pending.job.clone(), pending.partition));
            let lost = gone.map_or(0, |gone| whole.intersection(gone).len_offsets());
            inside.gone += lost;
            inside.all += whole.len_offsets();
        }
        if carried(&file) || inside.gone == 0 {
            kept.push(file);
        } else if inside.gone < inside.all {
            return Err(CommandError::PendingOnBothSides {
                snapshot: file.snapshot,
            });
        }
    }
    Ok(kept)
}

/// How many offsets of a file were given up.
#[derive(Default)]
struct RangeTally {
    gone: u64,
    all: u64,
}
