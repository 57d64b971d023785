//! The schemas that records name, as the registry has them.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::anyhow;
use tabletopic_fixture::{Captured, Schema};
use tabletopic_ingest::Job;
use tabletopic_records::Record;
use tabletopic_registry::Answer;

use crate::config::Config;
use crate::parts;

/// Of all jobs of the topic. An id that the registry does not have is warned of: the record is bad for `run`, too.
pub async fn of(config: &Config, jobs: &[Arc<Job>], records: &[Captured]) -> anyhow::Result<Vec<Schema>> {
    let records: Vec<Record<'_>> = records.iter().map(Captured::as_record).collect();
    let ids: BTreeSet<_> = jobs.iter().flat_map(|job| job.decode.missing(&records)).collect();
    let Some(registry) = parts::registry(config)? else {
        return Ok(Vec::new());
    };
    let mut schemas = Vec::with_capacity(ids.len());
    for id in ids {
        match registry
            .schema(id)
            .await
            .map_err(|outage| anyhow!("schema {id}: {outage}"))?
        {
            Answer::Schema(schema) => schemas.push(Schema::of(id, schema)),
            Answer::NoSuchId => tracing::warn!("the registry has no schema {id}, which a record names"),
            Answer::Unusable(why) => {
                tracing::warn!("schema {id}, which a record names, cannot be used: {why}")
            }
        }
    }
    Ok(schemas)
}
