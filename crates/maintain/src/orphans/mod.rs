//! Files below a table's location that nothing leads to are removed: what a crash left, what a commit that lost its race
//! wrote, what only expired snapshots had.
//!
//! ```text
//! load, refuse ─▶ fence (ours) ─▶ read what is reachable ─▶ list ─▶ load again, read what is new ─▶ decide ─▶ delete
//!                                        ▲                                                              │  1000 at a
//!                                        └──────────── whatever the newest metadata names stays ────────┘  time
//! ```
//!
//! **Why no live file goes.** A file is either named by the metadata that is loaded after the listing, or it is not. If it
//! is, it stays. If it is not, it could only be needed by a commit that names it later. Ours never name a file that is
//! older than a day (commit protocol, section 3.7) when they are built, and none that was built before the fence can be
//! applied after it; so what was a day old at the fence, by the store's own clock, is in no commit of ours to come.
//! For other writers the age alone has to be enough, as with every tool.

mod decide;
mod error;
mod name;
mod neighbours;
mod ours;
mod reachable;

use futures::TryStreamExt;
use futures::stream::iter;
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_catalog::LoadedTable;
use tabletopic_clock::Millis;
use tabletopic_table::Lake;
use tabletopic_table::commit::Waiting;
use tabletopic_table::storage::{Listed, Listing};

use decide::{Fate, decide};
pub use error::OrphansError;
pub use neighbours::has_its_folder;
use ours::Ours;
use reachable::Reachable;

use crate::survey::Tally;

/// Files younger than this are never removed: what a commit of ours may still name is a day old at most.
pub const LEAST_AGE: Millis = 24 * 60 * 60 * 1000;

/// Files that are deleted between two looks at the table.
const AT_A_TIME: usize = 1000;

/// Files that one run finds at most, which takes some hundred megabytes; the next one finds the rest.
const MOST: usize = 1_000_000;

/// How often a table is read whose snapshots expire meanwhile.
const MOST_READS: u32 = 10;

/// What a run works with.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    pub lake: &'a Lake,
    pub listing: &'a dyn Listing,
}

/// What lies below a table's location.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Sorted by location.
    pub orphans: Vec<Orphan>,
    pub sum: Tally,
    /// Nothing leads to them either, and they are too young.
    pub young: Tally,
    /// That the table leads to.
    pub needed: Tally,
    /// Names that begin with `_` or `.`, which are others' to remove.
    pub hidden: Tally,
    /// There are more than one run takes.
    pub more: bool,
}

impl Found {
    fn count(&mut self, fate: Fate, bytes: u64) {
        let tally = match fate {
            Fate::Reachable => &mut self.needed,
            Fate::Hidden => &mut self.hidden,
            Fate::Young => &mut self.young,
            Fate::Orphan => &mut self.sum,
        };
        *tally = plus(*tally, bytes);
    }
}

/// A file that nothing leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    pub location: String,
    pub bytes: u64,
    /// Milliseconds since the Unix epoch, by the store's clock.
    pub modified_at: Millis,
}

/// Looks for files that nothing leads to and that are older than `age`. Commits nothing.
///
/// # Errors
/// See [`OrphansError`].
pub async fn find(means: Means<'_>, table: &TableIdent, age: Millis) -> Result<Found, OrphansError> {
    let begun = means.lake.clock.now();
    let search = Search::begin(means, table, age).await?;
    Ok(search.run(begun, None).await?.1)
}

/// Looks for them and deletes them. `progress` is told of each batch.
///
/// # Errors
/// See [`OrphansError`]. After one of them some may be gone, and the next run goes on with the rest.
pub async fn remove(
    means: Means<'_>,
    table: &TableIdent,
    age: Millis,
    waiting: &dyn Waiting,
    progress: &dyn Progress,
) -> Result<Found, OrphansError> {
    let begun = means.lake.clock.now();
    let search = Search::begin(means, table, age).await?;
    let fence = search.ours.fence(means.lake, table, waiting).await?;
    let (mut search, found) = search.run(begun, fence).await?;
    progress.begins(found.sum);
    let mut removed = Found {
        orphans: Vec::new(),
        sum: Tally::default(),
        ..found
    };
    for batch in found.orphans.chunks(AT_A_TIME) {
        search.look_again().await?;
        // What has come into the table meanwhile, by whomever, stays.
        let batch: Vec<Orphan> = batch
            .iter()
            .filter(|orphan| !search.reachable.names.has(&orphan.location))
            .cloned()
            .collect();
        let locations: Vec<String> = batch.iter().map(|orphan| orphan.location.clone()).collect();
        let deleted = means.lake.file_io.delete_stream(iter(locations)).await;
        deleted.map_err(|source| OrphansError::Removal {
            table: table.clone(),
            removed: removed.sum.files,
            source,
        })?;
        let sum = batch
            .iter()
            .fold(Tally::default(), |sum, orphan| plus(sum, orphan.bytes));
        progress.removed(sum);
        removed.sum.files += sum.files;
        removed.sum.bytes += sum.bytes;
        removed.orphans.extend(batch);
    }
    Ok(removed)
}

