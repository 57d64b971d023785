//! What a table's counts have of some offsets: by the ledger, where that tells it, and by what is there.

use std::collections::{BTreeMap, HashMap};

use futures::TryStreamExt;
use iceberg::scan::FileScanTask;
use roaring::RoaringTreemap;
use tabletopic_offsets::{
    Answers, Counts, JobId, Kind, Lack, LedgerRange, OffsetRange, PartitionState, Piece, RangeSet, Recorded,
    TableState, There, TopicPartition, Weighed,
};

use super::places::{LetterPlaces, LettersOf, Places, letters};
use crate::commit::{Base, CommitError, TagState, Tagged};
use crate::follower::ledger::Ledger;
use crate::lake::Lake;
use crate::rows::{self, Deleted, Held, Offsets, within};

/// What is found of the offsets that are repaired, by topic partition number.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// What the table's counts have of them.
    pub counts: BTreeMap<i32, Counts>,
    /// Those that have a row or a dead letter.
    pub places: Places,
    /// How many records these were: with rows, dead letters, or left out.
    pub records: BTreeMap<i32, u64>,
    /// Not all is there as it was counted.
    pub lacks: bool,
}

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub job: &'a JobId,
    /// By topic partition number.
    pub ranges: &'a BTreeMap<i32, OffsetRange>,
    /// Those that have a row or a dead letter now that they have been read again.
    pub read: &'a Places,
}

/// Offsets of one topic partition, and the pieces of the ledger that they have a part of, lowest offsets first.
#[derive(Debug, Clone)]
struct Asked {
    range: OffsetRange,
    pieces: Vec<Piece>,
    /// Those whose dead letters have become rows.
    redriven: RangeSet,
}

/// Offsets that are not as the records of now say.
#[derive(Debug, Default)]
struct Unlike {
    /// With a row and a dead letter that was not redriven.
    both: RoaringTreemap,
    /// With neither, though there is a record now, and not declared lost.
    missing: RoaringTreemap,
    /// With either, though there is no record now, or one that is left out.
    beside: RoaringTreemap,
}

/// Runs of offsets that are counted apart, lowest first: those of all pieces and of the range, each whole within them or outside.
type Runs = BTreeMap<i32, Vec<OffsetRange>>;

/// What a file has of the runs.
#[derive(Debug, Clone, Default)]
struct OfFile {
    /// By topic partition number and run.
    rows: BTreeMap<(i32, usize), Held>,
    places: Places,
}

/// Looks up what the counts of a table have of offsets of one job. What is the same on the next base is not looked up again.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// Up to a sequence number.
    asked: Option<(i64, BTreeMap<i32, Asked>)>,
    runs: Runs,
    files: HashMap<Deleted, OfFile>,
    /// All rows of each file, by topic partition number.
    totals: HashMap<Deleted, BTreeMap<i32, Held>>,
}

impl Counting {
    /// # Errors
    /// The counts do not tell it, which `refused` gets; those of reading ledger, dead letters and files.
    pub async fn of(
        &mut self,
        lake: &Lake,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
        Wanted { job, ranges, read }: Wanted<'_>,
        refused: &(dyn Fn(String) -> CommitError + Sync),
    ) -> Result<Found, CommitError> {
        let asked = self.ask(lake, base, tagged, job, ranges).await?;
        let rows = self.rows(lake, base).await?;
        let of_job = LettersOf::new(&tagged.state, job);
        let letters = letters(lake, base, of_job, &offsets(&self.runs)).await?;
        let mut found = Found::default();
        for (partition, asked) in &asked {
            let Some(state) = tagged.state.partition(job, *partition) else {
                continue;
            };
            let name = tagged.state.job(job).map(|job| job.topic_partition(*partition));
            let name = name.unwrap_or_else(|| TopicPartition::new(job.as_str(), *partition));
            let none = RoaringTreemap::new();
            let has = read.get(partition).unwrap_or(&none);
            let unlike = unlike((*partition, asked), &rows, &letters, (has, &state.lost));
            let weighed = self.weigh(name, (*partition, asked), &rows, &letters, &unlike);
            let filtered = weighed.filtered(state.counts.filtered.saturating_sub(state.inherited.filtered));
            let lack = match weighed.is_as_counted() {
                true => Lack::default(),
                false => {
                    let of_job = LettersOf::new(&tagged.state, job);
                    self.lack(lake, base, tagged, (*partition, state), of_job).await?
                }
            };
            found.lacks |= lack != Lack::default();
            let counts = weighed
                .with_lack(lack)
                .map_err(|error| refused(error.to_string()))?;
            let filtered = filtered.map_err(|error| refused(error.to_string()))?;
            let places = within_range(
                asked.range,
                [&rows.places, &letters.all].map(|all| all.get(partition)),
            );
            let records = match lack == Lack::default() {
                true => places.len(),
                // What is there is not what was counted. A letter that was redriven is counted as a row, too.
                false => {
                    let both = asked.redriven.intersection(&[asked.range].into_iter().collect());
                    (counts.rows + counts.dead_letters).saturating_sub(both.len_offsets())
                }
            };
            found.counts.insert(*partition, Counts { filtered, ..counts });
            found.records.insert(*partition, records + filtered);
            found.places.insert(*partition, places);
        }
        Ok(found)
    }

