//! Finds the files: by the bounds of Kafka's columns, and by reading these two columns of what is left.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;
use iceberg::scan::FileScanTask;
use tabletopic_catalog::LoadedTable;

use super::Rewrite;
use crate::commit::CommitError;
use crate::lake::Lake;
use crate::rows::{self, Deleted, Held, Offsets, within};
use crate::snapshot::live;

/// The columns of a row that say where its record is from.
pub const PLACE: [&str; 2] = ["_kafka_partition", "_kafka_offset"];

/// What a snapshot holds of the offsets.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The rows that go, by topic partition number.
    pub rows: BTreeMap<i32, Held>,
    /// Paths of files that go as a whole.
    pub whole: BTreeSet<String>,
    /// Files that hold other rows as well.
    pub mixed: Vec<Rewrite>,
    /// All of these, with the deletes that apply to them.
    pub files: HashSet<Deleted>,
}

/// What files hold of the offsets that are looked for: rows by topic partition number, and whether there are others.
pub type Known = HashMap<Deleted, (BTreeMap<i32, Held>, bool)>;

/// Looks through the files of a snapshot. Rows that a delete file took are not there. Files that are in `known` are not read
/// again.
///
/// # Errors
/// Those of reading manifests and files; a table without Kafka's columns.
pub async fn find(
    lake: &Lake,
    table: &LoadedTable,
    snapshot_id: i64,
    offsets: &Offsets,
    known: &mut Known,
) -> Result<Found, CommitError> {
    let mut found = Found::default();
    if offsets.is_empty() {
        return Ok(found);
    }
    let scan = rows::iceberg_table(lake, table)?
        .scan()
        .snapshot_id(snapshot_id)
        .select(PLACE)
        .with_filter(within(offsets, PLACE[0], PLACE[1]))
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
        let file = Deleted::of(&all);
        let (gone, others) = match known.get(&file) {
            Some(known) => known.clone(),
            None => {
                let counted = count(lake, all.clone(), offsets).await?;
                known.insert(file.clone(), counted.clone());
                counted
            }
        };
        if gone.is_empty() {
            continue;
        }
        found.files.insert(file);
        for (partition, rows) in gone {
            found.rows.entry(partition).or_default().merge(rows);
        }
        if others {
            mixed.push(all);
        } else {
            found.whole.insert(all.data_file_path);
        }
    }
    found.mixed = with_specs(lake, table, snapshot_id, mixed, (offsets, PLACE)).await?;
    Ok(found)
}

/// All files of a snapshot, to be written again without these offsets, which the columns `place` tell.
///
/// # Errors
/// Those of reading manifests.
pub async fn all(
    lake: &Lake,
    table: &LoadedTable,
    snapshot_id: i64,
    (gone, place): (&Offsets, [&'static str; 2]),
) -> Result<Vec<Rewrite>, CommitError> {
    let scan = rows::iceberg_table(lake, table)?
        .scan()
        .snapshot_id(snapshot_id)
        .build()?;
    let tasks: Vec<FileScanTask> = scan.plan_files().await?.try_collect().await?;
    with_specs(lake, table, snapshot_id, tasks, (gone, place)).await
}

/// The rows of a file that go, and whether it has others.
async fn count(
    lake: &Lake,
    task: FileScanTask,
    offsets: &Offsets,
) -> Result<(BTreeMap<i32, Held>, bool), CommitError> {
    let mut gone = BTreeMap::<i32, Held>::new();
    let (mut seen, mut counted) = (0, 0);
    let path = task.data_file_path.clone();
    let mut batches = rows::read(lake, task)?;
    while let Some(batch) = batches.try_next().await? {
        seen += batch.num_rows();
        rows::visit_batch(&path, &batch, &mut |partition, offset| {
            if offsets.get(&partition).is_some_and(|of| of.contains(offset)) {
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
    (offsets, place): (&Offsets, [&'static str; 2]),
) -> Result<Vec<Rewrite>, CommitError> {
    let mut waiting: BTreeMap<String, FileScanTask> = tasks
        .into_iter()
        .map(|task| (task.data_file_path.clone(), task))
        .collect();
    let mut rewrites = Vec::new();
    let gone = Arc::new(offsets.clone());
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
                    gone: gone.clone(),
                    place,
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
