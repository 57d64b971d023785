//! The replays that a catalog has, whoever began them.

use iceberg::TableIdent;
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_clock::Millis;
use tabletopic_offsets::{Counts, JobId, RangeSet, TableState};
use tabletopic_table::Lake;
use tabletopic_table::commit::Base;

use crate::ReplayError;
use crate::note::Note;

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
    /// Of its own files, as the newest snapshot counts them.
    pub bytes: u64,
}

impl Found {
    pub fn is_whole(&self) -> bool {
        self.held >= self.wanted
    }

    pub fn has_expired(&self, now: Millis) -> bool {
        self.note.expires_at.is_some_and(|at| at <= now)
    }

    fn of(loaded: LoadedTable, note: Note) -> Self {
        let table = loaded.ident.clone();
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

/// All of them, by name.
///
/// # Errors
/// Those of the catalog. Tables that others are dropping meanwhile are passed over.
pub async fn found(lake: &Lake) -> Result<Vec<Found>, ReplayError> {
    let mut all = Vec::new();
    for namespace in lake.catalog.list_namespaces().await? {
        let tables = match lake.catalog.list_tables(&namespace).await {
            Err(CatalogError::NotFound { .. }) => continue,
            tables => tables?,
        };
        for table in tables {
            all.extend(look(lake, &table).await?);
        }
    }
    all.sort_by(|left, right| left.table.to_string().cmp(&right.table.to_string()));
    Ok(all)
}
