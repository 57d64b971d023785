//! `compare`: whether two tables hold the same rows.

mod text;

pub(super) use text::Shown;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tabletopic_audit::compare::{self, Columns, Comparison, Options, Side, Verdict};
use tabletopic_table::rows::Offsets;

use super::maintain::{memory, sort_memory};
use super::{environment, runtime};
use crate::args::{Compare, Output, Span};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::progress::{Bytes, Progress};
use crate::{logging, parts};

pub fn run(file: &Path, asked: &Compare) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let other = asked.other.as_ref();
    let other = other.map(|file| Config::load(file, &environment)).transpose()?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    let comparison = runtime()?.block_on(compared(&config, other.as_ref(), asked, progress))?;
    let mut out = anstream::stdout().lock();
    match asked.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&comparison)?)?,
        Output::Text => write!(out, "{}", Shown(&comparison))?,
    }
    Ok(match comparison.verdict {
        Verdict::Equal => Exit::Done,
        Verdict::Differ => Exit::Differs,
    })
}

pub(super) async fn compared(
    config: &Config,
    other: Option<&Config>,
    asked: &Compare,
    progress: Progress,
) -> anyhow::Result<Comparison> {
    let offsets = match asked.offsets.as_slice() {
        [] => None,
        spans => Some(offsets(spans)?),
    };
    let lake = parts::lake_to_ask(config).await?;
    let others = match other {
        None => lake.clone(),
        Some(other) => parts::lake_to_ask(other).await?,
    };
    let sides = [
        Side::open(&lake, &asked.a).await?,
        Side::open(&others, &asked.b).await?,
    ];
    let options = Options {
        columns: Columns {
            key: asked.key.clone(),
            renamed: asked.rename.clone(),
            only: asked.columns.clone(),
            ignored: asked.ignore.clone(),
        },
        offsets: offsets.map(Arc::new),
        samples: asked.samples,
        every_key: asked.every_key,
        jobs: asked.jobs,
        memory: memory(config),
        sort_memory: sort_memory(config),
    };
    let shown = Arc::new(Reading {
        progress,
        pass: Mutex::default(),
    });
    Ok(compare::compare(sides, &options, shown).await?)
}

fn offsets(spans: &[Span]) -> Result<Offsets, UsageError> {
    let ranges = Span::by_partition(spans).map_err(UsageError)?.into_iter();
    Ok(ranges
        .map(|(partition, range)| (partition, [range].into_iter().collect()))
        .collect())
}

/// Steps that a pass is shown in.
const STEPS: u64 = 50;

/// Shows what is read.
struct Reading {
    progress: Progress,
    pass: Mutex<Option<Pass>>,
}

struct Pass {
    shown: Bytes,
    step: u64,
    /// Bytes that are read and not shown yet: tables may have many small files.
    pending: u64,
}

impl compare::Progress for Reading {
    fn begins(&self, what: &'static str, bytes: u64) {
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        // The one before leaves first: both draw on the same line.
        drop(pass.take());
        *pass = Some(Pass {
            shown: self.progress.of_bytes(what.to_owned(), bytes),
            step: bytes / STEPS,
            pending: 0,
        });
    }

    fn read(&self, bytes: u64) {
        if let Some(pass) = self.pass.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            pass.pending += bytes;
            if pass.pending > pass.step {
                pass.shown.add(std::mem::take(&mut pass.pending));
            }
        }
    }
}
