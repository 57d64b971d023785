//! Some offsets were read again, by a replay of just these: their rows in the table go, and those of the replay come, in one
//! commit, while the service goes on above.
//!
//! Files that hold other rows as well are written again without these, and the replay's rows are written into files of the
//! table's own: so nothing leads to the replay afterwards, which is removed like any other. What was written for one base is
//! used for the next, as long as the file and its deletes are the same: the service may commit every second.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::spec::{DataFile, Operation, TableMetadata};
use roaring::RoaringTreemap;
use tabletopic_clock::Millis;
use tabletopic_offsets::{
    CommandError, Counts, JobId, JobState, Kind, OffsetRange, PendingFile, PendingRange, RangeSet, Repaired,
    TableState, TopicPartition, replayed,
};

use super::counted::{self, Counting};
use super::of_offsets::{drained_letters, others_have};
use super::places::{LettersOf, Places, letters, of_rows};
use super::replayed::{Replayed, fields};
use super::seen::Seen;
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Note, Plan, SnapshotAt, TagState, Tagged};
use crate::follower::{FollowerState, entry};
use crate::lake::Lake;
use crate::rows::{Deleted, Offsets};
use crate::snapshot::build::FileChange;
use crate::snapshot::live::FileId;
use crate::without::{self, Found, Known, Rewrite};

/// Files that no snapshot names may be taken for orphans after a day; before that they are written again.
const OLD_MS: Millis = 12 * 60 * 60 * 1000;

/// Ranges of offsets that an error names.
const NAMED: usize = 5;

/// What a repair does to one topic partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    pub topic_partition: TopicPartition,
    pub range: OffsetRange,
    /// What the table's counts have of the offsets.
    pub before: Counts,
    pub after: Counts,
    /// Where the table has rows or dead letters of no record that was counted, which others have put there: they go. Where records
    /// are left out now, only some of these are.
    pub beside: RangeSet,
}

/// See the module.
#[derive(Debug)]
pub struct Repair<'a> {
    replayed: Replayed<'a>,
    job: JobId,
    /// By topic partition number.
    ranges: BTreeMap<i32, OffsetRange>,
    /// The operator's words, for the ledger.
    reason: String,
    counting: Counting,
    known: Known,
    written: Written,
    /// The offsets that have a row or a dead letter in the replay, once they have been read.
    read: Option<Places>,
    /// What was shown; what is not that any more is not taken out.
    seen: Option<Seen>,
    /// Of the newest plan.
    pub swaps: Vec<Swap>,
    /// Whether what the table has is not what was counted, by the newest plan.
    pub lacks: bool,
}

impl<'a> Repair<'a> {
    /// `replay` holds `ranges` of the job's topic, by topic partition number, with its newest snapshot `looked_at`.
    pub fn new(
        lake: &'a Lake,
        (replay, looked_at): (TableIdent, i64),
        (job, ranges): (JobId, BTreeMap<i32, OffsetRange>),
        reason: String,
    ) -> Self {
        Self {
            replayed: Replayed {
                lake,
                table: replay,
                looked_at,
            },
            job,
            ranges,
            reason,
            counting: Counting::default(),
            known: Known::new(),
            written: Written::default(),
            read: None,
            seen: None,
            swaps: Vec::new(),
            lacks: false,
        }
    }
}

/// Whether the table has all of these offsets, and rows tell that they are this job's.
///
/// # Errors
/// What is not so.
pub fn refuse_unread(
    base: &Base<TableState>,
    job: &JobId,
    ranges: &BTreeMap<i32, OffsetRange>,
) -> Result<(), Halt> {
    let refused = |detail: String| Halt::Resolve {
        table: base.table.ident.clone(),
        detail,
    };
    let Some(state) = base.state() else {
        return Err(refused("it holds nothing yet".to_owned()));
    };
    let Some(known) = state.job(job) else {
        return Err(refused(format!("job {job} has read nothing into it yet")));
    };
    for (partition, range) in ranges {
        let name = known.topic_partition(*partition);
        let progress = known
            .partitions
            .get(partition)
            .map_or_else(RangeSet::new, |state| state.progress.offsets());
        if !progress.covers(*range) {
            let error = CommandError::NotRead {
                topic_partition: name,
                range: *range,
                progress,
            };
            return Err(refused(error.to_string()));
        }
        if others_have(state, job, *partition, *range) {
            return Err(refused(format!(
                "{name}: other topics fed this table with offsets of {range} of this partition number (another job, or the topic \
                 before it was adopted), and its rows do not tell which topic they came from"
            )));
        }
    }
    Ok(())
}