/// Who is told how far a removal is.
pub trait Progress: Send + Sync {
    fn begins(&self, all: Tally);
    fn removed(&self, some: Tally);
}

/// One run on one table.
#[derive(Debug)]
struct Search<'a> {
    means: Means<'a>,
    table: LoadedTable,
    age: Millis,
    ours: Ours,
    reachable: Reachable,
}

impl<'a> Search<'a> {
    /// Refuses where a live file could be taken for garbage.
    async fn begin(means: Means<'a>, table: &TableIdent, age: Millis) -> Result<Self, OrphansError> {
        if age < LEAST_AGE {
            return Err(OrphansError::TooYoung);
        }
        let table = means.lake.catalog.load(table).await?;
        collects_garbage(&table)?;
        let ours = Ours::of(means.lake, &table).await?;
        neighbours::has_its_folder(means.lake, &table).await?;
        Ok(Self {
            means,
            age,
            ours,
            reachable: Reachable::new(&table)?,
            table,
        })
    }

    /// Lists all that is there, and tells the orphans. `fence`: the manifest list of the snapshot that fences off what is
    /// older.
    async fn run(mut self, begun: Millis, fence: Option<String>) -> Result<(Self, Found), OrphansError> {
        self.read().await?;
        let mut found = Found::default();
        // Few, of all that is there: old, and not reachable when they were listed.
        let mut candidates: Vec<Listed> = Vec::new();
        let mut fenced = None;
        let mut files = self.means.listing.below(self.table.metadata.location());
        let failed = |source| OrphansError::Listing {
            table: self.table.ident.clone(),
            source,
        };
        while let Some(file) = files.try_next().await.map_err(failed)? {
            // Whichever way the table spells its folder, the file's name has the snapshot's id in it.
            let name = fence.as_deref().and_then(|list| list.rsplit('/').next());
            if name.is_some_and(|name| file.location.ends_with(name)) {
                fenced = Some(file.modified);
            }
            match decide(&file, &self.reachable.names, begun.saturating_sub(self.age)) {
                Fate::Orphan if candidates.len() < MOST => candidates.push(file),
                Fate::Orphan => found.more = true,
                fate => found.count(fate, file.bytes),
            }
        }
        self.look_again().await?;
        // The clock of this host may be ahead of the store's. It is all there is where metadata lies elsewhere.
        let now = fenced.map_or(begun, |fenced| begun.min(fenced));
        for file in candidates {
            match decide(&file, &self.reachable.names, now.saturating_sub(self.age)) {
                Fate::Orphan => {
                    found.count(Fate::Orphan, file.bytes);
                    found.orphans.push(Orphan {
                        location: file.location,
                        bytes: file.bytes,
                        modified_at: file.modified,
                    });
                }
                fate => found.count(fate, file.bytes),
            }
        }
        found.orphans.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok((self, found))
    }

    /// Reads what the table leads to by now, if it has changed.
    async fn look_again(&mut self) -> Result<(), OrphansError> {
        let lake = self.means.lake;
        self.ours.add_waiting(lake, &mut self.reachable).await?;
        let now = lake.catalog.metadata_location(&self.table.ident).await?;
        match now == self.table.metadata_location {
            true => Ok(()),
            false => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<(), OrphansError> {
        let lake = self.means.lake;
        for reads in 1.. {
            self.ours.add_waiting(lake, &mut self.reachable).await?;
            let now = lake.catalog.load(&self.table.ident).await?;
            let (metadata, before) = (&now.metadata, &self.table.metadata);
            if metadata.uuid() != before.uuid() || metadata.location() != before.location() {
                return Err(OrphansError::Another { table: now.ident });
            }
            collects_garbage(&now)?;
            match self.reachable.add(lake, &now).await {
                Ok(()) => {
                    self.table = now;
                    break;
                }
                // The snapshot may have expired meanwhile, with the file. Nobody knows how far it was read.
                Err(error @ OrphansError::Unreadable { .. }) if reads < MOST_READS => {
                    let location = lake.catalog.metadata_location(&now.ident).await?;
                    if location == now.metadata_location {
                        return Err(error);
                    }
                    self.reachable.read_all_again();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Iceberg's `gc.enabled`: whether files may be deleted that this table does not need.
fn collects_garbage(table: &LoadedTable) -> Result<(), OrphansError> {
    match table.metadata.properties().get("gc.enabled") {
        Some(enabled) if enabled.trim().eq_ignore_ascii_case("false") => Err(OrphansError::Kept {
            table: table.ident.clone(),
        }),
        _ => Ok(()),
    }
}

fn plus(sum: Tally, bytes: u64) -> Tally {
    Tally {
        files: sum.files + 1,
        bytes: sum.bytes + bytes,
    }
}
