//! What a replay will do: which tables it makes, and which offsets go into them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iceberg::{NamespaceIdent, TableIdent};
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_clock::Millis;
use tabletopic_ingest::ask_broker::{AskBroker, every_log, patiently};
use tabletopic_ingest::rate::Rate;
use tabletopic_ingest::run::Parts;
use tabletopic_ingest::{Backfill, Job, Start};
use tabletopic_offsets::{OffsetRange, RangeSet, TableState, TopicPartition};
use tabletopic_table::Lake;
use tabletopic_table::commit::Base;
use tabletopic_table::follower::create;

use crate::ReplayError;
use crate::bounded::{BoundedBroker, BoundedSources, Bounds};
use crate::bounds::bounds;
use crate::found::Found;
use crate::isolated::{Columns, Isolated, Original};
use crate::lost;
use crate::note::{Note, NotedJob};
use crate::point::Asked;
use crate::prepare::{Standing, standing};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub into: NamespaceIdent,
    pub asked: Asked,
    pub columns: Columns,
    /// The words of the command that decide what is read and how.
    pub words: String,
    /// For how long after their last change its tables stay, in milliseconds.
    pub ttl_ms: Option<Millis>,
    /// What the history that is read has declared lost, by partition of its topic.
    pub lost: BTreeMap<i32, RangeSet>,
}

/// See the module.
#[derive(Debug)]
pub struct Plan {
    pub into: NamespaceIdent,
    pub jobs: Vec<PlannedJob>,
    /// By the names of the tables that are made.
    originals: BTreeMap<String, Original>,
    /// Tables that an earlier attempt has left without columns.
    unfinished: BTreeSet<TableIdent>,
}

/// A job of the replay.
#[derive(Debug, Clone)]
pub struct PlannedJob {
    /// With the table that is made for it.
    pub job: Arc<Job>,
    /// The table that it is a replay of.
    pub of: TableIdent,
    /// By partition.
    pub ranges: BTreeMap<i32, OffsetRange>,
    /// Those of them that the history has lost.
    pub lost: BTreeMap<i32, RangeSet>,
    /// It has begun already, and goes on.
    pub begun: bool,
}

