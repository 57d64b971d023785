//! The configuration: a TOML file, read once into plain data ([`raw`]) and then checked into [`Config`], which
//! holds data only. Clocks, clients, stores and catalogs are built from it in `parts`.
//!
//! `docs/configuration.md` lists every key; a test holds it against this parser.

mod admin;
mod catalog;
mod change;
mod document;
mod error;
mod formats;
mod kafka;
mod key;
mod log;
mod maintenance;
mod pattern;
mod postgres;
mod raw;
mod reference;
mod registry;
mod rest;
mod retain;
mod secret;
mod serve;
mod shape;
mod start;
mod storage;
mod subject;
mod table_name;
mod tls;
mod topic;
mod units;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;

use tabletopic_ingest::PartitionBy;

pub use admin::Admin;
pub use catalog::{Catalog, CatalogKind, Warehouse};
pub use change::{Changes, Setting};
pub use error::{ConfigError, Problem};
pub use kafka::{Assignment, Kafka};
pub use log::{Log, LogFormat, LogLevel};
pub use maintenance::Maintenance;
pub use pattern::{Matched, Pattern};
pub use postgres::Postgres;
pub use registry::Registry;
pub use start::{Backfill, Start};
pub use storage::Storage;
pub use subject::SubjectStrategy;
pub use table_name::TableName;
pub use topic::{ProtobufFile, Topic};

use document::Document;
use reference::References;
use serde::Deserialize;
use topic::Declared;
pub use units::Size;
pub use verify::Verify;

/// Everything that a process has to know. Paths are absolute, or relative to the working directory when the
/// configuration file's own path was.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub kafka: Kafka,
    pub catalog: Catalog,
    /// Where the tables' files are.
    pub storage: Storage,
    pub registry: Option<Registry>,
    /// Those that have a name; jobs are distinct, and so are topics with their tables. Not empty, unless there are
    /// patterns.
    pub topics: Vec<Topic>,
    /// In the order of the file.
    pub patterns: Vec<Pattern>,
    /// Bytes that all open files of the process may hold together.
    pub memory_budget: u64,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Bytes a second that history is read with behind what is new.
    pub backfill_rate: u64,
    pub maintenance: Option<Maintenance>,
    pub verify: Option<Verify>,
    pub admin: Admin,
    pub log: Log,
}

impl Config {
    /// Reads and checks `file`; `env` is the process's environment.
    pub fn load(file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::load_changed(file, env, Changes::default())
    }

    /// The same, with `changes` in the place of what the file says.
    pub fn load_changed(
        file: &Path,
        env: &dyn Fn(&str) -> Option<String>,
        changes: Changes<'_>,
    ) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            file: file.to_owned(),
            problems: vec![Problem {
                line: None,
                key: None,
                message: format!(
                    "cannot be read: {error}; name another file with --config, or start from \
                     examples/local/tabletopic.toml"
                ),
            }],
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::parse(&text, &References { env, folder }, changes).map_err(|problems| ConfigError {
            file: file.to_owned(),
            problems,
        })
    }

    /// The first problem of each section, so that one reading shows most of them.
    fn parse(text: &str, references: &References<'_>, changes: Changes<'_>) -> Result<Self, Vec<Problem>> {
        let mut document = Document::parse(text).map_err(|problem| vec![problem])?;
        let unresolved = document.resolve(references);
        if !unresolved.is_empty() {
            return Err(unresolved);
        }
        document.change(changes);
        let raw = raw::File::deserialize(toml::de::Deserializer::from(document.table()))
            .map_err(|error| vec![document.problem_of(&error)])?;

        let kafka = Kafka::validate(raw.kafka, &document, references).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let place = raw.catalog.as_ref().and_then(|catalog| {
            let warehouse = catalog.get_ref().warehouse.as_ref()?;
            Some(warehouse.span())
        });
        let catalog = keep(
            Catalog::validate(raw.catalog, &document, references),
            &mut problems,
        );
        let storage = catalog.as_ref().and_then(|catalog| {
            let storage = storage::validate(raw.storage, &catalog.warehouse, place, &document);
            keep(storage, &mut problems)
        });
        let registry = keep(
            Registry::validate(raw.registry, &document, references),
            &mut problems,
        );
        let memory_budget = keep(memory_budget(&document, raw.memory), &mut problems);
        let backfill_rate = raw.workers.backfill_rate.unwrap_or(Size::mib(20)).0;
        let workers = keep(workers(&document, raw.workers), &mut problems);
        let maintenance = keep(Maintenance::validate(raw.maintenance, &document), &mut problems);
        let verify = keep(Verify::validate(raw.verify, &document), &mut problems);
        let admin = keep(Admin::validate(raw.admin, &document), &mut problems);
        let (mut topics, mut patterns) = (Vec::new(), Vec::new());
        let none = raw.topic.is_empty();
        for topic in raw.topic {
            let place = topic.span();
            let checked = Topic::validate(topic, &kafka, registry.as_ref(), &document, references);
            match keep(checked, &mut problems) {
                Some(Declared::Topic(topic)) => topics.push((place, topic)),
                Some(Declared::Pattern(pattern)) => patterns.push((place, pattern)),
                None => {}
            }
        }
        if none {
            problems.push(document.problem_in(
                None,
                "topic",
                "is missing; add [[topic]] with name, table and format".to_owned(),
            ));
        }
        if problems.is_empty() {
            problems.extend(repeated(&document, &topics));
            let of_patterns = patterns.iter().map(|(place, pattern)| (place, pattern.model()));
            let of_patterns = of_patterns.filter(|(_, model)| !model.table.is_of_its_topic());
            let all = topics
                .iter()
                .map(|(place, topic)| (place, topic))
                .chain(of_patterns);
            problems.extend(partitioned_twice(&document, all.clone()));
            problems.extend(retained_twice(&document, all));
        }
        match (
            catalog,
            storage,
            registry,
            memory_budget,
            workers,
            maintenance,
            verify,
            admin,
        ) {
            (
                Some(catalog),
                Some(storage),
                Some(registry),
                Some(memory_budget),
                Some(workers),
                Some(maintenance),
                Some(verify),
                Some(admin),
            ) if problems.is_empty() => Ok(Self {
                kafka,
                catalog,
                storage,
                registry,
                topics: topics.into_iter().map(|(_, topic)| topic).collect(),
                patterns: patterns.into_iter().map(|(_, pattern)| pattern).collect(),
                memory_budget,
                workers,
                backfill_rate,
                maintenance,
                verify,
                admin,
                log: Log {
                    format: raw.log.format.unwrap_or(LogFormat::Text),
                    level: raw.log.level.unwrap_or(LogLevel::Info),
                },
            }),
            _ => Err(problems),
        }
    }
}

