//! Units become a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use tabletopic_offsets::{JobId, Offset, TableState};
use tabletopic_table::commit::{
    Append, Base, CommitError, Committed, Dropped, Fate, Halt, LogWaiting, Unit, commit,
};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Committer, From, log_line, tell};
use crate::lane::Lane;
use crate::observe::{Added, newest_record};
use crate::worker::Reply;

/// A unit on its way, with the uploads of its files.
pub(super) struct Submitted {
    pub from: From,
    pub job: JobId,
    pub unit: Unit,
    pub uploads: Vec<JoinHandle<()>>,
}

impl Submitted {
    fn key(&self) -> (usize, JobId) {
        (self.from.worker, self.job.clone())
    }
}

impl Committer {
    pub(super) async fn submit(&mut self, submitted: Vec<Submitted>) {
        let mut waiting = Vec::new();
        for mut unit in submitted {
            let void = self
                .void
                .get(&unit.key())
                .is_some_and(|void| unit.from.incarnation <= *void);
            if void || self.is_halted() {
                continue;
            }
            for upload in unit.uploads.drain(..) {
                // An upload ends only when the file is stored, or with its process.
                let _ = upload.await;
            }
            waiting.push(unit);
        }
        self.same_topics(&mut waiting).await;
        if waiting.is_empty() {
            return;
        }
        let units: Vec<Unit> = waiting.iter().map(|submitted| submitted.unit.clone()).collect();
        let mut began = Instant::now();
        let mut appended = self.append(&units).await;
        if let Err(CommitError::Halt(Halt::OutboxFull { .. })) = &appended {
            // Full is what this process knew the followers to hold, which may be long ago.
            self.drain_all().await;
            began = Instant::now();
            appended = self.append(&units).await;
        }
        let took = began.elapsed();
        match appended {
            Ok((committed, fates)) => {
                self.observed.saw(&committed.base);
                if let Some(snapshot) = &committed.snapshot {
                    let added = added(&waiting, &fates);
                    let (id, at) = (snapshot.snapshot_id(), snapshot.timestamp_ms());
                    self.observed.committed(&self.table, id, at, &added, took);
                }
                log_line::committed(&self.table, &committed, took);
                self.tell(waiting, fates).await;
                self.drain_if_due(&committed.base).await;
            }
            Err(error) => self.halt(error).await,
        }
    }

    async fn append(&self, units: &[Unit]) -> Result<(Committed<TableState>, Vec<Fate>), CommitError> {
        let mut plan = Append::new(&self.lake, units, &self.followers);
        let committed = commit(&self.lake, &self.table, &mut plan, &LogWaiting).await?;
        Ok((committed, plan.into_fates()))
    }

    /// Drops the units of topics that are no longer what they were when they were read (section 5).
    async fn same_topics(&mut self, waiting: &mut Vec<Submitted>) {
        let jobs: BTreeMap<JobId, _> = waiting
            .iter()
            .filter_map(|submitted| {
                let range = submitted.unit.ranges.first()?;
                let read_as = (range.identity.clone(), range.generation);
                Some((submitted.job.clone(), read_as))
            })
            .collect();
        for (id, (read, generation)) in jobs {
            let Some(job) = self.jobs.get(&id).cloned() else {
                continue;
            };
            let now = self.identity(&job).await;
            if now.as_ref().is_some_and(|now| now.agrees(&read)) {
                continue;
            }
            if let Some(now) = now {
                self.other_topic(&id, &read, &now, generation);
            }
            for unit in waiting.extract_if(.., |submitted| submitted.job == id) {
                self.void.insert(unit.key(), unit.from.incarnation);
                unit.from.answer(Reply::Halted {
                    job: id.clone(),
                    partition: None,
                });
            }
        }
    }

