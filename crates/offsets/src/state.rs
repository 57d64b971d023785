//! What every snapshot of ours carries: the whole state of all jobs that feed the table.

use std::collections::BTreeMap;

use crate::{
    Counts, Evolved, Generation, JobId, LedgerEntry, LedgerRange, Offset, OffsetRange, Outbox, Progress,
    RangeSet, Stamp, TopicIdentity, TopicPartition,
};

/// Why a snapshot was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// New partitions or a new topic id, at their starts. Also the answer to a recreated topic.
    Anchor,
    Append,
    /// Rows were replaced or removed, as after a truncated log.
    Replace,
    DeclareLost,
    Redrive,
    Schema,
    /// Compaction, expiry, renewal of the tag.
    Maintenance,
    Rewind,
    /// Rows that were older than the table keeps them were removed.
    Retention,
    /// The rows of a replay took the place of all rows. The ledger has it as a replace, an anchor and an append.
    Promote,
    /// What some offsets had in the table before they were read again. The ledger alone has it, beside a repair.
    Withdraw,
    /// Some offsets within progress were read again: their rows took the place of those that were there. The ledger has it as a
    /// withdraw and a repair.
    Repair,
}

/// One topic partition of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    pub progress: Progress,
    /// The leader epoch at [`Progress::live_end`].
    pub leader_epoch: Option<i32>,
    /// The same where a backfill goes on; nothing where there is none.
    pub backfill_epoch: Option<i32>,
    /// Cumulative since the first anchor, over all topic ids that this partition had.
    pub counts: Counts,
    /// The part of `counts` that earlier topic ids made, before the topic was adopted.
    pub inherited: Counts,
    /// Offsets of this topic id that were declared lost.
    pub lost: RangeSet,
    /// Offsets of this topic id that a rewind gave up and that progress does not cover again yet.
    pub abandoned: RangeSet,
    /// The topic ids before this one, oldest first.
    pub past: Vec<PastTopic>,
}

/// What an adoption closed. A rewind over the adoption opens it again, and must then know which offsets
/// had been read, because the log that held them is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastTopic {
    /// The last generation in which it was read.
    pub generation: Generation,
    /// Progress and abandoned offsets at its end.
    pub claimed: RangeSet,
}

impl PartitionState {
    pub fn anchored(at: Offset) -> Self {
        Self {
            progress: Progress::anchored(at),
            leader_epoch: None,
            backfill_epoch: None,
            counts: Counts::default(),
            inherited: Counts::default(),
            lost: RangeSet::new(),
            abandoned: RangeSet::new(),
            past: Vec::new(),
        }
    }
}

