//! `run`: turns the topics into tables.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tabletopic_clock::SystemClock;
use tabletopic_ingest::observe::{Metrics, Observed, StoreRequests};
use tabletopic_ingest::run::{
    self as service, Assignment, BackfillSources, Ended, Parts, Settings, Sources, Stop,
};
use tabletopic_ingest::{Job, SchemaLookups};
use tabletopic_server::CatalogServer;
use tabletopic_source::{KafkaSettings, KafkaSource, LONGEST_FETCH_WAIT, MOST_PREFETCH, Source, SourceError};
use tabletopic_table::storage::RequestCounts;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{environment, resolve_command, runtime};
use crate::args::Run;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::heap::Jemalloc;
use crate::jobs::Jobs;
use crate::parts::Opened;
use crate::progress::Progress;
use crate::{admin, catalog_server, logging, maintenance, parts, verification};

pub fn run(file: &Path, run: &Run) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    runtime()?.block_on(serve(config, run, progress, resolve_command(file)?))
}

async fn serve(config: Config, run: &Run, progress: Progress, resolve: String) -> anyhow::Result<Exit> {
    let jobs = Arc::new(Jobs::new(&config));
    let named = jobs.named()?;
    let settings = Settings {
        until_end: run.until_end,
        ..settings(&config)
    };
    let instruments = Instruments::new(&named, resolve)?;
    let observed = instruments.observed.clone();
    // Before anything that may have to be waited for.
    let server = admin::start(&config.admin, instruments.registry.clone(), observed.clone()).await?;
    let catalog = match run.serve_catalog {
        true => Some(instruments.serve_catalog(&config).await?),
        false => None,
    };
    let parts = parts(&config, &jobs, &instruments).await?;
    let shown = tokio::spawn(progress.show(observed.clone(), parts.broker.clone()));
    let maintained = maintenance::start(&config, instruments.requests.clone(), observed.clone())?;
    let verified = verification::start(&config, instruments.requests.clone(), observed.clone())?;
    let ended = service::run(parts, named, settings, stop_on_signals()?).await;
    // When nobody commits any more.
    for aside in [maintained, verified].into_iter().flatten() {
        aside.end();
    }
    shown.abort();
    if let Some(catalog) = catalog {
        catalog.stop().await;
    }
    if let Some(server) = server {
        server.stop().await;
    }
    let ended = ended?;
    for (scope, halted) in observed.halts.all() {
        eprintln!("halted: {scope}: {}", halted.why.message);
    }
    Ok(match ended {
        Ended::Stopped | Ended::ReachedEnd => Exit::Done,
        Ended::Halted => Exit::Halted,
    })
}

/// How a service with this configuration runs; until it is told to stop.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        workers: config.workers.get(),
        memory_budget: usize::try_from(config.memory_budget).unwrap_or(usize::MAX),
        assignment: match config.kafka.assignment {
            config::Assignment::Group => Assignment::Group,
            config::Assignment::Static => Assignment::Static,
        },
        topic_refresh: config.kafka.topic_refresh,
        until_end: false,
    }
}

/// What a service counts and knows of itself.
pub(super) struct Instruments {
    registry: Registry,
    requests: Arc<RequestCounts>,
    observed: Arc<Observed>,
}

impl Instruments {
    /// `resolve` is the command that answers a halt.
    pub(super) fn new(jobs: &[Arc<Job>], resolve: String) -> anyhow::Result<Self> {
        let (registry, requests) = (Registry::new(), Arc::new(RequestCounts::default()));
        registry.register(Box::new(StoreRequests::new(requests.clone())?))?;
        let metrics = Metrics::register(&registry)?;
        let clock = Arc::new(SystemClock);
        Ok(Self {
            registry,
            requests,
            observed: Arc::new(Observed::new(jobs.to_vec(), clock, metrics, resolve)),
        })
    }

