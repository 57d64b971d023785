//! `plan`: what `run` would make of the topics, or of a schema, without doing it.

mod json;
mod schema;
mod text;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::plan::{self as planning, Plan};
use tabletopic_ingest::run::{RunError, Sources};
use tabletopic_ingest::{Job, Matched};
use tabletopic_source::BrokerError;

use super::run::KafkaSources;
use super::{environment, first_of, runtime};
use crate::args::{Output, Plan as Asked};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::jobs::Jobs;
use crate::{logging, parts};

/// Topics that are looked at together; each has a Kafka client of its own.
const AT_ONCE: usize = 4;

/// What a plan says of one topic.
#[derive(Debug)]
struct Planned {
    topic: Arc<str>,
    /// `None` if it does not come to one.
    table: Option<String>,
    plan: Result<Plan, Failure>,
}

/// Why there is no plan for a topic.
#[derive(Debug)]
struct Failure {
    message: String,
    /// What a run would leave with, or do.
    exit: Exit,
}

impl Planned {
    fn exit(&self) -> Exit {
        match &self.plan {
            Ok(plan) if plan.halts.is_empty() => Exit::Done,
            Ok(_) => Exit::Halted,
            Err(failure) => failure.exit,
        }
    }
}

pub fn run(file: &Path, asked: &Asked) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, std::io::stderr);
    if let Some(asked_for) = schema::asked(asked) {
        return schema::run(&config, asked, &asked_for);
    }
    let plans = runtime()?.block_on(look(&config, asked))?;
    let exit = Exit::first_of(plans.iter().map(Planned::exit));
    let mut out = io::stdout().lock();
    match asked.output {
        Output::Text => text::print(&plans, &mut out)?,
        Output::Json => writeln!(out, "{:#}", json::of(exit, &plans)?)?,
    }
    Ok(exit)
}

async fn look(config: &Config, asked: &Asked) -> anyhow::Result<Vec<Planned>> {
    let broker = Arc::new(parts::broker(&config.kafka)?);
    let Matched { jobs, refused } = wanted(Jobs::new(config).now(broker.as_ref())?, &asked.topics)?;
    let lake = parts::lake_as_it_is(config).await?;
    let broker = OnThreads::new(broker);
    let sources: Arc<dyn Sources> = Arc::new(KafkaSources::new(config));
    let registry = parts::registry(config)?;
    let plan = |job: Arc<Job>| {
        let (lake, broker, sources, registry) = (&lake, &broker, &sources, registry.as_deref());
        async move {
            let plan = planning::plan(lake, broker, sources, registry, &job).await;
            Ok(Planned {
                topic: job.topic.clone(),
                table: Some(job.table.to_string()),
                plan: match plan {
                    // It would be the same for every topic.
                    Err(error @ RunError::Broker(BrokerError::Unreachable { .. })) => return Err(error),
                    plan => plan.map_err(Failure::of),
                },
            })
        }
    };
    let planned = stream::iter(jobs).map(plan).buffered(AT_ONCE);
    let mut planned: Vec<Planned> = planned.try_collect().await?;
    planned.extend(refused.into_iter().map(|(topic, message)| Planned {
        topic,
        table: None,
        plan: Err(Failure {
            message,
            exit: Exit::Halted,
        }),
    }));
    Ok(planned)
}

impl Failure {
    fn of(error: RunError) -> Self {
        let message = error.to_string();
        Self {
            message,
            exit: Exit::of(&error.into()),
        }
    }
}

/// These topics; all of them if none is named.
fn wanted(mut now: Matched, topics: &[String]) -> Result<Matched, UsageError> {
    if topics.is_empty() {
        return Ok(now);
    }
    let known = |topic: &&String| {
        now.refused.contains_key(topic.as_str()) || now.jobs.iter().any(|job| *job.topic == ***topic)
    };
    if let Some(unknown) = topics.iter().find(|topic| !known(topic)) {
        let names = now.jobs.iter().map(|job| &*job.topic);
        return Err(UsageError(format!(
            "the configuration has no topic {unknown}; it has: {}",
            first_of(names)
        )));
    }
    let named = |topic: &str| topics.iter().position(|named| named == topic);
    now.jobs.retain(|job| named(&job.topic).is_some());
    now.jobs.sort_by_key(|job| named(&job.topic));
    now.refused.retain(|topic, _| named(topic).is_some());
    Ok(now)
}
