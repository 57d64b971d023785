//! `dead-letters`: the records that could not become rows.

mod json;
mod text;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use tabletopic_clock::Millis;
use tabletopic_ingest::Job;
use tabletopic_ingest::dead_letters::{Redriven, Selection, list, redrive, show};
use tabletopic_registry::Registry;
use tabletopic_table::Lake;

use super::{confirm, environment, jobs_of, runtime};
use crate::args::{DeadLetters, LISTED, Letters, LettersCommand, Output, RedriveLetters, ShowLetter};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::jobs::Jobs;
use crate::progress::Progress;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &DeadLetters) -> anyhow::Result<Exit> {
    let of_the_list = (&asked.letters, asked.limit, asked.output);
    if asked.command.is_some() && of_the_list != (&Letters::default(), LISTED, Output::Text) {
        let message = "write options behind `show` or `redrive`: before it they are those of the list";
        return Err(UsageError(message.to_owned()).into());
    }
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    runtime()?.block_on(answer(&config, asked))
}

async fn answer(config: &Config, asked: &DeadLetters) -> anyhow::Result<Exit> {
    let broker = parts::broker(&config.kafka)?;
    let jobs = jobs_of(Jobs::new(config).now(&broker)?.jobs, &asked.table)?;
    let lake = parts::lake_to_ask(config).await?;
    match &asked.command {
        None => look(&lake, &jobs, asked).await,
        Some(LettersCommand::Show(asked)) => show_one(&lake, &jobs, asked).await,
        Some(LettersCommand::Redrive(redriven)) => {
            let registry = parts::registry(config)?;
            redrive_all(&lake, registry.as_deref(), &jobs, &asked.table, redriven).await
        }
    }
}

fn selection(letters: &Letters, now: Millis) -> Selection {
    Selection {
        reasons: letters.reason.clone(),
        topic: letters.topic.clone(),
        partition: letters.partition,
        records: letters.offset.clone(),
        since: letters.since.map(|since| since.at(now)),
        until: letters.until.map(|until| until.at(now)),
    }
}

async fn look(lake: &Lake, jobs: &[Arc<Job>], asked: &DeadLetters) -> anyhow::Result<Exit> {
    let selection = selection(&asked.letters, lake.clock.now());
    let listed = list(lake, &jobs[0].table, &selection, asked.limit).await?;
    let mut out = io::stdout().lock();
    match asked.output {
        Output::Text => write!(out, "{}", text::List(&asked.table, &listed))?,
        Output::Json => writeln!(out, "{:#}", json::list(&asked.table, &listed)?)?,
    }
    Ok(Exit::Done)
}

async fn show_one(lake: &Lake, jobs: &[Arc<Job>], asked: &ShowLetter) -> anyhow::Result<Exit> {
    let record = &asked.record;
    if record.range.len() != 1 {
        return Err(UsageError(format!("{record} is more than one record; name one")).into());
    }
    let letters = show(lake, &jobs[0].table, record).await?;
    let mut out = io::stdout().lock();
    match (asked.raw, letters.as_slice()) {
        (true, [whole]) => out.write_all(whole.value.as_deref().unwrap_or_default())?,
        (true, _) => bail!(
            "{record} is {} letters: the topic was created again; --output json has both values",
            letters.len()
        ),
        (false, letters) => match asked.output {
            Output::Text => {
                for letter in letters {
                    writeln!(out, "{}", text::Whole(letter))?;
                }
            }
            Output::Json => writeln!(out, "{:#}", json::whole(letters)?)?,
        },
    }
    out.flush()?;
    Ok(Exit::Done)
}

async fn redrive_all(
    lake: &Lake,
    registry: Option<&dyn Registry>,
    jobs: &[Arc<Job>],
    table: &str,
    asked: &RedriveLetters,
) -> anyhow::Result<Exit> {
    let selection = selection(&asked.letters, lake.clock.now());
    let ident = &jobs[0].table;
    if asked.dry_run || !asked.yes {
        let would = redrive(lake, registry, ident, jobs, &selection, true).await?;
        if asked.dry_run {
            print(asked.output, "what this does", &would)?;
            return Ok(exit(&would));
        }
        print(Output::Text, "what this does", &would)?;
        if would.rows == 0 {
            return Ok(exit(&would));
        }
        confirm(table)?;
    }
    let done = redrive(lake, registry, ident, jobs, &selection, false).await?;
    print(asked.output, "done", &done)?;
    Ok(exit(&done))
}

fn print(output: Output, heading: &str, redriven: &Redriven) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Text => write!(out, "{heading}:\n{}", text::Redrive(redriven))?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(redriven)?)?,
    }
    Ok(())
}

/// Whoever asks for rows of letters has to hear of those that got none.
fn exit(redriven: &Redriven) -> Exit {
    match redriven.staying.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    }
}
