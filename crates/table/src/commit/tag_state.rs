//! What a tag carries: the main table's [`TableState`], or a follower's position.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use iceberg::TableIdent;
use tabletopic_offsets::{Follower, SnapshotRef, Stamp, StateError, TableState};

use super::halt::Halt;

/// A state that lives in the summaries of our snapshots, and is read back through the tag.
pub trait TagState: Debug + Clone + Send + Sync + Sized + 'static {
    /// The summary property that every snapshot with such a state has, and no other.
    const MARK: &'static str;

    /// Summary properties, for the snapshot `at` which they will be part of.
    ///
    /// # Errors
    /// What was written could not be read back: committing it would halt the table for good.
    fn encode(&self, at: SnapshotAt, note: &Note) -> Result<BTreeMap<String, String>, String>;

    /// Says that the tag of a table of ours is gone, and what to do.
    fn tag_missing(table: TableIdent) -> Halt;

    /// The sequence number up to which snapshots of ours may be expired: nothing is known by them alone.
    fn settled(&self) -> i64;

    /// # Errors
    /// Says which property is missing or can't be read.
    fn decode(summary: &HashMap<String, String>) -> Result<Self, String>;
}

/// What the ledger will say about a snapshot besides its ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    pub actor: String,
    pub reason: String,
    /// Of a rewind or a declare-lost: the nearest snapshot of ours in the history of `main`.
    pub abandons_since: Option<SnapshotRef>,
}

/// The identity of the snapshot under construction, which its own state records (ledger rows and the list of
/// our snapshots name it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotAt {
    pub sequence_number: i64,
    pub snapshot_id: i64,
    pub timestamp_ms: i64,
    pub schema_id: i32,
}

impl SnapshotAt {
    pub fn snapshot_ref(&self) -> SnapshotRef {
        SnapshotRef {
            sequence_number: self.sequence_number,
            snapshot_id: self.snapshot_id,
        }
    }
}

impl TagState for TableState {
    const MARK: &'static str = "tabletopic.version";

    fn encode(&self, at: SnapshotAt, note: &Note) -> Result<BTreeMap<String, String>, String> {
        let mut state = self.clone();
        state.record(Stamp {
            snapshot: at.snapshot_ref(),
            schema_id: at.schema_id,
            actor: note.actor.clone(),
            reason: note.reason.clone(),
            time_ms: at.timestamp_ms,
            abandons_since: note.abandons_since,
        });
        let written = TableState::encode(&state);
        let read = TableState::decode(&written.clone().into_iter().collect());
        match read {
            Ok(Some(read)) if read == state => Ok(written),
            Ok(_) => Err("the state of the table does not survive being written".to_owned()),
            Err(error) => Err(format!("the state of the table can't be read back: {error}")),
        }
    }

    fn tag_missing(table: TableIdent) -> Halt {
        Halt::TagMissing { table }
    }

    /// What the ledger holds (section 6).
    fn settled(&self) -> i64 {
        let ledger = self.outbox.acknowledged.get(&Follower::Ledger);
        ledger.map_or(0, |position| position.snapshot.sequence_number)
    }

    fn decode(summary: &HashMap<String, String>) -> Result<Self, String> {
        match TableState::decode(summary) {
            Ok(Some(state)) => Ok(state),
            Ok(None) => Err("it carries no `tabletopic.*` properties".to_owned()),
            Err(error) => Err(StateError::to_string(&error)),
        }
    }
}
