//! `status`: how far the tables are, how far behind, and what stands still, from the tables and the brokers alone.

mod health;
mod text;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tabletopic_ingest::Matched;
use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::observe::Report;
use tabletopic_ingest::observe::look::look;
use tabletopic_source::{Broker, BrokerError};

use super::{environment, jobs_of, resolve_command, runtime};
use crate::args::{Output, Status};
use crate::config::Config;
use crate::exit::Exit;
use crate::jobs::Jobs;
use crate::progress::Progress;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &Status) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    if !asked.health.is_empty() {
        return runtime()?.block_on(health::all(&config, asked));
    }
    let report = runtime()?.block_on(report(&config, asked, resolve_command(file)?))?;
    let mut out = anstream::stdout().lock();
    match asked.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        Output::Text => write!(out, "{}", text::Shown(&report))?,
    }
    Ok(exit(&report))
}

async fn report(config: &Config, asked: &Status, resolve: String) -> anyhow::Result<Report> {
    let broker = Arc::new(parts::broker(&config.kafka)?);
    let mut now = now(&Jobs::new(config), broker.as_ref())?;
    if let Some(table) = &asked.table {
        now.jobs = jobs_of(now.jobs, table)?;
        now.refused.clear();
    }
    let lake = parts::lake_to_ask(config).await?;
    let report = look(&lake, &OnThreads::new(broker), now, resolve).await;
    report.context("the tables can't be looked at")
}

/// Where the brokers can't be reached, what the configuration names is shown all the same.
fn now(jobs: &Jobs, broker: &dyn Broker) -> anyhow::Result<Matched> {
    match jobs.now(broker) {
        Err(error) if error.is::<BrokerError>() => {
            let named = jobs.named()?;
            if named.is_empty() {
                return Err(error);
            }
            tracing::warn!("topics that patterns match are not shown: {error}");
            Ok(Matched {
                jobs: named,
                ..Matched::default()
            })
        }
        now => now,
    }
}

fn exit(report: &Report) -> Exit {
    if !report.halts.is_empty() {
        Exit::Halted
    } else if report.broker_error.is_some() {
        Exit::Later
    } else {
        Exit::Done
    }
}
