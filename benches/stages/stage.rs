//! The stages, and one measurement of one of them.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cpu::Cost;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// The source alone: every record of the topic is handed out and dropped.
    Consume,
    /// Bytes to Arrow.
    Decode,
    /// By day of the event time.
    Split,
    /// Parquet in memory, zstd level 3.
    Encode,
    EncodeZstd1,
    /// Encoded files to a local disk, durably.
    Upload,
    /// One file to a table in an SQLite catalog; its "records" are commits.
    Commit,
}

#[derive(Debug)]
pub struct Measured {
    pub stage: Stage,
    records: u64,
    cost: Cost,
    /// Bytes that the stage took in (`decode`) or made.
    bytes: Option<u64>,
}

impl Measured {
    pub fn new(stage: Stage, records: u64, cost: Cost) -> Self {
        Self {
            stage,
            records,
            cost,
            bytes: None,
        }
    }

    pub fn with_bytes(self, bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    pub fn line(&self, round: u32) -> Value {
        let name = self
            .stage
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        let per_record = |what: f64| what / self.records as f64;
        json!({
            "stage": name,
            "round": round,
            "records": self.records,
            "cpu_ns": per_record(self.cost.cpu.as_nanos() as f64).round(),
            "wall_s": (self.cost.wall.as_secs_f64() * 1e3).round() / 1e3,
            "bytes": self.bytes.map(|bytes| (per_record(bytes as f64) * 10.0).round() / 10.0),
            "load": load(),
        })
    }
}

/// Of the last minute (Linux): what else the machine was doing.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg")
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()
}
