//! The report: what `tabletopic status`, the admin server's `/status.json` and the status page show.
//!
//! Field names are part of the command line's interface: scripts read them. Times are milliseconds since the Unix
//! epoch, in fields that end in `_at`. Snapshot ids are text, because they take 63 bits and many readers of JSON keep
//! 53 of a number. Ranges are `[start, end)`. What is unknown is `null`.

use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_offsets::Offset;

use super::ToRetention;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub made_at: Millis,
    pub source: Source,
    /// When the brokers answered last. Log starts, end offsets, lag and retention are as of then.
    pub broker_at: Option<Millis>,
    /// Why they have not answered since.
    pub broker_error: Option<String>,
    pub halts: Vec<HaltReport>,
    /// Schemas of records that wait for the registry, by id. Nobody knows from the tables alone.
    pub schemas_awaited: Vec<SchemaAwaitedReport>,
    /// By name.
    pub tables: Vec<TableReport>,
    /// By topic.
    pub jobs: Vec<JobReport>,
    /// Newest first, of all tables and all processes; bounded.
    pub commits: Vec<CommitReport>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A running process.
    Process,
    /// The tables and the broker alone, which do not know everything that may stand still.
    Tables,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HaltReport {
    /// `partition`, `backfill` (what is read behind the live edge of a partition), `job` or `table`: how much stands still.
    pub scope: &'static str,
    pub table: Option<String>,
    pub job: Option<String>,
    pub topic: Option<String>,
    pub partition: Option<i32>,
    /// When the process met it; nobody knows from the tables alone.
    pub since_at: Option<Millis>,
    /// What was seen, and what to do.
    pub message: String,
    /// Command lines, each of which answers it. None: no command does, and the message says what does.
    pub commands: Vec<String>,
}

/// A schema that partitions wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaAwaitedReport {
    /// As a number, or with its kind: `globalId 7`.
    pub schema_id: String,
    pub since_at: Millis,
    /// Why the registry has not told it yet; `null` while the first question is under way.
    pub error: Option<String>,
}

/// Whether a table can be committed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It has no snapshot of ours yet, or is not there.
    New,
    /// Our newest snapshot is in `main`.
    InMain,
    /// See the halts.
    Halted,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableReport {
    pub table: String,
    pub standing: Standing,
    /// Our newest one.
    pub snapshot_id: Option<String>,
    /// When something was read into it last.
    pub last_commit_at: Option<Millis>,
    /// The newest Kafka timestamp of the last commit that added rows.
    pub newest_record_at: Option<Millis>,
    pub freshness_seconds: Option<f64>,
    /// Since the first anchor.
    pub rows: u64,
    pub dead_letters: u64,
    /// Offsets declared lost.
    pub lost: u64,
    /// What this process has found out about it; `null` if it has not verified it.
    pub verified: Option<VerifiedReport>,
}

/// The newest verdict on a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedReport {
    pub at: Millis,
    /// When nothing was wrong last.
    pub proven_at: Option<Millis>,
    /// How much is wrong: the log has each kind of it.
    pub findings: u64,
    /// The verdict in a sentence.
    pub says: String,
}

/// The partitions' sums, and their worst; `null` while one of them is unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobReport {
    pub job: String,
    pub topic: String,
    pub table: String,
    pub lag_records: Option<u64>,
    pub lag_seconds: Option<f64>,
    /// The least of the partitions where it is known.
    pub seconds_to_retention: Option<f64>,
    pub retention: Option<RetentionReport>,
    pub retention_error: Option<String>,
    /// By number: those that the table knows.
    pub partitions: Vec<PartitionReport>,
}

impl JobReport {
    /// Offsets that a backfill has yet to fill.
    pub fn backfill_left(&self) -> u64 {
        let backfills = self.partitions.iter().filter_map(|partition| partition.backfill);
        backfills.map(|backfill| backfill.left).sum()
    }
}

/// The topic's own configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RetentionReport {
    /// `null`: no limit.
    pub ms: Option<i64>,
    /// Of one partition; `null`: no limit.
    pub bytes: Option<i64>,
    /// Whether `cleanup.policy` has `delete`.
    pub deletes: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartitionReport {
    pub partition: i32,
    /// What the table accounts for.
    pub held: Vec<RangeReport>,
    /// Where reading goes on.
    pub next_offset: Offset,
    pub log_start: Option<Offset>,
    /// The last stable offset.
    pub end_offset: Option<Offset>,
    /// Offsets, control records included.
    pub lag_records: Option<u64>,
    /// Age of the oldest unread record; 0 if nothing is unread.
    pub lag_seconds: Option<f64>,
    /// Until the broker may delete the oldest unread record; below 0: at any moment. `null`: `to_retention` says why.
    pub seconds_to_retention: Option<f64>,
    pub to_retention: ToRetention,
    pub halted: bool,
    /// What is read behind the live edge; `null`: there is nothing to fill (any more).
    pub backfill: Option<BackfillReport>,
    pub last_commit: Option<LastCommitReport>,
    /// Why the broker said nothing of it.
    pub error: Option<String>,
}

/// A part of the log between two ranges that the table accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BackfillReport {
    /// Where reading goes on.
    pub next_offset: Offset,
    /// Where the live range began, which it is to meet.
    pub until: Offset,
    /// Offsets, control records included.
    pub left: u64,
    pub halted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RangeReport {
    pub start: Offset,
    pub end: Offset,
}

/// The last commit that moved the partition, among those that are still known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastCommitReport {
    pub snapshot_id: String,
    pub at: Millis,
    pub start: Offset,
    pub end: Offset,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommitReport {
    pub table: String,
    pub snapshot_id: String,
    pub at: Millis,
    /// As in the ledger: `append`, `anchor`, `rewind` and so on.
    pub kind: &'static str,
    pub actor: String,
    pub reason: String,
    pub rows: u64,
    pub dead_letters: u64,
    pub lost: u64,
    pub files: u64,
    pub bytes: u64,
    pub ranges: Vec<CommitRangeReport>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommitRangeReport {
    pub job: String,
    pub topic: String,
    pub partition: i32,
    pub start: Offset,
    pub end: Offset,
    pub rows: u64,
    pub dead_letters: u64,
}