    async fn tell(&mut self, waiting: Vec<Submitted>, fates: Vec<Fate>) {
        for (submitted, fate) in waiting.into_iter().zip(fates) {
            let key = submitted.key();
            let Submitted { from, job, unit, .. } = submitted;
            match fate {
                Fate::Committed => {
                    self.ahead.remove(&key);
                    let ends: Vec<(i32, Offset)> = unit
                        .ranges
                        .iter()
                        .map(|range| (range.partition, range.range.end))
                        .collect();
                    from.answer(Reply::Committed { job, ends });
                }
                // Dropped along with an earlier one of the same worker, which said so.
                Fate::Dropped(_) if self.void.get(&key).is_some_and(|void| from.incarnation <= *void) => {}
                Fate::Dropped(dropped) => {
                    tracing::warn!(table = %self.table, %job, "a unit was dropped and is read again: {dropped}");
                    self.observed.dropped(&self.table);
                    self.void.insert(key.clone(), from.incarnation);
                    if let Some(seen) = self.persists_ahead(key, &dropped) {
                        let halt = Halt::Ahead {
                            table: self.table.clone(),
                            seen,
                        };
                        self.halt(CommitError::Halt(halt)).await;
                        return;
                    }
                    from.answer(Reply::Restart { job });
                }
            }
        }
    }

    /// A unit above progress is a reason to halt only if the next one, read from progress, is so too.
    fn persists_ahead(&mut self, key: (usize, JobId), dropped: &Dropped) -> Option<String> {
        match dropped {
            Dropped::Fenced(fenced) if fenced.is_ahead() => {
                (!self.ahead.insert(key)).then(|| fenced.to_string())
            }
            _ => {
                self.ahead.remove(&key);
                None
            }
        }
    }

    /// Units that were cut under an older meaning of offsets are fenced by their generation; this stops the workers
    /// from reading on in vain, also where nothing is committed because a partition stands still.
    pub(super) fn restart_if_superseded(&mut self, base: &Base<TableState>) {
        let Some(state) = base.state() else { return };
        let answered = self
            .generations
            .iter()
            .filter(|(id, told)| state.job(id).is_some_and(|job| job.generation != **told))
            .map(|(id, _)| id.clone());
        // An earlier owner's commit can still land after the log is gone that the next one was sent to.
        let passed = self
            .refused
            .iter()
            .filter(|((id, partition, lane), position)| {
                let held = state.partition(id, *partition);
                held.is_some_and(|held| lane.has_passed(held, **position))
            })
            .map(|((id, ..), _)| id.clone());
        let superseded: BTreeSet<JobId> = answered.chain(passed).collect();
        for id in superseded {
            self.restart(&id);
        }
    }

    /// Has every worker of a job ask again.
    pub(super) fn restart(&mut self, id: &JobId) {
        self.generations.remove(id);
        self.refused.retain(|(job, ..), _| job != id);
        self.observed.halts.lift(|scope| scope.is_of_job(id));
        for ((_, job), worker) in self.workers.iter().filter(|((_, job), _)| job == id) {
            tell(worker, Reply::Restart { job: job.clone() });
        }
    }
}

/// What the units that passed the guard added to the table.
fn added(waiting: &[Submitted], fates: &[Fate]) -> Added {
    let passed = waiting.iter().zip(fates);
    let passed = passed.filter(|(_, fate)| matches!(fate, Fate::Committed));
    let mut added = Added::default();
    for (Submitted { from, unit, .. }, _) in passed {
        added.rows += unit.ranges.iter().map(|range| range.counts.rows).sum::<u64>();
        added.filtered += unit.ranges.iter().map(|range| range.counts.filtered).sum::<u64>();
        added.files += unit.files.len() as u64;
        added.bytes += unit
            .files
            .iter()
            .map(|file| file.file_size_in_bytes())
            .sum::<u64>();
        for (reason, number) in unit.dead_letters.iter().flat_map(|letters| &letters.reasons) {
            *added.dead_letters.entry(reason).or_default() += number;
        }
        // History says nothing of how fresh the table is.
        if from.lane == Lane::Live {
            let newest = newest_record(unit.files.iter(), &unit.schema);
            added.newest_record = added.newest_record.max(newest);
        }
    }
    added
}
