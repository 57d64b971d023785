//! Tables of format version 3, as other engines write them: deletion vectors that share a Puffin file, and rows that keep
//! their ids.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Int64Type, Schema as ArrowSchema};
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, FormatVersion, MAIN_BRANCH, ManifestContentType,
    ManifestFile, ManifestListWriter, ManifestWriterBuilder, NestedField, Operation, PrimitiveType, Schema,
    Snapshot, Struct, Summary, TableMetadata, Type,
};
use iceberg::{TableCreation, TableIdent};
use object_store::memory::InMemory;
use roaring::RoaringTreemap;
use tabletopic_catalog::{CommitOutcome, LoadedTable, MemoryCatalog, TableChange};
use tabletopic_clock::{Clock, Entropy, SeededEntropy, SystemClock};
use tabletopic_maintain::Allowance;
use tabletopic_maintain::compact::{
    Done, Known, Layout, Means, Options, Outcome, Round, SortColumns, carry_out,
};
use tabletopic_maintain::expire::expire;
use tabletopic_maintain::manifests::{Look, Outcome as RewriteOutcome, Policy, rewrite};
use tabletopic_maintain::pace::Unbounded;
use tabletopic_offsets::{JobId, TableState, TopicIdentity};
use tabletopic_table::Lake;
use tabletopic_table::commit::expire::by_hand::Limits;
use tabletopic_table::commit::{Anchor, CommitError, Halt, LogWaiting, SnapshotAt, commit};
use tabletopic_table::file::{Encodings, FileSchema, FileSettings, FileWriter};
use tabletopic_table::read::{Lineage, OpenFile, row_schema, with_lineage};
use tabletopic_table::snapshot::build::{self, FileChange};
use tabletopic_table::snapshot::live::{self, LiveFile};
use tabletopic_table::storage::{RequestCounts, file_io};

/// A table of somebody else's, with one column `id`, in memory.
struct World(Lake);

fn ident() -> TableIdent {
    TableIdent::from_strs(["theirs", "orders"]).unwrap()
}

/// What a row has: its value, its id, and the sequence number of its last change.
type Row = (i64, Option<i64>, Option<i64>);

impl World {
    async fn new(version: FormatVersion) -> Self {
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
            (Arc::new(SystemClock), Arc::new(SeededEntropy::new(7)));
        let catalog = MemoryCatalog::new("memory", "memory:///warehouse", clock.clone(), entropy.clone());
        let lake = Lake {
            catalog: Arc::new(catalog),
            file_io: file_io(
                Arc::new(InMemory::new()),
                "memory:///",
                Arc::new(RequestCounts::default()),
            ),
            clock,
            entropy,
            actor: "operator".into(),
        };
        let column = NestedField::optional(1, "id", Type::Primitive(PrimitiveType::Long));
        let schema = Schema::builder().with_fields([Arc::new(column)]).build().unwrap();
        let creation = TableCreation::builder()
            .name(ident().name)
            .schema(schema)
            .format_version(version)
            .build();
        lake.catalog.create_namespace(&ident().namespace).await.unwrap();
        let table = lake.catalog.create(&ident().namespace, creation).await.unwrap();
        assert_eq!(table.metadata.format_version(), version);
        Self(lake)
    }

    async fn load(&self) -> LoadedTable {
        self.0.catalog.load(&ident()).await.unwrap()
    }

    async fn at(&self) -> (LoadedTable, SnapshotAt) {
        let table = self.load().await;
        let metadata = &table.metadata;
        let at = SnapshotAt {
            sequence_number: metadata.last_sequence_number() + 1,
            snapshot_id: self.0.entropy.snapshot_id(),
            timestamp_ms: self.0.clock.now().max(metadata.last_updated_ms() + 1),
            schema_id: metadata.current_schema_id(),
        };
        (table, at)
    }

