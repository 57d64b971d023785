//! Manifests are written anew by partition value, where a query of one value opens many.

mod choose;

use std::collections::BTreeMap;
use std::time::Instant;

use iceberg::TableIdent;
use iceberg::spec::{FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestFile, TableMetadata};
use serde::Serialize;
use tabletopic_catalog::LoadedTable;
use tabletopic_table::Lake;
use tabletopic_table::commit::{Lost, Waiting, load_patiently};
use tabletopic_table::snapshot::cluster::{Clustered, Layout};
use tabletopic_table::snapshot::live;
use tabletopic_table::snapshot::merge::target_size;

use crate::MaintainError;
use crate::owner::{Owner, Replaced};
use crate::pace::Pace;
pub use choose::Policy;
use choose::{Listed, choose};

/// Manifests of one partition spec and content, to be written anew together.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    pub spec_id: i32,
    /// `data` or `deletes`.
    pub content: &'static str,
    pub manifests: usize,
    /// How many a query of one of their partition values opens, on average.
    pub opens: f64,
    /// And how many it will.
    pub will_open: f64,
    #[serde(skip)]
    of: ManifestContentType,
    #[serde(skip)]
    chosen: Vec<ManifestFile>,
}

/// A table that was looked at.
#[derive(Debug)]
pub struct Look {
    pub table: LoadedTable,
    /// All that its snapshot has.
    pub manifests: usize,
    /// What is worth doing.
    pub groups: Vec<Group>,
}

impl Look {
    /// Reads a table's manifest list, and none of its manifests. `None`: it has no snapshot yet.
    ///
    /// # Errors
    /// Those of reading the table; one of another format version.
    pub async fn at(
        lake: &Lake,
        table: &TableIdent,
        policy: &Policy,
        waiting: &dyn Waiting,
    ) -> Result<Option<Self>, MaintainError> {
        let table = load_patiently(lake, table, waiting).await?;
        let version = table.metadata.format_version();
        if version == FormatVersion::V1 {
            return Err(MaintainError::Unsupported(format!(
                "{} is of format version {version}, and only manifests of the versions 2 and 3 are rewritten here; upgrade \
                 it, or use an engine that writes this one",
                table.ident
            )));
        }
        let Some(snapshot) = table.metadata.snapshot_for_ref(MAIN_BRANCH) else {
            return Ok(None);
        };
        let manifests = live::manifests(lake, &table.metadata, snapshot).await?;
        let count = manifests.len();
        Ok(Some(Self {
            groups: groups(&table.metadata, manifests, policy),
            manifests: count,
            table,
        }))
    }
}

fn groups(metadata: &TableMetadata, manifests: Vec<ManifestFile>, policy: &Policy) -> Vec<Group> {
    let mut by_kind = BTreeMap::<(i32, bool), Vec<ManifestFile>>::new();
    for manifest in manifests {
        let live = manifest.has_added_files() || manifest.has_existing_files();
        if live && manifest.key_metadata.is_none() {
            let deletes = manifest.content == ManifestContentType::Deletes;
            by_kind
                .entry((manifest.partition_spec_id, deletes))
                .or_default()
                .push(manifest);
        }
    }
    let groups = by_kind.into_iter().filter_map(|((spec_id, deletes), manifests)| {
        let spec = metadata.partition_spec_by_id(spec_id)?;
        // Without its column nothing can be written under it any more.
        let types = spec.partition_type(metadata.current_schema()).ok()?;
        let listed: Vec<Listed> = manifests.iter().map(|at| Listed::of(at, &types)).collect();
        let found = choose(&listed, target_size(metadata), policy)?;
        let (of, content) = match deletes {
            true => (ManifestContentType::Deletes, "deletes"),
            false => (ManifestContentType::Data, "data"),
        };
        Some(Group {
            spec_id,
            content,
            manifests: found.manifests.len(),
            opens: found.opens,
            will_open: found.will_open,
            of,
            chosen: found.manifests.iter().map(|at| manifests[*at].clone()).collect(),
        })
    });
    groups.collect()
}

/// What became of manifests.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was worth doing, or could be done: those there are cannot be written anew just as they are.
    Nothing,
    Committed {
        snapshot_id: i64,
        replaced: usize,
        written: usize,
    },
    /// Another writer was quicker.
    Dropped { why: String },
}

/// Rewrites what a look found, in one commit.
///
/// # Errors
/// Outages that last, and a halt of the table.
pub async fn rewrite(
    lake: &Lake,
    look: &Look,
    pace: &dyn Pace,
    waiting: &dyn Waiting,
) -> Result<Outcome, MaintainError> {
    let Look { table, groups, .. } = look;
    let owner = Owner::of(table);
    owner.check(lake, table).await?;
    let mut clustered = Clustered::default();
    let id = lake.entropy.snapshot_id();
    for group in groups {
        if let Err(error) = write(lake, &table.metadata, group, id, pace, &mut clustered).await {
            discard(lake, &clustered).await;
            return Err(error);
        }
    }
    if clustered.is_empty() {
        return Ok(Outcome::Nothing);
    }
    let replaced = owner
        .replace_manifests(lake, &table.ident, &clustered, waiting)
        .await?;
    Ok(match replaced {
        Replaced::Committed { snapshot_id } => Outcome::Committed {
            snapshot_id,
            replaced: clustered.replaced.len(),
            written: clustered.written.len(),
        },
        Replaced::Dropped { lost, sent } => {
            if !sent {
                discard(lake, &clustered).await;
            }
            Outcome::Dropped {
                why: lost.as_ref().map(Lost::to_string).unwrap_or_default(),
            }
        }
    })
}

/// Writes the manifests of one group.
async fn write(
    lake: &Lake,
    metadata: &TableMetadata,
    group: &Group,
    id: i64,
    pace: &dyn Pace,
    clustered: &mut Clustered,
) -> Result<(), MaintainError> {
    let chosen = group.chosen.clone();
    let layout = Layout::of(
        lake,
        metadata,
        group.spec_id,
        group.of,
        chosen,
        target_size(metadata),
    )
    .await?;
    if layout.replaced().count() < 2 {
        return Ok(());
    }
    for number in 0..layout.new_manifests() {
        let began = Instant::now();
        let written = layout.write(lake, metadata, id, number).await?;
        let bytes = u64::try_from(written.manifest_length).unwrap_or(0);
        clustered.written.push(written);
        pace.worked(began.elapsed(), bytes).await;
    }
    let replaced = layout.replaced().map(|manifest| manifest.manifest_path.clone());
    clustered.replaced.extend(replaced);
    Ok(())
}

/// Removes manifests that no snapshot will name.
async fn discard(lake: &Lake, clustered: &Clustered) {
    for manifest in &clustered.written {
        let file = manifest.manifest_path.as_str();
        if let Err(error) = lake.file_io.delete(file).await {
            tracing::warn!(file, "a manifest that nothing needs is left: {error}");
        }
    }
}