    pub(super) fn observed(&self) -> Arc<Observed> {
        self.observed.clone()
    }

    async fn serve_catalog(&self, config: &Config) -> anyhow::Result<CatalogServer> {
        catalog_server::start(config, self.registry.clone(), self.requests.clone()).await
    }
}

/// What a service with this configuration is built from.
pub(super) async fn parts(
    config: &Config,
    jobs: &Arc<Jobs>,
    instruments: &Instruments,
) -> anyhow::Result<Parts> {
    let observed = instruments.observed.clone();
    let lookups = parts::registry(config)?.map(|registry| {
        let (registry, writers) = (registry.into(), jobs.registered.clone());
        Arc::new(SchemaLookups::new(registry, writers, observed.clone()))
    });
    let Opened { lake, abandoned, .. } = parts::open(config, instruments.requests.clone()).await?;
    if let Some(abandoned) = abandoned {
        tokio::spawn(abandoned.keep_aborting(Arc::new(SystemClock)));
    }
    Ok(Parts {
        lake,
        broker: Arc::new(parts::broker(&config.kafka)?),
        sources: Arc::new(KafkaSources::new(config)),
        backfill: Some(BackfillSources {
            sources: Arc::new(KafkaSources::backfill(config)),
            bytes_per_second: config.backfill_rate,
        }),
        heap: Arc::new(Jemalloc::new()?),
        lookups,
        patterns: jobs.patterns(),
        observed,
    })
}

/// The first signal asks the service to leave; the second one ends the process where it stands.
pub(super) fn stop_on_signals() -> anyhow::Result<watch::Receiver<Stop>> {
    let (sender, receiver) = watch::channel(Stop::Run);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for round in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if round > 0 {
                tracing::warn!("leaving at once; what is not committed is read again");
                std::process::exit(Exit::Failed as i32);
            }
            tracing::info!("committing what was read; a second signal leaves at once");
            let _ = sender.send(Stop::Leave);
        }
    });
    Ok(receiver)
}

/// Records that are fetched ahead may hold one part in so many of the memory budget. In memory they take about three
/// times as much, with what the client allocates for each and what it has asked for already.
const PREFETCH_PART: usize = 16;

/// A small part of the time between commits, so that it is no part of freshness.
fn fetch_wait(config: &Config) -> Duration {
    let shortest = config.topics.iter().map(|topic| topic.commit.interval).min();
    shortest.map_or(LONGEST_FETCH_WAIT, |interval| {
        (interval / 8).clamp(Duration::from_millis(1), LONGEST_FETCH_WAIT)
    })
}

/// What is read at a bounded rate need not be fetched far ahead.
const BACKFILL_PREFETCH: usize = 8 << 20;

/// Makes a Kafka client for each worker.
#[derive(Debug)]
pub(super) struct KafkaSources(KafkaSettings);

impl KafkaSources {
    pub(super) fn new(config: &Config) -> Self {
        let budget = settings(config).memory_budget;
        Self(KafkaSettings {
            prefetch: (budget / PREFETCH_PART / config.workers).min(MOST_PREFETCH),
            fetch_wait: fetch_wait(config),
            ..parts::kafka_settings(&config.kafka)
        })
    }

    /// Of a group of its own, so that the partitions of the one are shared out whatever becomes of the other.
    pub(super) fn backfill(config: &Config) -> Self {
        let Self(settings) = Self::new(config);
        Self(KafkaSettings {
            group: format!("{}.backfill", settings.group),
            prefetch: settings.prefetch.min(BACKFILL_PREFETCH),
            ..settings
        })
    }
}

impl Sources for KafkaSources {
    fn open(&self, worker: usize) -> Result<Box<dyn Source>, SourceError> {
        let mut settings = self.0.clone();
        settings.instance_id = settings.instance_id.map(|id| format!("{id}-{worker}"));
        Ok(Box::new(KafkaSource::new(&settings)?))
    }
}
