//! `shop.returns`: rows that another engine has deleted, by position and by value, and rows that came after that.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use bytes::Bytes;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, MAIN_BRANCH, ManifestFile,
    ManifestListWriter, ManifestWriterBuilder, NestedField, Operation, PrimitiveType, Schema, Snapshot,
    SnapshotReference, SnapshotRetention, Struct, Summary, Type,
};
use iceberg::{TableIdent, TableUpdate};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::file::properties::WriterProperties;
use tabletopic_catalog::{CommitOutcome, LoadedTable, TableChange};
use tabletopic_table::Lake;
use tabletopic_table::follower::create;
use tabletopic_table::snapshot::live;

/// Reserved field ids of position delete files.
const FILE_PATH: i32 = 2_147_483_546;
const POSITION: i32 = 2_147_483_545;

/// Two files of 500 rows, in row groups of 100.
const ROWS: i64 = 500;

pub async fn write(lake: &Lake) {
    let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
    let schema = Schema::builder().with_fields([
        field(1, "id", PrimitiveType::Long),
        field(2, "reason", PrimitiveType::String),
    ]);
    create::table(lake, &table(), schema.build().unwrap(), None)
        .await
        .unwrap();

    let first = data(lake, "first", 0..ROWS).await;
    let second = data(lake, "second", ROWS..2 * ROWS).await;
    add(lake, std::slice::from_ref(&first)).await;
    add(lake, std::slice::from_ref(&second)).await;

    // The first and last rows of files and of row groups, and one in a row group without others.
    let positions = [(&first, vec![0, 99, 100, 250, 499]), (&second, vec![1, 499])];
    let (mut paths, mut rows) = (Vec::new(), Vec::new());
    for (file, deleted) in positions {
        paths.extend(deleted.iter().map(|_| file.file_path()));
        rows.extend(deleted);
    }
    let columns: Vec<(i32, &str, ArrayRef)> = vec![
        (FILE_PATH, "file_path", Arc::new(StringArray::from(paths))),
        (POSITION, "pos", Arc::new(Int64Array::from(rows))),
    ];
    let by_position = file(lake, "by-position", columns).await;
    let by_position = described(by_position, DataContentType::PositionDeletes, None);

    let columns: Vec<(i32, &str, ArrayRef)> = vec![(1, "id", Arc::new(Int64Array::from(vec![7, 300, 801])))];
    let by_id = described(
        file(lake, "by-id", columns).await,
        DataContentType::EqualityDeletes,
        Some(vec![1]),
    );
    // Only where both are equal: the second of them is there with another reason.
    let columns: Vec<(i32, &str, ArrayRef)> = vec![
        (1, "id", Arc::new(Int64Array::from(vec![13, 14]))),
        (
            2,
            "reason",
            Arc::new(StringArray::from(vec!["too big", "too big"])),
        ),
    ];
    let by_both = described(
        file(lake, "by-both", columns).await,
        DataContentType::EqualityDeletes,
        Some(vec![1, 2]),
    );
    add(lake, &[by_position, by_id, by_both]).await;

    // A value that was deleted before comes again, and stays.
    let third = data(lake, "third", 7..8).await;
    add(lake, &[third]).await;
}

/// Deletes an id in one partition of the table's newest spec.
pub async fn delete_in(lake: &Lake, id: i64, spec_id: i32, partition: Struct) {
    let columns: Vec<(i32, &str, ArrayRef)> = vec![(1, "id", Arc::new(Int64Array::from(vec![id])))];
    let (path, rows, size) = file(lake, "by-id-in-a-partition", columns).await;
    let delete = DataFileBuilder::default()
        .content(DataContentType::EqualityDeletes)
        .file_path(path)
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .partition_spec_id(spec_id)
        .record_count(rows)
        .file_size_in_bytes(size)
        .equality_ids(Some(vec![1]))
        .build()
        .unwrap();
    add(lake, &[delete]).await;
}

pub fn table() -> TableIdent {
    TableIdent::from_strs(["shop", "returns"]).unwrap()
}

