//! `replay`: the service once more, between two offsets, into tables of its own.

mod origin;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use iceberg::{NamespaceIdent, TableIdent};
use serde_json::{Value, json};
use tabletopic_clock::{Clock, Millis, SystemClock};
use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::rate::Rate;
use tabletopic_ingest::run::{self as service, Assignment, Ended, Settings};
use tabletopic_ingest::{Job, Matched};
use tabletopic_replay::{Asked, Columns, Discarded, Found, Plan, Point, Wanted, discard, look, plan};
use tabletopic_table::Lake;

use super::run::{Instruments, parts as service_parts, settings, stop_on_signals};
use super::{environment, first_of, runtime};
use crate::args::{self, Output, Where};
use crate::config::{Changes, Config, Setting, TableName};
use crate::exit::{Exit, UsageError};
use crate::jobs::Jobs;
use crate::progress::Progress;
use crate::{logging, parts};
use origin::Origin;

pub fn run(file: &Path, asked: &args::Replay) -> anyhow::Result<Exit> {
    let settings = all_settings(asked)?;
    let changes = Changes {
        settings: &settings,
        tables: &asked.tables,
    };
    let unchanged = Config::load(file, &environment)?;
    let config = Config::load_changed(file, &environment, changes)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    runtime()?.block_on(replay(&config, &unchanged, asked, progress))
}

async fn replay(
    config: &Config,
    unchanged: &Config,
    asked: &args::Replay,
    progress: Progress,
) -> anyhow::Result<Exit> {
    let how = How {
        columns: Columns::Mapped,
        words: words(asked),
    };
    let planned = Planned::of(config, unchanged, asked, how).await?;
    if asked.dry_run {
        let plan = &planned.plan;
        print(asked.output, &json_of(plan), || text::of_plan(plan))?;
        return Ok(Exit::Done);
    }
    planned.say();
    let done = planned.carry_out(config, asked, progress).await?;
    print(asked.output, &done.json(), || done.text())?;
    Ok(done.exit)
}

/// How it is read again.
pub(super) struct How {
    pub(super) columns: Columns,
    /// What decides which offsets are read, and how they are mapped: whoever goes on has to say the same.
    pub(super) words: String,
}

/// What is to be read, before any of it is.
pub(super) struct Planned {
    plan: Plan,
    origin: Origin,
    jobs: Arc<Jobs>,
    /// Those that are replayed, as they feed the tables that these are replays of.
    chosen: Vec<Arc<Job>>,
    refused: BTreeMap<Arc<str>, String>,
}

impl Planned {
    pub(super) async fn of(
        config: &Config,
        unchanged: &Config,
        asked: &args::Replay,
        how: How,
    ) -> anyhow::Result<Self> {
        let jobs = Arc::new(Jobs::new(config));
        let origin = Origin::of(config, asked).await?;
        let Matched { jobs: all, refused } = jobs.now(origin.broker.as_ref())?;
        let fed = Jobs::new(unchanged).now(origin.broker.as_ref())?.jobs;
        let fed: BTreeSet<TableIdent> = fed.iter().map(|job| job.table.clone()).collect();
        let chosen = chosen(all, &asked.tables)?;
        if let (true, [_, other, ..]) = (asked.history.is_some(), chosen.as_slice()) {
            let message = format!(
                "a history is of one topic: name one table, such as {}",
                other.table
            );
            return Err(UsageError(message).into());
        }
        let wanted = Wanted {
            lost: origin.lost.clone(),
            ..wanted(asked, SystemClock.now(), &chosen, how)?
        };
        let lake = parts::lake_as_it_is(config).await?;
        let broker = OnThreads::new(origin.broker.clone());
        let plan = plan(&lake, &broker, &chosen, &fed, &wanted).await?;
        Ok(Self {
            plan,
            origin,
            jobs,
            chosen,
            refused,
        })
    }

    pub(super) fn feeding(&self) -> Vec<Arc<Job>> {
        self.chosen.clone()
    }

    /// Says to whoever waits what is read.
    pub(super) fn say(&self) {
        eprint!("{}", text::of_plan(&self.plan));
    }

