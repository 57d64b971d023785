//! The topic that is read: as a whole by the source, and as a sample kept in memory.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tabletopic_decode::{DecodeSettings, Format, WriterSchemas, create_schema, infer, parse_ddl};
use tabletopic_offsets::TopicPartition;
use tabletopic_records::{NoHeaders, Record};
use tabletopic_source::{
    Broker, KafkaBroker, KafkaSettings, KafkaSource, Position, Source, SourceEvent, Subscription,
};

use crate::table::Table;

/// As many as `run` takes for a new table.
const INFERRED_FROM: usize = 10_000;

/// What the values of a topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Values {
    Json,
    Avro,
    Protobuf,
    JsonSchema,
}

impl Values {
    fn format(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Avro => Format::Avro,
            Self::Protobuf => Format::Protobuf,
            Self::JsonSchema => Format::JsonSchema,
        }
    }
}

/// What is made of the records.
pub struct Work {
    pub values: Values,
    /// That of every record, where values have one.
    pub schema: String,
    /// The columns of JSON; inferred without.
    pub ddl: Option<String>,
    /// By default the Kafka timestamp.
    pub event_time: Option<String>,
    pub partition_by: String,
}

pub struct Topic {
    settings: KafkaSettings,
    name: Arc<str>,
    starts: Vec<(TopicPartition, Position)>,
    records: u64,
}

impl Topic {
    pub fn find(settings: &KafkaSettings, name: &str) -> Result<Self> {
        let name: Arc<str> = name.into();
        let broker = KafkaBroker::new(settings, Duration::from_secs(10))?;
        let described = broker
            .describe(std::slice::from_ref(&name))?
            .pop()
            .context("no answer")??;
        let partitions: Vec<_> = described
            .partitions
            .iter()
            .map(|number| TopicPartition::new(name.clone(), *number))
            .collect();
        let mut records = 0;
        let mut starts = Vec::new();
        for (partition, log) in partitions.iter().zip(broker.offsets(&partitions)?) {
            let log = log?;
            records += log.end.abs_diff(log.start);
            starts.push((partition.clone(), Position::new(log.start, None)));
        }
        Ok(Self {
            settings: settings.clone(),
            name,
            starts,
            records,
        })
    }

    /// Records in all partitions. `produce.py` leaves no gaps.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Reads at least `most` records from the start with a client of its own; says how many it were.
    pub fn read(&self, most: u64, mut each: impl FnMut(&[Record<'_>])) -> Result<u64> {
        let mut source = KafkaSource::new(&self.settings)?;
        source.subscribe(&Subscription::Static(
            self.starts.iter().map(|(tp, _)| tp.clone()).collect(),
        ));
        let (mut read, mut assigned, mut failed) = (0, false, None);
        while read < most && failed.is_none() {
            let mut start = false;
            source.poll(Duration::from_millis(100), &mut |event| match event {
                SourceEvent::Assigned(_) => start = !assigned,
                SourceEvent::Records { records, .. } => {
                    read += records.len() as u64;
                    each(records);
                }
                SourceEvent::PartitionError { tp, error } => failed = Some(format!("{tp}: {error}")),
                SourceEvent::Fatal(reason) | SourceEvent::Outage(reason) => failed = Some(reason),
                SourceEvent::Positions(_) | SourceEvent::Revoked(_) | SourceEvent::Lost(_) => {}
            });
            if start {
                source.start(&self.starts);
                assigned = true;
            }
        }
        match failed {
            Some(reason) => bail!(reason),
            None => Ok(read),
        }
    }

    /// The first records, in the batches in which the source hands them out, and the table that they ask for.
    pub fn sample(&self, records: usize, work: &Work) -> Result<Sample> {
        let mut batches = Vec::new();
        self.read(records as u64, |records| batches.push(Batch::copy(records)))?;
        let first: Vec<Record<'_>> = batches
            .iter()
            .flat_map(Batch::records)
            .take(INFERRED_FROM)
            .collect();
        let mut settings = DecodeSettings::new(&*self.name, work.values.format());
        settings.event_time = work.event_time.clone();
        settings.infer = work.ddl.is_none();
        if work.values != Values::Json {
            settings.writers = WriterSchemas::of_registry();
        }
        for id in settings.missing(&first) {
            let schema = &work.schema;
            match work.values {
                Values::Json => bail!("JSON without a schema names one"),
                Values::Avro => settings.writers.learn_avro(id, schema, &[]),
                Values::Protobuf => settings.writers.learn_protobuf(id, schema, &[]),
                Values::JsonSchema => settings.writers.learn_json(id, schema, &[]),
            }
        }
        let columns = match &work.ddl {
            Some(ddl) => parse_ddl(ddl)?,
            None => infer(&first, &settings)?,
        };
        let schema = create_schema(&columns, &settings)?;
        Ok(Sample {
            table: Table::new(schema, &work.partition_by)?,
            settings,
            batches,
        })
    }
}

/// Records in memory.
pub struct Sample {
    pub settings: DecodeSettings,
    pub table: Table,
    pub batches: Vec<Batch>,
}

impl Sample {
    pub fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.records.len()).sum()
    }

    /// Of all values.
    pub fn bytes(&self) -> u64 {
        self.batches.iter().map(|batch| batch.values.len() as u64).sum()
    }
}

/// The records of one poll, copied.
#[derive(Default)]
pub struct Batch {
    records: Vec<(i32, i64, Option<i64>, Range<usize>)>,
    values: Vec<u8>,
}

impl Batch {
    fn copy(records: &[Record<'_>]) -> Self {
        let mut batch = Self::default();
        for record in records {
            let start = batch.values.len();
            batch.values.extend_from_slice(record.value.unwrap_or_default());
            let value = start..batch.values.len();
            batch
                .records
                .push((record.partition, record.offset, record.timestamp, value));
        }
        batch
    }

    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.records
            .iter()
            .map(|(partition, offset, timestamp, value)| Record {
                partition: *partition,
                offset: *offset,
                timestamp: *timestamp,
                key: None,
                value: self.values.get(value.clone()),
                headers: &NoHeaders,
            })
    }
}
