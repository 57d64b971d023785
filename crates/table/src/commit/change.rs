//! What one commit is to do, decided on a base; and the body that asks the catalog for it.

use std::collections::{BTreeMap, HashMap};

use iceberg::TableRequirement;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, Operation, Schema, SnapshotRef, SnapshotReference, SnapshotRetention,
    TableMetadata, TableMetadataBuilder, UnboundPartitionSpec,
};
use tabletopic_catalog::TableChange;

use super::base::{Base, TAG, WITNESS, other_version};
use super::error::CommitError;
use super::expire;
use super::tag_state::{Note, SnapshotAt, TagState};
use crate::lake::Lake;
use crate::snapshot::build::{self, FileChange};
use crate::without::{self, Rewrite};

/// A decided change: one snapshot, and what else goes into the same commit.
#[derive(Debug, Clone)]
pub struct Change<S> {
    pub operation: Operation,
    /// What our tag is to carry. `None` for a table that is not fed from here: it gets no tag.
    pub state: Option<S>,
    pub note: Note,
    pub files: FileChange,
    /// Removed files whose other rows are to be written again: when the commit is made, not when it is planned.
    pub rewrites: Vec<Rewrite>,
    /// Becomes the current schema, before the snapshot.
    pub schema: Option<Schema>,
    /// Becomes the default partition spec.
    pub spec: Option<UnboundPartitionSpec>,
    pub leaving: Leaving,
}

/// Which snapshots leave the table in the same commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaving {
    /// Old ones, if the table's limits are passed.
    Expired,
    /// Those that the answer to a rollback abandons (section 7). Their files stay.
    Abandoned(Vec<i64>),
}

impl<S> Change<S> {
    /// A snapshot without files: anchors, renewals, schema changes.
    pub fn empty(state: S, note: Note) -> Self {
        Self {
            operation: Operation::Append,
            state: Some(state),
            note,
            files: FileChange::default(),
            rewrites: Vec::new(),
            schema: None,
            spec: None,
            leaving: Leaving::Expired,
        }
    }
}

/// What is sent to the catalog, and what may be deleted once it is applied.
#[derive(Debug)]
pub(super) struct Body {
    pub change: TableChange,
    pub expired: Vec<SnapshotRef>,
}

/// Writes the snapshot's files and makes the body: requirements table uuid, `main` and tag at the base, schema
/// and spec; updates that add the snapshot and move `main` and tag (section 3.4). `base` is the table as the change was
/// planned on it, `now` as it is.
pub(super) async fn body<S: TagState>(
    lake: &Lake,
    now: &Base<S>,
    base: &Base<S>,
    change: &Change<S>,
    at: SnapshotAt,
) -> Result<Body, CommitError> {
    let metadata = base.metadata();
    // It would become a table of ours.
    if change.state.is_some() && metadata.format_version() != FormatVersion::V2 {
        return Err(other_version(&base.table).into());
    }
    // What the new snapshot is written under: the metadata with the new schema and spec already in it.
    let under = match (&change.schema, &change.spec) {
        (None, None) => metadata.clone(),
        _ => with_schema_and_spec(metadata, change)?.build()?.metadata,
    };

    let at = SnapshotAt {
        schema_id: under.current_schema_id(),
        ..at
    };
    let state = match &change.state {
        Some(state) => state.encode(at, &change.note).map_err(CommitError::Encode)?,
        None => BTreeMap::new(),
    };
    let mut files = change.files.clone();
    files
        .add
        .extend(without::write(lake, &under, &change.rewrites).await?);
    let expired = match (&change.leaving, &change.state) {
        (Leaving::Expired, Some(carried)) => expire::expired(base, carried, &state, at)?,
        (Leaving::Expired, None) | (Leaving::Abandoned(_), _) => Vec::new(),
    };
    let leaving = match &change.leaving {
        Leaving::Expired => expired.iter().map(|snapshot| snapshot.snapshot_id()).collect(),
        Leaving::Abandoned(abandoned) => abandoned.clone(),
    };
    let snapshot = build::build(
        lake,
        &under,
        base.head(),
        at,
        change.operation.clone(),
        &files,
        state,
    )
    .await?;

    let builder = with_schema_and_spec(metadata, change)?.set_branch_snapshot(snapshot, MAIN_BRANCH)?;
    let mut builder = without(builder, metadata, &leaving);
    if change.state.is_some() {
        let tag = SnapshotReference::new(
            at.snapshot_id,
            SnapshotRetention::Tag {
                max_ref_age_ms: Some(i64::MAX),
            },
        );
        builder = builder.set_ref(TAG, tag)?;
    }
    if base.tagged.is_none() && change.state.is_some() {
        builder = builder.set_properties(HashMap::from([(WITNESS.to_owned(), "1".to_owned())]))?;
    }
    let change = TableChange {
        requirements: requirements(now, now.metadata()),
        updates: builder.build()?.changes,
    };
    Ok(Body { change, expired })
}

/// Removes snapshots, with the statistics that were made of them.
pub(super) fn without(
    builder: TableMetadataBuilder,
    metadata: &TableMetadata,
    leaving: &[i64],
) -> TableMetadataBuilder {
    let mut builder = builder.remove_snapshots(leaving);
    for snapshot_id in leaving {
        if metadata.statistics_for_snapshot(*snapshot_id).is_some() {
            builder = builder.remove_statistics(*snapshot_id);
        }
        if metadata.partition_statistics_for_snapshot(*snapshot_id).is_some() {
            builder = builder.remove_partition_statistics(*snapshot_id);
        }
    }
    builder
}

fn with_schema_and_spec<S>(
    metadata: &TableMetadata,
    change: &Change<S>,
) -> Result<TableMetadataBuilder, CommitError> {
    let mut builder = metadata.clone().into_builder(None);
    if let Some(schema) = &change.schema {
        builder = builder.add_current_schema(schema.clone())?;
    }
    if let Some(spec) = &change.spec {
        builder = builder.add_default_partition_spec(spec.clone())?;
    }
    Ok(builder)
}

pub(super) fn requirements<S: TagState>(base: &Base<S>, metadata: &TableMetadata) -> Vec<TableRequirement> {
    vec![
        TableRequirement::UuidMatch {
            uuid: metadata.uuid(),
        },
        TableRequirement::RefSnapshotIdMatch {
            r#ref: MAIN_BRANCH.to_owned(),
            snapshot_id: base.head().map(|head| head.snapshot_id()),
        },
        TableRequirement::RefSnapshotIdMatch {
            r#ref: TAG.to_owned(),
            snapshot_id: base.tagged.as_ref().map(|tagged| tagged.snapshot.snapshot_id()),
        },
        TableRequirement::CurrentSchemaIdMatch {
            current_schema_id: metadata.current_schema_id(),
        },
        TableRequirement::LastAssignedFieldIdMatch {
            last_assigned_field_id: metadata.last_column_id(),
        },
        TableRequirement::DefaultSpecIdMatch {
            default_spec_id: metadata.default_partition_spec_id(),
        },
    ]
}
