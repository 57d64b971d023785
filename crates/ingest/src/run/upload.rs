//! Stores closed files. An upload goes on until it has succeeded: an outage of the store, a full disk or a missing
//! permission is waited out and shown, and nothing is committed before.

use std::sync::Arc;
use std::time::Duration;

use iceberg::io::FileIO;
use tabletopic_table::file::EncodedFile;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::memory_budget::MemoryBudget;
use crate::observe::Metrics;

/// Uploads of one process.
#[derive(Debug, Clone)]
pub struct Uploads {
    file_io: FileIO,
    runtime: Handle,
    at_once: Arc<Semaphore>,
    /// Whether more waits for the store than whoever reads may add to.
    is_full: fn(&MemoryBudget) -> bool,
    budget: Arc<MemoryBudget>,
    metrics: Arc<Metrics>,
}

const UPLOADS_AT_ONCE: usize = 8;
const OF_HISTORY_AT_ONCE: usize = 2;

impl Uploads {
    /// They run on `runtime`. The files that wait are noted in `budget`.
    pub fn new(file_io: FileIO, runtime: Handle, budget: Arc<MemoryBudget>, metrics: Arc<Metrics>) -> Self {
        Self {
            file_io,
            runtime,
            at_once: Arc::new(Semaphore::new(UPLOADS_AT_ONCE)),
            is_full: MemoryBudget::waits_for_store,
            budget,
            metrics,
        }
    }

    /// Those of history: in turns of their own, and fewer, so that what is new waits neither for its turn nor for memory.
    #[must_use]
    pub fn of_history(&self) -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(OF_HISTORY_AT_ONCE)),
            is_full: MemoryBudget::keeps_history_back,
            ..self.clone()
        }
    }

    /// Whether more waits for the store than may.
    pub fn is_full(&self) -> bool {
        (self.is_full)(&self.budget)
    }

    /// Begins to store a file. The handle ends when it is stored.
    pub fn start(&self, file: EncodedFile) -> JoinHandle<()> {
        let (file_io, at_once) = (self.file_io.clone(), self.at_once.clone());
        let closed = self.budget.closed(file.payload.content_length());
        let (metrics, bytes) = (self.metrics.clone(), file.payload.content_length() as i64);
        let waiting = metrics.memory.with_label_values(&["uploads"]);
        waiting.add(bytes);
        let began = Instant::now();
        self.runtime.spawn(async move {
            let _closed = closed;
            let _turn = at_once.acquire().await;
            store(&file_io, file, &metrics).await;
            waiting.sub(bytes);
            metrics.upload_seconds.observe(began.elapsed().as_secs_f64());
        })
    }
}

async fn store(file_io: &FileIO, file: EncodedFile, metrics: &Metrics) {
    let mut pause = Duration::from_millis(100);
    loop {
        match file.store(file_io).await {
            Ok(()) => return,
            Err(error) => {
                metrics.upload_failures.inc();
                tracing::warn!(path = %file.path, ?pause, "waiting for the store: {error}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
        }
    }
}
