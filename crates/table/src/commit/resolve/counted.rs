//! What a table's counts have of some offsets: by the ledger, where that tells it, and by what is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::TryStreamExt;
use iceberg::scan::FileScanTask;
use tabletopic_offsets::{
    Answers, Counts, JobId, Kind, OffsetRange, Piece, RangeSet, TableState, There, TopicPartition, Withdrawn,
    withdrawn,
};

use crate::commit::{Base, CommitError, TagState, Tagged};
use crate::follower::ledger::Ledger;
use crate::follower::letters::{Addresses, Letters};
use crate::lake::Lake;
use crate::rows::{self, Deleted, Held, Offsets, within};

/// Offsets of one topic partition, and the pieces of the ledger that they have a part of.
#[derive(Debug, Clone)]
struct Weighed {
    range: OffsetRange,
    pieces: Vec<Piece>,
}

/// Runs of offsets that are counted apart, by topic partition number.
type Runs = BTreeMap<i32, Vec<OffsetRange>>;

/// What was counted, by topic partition number and run.
type Sums = BTreeMap<(i32, usize), Counts>;

/// Looks up what the counts of a table have of offsets of one job. What is the same on the next base is not looked up again.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// Up to a sequence number.
    weighed: Option<(i64, BTreeMap<i32, Weighed>)>,
    runs: Runs,
    files: HashMap<Deleted, Sums>,
}

impl Counting {
    /// What the counts have of `ranges`, by topic partition number.
    ///
    /// # Errors
    /// The counts do not tell it, which `refused` gets; those of reading ledger, dead letters and files.
    pub async fn of(
        &mut self,
        lake: &Lake,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
        (job, ranges): (&JobId, &BTreeMap<i32, OffsetRange>),
        refused: &(dyn Fn(String) -> CommitError + Sync),
    ) -> Result<BTreeMap<i32, Counts>, CommitError> {
        let weighed = self.weigh(lake, base, tagged, job, ranges).await?;
        let runs = runs(&weighed);
        if runs != self.runs {
            (self.runs, self.files) = (runs, HashMap::new());
        }
        let mut sums = self.rows(lake, base).await?;
        self.letters(lake, base, tagged, job, &mut sums).await?;

        let mut counts = BTreeMap::new();
        let mut unsummed = Vec::new();
        for (partition, Weighed { range, pieces }) in weighed {
            let of = |wanted: &dyn Fn(OffsetRange) -> bool| self.sum(&sums, partition, wanted);
            let is_in = |outer: OffsetRange, run: OffsetRange| outer.intersection(run).is_some();
            let beside = of(&|run| is_in(range, run) && !pieces.iter().any(|piece| is_in(piece.range, run)));
            let there = pieces.iter().map(|piece| {
                let whole = of(&|run| is_in(piece.range, run));
                let inside = of(&|run| is_in(piece.range, run) && is_in(range, run));
                (piece.clone(), There { whole, inside })
            });
            let there: Vec<(Piece, There)> = there.collect();
            let name = tagged.state.job(job).map(|job| job.topic_partition(partition));
            let name = name.unwrap_or_else(|| TopicPartition::new(job.as_str(), partition));
            let found =
                withdrawn(&name, range, &there, beside).map_err(|error| refused(error.to_string()))?;
            counts.insert(partition, found.counts);
            if found.unsummed > 0 {
                let is_damaged = |run| found.damaged.iter().any(|piece| is_in(*piece, run));
                let damaged = of(&is_damaged);
                unsummed.push((partition, name, found, damaged));
            }
        }
        if let (false, Some(head)) = (unsummed.is_empty(), base.head()) {
            let all = rows::held(lake, &base.table, head.snapshot_id()).await?;
            for (partition, name, found, damaged) in unsummed {
                let is = all.get(&partition).copied().unwrap_or_default();
                let sum = sum_of_unsummed(&tagged.state, partition, is, damaged, &found);
                let sum = sum.map_err(|why| refused(format!("{name}: {why}")))?;
                let counts = counts.entry(partition).or_default();
                counts.offset_sum = counts.offset_sum.wrapping_add(sum);
            }
        }
        Ok(counts)
    }

