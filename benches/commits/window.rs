//! What a number of commits in a row cost.

use std::time::Duration;

use serde_json::{Value, json};
use tabletopic_table::storage::{RequestCounts, RequestKind};

use crate::cpu::Cost;

const KINDS: [(RequestKind, &str); 4] = [
    (RequestKind::Put, "puts"),
    (RequestKind::Get, "gets"),
    (RequestKind::Head, "heads"),
    (RequestKind::Delete, "deletes"),
];

/// Requests so far, by kind.
pub type Requests = [u64; KINDS.len()];

pub fn requests(counts: &RequestCounts) -> Requests {
    KINDS.map(|(kind, _)| counts.of(kind).requests)
}

#[derive(Debug, Default)]
pub struct Window {
    costs: Vec<Cost>,
    requests: Vec<Requests>,
    metadata_bytes: Vec<u64>,
}

impl Window {
    pub fn add(&mut self, cost: Cost, before: Requests, after: Requests, metadata_bytes: u64) {
        self.costs.push(cost);
        self.requests
            .push(std::array::from_fn(|kind| after[kind] - before[kind]));
        self.metadata_bytes.push(metadata_bytes);
    }

    pub fn len(&self) -> usize {
        self.costs.len()
    }

    /// The mean, since a few commits carry what was put off for many.
    pub fn cpu_ms(&self) -> f64 {
        millis(self.costs.iter().map(|cost| cost.cpu).sum()) / self.len().max(1) as f64
    }

    pub fn wall_ms(&self, quantile: f64) -> f64 {
        let mut walls: Vec<Duration> = self.costs.iter().map(|cost| cost.wall).collect();
        walls.sort_unstable();
        let at = (walls.len() as f64 * quantile) as usize;
        walls
            .get(at.min(walls.len().saturating_sub(1)))
            .copied()
            .map_or(0.0, millis)
    }

    /// Of these commits alone.
    pub fn slice(&self, from: usize, to: usize) -> Self {
        Self {
            costs: self.costs[from..to].to_vec(),
            requests: self.requests[from..to].to_vec(),
            metadata_bytes: self.metadata_bytes[from..to].to_vec(),
        }
    }

    pub fn line(&self) -> Value {
        let mut line = json!({
            "count": self.len(),
            "cpu_ms": rounded(self.cpu_ms()),
            "wall_ms_median": rounded(self.wall_ms(0.5)),
            "wall_ms_p99": rounded(self.wall_ms(0.99)),
            "metadata_bytes_max": self.metadata_bytes.iter().max(),
        });
        for (at, (_, name)) in KINDS.iter().enumerate() {
            let of_kind = || self.requests.iter().map(|requests| requests[at]);
            let mean = of_kind().sum::<u64>() as f64 / self.len().max(1) as f64;
            line[*name] = json!({ "mean": rounded(mean), "max": of_kind().max() });
        }
        line
    }
}

pub fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
