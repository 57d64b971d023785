//! What a run would stand still at: a table that was rolled back, a topic that was created again, records that are
//! gone from the broker.

use std::sync::Arc;

use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::observe::HaltReport;
use tabletopic_ingest::observe::look::look;

use super::finding::Finding;
use crate::config::Config;
use crate::exit::Exit;
use crate::jobs::Jobs;
use crate::parts;

/// Looks at the tables that are there. `resolve` is how the answers to a halt are called.
///
/// # Errors
/// The catalog, the store or the broker can't be asked.
pub async fn existing(config: &Config, resolve: String) -> anyhow::Result<Vec<Finding>> {
    let Some(lake) = parts::existing_lake(config).await? else {
        return Ok(Vec::new());
    };
    let broker = Arc::new(parts::broker(&config.kafka)?);
    let now = Jobs::new(config).now(broker.as_ref())?;
    let report = look(&lake, &OnThreads::new(broker), now, resolve).await?;
    Ok(report.halts.into_iter().map(finding).collect())
}

fn finding(halt: HaltReport) -> Finding {
    let subject = match (halt.table, halt.job, halt.partition) {
        (_, Some(job), Some(partition)) => format!("job {job}, partition {partition}"),
        (_, Some(job), None) => format!("job {job}"),
        (table, None, _) => format!("table {}", table.unwrap_or_default()),
    };
    Finding::fail(Exit::Halted, subject, format!("stands still: {}", halt.message))
}
