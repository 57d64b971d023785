//! The dead letters that a table had at one of its snapshots, where others have taken their place since.

use iceberg::spec::SnapshotRef as IcebergSnapshotRef;
use tabletopic_offsets::{
    Follower, JobState, Kind, Offset, OffsetRange, PartitionState, PendingFile, PendingRange, RangeSet,
    SnapshotRef, TableState,
};

use super::{only_topic, snapshot_ref};
use crate::commit::{Base, CommitError, Halt, SnapshotAt, TagState};
use crate::follower::{FollowerState, entry, ident};
use crate::lake::Lake;
use crate::rows::Offsets;
use crate::without::{self, Rewrite};

/// The columns of a dead letter that say where its record is from.
const PLACE: [&str; 2] = ["partition", "offset"];

/// Letters of then, found and counted.
#[derive(Debug)]
pub(super) struct LettersThen<'a> {
    lake: &'a Lake,
    /// The dead-letter table, with what it held before others took their place, without what was set aside after then.
    /// `None`: there were no letters.
    held: Option<(Base<FollowerState>, Vec<Rewrite>)>,
    /// The offsets that they may be of.
    ranges: Vec<PendingRange>,
}

impl LettersThen<'_> {
    /// Puts them into `state`, the one to be, in files that are written anew: all of then come back, and none of now stays.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub async fn put_back(&self, state: &mut TableState, at: SnapshotAt) -> Result<(), CommitError> {
        let written = match &self.held {
            Some((beside, rewrites)) => without::write(self.lake, beside.metadata(), rewrites).await?,
            None => Vec::new(),
        };
        let files = written.iter().map(|(_, file)| {
            Ok(PendingFile {
                snapshot: at.snapshot_ref(),
                entry: entry::write(file)?,
                ranges: self.ranges.clone(),
                time_ms: at.timestamp_ms,
            })
        });
        let files = files.collect::<Result<Vec<_>, CommitError>>()?;
        state.put_letters_back(files, at.snapshot_ref(), at.timestamp_ms);
        Ok(())
    }
}

/// The letters of `older`, the state of our snapshot `since`; `None` where nothing has taken their place. Writes nothing.
///
/// # Errors
/// The dead-letter table does not have them any more; those of reading.
pub(super) async fn letters_then<'a>(
    lake: &'a Lake,
    base: &Base<TableState>,
    (since, older): (Option<SnapshotRef>, &TableState),
) -> Result<Option<LettersThen<'a>>, CommitError> {
    let number = since.map_or(0, |since| since.sequence_number);
    let Some(swapped) = swapped_after(base, number) else {
        return Ok(None);
    };
    let wanted = letters(older);
    if wanted == 0 {
        let (held, ranges) = (None, Vec::new());
        return Ok(Some(LettersThen { lake, held, ranges }));
    }
    let refused = |why: &str| {
        let detail = format!(
            "a replay was promoted after that snapshot, or offsets were repaired, and took the place of dead letters of then, \
             which can't be put back: {why}. Replay the topic by the mapping of then, and promote that"
        );
        CommitError::from(Halt::Resolve {
            table: base.table.ident.clone(),
            detail,
        })
    };
    let job = only_topic(older).map_err(&refused)?;
    let table = ident(&base.table.ident, Follower::DeadLetters);
    let beside = Base::<FollowerState>::read(lake.catalog.load(&table).await?)?;
    let Some((snapshot_id, drained)) = newest_before(&beside, base, (number, swapped)) else {
        return Err(refused("the dead-letter table has no snapshot of then any more"));
    };
    let waits = |file: &PendingFile| file.snapshot.sequence_number > drained;
    if older.outbox.dead_letters.iter().any(waits) {
        return Err(refused("they had not come to the dead-letter table"));
    }
    let mut gone = outside(base.state(), older);
    let removed = older.outbox.removals.iter();
    for removal in removed.filter(|removal| removal.snapshot.sequence_number > drained) {
        let all = gone.entry(removal.partition).or_default();
        *all = std::mem::take(all).union(&removal.offsets);
    }
    let rewrites = without::all(lake, &beside.table, snapshot_id, (&gone, PLACE)).await?;
    if without::staying(lake, &rewrites).await? != wanted {
        return Err(refused(
            "the dead-letter table did not hold just those that were counted",
        ));
    }
    let partitions = older.job(job).into_iter().flat_map(|job| &job.partitions);
    let ranges = partitions
        .flat_map(|(partition, state)| {
            let ranges = state.progress.ranges().iter();
            ranges.map(|range| PendingRange {
                job: job.clone(),
                partition: *partition,
                range: *range,
            })
        })
        .collect();
    let held = Some((beside, rewrites));
    Ok(Some(LettersThen { lake, held, ranges }))
}

