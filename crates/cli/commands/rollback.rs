//! `rollback`: a table and its progress go back together.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use chrono::{DateTime, SecondsFormat};
use iceberg::TableIdent;
use serde_json::{Value, json};
use tabletopic_clock::{Clock, SystemClock};
use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::resolve::Resolution;
use tabletopic_ingest::resolve::rollback::{Gone, Rollback, declare_gone, look, roll_back};
use tabletopic_offsets::OffsetRange;

use super::resolve::{as_json, sentence};
use super::{confirm, environment, jobs_of, runtime};
use crate::args::{self, Output};
use crate::config::Config;
use crate::exit::Exit;
use crate::jobs::Jobs;
use crate::progress::Progress;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &args::Rollback) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    runtime()?.block_on(go_back(config, asked))
}

async fn go_back(config: Config, asked: &args::Rollback) -> anyhow::Result<Exit> {
    let broker = Arc::new(parts::broker(&config.kafka)?);
    let jobs = jobs_of(Jobs::new(&config).now(broker.as_ref())?.jobs, &asked.table)?;
    let Some(table) = jobs.first().map(|job| job.table.clone()) else {
        return Ok(Exit::Done);
    };
    let lake = parts::lake(&config, Arc::default()).await?;
    let broker = OnThreads::new(broker);
    let to = asked.to.at(SystemClock.now());
    let would = look(&lake, &broker, &table, &to).await?;
    if asked.dry_run {
        print(asked.output, &table, "what this does", &would)?;
        return Ok(Exit::Done);
    }
    if !would.gone.is_empty() && !asked.declare_lost {
        bail!(
            "nothing was done: {}, and would be in no table. Go back to a later snapshot, or add --declare-lost to go on \
             without them",
            gone(&would.gone)
        );
    }
    if !asked.yes {
        write!(io::stderr(), "{}", text(&table, "what this does", &would))?;
        confirm(&asked.table)?;
    }
    let mut done = roll_back(&lake, &table, &would, &asked.reason).await?;
    if !would.gone.is_empty() {
        // A commit of its own: until it is made, these partitions stand still and name this answer.
        let lost = declare_gone(&lake, &table, &would, &asked.reason).await?;
        done = together(done, lost);
    }
    let done = Rollback {
        resolution: done,
        ..would
    };
    print(asked.output, &table, "done", &done)?;
    Ok(Exit::Done)
}

/// What two commits did, one after the other.
fn together(first: Resolution, second: Resolution) -> Resolution {
    let mut all = first;
    for later in second.effects {
        match all
            .effects
            .iter_mut()
            .find(|effect| effect.topic_partition == later.topic_partition)
        {
            Some(effect) => {
                effect.after = later.after;
                effect.lost += later.lost;
            }
            None => all.effects.push(later),
        }
    }
    all.snapshots.extend(second.snapshots);
    all
}

fn print(output: Output, table: &TableIdent, heading: &str, rollback: &Rollback) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{:#}", json_of(table, rollback)),
        Output::Text => write!(out, "{}", text(table, heading, rollback)),
    }
}

fn text(table: &TableIdent, heading: &str, rollback: &Rollback) -> String {
    let Rollback { to, ours, others, .. } = rollback;
    let mut text = format!(
        "{heading}: table {table} goes back to snapshot {} of {}; {} snapshots after it leave",
        to.snapshot_id,
        time(to.timestamp_ms),
        ours + others
    );
    if *others > 0 {
        text += &format!(", {others} of them of other writers, whose changes are not made again");
    }
    text += "\n";
    for effect in &rollback.resolution.effects {
        text += &format!("  {}\n", sentence(effect));
    }
    if !rollback.gone.is_empty() {
        text += &format!("  {}\n", gone(&rollback.gone));
    }
    text
}

pub(super) fn gone(gone: &[Gone]) -> String {
    format!("the topic no longer has these offsets: {}", ranges(gone))
}

pub(super) fn ranges(gone: &[Gone]) -> String {
    let ranges: Vec<String> = gone
        .iter()
        .map(|gone| {
            let OffsetRange { start, end } = gone.range;
            format!("{} from {start} to {}", gone.topic_partition, end - 1)
        })
        .collect();
    ranges.join(", ")
}

fn time(millis: i64) -> String {
    let time = DateTime::from_timestamp_millis(millis);
    time.map_or_else(
        || millis.to_string(),
        |time| time.to_rfc3339_opts(SecondsFormat::Millis, true),
    )
}

pub(super) fn json_of_ranges(gone: &[Gone]) -> Vec<Value> {
    gone.iter()
        .map(|gone| {
            let of = &gone.topic_partition;
            json!({
                "topic": &*of.topic, "partition": of.partition, "start": gone.range.start, "end": gone.range.end,
            })
        })
        .collect()
}

fn json_of(table: &TableIdent, rollback: &Rollback) -> Value {
    let mut json = as_json(&rollback.resolution);
    json["table"] = json!(table.to_string());
    json["to"] = json!(rollback.to);
    json["leaving"] = json!({ "ours": rollback.ours, "others": rollback.others });
    json["gone"] = json!(json_of_ranges(&rollback.gone));
    json
}
