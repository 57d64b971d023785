//! Before a job is read: its table exists, with the columns that a sample of the topic (or a DDL file) asks for,
//! and the two follower tables beside it.

use iceberg::spec::Schema;
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_decode::kafka_columns::KafkaColumn;
use tabletopic_decode::{DecodeError, Format, create_schema};
use tabletopic_records::Record;
use tabletopic_shape::infer;
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;
use tabletopic_table::follower::create;
use tabletopic_table::partition::{PartitionError, changed_spec, parse_partition_by};
use thiserror::Error;

use crate::job::{Job, PartitionBy};

/// Records that the columns of a new table are inferred from.
pub const SAMPLE: usize = 10_000;

/// Why a job's table can't be had.
#[derive(Debug, Error)]
pub enum PrepareError {
    #[error("job {job}: {source}")]
    Decode { job: String, source: DecodeError },
    #[error("job {job}: `partition_by`: {source}")]
    Partition { job: String, source: PartitionError },
    #[error(
        "job {job}: `partition_by`: {source}. The topic has no record yet to infer it from: start once it has some, or \
         state the columns in a `ddl` file"
    )]
    NothingToInferFrom { job: String, source: PartitionError },
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Whether the job's table is there already.
///
/// # Errors
/// Those of the catalog.
pub async fn exists(lake: &Lake, job: &Job) -> Result<Option<LoadedTable>, CommitError> {
    match lake.catalog.load(&job.table).await {
        Ok(table) => Ok(Some(table)),
        Err(CatalogError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a table that is there can be partitioned as the configuration says. Only the first commit does it.
///
/// # Errors
/// Those of `partition_by`.
pub fn can_be_partitioned(job: &Job, table: &LoadedTable) -> Result<(), PrepareError> {
    let PartitionBy::Said(fields) = &job.partition_by else {
        return Ok(());
    };
    match changed_spec(fields, &table.metadata) {
        Ok(_) => Ok(()),
        Err(source) => Err(PrepareError::Partition {
            job: job.id.to_string(),
            source,
        }),
    }
}

/// The schema that a new table gets: the DDL's columns, or those of the sample, and Kafka's.
///
/// # Errors
/// Names that collide.
pub fn new_schema(job: &Job, sample: &[Record<'_>]) -> Result<Schema, PrepareError> {
    let failed = |source| PrepareError::Decode {
        job: job.id.to_string(),
        source,
    };
    let fields = match &job.ddl {
        Some(fields) => fields.clone(),
        None => infer(job.shape.as_ref(), sample, &job.decode).map_err(failed)?,
    };
    create_schema(&fields, &job.decode).map_err(failed)
}

/// What to say of a new table for which no column of the record's own could be inferred; `None` where columns were,
/// or where none had to be.
pub fn nothing_inferred(job: &Job, schema: &Schema, sampled: usize) -> Option<String> {
    if job.ddl.is_some() || job.decode.format == Format::Raw {
        return None;
    }
    let event_time = job
        .decode
        .event_time
        .as_deref()
        .and_then(|path| path.split('.').next());
    let mut own = schema.as_struct().fields().iter().filter(|field| {
        KafkaColumn::by_name(&field.name).is_none() && Some(field.name.as_str()) != event_time
    });
    own.next().is_none().then(|| {
        let found = match sampled {
            0 => format!("topic {} holds no record yet", job.topic),
            sampled => format!("none of {sampled} records of topic {} holds a field", job.topic),
        };
        format!(
            "{found}, so that no column can be inferred: table {} begins with Kafka's columns{}, and gets the others as \
             records bring them",
            job.table,
            event_time.map_or_else(String::new, |column| format!(" and `{column}`"))
        )
    })
}

/// Creates the job's table if it does not exist, and its followers.
///
/// # Errors
/// Those of the catalog, of the sample's names, and of `partition_by`.
pub async fn create_table(
    lake: &Lake,
    job: &Job,
    sample: &[Record<'_>],
) -> Result<LoadedTable, PrepareError> {
    let schema = new_schema(job, sample)?;
    let nothing_to_infer_from = sample.is_empty() && job.ddl.is_none();
    let spec = parse_partition_by(job.partition_by.fields(), &schema).map_err(|source| {
        let job = job.id.to_string();
        match source {
            PartitionError::NoSuchColumn { .. } if nothing_to_infer_from => {
                PrepareError::NothingToInferFrom { job, source }
            }
            source => PrepareError::Partition { job, source },
        }
    })?;
    let table = create::table(lake, &job.table, schema, Some(spec)).await?;
    Ok(table)
}
