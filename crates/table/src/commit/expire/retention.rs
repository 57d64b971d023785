//! How much history a table keeps: its properties, Iceberg's own where it has one.

use iceberg::spec::{SnapshotReference, SnapshotRetention, TableMetadata};
use tabletopic_clock::Millis;

use crate::properties::property;

/// `false`: nothing of this table is ever expired.
pub const GC_ENABLED: &str = "gc.enabled";
/// Milliseconds; a branch may have its own.
pub const MAX_AGE: &str = "history.expire.max-snapshot-age-ms";
/// Kept whatever their age and number are; a branch may have its own.
pub const MIN_TO_KEEP: &str = "history.expire.min-snapshots-to-keep";
pub const MAX_SNAPSHOTS: &str = "tabletopic.expire.max-snapshots";
/// Of the metadata file, uncompressed.
pub const MAX_METADATA_BYTES: &str = "tabletopic.expire.max-metadata-bytes";

/// Whatever the limits say, so many snapshots of `main` are kept: queries and other writers work on them.
pub const LEAST: usize = 10;

const FIVE_DAYS: Millis = 5 * 24 * 60 * 60 * 1000;

/// The limits of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub max_age_ms: Millis,
    /// At least [`LEAST`].
    pub min_to_keep: usize,
    pub max_snapshots: usize,
    pub max_metadata_bytes: usize,
}

impl Retention {
    /// `None`: nothing is to be expired.
    pub fn of(metadata: &TableMetadata) -> Option<Self> {
        property(metadata, GC_ENABLED, true).then(|| Self {
            max_age_ms: property(metadata, MAX_AGE, FIVE_DAYS),
            min_to_keep: property(metadata, MIN_TO_KEEP, 1).max(LEAST),
            max_snapshots: property(metadata, MAX_SNAPSHOTS, 1_000),
            max_metadata_bytes: property(metadata, MAX_METADATA_BYTES, 1_000_000),
        })
    }

    /// With what `main` says of itself.
    pub fn of_branch(self, main: Option<&SnapshotReference>) -> Self {
        let Some(SnapshotRetention::Branch {
            min_snapshots_to_keep,
            max_snapshot_age_ms,
            ..
        }) = main.map(|main| &main.retention)
        else {
            return self;
        };
        let least = |count: i32| usize::try_from(count).unwrap_or(0).max(LEAST);
        Self {
            max_age_ms: max_snapshot_age_ms.unwrap_or(self.max_age_ms),
            min_to_keep: min_snapshots_to_keep.map_or(self.min_to_keep, least),
            ..self
        }
    }

    /// What a limit is cut to once it is passed: expiry costs the less the more goes at once.
    pub fn slack(limit: usize) -> usize {
        limit - limit / 8
    }
}
