//! `plan`: what `run` would make of the topics, or of a schema, without doing it.

mod json;
mod schema;
mod text;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use tabletopic_ingest::Job;
use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::plan::{self as planning, Plan};
use tabletopic_ingest::run::Sources;

use super::run::KafkaSources;
use super::{environment, runtime};
use crate::args::{Output, Plan as Asked};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::{jobs, logging, parts};

pub fn run(file: &Path, asked: &Asked) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, std::io::stderr);
    if let Some(asked_for) = schema::asked(asked) {
        return schema::run(&config, asked, &asked_for);
    }
    let plans = runtime()?.block_on(look(&config, asked))?;
    let exit = match plans.iter().all(|plan| plan.halts.is_empty()) {
        true => Exit::Done,
        false => Exit::Halted,
    };
    let mut out = io::stdout().lock();
    match asked.output {
        Output::Text => {
            for plan in &plans {
                text::print(plan, &mut out)?;
            }
        }
        Output::Json => writeln!(out, "{:#}", json::of(exit, &plans)?)?,
    }
    Ok(exit)
}

async fn look(config: &Config, asked: &Asked) -> anyhow::Result<Vec<Plan>> {
    let jobs = wanted(jobs::jobs(config)?, &asked.topics)?;
    let lake = parts::lake_as_it_is(config).await?;
    let broker = OnThreads(Arc::new(parts::broker(&config.kafka)?));
    let sources: Arc<dyn Sources> = Arc::new(KafkaSources::new(&config.kafka));
    let registry = parts::registry(config)?;
    let mut plans = Vec::new();
    for job in &jobs {
        plans.push(planning::plan(&lake, &broker, &sources, registry.as_deref(), job).await?);
    }
    Ok(plans)
}

/// The jobs of these topics; all of them if none is named.
fn wanted(jobs: Vec<Arc<Job>>, topics: &[String]) -> anyhow::Result<Vec<Arc<Job>>> {
    if topics.is_empty() {
        return Ok(jobs);
    }
    let names = || -> Vec<&str> { jobs.iter().map(|job| &*job.topic).collect() };
    if let Some(unknown) = topics.iter().find(|topic| !names().contains(&topic.as_str())) {
        let message = format!(
            "the configuration has no topic {unknown}; it has: {}",
            names().join(", ")
        );
        return Err(UsageError(message).into());
    }
    let named = topics
        .iter()
        .filter_map(|topic| jobs.iter().find(|job| *job.topic == **topic));
    Ok(named.cloned().collect())
}
