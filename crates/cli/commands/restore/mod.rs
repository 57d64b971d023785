//! `restore`: a raw-history table is written back to a topic.

mod shown;
mod topic;

use std::io::{self, Write};
use std::path::Path;

use tabletopic_clock::{Clock, SystemClock};
use tabletopic_history::History;
use tabletopic_history::restore::{self, Log, Plan, RestoreError, Restored, Whole};
use tabletopic_offsets::JobId;
use tokio::runtime::Runtime;

use super::maintain::named;
use super::{confirm_doing, environment, runtime};
use crate::args::{Output, Restore};
use crate::config::Config;
use crate::exit::Exit;
use crate::progress::{Counted, Progress};
use crate::{logging, parts};
use shown::Shown;
use topic::Target;

pub fn run(file: &Path, asked: &Restore) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    let runtime = runtime()?;
    let history = runtime.block_on(open(&config, asked))?;
    write_back(&config, asked, &history, &progress, &runtime)
}

async fn open(config: &Config, asked: &Restore) -> anyhow::Result<History> {
    let tables = named(std::slice::from_ref(&asked.table))?;
    let lake = parts::lake_to_ask(config).await?;
    let job = asked.job.as_deref().map(JobId::new);
    Ok(History::open(&lake, &tables[0], job.as_ref()).await?)
}

fn write_back(
    config: &Config,
    asked: &Restore,
    history: &History,
    progress: &Progress,
    runtime: &Runtime,
) -> anyhow::Result<Exit> {
    let (log, target) = (Log::of(history), Target::of(config, &asked.to_topic)?);
    let there = target.look()?;
    if there.is_none() && !asked.create {
        return Err(RestoreError::NoTopic {
            topic: asked.to_topic.clone(),
            partitions: log.needed(),
        }
        .into());
    }
    let is_there = there.is_some();
    let planned = |topic| Plan::of(&log, &topic, SystemClock.now());
    let plan = planned(there.unwrap_or_else(|| target.to_be_made(&log)))?;
    let shown = |plan, restored: Option<Restored>| Shown {
        history,
        topic: &asked.to_topic,
        plan,
        makes_it: !is_there,
        restored,
    };
    if asked.dry_run || plan.whole() == Whole::Yes && is_there {
        let nothing = (!asked.dry_run).then(Restored::default);
        print(asked.output, &shown(&plan, nothing))?;
        return Ok(Exit::Done);
    }
    if !asked.yes {
        write!(io::stderr(), "{}", shown(&plan, None))?;
        confirm_doing(&format!("this to topic {}", asked.to_topic))?;
    }
    if !is_there {
        target.make(log.needed())?;
    }
    // From here on nobody else who restores writes into it. Another may have done so since the first look.
    let mut writer = target.writer()?;
    let there = target.look()?.ok_or_else(|| RestoreError::NoTopic {
        topic: asked.to_topic.clone(),
        partitions: log.needed(),
    })?;
    let plan = planned(there)?;
    let left = plan.partitions.iter();
    let left = left
        .map(|(number, left)| history.rows_within(*number, *left))
        .sum();
    let told = Told {
        counted: progress.of_counted(format!("restoring {}", asked.table)),
        left,
    };
    let restored = restore::restore(history, &plan, &mut writer, asked.rate, runtime.handle(), &told)?;
    drop(told);
    print(asked.output, &shown(&plan, Some(restored)))?;
    Ok(Exit::Done)
}

fn print(output: Output, shown: &Shown<'_>) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{:#}", shown.json()),
        Output::Text => write!(out, "{shown}"),
    }
}

/// What the restore tells of its progress.
struct Told {
    counted: Counted,
    left: u64,
}

impl restore::Progress for Told {
    fn committed(&self, so_far: &Restored) {
        self.counted.set("records", so_far.records, self.left);
    }
}
