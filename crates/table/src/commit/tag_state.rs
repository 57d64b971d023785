//! What a tag carries: the main table's [`TableState`], or a follower's position.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use tabletopic_offsets::{SnapshotRef, Stamp, StateError, TableState};

/// A state that lives in the summaries of our snapshots, and is read back through the tag.
pub trait TagState: Debug + Clone + Send + Sync + Sized {
    /// Summary properties, for the snapshot `at` which they will be part of.
    fn encode(&self, at: SnapshotAt, note: &Note) -> BTreeMap<String, String>;

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
        SnapshotRef { sequence_number: self.sequence_number, snapshot_id: self.snapshot_id }
    }
}

impl TagState for TableState {
    fn encode(&self, at: SnapshotAt, note: &Note) -> BTreeMap<String, String> {
        let mut state = self.clone();
        state.record(Stamp {
            snapshot: at.snapshot_ref(),
            schema_id: at.schema_id,
            actor: note.actor.clone(),
            reason: note.reason.clone(),
            time_ms: at.timestamp_ms,
            abandons_since: note.abandons_since,
        });
        TableState::encode(&state)
    }

    fn decode(summary: &HashMap<String, String>) -> Result<Self, String> {
        match TableState::decode(summary) {
            Ok(Some(state)) => Ok(state),
            Ok(None) => Err("it carries no `tabletopic.*` properties".to_owned()),
            Err(error) => Err(StateError::to_string(&error)),
        }
    }
}
