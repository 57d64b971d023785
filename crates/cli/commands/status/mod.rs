//! `status`: how far the tables are, how far behind, and what stands still, from the tables and the brokers alone.

mod text;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tabletopic_ingest::Job;
use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::observe::Report;
use tabletopic_ingest::observe::look::look;

use super::{catalog_is_there, environment, jobs_of, resolve_command, runtime};
use crate::args::{Output, Status};
use crate::config::Config;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &Status) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    let report = runtime()?.block_on(report(&config, asked, resolve_command(file)?))?;
    let mut out = anstream::stdout().lock();
    match asked.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        Output::Text => write!(out, "{}", text::Shown(&report))?,
    }
    Ok(exit(&report))
}

async fn report(config: &Config, asked: &Status, resolve: String) -> anyhow::Result<Report> {
    let jobs: Vec<Arc<Job>> = jobs_of(config, asked.table.as_deref())?;
    catalog_is_there(config)?;
    let lake = parts::lake(config, Arc::default()).await?;
    let broker = OnThreads(Arc::new(parts::broker(&config.kafka)?));
    let report = look(&lake, &broker, jobs, resolve).await;
    report.context("the tables can't be looked at")
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
