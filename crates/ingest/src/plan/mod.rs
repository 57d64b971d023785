//! What `run` would make of a job's table, found out the way `run` finds it out, and without doing it: nothing is
//! created, committed or mirrored to a group.

mod begin;
mod column;
mod next_schema;
mod partitioning;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use tabletopic_records::Record;
use tabletopic_registry::Registry;
use tabletopic_table::Lake;
use tabletopic_table::follower::create;

pub use column::{Column, ColumnPlan, Origin};
pub use next_schema::{NextSchema, next_schema};
pub use partitioning::Partitioning;
pub use trial::{Fault, Wish};

use crate::ask_broker::AskBroker;
use crate::job::Job;
use crate::prepare::{self, PrepareError};
use crate::run::sample::{self, OwnedRecord};
use crate::run::{RunError, Sources};
use crate::schema_lookups::learn;
use begin::Beginning;
use trial::Trial;

/// What would become of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    /// It exists, and its schema would change.
    Change,
    Nothing,
}

/// What `run` would do for one job.
#[derive(Debug)]
pub struct Plan {
    pub job: Arc<Job>,
    pub action: Action,
    /// Topic partitions.
    pub partitions: usize,
    /// Offsets between where reading would begin and the ends of the topic.
    pub unread: u64,
    /// How many of the records to come were looked at.
    pub sampled: usize,
    /// All columns that the table has then, in order.
    pub columns: Vec<Column>,
    /// The schema changes that records ask for, in the order of these records.
    pub wishes: Vec<Wish>,
    pub partitioning: Partitioning,
    pub properties: BTreeMap<String, String>,
    /// A few records as the table would hold them; those that make it change come first.
    pub rows: RecordBatch,
    /// What is wrong with which of the sampled records.
    pub faults: Vec<Fault>,
    /// How many of the sampled records are left out on purpose.
    pub filtered: u64,
    /// Why the job, or a part of it, would stand still.
    pub halts: Vec<String>,
    /// What may not be what was meant.
    pub warnings: Vec<String>,
}

/// Looks at a topic and its table.
///
/// # Errors
/// As those of [`crate::run::run`], but for outages of the broker and of the registry, which are not waited out.
pub async fn plan(
    lake: &Lake,
    broker: &dyn AskBroker,
    sources: &Arc<dyn Sources>,
    registry: Option<&dyn Registry>,
    job: &Arc<Job>,
) -> Result<Plan, RunError> {
    let described = broker.describe(&job.topic).await?;
    let description = described.map_err(|source| RunError::Topic {
        topic: job.topic.clone(),
        source,
    })?;
    let table = prepare::exists(lake, job).await.map_err(PrepareError::from)?;
    let Beginning {
        ranges,
        unread,
        mut halts,
    } = begin::begin(lake, broker, job, table.as_ref(), &description).await?;
    let records = sample::read(sources.clone(), lake.clock.clone(), job.topic.clone(), ranges).await?;
    let records: Vec<Record<'_>> = records.iter().map(OwnedRecord::as_record).collect();
    if let (Some(registry), Some(registered)) = (registry, job.decode.registered()) {
        for id in job.decode.missing(&records) {
            learn(registry, registered, id).await?;
        }
    }

    let before = match &table {
        Some(table) => table.metadata.current_schema().as_ref().clone(),
        None => prepare::new_schema(job, &records)?,
    };
    let last_column_id = table.as_ref().map_or_else(
        || before.highest_field_id(),
        |table| table.metadata.last_column_id(),
    );
    let earlier = table.as_ref().map_or_else(Vec::new, |table| {
        table
            .metadata
            .schemas_iter()
            .map(|schema| schema.as_ref().clone())
            .collect()
    });
    let tried = trial::of(job, before.clone(), earlier, last_column_id, &records);
    let Trial {
        schema,
        wishes,
        rows,
        faults,
        unknown_fields,
        filtered,
        halts: stopped,
    } = tried.map_err(|source| PrepareError::Decode {
        job: job.id.to_string(),
        source,
    })?;
    halts.extend(stopped);

    let partitioning = partitioning::of(job, table.as_ref(), &schema)?;
    let action = match &table {
        None => Action::Create,
        Some(_) if schema.as_struct() != before.as_struct() || partitioning.then.is_some() => Action::Change,
        Some(_) => Action::Nothing,
    };
    let mut warnings = Vec::new();
    if action == Action::Create {
        warnings.extend(prepare::nothing_inferred(job, &schema, records.len()));
    }
    if unknown_fields > 0 {
        warnings.push(format!(
            "{unknown_fields} fields of the sampled records have no column, and get none: columns are not inferred \
             beside a DDL file, nor above `max_columns`"
        ));
    }
    if let Some(shape) = &job.shape {
        let unheard_of = shape.unheard_of(&schema).into_iter();
        warnings.extend(unheard_of.map(|name| {
            format!(
                "`where` reads `{name}`, which neither the sampled records nor the table have: it is null"
            )
        }));
    }
    Ok(Plan {
        action,
        partitions: description.partitions.len(),
        unread,
        sampled: records.len(),
        columns: column::columns(job, table.is_some(), &before, &schema),
        wishes,
        partitioning,
        properties: match table {
            Some(table) => table.metadata.properties().clone().into_iter().collect(),
            None => create::properties().into_iter().collect(),
        },
        rows,
        faults,
        filtered,
        halts,
        warnings,
        job: job.clone(),
    })
}
