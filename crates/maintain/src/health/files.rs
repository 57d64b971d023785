//! Data files by size and by partition value, and the delete files that queries open with them.

use std::collections::HashSet;

use iceberg::spec::{DataContentType, DataFileFormat};
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_table::snapshot::deletes::Place;

use crate::compact::Policy;
use crate::survey::{self, Survey, Tally};

const MIB: u64 = 1 << 20;

/// Partitions that are told of one by one at most.
const MOST: usize = 1_000;

/// All live data files.
#[derive(Debug, Default, Serialize)]
pub struct Files {
    pub files: u64,
    pub bytes: u64,
    /// Deleted ones included.
    pub rows: u64,
    /// From the smallest on. The last one has those that are as large as they should be.
    pub by_size: Vec<SizeClass>,
}

/// The files between two sizes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SizeClass {
    pub from_bytes: u64,
    /// `null`: whatever is larger.
    pub below_bytes: Option<u64>,
    #[serde(flatten)]
    pub tally: Tally,
}

impl Files {
    pub fn of(survey: &Survey, policy: &Policy) -> Self {
        let Tally { files, bytes } = survey.tally();
        let all = || survey.partitions.values().flat_map(|partition| &partition.files);
        Self {
            files,
            bytes,
            rows: all().map(|file| file.rows).sum(),
            by_size: by_size(all().map(|file| file.bytes), policy.small()),
        }
    }
}

/// Each class reaches eight times as far as the one before it, up to `small`, from where on a file is large enough.
fn by_size(sizes: impl Iterator<Item = u64>, small: u64) -> Vec<SizeClass> {
    let below = (0..)
        .map(|power| MIB << (3 * power))
        .take_while(|bound| *bound < small);
    let bounds: Vec<u64> = below.chain([small]).collect();
    let mut classes: Vec<SizeClass> = (0..=bounds.len())
        .map(|class| SizeClass {
            from_bytes: class.checked_sub(1).map_or(0, |before| bounds[before]),
            below_bytes: bounds.get(class).copied(),
            tally: Tally::default(),
        })
        .collect();
    for bytes in sizes {
        let class = bounds.partition_point(|bound| *bound <= bytes);
        classes[class].tally += Tally { files: 1, bytes };
    }
    classes
}

/// The partition values that have files.
#[derive(Debug, Default, Serialize)]
pub struct Partitions {
    pub count: u64,
    /// Those that got rows so lately that small files may stay for now.
    pub hot: u64,
    /// Those with the most files too many; a thousand of them.
    pub worst: Vec<Partition>,
}

/// One partition value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// As paths have it; empty in tables without partitions.
    pub partition: String,
    pub spec_id: i32,
    pub files: u64,
    pub bytes: u64,
    pub small_files: u64,
    /// Delete files that apply to its files.
    pub delete_files: u64,
    /// Files that a query opens beside those that its bytes would take.
    pub too_many: u64,
    pub hot: bool,
    /// When rows were last added, as far as the snapshots tell.
    pub last_added_at: Option<Millis>,
}

impl Partitions {
    pub fn of(survey: &Survey, policy: &Policy) -> Self {
        let all = survey.partitions.iter();
        let mut all: Vec<Partition> = all
            .map(|(place, files)| partition(survey, policy, place, files))
            .collect();
        let (count, hot) = (all.len(), all.iter().filter(|partition| partition.hot).count());
        all.sort_unstable_by(|a, b| {
            let by_need = b.too_many.cmp(&a.too_many).then(b.files.cmp(&a.files));
            by_need.then_with(|| (&a.partition, a.spec_id).cmp(&(&b.partition, b.spec_id)))
        });
        all.truncate(MOST);
        Self {
            count: count as u64,
            hot: hot as u64,
            worst: all,
        }
    }
}

fn partition(survey: &Survey, policy: &Policy, place: &Place, here: &survey::Partition) -> Partition {
    let applied: HashSet<&str> = here
        .files
        .iter()
        .flat_map(|file| survey.deletes.of(file.data(place)))
        .map(|delete| delete.file.file_path())
        .collect();
    let bytes: u64 = here.files.iter().map(|file| file.bytes).sum();
    let (files, delete_files) = (here.files.len() as u64, applied.len() as u64);
    let enough = bytes.div_ceil(policy.target.max(1)).max(1);
    let small = here.files.iter().filter(|file| file.bytes < policy.small());
    Partition {
        partition: survey.partition_path(place),
        spec_id: place.0,
        files,
        bytes,
        small_files: small.count() as u64,
        delete_files,
        too_many: (files + delete_files).saturating_sub(enough),
        hot: policy.is_hot(here),
        last_added_at: here.touched(),
    }
}

/// The live delete files.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deletes {
    pub position_files: u64,
    pub equality_files: u64,
    /// Those of format version 3.
    pub deletion_vectors: u64,
    pub bytes: u64,
    /// Data files that at least one of them applies to.
    pub data_files: u64,
}

impl Deletes {
    pub fn of(survey: &Survey) -> Self {
        let mut deletes = Self::default();
        if survey.deletes.is_empty() {
            return deletes;
        }
        for delete in survey.deletes.all() {
            deletes.bytes += delete.file.file_size_in_bytes();
            match (delete.file.content_type(), delete.file.file_format()) {
                (DataContentType::EqualityDeletes, _) => deletes.equality_files += 1,
                (_, DataFileFormat::Puffin) => deletes.deletion_vectors += 1,
                _ => deletes.position_files += 1,
            }
        }
        let data = survey.partitions.iter();
        let data = data.flat_map(|(place, here)| here.files.iter().map(move |file| file.data(place)));
        deletes.data_files = data
            .filter(|data| survey.deletes.of(*data).next().is_some())
            .count() as u64;
        deletes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_sizes_that_a_person_knows_and_by_what_the_table_wants() {
        let sizes = [0, MIB - 1, MIB, 100 * MIB, 384 * MIB, 700 * MIB];
        let classes = by_size(sizes.into_iter(), 384 * MIB);
        let told: Vec<(u64, Option<u64>, u64)> = classes
            .iter()
            .map(|class| {
                (
                    class.from_bytes / MIB,
                    class.below_bytes.map(|to| to / MIB),
                    class.tally.files,
                )
            })
            .collect();
        let expected = [
            (0, Some(1), 2),
            (1, Some(8), 1),
            (8, Some(64), 0),
            (64, Some(384), 1),
            (384, None, 2),
        ];
        assert_eq!(told, expected);
        let bytes: u64 = classes.iter().map(|class| class.tally.bytes).sum();
        assert_eq!(bytes, sizes.iter().sum::<u64>());
    }

    #[test]
    fn a_table_that_wants_tiny_files_has_two_classes() {
        let told = by_size([5, 95, 96].into_iter(), 96);
        let told: Vec<(Option<u64>, u64)> = told
            .iter()
            .map(|class| (class.below_bytes, class.tally.files))
            .collect();
        assert_eq!(told, [(Some(96), 2), (None, 1)]);
    }
}
