//! What the metadata file keeps: snapshots, branches and tags, partition specs.

use std::collections::BTreeMap;

use iceberg::spec::TableMetadata;
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_table::commit::{self, CommitError};

use crate::survey::{Survey, Tally};

/// All snapshots, whatever leads to them.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshots {
    pub count: u64,
    pub oldest_at: Option<Millis>,
    pub newest_at: Option<Millis>,
}

impl Snapshots {
    pub fn of(metadata: &TableMetadata) -> Self {
        let times = || metadata.snapshots().map(|snapshot| snapshot.timestamp_ms());
        Self {
            count: times().count() as u64,
            oldest_at: times().min(),
            newest_at: times().max(),
        }
    }
}

/// A branch or a tag.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Reference {
    pub name: String,
    pub kind: &'static str,
    /// As text, since some are more than a number of JSON.
    pub snapshot_id: String,
    /// When that snapshot was made.
    pub snapshot_at: Option<Millis>,
}

pub fn refs(metadata: &TableMetadata) -> Result<Vec<Reference>, CommitError> {
    let refs = commit::refs(metadata)?.into_iter();
    Ok(refs
        .map(|(name, reference)| Reference {
            name,
            kind: if reference.is_branch() { "branch" } else { "tag" },
            snapshot_id: reference.snapshot_id.to_string(),
            snapshot_at: metadata
                .snapshot_by_id(reference.snapshot_id)
                .map(|snapshot| snapshot.timestamp_ms()),
        })
        .collect())
}

/// The files of a partition spec that is not the table's any more.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct OldSpec {
    pub spec_id: i32,
    #[serde(flatten)]
    pub tally: Tally,
}

pub fn old_specs(survey: &Survey) -> Vec<OldSpec> {
    let now = survey.table.metadata.default_partition_spec_id();
    let mut specs = BTreeMap::<i32, Tally>::new();
    for ((spec_id, _), partition) in &survey.partitions {
        for file in partition.files.iter().filter(|_| *spec_id != now) {
            *specs.entry(*spec_id).or_default() += Tally {
                files: 1,
                bytes: file.bytes,
            };
        }
    }
    specs
        .into_iter()
        .map(|(spec_id, tally)| OldSpec { spec_id, tally })
        .collect()
}
