//! Growing pauses for outages, which somebody outside can see.

use std::fmt::Display;
use std::time::Duration;

use iceberg::TableIdent;

use crate::lake::Lake;

/// Who is told that a commit waits: the status page and the log.
pub trait Waiting: Send + Sync {
    /// The catalog or the store can't be reached: `error` says which, in its own words.
    fn outage(&self, table: &TableIdent, error: &str, pause: Duration);

    /// A commit's answer was lost and its fate is being looked up.
    fn unknown(&self, table: &TableIdent, words: &str, pause: Duration);
}

/// Logs what it is told.
#[derive(Debug, Clone, Copy)]
pub struct LogWaiting;

impl Waiting for LogWaiting {
    fn outage(&self, table: &TableIdent, error: &str, pause: Duration) {
        tracing::warn!(%table, ?pause, "waiting to commit: {error}");
    }

    fn unknown(&self, table: &TableIdent, words: &str, pause: Duration) {
        tracing::warn!(%table, ?pause, "the answer to a commit was lost, looking it up: {words}");
    }
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

pub(super) struct Wait<'a> {
    table: TableIdent,
    lake: &'a Lake,
    waiting: &'a dyn Waiting,
    next: Duration,
}

impl<'a> Wait<'a> {
    pub(super) fn new(table: TableIdent, lake: &'a Lake, waiting: &'a dyn Waiting) -> Self {
        Self {
            table,
            lake,
            waiting,
            next: FIRST,
        }
    }

    pub(super) async fn outage(&mut self, error: &(dyn Display + Sync)) {
        let pause = self.grow();
        self.waiting.outage(&self.table, &error.to_string(), pause);
        tokio::time::sleep(pause).await;
    }

    pub(super) async fn unknown(&mut self, words: &str) {
        let pause = self.grow();
        self.waiting.unknown(&self.table, words, pause);
        tokio::time::sleep(pause).await;
    }

    /// Doubles up to the longest, with jitter so that processes that failed together do not return together.
    fn grow(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(LONGEST);
        pause.mul_f64(0.5 + (self.lake.entropy.next_u64() % 1000) as f64 / 1000.0)
    }
}
