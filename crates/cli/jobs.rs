//! From configured topics to jobs.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use iceberg::spec::NestedFieldRef;
use tabletopic_decode::{DecodeSettings, Format, Key, Part, Recursive, WriterSchemas, parse_ddl};
use tabletopic_ingest::{Backfill, Job, Matched, Patterns, Start};
use tabletopic_offsets::JobId;
use tabletopic_source::Broker;
use tabletopic_table::file::FileSettings;

use crate::config::{self, Config, ProtobufFile, Topic};
use crate::parts::table_ident;

/// Makes the jobs of a configuration. What the registry says, all of them know.
#[derive(Debug)]
pub struct Jobs {
    config: Config,
    pub registered: WriterSchemas,
}

impl Jobs {
    pub fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            registered: WriterSchemas::of_registry(),
        }
    }

    /// One for each topic that has a name.
    ///
    /// # Errors
    /// A file that the configuration names can't be read.
    pub fn named(&self) -> anyhow::Result<Vec<Arc<Job>>> {
        let topics = self.config.topics.iter();
        topics
            .map(|topic| job(topic, &self.registered).map(Arc::new))
            .collect()
    }

    /// One for each topic that has a name, and for each that `broker` has now and a pattern matches. It is not asked if
    /// there is no pattern.
    ///
    /// # Errors
    /// As [`named`](Self::named); the broker does not answer.
    pub fn now(&self, broker: &dyn Broker) -> anyhow::Result<Matched> {
        let mut now = match self.config.patterns.is_empty() {
            true => Matched::default(),
            false => self.matched(&broker.topics()?, &BTreeSet::new()),
        };
        now.jobs = [self.named()?, now.jobs].concat();
        Ok(now)
    }

    /// Who finds the jobs of topics that patterns match; `None` if there is no pattern.
    pub fn patterns(self: &Arc<Self>) -> Option<Arc<dyn Patterns>> {
        (!self.config.patterns.is_empty()).then(|| self.clone() as Arc<dyn Patterns>)
    }
}

impl Patterns for Jobs {
    fn matched(&self, topics: &[Arc<str>], running: &BTreeSet<Arc<str>>) -> Matched {
        let config::Matched { topics, refused } = self.config.matched(topics, running);
        let mut matched = Matched {
            jobs: Vec::new(),
            refused,
        };
        for topic in &topics {
            match job(topic, &self.registered) {
                Ok(job) => matched.jobs.push(Arc::new(job)),
                Err(error) => {
                    let why = format!("topic {} is not read: {error:#}", topic.name);
                    matched.refused.insert(topic.name.as_str().into(), why);
                }
            }
        }
        matched
    }
}

fn job(topic: &Topic, registered: &WriterSchemas) -> anyhow::Result<Job> {
    Ok(Job {
        id: JobId::new(topic.job.as_str()),
        topic: topic.name.as_str().into(),
        table: table_ident(&topic.table)?,
        decode: decode(topic, registered)?,
        shape: topic.shape.clone(),
        ddl: topic.ddl.as_deref().map(columns).transpose()?,
        partition_by: topic.partition_by.clone(),
        start: match topic.start {
            config::Start::Earliest => Start::Earliest,
            config::Start::Latest => Start::Latest,
            config::Start::Timestamp(at) => Start::Timestamp(at),
        },
        backfill: match topic.backfill {
            config::Backfill::First => Backfill::First,
            config::Backfill::Behind => Backfill::Behind,
        },
        partitions: topic.partitions.clone(),
        files: FileSettings {
            target_file_size: usize::try_from(topic.commit.target_file_size).unwrap_or(usize::MAX),
            ..FileSettings::default()
        },
        commit_interval: topic.commit.interval,
    })
}

/// How a topic is decoded; `registered` are the schemas of the registry.
pub fn decode(topic: &Topic, registered: &WriterSchemas) -> anyhow::Result<DecodeSettings> {
    let recursive = topic.decode.recursive;
    let writers = |part, format, file: &Option<PathBuf>, message: &Option<String>| {
        let Some(file) = file else {
            return Ok(match format {
                Format::Raw | Format::Json => WriterSchemas::default(),
                Format::Avro | Format::JsonSchema | Format::Protobuf => registered.clone(),
            });
        };
        let schemas = match format {
            Format::Raw | Format::Json => return Ok(WriterSchemas::default()),
            Format::Avro => avro(file, part, recursive)?,
            Format::JsonSchema => json_schema(file, recursive)?,
            Format::Protobuf => protobuf(file, message.as_deref(), recursive)?,
        };
        schemas.map_err(|problem| anyhow::anyhow!("{}: {problem}", file.display()))
    };
    let key = topic.key.as_ref().map(|key| {
        anyhow::Ok(Key {
            column: key.column.clone(),
            format: key.format,
            writers: writers(Part::Key, key.format, &key.schema_file, &key.message)?,
        })
    });
    Ok(DecodeSettings {
        writers: writers(
            Part::Value,
            topic.decode.format,
            &topic.schema_file,
            &topic.message,
        )?,
        key: key.transpose()?,
        ..topic.decode.clone()
    })
}

/// An Avro schema in a file, or what is wrong with it.
pub fn avro(file: &Path, part: Part, recursive: Recursive) -> anyhow::Result<Result<WriterSchemas, String>> {
    let schemas = WriterSchemas::of_avro_file(&read(file)?, part);
    Ok(schemas.and_then(|schemas| schemas.allowed(recursive)))
}

/// The same of a JSON Schema.
pub fn json_schema(file: &Path, recursive: Recursive) -> anyhow::Result<Result<WriterSchemas, String>> {
    let schemas = WriterSchemas::of_json_schema_file(&read(file)?, imports_beside(file));
    Ok(schemas.and_then(|schemas| schemas.allowed(recursive)))
}

/// A Protobuf message whose schema is in a file. Without a name, the only one.
pub fn protobuf(
    file: &Path,
    message: Option<&str>,
    recursive: Recursive,
) -> anyhow::Result<Result<WriterSchemas, String>> {
    let schemas = match ProtobufFile::of(file) {
        Some(ProtobufFile::DescriptorSet) => {
            let bytes = std::fs::read(file).with_context(|| cannot_read(file))?;
            WriterSchemas::of_descriptor_set(&bytes, message)
        }
        Some(ProtobufFile::Proto) | None => {
            WriterSchemas::of_proto_file(&read(file)?, message, imports_beside(file))
        }
    };
    Ok(schemas.and_then(|schemas| schemas.allowed(recursive)))
}

/// The message that a `.proto` file declares first.
pub fn first_message(file: &Path, recursive: Recursive) -> anyhow::Result<Result<WriterSchemas, String>> {
    let schemas = WriterSchemas::of_first_message(&read(file)?, imports_beside(file));
    Ok(schemas.and_then(|schemas| schemas.allowed(recursive)))
}

/// The files that a schema's file refers to. Their names lead downwards, as `protoc` wants it.
fn imports_beside(file: &Path) -> impl Fn(&str) -> Option<String> + 'static {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    move |name| {
        let is_below = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        is_below
            .then(|| std::fs::read_to_string(folder.join(name)).ok())
            .flatten()
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| cannot_read(file))
}

fn cannot_read(file: &Path) -> String {
    format!("cannot read {}", file.display())
}

fn columns(ddl: &Path) -> anyhow::Result<Vec<NestedFieldRef>> {
    let text = read(ddl)?;
    parse_ddl(&text).with_context(|| ddl.display().to_string())
}
