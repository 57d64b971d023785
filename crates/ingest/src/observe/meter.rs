//! Where the CPU time of a worker thread goes: one clock read between two stages of a batch.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Counter, IntGauge};
use tabletopic_clock::Clock;

use super::{Metrics, Stage};

/// The instruments of one worker thread.
#[derive(Debug)]
pub struct Meter {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    stages: [Counter; Stage::ALL.len()],
    /// CPU time of the thread when the last stage ended. `None` before the first: threads are made before they run.
    last: Option<Duration>,
    open_files: IntGauge,
    memory: IntGauge,
    /// Bytes that this worker has added to `memory`, which all workers share.
    held: i64,
}

impl Meter {
    pub fn new(worker: usize, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let stages = Stage::ALL.map(|stage| metrics.stage_cpu.with_label_values(&[stage.as_str()]));
        let open_files = metrics.open_files.with_label_values(&[worker.to_string()]);
        let memory = metrics.memory.with_label_values(&["open_files"]);
        Self {
            clock,
            metrics,
            stages,
            last: None,
            open_files,
            memory,
            held: 0,
        }
    }

    /// Whatever the thread did since the last call was `stage`.
    pub fn ended(&mut self, stage: Stage) {
        let now = self.clock.thread_cpu();
        let since = self.last.replace(now).unwrap_or(now);
        self.stages[stage as usize].inc_by(now.saturating_sub(since).as_secs_f64());
    }

    /// What a batch lost without losing a record.
    pub fn lost_fields(&self, topic: &str, nulled: u64, unknown: u64) {
        if nulled > 0 {
            self.metrics
                .nulled_fields
                .with_label_values(&[topic])
                .inc_by(nulled);
        }
        if unknown > 0 {
            self.metrics
                .unknown_fields
                .with_label_values(&[topic])
                .inc_by(unknown);
        }
    }

    /// What the worker has open now.
    pub fn holds(&mut self, open_files: usize, bytes: usize) {
        self.open_files.set(open_files as i64);
        let bytes = bytes as i64;
        self.memory.add(bytes - self.held);
        self.held = bytes;
    }
}