/// Looks what a replay of these jobs would do; makes nothing. `all` are the tables that the configuration feeds.
///
/// # Errors
/// See [`ReplayError`].
pub async fn plan(
    lake: &Lake,
    broker: &dyn AskBroker,
    jobs: &[Arc<Job>],
    all: &BTreeSet<TableIdent>,
    wanted: &Wanted,
) -> Result<Plan, ReplayError> {
    let tables = places(jobs, all, &wanted.into)?;
    let mut plan = Plan {
        into: wanted.into.clone(),
        jobs: Vec::new(),
        originals: BTreeMap::new(),
        unfinished: BTreeSet::new(),
    };
    let mut standings = BTreeMap::new();
    let folder = lake.entropy.uuid().simple().to_string();
    for (of, table) in &tables {
        let standing = standing(lake, table, &wanted.words).await?;
        if matches!(standing, Standing::Unfinished) {
            plan.unfinished.insert(table.clone());
        }
        let note = match &standing {
            Standing::Begun(note) => note.clone(),
            Standing::New | Standing::Unfinished => {
                Note::new(table, of, lake.clock.now(), wanted.ttl_ms, wanted.words.clone())
            }
        };
        let is_new = !matches!(standing, Standing::Begun(_));
        let mut original = Original {
            note,
            table: existing(lake, of).await?,
            columns: wanted.columns,
        };
        if is_new && original.warehouse().is_some() {
            original.note.folder = Some(folder.clone());
        }
        plan.originals.insert(table.name.clone(), original);
        standings.insert(table.clone(), standing);
    }
    for job in jobs {
        let table = &tables[&job.table];
        let described = patiently(|| broker.describe(&job.topic)).await?;
        let topic = described.map_err(|source| ReplayError::Topic {
            topic: job.topic.clone(),
            source,
        })?;
        let noted = match &standings[table] {
            Standing::Begun(note) => match note.job(&job.id) {
                Some(noted) => Some(noted),
                None => {
                    tracing::warn!(
                        "topic {} is not in the replay that {table} was begun as: left out",
                        job.topic
                    );
                    continue;
                }
            },
            Standing::New | Standing::Unfinished => None,
        };
        let ranges = match noted {
            Some(noted) if !noted.identity().agrees(&topic.identity) => {
                return Err(ReplayError::OtherTopic {
                    table: table.clone(),
                    was: Box::new(noted.identity()),
                    now: Box::new(topic.identity),
                });
            }
            Some(noted) => {
                let ranges = noted.ranges();
                let state = state_of(lake, table).await?;
                still_there(broker, job, &ranges, state.as_ref()).await?;
                lost::as_before((&job.topic, &job.id), noted, &wanted.lost, state.as_ref())?;
                ranges
            }
            None => bounds(lake, broker, job, &topic, &wanted.asked).await?,
        };
        let fresh = NotedJob::new(&topic.identity, &ranges, &wanted.lost);
        let lost = noted.unwrap_or(&fresh).lost();
        let original = plan.originals.get_mut(&table.name);
        if let Some(original) = original.filter(|_| noted.is_none()) {
            original.note.jobs.insert(job.id.as_str().to_owned(), fresh);
        }
        plan.jobs.push(PlannedJob {
            job: Arc::new(Job {
                table: table.clone(),
                start: Start::Earliest,
                backfill: Backfill::First,
                partitions: None,
                ..Job::clone(job)
            }),
            of: job.table.clone(),
            ranges,
            lost,
            begun: noted.is_some(),
        });
    }
    plan.bounds()?;
    Ok(plan)
}

impl Plan {
    /// The service's parts, that it replays with. What an earlier attempt left unfinished is removed before.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn parts(&self, parts: Parts, rate: Option<Rate>) -> Result<Parts, ReplayError> {
        for table in &self.unfinished {
            // Somebody may have finished it meanwhile.
            let now = existing(&parts.lake, table).await?;
            if now.is_none_or(|now| !now.metadata.current_schema().as_struct().fields().is_empty()) {
                continue;
            }
            match parts.lake.catalog.drop_table(table).await {
                Err(CatalogError::NotFound { .. }) => {}
                dropped => dropped?,
            }
        }
        let bounds = Arc::new(self.bounds()?);
        let mut originals = self.originals.clone();
        let unread = self.unread();
        for table in &unread {
            if let Some(original) = originals.get_mut(&table.name) {
                original.columns = Columns::OfOriginal;
            }
        }
        let catalog = Isolated::new(parts.lake.catalog.clone(), self.into.clone(), originals);
        let lake = Lake {
            catalog: Arc::new(catalog),
            ..parts.lake
        };
        for table in unread {
            let original = self.originals.get(&table.name);
            if let Some(original) = original.and_then(|original| original.table.as_ref()) {
                let columns = original.metadata.current_schema().as_ref().clone();
                create::table(&lake, table, columns, None).await?;
            }
        }
        Ok(Parts {
            lake,
            broker: Arc::new(BoundedBroker::new(parts.broker, bounds.clone())),
            sources: Arc::new(BoundedSources::new(parts.sources, bounds, rate)),
            // Its tables are read from one end to the other.
            backfill: None,
            patterns: None,
            ..parts
        })
    }

    /// The tables that nothing is read for: there is no record to tell their columns by.
    fn unread(&self) -> BTreeSet<&TableIdent> {
        let mut tables = self.tables();
        for planned in &self.jobs {
            if planned.begun || planned.ranges.values().any(|range| !range.is_empty()) {
                tables.remove(&planned.job.table);
            }
        }
        tables
    }

    /// The tables that are made.
    pub fn tables(&self) -> BTreeSet<&TableIdent> {
        self.jobs.iter().map(|planned| &planned.job.table).collect()
    }

    /// Whether a table was made with the offsets of this plan: of two processes that begin one at once, one makes it.
    pub fn has_made(&self, found: &Found) -> bool {
        let mut mine = self
            .jobs
            .iter()
            .filter(|planned| planned.job.table == found.table);
        mine.all(|planned| {
            let noted = found.note.job(&planned.job.id);
            noted.is_some_and(|noted| noted.ranges() == planned.ranges)
        })
    }

    /// Topic partitions that have something to read.
    pub fn partitions(&self) -> usize {
        let ranges = self.jobs.iter().flat_map(|job| job.ranges.values());
        ranges.filter(|range| !range.is_empty()).count()
    }

    /// Offsets in all ranges.
    pub fn offsets(&self) -> u64 {
        let ranges = self.jobs.iter().flat_map(|job| job.ranges.values());
        ranges.map(OffsetRange::len).sum()
    }

    /// Of each topic partition, whoever reads it.
    fn bounds(&self) -> Result<Bounds, ReplayError> {
        let mut bounds = Bounds::new();
        for PlannedJob { job, ranges, .. } in &self.jobs {
            for (partition, range) in ranges {
                let topic_partition = TopicPartition::new(job.topic.clone(), *partition);
                let other = bounds.insert(topic_partition, *range);
                if other.is_some_and(|other| other != *range) {
                    return Err(ReplayError::Apart {
                        topic: job.topic.clone(),
                    });
                }
            }
        }
        Ok(bounds)
    }
}

