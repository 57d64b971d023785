//! Commits units (commit protocol, section 3): guards each against the base and the units already accepted into
//! the snapshot, and puts those that pass into one snapshot.

use std::fmt;

use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::spec::{Schema, TableMetadata};
use tabletopic_clock::Millis;
use tabletopic_offsets::{
    Fenced, Follower, FollowerPosition, Kind, Outbox, OutboxLimits, PendingFile, TableState,
};

use super::base::Base;
use super::change::Change;
use super::engine::Plan;
use super::error::CommitError;
use super::halt::Halt;
use super::tag_state::{Note, SnapshotAt};
use super::unit::{LOOK_UP_AFTER, OLDEST, Unit};
use crate::follower::entry;
use crate::lake::Lake;
use crate::schema::compatible;
use crate::snapshot::build::FileChange;

/// Why a unit was left out. Its worker goes back to the table's progress.
#[derive(Debug, Clone)]
pub enum Dropped {
    Fenced(Fenced),
    /// The schema or the partition spec that it was written under no longer fits.
    Incompatible(String),
    TooOld {
        age: Millis,
    },
    FileGone {
        path: String,
    },
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced(fenced) => fenced.fmt(f),
            Self::Incompatible(why) => write!(f, "the table changed under it: {why}"),
            Self::TooOld { age } => write!(f, "it waited for {} hours", age / 3_600_000),
            Self::FileGone { path } => write!(f, "its file {path} is gone"),
        }
    }
}

/// What became of a unit, in the order in which the units were given.
#[derive(Debug, Clone)]
pub enum Fate {
    Committed,
    Dropped(Dropped),
}

/// A plan that appends units.
#[derive(Debug)]
pub struct Append<'a> {
    lake: &'a Lake,
    units: &'a [Unit],
    /// Where the followers were last seen, so that the outbox lets go of what they hold.
    followers: &'a [(Follower, FollowerPosition)],
    fates: Vec<Fate>,
}

impl<'a> Append<'a> {
    pub fn new(lake: &'a Lake, units: &'a [Unit], followers: &'a [(Follower, FollowerPosition)]) -> Self {
        Self {
            lake,
            units,
            followers,
            fates: Vec::new(),
        }
    }

    /// Valid once the commit has ended.
    pub fn into_fates(self) -> Vec<Fate> {
        self.fates
    }
}

/// Everything about a unit but the offsets.
pub(super) async fn fits(
    lake: &Lake,
    base: &Base<TableState>,
    unit: &Unit,
) -> Result<Result<(), Dropped>, CommitError> {
    if let Err(why) = fits_table(base.metadata(), &unit.schema, unit.spec_id) {
        return Ok(Err(Dropped::Incompatible(why)));
    }
    let age = lake.clock.now() - unit.created;
    if age > OLDEST {
        return Ok(Err(Dropped::TooOld { age }));
    }
    if age > LOOK_UP_AFTER {
        let letters = unit.dead_letters.iter().map(|letters| &letters.file);
        for file in unit.files.iter().chain(letters) {
            if !lake.file_io.exists(file.file_path()).await? {
                return Ok(Err(Dropped::FileGone {
                    path: file.file_path().to_owned(),
                }));
            }
        }
    }
    Ok(Ok(()))
}

/// Section 3.3: every field id written must still exist with a type that it may be promoted to, and the spec must
/// exist.
pub(super) fn fits_table(metadata: &TableMetadata, written: &Schema, spec_id: i32) -> Result<(), String> {
    if written.schema_id() != metadata.current_schema_id() {
        compatible(written, metadata.current_schema()).map_err(|error| error.to_string())?;
    }
    match metadata.partition_spec_by_id(spec_id) {
        Some(_) => Ok(()),
        None => Err(format!("partition spec {spec_id} is gone")),
    }
}

#[async_trait]
impl Plan<TableState> for Append<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let mut state = match base.state() {
            Some(state) => state.next(Kind::Append),
            None => return Err(never_anchored(base)),
        };
        make_room(
            &base.table.ident,
            &mut state.outbox,
            self.followers,
            at.timestamp_ms,
        )?;

        self.fates.clear();
        let mut files = FileChange::default();
        for unit in self.units {
            let verdict = match fits(self.lake, base, unit).await? {
                Ok(()) => state.accept(&unit.ranges).map_err(Dropped::Fenced),
                Err(dropped) => Err(dropped),
            };
            self.fates.push(match verdict {
                Ok(()) => {
                    files
                        .add
                        .extend(unit.files.iter().map(|file| (unit.spec_id, file.clone())));
                    if let Some(letters) = &unit.dead_letters {
                        state.outbox.dead_letters.push(PendingFile {
                            snapshot: at.snapshot_ref(),
                            entry: entry::write(&letters.file)?,
                            ranges: letters.ranges.clone(),
                            time_ms: at.timestamp_ms,
                        });
                    }
                    Fate::Committed
                }
                Err(dropped) => Fate::Dropped(dropped),
            });
        }
        if self.fates.iter().all(|fate| matches!(fate, Fate::Dropped(_))) {
            return Ok(None);
        }
        let note = Note {
            actor: self.lake.actor.to_string(),
            ..Note::default()
        };
        Ok(Some(Change {
            files,
            ..Change::empty(state, note)
        }))
    }
}

/// Lets go of what the followers hold; what is left must leave room for units.
///
/// # Errors
/// [`Halt::OutboxFull`].
pub fn make_room(
    table: &TableIdent,
    outbox: &mut Outbox,
    followers: &[(Follower, FollowerPosition)],
    now: Millis,
) -> Result<(), Halt> {
    outbox.acknowledge_known(followers);
    match outbox.is_full(now, &OutboxLimits::default()) {
        None => Ok(()),
        Some(full) => Err(Halt::OutboxFull {
            table: table.clone(),
            seen: full.to_string(),
        }),
    }
}

/// Units only come from workers that were started from the table's state.
pub(super) fn never_anchored(base: &Base<TableState>) -> CommitError {
    Halt::TagMissing {
        table: base.table.ident.clone(),
    }
    .into()
}
