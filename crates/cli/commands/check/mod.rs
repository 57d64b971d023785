//! `check`: reaches everything that the configuration names, and says what is wrong and where.

mod brokers;
mod finding;
mod halts;
mod registry;
mod tables;
mod warehouse;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::{environment, resolve_command, runtime};
use crate::args::{Check, Output};
use crate::config::{Config, ConfigError};
use crate::exit::Exit;
use crate::{logging, parts};
use finding::Finding;

pub fn run(file: &Path, check: &Check) -> anyhow::Result<Exit> {
    let findings = match Config::load(file, &environment) {
        Ok(config) => {
            logging::start(&config.log, std::io::stderr);
            let topics: Vec<&str> = config.topics.iter().map(|topic| topic.name.as_str()).collect();
            let read = format!("topics: {}", topics.join(", "));
            let mut findings = vec![Finding::ok(file.display().to_string(), read)];
            findings.extend(look(&config, file, check.offline)?);
            findings
        }
        Err(error) => misconfigured(&error),
    };
    let exit = finding::exit(&findings);
    let mut out = std::io::stdout().lock();
    match check.output {
        Output::Text => findings
            .iter()
            .try_for_each(|finding| writeln!(out, "{finding}"))?,
        Output::Json => writeln!(
            out,
            "{:#}",
            json!({ "exit_code": exit as u8, "findings": findings })
        )?,
    }
    Ok(exit)
}

fn look(config: &Config, file: &Path, offline: bool) -> anyhow::Result<Vec<Finding>> {
    let mut findings = tables::declared(config);
    if offline {
        return Ok(findings);
    }
    let file_io = parts::storage(Arc::default());
    let warehouse = parts::warehouse_uri(&config.catalog)?;
    findings.extend(brokers::look(config));
    runtime()?.block_on(async {
        findings.extend(registry::look(config).await);
        findings.push(warehouse::probe(&file_io, &warehouse).await);
        findings.extend(tables::existing(config, warehouse, file_io).await);
        // What can't be reached, or does not fit, was said already.
        if finding::exit(&findings) == Exit::Done {
            findings.extend(halts::existing(config, resolve_command(file)?).await?);
        }
        Ok(findings)
    })
}

fn misconfigured(error: &ConfigError) -> Vec<Finding> {
    let place = |line: Option<usize>| match line {
        Some(line) => format!("{}:{line}", error.file.display()),
        None => error.file.display().to_string(),
    };
    let findings = error.problems.iter();
    findings
        .map(|problem| Finding::fail(Exit::Configuration, place(problem.line), problem.to_string()))
        .collect()
}
