//! Metadata tables: what a table's own files say about it, under the names and columns of Iceberg's Spark tables, and
//! what we know besides: `offsets`, `schemas` and `dead_letters`.

mod files;
mod history;
mod manifest_entries;
mod manifests;
mod offsets;
mod partitions;
mod recorded;
mod refs;
mod schemas;
mod snapshots;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use iceberg::io::FileIO;
use tabletopic_offsets::Follower;
use tabletopic_table::follower;

use crate::catalog::Namespace;
use crate::error::QueryError;
use crate::scan::TableAt;

/// What may stand behind the `$` in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Snapshots,
    History,
    Refs,
    Manifests,
    Files,
    Partitions,
    Offsets,
    Schemas,
    DeadLetters,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Snapshots,
        Kind::History,
        Kind::Refs,
        Kind::Manifests,
        Kind::Files,
        Kind::Partitions,
        Kind::Offsets,
        Kind::Schemas,
        Kind::DeadLetters,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Snapshots => "snapshots",
            Kind::History => "history",
            Kind::Refs => "refs",
            Kind::Manifests => "manifests",
            Kind::Files => "files",
            Kind::Partitions => "partitions",
            Kind::Offsets => "offsets",
            Kind::Schemas => "schemas",
            Kind::DeadLetters => "dead_letters",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The metadata table `kind` of the table `name`, as it is now.
///
/// # Errors
/// A table that does not exist or was not written by us; those of reading its files.
pub async fn provider(
    namespace: &Namespace,
    file_io: &FileIO,
    name: &str,
    kind: Kind,
) -> Result<Arc<dyn TableProvider>, QueryError> {
    let table = namespace.load(name).await?;
    let metadata = &table.metadata;
    let batch = match kind {
        Kind::Offsets => return offsets::provider(namespace, file_io, &table).await,
        Kind::Schemas => return schemas::provider(namespace, file_io, &table).await,
        Kind::DeadLetters => {
            let letters = follower::ident(&table.ident, Follower::DeadLetters);
            let letters = namespace.load(&letters.name).await?;
            return Ok(Arc::new(TableAt::now(letters, file_io.clone())?));
        }
        Kind::Snapshots => snapshots::batch(metadata)?,
        Kind::History => history::batch(metadata)?,
        Kind::Refs => refs::batch(metadata)?,
        Kind::Manifests => manifests::batch(metadata, file_io).await?,
        Kind::Files => files::batch(metadata, file_io).await?,
        Kind::Partitions => partitions::batch(metadata, file_io).await?,
    };
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]);
    Ok(Arc::new(table.map_err(QueryError::of)?))
}

/// A column: its name, its values, and whether they may be null.
type Column = (&'static str, ArrayRef, bool);

fn table(columns: Vec<Column>) -> Result<RecordBatch, arrow::error::ArrowError> {
    RecordBatch::try_from_iter_with_nullable(columns)
}

/// Milliseconds since the epoch as the timestamps that tables have.
fn timestamps(millis: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let micros = millis.map(|at| at.map(|at| at * 1000));
    Arc::new(
        micros
            .collect::<TimestampMicrosecondArray>()
            .with_timezone("+00:00"),
    )
}
