//! A service that is not there, and the hour that it did not have: what the page shows, without a broker.

use std::sync::atomic::{AtomicI64, Ordering};

use tabletopic_clock::Millis;
use tabletopic_ingest::observe::{
    CommitRangeReport, CommitReport, HaltReport, JobReport, LastCommitReport, PartitionReport, RangeReport,
    Report, RetentionReport, Source, Standing, TableReport, ToRetention,
};
use tabletopic_server::Watched;

const START: Millis = 1_767_225_600_000; // 2026-01-01T00:00:00Z
const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
/// Between two questions, as the server asks them.
const STEP: Millis = 10 * SECOND;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// The broker was not reached yet.
    Starting,
    Healthy,
    /// One topic was out of reach for a while and catches up.
    Behind,
    /// One partition stands still, and one table.
    Halted,
}

impl Scene {
    #[allow(
        dead_code,
        reason = "the example reads scenes from its arguments, the tests do not"
    )]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "starting" => Some(Self::Starting),
            "healthy" => Some(Self::Healthy),
            "behind" => Some(Self::Behind),
            "halted" => Some(Self::Halted),
            _ => None,
        }
    }
}

/// Each report is ten seconds after the one before.
#[derive(Debug)]
pub struct MadeUp {
    pub scene: Scene,
    /// Of the first topic.
    pub partitions: i32,
    asked: AtomicI64,
}

impl MadeUp {
    pub fn new(scene: Scene, partitions: i32) -> Self {
        Self {
            scene,
            partitions,
            asked: AtomicI64::new(0),
        }
    }

    fn job(&self, now: Millis, topic: &str, partitions: i32, rate: i64) -> JobReport {
        let behind = self.scene == Scene::Behind && topic == "clicks";
        let passed = now - START;
        let partitions: Vec<PartitionReport> = (0..partitions)
            .map(|partition| {
                let rate = rate + i64::from(partition % 7) * rate / 10;
                let end = 1_000_000 * i64::from(partition % 5 + 1) + passed * rate / SECOND;
                let halted = self.scene == Scene::Halted && topic == "clicks" && partition == 0;
                let seconds = match () {
                    () if halted => (passed - 35 * MINUTE).max(0) / SECOND,
                    () if behind => late(passed) / SECOND,
                    () => passed % MINUTE / SECOND,
                };
                let lag = seconds * rate;
                let read = end - lag;
                PartitionReport {
                    partition,
                    held: vec![RangeReport { start: 0, end: read }],
                    next_offset: read,
                    log_start: Some(0),
                    end_offset: Some(end),
                    lag_records: Some(lag.unsigned_abs()),
                    lag_seconds: Some(seconds as f64),
                    seconds_to_retention: (lag > 0).then_some((7 * 86_400 - seconds) as f64),
                    to_retention: if lag > 0 {
                        ToRetention::ByTime
                    } else {
                        ToRetention::CaughtUp
                    },
                    halted,
                    backfill: None,
                    error: None,
                    last_commit: Some(LastCommitReport {
                        snapshot_id: snapshot(passed / MINUTE).to_string(),
                        at: now - passed % MINUTE,
                        start: read - 60 * rate,
                        end: read,
                    }),
                }
            })
            .collect();
        let known = self.scene != Scene::Starting;
        let all = |value: fn(&PartitionReport) -> f64| partitions.iter().map(value).reduce(f64::max);
        JobReport {
            job: topic.to_owned(),
            topic: topic.to_owned(),
            table: format!("shop.{topic}"),
            lag_records: known.then(|| {
                partitions
                    .iter()
                    .filter_map(|partition| partition.lag_records)
                    .sum()
            }),
            lag_seconds: all(|partition| partition.lag_seconds.unwrap_or(0.0)).filter(|_| known),
            seconds_to_retention: partitions
                .iter()
                .filter_map(|partition| partition.seconds_to_retention)
                .reduce(f64::min)
                .filter(|_| known),
            retention_error: None,
            retention: known.then_some(RetentionReport {
                ms: Some(7 * 86_400 * SECOND),
                bytes: None,
                deletes: true,
            }),
            partitions: if known { partitions } else { Vec::new() },
        }
    }

    fn table(&self, now: Millis, job: &JobReport) -> TableReport {
        let known = self.scene != Scene::Starting;
        let passed = now - START;
        let halted = self.scene == Scene::Halted && job.topic == "payments";
        let freshness = job
            .lag_seconds
            .filter(|_| self.scene == Scene::Behind)
            .unwrap_or((passed % MINUTE / SECOND) as f64);
        TableReport {
            table: job.table.clone(),
            standing: match (known, halted) {
                (false, _) => Standing::New,
                (true, true) => Standing::Halted,
                (true, false) => Standing::InMain,
            },
            snapshot_id: known.then(|| snapshot(passed / MINUTE).to_string()),
            last_commit_at: known.then_some(now - passed % MINUTE),
            newest_record_at: known.then_some(now - (freshness as Millis) * SECOND),
            freshness_seconds: known.then_some(freshness),
            rows: job
                .partitions
                .iter()
                .map(|partition| partition.next_offset.unsigned_abs())
                .sum(),
            dead_letters: if job.topic == "orders" && known { 12 } else { 0 },
            lost: 0,
            verified: None,
        }
    }

