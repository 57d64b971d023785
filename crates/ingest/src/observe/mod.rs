//! What the service knows of itself, for people and for machines.
//!
//! ```text
//! workers ──per batch───> Meter ──┐
//! committers ─per commit─> Observed ──> Metrics ──> /metrics
//! the broker ─every 10 s─> Heard ─┘ └─> Report ──> /status.json, the page, `tabletopic status`
//! ```
//!
//! Nothing here is on the way of a record: counters are raised once for each batch or commit, and the broker is asked
//! beside the workers. [`look`] makes the same report from the tables and the broker alone.

mod assemble;
mod commit_answers;
mod commits;
mod freshness;
mod heard;
pub mod look;
mod meter;
mod metrics;
mod observed;
mod report;
mod retention;
mod stage;
mod store_requests;
mod thread_times;
mod verified;

pub use commit_answers::CountAnswers;
pub use commits::Commit;
pub use freshness::newest_record;
pub use heard::{Heard, PartitionHeard, PartitionOf};
pub use meter::Meter;
pub use metrics::Metrics;
pub(crate) use observed::Added;
pub use observed::{LastCommit, Observed, TableSeen};
pub use report::{
    BackfillReport, CommitRangeReport, CommitReport, HaltReport, JobReport, LastCommitReport,
    PartitionReport, RangeReport, Report, RetentionReport, SchemaAwaitedReport, Source, Standing,
    TableReport, VerifiedReport,
};
pub use retention::{ToRetention, lag_seconds, to_retention};
pub use stage::Stage;
pub(crate) use stage::{UPLOAD_THREADS, WORKER_THREADS};
pub use store_requests::StoreRequests;
pub use thread_times::ThreadTimes;
pub use verified::Verified;
