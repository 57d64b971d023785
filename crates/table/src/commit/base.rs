//! A table as it was loaded, with our state read through the tag (commit protocol, section 1).

use std::sync::Arc;

use iceberg::spec::{FormatVersion, MAIN_BRANCH, SnapshotRef, TableMetadata};
use tabletopic_catalog::LoadedTable;

use super::error::CommitError;
use super::halt::Halt;
use super::refs::refs;
use super::tag_state::TagState;

/// The tag of a table, on our newest snapshot. It moves in the commit that adds the snapshot.
pub const TAG: &str = "tabletopic";

/// Table property that the first commit sets: this table is ours. It is never progress; a table that has it
/// and no readable tag is a halt, not a fresh start.
pub const WITNESS: &str = "tabletopic.table";

/// A freshly loaded table and what our tag says in it. Every decision of a commit is made on one of these.
#[derive(Debug, Clone)]
pub struct Base<S> {
    pub table: LoadedTable,
    /// Our newest snapshot and the state that it carries. `None` before the first commit of ours.
    pub tagged: Option<Tagged<S>>,
}

/// Our newest snapshot.
#[derive(Debug, Clone)]
pub struct Tagged<S> {
    pub snapshot: SnapshotRef,
    pub state: S,
}

impl<S: TagState> Tagged<S> {
    /// Reads the state that one of our snapshots carries.
    ///
    /// # Errors
    /// A halt where it can't be read.
    pub fn read(table: &LoadedTable, snapshot: &SnapshotRef) -> Result<Self, Halt> {
        let summary = &snapshot.summary().additional_properties;
        let state = S::decode(summary).map_err(|detail| Halt::StateUnreadable {
            table: table.ident.clone(),
            snapshot_id: snapshot.snapshot_id(),
            detail,
        })?;
        Ok(Self {
            snapshot: snapshot.clone(),
            state,
        })
    }
}

impl<S: TagState> Base<S> {
    /// Reads the state of a loaded table that is fed from here, or is to be.
    ///
    /// # Errors
    /// Halts where the witness stands without a tag, where the tag's state can't be read, and at a format version
    /// that tables of ours do not have: any but 2.
    pub fn read(table: LoadedTable) -> Result<Self, Halt> {
        match table.metadata.format_version() {
            FormatVersion::V2 => Self::of_anyone(table),
            FormatVersion::V1 | FormatVersion::V3 => Err(other_version(&table)),
        }
    }

    /// The same of any table that a commit may be made to: those of others may be of version 3.
    ///
    /// # Errors
    /// As [`read`](Self::read), and at version 1.
    pub fn of_anyone(table: LoadedTable) -> Result<Self, Halt> {
        let metadata = &table.metadata;
        let ours = metadata.snapshot_for_ref(TAG).is_some() || metadata.properties().contains_key(WITNESS);
        match metadata.format_version() {
            FormatVersion::V2 => {}
            FormatVersion::V3 if !ours => {}
            FormatVersion::V1 | FormatVersion::V3 => return Err(other_version(&table)),
        }
        let tagged = match table.metadata.snapshot_for_ref(TAG) {
            Some(snapshot) => Some(Tagged::read(&table, snapshot)?),
            None if table.metadata.properties().contains_key(WITNESS) => {
                return Err(S::tag_missing(table.ident));
            }
            None => None,
        };
        Ok(Self { table, tagged })
    }

    pub fn metadata(&self) -> &TableMetadata {
        &self.table.metadata
    }

    /// The snapshot that readers see.
    pub fn head(&self) -> Option<&SnapshotRef> {
        self.metadata().snapshot_for_ref(MAIN_BRANCH)
    }

    /// What `main` leads to, newest first, as far as the table still has it.
    pub fn history(&self) -> impl Iterator<Item = &SnapshotRef> {
        ancestors(self.metadata(), self.head())
    }

    pub fn state(&self) -> Option<&S> {
        self.tagged.as_ref().map(|tagged| &tagged.state)
    }

    /// The table as it would be with `main` on a snapshot that it leads to now.
    ///
    /// # Errors
    /// `main` does not lead to the snapshot.
    pub fn rolled_back(&self, to: i64) -> Result<Self, CommitError> {
        let led_to = self.history().any(|snapshot| snapshot.snapshot_id() == to);
        let main = refs(self.metadata())?.remove(MAIN_BRANCH).filter(|_| led_to);
        let Some(mut main) = main else {
            return Err(Halt::Resolve {
                table: self.table.ident.clone(),
                detail: format!("`main` does not lead to snapshot {to}, or it has expired"),
            }
            .into());
        };
        main.snapshot_id = to;
        let builder = self.metadata().clone().into_builder(None);
        let metadata = builder.set_ref(MAIN_BRANCH, main)?.build()?.metadata;
        Ok(Self {
            table: LoadedTable {
                metadata: Arc::new(metadata),
                ..self.table.clone()
            },
            tagged: self.tagged.clone(),
        })
    }

    /// Whether one of these snapshots is in the table: at the tag or among its ancestors. This is how a commit
    /// whose answer was lost is found again (section 3.6).
    ///
    /// Any snapshot of the metadata counts, since ids are never used twice and a snapshot only gets into the
    /// metadata by the very commit that moves the tag.
    pub fn find(&self, attempts: &[i64]) -> Option<&SnapshotRef> {
        attempts.iter().find_map(|id| self.metadata().snapshot_by_id(*id))
    }

    /// Whether anything that a body built on `self` depends on differs in `now` (section 3.6). The metadata
    /// location covers it all for catalogs of ours: any commit of anybody moves it.
    pub fn has_moved(&self, now: &Self) -> bool {
        self.table.metadata_location != now.table.metadata_location
    }
}

/// A table whose format version tables of ours do not have.
pub(super) fn other_version(table: &LoadedTable) -> Halt {
    Halt::FormatVersion {
        table: table.ident.clone(),
        found: table.metadata.format_version().to_string(),
    }
}

/// A snapshot and those before it, newest first, as far as the table still has them.
pub(super) fn ancestors<'a>(
    metadata: &'a TableMetadata,
    newest: Option<&'a SnapshotRef>,
) -> impl Iterator<Item = &'a SnapshotRef> {
    std::iter::successors(newest, |snapshot| {
        metadata.snapshot_by_id(snapshot.parent_snapshot_id()?)
    })
}
