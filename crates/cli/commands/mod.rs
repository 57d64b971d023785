//! One file for each command.

mod capture;
mod catalog;
mod check;
mod columns;
mod compare;
mod dead_letters;
mod demo;
pub mod maintain;
mod plan;
mod promote;
mod repair;
mod replay;
mod replays;
mod resolve;
mod restore;
mod rollback;
mod run;
mod sql;
mod status;
mod test_sql;
pub mod verify;

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tabletopic_ingest::Job;

use crate::args::{Args, Command};
use crate::exit::{Exit, UsageError};

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Run(run) => run::run(&args.config, run),
        Command::Demo(demo) => demo::run(demo),
        Command::Plan(plan) => plan::run(&args.config, plan),
        Command::Check(check) => check::run(&args.config, check),
        Command::Resolve(resolve) => resolve::run(&args.config, resolve),
        Command::Rollback(rollback) => rollback::run(&args.config, rollback),
        Command::Restore(restore) => restore::run(&args.config, restore),
        Command::DeadLetters(letters) => dead_letters::run(&args.config, letters),
        Command::Status(status) => status::run(&args.config, status),
        Command::Verify(verify) => verify::run(&args.config, verify),
        Command::Capture(asked) => capture::run(&args.config, asked),
        Command::Sql(sql) => sql::run(&args.config, sql),
        Command::TestSql(asked) => test_sql::run(&args.config, asked),
        Command::Compare(compared) => compare::run(&args.config, compared),
        Command::Replay(replay) => replay::run(&args.config, replay),
        Command::Repair(asked) => repair::run(&args.config, asked),
        Command::Replays(replays) => replays::run(&args.config, replays),
        Command::Promote(promote) => promote::run(&args.config, promote),
        Command::Compact(compact) => maintain::compact::run(&args.config, compact),
        Command::Expire(expire) => maintain::expire::run(&args.config, expire),
        Command::Manifests(manifests) => maintain::manifests::run(&args.config, manifests),
        Command::Retain(retain) => maintain::retain::run(&args.config, retain),
        Command::Orphans(orphans) => maintain::orphans::run(&args.config, orphans),
        Command::Maintain(maintain) => maintain::due::run(&args.config, maintain),
        Command::Catalog(catalog) => catalog::run(&args.config, catalog),
    }
}

/// Those of `jobs` that feed a table.
fn jobs_of(jobs: Vec<Arc<Job>>, table: &str) -> Result<Vec<Arc<Job>>, UsageError> {
    let names: BTreeSet<String> = jobs.iter().map(|job| job.table.to_string()).collect();
    let feeds = |job: &Arc<Job>| job.table.to_string() == table;
    let wanted: Vec<Arc<Job>> = jobs.into_iter().filter(feeds).collect();
    match wanted.is_empty() {
        false => Ok(wanted),
        true => Err(UsageError(format!(
            "no topic of the configuration feeds table {table}; it has: {}",
            first_of(names.iter().map(String::as_str))
        ))),
    }
}

/// Names for a person, with commas; of many only the first.
fn first_of<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 20;
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<&str> = names.take(SHOWN).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Asks on a terminal; refuses where nobody can answer. Standard output is for what was done.
fn confirm(table: &str) -> anyhow::Result<()> {
    confirm_doing(&format!("this to table {table}"))
}

fn confirm_doing(this: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("nothing was done: add --yes to do {this} without being asked");
    }
    eprint!("Do {this}? [y/N] ");
    io::stderr().flush()?;
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
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        // The CPU time of threads is looked at every ten seconds, which is when idle ones would end.
        .thread_keep_alive(Duration::from_secs(60))
        .enable_all()
        .build()?)
}
