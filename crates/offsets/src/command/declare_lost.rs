//! Goes on without offsets that are gone: from the broker, or from `main` after a rollback.

use super::{CommandError, Gap, Held};
use crate::{AddedRange, Counts, JobId, TableState, TopicPartition};

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
            state.note_epoch(gap.range.end, None);
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
    ///
    /// Refused once a topic was adopted: `held` says nothing of the topics before, which the rollback may have
    /// taken as well. Refused as well once retention has removed rows, which `held` has no more than what is missing.
    pub fn declare_missing_lost(&mut self, held: &Held) -> Result<(), CommandError> {
        self.refuse_unknown(held)?;
        if !self.retired.is_empty() {
            let rows = self.retired.values().map(|counts| counts.rows).sum();
            return Err(CommandError::Retention { rows });
        }
        let mut next = self.clone();
        let mut found = Vec::new();
        for (id, job) in &mut next.jobs {
            for (partition, state) in &mut job.partitions {
                let topic_partition = TopicPartition::new(job.identity.topic.clone(), *partition);
                if !state.past.is_empty() {
                    return Err(CommandError::EarlierTopics { topic_partition });
                }
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
                let now = (rows.len_offsets(), rows.offset_sum());
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
}
