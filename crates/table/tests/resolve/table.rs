//! A table of real files, as topics feed it and others change it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema as ArrowSchema};
use bytes::Bytes;
use futures::TryStreamExt;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Literal, MAIN_BRANCH, ManifestListWriter,
    ManifestWriterBuilder, NestedField, Operation, PrimitiveType, Schema, SnapshotReference,
    SnapshotRetention, Struct, Summary, TableMetadata, Transform, Type, UnboundPartitionSpec,
};
use iceberg::{Runtime, TableIdent};
use object_store::memory::InMemory;
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use tabletopic_catalog::{CommitOutcome, MemoryCatalog, TableChange};
use tabletopic_clock::{Clock, Entropy, SeededEntropy, SystemClock};
use tabletopic_offsets::{Counts, Generation, JobId, OffsetRange, TableState, TopicIdentity, UnitRange};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::{LogCut, Truncate};
use tabletopic_table::commit::{
    Anchor, Append, Base, Committed, Fate, LogWaiting, Look, Plan, Unit, commit, next_snapshot,
};
use tabletopic_table::file::{Encodings, FileNames, FileSchema, FileSettings, FileWriter};
use tabletopic_table::follower::create;
use tabletopic_table::snapshot::build::{FileChange, build};
use tabletopic_table::snapshot::live;
use tabletopic_table::storage::{RequestCounts, file_io};

/// A row: topic partition number and offset, which a row of somebody else has not, and a value.
pub type Row = (Option<(i32, i64)>, i64);

/// A table `shop.orders`, partitioned by `region`, that topic `orders` with two partitions feeds.
pub struct Table(pub Lake);

impl Table {
    pub async fn new() -> Self {
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

    pub async fn commit(&self, plan: &mut dyn Plan<TableState>) -> Committed<TableState> {
        commit(&self.0, &ident(), plan, &LogWaiting).await.unwrap()
    }

    pub async fn base(&self) -> Base<TableState> {
        self.commit(&mut Look).await.base
    }

    /// Writes a file of one region, whose value is in the partition too.
    pub async fn file(&self, region: &str, rows: &[Row]) -> DataFile {
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

    /// A unit of the topic that accounts for `ranges`, each offset a row.
    pub async fn append(&self, files: Vec<DataFile>, ranges: &[(i32, i64, i64)]) {
        self.append_of(&job(), files, ranges).await;
    }

    pub async fn append_of(&self, job: &JobId, files: Vec<DataFile>, ranges: &[(i32, i64, i64)]) {
        let unit = self.unit(job, files, ranges).await;
        self.append_units(&[unit]).await;
    }

    /// What a worker would cut now.
    pub async fn unit(&self, job: &JobId, files: Vec<DataFile>, ranges: &[(i32, i64, i64)]) -> Unit {
        let base = self.base().await;
        let known = base.state().unwrap().job(job).unwrap();
        let ranges = ranges.iter().map(|(partition, start, end)| {
            let range = OffsetRange::new(*start, *end);
            UnitRange {
                job: job.clone(),
                partition: *partition,
                identity: known.identity.clone(),
                generation: known.generation,
                range,
                leader_epoch: Some(1),
                counts: Counts::of_rows(range.len(), range.offset_sum()),
            }
        });
        Unit {
            created: self.0.clock.now(),
            schema: base.metadata().current_schema().clone(),
            spec_id: base.metadata().default_partition_spec_id(),
            files,
            dead_letters: None,
            ranges: ranges.collect(),
        }
    }

    pub async fn append_units(&self, units: &[Unit]) {
        let mut plan = Append::new(&self.0, units, &[]);
        self.commit(&mut plan).await;
        for fate in plan.into_fates() {
            assert!(matches!(fate, Fate::Committed), "{fate:?}");
        }
    }

    pub fn truncate(&self, generation: u32, cuts: &[(i32, i64)]) -> Truncate<'_> {
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
    pub async fn rows(&self) -> BTreeMap<Option<(i32, i64)>, Vec<i64>> {
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
    pub async fn files(&self) -> Vec<DataFile> {
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

    /// Another writer takes rows of a file of `table` by their positions.
    pub async fn delete(&self, table: &TableIdent, file: &DataFile, positions: &[i64]) {
        let base = self.0.catalog.load(table).await.unwrap();
        let metadata = &base.metadata;
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
        let head = metadata.current_snapshot().unwrap();
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
        let builder = TableMetadata::clone(metadata).into_builder(None);
        let built = builder
            .set_branch_snapshot(snapshot, MAIN_BRANCH)
            .unwrap()
            .build()
            .unwrap();
        let change = TableChange {
            requirements: Vec::new(),
            updates: built.changes,
        };
        let outcome = self.0.catalog.commit(&base, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    }

    /// Somebody adds files, whatever they hold.
    pub async fn put_back(&self, files: Vec<DataFile>) {
        let base = Base::<TableState>::read(self.0.catalog.load(&ident()).await.unwrap()).unwrap();
        let metadata = base.metadata();
        let at = next_snapshot(&self.0, &base);
        let spec_id = metadata.default_partition_spec_id();
        let change = FileChange {
            add: files.into_iter().map(|file| (spec_id, file)).collect(),
            ..FileChange::default()
        };
        let (operation, summary) = (Operation::Append, BTreeMap::new());
        let snapshot = build(&self.0, metadata, base.head(), at, operation, &change, summary).await;
        let builder = metadata.clone().into_builder(None);
        let built = builder
            .set_branch_snapshot(snapshot.unwrap(), MAIN_BRANCH)
            .unwrap()
            .build();
        let change = TableChange {
            requirements: Vec::new(),
            updates: built.unwrap().changes,
        };
        let outcome = self.0.catalog.commit(&base.table, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    }

    /// Somebody sets `main` to a snapshot.
    pub async fn roll_back_to(&self, snapshot_id: i64) {
        let base = self.base().await;
        let main = SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None));
        let rolled_back = base
            .metadata()
            .clone()
            .into_builder(None)
            .set_ref(MAIN_BRANCH, main);
        let change = TableChange {
            requirements: Vec::new(),
            updates: rolled_back.unwrap().build().unwrap().changes,
        };
        let outcome = self.0.catalog.commit(&base.table, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    }
}

pub fn ident() -> TableIdent {
    TableIdent::from_strs(["shop", "orders"]).unwrap()
}

pub fn job() -> JobId {
    JobId::new("orders")
}

pub fn topic(life: u32) -> TopicIdentity {
    TopicIdentity {
        cluster_id: None,
        topic: "orders".into(),
        topic_id: Some(format!("orders-{life}")),
    }
}

/// Rows of a topic partition, whose values tell the place.
pub fn rows(partition: i32, offsets: std::ops::Range<i64>) -> Vec<Row> {
    offsets
        .map(|offset| (Some((partition, offset)), i64::from(partition) * 1_000 + offset))
        .collect()
}

pub fn paths(files: &[DataFile]) -> Vec<&str> {
    files.iter().map(DataFile::file_path).collect()
}
