//! How a table would be partitioned.

use iceberg::spec::Schema;
use tabletopic_catalog::LoadedTable;
use tabletopic_table::partition::{changed_spec, describe_partition_by, parse_partition_by};

use crate::job::{Job, PartitionBy};
use crate::prepare::PrepareError;

/// In the words of `partition_by`; empty for a table without partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitioning {
    /// As the table is, or as it would be made.
    pub now: Vec<String>,
    /// As it would be from the next commit on, where that is something else.
    pub then: Option<Vec<String>>,
}

/// `schema` is the table's, with everything that records ask for.
pub(super) fn of(
    job: &Job,
    table: Option<&LoadedTable>,
    schema: &Schema,
) -> Result<Partitioning, PrepareError> {
    let failed = |source| PrepareError::Partition {
        job: job.id.to_string(),
        source,
    };
    let Some(table) = table else {
        let spec = parse_partition_by(job.partition_by.fields(), schema).map_err(failed)?;
        let fields = spec
            .fields()
            .iter()
            .map(|field| (field.transform, field.source_id));
        return Ok(Partitioning {
            now: describe_partition_by(fields, schema),
            then: None,
        });
    };
    let now = table.metadata.default_partition_spec().fields().iter();
    let now = describe_partition_by(now.map(|field| (field.transform, field.source_id)), schema);
    let changed = match &job.partition_by {
        PartitionBy::Said(fields) => changed_spec(fields, &table.metadata).map_err(failed)?,
        PartitionBy::Usual(_) => None,
    };
    let then = changed.map(|spec| {
        let fields = spec
            .fields()
            .iter()
            .map(|field| (field.transform, field.source_id));
        describe_partition_by(fields, schema)
    });
    Ok(Partitioning { now, then })
}
