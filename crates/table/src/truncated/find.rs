//! Finds the files: by the bounds of Kafka's columns, and by reading these two columns of what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use iceberg::scan::FileScanTask;
use tabletopic_catalog::LoadedTable;

use super::{Cuts, Rewrite, at_or_above};
use crate::commit::CommitError;
use crate::lake::Lake;
use crate::rows::{self, Held};
use crate::snapshot::live;

pub(super) const PARTITION: &str = "_kafka_partition";
pub(super) const OFFSET: &str = "_kafka_offset";

/// What a snapshot holds of logs that were cut.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The rows that go, by topic partition number.
    pub rows: BTreeMap<i32, Held>,
    /// Paths of files that go as a whole.
    pub whole: BTreeSet<String>,
    /// Files that hold other rows as well.
    pub mixed: Vec<Rewrite>,
}

/// Looks through the files of a snapshot. Rows that a delete file took are not there.
///
/// # Errors
/// Those of reading manifests and files; a table without Kafka's columns.
pub async fn find(
    lake: &Lake,
    table: &LoadedTable,
    snapshot_id: i64,
    cuts: &Cuts,
) -> Result<Found, CommitError> {
    let mut found = Found::default();
    let Some(filter) = at_or_above(cuts, PARTITION, OFFSET) else {
        return Ok(found);
    };
    let scan = rows::iceberg_table(lake, table)?
        .scan()
        .snapshot_id(snapshot_id)
        .select([PARTITION, OFFSET])
        .with_filter(filter)
        .build()?;
    let mut tasks: Vec<FileScanTask> = scan.plan_files().await?.try_collect().await?;
    // They come in the order in which manifests were read.
    tasks.sort_by(|a, b| a.data_file_path.cmp(&b.data_file_path));
    let mut mixed = Vec::new();
    for task in tasks {
        // The filter chose the file; all of its rows decide what becomes of it.
        let all = FileScanTask {
            predicate: None,
            ..task
        };
        let (gone, others) = count(lake, all.clone(), cuts).await?;
        if gone.is_empty() {
            continue;
        }
        for (partition, rows) in gone {
            found.rows.entry(partition).or_default().merge(rows);
        }
        if others {
            mixed.push(all);
        } else {
            found.whole.insert(all.data_file_path);
        }
    }
    found.mixed = with_specs(lake, table, snapshot_id, mixed, cuts).await?;
    Ok(found)
}

/// The rows of a file that go, and whether it has others.
async fn count(
    lake: &Lake,
    task: FileScanTask,
    cuts: &Cuts,
) -> Result<(BTreeMap<i32, Held>, bool), CommitError> {
    let mut gone = BTreeMap::<i32, Held>::new();
    let (mut seen, mut counted) = (0, 0);
    let path = task.data_file_path.clone();
    let mut batches = rows::read(lake, task)?;
    while let Some(batch) = batches.try_next().await? {
        seen += batch.num_rows();
        rows::visit_batch(&path, &batch, &mut |partition, offset| {
            if cuts.get(&partition).is_some_and(|cut| offset >= *cut) {
                gone.entry(partition).or_default().add(offset);
                counted += 1;
            }
        })?;
    }
    Ok((gone, counted < seen))
}

/// A scan does not tell under which partition spec a file was written.
async fn with_specs(
    lake: &Lake,
    table: &LoadedTable,
    snapshot_id: i64,
    tasks: Vec<FileScanTask>,
    cuts: &Cuts,
) -> Result<Vec<Rewrite>, CommitError> {
    let mut waiting: BTreeMap<String, FileScanTask> = tasks
        .into_iter()
        .map(|task| (task.data_file_path.clone(), task))
        .collect();
    let mut rewrites = Vec::new();
    let cuts = Arc::new(cuts.clone());
    let snapshot = table.metadata.snapshot_by_id(snapshot_id);
    for manifest in match snapshot {
        Some(snapshot) if !waiting.is_empty() => live::manifests(lake, &table.metadata, snapshot).await?,
        _ => Vec::new(),
    } {
        for file in live::files(lake, &manifest).await? {
            if let Some(task) = waiting.remove(file.file.file_path()) {
                rewrites.push(Rewrite {
                    task,
                    file: file.file,
                    spec_id: file.spec_id,
                    cuts: cuts.clone(),
                });
            }
        }
    }
    match waiting.into_keys().next() {
        None => Ok(rewrites),
        Some(path) => Err(CommitError::Encode(format!(
            "{path} was scanned, and is in no manifest"
        ))),
    }
}
