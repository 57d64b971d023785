//! What a follower's tag carries: the main state that it drained last.

use std::collections::{BTreeMap, HashMap};

use iceberg::TableIdent;
use tabletopic_offsets::{Follower, FollowerPosition, SnapshotRef, TableState};

use crate::commit::{Base, Counted, Halt, Note, SnapshotAt, TagState, Tagged};
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

    fn tag_missing(table: TableIdent) -> Halt {
        Halt::FollowerTagMissing { table }
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

impl FollowerState {
    /// Up to which sequence number of `main` the follower `table` holds everything.
    ///
    /// # Errors
    /// Halts where it stands where `main` never was, or was filled from another table.
    pub(crate) fn stands(
        &self,
        table: &TableIdent,
        main: &Base<TableState>,
        tagged: &Tagged<TableState>,
        follower: Follower,
    ) -> Result<i64, Halt> {
        let FollowerPosition { table_uuid, snapshot } = &self.drained;
        let expected = main.metadata().uuid().to_string();
        if *table_uuid != expected {
            return Err(Halt::FollowerOfAnother {
                table: table.clone(),
                main: main.table.ident.clone(),
                expected,
                found: table_uuid.clone(),
            });
        }
        // What it had acknowledged is no longer in the outbox: one that is below that was rolled back.
        let outbox = &tagged.state.outbox;
        let acknowledged = outbox.acknowledged.get(&follower);
        let acknowledged = acknowledged.map_or(0, |position| position.snapshot.sequence_number);
        let listed = outbox.lists(*snapshot) && snapshot.sequence_number >= acknowledged;
        // One that is ahead was drained by somebody who saw a newer state than we did.
        let ahead = snapshot.sequence_number >= tagged.snapshot.sequence_number();
        match listed || ahead {
            true => Ok(snapshot.sequence_number),
            false => Err(astray(table, main, *snapshot)),
        }
    }
}

/// The halt of a follower that stands where `main` never was.
pub(super) fn astray(table: &TableIdent, main: &Base<TableState>, at: SnapshotRef) -> Halt {
    Halt::FollowerAstray {
        table: table.clone(),
        main: main.table.ident.clone(),
        sequence_number: at.sequence_number,
        snapshot_id: at.snapshot_id,
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
