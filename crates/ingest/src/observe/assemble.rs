//! Puts a report together from what was seen and heard.

use std::collections::BTreeSet;
use std::sync::Arc;

use iceberg::TableIdent;
use tabletopic_clock::Millis;
use tabletopic_offsets::{Counts, PartitionState, TopicPartition};
use tabletopic_source::{PartitionError, Retention};

use super::commits::{Commit, Commits, Moved};
use super::observed::{Observed, TableSeen};
use super::report::{
    BackfillReport, CommitRangeReport, CommitReport, HaltReport, JobReport, LastCommitReport,
    PartitionReport, RangeReport, Report, RetentionReport, Source, Standing, TableReport,
};
use super::retention::{lag_records, lag_seconds, seconds, to_retention};
use super::{Heard, PartitionHeard, PartitionOf, ToRetention};
use crate::halts::{Halted, Scope};
use crate::job::Job;

impl Observed {
    pub(super) fn report_of(&self, source: Source) -> Report {
        let now = self.clock.now();
        let all = self.jobs();
        let heard = self.heard();
        let halts = self.halts.all();
        let halted = |wanted: &dyn Fn(&Scope) -> bool| halts.iter().any(|(scope, _)| wanted(scope));
        let commits = self.commits_now();
        let tables = self.tables_now();

        let names: BTreeSet<&TableIdent> = all.iter().map(|job| &job.table).collect();
        let of_table = |ident: &&TableIdent| {
            let stands = halted(&|scope| matches!(scope, Scope::Table { table } if table == *ident));
            let report = table_report(ident, tables.get(*ident), stands, &commits, now);
            TableReport {
                verified: self.verified_report(ident),
                ..report
            }
        };
        let of_job = |job: &Job| {
            let seen = tables.get(&job.table);
            let partitions = seen.and_then(|seen| seen.state.job(&job.id));
            let partitions = partitions.iter().flat_map(|state| &state.partitions);
            let retention = heard.retention.get(&job.topic);
            let of_partition = |(number, state): (&i32, &PartitionState)| {
                let stands = Stands {
                    live: halted(&|scope| stops(scope, job, *number)),
                    backfill: halted(&|scope| stops_backfill(scope, job, *number)),
                };
                let moved = commits.moved(&job.table, &job.id, *number);
                let of = (job.id.clone(), TopicPartition::new(job.topic.clone(), *number));
                partition_report(state, &of, &heard, stands, moved, now)
            };
            job_report(job, retention, partitions.map(of_partition).collect())
        };
        let mut jobs: Vec<JobReport> = all.iter().map(|job| of_job(job)).collect();
        jobs.sort_by(|a, b| a.topic.cmp(&b.topic));
        let mut recent: Vec<CommitReport> = commits.recent().map(commit_report).collect();
        recent.sort_by_key(|commit| std::cmp::Reverse(commit.at));
        Report {
            made_at: now,
            source,
            broker_at: heard.at,
            broker_error: heard.error.clone(),
            halts: halts
                .iter()
                .map(|(scope, halted)| self.halt_report(&all, source, scope, halted))
                .collect(),
            schemas_awaited: self.schemas_awaited(),
            tables: names.iter().map(of_table).collect(),
            jobs,
            commits: recent,
        }
    }

    fn halt_report(&self, jobs: &[Arc<Job>], source: Source, scope: &Scope, halted: &Halted) -> HaltReport {
        let (id, table, partition) = match scope {
            Scope::Partition { job, partition } | Scope::Backfill { job, partition } => {
                (Some(job), None, Some(*partition))
            }
            Scope::Topic { job } => (Some(job), None, None),
            Scope::Table { table } => (None, Some(table), None),
        };
        // A topic that was refused has become no job.
        let job = jobs.iter().find(|job| Some(&job.id) == id);
        let table = table.or(job.map(|job| &job.table)).map(ToString::to_string);
        let command = |answer| Some(format!("{} {} {answer}", self.resolve, table.as_deref()?));
        HaltReport {
            scope: scope.kind(),
            job: id.map(ToString::to_string),
            topic: job.map(|job| job.topic.to_string()),
            partition,
            since_at: matches!(source, Source::Process).then_some(halted.since),
            message: halted.why.message.clone(),
            commands: halted.why.answers.iter().filter_map(command).collect(),
            table,
        }
    }
}

fn stops(scope: &Scope, job: &Job, number: i32) -> bool {
    match scope {
        Scope::Partition {
            job: halted,
            partition,
        } => *halted == job.id && *partition == number,
        // What is new goes on.
        Scope::Backfill { .. } => false,
        Scope::Topic { job: halted } => *halted == job.id,
        Scope::Table { table } => *table == job.table,
    }
}

/// What of a partition stands still.
#[derive(Clone, Copy)]
struct Stands {
    live: bool,
    backfill: bool,
}

fn stops_backfill(scope: &Scope, job: &Job, number: i32) -> bool {
    match scope {
        Scope::Backfill {
            job: halted,
            partition,
        } => *halted == job.id && *partition == number,
        Scope::Partition { .. } => false,
        Scope::Topic { .. } | Scope::Table { .. } => stops(scope, job, number),
    }
}