    async fn commit(&self, table: &LoadedTable, snapshot: Snapshot) {
        let builder = table.metadata.as_ref().clone().into_builder(None);
        let builder = builder.set_branch_snapshot(snapshot, MAIN_BRANCH).unwrap();
        let change = TableChange {
            requirements: Vec::new(),
            updates: builder.build().unwrap().changes,
        };
        let outcome = self.0.catalog.commit(table, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    }

    /// As any engine may do it: no row has an id before the next commit.
    async fn upgrade(&self) {
        let table = self.load().await;
        let builder = table.metadata.as_ref().clone().into_builder(None);
        let builder = builder.upgrade_format_version(FormatVersion::V3).unwrap();
        let change = TableChange {
            requirements: Vec::new(),
            updates: builder.build().unwrap().changes,
        };
        let outcome = self.0.catalog.commit(&table, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    }

    /// A data file with rows of these values, in its own snapshot.
    async fn append(&self, name: &str, values: std::ops::Range<i64>) {
        let (table, at) = self.at().await;
        let metadata = &table.metadata;
        let spec = metadata.default_partition_spec().clone();
        let schema = FileSchema::new(metadata.current_schema().clone(), spec).unwrap();
        let rows = RecordBatch::try_new(
            schema.arrow().clone(),
            vec![Arc::new(Int64Array::from_iter_values(values)) as ArrayRef],
        )
        .unwrap();
        let encodings = Encodings::choose(&schema, &rows);
        let path = format!("{}/data/{name}.parquet", metadata.location());
        let mut writer = FileWriter::new(
            &FileSettings::default(),
            schema,
            &encodings,
            Struct::empty(),
            path.clone(),
        )
        .unwrap();
        writer.write(&rows).unwrap();
        let encoded = writer.finish().unwrap();
        self.put(&path, bytes::Bytes::from(encoded.payload).to_vec())
            .await;
        let change = FileChange {
            add: vec![(0, encoded.data_file)],
            ..FileChange::default()
        };
        let parent = metadata.current_snapshot();
        let (operation, none) = (Operation::Append, BTreeMap::new());
        let snapshot = build::build(&self.0, metadata, parent, at, operation, &change, none).await;
        self.commit(&table, snapshot.unwrap()).await;
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) {
        let output = self.0.file_io.new_output(path).unwrap();
        output.write(bytes.into()).await.unwrap();
    }

    async fn is_there(&self, name: &str) -> bool {
        let path = format!("{}/data/{name}", self.load().await.metadata.location());
        self.0.file_io.exists(&path).await.unwrap()
    }

    /// Deletes rows by their positions in data files: a deletion vector for each, all in one Puffin file, and each in a
    /// manifest of its own, as those of different partition specs are.
    async fn delete(&self, name: &str, positions: &[(&str, &[u64])]) {
        let (table, at) = self.at().await;
        let metadata = &table.metadata;
        let path = format!("{}/data/{name}.puffin", metadata.location());
        let (mut puffin, mut blobs) = (b"PFA1".to_vec(), Vec::new());
        for (_, positions) in positions {
            let blob = vector(positions);
            blobs.push((puffin.len() as i64, blob.len() as i64));
            puffin.extend(blob);
        }
        let size = puffin.len() as u64;
        self.put(&path, puffin).await;
        let spec = metadata.default_partition_spec().as_ref().clone();
        let mut added = Vec::new();
        for ((data, positions), (offset, length)) in positions.iter().zip(blobs) {
            let manifest = format!("{}/metadata/{}-{data}.avro", metadata.location(), at.snapshot_id);
            let mut writer = ManifestWriterBuilder::new(
                self.0.file_io.new_output(&manifest).unwrap(),
                Some(at.snapshot_id),
                metadata.current_schema().clone(),
                spec.clone(),
            )
            .build_v3_deletes();
            let file = DataFileBuilder::default()
                .content(DataContentType::PositionDeletes)
                .file_path(path.clone())
                .file_format(DataFileFormat::Puffin)
                .partition(Struct::empty())
                .partition_spec_id(0)
                .record_count(positions.len() as u64)
                .file_size_in_bytes(size)
                .referenced_data_file(Some(format!("{}/data/{data}.parquet", metadata.location())))
                .content_offset(Some(offset))
                .content_size_in_bytes(Some(length))
                .build();
            writer.add_file(file.unwrap(), -1).unwrap();
            added.push(writer.write_manifest_file().await.unwrap());
        }
        let snapshot = self.with_manifests(metadata, at, added).await;
        self.commit(&table, snapshot).await;
    }

    /// A snapshot with more manifests.
    async fn with_manifests(
        &self,
        metadata: &TableMetadata,
        at: SnapshotAt,
        added: Vec<ManifestFile>,
    ) -> Snapshot {
        let parent = metadata.current_snapshot().unwrap();
        let manifests = live::manifests(&self.0, metadata, parent).await.unwrap();
        let list = format!("{}/metadata/snap-{}.avro", metadata.location(), at.snapshot_id);
        let output = self.0.file_io.new_output(&list).unwrap().writer().await.unwrap();
        let (id, parent) = (at.snapshot_id, Some(parent.snapshot_id()));
        let next = metadata.next_row_id();
        let mut writer = ManifestListWriter::v3(output, id, parent, at.sequence_number, Some(next));
        writer.add_manifests(manifests.into_iter().chain(added)).unwrap();
        writer.close().await.unwrap();
        Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(at.sequence_number)
            .with_timestamp_ms(at.timestamp_ms)
            .with_manifest_list(list)
            .with_summary(Summary {
                operation: Operation::Delete,
                additional_properties: HashMap::new(),
            })
            .with_schema_id(at.schema_id)
            .with_row_range(next, 0)
            .build()
    }

    async fn live(&self, content: ManifestContentType) -> Vec<LiveFile> {
        let metadata = self.load().await.metadata;
        let manifests = live::manifests(&self.0, &metadata, metadata.current_snapshot().unwrap()).await;
        let mut files = Vec::new();
        for manifest in manifests.unwrap() {
            if manifest.content == content {
                files.extend(live::files(&self.0, &manifest).await.unwrap());
            }
        }
        files.sort_by(|left, right| left.file.file_path().cmp(right.file.file_path()));
        files
    }

    /// The names of the data files whose deletion vectors are live, and where these stand.
    async fn vectors(&self) -> Vec<(String, i64)> {
        let live = self.live(ManifestContentType::Deletes).await.into_iter();
        let vectors = live.map(|live| {
            let data = live.file.referenced_data_file().unwrap();
            (name(&data), live.file.content_offset().unwrap())
        });
        vectors.collect()
    }

    /// The rows of a data file, with what they inherit; deletes are not looked at.
    async fn rows(&self, live: &LiveFile) -> Vec<Row> {
        let metadata = self.load().await.metadata;
        let schema = with_lineage(metadata.current_schema()).unwrap();
        let (path, size) = (live.file.file_path(), live.file.file_size_in_bytes());
        let opened = OpenFile::open(&self.0.file_io, path, size).await.unwrap();
        let opened = opened.inheriting(Lineage {
            first_row_id: live.first_row_id,
            sequence_number: live.sequence_number,
        });
        let arrow: ArrowSchema = schema_to_arrow_schema(&schema).unwrap();
        let groups = (0..opened.metadata.metadata().num_row_groups()).collect();
        let rows = row_schema(&schema).unwrap();
        let batches = opened
            .rows(arrow.fields(), rows, groups, Default::default())
            .unwrap();
        let batches: Vec<RecordBatch> = batches.try_collect().await.unwrap();
        let mut rows = Vec::new();
        for batch in batches {
            let column = |at: usize| batch.column(at).as_primitive::<Int64Type>().clone();
            let (ids, row_ids, updated) = (column(0), column(1), column(2));
            let or_null = |values: &Int64Array, at| values.is_valid(at).then(|| values.value(at));
            rows.extend(
                (0..batch.num_rows()).map(|at| (ids.value(at), or_null(&row_ids, at), or_null(&updated, at))),
            );
        }
        rows.sort_unstable();
        rows
    }

    /// The rows of all data files whose name is not one of these.
    async fn rows_but(&self, without: &[&str]) -> Vec<Row> {
        let mut rows = Vec::new();
        for live in self.live(ManifestContentType::Data).await {
            if !without.contains(&name(live.file.file_path()).as_str()) {
                rows.extend(self.rows(&live).await);
            }
        }
        rows.sort_unstable();
        rows
    }

    async fn round(&self, without: &'static str) -> Round {
        self.round_by(&Options::BY_HAND, without).await
    }

    async fn round_by(&self, options: &Options, without: &'static str) -> Round {
        let known = Known {
            settled_at: None,
            unfit: &|path: &str| !without.is_empty() && path.contains(without),
        };
        let round = Round::of(&self.0, &ident(), options, &known, &LogWaiting).await;
        round.unwrap().unwrap()
    }

    async fn carry_out(&self, round: &Round) -> Vec<Done> {
        let means = Means {
            lake: &self.0,
            waiting: &LogWaiting,
            memory: &Allowance::new(1 << 20),
            pace: Arc::new(Unbounded),
            sort_memory: 0,
        };
        let done = Mutex::new(Vec::new());
        let one = NonZeroUsize::MIN;
        carry_out(&means, round, one, &|piece| done.lock().unwrap().push(piece))
            .await
            .unwrap();
        done.into_inner().unwrap()
    }

    async fn compact(&self, without: &'static str) {
        let done = self.carry_out(&self.round(without).await).await;
        let committed = |done: &Done| matches!(done.outcome, Outcome::Committed { .. });
        assert!(!done.is_empty() && done.iter().all(committed), "{done:?}");
    }

    async fn expire(&self) {
        let limits = Limits {
            older_than: Some(-1000),
            keep: Some(1),
        };
        assert!(expire(&self.0, &ident(), limits, &LogWaiting).await.unwrap() > 0);
    }
}

/// The last part of a path, without its extension.
fn name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap();
    name.split('.').next().unwrap().to_owned()
}

/// A blob `deletion-vector-v1`, as the specification of Puffin has it.
fn vector(positions: &[u64]) -> Vec<u8> {
    let bitmap: RoaringTreemap = positions.iter().copied().collect();
    let mut body = vec![0xD1, 0xD3, 0x39, 0x64];
    bitmap.serialize_into(&mut body).unwrap();
    let length = body.len() as u32;
    [
        &length.to_be_bytes(),
        body.as_slice(),
        &crc32fast::hash(&body).to_be_bytes(),
    ]
    .concat()
}

#[tokio::test]
async fn rows_keep_their_ids_and_deletion_vectors_of_other_files_stay() {
    let world = World::new(FormatVersion::V3).await;
    world.append("a", 0..5).await;
    world.append("b", 10..15).await;
    world.append("c", 20..25).await;
    world
        .delete("vectors", &[("a", &[1]), ("b", &[0, 4]), ("c", &[2])])
        .await;
    let vectors = world.vectors().await;
    let c = vectors.iter().find(|(data, _)| data == "c").unwrap().clone();
    assert_eq!(world.load().await.metadata.next_row_id(), 15);

    world.compact("c.parquet").await;
    assert_eq!(world.vectors().await, [c], "that of c, where it stood");
    let (first, second) = (Some(1), Some(2));
    let of_a_and_b = [
        (0, Some(0), first),
        (2, Some(2), first),
        (3, Some(3), first),
        (4, Some(4), first),
        (11, Some(6), second),
        (12, Some(7), second),
        (13, Some(8), second),
    ];
    assert_eq!(world.rows_but(&["c"]).await, of_a_and_b);
    let metadata = world.load().await.metadata;
    let (first_row_id, added) = metadata.current_snapshot().unwrap().row_range().unwrap();
    assert_eq!(first_row_id, 15, "ids go on where they ended");
    assert_eq!(metadata.next_row_id(), 15 + added);
    assert!(added >= 7, "the new file has room for ids of its own: {added}");

    // The Puffin file has one vector left, which is needed.
    world.expire().await;
    assert!(world.is_there("vectors.puffin").await);
    assert!(!world.is_there("a.parquet").await);
    world.append("d", 30..32).await;
    let added_after = world.rows_but(&["c"]).await.split_off(of_a_and_b.len());
    let next = metadata.next_row_id() as i64;
    let sequence = metadata.last_sequence_number() + 1;
    assert_eq!(
        added_after,
        [
            (30, Some(next), Some(sequence)),
            (31, Some(next + 1), Some(sequence))
        ]
    );

    // Ids that are columns by now, and ids that are inherited.
    world.compact("").await;
    assert_eq!(world.vectors().await, []);
    let third = Some(3);
    let of_c = [(20, 10), (21, 11), (23, 13), (24, 14)].map(|(value, id)| (value, Some(id), third));
    let expected = [&of_a_and_b[..], &of_c[..], &added_after].concat();
    assert_eq!(world.rows_but(&[]).await, expected);
    world.expire().await;
    assert!(!world.is_there("vectors.puffin").await, "nothing leads to it");
}

#[tokio::test]
async fn a_deletion_vector_that_comes_meanwhile_is_not_lost() {
    let world = World::new(FormatVersion::V3).await;
    world.append("a", 0..5).await;
    world.append("b", 10..15).await;
    let round = world.round("").await;
    world.delete("vectors", &[("b", &[3])]).await;
    let done = world.carry_out(&round).await;
    let [
        Done {
            outcome: Outcome::Dropped { why },
            ..
        },
    ] = done.as_slice()
    else {
        panic!("{done:?}");
    };
    assert!(
        why.contains("b.parquet") && why.contains("vectors.puffin"),
        "{why}"
    );
    world.compact("").await;
    let values: Vec<i64> = world.rows_but(&[]).await.iter().map(|row| row.0).collect();
    assert_eq!(values, [0, 1, 2, 3, 4, 10, 11, 12, 14]);
}

/// Its rows have no ids until somebody writes to it in version 3; we may be the first.
#[tokio::test]
async fn rows_of_an_upgraded_table_get_ids_with_the_first_commit() {
    let world = World::new(FormatVersion::V2).await;
    world.append("a", 0..3).await;
    world.append("b", 10..13).await;
    world.append("large", 20..22).await;
    world.upgrade().await;
    let before = world.rows_but(&[]).await;
    assert!(before.iter().all(|row| row.1.is_none()), "{before:?}");

    world.compact("large").await;
    let rows = world.rows_but(&[]).await;
    let and_updated = |rows: &[Row]| -> Vec<(i64, Option<i64>)> {
        rows.iter()
            .map(|(value, _, updated)| (*value, *updated))
            .collect()
    };
    assert_eq!(and_updated(&rows), and_updated(&before), "only their ids are new");
    let ids: std::collections::BTreeSet<i64> = rows.iter().filter_map(|row| row.1).collect();
    assert_eq!(ids.len(), rows.len(), "each has one of its own: {rows:?}");
    let next = world.load().await.metadata.next_row_id() as i64;
    assert!(ids.iter().all(|id| *id < next), "{rows:?} below {next}");
}

#[tokio::test]
async fn no_topic_begins_to_feed_a_table_of_version_3() {
    let world = World::new(FormatVersion::V3).await;
    world.append("a", 0..3).await;
    let mut anchor = Anchor {
        lake: &world.0,
        job: &JobId::new("orders"),
        identity: &TopicIdentity {
            cluster_id: None,
            topic: "orders".into(),
            topic_id: None,
        },
        starts: &[(0, 0)].into(),
    };
    let refused = commit::<TableState>(&world.0, &ident(), &mut anchor, &LogWaiting).await;
    let Err(CommitError::Halt(Halt::FormatVersion { found, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert!(found.contains('3'), "{found}");
}

/// Row ids are columns of what is sorted, too.
#[tokio::test]
async fn rows_that_are_sorted_keep_their_ids() {
    let world = World::new(FormatVersion::V3).await;
    world.append("first", 10..20).await;
    world.append("second", 0..10).await;
    let before = world.rows_but(&[]).await;
    let SortColumns(columns) = "id desc".parse().unwrap();
    let options = Options {
        layout: Layout::Columns(columns),
        ..Options::BY_HAND
    };
    let done = world.carry_out(&world.round_by(&options, "").await).await;
    let committed = |done: &Done| matches!(done.outcome, Outcome::Committed { .. });
    assert!(!done.is_empty() && done.iter().all(committed), "{done:?}");
    assert_eq!(world.rows_but(&[]).await, before);
}

/// Somebody else's commit gave the rows ids after they were read.
#[tokio::test]
async fn rows_that_have_got_ids_meanwhile_stay_where_they_are() {
    let world = World::new(FormatVersion::V2).await;
    world.append("a", 0..3).await;
    world.append("b", 10..13).await;
    world.upgrade().await;
    let round = world.round("").await;
    world.append("c", 20..22).await;
    let before = world.rows_but(&[]).await;
    assert!(before.iter().all(|row| row.1.is_some()), "{before:?}");

    let done = world.carry_out(&round).await;
    let dropped = |done: &Done| matches!(&done.outcome, Outcome::Dropped { why } if why.contains("ids"));
    assert!(!done.is_empty() && done.iter().all(dropped), "{done:?}");
    assert_eq!(world.rows_but(&[]).await, before);
}

#[tokio::test]
async fn manifests_that_are_rewritten_change_no_row_and_no_deletion() {
    let world = World::new(FormatVersion::V3).await;
    world.append("a", 0..3).await;
    world.append("b", 10..13).await;
    world.delete("deletes", &[("a", &[0]), ("b", &[1, 2])]).await;
    world.append("c", 20..22).await;
    let (before, vectors) = (world.rows_but(&[]).await, world.vectors().await);

    let look = Look::at(&world.0, &ident(), &Policy::BY_HAND, &LogWaiting).await;
    let look = look.unwrap().unwrap();
    let done = rewrite(&world.0, &look, &Unbounded, &LogWaiting).await.unwrap();
    let rewritten = |done| {
        matches!(
            done,
            RewriteOutcome::Committed {
                replaced: 5,
                written: 2,
                ..
            }
        )
    };
    assert!(
        rewritten(done),
        "three of data and two of deletes, each kind in one"
    );
    assert_eq!(world.rows_but(&[]).await, before);
    assert_eq!(world.vectors().await, vectors);
    world.append("d", 30..31).await;
    let ids: Vec<_> = world.rows_but(&[]).await.iter().map(|row| row.1).collect();
    let all: std::collections::BTreeSet<_> = ids.iter().flatten().collect();
    assert_eq!(all.len(), ids.len(), "each has one of its own: {ids:?}");
}
