//! Why a table cannot be read as a log.

use iceberg::TableIdent;
use tabletopic_catalog::CatalogError;
use tabletopic_offsets::{JobId, Offset, OffsetRange, TopicPartition};
use tabletopic_table::commit::CommitError;
use tabletopic_table::read::ReadError;
use thiserror::Error;

/// Each message says what to do where something can be done.
#[derive(Debug, Error)]
pub enum HistoryError {
    #[error(
        "{table} is no raw-history table: {problem}. Only a table that a topic of `format = \"raw\"` feeds has whole records"
    )]
    NotRaw { table: TableIdent, problem: String },

    #[error("{table} is fed from no topic: it has no tag `tabletopic`, which tells what its rows are")]
    NotFed { table: TableIdent },

    #[error("{table} is not fed by a job {job}, but by {}", listed(jobs))]
    NoSuchJob {
        table: TableIdent,
        job: JobId,
        jobs: Vec<JobId>,
    },

    #[error("{table} is fed by several jobs: {}. Name one of them", listed(jobs))]
    SeveralJobs { table: TableIdent, jobs: Vec<JobId> },

    #[error(
        "{table}: rows of job {job} in partition {partition} can't be told from those of job {other}, which has a partition \
         of that number too: {why}"
    )]
    NotToldApart {
        table: TableIdent,
        job: JobId,
        other: JobId,
        partition: i32,
        why: &'static str,
    },

    #[error(
        "{table}: {tp} has rows of several logs, because its topic was created again and adopted: their offsets have the \
         same numbers, and rows don't tell them apart"
    )]
    Adopted { table: TableIdent, tp: TopicPartition },

    #[error(
        "{table}: the offsets {missing} of {tp} have not been read yet, and later ones have: wait until they are, or give them \
         up with `tabletopic resolve {table} --declare-lost`"
    )]
    Unfinished {
        table: TableIdent,
        tp: TopicPartition,
        missing: OffsetRange,
    },

    #[error(
        "{table}: partition {partition} has a row at offset {offset} in {file} that does not tell its topic"
    )]
    NoTopic {
        table: TableIdent,
        file: String,
        partition: i32,
        offset: Offset,
    },

    #[error(
        "{table}: {tp} has offset {offset} more than once, at last in {file}; run `tabletopic verify {table}`, which says where"
    )]
    Double {
        table: TableIdent,
        tp: TopicPartition,
        offset: Offset,
        file: String,
    },

    #[error(
        "{table}: its rows lie in more than {most} stretches, one for each row group and topic partition, which is more than is \
         kept in memory; compact it first"
    )]
    TooScattered { table: TableIdent, most: usize },

    #[error("{file} is no Parquet file; rewrite it as one")]
    OtherFormat { file: String },

    #[error(transparent)]
    Commit(#[from] CommitError),

    #[error(transparent)]
    Read(#[from] ReadError),
}

impl HistoryError {
    /// Whether the table, or what was named in it, is not fit.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::NotRaw { .. }
                | Self::NotFed { .. }
                | Self::NoSuchJob { .. }
                | Self::SeveralJobs { .. }
                | Self::Commit(CommitError::Catalog(CatalogError::NotFound { .. }))
        )
    }

    /// Whether the table stands still until somebody has looked.
    pub fn is_halt(&self) -> bool {
        matches!(self, Self::Commit(CommitError::Halt(_)))
    }

    /// Whether trying again may help: an outage of the catalog or of the store. What a store says of one file does not
    /// tell an outage from a file that is gone.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Commit(error) => error.is_transient(),
            Self::Read(ReadError::File { .. } | ReadError::Iceberg(_)) => true,
            Self::Read(
                ReadError::ColumnType { .. } | ReadError::DeleteFile { .. } | ReadError::Memory(_),
            )
            | Self::NotRaw { .. }
            | Self::NotFed { .. }
            | Self::NoSuchJob { .. }
            | Self::SeveralJobs { .. }
            | Self::NotToldApart { .. }
            | Self::Adopted { .. }
            | Self::Unfinished { .. }
            | Self::NoTopic { .. }
            | Self::Double { .. }
            | Self::TooScattered { .. }
            | Self::OtherFormat { .. } => false,
        }
    }
}

impl From<CatalogError> for HistoryError {
    fn from(error: CatalogError) -> Self {
        Self::Commit(error.into())
    }
}

impl From<iceberg::Error> for HistoryError {
    fn from(error: iceberg::Error) -> Self {
        Self::Commit(error.into())
    }
}

fn listed(jobs: &[JobId]) -> String {
    let names: Vec<&str> = jobs.iter().map(JobId::as_str).collect();
    names.join(", ")
}