    fn sum(&self, sums: &Sums, partition: i32, wanted: &dyn Fn(OffsetRange) -> bool) -> Counts {
        let runs = self.runs.get(&partition).into_iter().flatten().enumerate();
        let mut sum = Counts::default();
        for (at, _) in runs.filter(|(_, run)| wanted(**run)) {
            sum.add(sums.get(&(partition, at)).copied().unwrap_or_default());
        }
        sum
    }

    /// The pieces, as long as nothing but new offsets came to the ledger since they were read.
    async fn weigh(
        &mut self,
        lake: &Lake,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
        job: &JobId,
        ranges: &BTreeMap<i32, OffsetRange>,
    ) -> Result<BTreeMap<i32, Weighed>, CommitError> {
        if let Some((up_to, weighed)) = &self.weighed
            && only_goes_on(base, *up_to)
        {
            return Ok(weighed.clone());
        }
        let weighed = weigh(lake, base, tagged, job, ranges).await?;
        self.weighed = Some((tagged.snapshot.sequence_number(), weighed.clone()));
        Ok(weighed)
    }

    async fn rows(&mut self, lake: &Lake, base: &Base<TableState>) -> Result<Sums, CommitError> {
        let mut sums = Sums::new();
        let Some(head) = base.head() else {
            return Ok(sums);
        };
        let scan = rows::iceberg_table(lake, &base.table)?
            .scan()
            .snapshot_id(head.snapshot_id())
            .select(["_kafka_partition", "_kafka_offset"])
            .with_filter(within(&offsets(&self.runs), "_kafka_partition", "_kafka_offset"))
            .build()?;
        let mut tasks = scan.plan_files().await?;
        while let Some(task) = tasks.try_next().await? {
            let file = Deleted::of(&task);
            let counted = match self.files.get(&file) {
                Some(counted) => counted.clone(),
                None => {
                    let counted = of_file(lake, task, &self.runs).await?;
                    self.files.insert(file, counted.clone());
                    counted
                }
            };
            for (at, counts) in counted {
                sums.entry(at).or_default().add(counts);
            }
        }
        Ok(sums)
    }

    async fn letters(
        &self,
        lake: &Lake,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
        job: &JobId,
        sums: &mut Sums,
    ) -> Result<(), CommitError> {
        let topic_id = tagged
            .state
            .job(job)
            .and_then(|job| job.identity.topic_id.as_deref());
        let letters = Letters::open(lake, base).await?;
        let filter = within(&offsets(&self.runs), "partition", "offset");
        let mut reading = letters.read(&[], filter).await?;
        while let Some(batch) = reading.next().await? {
            let ours = Addresses::of(&batch)
                .iter()
                .filter(|letter| letter.job == job.as_str() && letter.topic_id == topic_id);
            for letter in ours {
                if let Some(at) = place(&self.runs, letter.partition, letter.offset) {
                    sums.entry(at).or_default().dead_letters += 1;
                }
            }
        }
        Ok(())
    }
}

/// Whether all that our snapshots did since one of this sequence number was to go on: then the ledger says of older offsets
/// what it said then.
fn only_goes_on(base: &Base<TableState>, since: i64) -> bool {
    let mut is_there = false;
    for snapshot in base.metadata().snapshots() {
        let summary = &snapshot.summary().additional_properties;
        if snapshot.sequence_number() < since || !summary.contains_key(TableState::MARK) {
            continue;
        }
        is_there |= snapshot.sequence_number() == since;
        let goes_on = match <TableState as TagState>::decode(summary).map(|state| state.kind) {
            Ok(Kind::Append | Kind::Anchor | Kind::Schema | Kind::Maintenance) => true,
            _ => snapshot.sequence_number() == since,
        };
        if !goes_on {
            return false;
        }
    }
    is_there
}

