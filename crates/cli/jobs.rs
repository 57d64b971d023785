//! From configured topics to jobs.

use std::path::{Component, Path};
use std::sync::Arc;

use anyhow::Context;
use iceberg::spec::NestedFieldRef;
use tabletopic_decode::{DecodeSettings, Format, WriterSchemas, parse_ddl};
use tabletopic_ingest::{Job, Start};
use tabletopic_offsets::JobId;
use tabletopic_table::file::FileSettings;

use crate::config::{self, Config, ProtobufFile, Topic};
use crate::parts::table_ident;

/// One job for each topic. What the registry says, all of them know.
pub fn jobs(config: &Config) -> anyhow::Result<Vec<Arc<Job>>> {
    let registered = WriterSchemas::of_registry();
    config
        .topics
        .iter()
        .map(|topic| job(topic, &registered).map(Arc::new))
        .collect()
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
    let writers = match (topic.decode.format, &topic.schema_file) {
        (Format::Raw | Format::Json, _) => WriterSchemas::default(),
        (Format::Avro | Format::Protobuf, None) => registered.clone(),
        (Format::Avro, Some(file)) => of_file(file, WriterSchemas::of_avro_file(&read(file)?))?,
        (Format::Protobuf, Some(file)) => {
            let message = topic.message.as_deref();
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
    };
    Ok(DecodeSettings {
        writers,
        ..topic.decode.clone()
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
