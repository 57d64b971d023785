//! Puts rewritten data files in the place of those whose rows they hold (commit protocol, section 8).
//!
//! The files were read at one snapshot, and `main` may have gone on since. It is dropped, never forced, where it would
//! take something back that happened meanwhile: one of the files is no longer live, or rows of it were deleted by
//! position. Deletes of values that came meanwhile still apply, because the new files carry the data sequence number of
//! what was read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use async_trait::async_trait;
use futures::stream::iter;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::spec::{
    DataContentType, DataFile, ManifestContentType, ManifestFile, Operation, SchemaRef, TableMetadata,
};
use tabletopic_clock::Millis;
use tabletopic_offsets::{Kind, TableState};

use super::append::fits_table;
use super::base::Base;
use super::change::{Change, Leaving};
use super::engine::Plan;
use super::error::CommitError;
use super::tag_state::{Note, SnapshotAt, TagState};
use super::unit::OLDEST;
use crate::follower::FollowerState;
use crate::lake::Lake;
use crate::snapshot::build::{FileChange, Rewritten};
use crate::snapshot::deletes::{Data, DeleteIndex, Place, place};
use crate::snapshot::live::{self, FileId, LiveFile};

/// Manifests that are read at a time.
const AT_ONCE: usize = 8;

/// Bases that it is planned on: each costs reading all manifests.
const MOST_PLANS: u32 = 8;

/// After so long it is given up: its files have to be younger than any that a removal of orphans takes. The other half of
/// that time is for writing them.
pub(super) const LATEST: Millis = OLDEST / 2;

/// A state that stays what it is while files are rewritten.
pub trait Maintained: TagState {
    /// The state of the snapshot that does so.
    fn maintained(&self) -> Self;
}

impl Maintained for TableState {
    fn maintained(&self) -> Self {
        self.next(Kind::Maintenance)
    }
}

impl Maintained for FollowerState {
    fn maintained(&self) -> Self {
        self.clone()
    }
}

/// Files, and what takes their place.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The snapshot that was read, and its sequence number.
    pub read: i64,
    pub read_at: i64,
    /// What the new files were written under.
    pub schema: SchemaRef,
    /// The files that go, by path, as they were read.
    pub removed: HashMap<String, Removed>,
    /// With the id of the partition spec of each.
    pub written: Vec<(i32, DataFile)>,
    /// Whether rows went to another partition than they were in.
    pub moved: bool,
    /// For the ledger.
    pub reason: String,
}

/// A data file whose rows were read.
#[derive(Debug, Clone)]
pub struct Removed {
    pub place: Place,
    /// Where its rows had ids: those that were written for them count from here.
    pub first_row_id: Option<i64>,
}

/// Why a replacement was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    Gone {
        path: String,
    },
    /// The snapshot that was read is not in `main` any more: deletes that it had may not be, either.
    NotInMain {
        snapshot_id: i64,
    },
    /// Others were quicker, again and again.
    Overtaken,
    Deleted {
        path: String,
        by: String,
    },
    Incompatible(String),
    /// The table became one of format version 3 and gave them.
    Identified {
        path: String,
    },
    /// The catalog was away for so long that the new files may be gone.
    TooLate,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { path } => write!(f, "{path} is no longer in the table"),
            Self::NotInMain { snapshot_id } => {
                write!(
                    f,
                    "snapshot {snapshot_id}, which was read, is not in `main` any more"
                )
            }
            Self::Overtaken => write!(f, "other commits were quicker {MOST_PLANS} times"),
            Self::Deleted { path, by } => write!(f, "rows of {path} were deleted meanwhile, by {by}"),
            Self::Incompatible(why) => write!(f, "the table changed meanwhile: {why}"),
            Self::Identified { path } => write!(f, "rows of {path} have got ids meanwhile"),
            Self::TooLate => write!(f, "it could not be committed for {} hours", LATEST / 3_600_000),
        }
    }
}