    fn commits(&self, now: Millis, jobs: &[JobReport]) -> Vec<CommitReport> {
        let minutes = (now - START) / MINUTE;
        let commits = (0..minutes.min(40)).flat_map(|ago| jobs.iter().map(move |job| (ago, job)));
        commits
            .map(|(ago, job)| {
                let ranges: Vec<CommitRangeReport> = job
                    .partitions
                    .iter()
                    .filter_map(|partition| {
                        let last = partition.last_commit.as_ref()?;
                        let rows = last.end - last.start;
                        Some(CommitRangeReport {
                            job: job.job.clone(),
                            topic: job.topic.clone(),
                            partition: partition.partition,
                            start: last.start - ago * rows,
                            end: last.end - ago * rows,
                            rows: rows.unsigned_abs(),
                            dead_letters: 0,
                        })
                    })
                    .collect();
                let rows = ranges.iter().map(|range| range.rows).sum();
                CommitReport {
                    table: job.table.clone(),
                    snapshot_id: (snapshot(minutes - ago) + i64::from(job.topic.len() as u32)).to_string(),
                    at: START + (minutes - ago) * MINUTE,
                    kind: "append",
                    actor: "lake-1 process 4711".to_owned(),
                    reason: String::new(),
                    rows,
                    dead_letters: u64::from(job.topic == "orders" && ago == 2) * 3,
                    lost: 0,
                    files: 2,
                    bytes: rows * 31,
                    ranges,
                }
            })
            .collect()
    }

    fn halts(&self, now: Millis) -> Vec<HaltReport> {
        if self.scene != Scene::Halted {
            return Vec::new();
        }
        let resolve = "tabletopic resolve --config /etc/tabletopic.toml";
        vec![
            HaltReport {
                scope: "partition",
                table: Some("shop.clicks".to_owned()),
                job: Some("clicks".to_owned()),
                topic: Some("clicks".to_owned()),
                partition: Some(0),
                since_at: Some(START + 35 * MINUTE),
                message: "topic clicks, partition 0: offsets 300 to 449 are no longer in the log, which begins at 450: \
                          retention, or somebody's DeleteRecords, was faster than the reader. To go on without them, \
                          run `tabletopic resolve shop.clicks --declare-lost`"
                    .to_owned(),
                commands: vec![format!("{resolve} shop.clicks --declare-lost --reason '...'")],
            },
            HaltReport {
                scope: "table",
                table: Some("shop.payments".to_owned()),
                job: None,
                topic: None,
                partition: None,
                since_at: Some(now - 20 * SECOND),
                message: "table shop.payments: our snapshot 4731901836912744021 is no longer in main, whose newest one \
                          is 8120034410230910231. Somebody rolled the table back. <b>Look</b> at the history, then \
                          answer"
                    .to_owned(),
                commands: vec![
                    format!("{resolve} shop.payments --rewind --reason '...'"),
                    format!("{resolve} shop.payments --declare-lost --reason '...'"),
                ],
            },
        ]
    }
}

/// How late a topic is that was out of reach from minute 10 to 35 of an hour, and is read at 1.5 times its rate since.
fn late(passed: Millis) -> Millis {
    let away = (passed - 10 * MINUTE).clamp(0, 25 * MINUTE);
    (away - (passed - 35 * MINUTE).max(0) / 2).max(0)
}

fn snapshot(number: i64) -> i64 {
    4_731_901_836_912_744_021 + number * 1_000_003
}

impl Watched for MadeUp {
    fn report(&self) -> Report {
        let now = START + self.asked.fetch_add(1, Ordering::Relaxed) * STEP;
        let jobs = match self.partitions {
            1 => vec![self.job(now, "clicks", 1, 2_000)],
            many => vec![
                self.job(now, "clicks", many, 2_000),
                self.job(now, "orders", 4, 90),
                self.job(now, "payments", 2, 12),
            ],
        };
        let known = self.scene != Scene::Starting;
        Report {
            made_at: now,
            source: Source::Process,
            broker_at: known.then_some(now - 3 * SECOND),
            broker_error: (!known).then(|| "no broker of localhost:9092 answered within 10 s".to_owned()),
            halts: self.halts(now),
            schemas_awaited: Vec::new(),
            tables: jobs.iter().map(|job| self.table(now, job)).collect(),
            commits: if known {
                self.commits(now, &jobs)
            } else {
                Vec::new()
            },
            jobs,
        }
    }

    fn missing(&self) -> Vec<String> {
        match self.scene {
            Scene::Starting => vec!["the table shop.clicks is not there yet".to_owned()],
            _ => Vec::new(),
        }
    }
}
