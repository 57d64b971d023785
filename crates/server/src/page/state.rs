//! How a job does, and the whole service, in one sentence each: what a person has to do comes first, what is worth
//! watching next, and what is well is said quietly.

use tabletopic_ingest::observe::{
    HaltReport, JobReport, Report, RetentionReport, SchemaAwaitedReport, ToRetention,
};

use super::findings::wrong;
use super::words::{about, count, counted, span};
use crate::trend::{Course, Trend};

/// Who should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nobody.
    Quiet,
    /// It goes on by itself, unless it lasts.
    Watch,
    /// It does not go on, or records get lost, until somebody does something.
    Act,
}

impl Level {
    /// The class of elements in the page.
    pub fn class(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Watch => "watch",
            Self::Act => "act",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub level: Level,
    pub words: String,
}

impl State {
    fn new(level: Level, words: impl Into<String>) -> Self {
        Self {
            level,
            words: words.into(),
        }
    }
}

/// A table that is this far behind its topic is late, in seconds: five commits of the usual interval.
const LATE: f64 = 300.0;
/// Shares of the topic's retention that are left for reading the oldest unread record.
const RETENTION_LOW: f64 = 0.25;
const RETENTION_ALARMING: f64 = 0.1;
/// Where the topic's retention has no time: seconds left.
const SECONDS_LOW: f64 = 4.0 * 3600.0;
const SECONDS_ALARMING: f64 = 3600.0;

/// Whether `halt` keeps anything of `job` from going on.
pub fn stops(halt: &HaltReport, job: &JobReport) -> bool {
    match &halt.job {
        Some(halted) => *halted == job.job,
        None => halt.table.as_ref() == Some(&job.table),
    }
}

pub fn of_job(job: &JobReport, halts: &[HaltReport], trend: Trend) -> State {
    let halts: Vec<&HaltReport> = halts.iter().filter(|halt| stops(halt, job)).collect();
    if !halts.is_empty() {
        let partitions: Option<Vec<i32>> = halts.iter().map(|halt| halt.partition).collect();
        let all = job.partitions.len();
        return State::new(
            Level::Act,
            match partitions.as_deref() {
                Some([one]) if all > 1 => format!("partition {one} halted"),
                Some(some) if some.len() < all => format!("{} of {all} partitions halted", some.len()),
                _ => "halted".to_owned(),
            },
        );
    }
    if let Some(state) = retention(job) {
        return state;
    }
    let (Some(_), Some(seconds)) = (job.lag_records, job.lag_seconds) else {
        return State::new(Level::Quiet, "the broker has not said yet how much is unread");
    };
    if seconds <= LATE {
        let words = match job.backfill_left() {
            0 => "up to date".to_owned(),
            left => format!("up to date, {} offsets of history to fill", count(left)),
        };
        return State::new(Level::Quiet, words);
    }
    let late = format!("{} behind", about(seconds));
    State::new(
        Level::Watch,
        match trend.lag {
            None => late,
            Some(Course::Growing) => format!("{late} and falling back"),
            Some(Course::Level) => format!("{late}, neither more nor less"),
            Some(Course::Shrinking { seconds_left }) => {
                format!("{late}, catching up: about {} left", about(seconds_left))
            }
        },
    )
}

/// Whether unread records are close to being deleted.
fn retention(job: &JobReport) -> Option<State> {
    if job
        .partitions
        .iter()
        .any(|partition| partition.to_retention == ToRetention::Overtaken)
    {
        return Some(State::new(Level::Act, "the broker has deleted unread records"));
    }
    let left = job.seconds_to_retention?;
    let (low, alarming) = match job.retention.as_ref().and_then(time) {
        Some(whole) => (whole * RETENTION_LOW, whole * RETENTION_ALARMING),
        None => (SECONDS_LOW, SECONDS_ALARMING),
    };
    let words = match left {
        _ if left <= 0.0 => "the broker may delete unread records now".to_owned(),
        _ => format!("the broker may delete unread records in {}", span(left)),
    };
    match left {
        _ if left < alarming => Some(State::new(Level::Act, words)),
        _ if left < low => Some(State::new(Level::Watch, words)),
        _ => None,
    }
}

/// The topic's retention in seconds, if it has one.
fn time(retention: &RetentionReport) -> Option<f64> {
    retention.ms.map(|ms| ms as f64 / 1000.0)
}

/// The whole service. `states` are those of the report's jobs, in its order.
pub fn of_all(report: &Report, missing: &[String], states: &[State]) -> State {
    if !report.halts.is_empty() {
        let stands = match report.halts.len() {
            1 => "1 halt waits for an answer".to_owned(),
            halts => format!("{} halts wait for an answer", count(halts as u64)),
        };
        return State::new(Level::Act, stands);
    }
    match wrong(report).as_slice() {
        [] => {}
        [(_, verified)] => return State::new(Level::Act, verified.says.as_str()),
        many => {
            return State::new(
                Level::Act,
                format!("{} tables are not as they should be", many.len()),
            );
        }
    }
    let alarming: Vec<(&JobReport, &State)> = at(Level::Act, report, states).collect();
    if let Some(state) = one_or_many(&alarming, "topics lose records unless they are read faster") {
        return State::new(Level::Act, state);
    }
    if let Some(error) = &report.broker_error {
        let since = report.broker_at.map(|at| (report.made_at - at) as f64 / 1000.0);
        return State::new(
            Level::Watch,
            match since {
                Some(seconds) => format!("The broker has not answered for {}: {error}", span(seconds)),
                None => format!("The broker has not answered yet: {error}"),
            },
        );
    }
    let waits = |schema: &SchemaAwaitedReport| Some((schema.schema_id.clone(), schema.error.clone()?));
    if let Some((id, error)) = report.schemas_awaited.iter().find_map(waits) {
        return State::new(Level::Watch, format!("Waiting for schema {id}: {error}"));
    }
    if let Some(first) = missing.first() {
        return State::new(Level::Watch, format!("Starting: {first}"));
    }
    let late: Vec<(&JobReport, &State)> = at(Level::Watch, report, states).collect();
    if let Some(state) = one_or_many(&late, "topics are behind") {
        return State::new(Level::Watch, state);
    }
    if report.jobs.iter().any(|job| job.lag_records.is_none()) {
        return State::new(Level::Quiet, "Waiting for the broker to say how much is unread");
    }
    State::new(Level::Quiet, "Everything is up to date")
}

fn at<'r>(
    level: Level,
    report: &'r Report,
    states: &'r [State],
) -> impl Iterator<Item = (&'r JobReport, &'r State)> {
    report
        .jobs
        .iter()
        .zip(states)
        .filter(move |(_, state)| state.level == level)
}

