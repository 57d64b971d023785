//! A replay is removed: its tables, and all that lies where they lay.

use std::ops::AddAssign;

use futures::TryStreamExt;
use futures::stream::iter;
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_maintain::orphans::has_its_folder;
use tabletopic_offsets::Follower;
use tabletopic_table::Lake;
use tabletopic_table::follower::ident;
use tabletopic_table::storage::{Listed, Listing};

use crate::ReplayError;
use crate::marks::mark;
use crate::note::{BESIDE, DISCARDING, Note, PROMOTED};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Discarded {
    pub tables: usize,
    pub files: u64,
    pub bytes: u64,
}

impl AddAssign for Discarded {
    fn add_assign(&mut self, other: Self) {
        self.tables += other.tables;
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// Files that are deleted at once.
const AT_A_TIME: usize = 1000;

/// Removes a replay's table and the tables beside it. It says first that it is being removed, so that nobody takes what is
/// left of it for a whole replay; its own entry goes last, because it alone says what it is: whoever is interrupted finds it
/// again.
///
/// # Errors
/// It is no replay's; another table lies in the same place; what can't be removed.
pub async fn discard(
    lake: &Lake,
    listing: &dyn Listing,
    table: &TableIdent,
) -> Result<Discarded, ReplayError> {
    let loaded = lake.catalog.load(table).await?;
    if Note::of_table(table, &loaded.metadata)?.is_none() {
        return Err(ReplayError::NoReplay { table: table.clone() });
    }
    let beside = beside(lake, table).await?;
    for one in beside.iter().chain([&loaded]) {
        has_its_folder(lake, one).await?;
    }
    mark(lake, table, DISCARDING).await?;
    let loaded = lake.catalog.load(table).await?;
    if loaded.metadata.properties().contains_key(PROMOTED) {
        return forget(lake, listing, table).await;
    }
    let mut discarded = Discarded::default();
    for one in beside.iter().chain([&loaded]) {
        remove(lake, listing, one, &mut discarded).await?;
    }
    Ok(discarded)
}

/// Removes a replay's table whose rows have become another table's: its entry, and what no other table names.
///
/// # Errors
/// What can't be removed.
pub async fn forget(
    lake: &Lake,
    listing: &dyn Listing,
    table: &TableIdent,
) -> Result<Discarded, ReplayError> {
    let mut discarded = Discarded::default();
    let (ledger, letters): (Vec<_>, Vec<_>) = beside(lake, table)
        .await?
        .into_iter()
        .partition(|one| one.ident == ident(table, Follower::Ledger));
    for one in &ledger {
        remove(lake, listing, one, &mut discarded).await?;
    }
    let loaded = lake.catalog.load(table).await?;
    for one in letters.iter().chain([&loaded]) {
        drop_with_metadata(lake, listing, one, &mut discarded).await?;
    }
    Ok(discarded)
}

/// The dead letters and the ledger, where the replay has made them.
async fn beside(lake: &Lake, table: &TableIdent) -> Result<Vec<LoadedTable>, ReplayError> {
    let mut made = Vec::new();
    for one in [Follower::DeadLetters, Follower::Ledger].map(|follower| ident(table, follower)) {
        let loaded = match lake.catalog.load(&one).await {
            Err(CatalogError::NotFound { .. }) => continue,
            loaded => loaded?,
        };
        if loaded.metadata.properties().get(BESIDE) == Some(&one.to_string()) {
            made.push(loaded);
        }
    }
    Ok(made)
}

async fn remove(
    lake: &Lake,
    listing: &dyn Listing,
    table: &LoadedTable,
    discarded: &mut Discarded,
) -> Result<(), ReplayError> {
    let location = table.metadata.location();
    let of_metadata = format!("{}/metadata/", location.trim_end_matches('/'));
    let mut files = listing.below(location).try_chunks(AT_A_TIME);
    while let Some(mut some) = files
        .try_next()
        .await
        .map_err(|error| failed(location, error.1))?
    {
        some.retain(|file| !file.location.starts_with(&of_metadata));
        delete(lake, location, some, discarded).await?;
    }
    drop_with_metadata(lake, listing, table, discarded).await
}

/// The metadata files are those that were there before the entry went: a table that is made right after in the same place
/// keeps its own.
async fn drop_with_metadata(
    lake: &Lake,
    listing: &dyn Listing,
    table: &LoadedTable,
    discarded: &mut Discarded,
) -> Result<(), ReplayError> {
    let location = format!("{}/metadata", table.metadata.location().trim_end_matches('/'));
    let files = listing.below(&location).try_collect();
    let files: Vec<Listed> = files.await.map_err(|error| failed(&location, error))?;
    match lake.catalog.drop_table(&table.ident).await {
        Err(CatalogError::NotFound { .. }) => {}
        dropped => dropped?,
    }
    discarded.tables += 1;
    delete(lake, &location, files, discarded).await
}

async fn delete(
    lake: &Lake,
    below: &str,
    files: Vec<Listed>,
    discarded: &mut Discarded,
) -> Result<(), ReplayError> {
    discarded.files += files.len() as u64;
    discarded.bytes += files.iter().map(|file| file.bytes).sum::<u64>();
    let locations: Vec<String> = files.into_iter().map(|file| file.location).collect();
    let deleted = lake.file_io.delete_stream(iter(locations)).await;
    deleted.map_err(|error| failed(below, error))
}

fn failed(location: &str, error: iceberg::Error) -> ReplayError {
    ReplayError::Files {
        location: location.to_owned(),
        detail: error.to_string(),
    }
}