/// A plan that puts new files in the place of others.
#[derive(Debug)]
pub struct Replace<'a> {
    lake: &'a Lake,
    replacement: &'a Replacement,
    plans: u32,
    /// When its files were written, at the latest.
    begun: Millis,
    lost: Option<Lost>,
}

impl<'a> Replace<'a> {
    pub fn new(lake: &'a Lake, replacement: &'a Replacement) -> Self {
        Self {
            lake,
            replacement,
            plans: 0,
            begun: lake.clock.now(),
            lost: None,
        }
    }

    /// Valid once the commit has ended: why nothing was committed.
    pub fn into_lost(self) -> Option<Lost> {
        self.lost
    }
}

#[async_trait]
impl<S: Maintained> Plan<S> for Replace<'_> {
    async fn plan(&mut self, base: &Base<S>, _at: SnapshotAt) -> Result<Option<Change<S>>, CommitError> {
        self.plans += 1;
        if self.plans > MOST_PLANS {
            self.lost = Some(Lost::Overtaken);
            return Ok(None);
        }
        if self.lake.clock.now() - self.begun > LATEST {
            self.lost = Some(Lost::TooLate);
            return Ok(None);
        }
        let remove = match self.removals(base).await? {
            Ok(remove) => remove,
            Err(lost) => {
                self.lost = Some(lost);
                return Ok(None);
            }
        };
        let rewritten = self.replacement.written.iter().map(|(spec_id, file)| Rewritten {
            spec_id: *spec_id,
            file: file.clone(),
            sequence_number: self.replacement.read_at,
        });
        Ok(Some(Change {
            operation: Operation::Replace,
            state: base.state().map(S::maintained),
            note: Note {
                actor: self.lake.actor.to_string(),
                reason: self.replacement.reason.clone(),
                ..Note::default()
            },
            files: FileChange {
                rewritten: rewritten.collect(),
                remove,
                ..FileChange::default()
            },
            rewrites: Vec::new(),
            schema: None,
            spec: None,
            leaving: Leaving::Expired,
        }))
    }
}

