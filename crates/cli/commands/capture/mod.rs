//! `capture`: a small slice of a topic as one file.

mod masked;
mod schemas;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use tabletopic_clock::{Clock, SystemClock};
use tabletopic_decode::Format;
use tabletopic_fixture::{Header, Share, VERSION, newest, oldest, print, take};
use tabletopic_ingest::Job;
use tabletopic_query::output::WholeFile;
use tabletopic_source::{Broker, KafkaSource, LogOffsets, TopicDescription};

use super::{environment, first_of, runtime};
use crate::args::{Capture, CaptureFrom, Output};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::jobs::Jobs;
use crate::{logging, parts};
use masked::{Applied, Masked};

pub fn run(file: &Path, asked: &Capture) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, std::io::stderr);
    let broker = parts::broker(&config.kafka)?;
    let jobs = jobs_of(&config, &broker, &asked.topic)?;
    let masked = Masked::new(asked, &jobs)?;
    let topic: Arc<str> = asked.topic.as_str().into();
    let description = describe(&broker, &topic)?;
    let shares = shares(&broker, &description, asked)?;
    let mut source = KafkaSource::new(&parts::kafka_settings(&config.kafka))?;
    let mut records = take(&mut source, &SystemClock, &topic, &shares)?;
    if asked.drop_headers {
        // Schema ids may be in them: they are looked for in what is kept.
        records
            .iter_mut()
            .for_each(|captured| captured.record.headers.clear());
    }
    let schemas = runtime()?.block_on(schemas::of(&config, &jobs, &records))?;
    let applied = masked.apply(records)?;
    let header = Header {
        tabletopic_capture: VERSION,
        topic: asked.topic.clone(),
        partitions: i32::try_from(description.partitions.len()).unwrap_or(i32::MAX),
        format: formats(&jobs),
        captured_at: now(),
        masked: applied.values.keys().cloned().collect(),
        key_masked: asked.mask_key,
        left_out: applied.left_out,
        schemas,
    };
    let text = print(&header, &applied.records)?;
    write(&asked.to, &text)?;
    let done = Done::of(asked, &header, applied, text.len());
    let mut out = anstream::stdout().lock();
    match asked.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&done)?)?,
        Output::Text => writeln!(out, "{}", done.says())?,
    }
    Ok(Exit::Done)
}

/// Those of the topic; it is one of the configuration, which says how its records are to be read.
fn jobs_of(config: &Config, broker: &dyn Broker, topic: &str) -> anyhow::Result<Vec<Arc<Job>>> {
    let all = Jobs::new(config).now(broker)?.jobs;
    let of_topic: Vec<Arc<Job>> = all.iter().filter(|job| *job.topic == *topic).cloned().collect();
    if of_topic.is_empty() {
        let names: std::collections::BTreeSet<&str> = all.iter().map(|job| &*job.topic).collect();
        return Err(UsageError(format!(
            "the configuration has no topic {topic}; it has: {}",
            first_of(names.into_iter())
        ))
        .into());
    }
    Ok(of_topic)
}

fn describe(broker: &dyn Broker, topic: &Arc<str>) -> anyhow::Result<TopicDescription> {
    let mut described = broker.describe(std::slice::from_ref(topic))?;
    let described = described.pop().context("the broker said nothing of the topic")?;
    described.with_context(|| format!("topic {topic}"))
}

/// What is read of each partition.
fn shares(
    broker: &dyn Broker,
    description: &TopicDescription,
    asked: &Capture,
) -> anyhow::Result<BTreeMap<i32, Share>> {
    let partitions = description.topic_partitions();
    let mut logs = BTreeMap::<i32, LogOffsets>::new();
    for (tp, log) in partitions.iter().zip(broker.offsets(&partitions)?) {
        logs.insert(tp.partition, log.with_context(|| tp.to_string())?);
    }
    let records = asked.records.get();
    Ok(match asked.from {
        CaptureFrom::Newest => newest(&logs, records),
        CaptureFrom::Earliest => oldest(&logs, records),
        CaptureFrom::When(when) => {
            let at = broker.offsets_at(&partitions, when.at(SystemClock.now()))?;
            for (tp, at) in partitions.iter().zip(at) {
                let at = at.with_context(|| tp.to_string())?;
                if let Some(log) = logs.get_mut(&tp.partition) {
                    log.start = log.start.max(at);
                }
            }
            oldest(&logs, records)
        }
    })
}

fn formats(jobs: &[Arc<Job>]) -> String {
    let mut formats: Vec<&str> = jobs.iter().map(|job| name(job.decode.format)).collect();
    formats.dedup();
    formats.join(", ")
}

/// As the configuration has it.
fn name(format: Format) -> &'static str {
    match format {
        Format::Raw => "raw",
        Format::Json => "json",
        Format::JsonSchema => "json-schema",
        Format::Avro => "avro",
        Format::Protobuf => "protobuf",
    }
}

fn now() -> String {
    let now = DateTime::from_timestamp_millis(SystemClock.now()).unwrap_or_default();
    now.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    if text.len() > tabletopic_fixture::MOST_BYTES {
        anyhow::bail!(
            "these records take {} MiB as text, and {} are read again; capture fewer",
            text.len() >> 20,
            tabletopic_fixture::MOST_BYTES >> 20
        );
    }
    let cannot = || format!("cannot write {}", file.display());
    let mut whole = WholeFile::create(file).with_context(cannot)?;
    match whole.write_all(text.as_bytes()) {
        Ok(()) => whole.finish().with_context(cannot),
        Err(error) => {
            whole.abandon();
            Err(error).with_context(cannot)
        }
    }
}

/// What was written.
#[derive(Serialize)]
struct Done<'a> {
    topic: &'a str,
    file: &'a Path,
    records: usize,
    /// By partition: how many, and `[start, end)` of their offsets.
    partitions: BTreeMap<i32, (usize, i64, i64)>,
    bytes: usize,
    schemas: usize,
    /// Records that each mask was found in.
    masked: BTreeMap<String, u64>,
    masked_keys: u64,
    left_out: u64,
}

impl<'a> Done<'a> {
    fn of(asked: &'a Capture, header: &Header, applied: Applied, bytes: usize) -> Self {
        let mut partitions = BTreeMap::<i32, (usize, i64, i64)>::new();
        for captured in &applied.records {
            let of = partitions
                .entry(captured.partition)
                .or_insert((0, captured.offset, captured.offset));
            of.0 += 1;
            of.2 = captured.offset + 1;
        }
        Self {
            topic: &asked.topic,
            file: &asked.to,
            records: applied.records.len(),
            partitions,
            bytes,
            schemas: header.schemas.len(),
            masked: applied.values,
            masked_keys: applied.keys,
            left_out: applied.left_out,
        }
    }

    fn says(&self) -> String {
        let mut says = format!(
            "wrote {} records of {} partitions of {} to {} ({})",
            self.records,
            self.partitions.len(),
            self.topic,
            self.file.display(),
            bytesize::ByteSize(self.bytes as u64)
        );
        if self.schemas > 0 {
            says += &format!(", with {} schemas", self.schemas);
        }
        for (mask, records) in &self.masked {
            says += &format!("\nmasked {mask} in {records} records");
        }
        if self.masked_keys > 0 {
            says += &format!("\nmasked {} keys", self.masked_keys);
        }
        if self.left_out > 0 {
            says += &format!(
                "\nleft {} records out: their values are no JSON objects, and what is to be masked may be anywhere in them",
                self.left_out
            );
        }
        says
    }
}