    pub(super) async fn carry_out(
        self,
        config: &Config,
        asked: &args::Replay,
        progress: Progress,
    ) -> anyhow::Result<Done> {
        let Self {
            plan,
            origin,
            jobs,
            refused,
            ..
        } = self;
        let named: Vec<Arc<Job>> = plan.jobs.iter().map(|planned| planned.job.clone()).collect();
        let instruments = Instruments::new(&named, "tabletopic resolve".to_owned())?;
        let observed = instruments.observed();
        let settings = Settings {
            assignment: Assignment::Static,
            until_end: true,
            ..settings(config)
        };
        let rate = asked.read_rate.map(|rate| {
            Rate::new(Arc::new(SystemClock), rate).shared_by(settings.workers.min(plan.partitions()))
        });
        let service_parts = origin.parts(service_parts(config, &jobs, &instruments).await?, &jobs);
        let service_parts = plan.parts(service_parts, rate).await?;
        let lake = service_parts.lake.clone();
        let shown = tokio::spawn(progress.show(observed.clone(), service_parts.broker.clone()));
        let ended = service::run(service_parts, named, settings, stop_on_signals()?).await;
        shown.abort();
        let ended = ended?;
        let halts: Vec<String> = observed
            .halts
            .all()
            .into_iter()
            .map(|(scope, halted)| format!("{scope}: {}", halted.why.message))
            .chain(refused.into_values())
            .collect();

        let found = all_found(&lake, &plan).await?;
        let exit = match exit(&ended, &found, &plan) {
            Exit::Done if !halts.is_empty() => Exit::Halted,
            exit => exit,
        };
        let dropped = match asked.drop_after && exit != Exit::Later {
            true => Some(drop_all(config, &plan).await?),
            false => None,
        };
        Ok(Done {
            plan,
            found,
            halts,
            exit,
            dropped,
        })
    }
}

/// What became of a replay.
pub(super) struct Done {
    pub(super) plan: Plan,
    found: Vec<Found>,
    halts: Vec<String>,
    pub(super) exit: Exit,
    dropped: Option<Discarded>,
}

impl Done {
    pub(super) fn text(&self) -> String {
        text::of_done(&self.plan, &self.found, &self.halts, self.exit, self.dropped)
    }

    fn json(&self) -> Value {
        json!({
            "into": self.plan.into.join("."),
            "ended": match self.exit {
                Exit::Done => "whole",
                Exit::Later => "interrupted",
                Exit::Halted => "halted",
                _ => "failed",
            },
            "halts": self.halts,
            "tables": self.found.iter().map(super::replays::json_of).collect::<Vec<_>>(),
            "removed": self.dropped,
        })
    }
}

fn exit(ended: &Ended, found: &[Found], plan: &Plan) -> Exit {
    let is_whole = found.len() == plan.tables().len() && found.iter().all(Found::is_whole);
    match ended {
        _ if !found.iter().all(|one| plan.has_made(one)) => Exit::Failed,
        Ended::Halted => Exit::Halted,
        Ended::Stopped | Ended::ReachedEnd if is_whole => Exit::Done,
        Ended::Stopped => Exit::Later,
        // The log was cut while it was read.
        Ended::ReachedEnd => Exit::Failed,
    }
}

async fn all_found(lake: &Lake, plan: &Plan) -> anyhow::Result<Vec<Found>> {
    let mut all = Vec::new();
    for table in plan.tables() {
        all.extend(look(lake, table).await?);
    }
    Ok(all)
}

async fn drop_all(config: &Config, plan: &Plan) -> anyhow::Result<Discarded> {
    let opened = parts::open(config, Arc::default()).await?;
    let mut sum = Discarded::default();
    for one in all_found(&opened.lake, plan).await? {
        sum += discard(&opened.lake, opened.listing.as_ref(), &one.table).await?;
    }
    Ok(sum)
}

/// What the command line sets in the place of the configuration.
fn all_settings(asked: &args::Replay) -> anyhow::Result<Vec<Setting>> {
    // Replays have other means of saying these.
    const OTHERS: [&str; 6] = ["name", "pattern", "table", "job", "start", "partitions"];
    if let Some(other) = asked
        .set
        .iter()
        .find(|setting| OTHERS.contains(&setting.key().as_str()))
    {
        let message = format!(
            "--set {other}: a replay decides on `{}` itself; see --into, --from and --to",
            other.key()
        );
        return Err(UsageError(message).into());
    }
    let mut settings = asked.set.clone();
    if let Some(file) = &asked.schema {
        let path = std::path::absolute(file)?;
        let path = path
            .to_str()
            .with_context(|| format!("{} has a name that is not UTF-8", file.display()))?;
        let key = match path.ends_with(".sql") {
            true => "ddl",
            false => "schema.file",
        };
        settings.push(Setting::new(key, json!(path).to_string()));
    }
    Ok(settings)
}

