//! Small manifests become larger ones as tables grow: which manifests a snapshot writes anew, joined into one.
//!
//! Manifests are of tiers by the number of their files: below `n`, below `n²`, below `n³` and so on, where `n` is
//! `commit.manifest.min-count-to-merge`. Once there are `n` of one tier they become one of the next. So each entry is
//! written anew a few times in its life, a list holds less than `n` manifests of each tier, and no commit has to do
//! more than one merge. Iceberg's own merge, which joins all small manifests at once, would write the large one of
//! yesterday anew every `n` commits.

use std::collections::BTreeMap;

use futures::stream::iter;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::spec::{ManifestContentType, ManifestFile, PartitionSpec, Schema, TableMetadata};

use super::live::LiveFile;
use super::manifest::to_write_anew;
use crate::commit::CommitError;
use crate::lake::Lake;
use crate::properties::property;

/// Whether manifests are merged at all.
const ENABLED: &str = "commit.manifest-merge.enabled";
/// Manifests of one tier that become one; at least 2.
pub const MIN_COUNT: &str = "commit.manifest.min-count-to-merge";
const TARGET_SIZE: &str = "commit.manifest.target-size-bytes";

/// Manifests that are read at a time.
const AT_ONCE: usize = 8;

/// A merge to be done.
#[derive(Debug)]
pub struct Merge {
    pub spec_id: i32,
    /// What the manifests held that are to become one.
    pub files: Vec<LiveFile>,
}

/// The one merge that is due, with the files read; the manifests that it takes the place of are taken out of
/// `manifests`. `adds`: whether the snapshot adds files of a partition spec, which join the merged manifest.
///
/// # Errors
/// Outages of the store. Where a manifest cannot be read, or not be written anew just as it is, all stay.
pub async fn due(
    lake: &Lake,
    metadata: &TableMetadata,
    manifests: &mut Vec<ManifestFile>,
    adds: impl Fn(i32) -> bool,
) -> Result<Option<Merge>, CommitError> {
    if !property(metadata, ENABLED, true) {
        return Ok(None);
    }
    let limits = Limits {
        min_count: property(metadata, MIN_COUNT, 100).max(2),
        target_bytes: i64::try_from(target_size(metadata)).unwrap_or(i64::MAX),
    };
    for spec in metadata.partition_specs_iter() {
        let spec_id = spec.spec_id();
        // Manifests that have to stay must not keep those that came after them from being merged.
        let mut newer = manifests.clone();
        loop {
            let chosen = limits.choose(&newer, spec_id, adds(spec_id));
            // One alone is joined with what is added.
            if chosen.len() + usize::from(adds(spec_id)) < 2 {
                break;
            }
            match read_all(lake, spec, metadata.current_schema(), &chosen).await {
                Ok(Some(files)) => {
                    manifests.retain(|manifest| !chosen.contains(manifest));
                    return Ok(Some(Merge { spec_id, files }));
                }
                Ok(None) => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::warn!(table = metadata.location(), "manifests are not merged: {error}");
                }
            }
            newer.retain(|manifest| !chosen.contains(manifest));
        }
    }
    Ok(None)
}

/// Bytes that a manifest may have.
pub fn target_size(metadata: &TableMetadata) -> u64 {
    property(metadata, TARGET_SIZE, 8 << 20)
}

/// The live files of all; the oldest is looked at before the others are read.
async fn read_all(
    lake: &Lake,
    spec: &PartitionSpec,
    schema: &Schema,
    manifests: &[ManifestFile],
) -> Result<Option<Vec<LiveFile>>, CommitError> {
    let Some((oldest, others)) = manifests.split_first() else {
        return Ok(None);
    };
    let mut all = Vec::new();
    match to_write_anew(lake, spec, schema, oldest).await? {
        Some(files) => all.push(files),
        None => return Ok(None),
    }
    let reading: Vec<_> = others
        .iter()
        .map(|manifest| to_write_anew(lake, spec, schema, manifest).boxed())
        .collect();
    let mut reading = iter(reading).buffered(AT_ONCE);
    while let Some(files) = reading.try_next().await? {
        match files {
            Some(files) => all.push(files),
            None => return Ok(None),
        }
    }
    Ok(Some(all.into_iter().flatten().collect()))
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    min_count: u32,
    target_bytes: i64,
}

