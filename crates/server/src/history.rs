//! The last hour, for the plots of the status page: a sample of each job every ten seconds, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tabletopic_clock::Millis;
use tabletopic_ingest::observe::Report;
use tokio::time::MissedTickBehavior;

use crate::Watched;

pub const EVERY: Duration = Duration::from_secs(10);
/// One hour.
pub const SAMPLES: usize = 360;

/// A job at one moment. What was not known then is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub at: Millis,
    /// Records that the topic has and the table does not.
    pub lag: Option<u64>,
    /// Seconds since the Kafka timestamp of the newest record in the table.
    pub freshness: Option<f64>,
    /// Sum of the offsets up to which the partitions are in the table, over so many partitions.
    pub read: (i64, usize),
}

/// The newest [`SAMPLES`] points of each job, oldest first.
#[derive(Debug, Default)]
pub struct History {
    jobs: BTreeMap<String, VecDeque<Point>>,
}

impl History {
    /// Adds what `report` says. Jobs that it does not have are forgotten.
    pub fn add(&mut self, report: &Report) {
        self.jobs
            .retain(|id, _| report.jobs.iter().any(|job| job.job == *id));
        for job in &report.jobs {
            let table = report.tables.iter().find(|table| table.table == job.table);
            let points = self.jobs.entry(job.job.clone()).or_default();
            if points.len() == SAMPLES {
                points.pop_front();
            }
            points.push_back(Point {
                at: report.made_at,
                lag: job.lag_records,
                freshness: table.and_then(|table| table.freshness_seconds),
                read: (
                    job.partitions.iter().map(|partition| partition.next_offset).sum(),
                    job.partitions.len(),
                ),
            });
        }
    }

    /// The points of a job, oldest first.
    pub fn of(&self, job: &str) -> impl DoubleEndedIterator<Item = &Point> + Clone {
        self.jobs.get(job).into_iter().flatten()
    }
}

/// A history that is written by one task and read by requests.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<History>);

impl Recorder {
    /// Takes samples until it is aborted.
    pub async fn record(self: Arc<Self>, watched: Arc<dyn Watched>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let report = watched.report();
            self.history().add(&report);
        }
    }

    pub fn history(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