    /// The pieces, as long as nothing but new offsets came to the ledger since they were read.
    async fn ask(
        &mut self,
        lake: &Lake,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
        job: &JobId,
        ranges: &BTreeMap<i32, OffsetRange>,
    ) -> Result<BTreeMap<i32, Asked>, CommitError> {
        if let Some((up_to, asked)) = &self.asked
            && only_goes_on(base, *up_to)
        {
            return Ok(asked.clone());
        }
        let asked = ask(lake, base, tagged, job, ranges).await?;
        let runs = runs(&asked);
        if runs != self.runs {
            (self.runs, self.files) = (runs, HashMap::new());
        }
        self.asked = Some((tagged.snapshot.sequence_number(), asked.clone()));
        Ok(asked)
    }

    /// What all files together have of the runs.
    async fn rows(&mut self, lake: &Lake, base: &Base<TableState>) -> Result<OfFile, CommitError> {
        let mut sum = OfFile::default();
        let filter = within(&offsets(&self.runs), "_kafka_partition", "_kafka_offset");
        for task in tasks(lake, base, Some(filter)).await? {
            let file = Deleted::of(&task);
            if !self.files.contains_key(&file) {
                let counted = of_file(lake, task, &self.runs).await?;
                self.files.insert(file.clone(), counted);
            }
            let OfFile { rows, places } = &self.files[&file];
            for (at, held) in rows {
                sum.rows.entry(*at).or_default().merge(*held);
            }
            for (partition, offsets) in places {
                *sum.places.entry(*partition).or_default() |= offsets;
            }
        }
        Ok(sum)
    }

    fn weigh(
        &self,
        topic_partition: TopicPartition,
        (partition, Asked { range, pieces, .. }): (i32, &Asked),
        rows: &OfFile,
        letters: &LetterPlaces,
        unlike: &Unlike,
    ) -> Weighed {
        let none = RoaringTreemap::new();
        let places = rows.places.get(&partition).unwrap_or(&none);
        let runs = self.runs.get(&partition).map_or(&[][..], Vec::as_slice);
        let there = |of: OffsetRange| {
            let first = runs.partition_point(|run| run.end <= of.start);
            let inside = runs[first..]
                .iter()
                .enumerate()
                .take_while(|(_, run)| run.start < of.end);
            let mut held = Held::default();
            for (at, _) in inside {
                held.merge(
                    rows.rows
                        .get(&(partition, first + at))
                        .copied()
                        .unwrap_or_default(),
                );
            }
            There {
                doubled: held.rows != cardinality(places, of) || cardinality(&unlike.both, of) > 0,
                missing: cardinality(&unlike.missing, of) > 0,
                beside: cardinality(&unlike.beside, of) > 0,
                counts: Counts {
                    dead_letters: letters.count(partition, of),
                    ..Counts::of_rows(held.rows, held.offset_sum)
                },
            }
        };
        Weighed {
            topic_partition,
            range: *range,
            inside: there(*range).counts,
            pieces: pieces
                .iter()
                .map(|piece| (piece.clone(), there(piece.range)))
                .collect(),
        }
    }

