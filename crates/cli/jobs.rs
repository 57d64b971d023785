//! From configured topics to jobs.

use std::path::{Component, Path};
use std::sync::Arc;

use anyhow::Context;
use iceberg::spec::NestedFieldRef;
use tabletopic_decode::{DecodeSettings, Format, Recursive, WriterSchemas, parse_ddl};
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
    let recursive = topic.decode.recursive;
    let writers = match (topic.decode.format, &topic.schema_file) {
        (Format::Raw | Format::Json, _) => WriterSchemas::default(),
        (Format::Avro | Format::JsonSchema | Format::Protobuf, None) => registered.clone(),
        (Format::Avro, Some(file)) => of_file(file, avro(file, recursive)?)?,
        (Format::JsonSchema, Some(file)) => of_file(file, json_schema(file, recursive)?)?,
        (Format::Protobuf, Some(file)) => {
            of_file(file, protobuf(file, topic.message.as_deref(), recursive)?)?
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

/// An Avro schema in a file, or what is wrong with it.
pub fn avro(file: &Path, recursive: Recursive) -> anyhow::Result<Result<WriterSchemas, String>> {
    let schemas = WriterSchemas::of_avro_file(&read(file)?);
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
