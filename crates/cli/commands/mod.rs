//! One file for each command.

mod check;
mod columns;
mod dead_letters;
mod demo;
mod plan;
mod resolve;
mod run;
mod sql;
mod status;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{bail, ensure};
use tabletopic_ingest::Job;

use crate::args::{Args, Command};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::jobs;

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Run(run) => run::run(&args.config, run),
        Command::Demo(demo) => demo::run(demo),
        Command::Plan(plan) => plan::run(&args.config, plan),
        Command::Check(check) => check::run(&args.config, check),
        Command::Resolve(resolve) => resolve::run(&args.config, resolve),
        Command::DeadLetters(letters) => dead_letters::run(&args.config, letters),
        Command::Status(status) => status::run(&args.config, status),
        Command::Sql(sql) => sql::run(&args.config, sql),
    }
}

/// The jobs of a table, or all: each with the settings of its topic.
fn jobs_of(config: &Config, table: Option<&str>) -> anyhow::Result<Vec<Arc<Job>>> {
    let names: Vec<String> = config
        .topics
        .iter()
        .map(|topic| topic.table.to_string())
        .collect();
    let named = jobs::jobs(config)?.into_iter().zip(&names);
    let wanted = named.filter(|(_, name)| table.is_none_or(|table| *name == table));
    let jobs: Vec<Arc<Job>> = wanted.map(|(job, _)| job).collect();
    if jobs.is_empty() {
        let message = format!(
            "no topic of the configuration feeds table {}; it has: {}",
            table.unwrap_or_default(),
            names.join(", ")
        );
        return Err(UsageError(message).into());
    }
    Ok(jobs)
}

/// Opening a catalog would make it.
fn catalog_is_there(config: &Config) -> anyhow::Result<()> {
    ensure!(
        config.catalog.uri.exists(),
        "the catalog {} is not there yet; `tabletopic run` makes it",
        config.catalog.uri.display()
    );
    Ok(())
}

/// Asks on a terminal; refuses where nobody can answer.
fn confirm(table: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("nothing was done: add --yes to do this to table {table} without being asked");
    }
    print!("Do this to table {table}? [y/N] ");
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => bail!("nothing was done"),
    }
}

/// How a command line begins that answers a halt under this configuration, wherever it is typed.
fn resolve_command(config: &Path) -> anyhow::Result<String> {
    let config = std::path::absolute(config)?;
    Ok(format!(
        "tabletopic resolve --config {}",
        word(&config.display().to_string())
    ))
}

/// One word of a command line, as a POSIX shell reads it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The process's environment, as the configuration reads it.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
