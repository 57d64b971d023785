//! The outbox: what the main table has decided and its follower tables (dead letters, ledger) do not
//! hold yet. Commit protocol, section 6.

use std::collections::BTreeMap;
use std::fmt;

use crate::{JobId, LedgerEntry, OffsetRange, RangeSet};

/// A snapshot of ours in the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotRef {
    pub sequence_number: i64,
    pub snapshot_id: i64,
}

impl fmt::Display for SnapshotRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (sequence number {})",
            self.snapshot_id, self.sequence_number
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Follower {
    DeadLetters,
    Ledger,
}

impl fmt::Display for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadLetters => "dead-letter table",
            Self::Ledger => "ledger",
        })
    }
}

/// The state of the main table that a follower has drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowerPosition {
    /// Of the main table.
    pub table_uuid: String,
    pub snapshot: SnapshotRef,
}

/// Offsets that a dead-letter file holds letters of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRange {
    pub job: JobId,
    pub partition: i32,
    pub range: OffsetRange,
}

/// A dead-letter file that waits to be added to the dead-letter table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFile {
    /// The snapshot of the main table that decided on it.
    pub snapshot: SnapshotRef,
    /// All that a manifest entry needs, as the writer of manifests put it; opaque here.
    pub entry: String,
    pub ranges: Vec<PendingRange>,
    /// When it was put here, milliseconds since the Unix epoch.
    pub time_ms: i64,
}

/// Dead letters that must leave the dead-letter table, because the offsets will be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRemoval {
    pub snapshot: SnapshotRef,
    pub job: JobId,
    pub topic_id: Option<String>,
    pub partition: i32,
    pub offsets: RangeSet,
    pub time_ms: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbox {
    pub dead_letters: Vec<PendingFile>,
    pub removals: Vec<PendingRemoval>,
    pub ledger: Vec<LedgerEntry>,
    /// Our snapshots from the lowest acknowledgement on, that one included, in order of sequence number.
    pub snapshots: Vec<SnapshotRef>,
    pub acknowledged: BTreeMap<Follower, FollowerPosition>,
}

/// What the outbox may hold before cuts stop. Commands are never stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Files, removals and ledger rows together.
    pub entries: usize,
    /// As encoded in the snapshot summary.
    pub bytes: usize,
    /// Of a dead-letter file. Removals and ledger rows are in the state itself, where nobody can take them away: they
    /// may wait for as long as nobody runs.
    pub age_ms: i64,
}

/// Bytes of pending entries from which a drain does not wait any longer.
const HALF_FULL: usize = 32 * 1024;

/// Bytes that pending entries may take of a metadata file: twice as many, since they have grown from nothing.
const REPEATED: usize = 256 * 1024;

impl Default for OutboxLimits {
    /// A day is well below the age at which anybody removes files that no snapshot names.
    fn default() -> Self {
        Self {
            entries: 4096,
            bytes: 64 * 1024,
            age_ms: 24 * 60 * 60 * 1000,
        }
    }
}

/// Which bound stops cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("{entries} entries wait for the dead-letter table and the ledger (at most {limit})")]
    Entries { entries: usize, limit: usize },
    #[error("{bytes} bytes wait for the dead-letter table and the ledger (at most {limit})")]
    Bytes { bytes: usize, limit: usize },
    #[error(
        "a file has waited {} hours for the dead-letter table (at most {})",
        age_ms / 3_600_000,
        limit_ms / 3_600_000
    )]
    Age { age_ms: i64, limit_ms: i64 },
}

/// The follower stands where the main table never was. Nothing was changed; the follower halts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgeError {
    #[error("the {follower} stands at snapshot {at}, which the main table does not list as its own")]
    UnknownSnapshot { follower: Follower, at: SnapshotRef },
    #[error("the {follower} was filled from table {found}, but this one is {expected}")]
    OtherTable {
        follower: Follower,
        expected: String,
        found: String,
    },
}

