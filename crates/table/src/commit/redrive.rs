//! Makes rows of dead letters, with their own offsets, each once (commit protocol, section 6).
//!
//! A letter may become a row if its offset is below the table's progress, the base holds no row of it, and the dead
//! letters, loaded after the base, hold it: as they did when it was read, in the same generation. It stays a dead
//! letter: what marked or removed it would lose the record when somebody rolls the row back.

use async_trait::async_trait;
use tabletopic_offsets::{
    Follower, FollowerPosition, Generation, JobId, JobState, Kind, Offset, OffsetRange, RangeSet, TableState,
    TopicIdentity,
};

use super::append::{fits, never_anchored};
use super::base::Base;
use super::change::Change;
use super::engine::Plan;
use super::error::CommitError;
use super::tag_state::{Note, SnapshotAt};
use super::unit::Unit;
use crate::follower::letters::{Address, Addresses, Letters};
use crate::lake::Lake;
use crate::rows::{Lookup, Offsets, within};
use crate::snapshot::build::FileChange;

/// Dead letters of one topic, as one job read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LettersOf {
    pub job: JobId,
    /// Without a cluster id: letters do not tell it.
    pub identity: TopicIdentity,
    /// The meaning that offsets had when the letters were read: after a log was cut, other records have them.
    pub generation: Generation,
    pub offsets: Offsets,
}

impl LettersOf {
    pub fn holds(&self, letter: Address<'_>) -> bool {
        let of_partition = self.offsets.get(&letter.partition);
        letter.job == self.job.as_str()
            && letter.topic_id == self.identity.topic_id.as_deref()
            && of_partition.is_some_and(|offsets| offsets.contains(letter.offset))
    }
}

/// A plan that adds the rows of dead letters. Where one of them may not become a row on the base, nothing is
/// committed: whoever wrote the rows looks again at what is left of them.
#[derive(Debug)]
pub struct Redrive<'a> {
    pub lake: &'a Lake,
    pub letters: &'a LettersOf,
    /// Their rows, and nothing else. Its ranges are empty: a redrive moves no progress.
    pub rows: &'a Unit,
    /// Finds out which of them are rows already.
    pub lookup: Lookup,
    /// Where the followers were last seen, so that the outbox lets go of what they hold.
    pub followers: &'a [(Follower, FollowerPosition)],
    /// For the ledger.
    pub reason: String,
}

#[async_trait]
impl Plan<TableState> for Redrive<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(state) = base.state() else {
            return Err(never_anchored(base));
        };
        if let Err(dropped) = fits(self.lake, base, self.rows).await? {
            tracing::info!(table = %base.table.ident, "letters are decoded again: {dropped}");
            return Ok(None);
        }
        let open = open_letters(self.lake, base, self.letters, &mut self.lookup).await?;
        if open != self.letters.offsets {
            return Ok(None);
        }
        let mut state = state.next(Kind::Redrive);
        state.outbox.acknowledge_known(self.followers);
        let LettersOf {
            job,
            identity,
            offsets,
            ..
        } = self.letters;
        for (partition, offset) in each(offsets) {
            state
                .redrive(job, partition, identity, offset)
                .map_err(|error| CommitError::Encode(error.to_string()))?;
        }
        let added = self
            .rows
            .files
            .iter()
            .map(|file| (self.rows.spec_id, file.clone()));
        let files = FileChange {
            add: added.collect(),
            ..FileChange::default()
        };
        let note = Note {
            actor: self.lake.actor.to_string(),
            reason: self.reason.clone(),
            ..Note::default()
        };
        Ok(Some(Change {
            files,
            ..Change::empty(state, note)
        }))
    }
}

/// Those of `letters` that may become rows on `base`. `lookup` is one for their offsets.
///
/// # Errors
/// Those of reading the main table and the dead letters.
pub async fn open_letters(
    lake: &Lake,
    base: &Base<TableState>,
    letters: &LettersOf,
    lookup: &mut Lookup,
) -> Result<Offsets, CommitError> {
    let mut open = letters.offsets.clone();
    let known = base.state().and_then(|state| state.job(&letters.job));
    let same = |known: &&JobState| {
        known.identity.agrees(&letters.identity) && known.generation == letters.generation
    };
    let Some(known) = known.filter(same) else {
        return Ok(Offsets::new());
    };
    keep(&mut open, |partition| {
        let known = known.partitions.get(&partition);
        known.map_or_else(RangeSet::new, |known| known.progress.offsets())
    });
    if open.is_empty() {
        return Ok(open);
    }
    let there = Letters::open(lake, base).await?;
    let mut reading = there.read(&[], within(&open, "partition", "offset")).await?;
    let mut present = Offsets::new();
    while let Some(batch) = reading.next().await? {
        for letter in Addresses::of(&batch)
            .iter()
            .filter(|letter| letters.holds(*letter))
        {
            let offset = OffsetRange::new(letter.offset, letter.offset + 1);
            present.entry(letter.partition).or_default().insert(offset);
        }
    }
    keep(&mut open, |partition| {
        present.remove(&partition).unwrap_or_default()
    });
    if let Some(head) = base.head() {
        for (partition, rows) in lookup.held(lake, &base.table, head.snapshot_id()).await? {
            if let Some(offsets) = open.remove(&partition) {
                open.insert(partition, offsets.difference(&rows));
            }
        }
    }
    open.retain(|_, offsets| !offsets.is_empty());
    Ok(open)
}

/// Keeps of each partition what is in the other set as well.
fn keep(offsets: &mut Offsets, mut of: impl FnMut(i32) -> RangeSet) {
    for (partition, offsets) in offsets.iter_mut() {
        *offsets = offsets.intersection(&of(*partition));
    }
    offsets.retain(|_, offsets| !offsets.is_empty());
}

fn each(offsets: &Offsets) -> impl Iterator<Item = (i32, Offset)> {
    offsets.iter().flat_map(|(partition, offsets)| {
        let ranges = offsets.ranges().iter();
        ranges.flat_map(|range| (range.start..range.end).map(|offset| (*partition, offset)))
    })
}
