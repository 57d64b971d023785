//! A replay is removed: its tables, and all that lies where they lay.

use std::ops::AddAssign;

use futures::TryStreamExt;
use futures::stream::iter;
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_catalog::CatalogError;
use tabletopic_offsets::Follower;
use tabletopic_table::Lake;
use tabletopic_table::follower::ident;
use tabletopic_table::storage::{Listed, Listing};

use crate::ReplayError;
use crate::note::Note;

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

/// Removes a replay's table and its followers. The table itself goes last, because it alone says that they are a replay's,
/// and after its data: who is interrupted finds it again.
///
/// # Errors
/// It is no replay's; what can't be removed; a namespace of the table's name, whose tables lie below its location.
pub async fn discard(
    lake: &Lake,
    listing: &dyn Listing,
    table: &TableIdent,
) -> Result<Discarded, ReplayError> {
    let loaded = lake.catalog.load(table).await?;
    if Note::of_table(table, &loaded.metadata)?.is_none() {
        return Err(ReplayError::NoReplay { table: table.clone() });
    }
    let nested = [
        table.namespace.as_ref().as_slice(),
        std::slice::from_ref(&table.name),
    ]
    .concat();
    let namespaces = lake.catalog.list_namespaces().await?;
    if let Some(below) = namespaces.iter().find(|namespace| namespace.starts_with(&nested)) {
        return Err(ReplayError::Nested {
            table: table.clone(),
            namespace: below.join("."),
        });
    }
    let followers = [Follower::DeadLetters, Follower::Ledger].map(|follower| ident(table, follower));
    let mut discarded = Discarded::default();
    for one in followers.iter().chain([table]) {
        remove(lake, listing, one, &mut discarded).await?;
    }
    Ok(discarded)
}

async fn remove(
    lake: &Lake,
    listing: &dyn Listing,
    table: &TableIdent,
    discarded: &mut Discarded,
) -> Result<(), ReplayError> {
    let location = match lake.catalog.load(table).await {
        Err(CatalogError::NotFound { .. }) => return Ok(()),
        loaded => loaded?.metadata.location().to_owned(),
    };
    let is_metadata = |file: &Listed| file.location.contains("/metadata/");
    clear(lake, listing, &location, |file| !is_metadata(file), discarded).await?;
    match lake.catalog.drop_table(table).await {
        Err(CatalogError::NotFound { .. }) => {}
        dropped => dropped?,
    }
    discarded.tables += 1;
    clear(lake, listing, &location, |_| true, discarded).await
}

/// Deletes what lies below a location.
async fn clear(
    lake: &Lake,
    listing: &dyn Listing,
    location: &str,
    which: impl Fn(&Listed) -> bool,
    discarded: &mut Discarded,
) -> Result<(), ReplayError> {
    let failed = |error: iceberg::Error| ReplayError::Files {
        location: location.to_owned(),
        detail: error.to_string(),
    };
    let mut files = listing.below(location).try_chunks(AT_A_TIME);
    while let Some(mut some) = files.try_next().await.map_err(|error| failed(error.1))? {
        some.retain(&which);
        discarded.files += some.len() as u64;
        discarded.bytes += some.iter().map(|file| file.bytes).sum::<u64>();
        let locations: Vec<String> = some.into_iter().map(|file| file.location).collect();
        let deleted = lake.file_io.delete_stream(iter(locations)).await;
        deleted.map_err(failed)?;
    }
    Ok(())
}