impl PartitionState {
    /// Notes what is known of the leader epoch at `end`, the end of a range by which progress has just grown.
    pub(crate) fn note_epoch(&mut self, end: Offset, epoch: Option<i32>) {
        match self.progress.backfill() {
            Some(left) if left.start == end => self.backfill_epoch = epoch,
            None => self.backfill_epoch = None,
            Some(_) => {}
        }
        // Where a backfill met what is new, the epoch there is still that of the live range.
        if self.progress.live_end() == end {
            self.leader_epoch = epoch;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobState {
    pub identity: TopicIdentity,
    pub generation: Generation,
    pub partitions: BTreeMap<i32, PartitionState>,
}

impl JobState {
    pub fn topic_partition(&self, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: self.identity.topic.clone(),
            partition,
        }
    }
}

/// Offsets that this very snapshot accounts for; of a [`Kind::Replace`], those that it took back; of a
/// [`Kind::Retention`], the span of those whose rows it removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedRange {
    pub job: JobId,
    pub partition: i32,
    pub range: OffsetRange,
    /// Of this range alone.
    pub counts: Counts,
}

impl AddedRange {
    /// Where a partition starts: no offsets yet.
    pub(crate) fn anchor(job: &JobId, partition: i32, at: Offset) -> Self {
        let (job, range) = (job.clone(), OffsetRange::new(at, at));
        Self {
            job,
            partition,
            range,
            counts: Counts::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    pub kind: Kind,
    pub jobs: BTreeMap<JobId, JobState>,
    /// Rows that retention has removed, which `counts` still has; by partition number, because rows do not always tell their
    /// topic.
    pub retired: BTreeMap<i32, Counts>,
    /// Sorted by job, partition and start; ranges that meet are one.
    pub added: Vec<AddedRange>,
    /// Of a [`Kind::Promote`] or [`Kind::Repair`] that is being made, what it takes back. The ledger alone keeps it.
    pub replaced: Vec<AddedRange>,
    /// What this very snapshot changed in the table's columns or partitions.
    pub evolved: Option<Evolved>,
    pub outbox: Outbox,
}

impl TableState {
    /// The state of a table that has no snapshot of ours.
    pub fn empty() -> Self {
        Self {
            kind: Kind::Anchor,
            jobs: BTreeMap::new(),
            retired: BTreeMap::new(),
            added: Vec::new(),
            replaced: Vec::new(),
            evolved: None,
            outbox: Outbox::default(),
        }
    }

    /// The state to build the next snapshot from: it carries everything on and has added nothing yet.
    #[must_use]
    pub fn next(&self, kind: Kind) -> Self {
        Self {
            kind,
            added: Vec::new(),
            replaced: Vec::new(),
            evolved: None,
            ..self.clone()
        }
    }

    pub fn job(&self, job: &JobId) -> Option<&JobState> {
        self.jobs.get(job)
    }

    pub fn partition(&self, job: &JobId, partition: i32) -> Option<&PartitionState> {
        self.jobs.get(job)?.partitions.get(&partition)
    }

    /// What this very snapshot took back of a partition.
    pub fn taken_back(&self, job: &JobId, partition: i32) -> Counts {
        let of_partition = |added: &&AddedRange| added.job == *job && added.partition == partition;
        let taken_back = self.added.iter().filter(|_| self.kind == Kind::Replace);
        taken_back
            .filter(of_partition)
            .fold(Counts::default(), |mut sum, added| {
                sum.add(added.counts);
                sum
            })
    }

    /// Another job that feeds the same topic into this table.
    pub(crate) fn other_feeder(&self, job: &JobId, identity: &TopicIdentity) -> Option<JobId> {
        let feeds = |(id, state): &(&JobId, &JobState)| *id != job && state.identity.feeds_the_same(identity);
        self.jobs.iter().find(feeds).map(|(id, _)| id.clone())
    }

    /// Notes that this snapshot accounts for a range.
    pub(crate) fn note_added(&mut self, added: AddedRange) {
        let key = |a: &AddedRange| (a.job.clone(), a.partition, a.range.start);
        let position = self.added.partition_point(|held| key(held) < key(&added));
        self.added.insert(position, added);
        self.added.dedup_by(|right, left| {
            let meet = left.job == right.job
                && left.partition == right.partition
                && left.range.end == right.range.start
                // An anchor stays a row of its own.
                && !left.range.is_empty()
                && !right.range.is_empty();
            if meet {
                left.range.end = right.range.end;
                left.counts.add(right.counts);
            }
            meet
        });
    }

    /// The last step before encoding: puts this snapshot into the outbox, with a ledger entry that
    /// names the ranges it added, and what it changed.
    pub fn record(&mut self, stamp: Stamp) {
        let told = match self.kind {
            Kind::Promote => {
                let replaced = std::mem::take(&mut self.replaced);
                let anchors = self.added.iter();
                let anchors =
                    anchors.map(|added| AddedRange::anchor(&added.job, added.partition, added.range.start));
                let claims = self.added.iter().filter(|added| !added.range.is_empty());
                // The last one is what whoever goes back meets first, and can't undo.
                vec![
                    (Kind::Anchor, anchors.collect()),
                    (Kind::Append, claims.cloned().collect()),
                    (Kind::Replace, replaced),
                ]
            }
            Kind::Repair => vec![
                (Kind::Withdraw, std::mem::take(&mut self.replaced)),
                (Kind::Repair, self.added.clone()),
            ],
            kind => vec![(kind, self.added.clone())],
        };
        let mut evolved = self.evolved.clone();
        for (kind, added) in told {
            let entry = LedgerEntry {
                kind,
                ranges: added.iter().map(|added| self.ledger_range(added)).collect(),
                evolved: evolved.take(),
                stamp: stamp.clone(),
            };
            self.outbox.ledger.push(entry);
        }
        self.outbox.snapshots.push(stamp.snapshot);
    }

    fn ledger_range(&self, added: &AddedRange) -> LedgerRange {
        let identity = self.jobs.get(&added.job).map(|job| &job.identity);
        LedgerRange {
            job: added.job.clone(),
            topic: identity.map_or_else(|| "".into(), |identity| identity.topic.clone()),
            topic_id: identity.and_then(|identity| identity.topic_id.clone()),
            partition: added.partition,
            range: added.range,
            counts: added.counts,
        }
    }
}