/// What a repair of one base swaps.
struct Swapped {
    state: TableState,
    /// What the table has of the offsets.
    counted: counted::Found,
    /// The table's dead letters.
    beside: Base<FollowerState>,
    /// The replay, and its dead letters.
    replay: Base<TableState>,
    letters: Base<FollowerState>,
    found: Found,
}

#[async_trait]
impl Plan<TableState> for Repair<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let lake = self.replayed.lake;
        let Swapped {
            mut state,
            beside,
            replay,
            letters,
            found,
            ..
        } = self.swapped(base, at).await?;
        let all = all_of(lake, &letters).await?;
        for (_, file) in self.written.of_all(lake, beside.metadata(), all).await? {
            state.outbox.dead_letters.push(PendingFile {
                snapshot: at.snapshot_ref(),
                entry: entry::write(&file)?,
                ranges: self.pending(),
                time_ms: at.timestamp_ms,
            });
        }
        let spec_id = self.spec_id(base, &replay)?;
        let mixed = found.mixed.iter().map(|rewrite| rewrite.path().to_owned());
        let mut files = FileChange {
            remove: mixed.chain(found.whole).map(FileId::of_data).collect(),
            ..FileChange::default()
        };
        let of_replay = all_of(lake, &replay).await?.into_iter();
        for rewrite in found
            .mixed
            .into_iter()
            .chain(of_replay.map(|rewrite| rewrite.under(spec_id)))
        {
            let written = self.written.of_all(lake, base.metadata(), vec![rewrite]).await?;
            files.add.extend(written);
        }
        let note = Note {
            actor: lake.actor.to_string(),
            reason: self.reason.clone(),
            abandons_since: None,
        };
        let mut change = Change::empty(state, note);
        change.operation = match (files.remove.is_empty(), files.add.is_empty()) {
            (true, _) => Operation::Append,
            (false, true) => Operation::Delete,
            (false, false) => Operation::Overwrite,
        };
        change.files = files;
        Ok(Some(change))
    }
}

