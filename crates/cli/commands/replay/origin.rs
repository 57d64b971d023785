//! Where the records of a replay come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use tabletopic_fixture::Fixture;
use tabletopic_history::History;
use tabletopic_ingest::SchemaLookups;
use tabletopic_ingest::run::{Parts, Sources};
use tabletopic_offsets::RangeSet;
use tabletopic_registry::Registry;
use tabletopic_replay::chained::{Chain, HistorySources, chain};
use tabletopic_source::Broker;
use tokio::runtime::Handle;

use crate::args;
use crate::commands::run::KafkaSources;
use crate::config::Config;
use crate::jobs::Jobs;
use crate::parts;

/// A log, and how it is read.
#[derive(Debug)]
pub struct Origin {
    pub broker: Arc<dyn Broker>,
    sources: Arc<dyn Sources>,
    /// In the place of the configured one.
    registry: Option<Arc<dyn Registry>>,
    /// What the raw-history table has declared lost, by partition.
    pub lost: BTreeMap<i32, RangeSet>,
}

impl Origin {
    /// The topic, a raw-history table with or without it, or a captured file.
    ///
    /// # Errors
    /// The file or the table can't be read; table and topic do not fit together.
    pub async fn of(config: &Config, asked: &args::Replay) -> anyhow::Result<Self> {
        if let Some(file) = &asked.from_file {
            let fixture = Fixture::read(file)?;
            let broker = fixture.broker();
            let registry = fixture
                .registry()
                .map(|registry| Arc::new(registry) as Arc<dyn Registry>);
            return Ok(Self {
                sources: Arc::new(fixture.sources(&broker)),
                broker: Arc::new(broker),
                registry,
                lost: BTreeMap::new(),
            });
        }
        let broker: Arc<dyn Broker> = Arc::new(parts::broker(&config.kafka)?);
        let sources: Arc<dyn Sources> = Arc::new(KafkaSources::new(config));
        let Some(table) = &asked.history else {
            return Ok(Self {
                broker,
                sources,
                registry: None,
                lost: BTreeMap::new(),
            });
        };
        let lake = parts::lake_to_ask(config).await?;
        let history = HistorySources {
            history: History::open(&lake, &super::table(table)?, None).await?,
            runtime: Handle::current(),
        };
        let partitions = history.history.partitions().iter();
        let lost = partitions.map(|(number, log)| (*number, log.gone.lost.clone()));
        let lost = lost.filter(|(_, lost)| !lost.is_empty()).collect();
        let Chain { broker, sources } = match asked.without_topic {
            true => Chain {
                broker: Arc::new(history.history.broker(Handle::current())),
                sources: Arc::new(history),
            },
            false => {
                let chained = tokio::task::spawn_blocking(move || chain(history, broker, sources)).await;
                chained.context("looking at the topic ended unexpectedly")??
            }
        };
        Ok(Self {
            broker,
            sources,
            registry: None,
            lost,
        })
    }

    /// The service's parts, that read from here.
    pub fn parts(self, parts: Parts, jobs: &Jobs) -> Parts {
        let lookups = match self.registry {
            Some(registry) => {
                let lookups = SchemaLookups::new(registry, jobs.registered.clone(), parts.observed.clone());
                Some(Arc::new(lookups))
            }
            None => parts.lookups,
        };
        Parts {
            broker: self.broker,
            sources: self.sources,
            lookups,
            ..parts
        }
    }
}