    /// What all counts of a partition number have more than is there: rows do not always tell whose they are.
    async fn lack(
        &mut self,
        lake: &Lake,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
        (partition, of_job): (i32, &PartitionState),
        letters_of: LettersOf<'_>,
    ) -> Result<Lack, CommitError> {
        let state = &tagged.state;
        let mut counted = Counts::default();
        let of_number = state
            .jobs
            .values()
            .filter_map(|job| job.partitions.get(&partition));
        of_number.for_each(|state| counted.add(state.counts));
        let retired = state.retired.get(&partition).copied().unwrap_or_default();
        let mut is = Held {
            rows: retired.rows,
            offset_sum: retired.offset_sum,
        };
        for task in tasks(lake, base, None).await? {
            let file = Deleted::of(&task);
            if !self.totals.contains_key(&file) {
                let totals = totals(lake, task).await?;
                self.totals.insert(file.clone(), totals);
            }
            is.merge(self.totals[&file].get(&partition).copied().unwrap_or_default());
        }
        let all = OffsetRange::new(0, i64::MAX);
        let wanted = Offsets::from([(partition, [all].into_iter().collect())]);
        let letters = letters(lake, base, letters_of, &wanted)
            .await?
            .count(partition, all);
        let counted_letters = of_job
            .counts
            .dead_letters
            .saturating_sub(of_job.inherited.dead_letters);
        Ok(Lack {
            rows: i128::from(counted.rows) - i128::from(is.rows),
            offset_sum: counted.offset_sum.wrapping_sub(is.offset_sum),
            dead_letters: i128::from(counted_letters) - i128::from(letters),
        })
    }
}

/// Whether all that our snapshots did since one of this sequence number was to go on: then the ledger says of older offsets
/// what it said then.
fn only_goes_on(base: &Base<TableState>, since: i64) -> bool {
    let ours = |summary: &HashMap<String, String>| summary.contains_key(TableState::MARK);
    let mut is_there = false;
    for snapshot in base.metadata().snapshots() {
        let summary = &snapshot.summary().additional_properties;
        match snapshot.sequence_number().cmp(&since) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => is_there = true,
            std::cmp::Ordering::Greater if !ours(summary) => {}
            std::cmp::Ordering::Greater => {
                match <TableState as TagState>::decode(summary).map(|state| state.kind) {
                    Ok(Kind::Append | Kind::Anchor | Kind::Schema | Kind::Maintenance) => {}
                    _ => return false,
                }
            }
        }
    }
    is_there
}

async fn ask(
    lake: &Lake,
    base: &Base<TableState>,
    tagged: &Tagged<TableState>,
    job: &JobId,
    ranges: &BTreeMap<i32, OffsetRange>,
) -> Result<BTreeMap<i32, Asked>, CommitError> {
    let ledger = Ledger::open(lake, base, tagged).await?;
    let up_to = tagged.snapshot.sequence_number();
    let answers = Answers::of(&ledger.of_kinds(&Answers::KINDS).await?, up_to);
    let topic_id = tagged
        .state
        .job(job)
        .and_then(|job| job.identity.topic_id.clone());
    let mut asked = BTreeMap::new();
    for (partition, range) in ranges {
        let mut reach = *range;
        let (pieces, redriven) = loop {
            let entries = ledger.of_offsets(job, *partition, reach).await?;
            let pieces = Piece::of(&entries, &answers, (job, *partition, &topic_id));
            let starts = pieces.iter().map(|piece| piece.range.start);
            let ends = pieces.iter().map(|piece| piece.range.end);
            // What reaches beyond may have others beside it there.
            let wider = OffsetRange::new(starts.fold(reach.start, i64::min), ends.fold(reach.end, i64::max));
            if wider == reach {
                break (pieces, redriven(&entries, &answers, (job, *partition, &topic_id)));
            }
            reach = wider;
        };
        let concerned = pieces
            .into_iter()
            .filter(|piece| piece.range.intersection(*range).is_some());
        let pieces = concerned.collect();
        asked.insert(
            *partition,
            Asked {
                range: *range,
                pieces,
                redriven,
            },
        );
    }
    Ok(asked)
}

/// The offsets whose dead letters have become rows, of one log.
fn redriven(
    entries: &[Recorded],
    answers: &Answers,
    (job, partition, topic_id): (&JobId, i32, &Option<String>),
) -> RangeSet {
    let of_log = |range: &&LedgerRange| {
        let same_id = range.topic_id.is_none() || topic_id.is_none() || range.topic_id == *topic_id;
        range.job == *job && range.partition == partition && same_id
    };
    let mut redriven = RangeSet::new();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Redrive) {
        let number = entry.snapshot.sequence_number;
        for range in entry.ranges.iter().filter(of_log) {
            redriven = redriven.union(&answers.still_redriven(number, range));
        }
    }
    redriven
}