/// Where the replay of each table is made.
fn places(
    jobs: &[Arc<Job>],
    all: &BTreeSet<TableIdent>,
    into: &NamespaceIdent,
) -> Result<BTreeMap<TableIdent, TableIdent>, ReplayError> {
    if let Some(table) = all.iter().find(|table| table.namespace == *into) {
        return Err(ReplayError::InUse { table: table.clone() });
    }
    let mut tables = BTreeMap::new();
    let mut names = BTreeMap::new();
    for of in jobs.iter().map(|job| &job.table) {
        if let Some(other) = names.insert(of.name.clone(), of).filter(|other| *other != of) {
            return Err(ReplayError::SameName {
                one: other.clone(),
                other: of.clone(),
            });
        }
        tables.insert(of.clone(), TableIdent::new(into.clone(), of.name.clone()));
    }
    Ok(tables)
}

async fn existing(lake: &Lake, table: &TableIdent) -> Result<Option<LoadedTable>, ReplayError> {
    match lake.catalog.load(table).await {
        Ok(loaded) => Ok(Some(loaded)),
        Err(CatalogError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How far a replay that goes on has come.
async fn state_of(lake: &Lake, table: &TableIdent) -> Result<Option<TableState>, ReplayError> {
    Ok(match existing(lake, table).await?.map(Base::<TableState>::read) {
        Some(Ok(base)) => base.state().cloned(),
        Some(Err(_)) | None => None,
    })
}

/// Whether the log has what a replay that goes on has not read yet.
async fn still_there(
    broker: &dyn AskBroker,
    job: &Job,
    ranges: &BTreeMap<i32, OffsetRange>,
    state: Option<&TableState>,
) -> Result<(), ReplayError> {
    let partitions: Vec<TopicPartition> = ranges
        .keys()
        .map(|partition| TopicPartition::new(job.topic.clone(), *partition))
        .collect();
    let logs = every_log(broker, &partitions).await?;
    for ((partition, range), log) in ranges.iter().zip(logs) {
        let from = lost::goes_on_at(state, &job.id, *partition, *range);
        if from < log.start && from < range.end {
            return Err(ReplayError::Gone {
                topic_partition: TopicPartition::new(job.topic.clone(), *partition),
                from,
                log_start: log.start,
            });
        }
    }
    Ok(())
}
