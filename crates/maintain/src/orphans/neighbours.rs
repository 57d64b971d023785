//! Whether a table has its folder for itself, among the tables of the catalog.

use futures::stream::iter;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::TableIdent;
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_table::Lake;

use super::error::OrphansError;
use super::name::{lies_in, place};

/// Tables that are loaded at a time.
const AT_ONCE: usize = 8;

/// Where a table's files may be besides its location: Iceberg's properties, with the older names of the first.
const PATHS: [&str; 4] = [
    "write.data.path",
    "write.object-storage.path",
    "write.folder-storage.path",
    "write.metadata.path",
];

/// # Errors
/// [`OrphansError::Shared`] where a table lies in the folder of the other, whichever is which, and
/// [`OrphansError::Neighbour`] where that can't be told.
pub async fn has_its_folder(lake: &Lake, table: &LoadedTable) -> Result<(), OrphansError> {
    let mut others: Vec<TableIdent> = Vec::new();
    for namespace in lake.catalog.list_namespaces().await? {
        others.extend(lake.catalog.list_tables(&namespace).await?);
    }
    others.retain(|other| *other != table.ident);
    let loading: Vec<_> = others
        .into_iter()
        .map(|other| apart(lake, table, other).boxed())
        .collect();
    iter(loading).buffer_unordered(AT_ONCE).try_collect().await
}

async fn apart(lake: &Lake, table: &LoadedTable, other: TableIdent) -> Result<(), OrphansError> {
    let loaded = match lake.catalog.load(&other).await {
        Ok(loaded) => loaded,
        // Dropped meanwhile, or a table of another kind in the same catalog.
        Err(CatalogError::NotFound { .. }) => return Ok(()),
        Err(source) => {
            return Err(OrphansError::Neighbour {
                table: table.ident.clone(),
                other,
                source,
            });
        }
    };
    let location = table.metadata.location();
    let properties = loaded.metadata.properties();
    let beside = PATHS.iter().filter_map(|path| properties.get(*path));
    let shared = std::iter::once(loaded.metadata.location())
        .filter(|theirs| shares(theirs, location) || shares(location, theirs))
        .chain(
            beside
                .map(String::as_str)
                .filter(|theirs| shares(theirs, location)),
        )
        .next();
    match shared {
        None => Ok(()),
        Some(theirs) => Err(OrphansError::Shared {
            table: table.ident.clone(),
            location: location.to_owned(),
            other,
            other_location: theirs.to_owned(),
        }),
    }
}

/// A location that is not absolute may be anywhere.
fn shares(inner: &str, outer: &str) -> bool {
    match (place(inner), place(outer)) {
        (Some(inner), Some(outer)) => lies_in(&inner, &outer),
        _ => true,
    }
}
