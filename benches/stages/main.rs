//! Stage ceilings: the CPU that each step of the pipeline takes alone, on the records of one real topic.
//!
//!     cargo bench --bench stages -- --topic bids --rounds 5 --event-time dateTime --partition-by 'day(dateTime)'
//!
//! One JSON object a line and measurement; `benches/table.py` makes medians of them. Each round measures every stage
//! once, so that whatever else the machine does falls on all of them.

mod appends;
mod cpu;
mod stage;
mod table;
mod topic;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use clap::Parser;
use futures::executor::block_on;
use iceberg::spec::Struct;
use object_store::ObjectStoreExt;
use tabletopic_clock::OsEntropy;
use tabletopic_records::Record;
use tabletopic_source::KafkaSettings;
use tabletopic_table::file::{EncodedFile, FileNames, FileSettings, OpenFiles};
use tabletopic_table::storage::DurableLocal;

use appends::Appends;
use stage::{Measured, Stage};
use topic::{Sample, Topic, Values, Work};

/// The binary's own: librdkafka allocates through it too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Appends to the table in one round.
const APPENDS: u64 = 10;

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, env = "TABLETOPIC_TEST_BOOTSTRAP")]
    bootstrap: String,
    /// A topic of `produce.py bids`
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Records that the stages behind `consume` work on
    #[arg(long, default_value_t = 600_000)]
    sample: usize,
    /// Measure these alone; by default all
    #[arg(long, value_enum)]
    only: Vec<Stage>,
    /// What the values are; all but JSON is framed for a registry, with the schema of --schema
    #[arg(long, value_enum, default_value_t = Values::Json)]
    format: Values,
    /// The schema of all values
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The columns of JSON, instead of inferred ones
    #[arg(long, value_name = "FILE")]
    ddl: Option<PathBuf>,
    #[arg(long)]
    event_time: Option<String>,
    /// As in the configuration
    #[arg(long)]
    partition_by: String,
    /// Cargo passes it to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let topic = Topic::find(
        &KafkaSettings::new(&arguments.bootstrap, "tabletopic-bench"),
        &arguments.topic,
    )?;
    let work = Work {
        values: arguments.format,
        schema: read(arguments.schema)?.unwrap_or_default(),
        ddl: read(arguments.ddl)?,
        partition_by: arguments.partition_by,
        event_time: arguments.event_time,
    };
    let sample = topic.sample(arguments.sample, &work)?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _entered = runtime.enter();
    for round in 0..arguments.rounds {
        let mut bench = Round {
            topic: &topic,
            sample: &sample,
            folder: folder.path(),
            round,
        };
        for measured in bench.run()? {
            if arguments.only.is_empty() || arguments.only.contains(&measured.stage) {
                println!("{}", measured.line(round));
            }
        }
    }
    Ok(())
}

fn read(file: Option<PathBuf>) -> std::io::Result<Option<String>> {
    file.map(std::fs::read_to_string).transpose()
}

struct Round<'a> {
    topic: &'a Topic,
    sample: &'a Sample,
    folder: &'a Path,
    round: u32,
}

impl Round<'_> {
    /// Each stage works on what the one before it made.
    fn run(&mut self) -> Result<Vec<Measured>> {
        let records = self.sample.len() as u64;
        let (consumed, consume) = cpu::measure(|| self.topic.read(self.topic.len(), |_| ()))?;
        let mut batches = Vec::new();
        self.decode(|batch| batches.push(batch))?;
        // Dropped as a worker drops them: memory that is touched for the first time is no part of decoding.
        let ((), decode) = cpu::measure(|| self.decode(drop))?;
        let (parts, split) = cpu::measure(|| self.split(&batches))?;
        let (files, encode) = cpu::measure(|| self.encode(&parts, 3))?;
        let (small, encode_zstd1) = cpu::measure(|| self.encode(&parts, 1))?;
        let ((), upload) = cpu::measure(|| self.upload(&files))?;
        let mut appends = Appends::prepare(
            &self.folder.join(format!("round-{}", self.round)),
            &self.sample.table,
        )?;
        let units = appends.units(&parts, APPENDS)?;
        let ((), commit) = cpu::measure(|| appends.commit(units))?;
        ensure!(
            consumed == self.topic.len(),
            "{consumed} records instead of {}",
            self.topic.len()
        );
        Ok(vec![
            Measured::new(Stage::Consume, consumed, consume),
            Measured::new(Stage::Decode, records, decode).with_bytes(self.sample.bytes()),
            Measured::new(Stage::Split, records, split),
            Measured::new(Stage::Encode, records, encode).with_bytes(bytes(&files)),
            Measured::new(Stage::EncodeZstd1, records, encode_zstd1).with_bytes(bytes(&small)),
            Measured::new(Stage::Upload, records, upload),
            Measured::new(Stage::Commit, APPENDS, commit),
        ])
    }

    fn decode(&self, mut each: impl FnMut(RecordBatch)) -> Result<()> {
        let mut decoder = tabletopic_decode::decoder(&self.sample.settings, &self.sample.table.schema)?;
        for batch in &self.sample.batches {
            let records: Vec<Record<'_>> = batch.records().collect();
            let decoded = decoder.decode(&records)?;
            ensure!(
                decoded.bad.is_empty() && decoded.grown.is_empty(),
                "the sample does not fit its own schema"
            );
            each(decoded.batch);
        }
        Ok(())
    }

    fn split(&self, batches: &[RecordBatch]) -> Result<Vec<Vec<(Struct, RecordBatch)>>> {
        let splitter = self.sample.table.splitter()?;
        batches.iter().map(|batch| Ok(splitter.split(batch)?)).collect()
    }

    fn encode(&self, parts: &[Vec<(Struct, RecordBatch)>], zstd_level: i32) -> Result<Vec<EncodedFile>> {
        let settings = FileSettings {
            zstd_level,
            ..FileSettings::default()
        };
        let names = FileNames::new("file:///nowhere");
        let mut open = OpenFiles::new(settings, self.sample.table.file_schema()?, names);
        let mut files = Vec::new();
        for parts in parts {
            files.extend(open.write(parts, &OsEntropy)?);
        }
        files.extend(open.close_all(&OsEntropy)?);
        Ok(files)
    }

    fn upload(&self, files: &[EncodedFile]) -> Result<()> {
        let store = DurableLocal::new();
        for (number, file) in files.iter().enumerate() {
            let path = self.folder.join(format!("{}-{number}.parquet", self.round));
            let path = object_store::path::Path::from_absolute_path(&path)?;
            block_on(store.put(&path, file.payload.clone())).context("the file can't be stored")?;
        }
        Ok(())
    }
}

fn bytes(files: &[EncodedFile]) -> u64 {
    files
        .iter()
        .map(|file| file.payload.content_length() as u64)
        .sum()
}
