//! `resolve`: an operator's answer to a halt.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::resolve::{Answer, Effect, Files, Resolution, resolve};
use tabletopic_offsets::{Counts, OffsetRange, RangeSet};

use super::{confirm, environment, jobs_of, runtime};
use crate::args::{Output, Resolve};
use crate::config::Config;
use crate::exit::Exit;
use crate::jobs::Jobs;
use crate::progress::Progress;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &Resolve) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    runtime()?.block_on(answer(config, asked))
}

async fn answer(config: Config, asked: &Resolve) -> anyhow::Result<Exit> {
    let broker = Arc::new(parts::broker(&config.kafka)?);
    let jobs = jobs_of(Jobs::new(&config).now(broker.as_ref())?.jobs, &asked.table)?;
    let lake = parts::lake(&config, Arc::default()).await?;
    let broker = OnThreads::new(broker);
    let answer = match asked {
        Resolve {
            declare_lost: true, ..
        } => Answer::DeclareLost,
        Resolve { rewind: true, .. } => Answer::Rewind,
        Resolve { truncate: true, .. } => Answer::Truncate,
        _ => Answer::AdoptTopic,
    };
    let would = resolve(&lake, &broker, &jobs, answer, &asked.reason, true).await?;
    if asked.dry_run {
        print(asked.output, "what this does", &would)?;
        return Ok(Exit::Done);
    }
    if !asked.yes {
        print(Output::Text, "what this does", &would)?;
        confirm(&asked.table)?;
    }
    let done = resolve(&lake, &broker, &jobs, answer, &asked.reason, false).await?;
    print(asked.output, &heading(&done), &done)?;
    Ok(Exit::Done)
}

fn print(output: Output, heading: &str, resolution: &Resolution) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{:#}", as_json(resolution)),
        Output::Text => {
            writeln!(out, "{heading}:")?;
            if let Some(id) = resolution.tag {
                writeln!(
                    out,
                    "  the tag `tabletopic`, which is gone: set back to our newest snapshot {id}"
                )?;
            }
            for effect in &resolution.effects {
                writeln!(out, "  {}", sentence(effect))?;
            }
            let Files { removed, written } = resolution.files;
            if removed > 0 {
                writeln!(
                    out,
                    "  data files: {removed} removed, {written} of them written again without these rows"
                )?;
            }
            Ok(())
        }
    }
}

fn heading(resolution: &Resolution) -> String {
    let ids: Vec<String> = resolution.snapshots.iter().map(i64::to_string).collect();
    match ids.as_slice() {
        [] => "done".to_owned(),
        [id] => format!("done, in snapshot {id}"),
        ids => format!("done, in snapshots {}", ids.join(", ")),
    }
}

pub(super) fn sentence(effect: &Effect) -> String {
    let Effect {
        topic_partition,
        before,
        after,
        lost,
        removed,
        again,
        ..
    } = effect;
    let moves = match before {
        Some(before) if before == after => format!("{topic_partition}: goes on at offset {after}, as before"),
        Some(before) => format!("{topic_partition}: goes on at offset {after} instead of {before}"),
        None => format!("{topic_partition}: starts at offset {after}"),
    };
    let mut sentence = moves;
    let below: RangeSet = [OffsetRange::new(0, *after)].into_iter().collect();
    let below = again.intersection(&below);
    if !below.is_empty() {
        sentence += &format!("; of what is behind that, {below} is read again");
    }
    if *lost > 0 {
        sentence += &format!("; {lost} offsets are declared lost");
    }
    if !removed.is_zero() {
        let Counts {
            rows, dead_letters, ..
        } = removed;
        sentence += &format!("; {rows} rows and {dead_letters} dead letters from there on are removed");
    }
    sentence
}

pub(super) fn as_json(resolution: &Resolution) -> serde_json::Value {
    let effects: Vec<_> = resolution
        .effects
        .iter()
        .map(|effect| {
            json!({
                "topic": &*effect.topic_partition.topic,
                "partition": effect.topic_partition.partition,
                "before": effect.before,
                "after": effect.after,
                "lost": effect.lost,
                "removed_rows": effect.removed.rows,
                "removed_dead_letters": effect.removed.dead_letters,
            })
        })
        .collect();
    json!({
        "tag_set_to": resolution.tag,
        "snapshot_ids": resolution.snapshots,
        "partitions": effects,
        "files": { "removed": resolution.files.removed, "written": resolution.files.written },
    })
}