async fn weigh(
    lake: &Lake,
    base: &Base<TableState>,
    tagged: &Tagged<TableState>,
    job: &JobId,
    ranges: &BTreeMap<i32, OffsetRange>,
) -> Result<BTreeMap<i32, Weighed>, CommitError> {
    let ledger = Ledger::open(lake, base, tagged).await?;
    let up_to = tagged.snapshot.sequence_number();
    let answers = Answers::of(&ledger.of_kinds(&Answers::KINDS).await?, up_to);
    let topic_id = tagged
        .state
        .job(job)
        .and_then(|job| job.identity.topic_id.clone());
    let mut weighed = BTreeMap::new();
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
        let weighs = Weighed {
            range: *range,
            pieces: concerned.collect(),
        };
        weighed.insert(*partition, weighs);
    }
    Ok(weighed)
}

/// What is counted apart: the parts of all pieces inside and outside of the ranges, and what no piece has.
fn runs(weighed: &BTreeMap<i32, Weighed>) -> Runs {
    let of_partition = |(partition, Weighed { range, pieces }): (&i32, &Weighed)| {
        let all = || pieces.iter().map(|piece| piece.range).chain([*range]);
        let ends: BTreeSet<i64> = all().flat_map(|range| [range.start, range.end]).collect();
        let ends: Vec<i64> = ends.into_iter().collect();
        let runs = ends.windows(2).map(|pair| OffsetRange::new(pair[0], pair[1]));
        let wanted = |run: &OffsetRange| all().any(|range| range.intersection(*run).is_some());
        (*partition, runs.filter(wanted).collect())
    };
    weighed.iter().map(of_partition).collect()
}

fn offsets(runs: &Runs) -> Offsets {
    let of_partition = |(partition, runs): (&i32, &Vec<OffsetRange>)| {
        let offsets: RangeSet = runs.iter().copied().collect();
        (*partition, offsets)
    };
    runs.iter().map(of_partition).collect()
}

fn place(runs: &Runs, partition: i32, offset: i64) -> Option<(i32, usize)> {
    let runs = runs.get(&partition)?;
    let at = runs.partition_point(|run| run.end <= offset);
    let run = runs.get(at)?;
    run.contains(offset).then_some((partition, at))
}

async fn of_file(lake: &Lake, task: FileScanTask, runs: &Runs) -> Result<Sums, CommitError> {
    let path = task.data_file_path.clone();
    // The filter chose the file; all of its rows are counted.
    let all = FileScanTask {
        predicate: None,
        ..task
    };
    let mut sums = Sums::new();
    let mut batches = rows::read(lake, all)?;
    while let Some(batch) = batches.try_next().await? {
        rows::visit_batch(&path, &batch, &mut |partition, offset| {
            if let Some(at) = place(runs, partition, offset) {
                sums.entry(at).or_default().add(Counts::of_rows(1, offset as u64));
            }
        })?;
    }
    Ok(sums)
}

/// The sum of offsets of the rows that were counted in damaged pieces: what all counts have, less what is there of the rest.
///
/// # Errors
/// The rest is not there as it was counted, either.
fn sum_of_unsummed(
    state: &TableState,
    partition: i32,
    is: Held,
    damaged: Counts,
    found: &Withdrawn,
) -> Result<u64, String> {
    let of_number = state
        .jobs
        .values()
        .filter_map(|job| job.partitions.get(&partition));
    let mut counted = Counts::default();
    of_number.for_each(|state| counted.add(state.counts));
    let retired = state.retired.get(&partition).copied().unwrap_or_default();
    let rest = Held {
        rows: (is.rows + retired.rows).saturating_sub(damaged.rows),
        offset_sum: is
            .offset_sum
            .wrapping_add(retired.offset_sum)
            .wrapping_sub(damaged.offset_sum),
    };
    // Those of damaged pieces whose number is right are in the sum already.
    match counted.rows.checked_sub(rest.rows) {
        Some(rows) if rows == found.unsummed + found.summed_damaged.rows => Ok(counted
            .offset_sum
            .wrapping_sub(rest.offset_sum)
            .wrapping_sub(found.summed_damaged.offset_sum)),
        _ if retired.rows > 0 => Err(
            "rows of these offsets are missing, and retention has removed rows of this partition, so that nobody knows which \
             of them it was. Name offsets of newer rows"
                .to_owned(),
        ),
        _ => Err(
            "rows are missing, or too many, outside of these offsets as well; `tabletopic verify` says where. Name all of \
             them at once"
                .to_owned(),
        ),
    }
}