fn letters(state: &TableState) -> u64 {
    let partitions = state.jobs.values().flat_map(|job| job.partitions.values());
    partitions.map(|state| state.counts.dead_letters).sum()
}

/// The first snapshot after a sequence number that put other dead letters in the place of those that there were: its own
/// number.
fn swapped_after(base: &Base<TableState>, since: i64) -> Option<i64> {
    let swaps = |snapshot: &&IcebergSnapshotRef| {
        let state = <TableState as TagState>::decode(&snapshot.summary().additional_properties);
        let Ok(state) = state else {
            return false;
        };
        match state.kind {
            Kind::Promote => true,
            // Its ledger rows wait at least until the snapshot is there.
            Kind::Repair => {
                let at = snapshot_ref(snapshot);
                let mut told = state
                    .outbox
                    .ledger
                    .iter()
                    .filter(|entry| entry.stamp.snapshot == at);
                told.any(|entry| entry.ranges.iter().any(|range| range.counts.dead_letters > 0))
            }
            _ => false,
        }
    };
    let later = base
        .metadata()
        .snapshots()
        .filter(|snapshot| snapshot.sequence_number() > since);
    later
        .filter(swaps)
        .map(|snapshot| snapshot.sequence_number())
        .min()
}

/// The newest snapshot of the dead-letter table that has nothing of the main table's snapshot `swapped`, nor of one after `since`
/// that somebody went back behind, and up to which sequence number of the main table it has all.
fn newest_before(
    beside: &Base<FollowerState>,
    main: &Base<TableState>,
    (since, swapped): (i64, i64),
) -> Option<(i64, i64)> {
    let uuid = main.metadata().uuid().to_string();
    let of = |snapshot: &IcebergSnapshotRef| {
        let state = <FollowerState as TagState>::decode(&snapshot.summary().additional_properties).ok()?;
        let drained = state.drained.snapshot.sequence_number;
        // What an answer abandons leaves the table.
        let stands = drained <= since
            || main
                .metadata()
                .snapshot_by_id(state.drained.snapshot.snapshot_id)
                .is_some();
        let is_before = drained < swapped && stands && state.drained.table_uuid == uuid;
        is_before.then_some((snapshot.sequence_number(), snapshot.snapshot_id(), drained))
    };
    let newest = beside.metadata().snapshots().filter_map(of).max()?;
    Some((newest.1, newest.2))
}

/// All offsets that `older` does not have as done, of the partitions that the table has by now.
fn outside(now: Option<&TableState>, older: &TableState) -> Offsets {
    let partitions = |state: &TableState| -> Vec<(i32, RangeSet)> {
        let of_job = |job: &JobState| {
            let done = |(partition, state): (&i32, &PartitionState)| (*partition, state.progress.offsets());
            job.partitions.iter().map(done).collect::<Vec<_>>()
        };
        state.jobs.values().flat_map(of_job).collect()
    };
    let mut outside = Offsets::new();
    let all = now.map(partitions).unwrap_or_default();
    for (partition, _) in all.into_iter().chain(partitions(older)) {
        outside.insert(
            partition,
            [OffsetRange::new(0, Offset::MAX)].into_iter().collect(),
        );
    }
    for (partition, done) in partitions(older) {
        let rest = outside.remove(&partition).unwrap_or_default();
        outside.insert(partition, rest.difference(&done));
    }
    outside
}