fn one_or_many(jobs: &[(&JobReport, &State)], many: &str) -> Option<String> {
    match jobs {
        [] => None,
        [(job, state)] => Some(format!("{}: {}", job.topic, state.words)),
        _ => Some(format!("{} {many}", jobs.len())),
    }
}

/// `3 topics, 24 partitions`.
pub fn extent(report: &Report) -> String {
    let partitions = report.jobs.iter().map(|job| job.partitions.len()).sum();
    format!(
        "{}, {}",
        counted(report.jobs.len(), "topic"),
        counted(partitions, "partition")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tabletopic_ingest::observe::{PartitionReport, Source, Standing, TableReport, VerifiedReport};

    fn partition(number: i32) -> PartitionReport {
        PartitionReport {
            partition: number,
            held: Vec::new(),
            next_offset: 0,
            log_start: None,
            end_offset: None,
            lag_records: None,
            lag_seconds: None,
            seconds_to_retention: None,
            to_retention: ToRetention::Unknown,
            halted: false,
            backfill: None,
            error: None,
            last_commit: None,
        }
    }

    /// A job of four partitions whose oldest unread record is so many seconds old.
    fn job(topic: &str, late: Option<f64>) -> JobReport {
        JobReport {
            job: topic.to_owned(),
            topic: topic.to_owned(),
            table: format!("shop.{topic}"),
            lag_records: late.map(|late| late as u64),
            lag_seconds: late,
            seconds_to_retention: None,
            retention: None,
            retention_error: None,
            partitions: (0..4).map(partition).collect(),
        }
    }

    fn halt(job: Option<&str>, partition: Option<i32>) -> HaltReport {
        HaltReport {
            scope: "partition",
            table: Some("shop.orders".to_owned()),
            job: job.map(str::to_owned),
            topic: job.map(str::to_owned),
            partition,
            since_at: None,
            message: String::new(),
            commands: Vec::new(),
        }
    }

    fn said(job: &JobReport, halts: &[HaltReport], lag: Option<Course>) -> (Level, String) {
        let state = of_job(job, halts, Trend { rate: None, lag });
        (state.level, state.words)
    }

    #[test]
    fn a_halt_is_as_wide_as_it_is() {
        let orders = job("orders", Some(0.0));
        for (halts, words) in [
            (vec![halt(Some("orders"), Some(3))], "partition 3 halted"),
            (
                vec![halt(Some("orders"), Some(3)), halt(Some("orders"), Some(1))],
                "2 of 4 partitions halted",
            ),
            (
                (0..4).map(|number| halt(Some("orders"), Some(number))).collect(),
                "halted",
            ),
            (
                vec![halt(Some("orders"), Some(3)), halt(Some("orders"), None)],
                "halted",
            ),
            (vec![halt(None, None)], "halted"),
        ] {
            assert_eq!(said(&orders, &halts, None), (Level::Act, words.to_owned()));
        }
        let others = [halt(Some("payments"), Some(3))];
        assert_eq!(
            said(&orders, &others, None),
            (Level::Quiet, "up to date".to_owned())
        );
    }

    #[test]
    fn lag_is_worth_a_word_once_it_is_more_than_commits_leave() {
        for (late, lag, level, words) in [
            (
                None,
                None,
                Level::Quiet,
                "the broker has not said yet how much is unread",
            ),
            (Some(300.0), Some(Course::Growing), Level::Quiet, "up to date"),
            (Some(301.0), None, Level::Watch, "5 min behind"),
            (
                Some(7_200.0),
                Some(Course::Growing),
                Level::Watch,
                "2 h behind and falling back",
            ),
            (
                Some(7_200.0),
                Some(Course::Level),
                Level::Watch,
                "2 h behind, neither more nor less",
            ),
            (
                Some(7_200.0),
                Some(Course::Shrinking { seconds_left: 600.0 }),
                Level::Watch,
                "2 h behind, catching up: about 10 min left",
            ),
        ] {
            assert_eq!(said(&job("orders", late), &[], lag), (level, words.to_owned()));
        }
    }

    #[test]
    fn retention_is_measured_by_what_the_topic_has() {
        let with = |left, whole: Option<i64>| {
            let mut job = job("orders", Some(10.0));
            job.seconds_to_retention = Some(left);
            job.retention = whole.map(|hours| RetentionReport {
                ms: Some(hours * 3_600_000),
                bytes: None,
                deletes: true,
            });
            said(&job, &[], None).0
        };
        assert_eq!(with(3_590.0, Some(1)), Level::Quiet, "one hour is all there is");
        assert_eq!(with(3_590.0, Some(24)), Level::Act);
        assert_eq!(with(5.0 * 3600.0, Some(24)), Level::Watch);
        assert_eq!(with(3_590.0, None), Level::Act);
        assert_eq!(with(3.0 * 3600.0, None), Level::Watch);
        assert_eq!(with(-5.0, Some(1)), Level::Act);
    }

    /// A table that was verified, with so many findings.
    fn table_with(findings: u64) -> TableReport {
        TableReport {
            table: "shop.orders".to_owned(),
            standing: Standing::InMain,
            snapshot_id: None,
            last_commit_at: None,
            newest_record_at: None,
            freshness_seconds: None,
            rows: 0,
            dead_letters: 0,
            lost: 0,
            verified: Some(VerifiedReport {
                at: 0,
                proven_at: None,
                findings,
                says: "shop.orders is not as it should be: rows".to_owned(),
            }),
        }
    }

    #[test]
    fn the_worst_is_what_the_page_says() {
        let mut report = Report {
            made_at: 60_000,
            source: Source::Process,
            broker_at: Some(50_000),
            broker_error: None,
            halts: Vec::new(),
            schemas_awaited: Vec::new(),
            tables: Vec::new(),
            jobs: vec![job("orders", Some(7_200.0)), job("payments", Some(0.0))],
            commits: Vec::new(),
        };
        let said = |report: &Report, missing: &[String]| {
            let states: Vec<State> = report
                .jobs
                .iter()
                .map(|job| of_job(job, &report.halts, Trend::default()))
                .collect();
            let state = of_all(report, missing, &states);
            (state.level, state.words)
        };
        assert_eq!(
            said(&report, &[]),
            (Level::Watch, "orders: 2 h behind".to_owned())
        );
        let missing = ["the workers have not started yet".to_owned()];
        assert_eq!(
            said(&report, &missing).1,
            "Starting: the workers have not started yet"
        );
        report.schemas_awaited = vec![SchemaAwaitedReport {
            schema_id: "7".to_owned(),
            since_at: 50_000,
            error: Some("registry http://r: it cannot be reached".to_owned()),
        }];
        assert_eq!(
            said(&report, &missing).1,
            "Waiting for schema 7: registry http://r: it cannot be reached"
        );
        report.schemas_awaited.clear();
        report.broker_error = Some("no route".to_owned());
        assert_eq!(
            said(&report, &[]).1,
            "The broker has not answered for 10 s: no route"
        );
        report.halts = vec![halt(Some("orders"), Some(1))];
        assert_eq!(
            said(&report, &[]),
            (Level::Act, "1 halt waits for an answer".to_owned())
        );
        report.halts.clear();
        report.tables = vec![table_with(3)];
        assert_eq!(
            said(&report, &[]),
            (Level::Act, "shop.orders is not as it should be: rows".to_owned())
        );
        report.tables = vec![table_with(0)];
        report.broker_error = None;
        report.jobs.remove(0);
        assert_eq!(
            said(&report, &[]),
            (Level::Quiet, "Everything is up to date".to_owned())
        );
    }
}
