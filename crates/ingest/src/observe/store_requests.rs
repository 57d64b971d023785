//! The store's own counters, as metrics: what object stores bill.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntCounter, IntCounterVec, Opts};
use tabletopic_table::storage::{RequestCounts, RequestKind};

/// Reads the counts when it is asked for metrics. Register it beside [`super::Metrics`].
#[derive(Debug)]
pub struct StoreRequests {
    counts: Arc<RequestCounts>,
    /// Under one lock, so that two readers at once do not add the same requests twice.
    shown: Mutex<()>,
    requests: IntCounterVec,
    bytes: IntCounterVec,
    failures: IntCounter,
}

impl StoreRequests {
    /// # Errors
    /// None in practice: the names are fixed.
    pub fn new(counts: Arc<RequestCounts>) -> Result<Self, Error> {
        let requests = Opts::new(
            "tabletopic_store_requests_total",
            "Requests to the store by kind, failed ones included: what object stores bill.",
        );
        let bytes = Opts::new(
            "tabletopic_store_bytes_total",
            "Bytes moved by requests to the store.",
        );
        Ok(Self {
            counts,
            shown: Mutex::default(),
            requests: IntCounterVec::new(requests, &["kind"])?,
            bytes: IntCounterVec::new(bytes, &["kind"])?,
            failures: IntCounter::new(
                "tabletopic_store_failures_total",
                "Times that an object store did not answer, or asked to try later.",
            )?,
        })
    }
}

impl Collector for StoreRequests {
    fn desc(&self) -> Vec<&Desc> {
        [self.requests.desc(), self.bytes.desc(), self.failures.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _one_reader = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in RequestKind::ALL {
            let count = self.counts.of(kind);
            for (shown, counted) in [(&self.requests, count.requests), (&self.bytes, count.bytes)] {
                let shown = shown.with_label_values(&[kind.as_str()]);
                shown.inc_by(counted.saturating_sub(shown.get()));
            }
        }
        let failed = self.counts.failed();
        self.failures.inc_by(failed.saturating_sub(self.failures.get()));
        [
            self.requests.collect(),
            self.bytes.collect(),
            self.failures.collect(),
        ]
        .concat()
    }
}
