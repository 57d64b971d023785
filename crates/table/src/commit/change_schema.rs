//! Changes the schema in a commit of its own, before the data that needs it (section 8). The commit's state says what
//! was changed, and names the record that caused it.

use async_trait::async_trait;
use tabletopic_offsets::{Evolved, Kind, RecordAt, TableState};

use super::append::never_anchored;
use super::base::Base;
use super::change::Change;
use super::engine::Plan;
use super::error::CommitError;
use super::halt::Halt;
use super::tag_state::{Note, SnapshotAt};
use crate::lake::Lake;
use crate::schema::{SchemaChange, differences, evolve};

/// Changes that a commit tells of one by one. It is said once in the table's state, and in each until the ledger has
/// taken it over.
const MOST_CHANGES: usize = 50;

/// Characters of one of them.
const LONGEST_CHANGE: usize = 200;

/// A proposal only means something for the schema that it was made for. Where the table has another one by now,
/// changed by another worker or process, nothing is committed: the proposer takes the new schema and decodes again,
/// and its records fit, ask for something else, or are bad.
#[derive(Debug)]
pub struct ChangeSchema<'a> {
    pub lake: &'a Lake,
    /// The id of the schema that the changes were derived from.
    pub made_for: i32,
    pub changes: &'a [SchemaChange],
    pub cause: RecordAt,
}

#[async_trait]
impl Plan<TableState> for ChangeSchema<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(state) = base.state() else {
            return Err(never_anchored(base));
        };
        let metadata = base.metadata();
        if metadata.current_schema_id() != self.made_for {
            return Ok(None);
        }
        let refused = |error: crate::schema::SchemaError| Halt::Schema {
            table: base.table.ident.clone(),
            detail: format!("{} asks for a schema change that is refused: {error}", self.cause),
        };
        let current = metadata.current_schema();
        let (schema, last_column_id) =
            evolve(current, metadata.last_column_id(), self.changes).map_err(refused)?;
        if last_column_id == metadata.last_column_id() && schema.as_struct() == current.as_struct() {
            return Ok(None);
        }
        let note = Note {
            actor: self.lake.actor.to_string(),
            reason: self.cause.to_string(),
            ..Note::default()
        };
        let mut next = state.next(Kind::Schema);
        next.evolved = Some(Evolved {
            changes: told(differences(current, &schema)),
            cause: Some(self.cause.clone()),
        });
        Ok(Some(Change {
            schema: Some(schema),
            ..Change::empty(next, note)
        }))
    }
}

/// What fits into the table's state: thousands of columns at once, or names without end, are cut short.
fn told(mut changes: Vec<String>) -> Vec<String> {
    let more = changes.len().saturating_sub(MOST_CHANGES);
    changes.truncate(MOST_CHANGES);
    for change in &mut changes {
        if let Some((end, _)) = change.char_indices().nth(LONGEST_CHANGE) {
            change.truncate(end);
            change.push('…');
        }
    }
    if more > 0 {
        changes.push(format!("{more} more"));
    }
    changes
}
