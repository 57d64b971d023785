//! The algebra of the commit protocol: which offsets a table holds, which unit may be added to it,
//! and how that knowledge is written into a snapshot. Pure: no I/O, no Kafka, no Iceberg types.
//!
//! `range`, `ranges` and `progress` are the sets of offsets; `state` is what every snapshot of ours
//! carries, `anchor` where it begins, `claims` which rows it accounts for, `answers` which ranges of the ledger still count; `guard`
//! decides on units; `command` holds the operator's answers to a halt; `outbox` and `ledger` hold what has yet to reach the
//! follower tables; `encoding` is the text in the summary.

mod anchor;
mod answers;
mod claims;
mod command;
mod counts;
mod encoding;
mod evolved;
mod guard;
mod identity;
mod ledger;
mod outbox;
mod progress;
mod range;
mod ranges;
mod state;

pub use anchor::{AnchorError, History};
pub use answers::Answers;
pub use claims::Claims;
pub use command::{
    Abandoned, CommandError, Cut, Gap, Held, Lack, LedgerPrefix, LostInHistory, Piece, PrefixError, Recorded,
    Repaired, Retired, There, Weighed, refuse_cut, replayed,
};
pub use counts::Counts;
pub use encoding::{PREFIX, StateError};
pub use evolved::{Evolved, RecordAt};
pub use guard::{FenceReason, Fenced, UnitRange};
pub use identity::{Generation, JobId, TopicIdentity, TopicPartition};
pub use ledger::{LedgerEntry, LedgerRange, LedgerRow, Stamp};
pub use outbox::{
    AcknowledgeError, Follower, FollowerPosition, Full, Outbox, OutboxLimits, PendingFile, PendingRange,
    PendingRemoval, SnapshotRef,
};
pub use progress::{Progress, ReadLimit, Refusal};
pub use range::{Offset, OffsetRange};
pub use ranges::RangeSet;
pub use state::{AddedRange, JobState, Kind, PartitionState, PastTopic, TableState};
