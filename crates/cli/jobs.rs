//! From configured topics to jobs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use iceberg::spec::NestedFieldRef;
use tabletopic_decode::{DecodeSettings, Format, WriterSchemas, parse_ddl};
use tabletopic_ingest::{Job, Start};
use tabletopic_offsets::JobId;
use tabletopic_table::file::FileSettings;

use crate::config::{self, Config, Topic};
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
    let writers = match (topic.decode.format, &topic.schema_file) {
        (Format::Avro, Some(file)) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let schema = WriterSchemas::of_avro_file(&text);
            schema.map_err(|problem| anyhow::anyhow!("{}: {problem}", file.display()))?
        }
        (Format::Avro, None) => registered.clone(),
        (Format::Raw | Format::Json, _) => WriterSchemas::default(),
    };
    Ok(DecodeSettings {
        writers,
        ..topic.decode.clone()
    })
}

fn columns(ddl: &Path) -> anyhow::Result<Vec<NestedFieldRef>> {
    let text = std::fs::read_to_string(ddl).with_context(|| format!("cannot read {}", ddl.display()))?;
    parse_ddl(&text).with_context(|| ddl.display().to_string())
}
