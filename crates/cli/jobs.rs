//! From configured topics to jobs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use iceberg::spec::NestedFieldRef;
use tabletopic_decode::parse_ddl;
use tabletopic_ingest::{Job, Start};
use tabletopic_offsets::JobId;
use tabletopic_table::file::FileSettings;

use crate::config::{self, Config, Topic};
use crate::parts::table_ident;

/// One job for each topic.
pub fn jobs(config: &Config) -> anyhow::Result<Vec<Arc<Job>>> {
    config
        .topics
        .iter()
        .map(|topic| job(topic).map(Arc::new))
        .collect()
}

fn job(topic: &Topic) -> anyhow::Result<Job> {
    Ok(Job {
        id: JobId::new(topic.job.as_str()),
        topic: topic.name.as_str().into(),
        table: table_ident(&topic.table)?,
        decode: topic.decode.clone(),
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

fn columns(ddl: &Path) -> anyhow::Result<Vec<NestedFieldRef>> {
    let text = std::fs::read_to_string(ddl).with_context(|| format!("cannot read {}", ddl.display()))?;
    parse_ddl(&text).with_context(|| ddl.display().to_string())
}
