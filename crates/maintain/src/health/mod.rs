//! How a table is doing: what queries have to open, and what maintenance would do next. Nothing is changed.
//!
//! Of any table of the catalog, whoever writes to it, also of a format version that is not written here.

mod files;
mod manifests;
mod metadata;
mod next;

use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_catalog::LoadedTable;
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;

pub use files::{Deletes, Files, Partition, Partitions, SizeClass};
pub use manifests::Manifests;
pub use metadata::{OldSpec, Reference, Snapshots};
pub use next::{Expiry, Merge, Next};

use crate::MaintainError;
use crate::compact::Options;
use crate::owner::Owner;
use crate::survey::Survey;

/// How a table is doing.
#[derive(Debug, Serialize)]
pub struct Health {
    pub table: String,
    pub owner: Owner,
    pub format_version: u8,
    /// Bytes that a data file should have.
    pub target_bytes: u64,
    pub files: Files,
    pub partitions: Partitions,
    pub deletes: Deletes,
    pub manifests: Manifests,
    pub snapshots: Snapshots,
    pub refs: Vec<Reference>,
    /// Of the metadata file, as it is stored.
    pub metadata_bytes: u64,
    /// Partition specs that are not the table's any more, and still have files.
    pub old_specs: Vec<OldSpec>,
    /// Why the table stands still, until somebody has looked.
    pub halted: Option<String>,
    pub next: Next,
}

/// Looks at a table. `options` say what maintenance would do.
///
/// # Errors
/// Those of reading the table: its metadata file, the manifest list, manifests.
pub async fn look(lake: &Lake, table: &TableIdent, options: &Options) -> Result<Health, MaintainError> {
    let loaded = lake.catalog.load(table).await?;
    let file = lake.file_io.new_input(&loaded.metadata_location)?;
    let metadata_bytes = file.metadata().await?.size;
    let halted = halted(lake, &loaded).await?;
    let refs = metadata::refs(&loaded.metadata)?;
    let policy = options.policy(&loaded, lake.clock.now());
    let snapshots = Snapshots::of(&loaded.metadata);
    let survey = Survey::of(lake, loaded.clone()).await?;
    let next = Next::of(&loaded, survey.as_ref(), &policy);
    let health = Health {
        table: table.to_string(),
        owner: Owner::of(&loaded),
        format_version: loaded.metadata.format_version() as u8,
        target_bytes: policy.target,
        files: Files::default(),
        partitions: Partitions::default(),
        deletes: Deletes::default(),
        manifests: Manifests::default(),
        snapshots,
        refs,
        metadata_bytes,
        old_specs: Vec::new(),
        halted,
        next,
    };
    Ok(match survey {
        None => health,
        Some(survey) => Health {
            files: Files::of(&survey, &policy),
            partitions: Partitions::of(&survey, &policy),
            deletes: Deletes::of(&survey),
            manifests: Manifests::of(&survey),
            old_specs: metadata::old_specs(&survey),
            ..health
        },
    })
}

/// Tables of others cannot halt.
async fn halted(lake: &Lake, loaded: &LoadedTable) -> Result<Option<String>, MaintainError> {
    let owner = Owner::of(loaded);
    if owner == Owner::Others
        && !loaded
            .metadata
            .properties()
            .contains_key(tabletopic_table::commit::WITNESS)
    {
        return Ok(None);
    }
    match owner.check(lake, loaded).await {
        Ok(()) => Ok(None),
        Err(CommitError::Halt(halt)) => Ok(Some(halt.to_string())),
        Err(error) => Err(error.into()),
    }
}
