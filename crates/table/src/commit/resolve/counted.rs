//! What a table's counts have of some offsets: by the ledger, where that tells it, and by what is there.

use std::collections::{BTreeMap, HashMap};

use futures::TryStreamExt;
use iceberg::scan::FileScanTask;
use roaring::RoaringTreemap;
use tabletopic_offsets::{
    Answers, Counts, JobId, Kind, Lack, OffsetRange, PartitionState, Piece, RangeSet, TableState, There,
    TopicPartition, Weighed,
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
    /// Not all is there as it was counted.
    pub lacks: bool,
}

/// Offsets of one topic partition, and the pieces of the ledger that they have a part of, lowest offsets first.
#[derive(Debug, Clone)]
struct Asked {
    range: OffsetRange,
    pieces: Vec<Piece>,
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
        (job, ranges): (&JobId, &BTreeMap<i32, OffsetRange>),
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
            let weighed = self.weigh(name, *partition, asked, &rows, &letters);
            let filtered = weighed.filtered(state.counts.filtered.saturating_sub(state.inherited.filtered));
            let counts = match weighed.is_as_counted() {
                true => Ok(weighed.inside),
                false => {
                    found.lacks = true;
                    let of_job = LettersOf::new(&tagged.state, job);
                    weighed.with_lack(self.lack(lake, base, tagged, (*partition, state), of_job).await?)
                }
            };
            let counts = counts.map_err(|error| refused(error.to_string()))?;
            let filtered = filtered.map_err(|error| refused(error.to_string()))?;
            found.counts.insert(*partition, Counts { filtered, ..counts });
            let places = found.places.entry(*partition).or_default();
            for all in [&rows.places, &letters.all] {
                *places |= all.get(partition).cloned().unwrap_or_default();
            }
            places.remove_range(..asked.range.start as u64);
            places.remove_range(asked.range.end as u64..);
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
        partition: i32,
        Asked { range, pieces }: &Asked,
        rows: &OfFile,
        letters: &LetterPlaces,
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
                doubled: held.rows != cardinality(places, of),
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
        let pieces = loop {
            let entries = ledger.of_offsets(job, *partition, reach).await?;
            let pieces = Piece::of(&entries, &answers, (job, *partition, &topic_id));
            let starts = pieces.iter().map(|piece| piece.range.start);
            let ends = pieces.iter().map(|piece| piece.range.end);
            // What reaches beyond may have others beside it there.
            let wider = OffsetRange::new(starts.fold(reach.start, i64::min), ends.fold(reach.end, i64::max));
            if wider == reach {
                break pieces;
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
            },
        );
    }
    Ok(asked)
}

fn runs(asked: &BTreeMap<i32, Asked>) -> Runs {
    let of_partition = |(partition, Asked { range, pieces }): (&i32, &Asked)| {
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
