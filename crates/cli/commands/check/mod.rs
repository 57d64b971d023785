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

use super::{environment, first_of, resolve_command, runtime};
use crate::args::{Check, Output};
use crate::config::{Config, ConfigError, Pattern};
use crate::exit::Exit;
use crate::{logging, parts};
use finding::Finding;

pub fn run(file: &Path, check: &Check) -> anyhow::Result<Exit> {
    let findings = match Config::load(file, &environment) {
        Ok(config) => {
            logging::start(&config.log, std::io::stderr);
            let read = read(&config);
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
    let warehouse = parts::warehouse_uri(&config.catalog)?;
    let (of_brokers, matched) = brokers::look(config);
    findings.extend(of_brokers);
    runtime()?.block_on(async {
        findings.extend(registry::look(config).await);
        let store = warehouse.map(|uri| (parts::warehouse_store(config, Arc::default()), uri));
        match store {
            Some((Err(error), warehouse)) => findings.push(warehouse::unopened(&warehouse, &error)),
            opened => {
                if let Some((Ok(store), warehouse)) = opened {
                    findings.push(warehouse::probe(&store.file_io, &warehouse).await);
                }
                findings.extend(tables::existing(config, &matched).await);
            }
        }
        // What can't be reached, or does not fit, was said already.
        if finding::exit(&findings) == Exit::Done {
            findings.extend(halts::existing(config, resolve_command(file)?).await?);
        }
        Ok(findings)
    })
}

/// What the configuration names.
fn read(config: &Config) -> String {
    let topics = config.topics.iter().map(|topic| topic.name.as_str());
    let patterns = config.patterns.iter().map(Pattern::as_str);
    let named = [("topics", topics.collect()), ("patterns", patterns.collect())];
    let named: Vec<String> = named
        .into_iter()
        .filter(|(_, names): &(_, Vec<&str>)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", first_of(names.into_iter())))
        .collect();
    named.join("; ")
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
