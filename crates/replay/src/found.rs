//! The replays that a catalog has, whoever began them.

use futures::{StreamExt, future, stream};
use iceberg::{NamespaceIdent, TableIdent};
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_clock::Millis;
use tabletopic_offsets::{Counts, JobId, RangeSet, TableState};
use tabletopic_table::Lake;
use tabletopic_table::commit::Base;

use crate::ReplayError;
use crate::note::{DISCARDING, Note};

/// Tables that are loaded at a time.
const AT_ONCE: usize = 8;

/// A replay's table.
#[derive(Debug, Clone)]
pub struct Found {
    pub table: TableIdent,
    pub note: Note,
    /// Offsets that it is to hold, and those of them that it accounts for.
    pub wanted: u64,
    pub held: u64,
    /// What became of these.
    pub counts: Counts,
    /// It is being removed: some of it may be gone.
    pub discarding: bool,
    /// Milliseconds since the Unix epoch, of its last change.
    pub changed_at: Millis,
    /// Of its own files, as the newest snapshot counts them.
    pub bytes: u64,
}

impl Found {
    pub fn is_whole(&self) -> bool {
        self.held >= self.wanted && !self.discarding
    }

    /// From when on it may be removed by itself: what goes on does not expire.
    pub fn expires_at(&self) -> Option<Millis> {
        self.note.ttl_ms.map(|ttl| self.changed_at.saturating_add(ttl))
    }

    pub fn has_expired(&self, now: Millis) -> bool {
        self.expires_at().is_some_and(|at| at <= now)
    }

    fn of(loaded: LoadedTable, note: Note) -> Self {
        let table = loaded.ident.clone();
        let discarding = loaded.metadata.properties().contains_key(DISCARDING);
        let changed_at = loaded.metadata.last_updated_ms();
        let snapshot = loaded.metadata.current_snapshot();
        let bytes = snapshot.and_then(|snapshot| {
            let text = snapshot.summary().additional_properties.get("total-files-size")?;
            text.parse().ok()
        });
        let bytes = bytes.unwrap_or_default();
        // One that can't be read holds nothing that anybody could rely on.
        let base = Base::<TableState>::read(loaded).ok();
        let state = base.as_ref().and_then(Base::state);
        let (mut wanted, mut held, mut counts) = (0, 0, Counts::default());
        for (id, job) in &note.jobs {
            let id = JobId::new(id.as_str());
            for (partition, range) in job.ranges() {
                wanted += range.len();
                let Some(known) = state.and_then(|state| state.partition(&id, partition)) else {
                    continue;
                };
                let all: RangeSet = [range].into_iter().collect();
                held += all.intersection(&known.progress.offsets()).len_offsets();
                counts.add(known.counts);
            }
        }
        Self {
            table,
            note,
            wanted,
            held,
            counts,
            discarding,
            changed_at,
            bytes,
        }
    }
}

/// One of them; `None`: there is no such table, or it is no replay's.
///
/// # Errors
/// Those of the catalog.
pub async fn look(lake: &Lake, table: &TableIdent) -> Result<Option<Found>, ReplayError> {
    let loaded = match lake.catalog.load(table).await {
        Err(CatalogError::NotFound { .. }) => return Ok(None),
        loaded => loaded?,
    };
    let note = Note::of_table(table, &loaded.metadata)?;
    Ok(note.map(|note| Found::of(loaded, note)))
}

/// All of them, or those of one namespace, by name. Tables that can't be looked at are told, and passed over.
///
/// # Errors
/// Those of listing.
pub async fn found(lake: &Lake, only: Option<&NamespaceIdent>) -> Result<Vec<Found>, ReplayError> {
    let namespaces = match only {
        Some(only) => vec![only.clone()],
        None => lake.catalog.list_namespaces().await?,
    };
    let mut tables = Vec::new();
    for namespace in namespaces {
        match lake.catalog.list_tables(&namespace).await {
            Err(CatalogError::NotFound { .. }) => {}
            listed => tables.extend(listed?),
        }
    }
    let looked = stream::iter(tables).map(|table| async move {
        match look(lake, &table).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!("whether {table} is a replay is not known: {error}");
                None
            }
        }
    });
    let mut all: Vec<Found> = looked
        .buffer_unordered(AT_ONCE)
        .filter_map(future::ready)
        .collect()
        .await;
    all.sort_by_key(|found| found.table.to_string());
    Ok(all)
}
