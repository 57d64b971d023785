//! What a person sees while something works. Of `run`: records a second, lag, the last commit; a line that is redrawn on
//! a terminal, a log line every ten seconds elsewhere. Of work that has an end: how many bytes of it are done.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use tabletopic_clock::{Clock, SystemClock};
use tabletopic_ingest::observe::Observed;
use tabletopic_offsets::TopicPartition;
use tabletopic_source::Broker;
use tokio::time::Instant;

const ON_A_TERMINAL: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// The progress line of one process.
#[derive(Debug, Clone)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    pub fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Self(bar)
    }

    /// Where log lines go: above the progress line, if there is one.
    pub fn writer(&self) -> impl Fn() -> LogWriter + Send + Sync + 'static {
        let bar = self.0.clone();
        move || LogWriter(bar.clone())
    }

    /// Shows how much is done of work on so many bytes.
    pub fn of_bytes(&self, what: String, total: u64) -> Bytes {
        if let Some(bar) = &self.0 {
            let style = ProgressStyle::with_template(
                "{spinner} {msg} {wide_bar} {bytes} of {total_bytes}, {eta} left",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_length(total);
            bar.set_position(0);
            bar.set_message(what.clone());
            bar.enable_steady_tick(ON_A_TERMINAL / 4);
        }
        Bytes {
            bar: self.0.clone(),
            what,
            total,
            done: AtomicU64::new(0),
        }
    }

    /// Shows how many are done of things that are counted, of one kind after the other.
    pub fn of_counted(&self, what: String) -> Counted {
        if let Some(bar) = &self.0 {
            let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos} of {len}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(ON_A_TERMINAL / 4);
        }
        Counted {
            bar: self.0.clone(),
            what,
            told: Mutex::new(Instant::now()),
        }
    }

    /// Shows progress until it is aborted.
    pub async fn show(self, observed: Arc<Observed>, broker: Arc<dyn Broker>) {
        let every = if self.0.is_some() {
            ON_A_TERMINAL
        } else {
            ELSEWHERE
        };
        let (mut before, mut at) = (0, Instant::now());
        loop {
            tokio::time::sleep(every).await;
            let records = observed.records();
            let rate = (records - before) as f64 / at.elapsed().as_secs_f64();
            (before, at) = (records, Instant::now());
            let lag = lag(&observed, &broker).await;
            let line = line(rate, lag, &observed);
            match &self.0 {
                Some(bar) => {
                    bar.set_message(line);
                    bar.tick();
                }
                None => tracing::info!("{line}"),
            }
        }
    }
}

fn line(rate: f64, lag: Option<i64>, observed: &Observed) -> String {
    let lag = lag.map_or("lag unknown".to_owned(), |lag| format!("lag {lag}"));
    let tables = observed.tables();
    let jobs = tables.values().flat_map(|table| table.state.jobs.values());
    let backfills = jobs
        .flat_map(|job| job.partitions.values())
        .filter_map(|partition| partition.progress.backfill());
    let history = match backfills.map(|left| left.len()).sum::<u64>() {
        0 => String::new(),
        left => format!(", {left} of history to fill"),
    };
    let last = tables
        .into_values()
        .filter_map(|table| table.last_commit)
        .max_by_key(|commit| commit.at);
    let last = match last {
        Some(commit) => {
            let ago = (SystemClock.now() - commit.at).max(0) / 1000;
            format!("last commit {ago} s ago ({} rows)", commit.rows)
        }
        None => "no commit yet".to_owned(),
    };
    let halted = match observed.halts.all().len() {
        0 => String::new(),
        halts => format!(", {halts} halted"),
    };
    format!("{rate:.0} records/s, {lag}{history}, {last}{halted}")
}

/// Offsets between what the tables hold and the ends of their topics, where these are known.
async fn lag(observed: &Observed, broker: &Arc<dyn Broker>) -> Option<i64> {
    let tables = observed.tables();
    let mut held = Vec::new();
    for job in observed.jobs() {
        let Some(state) = tables.get(&job.table).and_then(|table| table.state.job(&job.id)) else {
            continue;
        };
        held.extend(state.partitions.iter().map(|(partition, state)| {
            (
                TopicPartition::new(job.topic.clone(), *partition),
                state.progress.live_end(),
            )
        }));
    }
    if held.is_empty() {
        return None;
    }
    let broker = broker.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let partitions: Vec<TopicPartition> = held.iter().map(|(tp, _)| tp.clone()).collect();
        let logs = broker.offsets(&partitions).ok()?;
        let behind = held
            .iter()
            .zip(logs)
            .filter_map(|((_, held), log)| Some((log.ok()?.end - held).max(0)));
        Some(behind.sum())
    });
    asked.await.ok().flatten()
}

/// Work on so many bytes. Gone from the terminal when it is dropped.
pub struct Bytes {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    done: AtomicU64,
}

impl Bytes {
    pub fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None => tracing::info!("{}: {} of {}", self.what, ByteSize(done), ByteSize(self.total)),
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Work on things that are counted. Gone from the terminal when it is dropped.
pub struct Counted {
    bar: Option<ProgressBar>,
    what: String,
    /// When a log line said so last.
    told: Mutex<Instant>,
}

impl Counted {
    pub fn set(&self, kind: &str, done: u64, all: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(done);
            return bar.set_message(format!("{}: {kind}", self.what));
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= ELSEWHERE {
            *told = Instant::now();
            tracing::info!("{}: {done} of {all} {kind}", self.what);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes one log line to standard error.
pub struct LogWriter(Option<ProgressBar>);

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(bar) => bar.suspend(|| io::stderr().write(line)),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
