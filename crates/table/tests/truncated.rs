//! The answer to logs that were cut, on real files: what goes, what is written again and what is left alone, beside
//! other writers' rows and deletes, under a schema that has changed since.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test: a failure is a panic with its reason"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema as ArrowSchema};
use bytes::Bytes;
use futures::TryStreamExt;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Literal, MAIN_BRANCH, ManifestListWriter,
    ManifestWriterBuilder, NestedField, Operation, PrimitiveType, Schema, SnapshotReference,
    SnapshotRetention, Struct, Summary, Transform, Type, UnboundPartitionSpec,
};
use iceberg::{Runtime, TableIdent};
use object_store::memory::InMemory;
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use tabletopic_catalog::{CommitOutcome, MemoryCatalog, TableChange};
use tabletopic_clock::{Clock, Entropy, SeededEntropy, SystemClock};
use tabletopic_offsets::{
    Counts, Generation, JobId, Kind, OffsetRange, TableState, TopicIdentity, UnitRange,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::{AdoptTopic, DeclareMissing, LogCut, Rewind, Truncate};
use tabletopic_table::commit::{
    Anchor, Append, Base, ChangeSchema, Committed, Fate, LogWaiting, Look, Plan, SnapshotAt, Unit, commit,
};
use tabletopic_table::file::{Encodings, FileNames, FileSchema, FileSettings, FileWriter};
use tabletopic_table::follower::create;
use tabletopic_table::schema::SchemaChange;
use tabletopic_table::snapshot::live;
use tabletopic_table::storage::{RequestCounts, file_io};

/// A row: topic partition number and offset, which a row of somebody else has not, and a value.
type Row = (Option<(i32, i64)>, i64);

/// A table `shop.orders`, partitioned by `region`, that topic `orders` with two partitions feeds.
struct Table(Lake);

impl Table {
    async fn new() -> Self {
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
            (Arc::new(SystemClock), Arc::new(SeededEntropy::new(7)));
        let lake = Lake {
            catalog: Arc::new(MemoryCatalog::new(
                "memory",
                "memory:///warehouse",
                clock.clone(),
                entropy.clone(),
            )),
            file_io: file_io(
                Arc::new(InMemory::new()),
                "memory:///",
                Arc::new(RequestCounts::default()),
            ),
            clock,
            entropy,
            actor: "operator".into(),
        };
        let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
        let fields = [
            field(1, "_kafka_partition", PrimitiveType::Int),
            field(2, "_kafka_offset", PrimitiveType::Long),
            field(3, "n", PrimitiveType::Long),
            field(4, "region", PrimitiveType::String),
        ];
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        let spec = UnboundPartitionSpec::builder()
            .add_partition_field(4, "region", Transform::Identity)
            .unwrap()
            .build();
        create::table(&lake, &ident(), schema, Some(spec)).await.unwrap();
        create::followers(&lake, &ident()).await.unwrap();
        let mut anchor = Anchor {
            lake: &lake,
            job: &job(),
            identity: &topic(1),
            starts: &[(0, 0), (1, 0)].into(),
        };
        commit(&lake, &ident(), &mut anchor, &LogWaiting).await.unwrap();
        Self(lake)
    }

    async fn commit(&self, plan: &mut dyn Plan<TableState>) -> Committed<TableState> {
        commit(&self.0, &ident(), plan, &LogWaiting).await.unwrap()
    }

    async fn base(&self) -> Base<TableState> {
        self.commit(&mut Look).await.base
    }

    /// Writes a file of one region, whose value is in the partition too.
    async fn file(&self, region: &str, rows: &[Row]) -> DataFile {
        let metadata = self.base().await.table.metadata;
        let schema = FileSchema::new(
            metadata.current_schema().clone(),
            metadata.default_partition_spec().clone(),
        )
        .unwrap();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from_iter(
                rows.iter().map(|row| row.0.map(|place| place.0)),
            )),
            Arc::new(Int64Array::from_iter(
                rows.iter().map(|row| row.0.map(|place| place.1)),
            )),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| region))),
        ];
        let more = schema.arrow().fields().iter().skip(columns.len());
        let more = more.map(|field| arrow::array::new_null_array(field.data_type(), rows.len()));
        let columns = columns.into_iter().chain(more).collect();
        let batch = RecordBatch::try_new(schema.arrow().clone(), columns).unwrap();
        let partition = Struct::from_iter([Some(Literal::string(region))]);
        let names = FileNames::new(metadata.location());
        let path = names.next(&schema, &partition, self.0.entropy.as_ref()).unwrap();
        let encodings = Encodings::choose(&schema, &batch);
        let mut writer =
            FileWriter::new(&FileSettings::default(), schema, &encodings, partition, path).unwrap();
        writer.write(&batch).unwrap();
        let file = writer.finish().unwrap();
        self.put(&file.path, Bytes::from(file.payload)).await;
        file.data_file
    }

    async fn put(&self, path: &str, bytes: Bytes) {
        self.0
            .file_io
            .new_output(path)
            .unwrap()
            .write(bytes)
            .await
            .unwrap();
    }

    /// A unit that accounts for `ranges`, each offset a row.
    async fn append(&self, files: Vec<DataFile>, ranges: &[(i32, i64, i64)]) {
        let base = self.base().await;
        let known = base.state().unwrap().job(&job()).unwrap();
        let ranges = ranges.iter().map(|(partition, start, end)| {
            let range = OffsetRange::new(*start, *end);
            UnitRange {
                job: job(),
                partition: *partition,
                identity: known.identity.clone(),
                generation: known.generation,
                range,
                leader_epoch: Some(1),
                counts: Counts::of_rows(range.len(), range.offset_sum()),
            }
        });
        let units = [Unit {
            created: self.0.clock.now(),
            schema: base.metadata().current_schema().clone(),
            spec_id: base.metadata().default_partition_spec_id(),
            files,
            dead_letters: None,
            ranges: ranges.collect(),
        }];
        let mut plan = Append::new(&self.0, &units, &[]);
        self.commit(&mut plan).await;
        let fate = plan.into_fates().remove(0);
        assert!(matches!(fate, Fate::Committed), "{fate:?}");
    }

    fn truncate(&self, generation: u32, cuts: &[(i32, i64)]) -> Truncate<'_> {
        let cut = |(partition, offset): &(i32, i64)| {
            let leader_epoch = Some(1);
            (
                *partition,
                LogCut {
                    offset: *offset,
                    leader_epoch,
                },
            )
        };
        Truncate {
            lake: &self.0,
            job: job(),
            generation: Generation(generation),
            cuts: cuts.iter().map(cut).collect(),
            reason: "ticket 42".to_owned(),
        }
    }

    /// Values of `n` by place, as a reader sees them; those without a place under none.
    async fn rows(&self) -> BTreeMap<Option<(i32, i64)>, Vec<i64>> {
        let base = self.base().await;
        let table = iceberg::table::Table::builder()
            .identifier(ident())
            .metadata(base.table.metadata.clone())
            .file_io(self.0.file_io.clone())
            .disable_cache()
            .runtime(Runtime::try_current().unwrap())
            .build()
            .unwrap();
        let scan = table
            .scan()
            .select(["_kafka_partition", "_kafka_offset", "n", "region"]);
        let batches: Vec<RecordBatch> = scan
            .build()
            .unwrap()
            .to_arrow()
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let mut found = BTreeMap::<_, Vec<i64>>::new();
        for batch in batches {
            let partitions = batch.column(0).as_primitive::<Int32Type>();
            let offsets = batch.column(1).as_primitive::<Int64Type>();
            let values = batch.column(2).as_primitive::<Int64Type>();
            let regions = batch.column(3).as_string::<i32>();
            for row in 0..batch.num_rows() {
                let known = partitions
                    .is_valid(row)
                    .then(|| (partitions.value(row), offsets.value(row)));
                assert!(!regions.value(row).is_empty());
                found.entry(known).or_default().push(values.value(row));
            }
        }
        found
    }

    /// Paths of the live files.
    async fn files(&self) -> Vec<DataFile> {
        let base = self.base().await;
        let mut all = Vec::new();
        for manifest in live::manifests(&self.0, base.metadata(), base.head().unwrap())
            .await
            .unwrap()
        {
            let files = live::files(&self.0, &manifest).await.unwrap();
            all.extend(files.into_iter().map(|live| live.file));
        }
        all.retain(|file| file.content_type() == DataContentType::Data);
        all
    }

    /// Another writer takes rows of a file by their positions.
    async fn delete(&self, file: &DataFile, positions: &[i64]) {
        let base = self.base().await;
        let metadata = base.metadata();
        let id = |id: i32| [(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into();
        let schema = Arc::new(ArrowSchema::new(vec![
            Field::new("file_path", DataType::Utf8, false).with_metadata(id(2_147_483_546)),
            Field::new("pos", DataType::Int64, false).with_metadata(id(2_147_483_545)),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(
                positions.iter().map(|_| file.file_path()),
            )),
            Arc::new(Int64Array::from(positions.to_vec())),
        ];
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), None).unwrap();
        writer
            .write(&RecordBatch::try_new(schema, columns).unwrap())
            .unwrap();
        writer.close().unwrap();
        let path = format!("{}/data/deletes.parquet", metadata.location());
        let deletes = DataFileBuilder::default()
            .content(DataContentType::PositionDeletes)
            .file_path(path.clone())
            .file_format(DataFileFormat::Parquet)
            .partition(file.partition().clone())
            .partition_spec_id(metadata.default_partition_spec_id())
            .record_count(positions.len() as u64)
            .file_size_in_bytes(bytes.len() as u64)
            .build()
            .unwrap();
        self.put(&path, bytes.into()).await;

        let (id, sequence_number) = (self.0.entropy.snapshot_id(), metadata.last_sequence_number() + 1);
        let output = |name: &str| {
            let path = format!("{}/metadata/{id}-{name}.avro", metadata.location());
            (path.clone(), self.0.file_io.new_output(path).unwrap())
        };
        let (schema, spec) = (metadata.current_schema(), metadata.default_partition_spec());
        let mut manifest =
            ManifestWriterBuilder::new(output("d").1, Some(id), schema.clone(), spec.as_ref().clone())
                .build_v2_deletes();
        manifest.add_file(deletes, -1).unwrap();
        let manifest = manifest.write_manifest_file().await.unwrap();
        let head = base.head().unwrap();
        let kept = live::manifests(&self.0, metadata, head).await.unwrap();
        let (manifest_list, list) = output("list");
        let parent = Some(head.snapshot_id());
        let mut list = ManifestListWriter::v2(list.writer().await.unwrap(), id, parent, sequence_number);
        list.add_manifests(std::iter::once(manifest).chain(kept)).unwrap();
        list.close().await.unwrap();
        let snapshot = iceberg::spec::Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(self.0.clock.now().max(metadata.last_updated_ms() + 1))
            .with_manifest_list(manifest_list)
            .with_summary(Summary {
                operation: Operation::Delete,
                additional_properties: Default::default(),
            })
            .with_schema_id(metadata.current_schema_id())
            .build();
        let builder = metadata.clone().into_builder(None);
        let built = builder
            .set_branch_snapshot(snapshot, MAIN_BRANCH)
            .unwrap()
            .build()
            .unwrap();
        let change = TableChange {
            requirements: Vec::new(),
            updates: built.changes,
        };
        let outcome = self.0.catalog.commit(&base.table, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    }
}

fn ident() -> TableIdent {
    TableIdent::from_strs(["shop", "orders"]).unwrap()
}

fn job() -> JobId {
    JobId::new("orders")
}

fn topic(life: u32) -> TopicIdentity {
    TopicIdentity {
        cluster_id: None,
        topic: "orders".into(),
        topic_id: Some(format!("orders-{life}")),
    }
}

/// Rows of a topic partition, whose values tell the place.
fn rows(partition: i32, offsets: std::ops::Range<i64>) -> Vec<Row> {
    offsets
        .map(|offset| (Some((partition, offset)), i64::from(partition) * 1_000 + offset))
        .collect()
}

fn paths(files: &[DataFile]) -> Vec<&str> {
    files.iter().map(DataFile::file_path).collect()
}

#[tokio::test]
async fn rows_from_the_cut_on_go_and_all_others_stay_as_they_were() {
    let table = Table::new().await;
    let below = table.file("a", &rows(0, 0..10)).await;
    let foreign: Row = (None, -1);
    let mixed_rows = [rows(0, 10..20), rows(1, 0..5), vec![foreign]].concat();
    let mixed = table.file("b", &mixed_rows).await;
    table
        .append(vec![below.clone(), mixed.clone()], &[(0, 0, 20), (1, 0, 5)])
        .await;
    let whole = table.file("a", &rows(0, 20..30)).await;
    let other = table.file("a", &rows(1, 5..40)).await;
    table
        .append(vec![whole.clone(), other.clone()], &[(0, 20, 30), (1, 5, 40)])
        .await;
    // Positions in the mixed file: offset 12, which stays gone, offset 15, which is not removed twice.
    table.delete(&mixed, &[2, 5]).await;
    let mut change = ChangeSchema {
        lake: &table.0,
        made_for: table.base().await.metadata().current_schema_id(),
        changes: &[SchemaChange::AddColumn {
            parent: Vec::new(),
            name: "later".to_owned(),
            ty: Type::Primitive(PrimitiveType::Double),
        }],
        cause: "a test".to_owned(),
    };
    table.commit(&mut change).await;
    let before = table.rows().await;

    let mut plan = table.truncate(0, &[(0, 14)]);
    let base = table.base().await;
    let at = SnapshotAt {
        sequence_number: 99,
        snapshot_id: 99,
        timestamp_ms: 99,
        schema_id: base.metadata().current_schema_id(),
    };
    let planned = plan.plan(&base, at).await.unwrap().expect("something to do");
    assert_eq!((planned.files.remove.len(), planned.rewrites.len()), (2, 1));
    assert_eq!(table.files().await.len(), 4, "planning writes nothing");
    let snapshot = table.commit(&mut plan).await.snapshot.expect("a commit");
    assert_eq!(snapshot.summary().operation, Operation::Overwrite);

    let mut expected = before.clone();
    expected.retain(|place, _| place.is_none_or(|(partition, offset)| partition != 0 || offset < 14));
    assert_eq!(table.rows().await, expected);
    assert!(
        !expected.contains_key(&Some((0, 12))),
        "it was deleted by somebody"
    );

    let files = table.files().await;
    let live = paths(&files);
    assert!(
        live.contains(&below.file_path()) && live.contains(&other.file_path()),
        "{live:?}"
    );
    assert!(
        !live.contains(&whole.file_path()) && !live.contains(&mixed.file_path()),
        "{live:?}"
    );
    let [again] = files
        .iter()
        .filter(|file| !paths(&[below.clone(), other.clone()]).contains(&file.file_path()))
        .collect::<Vec<_>>()[..]
    else {
        panic!("{live:?}")
    };
    assert_eq!(
        (again.record_count(), again.partition()),
        (3 + 5 + 1, mixed.partition())
    );
    assert_eq!(
        again.null_value_counts().get(&5),
        Some(&9),
        "the column that came later"
    );

    let base = table.base().await;
    let state = base.state().unwrap();
    assert_eq!(state.kind, Kind::Replace);
    assert_eq!(state.job(&job()).unwrap().generation, Generation(1));
    let cut = state.partition(&job(), 0).unwrap();
    assert_eq!((cut.progress.live_end(), cut.leader_epoch), (14, Some(1)));
    // Offset 15 was deleted by somebody and stays counted, as every delete of others does.
    assert_eq!(cut.counts.rows, 14 + 1);
    let untouched = state.partition(&job(), 1).unwrap();
    assert_eq!(
        untouched.counts,
        Counts::of_rows(40, OffsetRange::new(0, 40).offset_sum())
    );
    let entry = state.outbox.ledger.last().unwrap();
    assert_eq!(
        (entry.kind, entry.stamp.reason.as_str()),
        (Kind::Replace, "ticket 42")
    );
    let [range] = &entry.ranges[..] else {
        panic!("{entry:?}")
    };
    assert_eq!(
        (range.partition, range.range, range.counts.rows),
        (0, OffsetRange::new(14, 30), 15)
    );

    // The new log, read again from there.
    let file = table.file("b", &rows(0, 14..18)).await;
    table.append(vec![file], &[(0, 14, 18)]).await;
    assert_eq!(table.rows().await.len(), expected.len() + 4);
    // An answer found before that has nothing left to do: it would take the new rows.
    assert!(
        table
            .commit(&mut table.truncate(0, &[(0, 14)]))
            .await
            .snapshot
            .is_none()
    );
}

#[tokio::test]
async fn several_partitions_are_cut_at_once_and_files_can_go_without_any_written() {
    let table = Table::new().await;
    let low = table.file("a", &[rows(0, 0..5), rows(1, 0..5)].concat()).await;
    let high = table.file("a", &[rows(0, 5..9), rows(1, 5..7)].concat()).await;
    table
        .append(vec![low.clone(), high], &[(0, 0, 9), (1, 0, 7)])
        .await;
    let snapshot = table
        .commit(&mut table.truncate(0, &[(0, 5), (1, 5)]))
        .await
        .snapshot;
    assert_eq!(snapshot.expect("a commit").summary().operation, Operation::Delete);
    assert_eq!(paths(&table.files().await), [low.file_path()]);
    let rows = table.rows().await;
    assert_eq!(rows.len(), 10);
}

#[tokio::test]
async fn rows_that_may_be_of_another_topic_are_refused() {
    let table = Table::new().await;
    let file = table.file("a", &rows(0, 0..9)).await;
    table.append(vec![file], &[(0, 0, 9)]).await;
    let mut adopt = AdoptTopic {
        lake: &table.0,
        job: job(),
        identity: topic(2),
        starts: [(0, 0), (1, 0)].into(),
        reason: String::new(),
    };
    table.commit(&mut adopt).await;
    let file = table.file("a", &rows(0, 0..15)).await;
    table.append(vec![file], &[(0, 0, 15)]).await;

    let refused = commit(&table.0, &ident(), &mut table.truncate(1, &[(0, 8)]), &LogWaiting).await;
    let words = refused.expect_err("offset 8 is in both").to_string();
    assert!(words.contains("orders/0: its log was cut at offset 8"), "{words}");
    assert_eq!(table.files().await.len(), 2);
    // Above all that the old topic had there is no doubt.
    table.commit(&mut table.truncate(1, &[(0, 9)])).await;
    assert_eq!(table.rows().await.values().map(Vec::len).sum::<usize>(), 9 + 9);
}

/// The stale rows are back below progress: by their offsets they look like those that took their place.
#[tokio::test]
async fn after_a_rollback_over_a_truncation_nothing_is_declared_lost() {
    let table = Table::new().await;
    let file = table.file("a", &rows(0, 0..9)).await;
    table.append(vec![file], &[(0, 0, 9)]).await;
    let before = table.base().await.head().unwrap().snapshot_id();
    table.commit(&mut table.truncate(0, &[(0, 5)])).await;
    let file = table.file("a", &rows(0, 5..20)).await;
    table.append(vec![file], &[(0, 5, 20)]).await;
    let base = table.base().await;
    let main = SnapshotReference::new(before, SnapshotRetention::branch(None, None, None));
    let rolled_back = base
        .metadata()
        .clone()
        .into_builder(None)
        .set_ref(MAIN_BRANCH, main);
    let change = TableChange {
        requirements: Vec::new(),
        updates: rolled_back.unwrap().build().unwrap().changes,
    };
    let outcome = table.0.catalog.commit(&base.table, change).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    let mut declare = DeclareMissing {
        lake: &table.0,
        reason: String::new(),
    };
    let refused = commit(&table.0, &ident(), &mut declare, &LogWaiting).await;
    let words = refused.expect_err("stale rows are back").to_string();
    assert!(words.contains("rows back that a log no longer has"), "{words}");
    let mut rewind = Rewind {
        lake: &table.0,
        reason: String::new(),
    };
    table.commit(&mut rewind).await;
    table.commit(&mut table.truncate(2, &[(0, 5)])).await;
    assert_eq!(table.rows().await.len(), 5);
}