impl Repair<'_> {
    /// What it would do: the swaps, how many files go, and how many of these hold other rows as well and are written again.
    /// Writes nothing. From now on what the table has of the offsets has to stay what it is.
    ///
    /// # Errors
    /// It can't be done.
    pub async fn look(
        &mut self,
        base: &Base<TableState>,
        at: SnapshotAt,
    ) -> Result<(Vec<Swap>, [usize; 2]), CommitError> {
        let Swapped { found, counted, .. } = self.swapped(base, at).await?;
        if self.seen.is_none() {
            self.seen = Some(Seen::of(base, found.files.clone(), &counted));
        }
        let files = [found.whole.len() + found.mixed.len(), found.mixed.len()];
        Ok((self.swaps.clone(), files))
    }

    async fn swapped(&mut self, base: &Base<TableState>, at: SnapshotAt) -> Result<Swapped, CommitError> {
        let Some(tagged) = &base.tagged else {
            return Err(never_anchored(base));
        };
        let lake = self.replayed.lake;
        refuse_unread(base, &self.job, &self.ranges)?;
        let loaded = lake.catalog.load(&self.replayed.table).await?;
        let replay = self.replayed.unchanged(base, loaded).await?;
        let Some(read) = &replay.tagged else {
            return Err(never_anchored(&replay));
        };
        self.replayed.refuse_other_columns(base, &replay)?;
        self.refuse_new_columns(base, &replay)?;
        let reads = self.reads(base, tagged, read)?;
        self.replayed.files(base, &replay, read).await?;
        let (letters, _) = self.replayed.letters(base, &replay, read).await?;

        let replayed = self.replayed.clone();
        let refused = |why: String| replayed.refused(base, &why);
        let gone = self.ranges.iter();
        let gone: Offsets = gone
            .map(|(partition, range)| (*partition, [*range].into_iter().collect()))
            .collect();
        let found = match base.head() {
            Some(head) => {
                without::find(lake, &base.table, head.snapshot_id(), &gone, &mut self.known).await?
            }
            None => Found::default(),
        };
        if let Some(seen) = &self.seen {
            seen.refuse_other_files(base, &found.files).map_err(&refused)?;
        }
        let places = match &self.read {
            Some(places) => places,
            None => self.read.insert(places(lake, &replay, &self.job).await?),
        };
        let wanted = counted::Wanted {
            job: &self.job,
            ranges: &self.ranges,
            read: places,
        };
        let counted = self.counting.of(lake, base, tagged, wanted, &refused).await?;
        if let Some(seen) = &self.seen {
            seen.refuse_other_counts(base, &counted).map_err(&refused)?;
        }
        self.lacks = counted.lacks;
        let mut repaired = Vec::new();
        let mut beside_records = BTreeMap::new();
        for (partition, read) in reads {
            let has = places.get(&partition).cloned().unwrap_or_default();
            let had = counted.places.get(&partition).cloned().unwrap_or_default();
            let withdrawn = counted.counts.get(&partition).copied().unwrap_or_default();
            let range = self.ranges[&partition];
            let lost = tagged.state.partition(&self.job, partition);
            let lost = lost.map(|state| state.lost.clone()).unwrap_or_default();
            let lost = lost.intersection(&[range].into_iter().collect());
            let still_lost = without_places(lost.clone(), &has);
            let found_again = lost.len_offsets() - still_lost.len_offsets();
            let records = counted.records.get(&partition).copied().unwrap_or_default();
            let gone = had - &has;
            if has.len() + read.filtered < records + found_again {
                return Err(refused(gone_from_source(partition, &gone)));
            }
            // All records that were counted have been read: what is more than those that are left out now is none of theirs.
            if gone.len() > read.filtered {
                beside_records.insert(partition, as_ranges(&gone));
            }
            if read.filtered > 0 && !still_lost.is_empty() {
                let why = format!(
                    "of offsets {still_lost} of partition {partition}, which were declared lost, nobody can tell which were left \
                     out now. Name others"
                );
                return Err(refused(why));
            }
            repaired.push(Repaired {
                job: self.job.clone(),
                partition,
                range,
                withdrawn,
                read,
                still_lost,
            });
        }
        let mut state = tagged.state.next(Kind::Repair);
        let beside = drained_letters(lake, base, &mut state).await?;
        state
            .repair(&repaired, at.snapshot_ref(), at.timestamp_ms)
            .map_err(|error| refused(error.to_string()))?;
        self.swaps = swaps(&state, &self.job, &mut beside_records);
        Ok(Swapped {
            state,
            counted,
            beside,
            replay,
            letters,
            found,
        })
    }

    /// What the replay counts, by topic partition number: of these offsets, and no others.
    fn reads(
        &self,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
        read: &Tagged<TableState>,
    ) -> Result<BTreeMap<i32, Counts>, CommitError> {
        let refused = |why: &str| self.replayed.refused(base, why);
        let same_topic = |state: &TableState| {
            let known = tagged.state.job(&self.job)?;
            let read = state.job(&self.job)?;
            known.identity.agrees(&read.identity).then(|| read.clone())
        };
        let claims_nothing = |(id, job): (&JobId, &JobState)| {
            let mut partitions = job.partitions.values();
            *id == self.job || partitions.all(|state| state.progress.offsets().is_empty())
        };
        let Some(job) = same_topic(&read.state).filter(|_| read.state.jobs.iter().all(claims_nothing)) else {
            return Err(refused("they are not of the topic that they are repaired by"));
        };
        let claims = replayed(&self.job, &job).map_err(|error| refused(&error.to_string()))?;
        let claims: BTreeMap<i32, (OffsetRange, Counts)> = claims
            .into_iter()
            .filter(|claim| !claim.range.is_empty())
            .map(|claim| (claim.partition, (claim.range, claim.counts)))
            .collect();
        let ranges: BTreeMap<i32, OffsetRange> = claims
            .iter()
            .map(|(number, (range, _))| (*number, *range))
            .collect();
        match ranges == self.ranges {
            true => Ok(claims
                .into_iter()
                .map(|(number, (_, counts))| (number, counts))
                .collect()),
            false => Err(refused("they are of other offsets than those that are repaired")),
        }
    }

    /// The service adds columns as records have them; a repair is no place to begin with one.
    fn refuse_new_columns(
        &self,
        base: &Base<TableState>,
        replay: &Base<TableState>,
    ) -> Result<(), CommitError> {
        let (table, columns) = (
            base.metadata().current_schema(),
            replay.metadata().current_schema(),
        );
        let new = columns
            .field_id_to_fields()
            .keys()
            .find(|id| table.field_by_id(**id).is_none());
        match new {
            None => Ok(()),
            Some(id) => {
                let why = format!(
                    "its records have a column `{}` that the table does not have. Leave it out by `columns.drop`, or replay \
                     the table whole and promote that",
                    columns.name_by_field_id(*id).unwrap_or("?")
                );
                Err(self.replayed.refused(base, &why))
            }
        }
    }

    /// The table's partition spec that parts rows as the replay's does.
    fn spec_id(&self, base: &Base<TableState>, replay: &Base<TableState>) -> Result<i32, CommitError> {
        let wanted = fields(replay.metadata().default_partition_spec());
        let metadata = base.metadata();
        let specs = std::iter::once(metadata.default_partition_spec()).chain(metadata.partition_specs_iter());
        let same = specs.into_iter().find(|spec| fields(spec) == wanted);
        same.map(|spec| spec.spec_id()).ok_or_else(|| {
            let why =
                "the table is not partitioned by `partition_by` yet: run the service once, which changes it";
            self.replayed.refused(base, why)
        })
    }

    /// The offsets that dead letters of the replay are of.
    fn pending(&self) -> Vec<PendingRange> {
        let ranges = self.ranges.iter();
        ranges
            .map(|(partition, range)| PendingRange {
                job: self.job.clone(),
                partition: *partition,
                range: *range,
            })
            .collect()
    }
}

