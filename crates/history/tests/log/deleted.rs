//! Rows that somebody else has deleted are not in the log.

use std::collections::HashMap;

use iceberg::TableUpdate;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, MAIN_BRANCH, ManifestListWriter,
    ManifestWriterBuilder, Operation, Snapshot, SnapshotReference, SnapshotRetention, Struct, Summary,
};
use tabletopic_catalog::{CommitOutcome, TableChange};
use tabletopic_history::History;
use tabletopic_table::Lake;
use tabletopic_table::snapshot::live;

use crate::arranged::{Row, arrange, file_of, read, rows, topic};
use crate::feed::{lake, table};

/// Commits a file that deletes rows by their partition and offset, as another engine would.
async fn delete(lake: &Lake, gone: &[Row]) {
    let base = lake.catalog.load(&table("raw")).await.unwrap();
    let metadata = &base.metadata;
    let schema = metadata.current_schema();
    let written = file_of(lake, &base, gone).await;
    // It may have more columns than those that are compared.
    let id = |name| schema.field_id_by_name(name).unwrap();
    let deletes = DataFileBuilder::default()
        .content(DataContentType::EqualityDeletes)
        .file_path(written.file_path().to_owned())
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(0)
        .record_count(written.record_count())
        .file_size_in_bytes(written.file_size_in_bytes())
        .equality_ids(Some(vec![id("_kafka_partition"), id("_kafka_offset")]))
        .build()
        .unwrap();
    let parent = metadata.current_snapshot().unwrap();
    let (snapshot_id, parent_id) = (lake.entropy.snapshot_id(), Some(parent.snapshot_id()));
    let mut manifests = live::manifests(lake, metadata, parent).await.unwrap();
    manifests.push(manifest(lake, &base, snapshot_id, deletes).await);
    let list = format!("{}/metadata/snap-{snapshot_id}.avro", metadata.location());
    let output = lake.file_io.new_output(&list).unwrap().writer().await.unwrap();
    let sequence_number = metadata.next_sequence_number();
    let mut writer = ManifestListWriter::v2(output, snapshot_id, parent_id, sequence_number);
    writer.add_manifests(manifests.into_iter()).unwrap();
    writer.close().await.unwrap();
    let snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(parent_id)
        .with_sequence_number(sequence_number)
        .with_timestamp_ms(lake.clock.now().max(metadata.last_updated_ms() + 1))
        .with_manifest_list(list)
        .with_summary(Summary {
            operation: Operation::Delete,
            additional_properties: HashMap::new(),
        })
        .with_schema_id(metadata.current_schema_id())
        .build();
    let reference = SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None));
    let change = TableChange {
        requirements: Vec::new(),
        updates: vec![
            TableUpdate::AddSnapshot { snapshot },
            TableUpdate::SetSnapshotRef {
                ref_name: MAIN_BRANCH.to_owned(),
                reference,
            },
        ],
    };
    let outcome = lake.catalog.commit(&base, change).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

async fn manifest(
    lake: &Lake,
    base: &tabletopic_catalog::LoadedTable,
    snapshot_id: i64,
    file: DataFile,
) -> iceberg::spec::ManifestFile {
    let path = format!("{}/metadata/{snapshot_id}-m0.avro", base.metadata.location());
    let mut writer = ManifestWriterBuilder::new(
        lake.file_io.new_output(path).unwrap(),
        Some(snapshot_id),
        base.metadata.current_schema().clone(),
        base.metadata.default_partition_spec().as_ref().clone(),
    )
    .build_v2_deletes();
    writer.add_file(file, -1).unwrap();
    writer.write_manifest_file().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_deleted_stay_away() {
    let expected = topic();
    let all = rows(&expected.log);
    // The first, the last, and some between.
    let is_gone = |number: usize| number % 7 == 0 || number + 1 == all.len();
    let gone: Vec<Row> = (0..all.len())
        .filter(|number| is_gone(*number))
        .map(|number| all[number].clone())
        .collect();
    let mut shuffled = all.clone();
    fastrand::Rng::with_seed(9).shuffle(&mut shuffled);
    for files in [
        vec![all.clone()],
        shuffled.chunks(150).map(<[_]>::to_vec).collect(),
    ] {
        let lake = lake();
        arrange(&lake, &expected.positions, files).await;
        delete(&lake, &gone).await;
        let history = History::open(&lake, &table("raw"), None).await.unwrap();
        let read = read(&history, 64 << 20).await;
        let mut left = expected.log.clone();
        for (partition, row) in &gone {
            left.get_mut(partition)
                .unwrap()
                .retain(|other| other.offset != row.offset);
        }
        assert_eq!(read.log, left);
        assert_eq!(read.positions, expected.positions, "they pass over what is gone");
    }
}
