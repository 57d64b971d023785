//! The guard (section 3.2) is the crate's own `TableState::accept`; the shortcuts bend what it is asked.

use std::cell::RefCell;
use std::collections::HashMap;

use tabletopic_offsets::{
    Counts, Generation, JobId, OffsetRange, PartitionState, Progress, TableState as RealState, TopicIdentity,
    UnitRange as RealRange,
};

use crate::config::{Config, Shortcut};
use crate::offsets::{JOBS, Lanes, offset_sum};
use crate::state::{JobState, TableState};
use crate::world::{Unit, UnitRange};

type Question = ([Option<(u8, u8, Lanes)>; JOBS], [Option<UnitRange>; JOBS], bool);
type Verdict = Option<[Option<Lanes>; JOBS]>;

thread_local! {
    /// The same few questions are asked a million times; each is put to the real guard once.
    static ASKED: RefCell<HashMap<Question, Verdict>> = RefCell::default();
}

/// Adds a unit to the state that the next snapshot will carry, or leaves both as they were. `base` is
/// the table's state; `retry` says that an earlier attempt of this unit passed the guard already.
pub fn accept(config: &Config, base: &TableState, state: &mut TableState, unit: &mut Unit) -> bool {
    let retry = !unit.tried.is_empty();
    if config.takes(Shortcut::GuardOutsideRetryLoop) && retry {
        return force(config, state, unit);
    }
    if config.takes(Shortcut::GuardForgetsUnitsAccepted) {
        return ask(config, base, &unit.ranges).is_some() && force(config, state, unit);
    }
    if config.takes(Shortcut::FencedRangeDropsOnlyItself) {
        return accept_each_range(config, state, unit);
    }
    let Some(lanes) = ask(config, state, &unit.ranges) else {
        return false;
    };
    count(config, state, unit, |job| lanes[job]);
    true
}

/// The file still holds the rows of the range that was dropped.
fn accept_each_range(config: &Config, state: &mut TableState, unit: &Unit) -> bool {
    let mut any = false;
    for job in 0..JOBS {
        let mut ranges = [None; JOBS];
        ranges[job] = unit.ranges[job];
        if ranges[job].is_none() {
            continue;
        }
        if let Some(lanes) = ask(config, state, &ranges) {
            any = true;
            count(
                config,
                state,
                &Unit {
                    ranges,
                    ..unit.clone()
                },
                |job| lanes[job],
            );
        }
    }
    any
}

fn force(config: &Config, state: &mut TableState, unit: &Unit) -> bool {
    let lanes: [Option<Lanes>; JOBS] = std::array::from_fn(|job| {
        let (known, range) = (state.job(job)?, unit.ranges[job]?);
        Some(known.lanes.stretch(known.lanes.lane_of(range.start), range.end))
    });
    count(config, state, unit, |job| lanes[job]);
    true
}

/// Counters and dead letters of an accepted unit.
fn count(config: &Config, state: &mut TableState, unit: &Unit, lanes: impl Fn(usize) -> Option<Lanes>) {
    for (job, range) in unit.ranges.iter().enumerate() {
        let (Some(range), Some(known)) = (range, &mut state.jobs[job]) else {
            continue;
        };
        let rows = config.rows(range.mask());
        known.rows += rows.count_ones();
        known.offset_sum += offset_sum(rows);
        known.once &= !range.mask();
        if let Some(lanes) = lanes(job) {
            known.lanes = lanes;
        }
        state.dead[job][known.life as usize] |= config.letters(range.mask());
    }
}

fn ask(config: &Config, state: &TableState, ranges: &[Option<UnitRange>; JOBS]) -> Verdict {
    let known = |job: &JobState| (job.life, job.generation, job.lanes);
    let mut ranges = *ranges;
    if config.takes(Shortcut::GenerationNotGuarded) {
        for (range, job) in ranges.iter_mut().zip(&state.jobs) {
            if let (Some(range), Some(job)) = (range, job) {
                range.generation = job.generation;
            }
        }
    }
    if config.takes(Shortcut::RangesMayPassTheNextStart) {
        return pass_the_next_start(state, &ranges);
    }
    let question = (
        std::array::from_fn(|job| state.job(job).map(known)),
        ranges,
        config.topic_ids,
    );
    ASKED.with_borrow_mut(|asked| *asked.entry(question).or_insert_with(|| ask_the_crate(&question)))
}

/// A guard that only looks at where a range starts.
fn pass_the_next_start(state: &TableState, ranges: &[Option<UnitRange>; JOBS]) -> Verdict {
    let mut grown = [None; JOBS];
    for (job, range) in ranges.iter().enumerate() {
        let Some(range) = range else { continue };
        let lanes = state.job(job)?.lanes;
        let lane = lanes.ranges().iter().position(|lane| lane.1 == range.start)?;
        grown[job] = Some(lanes.stretch(lane, range.end));
    }
    Some(grown)
}

fn ask_the_crate((jobs, ranges, topic_ids): &Question) -> Verdict {
    let mut state = RealState::empty();
    for (job, known) in jobs.iter().enumerate() {
        let Some((life, generation, lanes)) = known else {
            continue;
        };
        let held = lanes
            .ranges()
            .iter()
            .map(|&(start, end)| range_of(start, end))
            .collect();
        let Some(progress) = Progress::from_ranges(held) else {
            panic!("{lanes:?} is no progress")
        };
        let partition = PartitionState {
            progress,
            ..PartitionState::anchored(0)
        };
        let known = tabletopic_offsets::JobState {
            identity: identity(job, *life, *topic_ids),
            generation: Generation(u32::from(*generation)),
            partitions: [(0, partition)].into(),
        };
        state.jobs.insert(job_id(job), known);
    }
    let unit: Vec<RealRange> = ranges
        .iter()
        .enumerate()
        .filter_map(|(job, range)| Some((job, (*range)?)))
        .map(|(job, range)| RealRange {
            job: job_id(job),
            partition: 0,
            identity: identity(job, range.life, *topic_ids),
            generation: Generation(u32::from(range.generation)),
            range: range_of(range.start, range.end),
            leader_epoch: None,
            counts: Counts::default(),
        })
        .collect();
    state.accept(&unit).ok()?;
    Some(std::array::from_fn(|job| {
        let partition = state.partition(&job_id(job), 0)?;
        let ranges = partition.progress.ranges().iter();
        Some(Lanes::new(
            &ranges
                .map(|range| (range.start as u8, range.end as u8))
                .collect::<Vec<_>>(),
        ))
    }))
}

fn range_of(start: u8, end: u8) -> OffsetRange {
    OffsetRange::new(i64::from(start), i64::from(end))
}

fn job_id(job: usize) -> JobId {
    JobId::new(format!("job-{job}"))
}

fn identity(job: usize, life: u8, topic_ids: bool) -> TopicIdentity {
    let topic_id = topic_ids.then(|| format!("topic-{job}-life-{life}"));
    TopicIdentity {
        cluster_id: None,
        topic: format!("topic-{job}").into(),
        topic_id,
    }
}
