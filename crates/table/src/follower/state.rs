//! What a follower's tag carries: the main state that it drained last.

use std::collections::{BTreeMap, HashMap};

use tabletopic_offsets::{FollowerPosition, SnapshotRef};

use crate::commit::{Counted, Note, SnapshotAt, TagState};
use crate::rows::Held;

const FOLLOWS: &str = "tabletopic.follows";

/// Progress of a follower table, written as `<table uuid> <sequence number> <snapshot id>` under
/// `tabletopic.follows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowerState {
    pub drained: FollowerPosition,
}

impl TagState for FollowerState {
    const MARK: &'static str = FOLLOWS;

    fn encode(&self, _at: SnapshotAt, _note: &Note) -> Result<BTreeMap<String, String>, String> {
        let FollowerPosition {
            table_uuid,
            snapshot:
                SnapshotRef {
                    sequence_number,
                    snapshot_id,
                },
        } = &self.drained;
        let text = format!("{table_uuid} {sequence_number} {snapshot_id}");
        Ok(BTreeMap::from([(FOLLOWS.to_owned(), text)]))
    }

    /// The main table's outbox knows where a follower stood.
    fn settled(&self) -> i64 {
        i64::MAX
    }

    fn decode(summary: &HashMap<String, String>) -> Result<Self, String> {
        let text = summary
            .get(FOLLOWS)
            .ok_or_else(|| format!("`{FOLLOWS}` is missing"))?;
        let malformed =
            || format!("`{FOLLOWS}` is `{text}`, not `<table uuid> <sequence number> <snapshot id>`");
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or_else(malformed);
        let table_uuid = next()?.to_owned();
        let sequence_number = next()?.parse().map_err(|_| malformed())?;
        let snapshot_id = next()?.parse().map_err(|_| malformed())?;
        Ok(Self {
            drained: FollowerPosition {
                table_uuid,
                snapshot: SnapshotRef {
                    sequence_number,
                    snapshot_id,
                },
            },
        })
    }
}

impl Counted for FollowerState {
    fn held(&self) -> Option<BTreeMap<i32, Held>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: SnapshotAt = SnapshotAt {
        sequence_number: 9,
        snapshot_id: 9,
        timestamp_ms: 9,
        schema_id: 0,
    };

    #[test]
    fn reads_what_it_writes() {
        let snapshot = SnapshotRef {
            sequence_number: 4,
            snapshot_id: 77,
        };
        let drained = FollowerPosition {
            table_uuid: "u".to_owned(),
            snapshot,
        };
        let state = FollowerState { drained };
        let summary = state
            .encode(AT, &Note::default())
            .expect("it is plain text")
            .into_iter()
            .collect();
        assert_eq!(FollowerState::decode(&summary), Ok(state));
    }

    #[test]
    fn says_what_it_cannot_read() {
        let summary = HashMap::from([(FOLLOWS.to_owned(), "u four 77".to_owned())]);
        assert_eq!(
            FollowerState::decode(&summary),
            Err(
                "`tabletopic.follows` is `u four 77`, not `<table uuid> <sequence number> <snapshot id>`"
                    .to_owned()
            )
        );
    }
}
