//! `demo`: the real service on a stream of orders, with a broker inside of this process. Nothing else has to run.

mod answers;
mod closing;
mod folder;
mod open_it;
mod screen;
mod shop;
mod snapshots;
mod traffic;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use console::style;
use indicatif::HumanCount;
use tabletopic_clock::Millis;
use tabletopic_ingest::Job;
use tabletopic_ingest::run::{self as service, Ended, Parts, RunError, Stop};
use tabletopic_offsets::Kind;
use tabletopic_source::EmbeddedBroker;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::run::{self as run_command, Instruments};
use super::{environment, resolve_command, runtime};
use crate::args::Demo;
use crate::config::Config;
use crate::exit::Exit;
use crate::jobs::Jobs;
use crate::logging;
use folder::Folder;
use screen::Screen;
use shop::PARTITIONS;
use snapshots::{Held, Snapshot, Watch};
use traffic::{OPENING, TOPIC, Traffic};

/// How often orders arrive, and the table is looked at.
const TICK: Duration = Duration::from_millis(100);

pub fn run(asked: &Demo) -> anyhow::Result<Exit> {
    let folder = Folder::claim(&asked.dir, asked.keep)?;
    let broker = EmbeddedBroker::start()?;
    broker.create_topic(TOPIC, PARTITIONS)?;
    folder.configure(broker.bootstrap())?;
    let config = Config::load(&folder.config(), &environment)?;
    let log = folder.log();
    let file = File::create(&log).with_context(|| format!("{} can't be written", log.display()))?;
    logging::start_in_file(&config.log, file);
    runtime()?
        .block_on(play(&config, &folder, &broker))
        .with_context(|| format!("the demo failed; {} has more", log.display()))
}

async fn play(config: &Config, folder: &Folder, broker: &EmbeddedBroker) -> anyhow::Result<Exit> {
    let mut stop = run_command::stop_on_signals()?;
    let jobs = Arc::new(Jobs::new(config));
    let named = jobs.named()?;
    let resolve = resolve_command(&folder.config())?;
    let parts = run_command::parts(config, &jobs, &Instruments::new(&named, resolve)?).await?;
    let clock = parts.lake.clock.clone();
    let screen = Screen::new(clock.now());
    open(&screen, folder, broker);

    let mut traffic = Traffic::new(broker);
    traffic.send_opening(clock.now())?;
    let what = format!("{OPENING} orders are in the topic; the service starts");
    screen.tell(clock.now(), &what);
    let (leave, mut service) = start(config, &parts, named.clone());

    let mut story = Story::new(&parts, &named)?;
    let mut ticks = tokio::time::interval(TICK);
    let interrupted = loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop == Stop::Leave) => break true,
            ended = &mut service => return Err(early(ended)),
        }
        traffic.send_due(clock.now())?;
        let held = story.go_on(&screen, &traffic, clock.now()).await?;
        let halted = !parts.observed.halts.all().is_empty();
        if halted || (traffic.is_over() && held.reaches(&traffic.sent().ends)) {
            break false;
        }
    };
    if interrupted {
        screen.tell(
            clock.now(),
            "told to stop: what was read is committed, then it leaves",
        );
    }
    leave.send_replace(Stop::Leave);
    service.await??;
    story.go_on(&screen, &traffic, clock.now()).await?;
    screen.finish();

    for (scope, halted) in parts.observed.halts.all() {
        eprintln!("halted: {scope}: {}", halted.why.message);
    }
    closing::tell(&story.watch, config, folder, traffic.sent()).await
}

fn open(screen: &Screen, folder: &Folder, broker: &EmbeddedBroker) {
    let lines = [
        (
            "topic",
            format!(
                "{TOPIC}, {PARTITIONS} partitions, on {}: a broker within this process",
                broker.bootstrap()
            ),
        ),
        ("table", format!("shop.orders, in {}", folder.lake().display())),
        (
            "service",
            format!("as `tabletopic run` with {}", folder.config().display()),
        ),
    ];
    screen.line(
        &style("A shop's orders, from Kafka into an Apache Iceberg table")
            .bold()
            .to_string(),
    );
    for (name, value) in lines {
        screen.line(&format!("  {} {value}", style(format!("{name:8}")).dim()));
    }
    screen.line("");
}

/// Starts the service; it leaves when it is told to.
fn start(
    config: &Config,
    parts: &Parts,
    jobs: Vec<Arc<Job>>,
) -> (watch::Sender<Stop>, JoinHandle<Result<Ended, RunError>>) {
    let (leave, told) = watch::channel(Stop::Run);
    let settings = run_command::settings(config);
    let service = tokio::spawn(service::run(parts.clone(), jobs, settings, told));
    (leave, service)
}

/// Why the service ended before it was told to.
fn early(ended: Result<Result<Ended, RunError>, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(Err(error)) => error.into(),
        Ok(Ok(_)) => anyhow!("the service left before it was told to"),
        Err(error) => error.into(),
    }
}

/// Tells what happens, as it happens.
struct Story {
    watch: Watch,
    table_told: bool,
    coupons_told: bool,
}

impl Story {
    fn new(parts: &Parts, jobs: &[Arc<Job>]) -> anyhow::Result<Self> {
        let job = jobs.first().context("the demo's configuration has no topic")?;
        Ok(Self {
            watch: Watch::new(parts.lake.clone(), job.table.clone()),
            table_told: false,
            coupons_told: false,
        })
    }

    /// Tells what is new. Answers what the table holds.
    async fn go_on(&mut self, screen: &Screen, traffic: &Traffic<'_>, now: Millis) -> anyhow::Result<Held> {
        if traffic.sent().has_coupons && !self.coupons_told {
            self.coupons_told = true;
            let what = "the shop begins to send a new field, `coupon`, unannounced";
            screen.tell(now, &style(what).yellow().to_string());
        }
        let Some(table) = self.watch.table().await? else {
            screen.progress(traffic.sent().orders, 0, 0);
            return Ok(Held::default());
        };
        if !self.table_told {
            self.table_told = true;
            let columns = table.metadata.current_schema().as_struct().fields().len();
            let what = format!("the table is made: {columns} columns, inferred from these orders");
            screen.tell(now, &what);
        }
        for snapshot in self.watch.news(&table)? {
            screen.tell(now, &sentence(&snapshot));
        }
        let held = Held::by(&table)?;
        let counts = &held.counts;
        screen.progress(traffic.sent().orders, counts.rows, counts.dead_letters);
        Ok(held)
    }
}

/// What a snapshot did.
fn sentence(snapshot: &Snapshot) -> String {
    match snapshot.kind {
        Kind::Anchor => "first snapshot: where each partition begins, before a record is read".to_owned(),
        Kind::Schema => {
            let what = format!(
                "column `{}` is added: {} has it",
                snapshot.new_columns.join("`, `"),
                snapshot.reason
            );
            style(what).yellow().to_string()
        }
        Kind::Append => format!(
            "{} rows, {:2} set aside  {}",
            style(format!("{:>6}", HumanCount(snapshot.counts.rows).to_string())).green(),
            snapshot.counts.dead_letters,
            snapshots::ranges(snapshot)
        ),
        other => format!("snapshot: {}", other.name()),
    }
}
