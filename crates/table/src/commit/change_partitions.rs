//! Gives a table the partition spec that the configuration asks for, in a commit of its own (section 8). Files that are
//! there stay as they are, and units that were cut under an older spec are committed under that.

use async_trait::async_trait;
use tabletopic_offsets::{Evolved, Kind, TableState};

use super::append::never_anchored;
use super::base::Base;
use super::change::Change;
use super::engine::Plan;
use super::error::CommitError;
use super::halt::Halt;
use super::tag_state::{Note, SnapshotAt};
use crate::lake::Lake;
use crate::partition::{changed_spec, describe_partition_by};

/// Nothing is committed where the table is partitioned so already.
#[derive(Debug)]
pub struct ChangePartitions<'a> {
    pub lake: &'a Lake,
    /// Such as `day(created_at)`; empty for a table without partitions.
    pub partition_by: &'a [String],
}

#[async_trait]
impl Plan<TableState> for ChangePartitions<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(state) = base.state() else {
            return Err(never_anchored(base));
        };
        let metadata = base.metadata();
        let spec = changed_spec(self.partition_by, metadata).map_err(|error| Halt::Schema {
            table: base.table.ident.clone(),
            detail: format!("`partition_by`: {error}"),
        })?;
        let Some(spec) = spec else {
            return Ok(None);
        };
        let fields = spec
            .fields()
            .iter()
            .map(|field| (field.transform, field.source_id));
        let fields = describe_partition_by(fields, metadata.current_schema());
        let change = match fields.is_empty() {
            true => "partition by nothing".to_owned(),
            false => format!("partition by {}", fields.join(", ")),
        };
        let note = Note {
            actor: self.lake.actor.to_string(),
            reason: "`partition_by` of the configuration".to_owned(),
            ..Note::default()
        };
        let mut next = state.next(Kind::Schema);
        next.evolved = Some(Evolved {
            changes: vec![change],
            cause: None,
        });
        Ok(Some(Change {
            spec: Some(spec),
            ..Change::empty(next, note)
        }))
    }
}