async fn data(lake: &Lake, name: &str, ids: std::ops::Range<i64>) -> DataFile {
    let reasons = ids
        .clone()
        .map(|id| (id % 5 != 0).then_some(["broken", "too big", "late"][id as usize % 3]));
    let columns: Vec<(i32, &str, ArrayRef)> = vec![
        (1, "id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        (2, "reason", Arc::new(StringArray::from_iter(reasons))),
    ];
    described(file(lake, name, columns).await, DataContentType::Data, None)
}

/// What was written: path, rows and bytes.
type Written = (String, u64, u64);

async fn file(lake: &Lake, name: &str, columns: Vec<(i32, &str, ArrayRef)>) -> Written {
    let fields = columns.iter().map(|(id, name, values)| {
        let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
        let required =
            matches!(values.data_type(), DataType::Utf8 | DataType::Int64) && values.null_count() == 0;
        Field::new(*name, values.data_type().clone(), !required).with_metadata(id)
    });
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let values = columns.iter().map(|(_, _, values)| values.clone()).collect();
    let batch = RecordBatch::try_new(schema.clone(), values).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(100))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let location = lake
        .catalog
        .load(&table())
        .await
        .unwrap()
        .metadata
        .location()
        .to_owned();
    let path = format!("{location}/data/{name}.parquet");
    let size = bytes.len() as u64;
    lake.file_io
        .new_output(&path)
        .unwrap()
        .write(Bytes::from(bytes))
        .await
        .unwrap();
    (path, batch.num_rows() as u64, size)
}

fn described(
    (path, rows, size): Written,
    content: DataContentType,
    equality_ids: Option<Vec<i32>>,
) -> DataFile {
    DataFileBuilder::default()
        .content(content)
        .file_path(path)
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(0)
        .record_count(rows)
        .file_size_in_bytes(size)
        .equality_ids(equality_ids)
        .build()
        .unwrap()
}

/// Commits files, of data or of deletes, as another engine would.
async fn add(lake: &Lake, files: &[DataFile]) {
    let base = lake.catalog.load(&table()).await.unwrap();
    let metadata = &base.metadata;
    let parent = metadata.current_snapshot();
    let snapshot_id = lake.entropy.snapshot_id();
    let sequence_number = metadata.next_sequence_number();
    let mut manifests = match parent {
        Some(parent) => live::manifests(lake, metadata, parent).await.unwrap(),
        None => Vec::new(),
    };
    manifests.push(manifest(lake, &base, snapshot_id, files).await);
    let list = format!("{}/metadata/snap-{snapshot_id}.avro", metadata.location());
    let output = lake.file_io.new_output(&list).unwrap().writer().await.unwrap();
    let parent_id = parent.map(|parent| parent.snapshot_id());
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
            operation: Operation::Append,
            additional_properties: HashMap::new(),
        })
        .with_schema_id(metadata.current_schema_id())
        .build();
    let retention = SnapshotRetention::branch(None, None, None);
    let change = TableChange {
        requirements: Vec::new(),
        updates: vec![
            TableUpdate::AddSnapshot { snapshot },
            TableUpdate::SetSnapshotRef {
                ref_name: MAIN_BRANCH.to_owned(),
                reference: SnapshotReference::new(snapshot_id, retention),
            },
        ],
    };
    let outcome = lake.catalog.commit(&base, change).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

async fn manifest(lake: &Lake, base: &LoadedTable, snapshot_id: i64, files: &[DataFile]) -> ManifestFile {
    let metadata = &base.metadata;
    let path = format!("{}/metadata/{snapshot_id}-m0.avro", metadata.location());
    let builder = ManifestWriterBuilder::new(
        lake.file_io.new_output(path).unwrap(),
        Some(snapshot_id),
        metadata.current_schema().clone(),
        metadata.default_partition_spec().as_ref().clone(),
    );
    let mut writer = match files[0].content_type() {
        DataContentType::Data => builder.build_v2_data(),
        _ => builder.build_v2_deletes(),
    };
    for file in files {
        writer.add_file(file.clone(), -1).unwrap();
    }
    writer.write_manifest_file().await.unwrap()
}
