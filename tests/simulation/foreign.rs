//! Somebody else's hands on the table.

use std::collections::{BTreeMap, HashMap};

use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, Operation, SnapshotReference, SnapshotRetention, TableMetadata,
    TableMetadataBuilder, deserialize_data_file_from_json, serialize_data_file_to_json,
};
use iceberg::{TableIdent, TableUpdate};
use tabletopic_catalog::{CommitOutcome, LoadedTable, TableChange};
use tabletopic_offsets::Follower;
use tabletopic_table::Lake;
use tabletopic_table::commit::{SnapshotAt, TAG};
use tabletopic_table::follower::ident;
use tabletopic_table::snapshot::build::{self, FileChange};
use tabletopic_table::snapshot::live::{self, FileId};

/// A snapshot without rows of ours.
pub async fn append(lake: &Lake, table: &TableIdent) {
    repeatedly(lake, table, async |table| {
        add(lake, table, Operation::Append, FileChange::default()).await
    })
    .await;
}

/// Every data file is replaced by one with the same rows.
pub async fn compact(lake: &Lake, table: &TableIdent) {
    repeatedly(lake, table, async |table| {
        let metadata = &table.metadata;
        let head = metadata.current_snapshot()?;
        let mut change = FileChange::default();
        for manifest in live::manifests(lake, metadata, head)
            .await
            .expect("a manifest list")
        {
            for live in live::files(lake, &manifest).await.expect("a manifest") {
                let path = live.file.file_path().to_owned();
                let copy = format!("{path}-{}.parquet", lake.entropy.uuid());
                let bytes = lake
                    .file_io
                    .new_input(&path)
                    .expect("a path")
                    .read()
                    .await
                    .expect("a live file is there");
                lake.file_io
                    .new_output(&copy)
                    .expect("a path")
                    .write(bytes)
                    .await
                    .expect("memory takes all");
                let spec = metadata
                    .partition_spec_by_id(live.spec_id)
                    .expect("the spec of a live file");
                let partition = spec
                    .partition_type(metadata.current_schema())
                    .expect("a partition type");
                let text = serialize_data_file_to_json(live.file.clone(), &partition, FormatVersion::V2);
                let text = text.expect("a data file as text").replace(&path, &copy);
                let file = deserialize_data_file_from_json(
                    &text,
                    live.spec_id,
                    &partition,
                    metadata.current_schema(),
                );
                change
                    .add
                    .push((live.spec_id, file.expect("a data file from text")));
                change.remove.insert(FileId::of_data(path));
            }
        }
        add(lake, table, Operation::Replace, change).await
    })
    .await;
}

/// Every snapshot that no reference needs goes.
pub async fn expire(lake: &Lake, table: &TableIdent) {
    repeatedly(lake, table, async |table| {
        let metadata = &table.metadata;
        let needed = |id: i64| {
            let refs = [MAIN_BRANCH, TAG];
            refs.iter().any(|name| {
                metadata
                    .snapshot_for_ref(name)
                    .is_some_and(|at| at.snapshot_id() == id)
            })
        };
        let gone: Vec<i64> = metadata
            .snapshots()
            .map(|snapshot| snapshot.snapshot_id())
            .filter(|id| !needed(*id))
            .collect();
        (!gone.is_empty()).then(|| updates(builder(metadata).remove_snapshots(&gone)))
    })
    .await;
}

