//! A table that is fed as the service feeds it, without Kafka: units with one file each go through the real commit to
//! an SQLite catalog and a warehouse on disk or in S3, and the followers are drained when they are due.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use iceberg::TableIdent;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Struct, Type};
use tabletopic_catalog::{SqliteCatalog, SqliteOptions};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_offsets::{
    Counts, Follower, FollowerPosition, Generation, JobId, Offset, OffsetRange, TableState, TopicIdentity,
    UnitRange,
};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Anchor, Append, Base, Fate, LogWaiting, Unit, commit};
use tabletopic_table::file::{Encodings, FileNames, FileSchema, FileSettings, FileWriter};
use tabletopic_table::follower::create;
use tabletopic_table::follower::drain::drain;
use tabletopic_table::storage::{RequestCounts, StorageSettings};

const JOB: &str = "orders";

/// The catalog and the warehouse that tables are in.
pub struct Warehouse {
    pub lake: Lake,
    pub requests: Arc<RequestCounts>,
}

impl Warehouse {
    /// In `folder` is the catalog, and the files too if no other `warehouse` is named.
    pub async fn open(folder: &Path, warehouse: Option<&str>) -> Result<Self> {
        let requests = Arc::new(RequestCounts::default());
        let warehouse = match warehouse {
            // Tables of each number of topic partitions have their own.
            Some(bucket) => format!("{bucket}/{}", folder.file_name().unwrap_or_default().display()),
            None => format!("file://{}", folder.display()),
        };
        let mut properties = BTreeMap::new();
        if warehouse.starts_with("s3://") {
            properties.insert("s3.path-style-access".to_owned(), "true".to_owned());
        }
        let environment = |name: &str| std::env::var(name).ok();
        let settings = StorageSettings::new(&warehouse, &properties)?;
        let file_io = settings.open(&environment, requests.clone())?.file_io;
        let options = SqliteOptions {
            name: "bench".to_owned(),
            path: folder.join("catalog.db"),
            warehouse,
            busy_timeout: Duration::from_secs(10),
            commit_timeout: Duration::from_secs(30),
        };
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let catalog = SqliteCatalog::open(options, file_io.clone(), clock.clone(), entropy.clone()).await?;
        let lake = Lake {
            catalog: Arc::new(catalog),
            file_io,
            clock,
            entropy,
            actor: "ingest-1 process 4711".into(),
        };
        Ok(Self { lake, requests })
    }
}

/// See the module. Each commit has one row of each topic partition.
pub struct Fed<'a> {
    lake: &'a Lake,
    ident: TableIdent,
    identity: TopicIdentity,
    partitions: i32,
    schema: Arc<FileSchema>,
    encodings: Encodings,
    names: FileNames,
    next: Offset,
    followers: Vec<(Follower, FollowerPosition)>,
}

impl<'a> Fed<'a> {
    pub async fn new(lake: &'a Lake, name: &str, partitions: i32) -> Result<Self> {
        let ident = TableIdent::from_strs(["bench", name])?;
        let table = create::table(lake, &ident, schema()?, None).await?;
        create::followers(lake, &ident).await?;
        let identity = TopicIdentity {
            cluster_id: Some("FOMVHVM4R1uXF8Tev5zmzA".into()),
            topic: JOB.into(),
            topic_id: Some("sYo/3b6JRJuqRstXzMkHow".into()),
        };
        let starts: BTreeMap<i32, Offset> = (0..partitions).map(|number| (number, 0)).collect();
        let job = JobId::new(JOB);
        let mut anchor = Anchor {
            lake,
            job: &job,
            identity: &identity,
            starts: &starts,
        };
        commit(lake, &ident, &mut anchor, &LogWaiting).await?;
        let metadata = &table.metadata;
        let schema = FileSchema::new(
            metadata.current_schema().clone(),
            metadata.default_partition_spec().clone(),
        )?;
        Ok(Self {
            lake,
            ident,
            identity,
            partitions,
            encodings: Encodings::choose(&schema, &rows(partitions, 0)?),
            names: FileNames::new(metadata.location()),
            schema,
            next: 0,
            followers: Vec::new(),
        })
    }