impl Replace<'_> {
    /// All that goes from this base: the files, and deletes that apply to nothing without them.
    async fn removals<S: TagState>(
        &self,
        base: &Base<S>,
    ) -> Result<Result<BTreeSet<FileId>, Lost>, CommitError> {
        let removed = &self.replacement.removed;
        let metadata = base.metadata();
        let read = self.replacement.read;
        if !base.history().any(|snapshot| snapshot.snapshot_id() == read) {
            return Ok(Err(Lost::NotInMain { snapshot_id: read }));
        }
        let specs = self.replacement.written.iter().map(|(spec_id, _)| *spec_id);
        for spec_id in specs.collect::<BTreeSet<_>>() {
            if let Err(why) = fits_table(metadata, &self.replacement.schema, spec_id) {
                return Ok(Err(Lost::Incompatible(why)));
            }
        }
        let manifests = match base.head() {
            Some(head) => live::manifests(self.lake, metadata, head).await?,
            None => Vec::new(),
        };
        let (data, deletes): (Vec<_>, Vec<_>) = manifests
            .into_iter()
            .filter(|manifest| manifest.has_added_files() || manifest.has_existing_files())
            .partition(|manifest| manifest.content == ManifestContentType::Data);
        let deletes = delete_index(self.lake, metadata, &deletes).await?;
        if let Some(lost) = self.deleted(metadata, &deletes)? {
            return Ok(Err(lost));
        }
        let mut missing: HashSet<&str> = removed.keys().map(String::as_str).collect();
        let mut needed = HashSet::<FileId>::new();
        for (spec_id, file) in &self.replacement.written {
            let data = Data {
                place: &place(metadata, *spec_id, file.partition())?,
                path: file.file_path(),
                sequence_number: self.replacement.read_at,
                file_sequence_number: Some(i64::MAX),
            };
            note(&mut needed, &deletes, data);
        }
        let reading: Vec<_> = data
            .iter()
            .map(|manifest| live::files(self.lake, manifest).boxed())
            .collect();
        let mut reading = iter(reading).buffer_unordered(AT_ONCE);
        while let Some(files) = reading.try_next().await? {
            for live in files {
                let path = live.file.file_path();
                if missing.remove(path) {
                    if removed[path].first_row_id != live.first_row_id {
                        let path = path.to_owned();
                        return Ok(Err(Lost::Identified { path }));
                    }
                    continue;
                }
                if deletes.is_empty() {
                    continue;
                }
                let data = Data {
                    place: &place(metadata, live.spec_id, live.file.partition())?,
                    path: live.file.file_path(),
                    sequence_number: live.sequence_number,
                    file_sequence_number: live.file_sequence_number,
                };
                note(&mut needed, &deletes, data);
            }
            // Without deletes nothing else is wanted of the rest.
            if missing.is_empty() && deletes.is_empty() {
                break;
            }
        }
        if let Some(path) = missing.into_iter().next() {
            let path = path.to_owned();
            return Ok(Err(Lost::Gone { path }));
        }
        let unneeded = deletes
            .all()
            .map(|delete| FileId::of(&delete.file))
            .filter(|delete| !needed.contains(delete));
        let data = removed.keys().map(FileId::of_data);
        Ok(Ok(data.chain(unneeded).collect()))
    }

    /// Whether rows of the files were deleted after they were read, in a way that their successors do not inherit.
    fn deleted(&self, metadata: &TableMetadata, deletes: &DeleteIndex) -> Result<Option<Lost>, CommitError> {
        let Replacement {
            read_at,
            removed,
            written,
            moved,
            ..
        } = self.replacement;
        let lost = |path: &str, by: &LiveFile| Lost::Deleted {
            path: path.to_owned(),
            by: by.file.file_path().to_owned(),
        };
        // Deletes of values in one partition neither follow rows into another, nor have they been for those that come.
        let follows = |delete: &LiveFile| {
            let spec = metadata.partition_spec_by_id(delete.spec_id);
            delete.file.content_type() == DataContentType::EqualityDeletes
                && (!moved || spec.is_some_and(|spec| spec.is_unpartitioned()))
        };
        for (path, read) in removed {
            let mut later = deletes
                .of(as_read(path, &read.place, *read_at))
                .filter(|delete| delete.sequence_number > *read_at);
            if let Some(by) = later.find(|delete| !follows(delete)) {
                return Ok(Some(lost(path, by)));
            }
        }
        for (spec_id, file) in written.iter().filter(|_| *moved) {
            let place = place(metadata, *spec_id, file.partition())?;
            let mut later = deletes
                .of(as_read(file.file_path(), &place, *read_at))
                .filter(|delete| delete.sequence_number > *read_at);
            if let Some(by) = later.find(|delete| !follows(delete)) {
                return Ok(Some(lost(file.file_path(), by)));
            }
        }
        Ok(None)
    }
}

/// A file with the rows that were read.
fn as_read<'a>(path: &'a str, place: &'a Place, read_at: i64) -> Data<'a> {
    Data {
        place,
        path,
        sequence_number: read_at,
        file_sequence_number: None,
    }
}

/// The delete files of some manifests.
pub(super) async fn delete_index(
    lake: &Lake,
    metadata: &TableMetadata,
    manifests: &[ManifestFile],
) -> Result<DeleteIndex, CommitError> {
    let reading: Vec<_> = manifests
        .iter()
        .map(|manifest| live::files(lake, manifest).boxed())
        .collect();
    let all: Vec<Vec<LiveFile>> = iter(reading).buffer_unordered(AT_ONCE).try_collect().await?;
    DeleteIndex::new(metadata, all.into_iter().flatten())
}

/// Notes the deletes that apply to a data file.
pub(super) fn note(needed: &mut HashSet<FileId>, deletes: &DeleteIndex, data: Data<'_>) {
    needed.extend(deletes.of(data).map(|delete| FileId::of(&delete.file)));
}