/// Limits at which the table and its followers expire and merge after few commits.
pub async fn keep_little(lake: &Lake, main: &TableIdent, merged: u32) {
    let properties = HashMap::from(
        [
            ("commit.manifest.min-count-to-merge", merged.to_string()),
            ("tabletopic.expire.max-metadata-bytes", "1".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    let followers = [Follower::DeadLetters, Follower::Ledger].map(|follower| ident(main, follower));
    for table in [main.clone()].into_iter().chain(followers) {
        repeatedly(lake, &table, async |table| {
            let updates = properties.clone();
            let known = table.metadata.properties();
            let is_set = updates.iter().all(|(key, value)| known.get(key) == Some(value));
            let change = TableChange {
                requirements: Vec::new(),
                updates: vec![TableUpdate::SetProperties { updates }],
            };
            (!is_set).then_some(change)
        })
        .await;
    }
}

/// `main` goes back by so many snapshots, or as far as one of ours is still to be seen. Whether it went.
pub async fn roll_back(lake: &Lake, table: &TableIdent, back: usize) -> bool {
    let mut went = false;
    repeatedly(lake, table, async |table| {
        let metadata = &table.metadata;
        let ancestors: Vec<_> = std::iter::successors(metadata.current_snapshot(), |at| {
            at.parent_snapshot_id()
                .and_then(|parent| metadata.snapshot_by_id(parent))
        })
        .collect();
        let ours = |at: &&iceberg::spec::SnapshotRef| {
            at.summary()
                .additional_properties
                .contains_key("tabletopic.version")
        };
        let lowest = ancestors.iter().rposition(ours)?;
        let target = ancestors.get(back.min(lowest)).filter(|_| lowest > 0)?;
        went = true;
        let main = SnapshotReference::new(target.snapshot_id(), SnapshotRetention::branch(None, None, None));
        Some(updates(
            builder(metadata).set_ref(MAIN_BRANCH, main).expect("an ancestor"),
        ))
    })
    .await;
    went
}

/// `main` goes forward again, to our newest snapshot.
pub async fn undo_rollback(lake: &Lake, table: &TableIdent) {
    repeatedly(lake, table, async |table| {
        let metadata = &table.metadata;
        let newest = metadata.snapshot_for_ref(TAG)?.snapshot_id();
        let is_there = metadata.current_snapshot_id() == Some(newest);
        let main = SnapshotReference::new(newest, SnapshotRetention::branch(None, None, None));
        let forward = || {
            builder(metadata)
                .set_ref(MAIN_BRANCH, main)
                .expect("our snapshot")
        };
        (!is_there).then(|| updates(forward()))
    })
    .await;
}

/// Our tag is taken off a follower. Where it was.
pub async fn drop_tag(lake: &Lake, table: &TableIdent) -> Option<i64> {
    let mut was = None;
    repeatedly(lake, table, async |table| {
        was = Some(table.metadata.snapshot_for_ref(TAG)?.snapshot_id());
        Some(updates(builder(&table.metadata).remove_ref(TAG)))
    })
    .await;
    was
}

/// Our tag is put where it was.
pub async fn set_tag(lake: &Lake, table: &TableIdent, snapshot: i64) {
    repeatedly(lake, table, async |table| {
        let metadata = &table.metadata;
        if metadata.snapshot_for_ref(TAG).is_some() {
            return None;
        }
        let retention = SnapshotRetention::Tag {
            max_ref_age_ms: Some(i64::MAX),
        };
        let tag = SnapshotReference::new(snapshot, retention);
        Some(updates(
            builder(metadata).set_ref(TAG, tag).expect("a snapshot of it"),
        ))
    })
    .await;
}

/// Commits what is decided on the table as it is, again while others are quicker.
async fn repeatedly(
    lake: &Lake,
    table: &TableIdent,
    mut decide: impl AsyncFnMut(&LoadedTable) -> Option<TableChange>,
) {
    // Not created yet.
    let Ok(mut table) = lake.catalog.load(table).await else {
        return;
    };
    while let Some(change) = decide(&table).await {
        match lake.catalog.commit(&table, change).await {
            CommitOutcome::Conflict(_) => {
                table = lake.catalog.load(&table.ident).await.expect("nobody drops it")
            }
            CommitOutcome::Applied(_) => return,
            other => panic!("a foreign commit: {other:?}"),
        }
    }
}

async fn add(
    lake: &Lake,
    table: &LoadedTable,
    operation: Operation,
    change: FileChange,
) -> Option<TableChange> {
    let metadata = &table.metadata;
    let at = SnapshotAt {
        sequence_number: metadata.last_sequence_number() + 1,
        snapshot_id: lake.entropy.snapshot_id(),
        timestamp_ms: lake.clock.now().max(metadata.last_updated_ms() + 1),
        schema_id: metadata.current_schema_id(),
    };
    let parent = metadata.current_snapshot();
    let built = build::build(lake, metadata, parent, at, operation, &change, BTreeMap::new()).await;
    let snapshot = built.expect("a foreign snapshot");
    Some(updates(
        builder(metadata)
            .set_branch_snapshot(snapshot, MAIN_BRANCH)
            .expect("a new snapshot"),
    ))
}

fn builder(metadata: &TableMetadata) -> TableMetadataBuilder {
    metadata.clone().into_builder(None)
}

fn updates(builder: TableMetadataBuilder) -> TableChange {
    TableChange {
        requirements: Vec::new(),
        updates: builder.build().expect("sound metadata").changes,
    }
}