    /// The next unit, its file stored.
    pub async fn unit(&mut self) -> Result<Unit> {
        let offset = self.next;
        self.next += 1;
        let path = self
            .names
            .next(&self.schema, &Struct::empty(), self.lake.entropy.as_ref())?;
        let settings = FileSettings::default();
        let mut writer = FileWriter::new(
            &settings,
            self.schema.clone(),
            &self.encodings,
            Struct::empty(),
            path,
        )?;
        writer.write(&rows(self.partitions, offset)?)?;
        let file = writer.finish()?;
        let output = self.lake.file_io.new_output(&file.path)?;
        output.write(file.payload.into()).await?;
        let range = OffsetRange::new(offset, offset + 1);
        let ranges = (0..self.partitions).map(|partition| UnitRange {
            job: JobId::new(JOB),
            partition,
            identity: self.identity.clone(),
            generation: Generation::default(),
            range,
            leader_epoch: Some(0),
            counts: Counts::of_rows(range.len(), range.offset_sum()),
        });
        Ok(Unit {
            created: self.lake.clock.now(),
            schema: self.schema.schema().clone(),
            spec_id: 0,
            files: vec![file.data_file],
            dead_letters: None,
            ranges: ranges.collect(),
        })
    }

    /// One snapshot.
    pub async fn append(&self, unit: Unit) -> Result<Base<TableState>> {
        let units = [unit];
        let mut append = Append::new(self.lake, &units, &self.followers);
        let committed = commit(self.lake, &self.ident, &mut append, &LogWaiting).await?;
        match append.into_fates().pop().context("no fate")? {
            Fate::Committed => Ok(committed.base),
            Fate::Dropped(dropped) => bail!("a unit was dropped: {dropped}"),
        }
    }

    /// As the service sees it, whose other occasion, five minutes, does not come up here.
    pub fn drain_is_due(main: &Base<TableState>) -> bool {
        main.state().is_some_and(|state| state.outbox.is_drain_due())
    }

    /// Brings both followers up to date: a commit to each.
    pub async fn drain(&mut self, main: &Base<TableState>) -> Result<()> {
        self.followers.clear();
        for follower in [Follower::DeadLetters, Follower::Ledger] {
            let position = drain(self.lake, main, follower, &LogWaiting).await?;
            self.followers
                .extend(position.map(|position| (follower, position)));
        }
        Ok(())
    }
}

/// A dozen columns, so that what manifests say of a file is of usual length.
fn schema() -> Result<Schema> {
    use PrimitiveType::{Double, Int, Long, String, Timestamptz};
    let types = [
        Int,
        Long,
        Timestamptz,
        Long,
        String,
        Double,
        String,
        Long,
        Double,
        Timestamptz,
        String,
        Long,
    ];
    let fields = types.into_iter().zip(1..).map(|(ty, id)| {
        let name = match id {
            1 => "_kafka_partition".to_owned(),
            2 => "_kafka_offset".to_owned(),
            3 => "_kafka_timestamp".to_owned(),
            _ => format!("column_{id}"),
        };
        Arc::new(NestedField::optional(id, name, Type::Primitive(ty)))
    });
    Ok(Schema::builder().with_fields(fields).build()?)
}

fn rows(partitions: i32, offset: Offset) -> Result<RecordBatch> {
    let arrow = tabletopic_table::schema::arrow_schema(&schema()?)?;
    let number = || 0..partitions;
    let long = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(number().map(|_| offset))) };
    let text = || -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            number().map(|partition| format!("customer {partition}")),
        ))
    };
    let double = || -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(
            number().map(|partition| f64::from(partition) + offset as f64),
        ))
    };
    let time = || -> ArrayRef {
        let times = number().map(|_| 1_700_000_000_000_000 + offset);
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("+00:00"))
    };
    let columns = vec![
        Arc::new(Int32Array::from_iter_values(number())) as ArrayRef,
        long(),
        time(),
        long(),
        text(),
        double(),
        text(),
        long(),
        double(),
        time(),
        text(),
        long(),
    ];
    Ok(RecordBatch::try_new(arrow, columns)?)
}
