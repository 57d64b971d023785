//! The service over a source, a catalog and a store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use object_store::memory::InMemory;
use tabletopic_catalog::MemoryCatalog;
use tabletopic_clock::{Clock, ManualClock, Millis, SeededEntropy};
use tabletopic_ingest::run::{Assignment, Settings, Sources};
use tabletopic_source::{MemoryBroker, Source, SourceError};
use tabletopic_table::Lake;
use tabletopic_table::storage::{RequestCounts, file_io};

pub const NOW: Millis = 1_700_000_000_000;

/// Each source is a member of its own: workers, and those who take samples.
#[derive(Debug)]
pub struct InMemorySources {
    broker: MemoryBroker,
    opened: AtomicUsize,
}

impl InMemorySources {
    pub fn new(broker: MemoryBroker) -> Self {
        Self {
            broker,
            opened: AtomicUsize::new(0),
        }
    }
}

impl Sources for InMemorySources {
    fn open(&self, _worker: usize) -> Result<Box<dyn Source>, SourceError> {
        let number = self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(self.broker.member(format!("member-{number}"))))
    }
}

pub fn lake(requests: Arc<RequestCounts>) -> Lake {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    let entropy = Arc::new(SeededEntropy::new(1));
    Lake {
        catalog: Arc::new(MemoryCatalog::new(
            "memory",
            "memory:///warehouse",
            clock.clone(),
            entropy.clone(),
        )),
        file_io: file_io(Arc::new(InMemory::new()), "memory:///", requests),
        clock,
        entropy,
        actor: "test".into(),
    }
}

/// One worker, to the end of the topics.
pub fn settings() -> Settings {
    Settings {
        workers: 1,
        memory_budget: 64 << 20,
        assignment: Assignment::Static,
        topic_refresh: Duration::from_secs(30),
        until_end: true,
    }
}