fn table_report(
    ident: &TableIdent,
    seen: Option<&TableSeen>,
    halted: bool,
    commits: &Commits,
    now: Millis,
) -> TableReport {
    let mut counts = Counts::default();
    for job in seen.iter().flat_map(|seen| seen.state.jobs.values()) {
        job.partitions
            .values()
            .for_each(|partition| counts.add(partition.counts));
    }
    let newest = seen.and_then(|seen| seen.newest_record);
    TableReport {
        table: ident.to_string(),
        standing: match (halted, seen) {
            (true, _) => Standing::Halted,
            (false, Some(_)) => Standing::InMain,
            (false, None) => Standing::New,
        },
        snapshot_id: seen.map(|seen| seen.snapshot_id.to_string()),
        last_commit_at: commits.appended(ident),
        newest_record_at: newest,
        freshness_seconds: newest.map(|newest| seconds((now - newest).max(0))),
        rows: counts.rows,
        dead_letters: counts.dead_letters,
        lost: counts.lost,
        verified: None,
    }
}

fn job_report(
    job: &Job,
    retention: Option<&Result<Retention, PartitionError>>,
    partitions: Vec<PartitionReport>,
) -> JobReport {
    let lags = partitions.iter().map(|partition| partition.lag_records);
    let ages = partitions.iter().map(|partition| partition.lag_seconds);
    let left = partitions
        .iter()
        .filter_map(|partition| partition.seconds_to_retention);
    let known = !partitions.is_empty();
    JobReport {
        job: job.id.to_string(),
        topic: job.topic.to_string(),
        table: job.table.to_string(),
        lag_records: lags.sum::<Option<u64>>().filter(|_| known),
        lag_seconds: ages.reduce(|a, b| Some(a?.max(b?))).flatten(),
        seconds_to_retention: left.reduce(f64::min),
        retention: retention
            .and_then(|told| told.as_ref().ok())
            .map(|told| RetentionReport {
                ms: told.ms,
                bytes: told.bytes,
                deletes: told.deletes,
            }),
        retention_error: retention
            .and_then(|told| told.as_ref().err())
            .map(|error| match error {
                PartitionError::Unauthorized => {
                    "the broker does not let us read the topic's retention; grant DESCRIBE_CONFIGS on it"
                        .to_owned()
                }
                error => error.to_string(),
            }),
        partitions,
    }
}

fn partition_report(
    state: &PartitionState,
    of: &PartitionOf,
    heard: &Heard,
    stands: Stands,
    moved: Option<Moved>,
    now: Millis,
) -> PartitionReport {
    let next = state.progress.live_end();
    let told = heard.partitions.get(of);
    let (_, tp) = of;
    let known = told.and_then(|told| told.as_ref().ok()).copied();
    let retention = heard
        .retention
        .get(&tp.topic)
        .and_then(|told| told.as_ref().ok())
        .copied();
    let (to_retention, left) = match known {
        Some(PartitionHeard { log, unread_at, .. }) => to_retention(next, log, unread_at, retention, now),
        None => (ToRetention::Unknown, None),
    };
    let held = state.progress.ranges().iter();
    PartitionReport {
        partition: tp.partition,
        held: held
            .map(|range| RangeReport {
                start: range.start,
                end: range.end,
            })
            .collect(),
        next_offset: next,
        log_start: known.map(|known| known.log.start),
        end_offset: known.map(|known| known.log.end),
        lag_records: known.map(|known| lag_records(next, known.log)),
        lag_seconds: known.and_then(|known| lag_seconds(next, known.log, known.unread_at, now)),
        seconds_to_retention: left,
        to_retention,
        halted: stands.live,
        backfill: state.progress.backfill().map(|left| BackfillReport {
            next_offset: left.start,
            until: left.end,
            left: left.len(),
            halted: stands.backfill,
        }),
        last_commit: moved.map(|moved| LastCommitReport {
            snapshot_id: moved.snapshot_id.to_string(),
            at: moved.at,
            start: moved.range.start,
            end: moved.range.end,
        }),
        error: told.and_then(|told| told.as_ref().err()).map(ToString::to_string),
    }
}

fn commit_report(commit: &Commit) -> CommitReport {
    let (stamp, counts) = (&commit.entry.stamp, commit.counts());
    let ranges = commit.entry.ranges.iter().map(|range| CommitRangeReport {
        job: range.job.to_string(),
        topic: range.topic.to_string(),
        partition: range.partition,
        start: range.range.start,
        end: range.range.end,
        rows: range.counts.rows,
        dead_letters: range.counts.dead_letters,
    });
    CommitReport {
        table: commit.table.to_string(),
        snapshot_id: stamp.snapshot.snapshot_id.to_string(),
        at: stamp.time_ms,
        kind: commit.entry.kind.name(),
        actor: stamp.actor.clone(),
        reason: stamp.reason.clone(),
        rows: counts.rows,
        dead_letters: counts.dead_letters,
        lost: counts.lost,
        files: commit.files,
        bytes: commit.bytes,
        ranges: ranges.collect(),
    }
}