/// Holds what is there against the records of now. `has` are the offsets of those that have a row or a dead letter.
fn unlike(
    (partition, asked): (i32, &Asked),
    rows: &OfFile,
    letters: &LetterPlaces,
    (has, lost): (&RoaringTreemap, &RangeSet),
) -> Unlike {
    let of = [&rows.places, &letters.all].map(|all| all.get(&partition));
    let mut both = match of {
        [Some(rows), Some(letters)] => rows & letters,
        _ => RoaringTreemap::new(),
    };
    remove(&mut both, &asked.redriven);
    let had = within_range(asked.range, of);
    let mut missing = has - &had;
    remove(&mut missing, lost);
    Unlike {
        both,
        missing,
        beside: had - has,
    }
}

/// All of these that are in a range.
fn within_range(range: OffsetRange, places: [Option<&RoaringTreemap>; 2]) -> RoaringTreemap {
    let mut all = RoaringTreemap::new();
    for places in places.into_iter().flatten() {
        all |= places;
    }
    all.remove_range(..range.start as u64);
    all.remove_range(range.end as u64..);
    all
}

fn remove(places: &mut RoaringTreemap, offsets: &RangeSet) {
    for range in offsets.ranges() {
        places.remove_range(range.start as u64..range.end as u64);
    }
}

fn runs(asked: &BTreeMap<i32, Asked>) -> Runs {
    let of_partition = |(partition, Asked { range, pieces, .. }): (&i32, &Asked)| {
        let mut ends: Vec<i64> = pieces
            .iter()
            .map(|piece| piece.range)
            .chain([*range])
            .flat_map(|range| [range.start, range.end])
            .collect();
        ends.sort_unstable();
        ends.dedup();
        // Pieces have a part of the range, each: between two ends there is always one of them, or the range.
        let runs = ends.windows(2).map(|pair| OffsetRange::new(pair[0], pair[1]));
        (*partition, runs.collect())
    };
    asked.iter().map(of_partition).collect()
}

fn offsets(runs: &Runs) -> Offsets {
    let of_partition = |(partition, runs): (&i32, &Vec<OffsetRange>)| {
        let offsets: RangeSet = runs.iter().copied().collect();
        (*partition, offsets)
    };
    runs.iter().map(of_partition).collect()
}

fn cardinality(places: &RoaringTreemap, range: OffsetRange) -> u64 {
    places.range_cardinality(range.start as u64..range.end as u64)
}

/// The files of `main` that may have rows which meet a filter; all of them without one.
async fn tasks(
    lake: &Lake,
    base: &Base<TableState>,
    filter: Option<iceberg::expr::Predicate>,
) -> Result<Vec<FileScanTask>, CommitError> {
    let Some(head) = base.head() else {
        return Ok(Vec::new());
    };
    let table = rows::iceberg_table(lake, &base.table)?;
    let scan = table
        .scan()
        .snapshot_id(head.snapshot_id())
        .select(["_kafka_partition", "_kafka_offset"]);
    let scan = match filter {
        Some(filter) => scan.with_filter(filter),
        None => scan,
    };
    let files = scan.build()?.plan_files().await?;
    // The filter chooses files; all of their rows are counted.
    let all = files.map_ok(|task| FileScanTask {
        predicate: None,
        ..task
    });
    Ok(all.try_collect().await?)
}

async fn of_file(lake: &Lake, task: FileScanTask, runs: &Runs) -> Result<OfFile, CommitError> {
    let mut found = OfFile::default();
    visit(lake, task, &mut |partition, offset| {
        let Some(of_partition) = runs.get(&partition) else {
            return;
        };
        let at = of_partition.partition_point(|run| run.end <= offset);
        if of_partition.get(at).is_some_and(|run| run.contains(offset)) {
            found.rows.entry((partition, at)).or_default().add(offset);
            found.places.entry(partition).or_default().insert(offset as u64);
        }
    })
    .await?;
    Ok(found)
}

async fn totals(lake: &Lake, task: FileScanTask) -> Result<BTreeMap<i32, Held>, CommitError> {
    let mut totals = BTreeMap::<i32, Held>::new();
    visit(lake, task, &mut |partition, offset| {
        totals.entry(partition).or_default().add(offset);
    })
    .await?;
    Ok(totals)
}

async fn visit(
    lake: &Lake,
    task: FileScanTask,
    row: &mut (dyn FnMut(i32, i64) + Send),
) -> Result<(), CommitError> {
    let path = task.data_file_path.clone();
    let mut batches = rows::read(lake, task)?;
    while let Some(batch) = batches.try_next().await? {
        rows::visit_batch(&path, &batch, &mut |partition, offset| row(partition, offset))?;
    }
    Ok(())
}
