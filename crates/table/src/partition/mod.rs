//! Partitioning: from `partition_by = ["day(created_at)"]` to a partition spec, and from a batch of
//! rows to the rows of each partition value; and to the next spec, when `partition_by` was changed.
//!
//! Transforms are the iceberg crate's own, so that a row lands where every other engine looks for it.

mod age;
mod changed_spec;
mod key;
mod keys;
mod partition_spec;
mod path;
mod splitter;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use self::age::{ends_at, is_of_time};
pub use self::changed_spec::changed_spec;
pub use self::keys::Keys;
pub use self::partition_spec::{describe_partition_by, parse_partition_by, partitioned_column, timed_column};
pub use self::path::partition_path;
pub use self::splitter::Splitter;

/// Why a table cannot be partitioned so, or a batch cannot be split.
#[derive(Debug, Error)]
pub enum PartitionError {
    /// `partition_by` is not in the shape `transform(column)`.
    #[error(
        "`{text}` is not a partition: {problem}; write a column, or one of {}",
        partition_spec::TRANSFORMS
    )]
    Syntax { text: String, problem: String },

    /// `partition_by` names a column that the table does not have.
    #[error("`{text}`: the table has no column `{column}`{}", partition_spec::did_you_mean(.nearest.as_deref()))]
    NoSuchColumn {
        text: String,
        column: String,
        nearest: Option<String>,
    },

    /// The transform does not take the column's type, or two partition fields collide.
    #[error("`{text}` cannot partition the table: {source}")]
    NotPartitionable { text: String, source: iceberg::Error },

    /// The spec uses something that this program cannot write.
    #[error("partition field `{field}` cannot be written: {problem}")]
    Unsupported { field: String, problem: String },

    /// A batch is not of the schema that the splitter was made for.
    #[error("a batch does not have the table's schema: partition source `{column}` {problem}")]
    WrongBatch { column: String, problem: String },

    /// A value that Iceberg has no partition value for. Rows with it are refused before.
    #[error("the value of `{column}` is outside of what {transform} partitions can represent")]
    OutOfRange { column: String, transform: String },

    #[error(transparent)]
    Iceberg(#[from] iceberg::Error),

    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}