/// The jobs that feed these tables; all of them if none is named.
fn chosen(jobs: Vec<Arc<Job>>, tables: &[String]) -> Result<Vec<Arc<Job>>, UsageError> {
    let names: BTreeSet<String> = jobs.iter().map(|job| job.table.to_string()).collect();
    if let Some(unknown) = tables.iter().find(|table| !names.contains(*table)) {
        return Err(UsageError(format!(
            "no topic of the configuration feeds table {unknown}; it has: {}",
            first_of(names.iter().map(String::as_str))
        )));
    }
    let is_chosen = |job: &Arc<Job>| tables.is_empty() || tables.contains(&job.table.to_string());
    let chosen: Vec<Arc<Job>> = jobs.into_iter().filter(is_chosen).collect();
    match chosen.is_empty() {
        false => Ok(chosen),
        true => Err(UsageError(
            "no topic that the configuration matches is there".to_owned(),
        )),
    }
}

pub(super) fn table(name: &str) -> anyhow::Result<TableIdent> {
    let name = TableName::try_from(name.to_owned()).map_err(UsageError)?;
    parts::table_ident(&name)
}

fn wanted(asked: &args::Replay, now: Millis, chosen: &[Arc<Job>], how: How) -> anyhow::Result<Wanted> {
    let usage = |error: String| anyhow::Error::from(UsageError(error));
    let points = match &asked.same_as {
        Some(name) => Asked {
            from: Point::Began(table(name)?),
            to: Point::Stood(table(name)?, None),
        },
        None => Asked {
            from: Where::point(&asked.from, now).map_err(usage)?,
            to: Where::point(&asked.to, now).map_err(usage)?,
        },
    };
    let topics: BTreeSet<&str> = chosen.iter().map(|job| &*job.topic).collect();
    if let Some(unknown) = points.topics().find(|topic| !topics.contains(topic)) {
        return Err(usage(format!(
            "topic {unknown} is not replayed; those that are: {}",
            first_of(topics.iter().copied())
        )));
    }
    if topics.len() > 1 && points.names_no_topic() {
        return Err(usage(
            "several topics are replayed: say which one is meant, such as orders/3:120000, or name a table"
                .to_owned(),
        ));
    }
    let namespace: Vec<String> = asked.into.split('.').map(str::to_owned).collect();
    if namespace.iter().any(String::is_empty) {
        return Err(usage(format!(
            "`{}` is no namespace; write one such as ci_42",
            asked.into
        )));
    }
    let ttl_ms = asked
        .ttl
        .map(|ttl| Millis::try_from(ttl.as_millis()).unwrap_or(Millis::MAX));
    Ok(Wanted {
        into: NamespaceIdent::from_vec(namespace)?,
        asked: points,
        columns: how.columns,
        words: how.words,
        ttl_ms,
        lost: BTreeMap::new(),
    })
}

/// Everything that decides what is read, and how it is mapped.
fn words(asked: &args::Replay) -> String {
    let mut words = match &asked.same_as {
        Some(table) => vec![format!("--same-as {table}")],
        None => {
            let from = asked.from.iter().map(|at| format!("--from {}", at.text));
            from.chain(asked.to.iter().map(|at| format!("--to {}", at.text)))
                .collect()
        }
    };
    words.extend(asked.history.iter().map(|table| format!("--history {table}")));
    words.extend(asked.without_topic.then(|| "--without-topic".to_owned()));
    words.extend(
        asked
            .from_file
            .iter()
            .map(|file| format!("--from-file {}", file.display())),
    );
    words.extend(
        asked
            .schema
            .iter()
            .map(|file| format!("--schema {}", file.display())),
    );
    words.extend(asked.set.iter().map(|setting| format!("--set {setting}")));
    words.join(" ")
}

fn json_of(plan: &Plan) -> Value {
    let jobs = plan.jobs.iter().map(|planned| {
        let ranges = planned.ranges.iter();
        let partitions = ranges.map(
            |(partition, range)| json!({ "partition": partition, "start": range.start, "end": range.end }),
        );
        let lost = planned.lost.iter().flat_map(|(partition, lost)| {
            let ranges = lost.ranges().iter();
            ranges.map(move |range| json!({ "partition": partition, "start": range.start, "end": range.end }))
        });
        json!({
            "topic": &*planned.job.topic,
            "table": planned.job.table.to_string(),
            "of": planned.of.to_string(),
            "goes_on": planned.begun,
            "partitions": partitions.collect::<Vec<_>>(),
            "lost": lost.collect::<Vec<_>>(),
        })
    });
    json!({ "into": plan.into.join("."), "offsets": plan.offsets(), "jobs": jobs.collect::<Vec<_>>() })
}

fn print(output: Output, json: &Value, text: impl FnOnce() -> String) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{json:#}"),
        Output::Text => write!(out, "{}", text()),
    }
}