/// Bytes. With less than the least, a single batch would fill it; more than the most is a slip of the pen.
fn memory_budget(document: &Document<'_>, raw: raw::Memory) -> Result<u64, Problem> {
    const LEAST: Size = Size::mib(16);
    const MOST: Size = Size::mib(4 * 1024 * 1024);
    let Some(budget) = raw.budget else {
        return Ok(Size::mib(1024).0);
    };
    let Size(bytes) = *budget.get_ref();
    if (LEAST.0..=MOST.0).contains(&bytes) {
        return Ok(bytes);
    }
    let message = "the budget has to be between 16MiB and 4TiB; write for example \"1024MiB\"";
    Err(document.problem_at(budget.span(), message.to_owned()))
}

/// Threads, each with a Kafka client of its own.
fn workers(document: &Document<'_>, raw: raw::Workers) -> Result<NonZeroUsize, Problem> {
    const MOST: usize = 256;
    let Some(count) = raw.count else {
        return Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    };
    if count.get_ref().get() <= MOST {
        return Ok(count.into_inner());
    }
    let message = format!(
        "{} are too many; write at most {MOST}, or leave the key out for one for each CPU",
        count.get_ref()
    );
    Err(document.problem_at(count.span(), message))
}

fn keep<T>(checked: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    checked.map_err(|problem| problems.push(problem)).ok()
}

/// `value`, or a problem that `key` is missing from its section.
fn required<T>(
    document: &Document<'_>,
    value: Option<T>,
    section: Option<Range<usize>>,
    key: &str,
    advice: &str,
) -> Result<T, Problem> {
    value.ok_or_else(|| document.problem_in(section, key, format!("is missing; {advice}")))
}

/// A topic feeds a table once, and a job's progress is kept once.
fn repeated(document: &Document<'_>, topics: &[(Range<usize>, Topic)]) -> Vec<Problem> {
    let mut fed = BTreeSet::new();
    let mut jobs = HashSet::new();
    let mut problems = Vec::new();
    for (place, topic) in topics {
        let taken = if !fed.insert((&topic.name, &topic.table)) {
            Some((
                "topic.table",
                format!(
                    "`{}` feeds table {} by another [[topic]]; remove one of the two, or write another table",
                    topic.name, topic.table
                ),
            ))
        } else if !jobs.insert(&topic.job) {
            Some((
                "topic.job",
                format!(
                    "`{}` is the job of another [[topic]]; write a job of its own",
                    topic.job
                ),
            ))
        } else {
            None
        };
        if let Some((key, message)) = taken {
            problems.push(document.problem_in(Some(place.clone()), key, message));
        }
    }
    problems
}

/// A table keeps all of its rows for as long, whoever feeds it.
fn retained_twice<'t>(
    document: &Document<'_>,
    topics: impl Iterator<Item = (&'t Range<usize>, &'t Topic)>,
) -> Vec<Problem> {
    let mut retained = BTreeMap::new();
    let mut problems = Vec::new();
    for (place, topic) in topics {
        if let Some(retain) = &topic.retain
            && *retained.entry(&topic.table).or_insert(retain) != retain
        {
            let message = format!(
                "table {} keeps its rows otherwise by another topic; write the same for both, or once",
                topic.table
            );
            problems.push(document.problem_in(Some(place.clone()), "topic.retain", message));
        }
    }
    problems
}

/// A table has one partition spec, whoever feeds it.
fn partitioned_twice<'t>(
    document: &Document<'_>,
    topics: impl Iterator<Item = (&'t Range<usize>, &'t Topic)>,
) -> Vec<Problem> {
    let mut partitioned = BTreeMap::new();
    let mut problems = Vec::new();
    for (place, topic) in topics {
        if let PartitionBy::Said(fields) = &topic.partition_by
            && *partitioned.entry(&topic.table).or_insert(fields) != fields
        {
            let message = format!(
                "table {} is partitioned otherwise by another topic; write the same for both, or once",
                topic.table
            );
            problems.push(document.problem_in(Some(place.clone()), "topic.partition_by", message));
        }
    }
    problems
}