impl Outbox {
    /// Whether a follower that stands at `snapshot` can go on from here.
    pub fn lists(&self, snapshot: SnapshotRef) -> bool {
        self.snapshots.contains(&snapshot)
    }

    /// A follower has drained up to `position`: drops what is no longer needed. One that lags behind
    /// an acknowledgement that is here already changes nothing.
    pub fn acknowledge(
        &mut self,
        follower: Follower,
        position: FollowerPosition,
    ) -> Result<(), AcknowledgeError> {
        if let Some(known) = self
            .acknowledged
            .values()
            .find(|known| known.table_uuid != position.table_uuid)
        {
            let (expected, found) = (known.table_uuid.clone(), position.table_uuid);
            return Err(AcknowledgeError::OtherTable {
                follower,
                expected,
                found,
            });
        }
        let at = position.snapshot;
        if !self.lists(at) {
            return Err(AcknowledgeError::UnknownSnapshot { follower, at });
        }
        if self
            .acknowledged
            .get(&follower)
            .is_some_and(|known| known.snapshot >= at)
        {
            return Ok(());
        }
        self.acknowledged.insert(follower, position);
        let waits = |snapshot: SnapshotRef| snapshot.sequence_number > at.sequence_number;
        match follower {
            Follower::DeadLetters => {
                self.dead_letters.retain(|file| waits(file.snapshot));
                self.removals.retain(|removal| waits(removal.snapshot));
            }
            Follower::Ledger => self.ledger.retain(|entry| waits(entry.stamp.snapshot)),
        }
        self.forget_snapshots_below_all_followers();
        Ok(())
    }

    /// [`acknowledge`](Self::acknowledge) for all followers. One that stands where the main table never was is left
    /// out: its own drain says so.
    pub fn acknowledge_known(&mut self, followers: &[(Follower, FollowerPosition)]) {
        for (follower, position) in followers {
            let _ = self.acknowledge(*follower, position.clone());
        }
    }

    fn forget_snapshots_below_all_followers(&mut self) {
        let position = |follower| self.acknowledged.get(&follower).map(|known| known.snapshot);
        if let (Some(letters), Some(ledger)) = (position(Follower::DeadLetters), position(Follower::Ledger)) {
            let lowest = letters.min(ledger);
            self.snapshots.retain(|snapshot| *snapshot >= lowest);
        }
    }

    /// Files, removals and ledger rows.
    pub fn entries(&self) -> usize {
        let rows: usize = self.ledger.iter().map(|entry| entry.rows().count()).sum();
        self.dead_letters.len() + self.removals.len() + rows
    }

    /// Since when the oldest dead-letter file waits, if one does.
    pub fn oldest_file_ms(&self) -> Option<i64> {
        self.dead_letters.iter().map(|file| file.time_ms).min()
    }

    /// Whether the followers are to be brought up to date at once, and not only now and then.
    ///
    /// Half of what may wait is one reason. The other: each snapshot repeats all that waits, so that the metadata file
    /// grows by bytes times snapshots.
    pub fn is_drain_due(&self) -> bool {
        let bytes = self.encoded_bytes();
        bytes >= HALF_FULL || bytes * self.ledger.len() >= REPEATED
    }

    /// Whether cuts must wait, and for which bound. Acknowledge first, then ask.
    pub fn is_full(&self, now_ms: i64, limits: &OutboxLimits) -> Option<Full> {
        let entries = self.entries();
        if entries > limits.entries {
            return Some(Full::Entries {
                entries,
                limit: limits.entries,
            });
        }
        let bytes = self.encoded_bytes();
        if bytes > limits.bytes {
            return Some(Full::Bytes {
                bytes,
                limit: limits.bytes,
            });
        }
        let age_ms = self
            .oldest_file_ms()
            .map_or(0, |oldest| now_ms.saturating_sub(oldest));
        (age_ms > limits.age_ms).then_some(Full::Age {
            age_ms,
            limit_ms: limits.age_ms,
        })
    }
}