impl Limits {
    /// The oldest manifests of the lowest tier that is full: `n`, if so many fit into one.
    fn choose(&self, manifests: &[ManifestFile], spec_id: i32, adds: bool) -> Vec<ManifestFile> {
        let mut tiers = BTreeMap::<u32, Vec<&ManifestFile>>::new();
        for manifest in manifests
            .iter()
            .filter(|manifest| manifest.partition_spec_id == spec_id)
        {
            if let Some(tier) = self.tier(manifest) {
                tiers.entry(tier).or_default().push(manifest);
            }
        }
        let is_full =
            |tier: u32, members: usize| members + usize::from(adds && tier == 0) >= self.min_count as usize;
        let Some((_, mut full)) = tiers
            .into_iter()
            .find(|(tier, members)| is_full(*tier, members.len()))
        else {
            return Vec::new();
        };
        full.sort_by_key(|manifest| manifest.sequence_number);
        let mut bytes = 0;
        full.into_iter()
            .take(self.min_count as usize)
            .take_while(|manifest| {
                bytes += manifest.manifest_length;
                bytes <= self.target_bytes
            })
            .cloned()
            .collect()
    }

    /// `None`: to be left alone. Manifests of deletes, encrypted ones and large ones are; those of version 1 may not
    /// say how many files they have.
    fn tier(&self, manifest: &ManifestFile) -> Option<u32> {
        let small = manifest.manifest_length <= self.target_bytes / 2;
        let plain = manifest.content == ManifestContentType::Data && manifest.key_metadata.is_none();
        let files = manifest.added_files_count? + manifest.existing_files_count?;
        (small && plain).then(|| files.max(1).ilog(self.min_count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        min_count: 3,
        target_bytes: 1000,
    };

    fn manifest(sequence_number: i64, files: u32) -> ManifestFile {
        ManifestFile {
            manifest_path: format!("memory:///t/metadata/{sequence_number}.avro"),
            manifest_length: 100 + i64::from(files),
            partition_spec_id: 0,
            content: ManifestContentType::Data,
            sequence_number,
            min_sequence_number: sequence_number,
            added_snapshot_id: sequence_number,
            added_files_count: Some(0),
            existing_files_count: Some(files),
            deleted_files_count: Some(0),
            added_rows_count: Some(0),
            existing_rows_count: Some(0),
            deleted_rows_count: Some(0),
            partitions: None,
            key_metadata: None,
            first_row_id: None,
        }
    }

    fn chosen(manifests: &[ManifestFile], adds: bool) -> Vec<i64> {
        let chosen = LIMITS.choose(manifests, 0, adds);
        chosen.iter().map(|manifest| manifest.sequence_number).collect()
    }

    #[test]
    fn a_full_tier_is_merged_with_what_is_added() {
        let two = [manifest(5, 2), manifest(4, 1)];
        assert_eq!(chosen(&two, false), [0_i64; 0]);
        assert_eq!(chosen(&two, true), [4, 5]);
    }

    #[test]
    fn larger_manifests_wait_for_their_like() {
        let mixed = [
            manifest(9, 1),
            manifest(8, 2),
            manifest(7, 1),
            manifest(3, 5),
            manifest(2, 3),
        ];
        assert_eq!(chosen(&mixed, false), [7, 8, 9]);
        assert_eq!(
            chosen(&mixed[2..], true),
            [0_i64; 0],
            "two small ones at most, two of the next tier"
        );
        let next = [manifest(9, 1), manifest(6, 8), manifest(3, 5), manifest(2, 3)];
        assert_eq!(chosen(&next, true), [2, 3, 6]);
    }

    #[test]
    fn what_others_left_is_merged_in_several_commits() {
        let many: Vec<_> = (1..=100).map(|number| manifest(number, 1)).collect();
        assert_eq!(chosen(&many, true), [1, 2, 3]);
    }

    #[test]
    fn no_more_than_fits_into_one_and_the_oldest_first() {
        let large: Vec<_> = (1..=5).map(|number| manifest(number, 300)).collect();
        assert_eq!(chosen(&large, false), [1, 2]);
    }

    #[test]
    fn what_is_not_ours_to_write_anew_is_left_alone() {
        let deletes = ManifestFile {
            content: ManifestContentType::Deletes,
            ..manifest(1, 1)
        };
        let encrypted = ManifestFile {
            key_metadata: Some(vec![1]),
            ..manifest(2, 1)
        };
        let uncounted = ManifestFile {
            existing_files_count: None,
            ..manifest(3, 1)
        };
        let other_spec = ManifestFile {
            partition_spec_id: 1,
            ..manifest(4, 1)
        };
        let full = manifest(5, 501);
        assert_eq!(
            chosen(&[deletes, encrypted, uncounted, other_spec, full], true),
            [0_i64; 0]
        );
    }
}
