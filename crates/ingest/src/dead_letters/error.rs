//! Why dead letters can't be read or redriven.

use tabletopic_offsets::JobId;
use tabletopic_records::SchemaId;
use tabletopic_registry::Outage;
use tabletopic_table::commit::CommitError;
use thiserror::Error;

use super::selection::Records;
use crate::worker::WriteError;

/// What was committed before stays: a redrive that is run again goes on where this one ended.
#[derive(Debug, Error)]
pub enum DeadLettersError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("job {job}: {source}")]
    Write { job: JobId, source: WriteError },
    #[error("records with schema id {id} can't be decoded without their schema: {source}")]
    Registry { id: SchemaId, source: Outage },
    #[error(
        "job {job}: records with schema id {id} need a schema registry, and the configuration has no [registry]"
    )]
    NoRegistry { job: JobId, id: SchemaId },
    #[error("{records} is no dead letter of table {table}{}", near(.nearest))]
    NoSuchLetter {
        table: String,
        records: Records,
        /// Other letters, the nearest first.
        nearest: Vec<String>,
    },
}

fn near(nearest: &[String]) -> String {
    match nearest {
        [] => "; `tabletopic dead-letters TABLE` lists those that are".to_owned(),
        near => format!("; near it are {}", near.join(", ")),
    }
}
