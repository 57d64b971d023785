//! Files leave a table whose rows are all older than it keeps them: by partition value alone, so that no file is written
//! anew. Which these are is decided on each base; what came meanwhile and is as old leaves with it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::iter;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::spec::{DataFile, MAIN_BRANCH, ManifestContentType, ManifestFile, Operation, TableMetadata};
use tabletopic_offsets::{Claims, Kind, TableState};

use super::base::Base;
use super::change::{Change, Leaving};
use super::engine::Plan;
use super::error::CommitError;
use super::replace::{delete_index, note};
use super::tag_state::{Note, SnapshotAt};
use crate::lake::Lake;
use crate::partition::{ends_at, is_of_time};
use crate::rows::Deleted;
use crate::rows::old::{self, Counted};
use crate::snapshot::build::FileChange;
use crate::snapshot::deletes::{Data, place};
use crate::snapshot::live::{self, FileId};

/// Manifests that are read at a time.
const AT_ONCE: usize = 8;

/// What is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The column's field id.
    pub column: i32,
    /// Microseconds since 1970: files whose partition value ends here or before leave.
    pub before: i64,
}

/// Files that leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Old {
    /// Paths of data files.
    pub data: BTreeSet<String>,
    /// Delete files that apply to nothing without them.
    pub deletes: BTreeSet<FileId>,
    /// Of the data files; rows that were deleted in them included.
    pub rows: u64,
    pub bytes: u64,
    /// Data files that stay, of the specs that are partitioned by the column's time.
    pub stay: u64,
}

/// Looks for what is too old in the snapshot of `main`. Memory holds the paths of what leaves, and the delete files.
///
/// # Errors
/// Those of reading manifests.
pub async fn find(lake: &Lake, metadata: &TableMetadata, limit: Limit) -> Result<Old, CommitError> {
    let mut found = Old::default();
    let Some(head) = metadata.snapshot_for_ref(MAIN_BRANCH) else {
        return Ok(found);
    };
    let (data, deletes): (Vec<_>, Vec<_>) = live::manifests(lake, metadata, head)
        .await?
        .into_iter()
        .filter(|manifest| manifest.has_added_files() || manifest.has_existing_files())
        .partition(|manifest| manifest.content == ManifestContentType::Data);
    // Without deletes only files of these specs are asked about.
    let wanted =
        |manifest: &&ManifestFile| !deletes.is_empty() || tells(metadata, manifest.partition_spec_id, limit);
    let index = delete_index(lake, metadata, &deletes).await?;
    let mut needed = HashSet::new();
    let reading: Vec<_> = data
        .iter()
        .filter(wanted)
        .map(|manifest| live::files(lake, manifest).boxed())
        .collect();
    let mut reading = iter(reading).buffer_unordered(AT_ONCE);
    while let Some(files) = reading.try_next().await? {
        for live in files {
            if is_old(metadata, live.spec_id, &live.file, limit) {
                found.rows += live.file.record_count();
                found.bytes += live.file.file_size_in_bytes();
                found.data.insert(live.file.file_path().to_owned());
                continue;
            }
            found.stay += u64::from(tells(metadata, live.spec_id, limit));
            if !index.is_empty() {
                let data = Data {
                    place: &place(metadata, live.spec_id, live.file.partition())?,
                    path: live.file.file_path(),
                    sequence_number: live.sequence_number,
                    file_sequence_number: live.file_sequence_number,
                };
                note(&mut needed, &index, data);
            }
        }
    }
    if !found.data.is_empty() {
        let deletes = index.all().map(|delete| FileId::of(&delete.file));
        found.deletes = deletes.filter(|delete| !needed.contains(delete)).collect();
    }
    Ok(found)
}

/// Whether files of a spec are partitioned by the column's time.
fn tells(metadata: &TableMetadata, spec_id: i32, limit: Limit) -> bool {
    let spec = metadata.partition_spec_by_id(spec_id);
    spec.is_some_and(|spec| {
        let mut fields = spec.fields().iter();
        fields.any(|field| field.source_id == limit.column && is_of_time(field.transform))
    })
}

fn is_old(metadata: &TableMetadata, spec_id: i32, file: &DataFile, limit: Limit) -> bool {
    let spec = metadata.partition_spec_by_id(spec_id);
    let end = spec.and_then(|spec| ends_at(spec, file.partition(), limit.column));
    end.is_some_and(|end| end <= limit.before)
}

/// A plan that removes them.
#[derive(Debug)]
pub struct Retain<'a> {
    pub lake: &'a Lake,
    pub limit: Limit,
    /// For the ledger: which rows are too old.
    pub older_than: String,
    /// What files held on an earlier base.
    known: HashMap<Deleted, Arc<Counted>>,
    removed: Old,
}

impl<'a> Retain<'a> {
    pub fn new(lake: &'a Lake, limit: Limit, older_than: String) -> Self {
        Self {
            lake,
            limit,
            older_than,
            known: HashMap::new(),
            removed: Old::default(),
        }
    }

    /// Valid once the commit has ended: what it removed.
    pub fn into_removed(self) -> Old {
        self.removed
    }
}

#[async_trait]
impl Plan<TableState> for Retain<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        self.removed = find(self.lake, base.metadata(), self.limit).await?;
        if self.removed.data.is_empty() {
            return Ok(None);
        }
        let mut rows = self.removed.rows;
        let mut state = base.state().map(|state| state.next(Kind::Retention));
        if let Some(state) = &mut state {
            let claims = Claims::of(state);
            let gone = old::count(
                self.lake,
                &base.table,
                &self.removed.data,
                &claims,
                &mut self.known,
            );
            let gone = gone.await?;
            rows = gone.iter().map(|gone| gone.rows).sum();
            state.retire(&gone);
        }
        let Old { data, deletes, .. } = &self.removed;
        let data = data.iter().map(FileId::of_data);
        Ok(Some(Change {
            operation: Operation::Delete,
            state,
            note: Note {
                actor: self.lake.actor.to_string(),
                reason: format!("retention: {rows} rows older than {} removed", self.older_than),
                ..Note::default()
            },
            files: FileChange {
                remove: data.chain(deletes.iter().cloned()).collect(),
                ..FileChange::default()
            },
            rewrites: Vec::new(),
            schema: None,
            spec: None,
            leaving: Leaving::Expired,
        }))
    }
}