/// The offsets that have a row or a dead letter in the replay.
async fn places(lake: &Lake, replay: &Base<TableState>, job: &JobId) -> Result<Places, CommitError> {
    let mut places = of_rows(lake, replay).await?;
    if let Some(state) = replay.state() {
        let of_job = state.job(job).into_iter().flat_map(|job| &job.partitions);
        let all: Offsets = of_job
            .map(|(partition, state)| (*partition, state.progress.offsets()))
            .collect();
        let letters = letters(lake, replay, LettersOf::new(state, job), &all).await?;
        for (partition, offsets) in letters.all {
            *places.entry(partition).or_default() |= offsets;
        }
    }
    Ok(places)
}

/// Swapped, these would be in no table any more.
fn gone_from_source(partition: i32, gone: &RoaringTreemap) -> String {
    let gone = as_ranges(gone);
    let more = if gone.ranges().len() > NAMED {
        " and others"
    } else {
        ""
    };
    let named: RangeSet = gone.ranges().iter().take(NAMED).copied().collect();
    let at = match gone.is_empty() {
        true => String::new(),
        false => format!(", such as those at {named}{more}"),
    };
    format!(
        "records of partition {partition} that the table has are not in what was read again{at}: the topic has been compacted, or \
         the history lacks them. Name other offsets"
    )
}

/// What of a set has no place.
fn without_places(mut set: RangeSet, places: &RoaringTreemap) -> RangeSet {
    let ranges: Vec<OffsetRange> = set.ranges().to_vec();
    for range in ranges {
        let mut inside = places.iter();
        inside.advance_to(range.start as u64);
        for offset in inside.take_while(|offset| *offset < range.end as u64) {
            set.remove(OffsetRange::new(offset as i64, offset as i64 + 1));
        }
    }
    set
}

/// Places as ranges.
fn as_ranges(places: &RoaringTreemap) -> RangeSet {
    let mut ranges = Vec::<OffsetRange>::new();
    for offset in places.iter().map(|offset| offset as i64) {
        match ranges.last_mut() {
            Some(last) if last.end == offset => last.end += 1,
            _ => ranges.push(OffsetRange::new(offset, offset + 1)),
        }
    }
    ranges.into_iter().collect()
}

/// What the state says that was swapped.
fn swaps(state: &TableState, job: &JobId, beside: &mut BTreeMap<i32, RangeSet>) -> Vec<Swap> {
    let pairs = state.replaced.iter().zip(&state.added);
    pairs
        .map(|(before, after)| Swap {
            topic_partition: state.job(job).map_or_else(
                || TopicPartition::new(job.as_str(), before.partition),
                |job| job.topic_partition(before.partition),
            ),
            range: before.range,
            before: before.counts,
            after: after.counts,
            beside: beside.remove(&before.partition).unwrap_or_default(),
        })
        .collect()
}

/// All files of a table, to be written into another.
async fn all_of<S: TagState>(lake: &Lake, base: &Base<S>) -> Result<Vec<Rewrite>, CommitError> {
    match base.head() {
        Some(head) => {
            without::all(
                lake,
                &base.table,
                head.snapshot_id(),
                (&Offsets::new(), without::PLACE),
            )
            .await
        }
        None => Ok(Vec::new()),
    }
}

/// Each with the id of its partition spec.
type Files = Vec<(i32, DataFile)>;

/// Files that were written for an earlier base.
#[derive(Debug, Default)]
struct Written {
    /// With when they were written, in milliseconds since the Unix epoch.
    files: HashMap<Vec<Deleted>, (Millis, Files)>,
}

impl Written {
    /// What takes the place of files, written into a table's folder.
    async fn of_all(
        &mut self,
        lake: &Lake,
        table: &TableMetadata,
        rewrites: Vec<Rewrite>,
    ) -> Result<Files, CommitError> {
        let files: Vec<Deleted> = rewrites.iter().map(Rewrite::as_deleted).collect();
        let now = lake.clock.now();
        if let Some((at, written)) = self.files.get(&files)
            && now - at < OLD_MS
        {
            return Ok(written.clone());
        }
        let written = without::write(lake, table, &rewrites).await?;
        self.files.insert(files, (now, written.clone()));
        Ok(written)
    }
}
