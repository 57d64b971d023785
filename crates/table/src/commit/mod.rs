//! The commit protocol: how units become snapshots, exactly once (`docs/protocol/`).
//!
//! [`commit`] is the one loop that talks to the catalog. What a commit does is a [`Plan`], decided again on every
//! base: [`Append`] for units, [`Anchor`] and [`AnchorBehind`] for starts, [`ChangeSchema`] for columns, [`ChangePartitions`] for the spec,
//! [`Redrive`] for dead letters, [`Renew`] for the tag, [`Replace`] for rewritten files, [`ReplaceManifests`] for rewritten
//! manifests, [`Retain`] for rows that are too old, [`Fence`] before files are removed, and one plan for each command of `resolve`.

mod anchor;
mod append;
mod base;
mod change;
mod change_partitions;
mod change_schema;
mod engine;
mod error;
pub mod expire;
mod fence;
mod halt;
#[cfg(test)]
mod history;
mod look;
mod redrive;
mod refs;
mod renew;
mod replace;
mod replace_manifests;
pub mod resolve;
mod retain;
mod standing;
mod tag_state;
mod unit;
mod wait;

pub use anchor::{Anchor, AnchorBehind};
pub use append::{Append, Dropped, Fate, make_room};
pub use base::{Base, TAG, Tagged, WITNESS};
pub use change::{Change, Leaving};
pub use change_partitions::ChangePartitions;
pub use change_schema::ChangeSchema;
pub use engine::{Committed, Plan, commit, load_patiently, next_snapshot, seen_by};
pub use error::CommitError;
pub use fence::Fence;
pub use halt::Halt;
pub use look::Look;
pub use redrive::{LettersOf, Redrive, open_letters};
pub use refs::refs;
pub use renew::Renew;
pub use replace::{Lost, Maintained, Removed, Replace, Replacement};
pub use replace_manifests::ReplaceManifests;
pub use retain::{Limit, Old, Retain, find as find_old};
pub use standing::{Counted, Walk, check as check_standing, walk};
pub use tag_state::{Note, SnapshotAt, TagState};
pub use unit::{DeadLetterFile, Unit};
pub use wait::{LogWaiting, Waiting};
