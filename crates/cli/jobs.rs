//! From configured topics to jobs.

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::Arc;

use anyhow::Context;
use iceberg::spec::NestedFieldRef;
use tabletopic_decode::{DecodeSettings, Format, Key, Part, WriterSchemas, parse_ddl};
use tabletopic_ingest::{Job, Matched, Patterns, Start};
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
        ddl: topic.ddl.as_deref().map(columns).transpose()?,
        partition_by: topic.partition_by.clone(),
        start: match topic.start {
            config::Start::Earliest => Start::Earliest,
            config::Start::Latest => Start::Latest,
            config::Start::Timestamp(at) => Start::Timestamp(at),
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
    let key = topic.key.as_ref().map(|key| {
        let (file, message) = (key.schema_file.as_deref(), key.message.as_deref());
        anyhow::Ok(Key {
            column: key.column.clone(),
            format: key.format,
            writers: writers(key.format, Part::Key, file, message, registered)?,
        })
    });
    let (file, message) = (topic.schema_file.as_deref(), topic.message.as_deref());
    Ok(DecodeSettings {
        writers: writers(topic.decode.format, Part::Value, file, message, registered)?,
        key: key.transpose()?,
        ..topic.decode.clone()
    })
}

/// Where the schemas of one part of the records are.
fn writers(
    format: Format,
    part: Part,
    file: Option<&Path>,
    message: Option<&str>,
    registered: &WriterSchemas,
) -> anyhow::Result<WriterSchemas> {
    Ok(match (format, file) {
        (Format::Raw | Format::Json, _) => WriterSchemas::default(),
        (Format::Avro | Format::Protobuf, None) => registered.clone(),
        (Format::Avro, Some(file)) => of_file(file, WriterSchemas::of_avro_file(&read(file)?, part))?,
        (Format::Protobuf, Some(file)) => {
            let schemas = match ProtobufFile::of(file) {
                Some(ProtobufFile::DescriptorSet) => {
                    let bytes = std::fs::read(file).with_context(|| cannot_read(file))?;
                    WriterSchemas::of_descriptor_set(&bytes, message)
                }
                Some(ProtobufFile::Proto) | None => {
                    let beside = file.parent().unwrap_or(Path::new("")).to_owned();
                    let import = move |name: &str| imported(&beside, name);
                    WriterSchemas::of_proto_file(&read(file)?, message, import)
                }
            };
            of_file(file, schemas)?
        }
    })
}

fn of_file(file: &Path, schemas: Result<WriterSchemas, String>) -> anyhow::Result<WriterSchemas> {
    schemas.map_err(|problem| anyhow::anyhow!("{}: {problem}", file.display()))
}

/// A file that a `.proto` file imports. Its name leads downwards, as `protoc` wants it.
fn imported(beside: &Path, name: &str) -> Option<String> {
    let is_below = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    is_below
        .then(|| std::fs::read_to_string(beside.join(name)).ok())
        .flatten()
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
