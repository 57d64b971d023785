//! Which data files a query has to read: iceberg's scan planning, counted.

use std::sync::Arc;

use futures::TryStreamExt;
use iceberg::Runtime;
use iceberg::expr::Predicate;
use iceberg::io::FileIO;
use iceberg::scan::FileScanTaskDeleteFile;
use iceberg::spec::{DataFileFormat, ManifestContentType, ManifestList, Snapshot};
use iceberg::table::Table;
use tabletopic_catalog::LoadedTable;
use tabletopic_table::read::DeleteFile;

use super::widened::partitions_deletes;
use crate::error::QueryError;

/// One data file to read.
#[derive(Debug, Clone)]
pub struct Task {
    pub path: String,
    pub size: u64,
    /// Rows in the file, deleted ones included.
    pub rows: u64,
    pub deletes: Arc<[DeleteFile]>,
}

/// What planning has found.
#[derive(Debug, Clone, Default)]
pub struct Planned {
    /// In the order of their paths.
    pub tasks: Vec<Task>,
    /// Data files of the snapshot that cannot hold a wanted row.
    pub pruned: usize,
}

/// The files of `snapshot` that may hold rows for which `predicate` is true.
///
/// # Errors
/// Those of reading manifests; a data file in another format than Parquet.
pub async fn files(
    table: &LoadedTable,
    file_io: &FileIO,
    snapshot: &Snapshot,
    predicate: Option<Predicate>,
) -> Result<Planned, QueryError> {
    let list = manifest_list(table, file_io, snapshot).await?;
    if let Some(column) = partitions_deletes(&table.metadata, &list) {
        return Err(QueryError::State {
            table: table.ident.to_string(),
            reason: format!(
                "its delete files are partitioned by {column}, whose type has changed: which files they apply to \
                 cannot be told; rewrite them with the engine that wrote them"
            ),
        });
    }
    let view = Table::builder()
        .identifier(table.ident.clone())
        .metadata(table.metadata.clone())
        .metadata_location(table.metadata_location.clone())
        .file_io(file_io.clone())
        .disable_cache()
        .runtime(Runtime::try_current()?)
        .build()?;
    let mut scan = view.scan().snapshot_id(snapshot.snapshot_id()).select_empty();
    if let Some(predicate) = predicate {
        scan = scan.with_filter(predicate);
    }
    let mut files: Vec<_> = scan.build()?.plan_files().await?.try_collect().await?;
    files.sort_unstable_by(|left, right| left.data_file_path.cmp(&right.data_file_path));
    let tasks: Vec<Task> = files
        .into_iter()
        .map(|file| {
            if file.data_file_format != DataFileFormat::Parquet {
                return Err(QueryError::FileFormat {
                    file: file.data_file_path,
                    format: file.data_file_format.to_string(),
                });
            }
            Ok(Task {
                size: file.file_size_in_bytes,
                rows: file.record_count.unwrap_or(0),
                deletes: file.deletes.into_iter().map(delete_file).collect(),
                path: file.data_file_path,
            })
        })
        .collect::<Result<_, _>>()?;
    let pruned = data_files(&list).saturating_sub(tasks.len());
    Ok(Planned { tasks, pruned })
}

fn delete_file(file: FileScanTaskDeleteFile) -> DeleteFile {
    DeleteFile {
        path: file.file_path,
        size: file.file_size_in_bytes,
        content: file.file_type,
        equality_ids: file.equality_ids.unwrap_or_default(),
        // Tables that have them are refused.
        vector: None,
    }
}

async fn manifest_list(
    table: &LoadedTable,
    file_io: &FileIO,
    snapshot: &Snapshot,
) -> Result<ManifestList, QueryError> {
    let bytes = file_io.new_input(snapshot.manifest_list())?.read().await?;
    Ok(ManifestList::parse_with_version(
        &bytes,
        table.metadata.format_version(),
    )?)
}

/// How many live data files a snapshot has.
fn data_files(list: &ManifestList) -> usize {
    let manifests = list.entries().iter();
    manifests
        .filter(|manifest| manifest.content == ManifestContentType::Data)
        .map(|manifest| {
            (manifest.added_files_count.unwrap_or(0) + manifest.existing_files_count.unwrap_or(0)) as usize
        })
        .sum()
}

/// The first files that hold at least `rows` rows together. Rows that deletes take away may be missing then, so that
/// files with deletes count for nothing.
pub fn enough(tasks: Vec<Task>, rows: usize) -> Vec<Task> {
    let mut held = 0_u64;
    tasks
        .into_iter()
        .take_while(|task| {
            let wanted = held < rows as u64;
            if task.deletes.is_empty() {
                held += task.rows;
            }
            wanted
        })
        .collect()
}

/// Spreads files over at most `partitions` readers, so that each has about as many bytes as the others.
pub fn spread(mut tasks: Vec<Task>, partitions: usize) -> Vec<Vec<Task>> {
    let count = partitions.min(tasks.len()).max(1);
    tasks.sort_by_key(|task| std::cmp::Reverse(task.size));
    let mut spread = vec![(0_u64, Vec::new()); count];
    for task in tasks {
        if let Some((bytes, least)) = spread.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += task.size;
            least.push(task);
        }
    }
    spread.into_iter().map(|(_, tasks)| tasks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(path: &str, size: u64, rows: u64) -> Task {
        Task {
            path: path.to_owned(),
            size,
            rows,
            deletes: Arc::new([]),
        }
    }

    #[test]
    fn each_reader_gets_about_as_many_bytes() {
        let tasks = [50, 10, 20, 30, 40].map(|size| task(&size.to_string(), size, 0));
        let bytes: Vec<u64> = spread(tasks.to_vec(), 2)
            .iter()
            .map(|tasks| tasks.iter().map(|task| task.size).sum())
            .collect();
        assert_eq!(bytes, [80, 70]);
        assert_eq!(
            spread(Vec::new(), 4).len(),
            1,
            "an empty table has one empty reader"
        );
        assert_eq!(spread(tasks.to_vec(), 9).len(), 5);
    }

    #[test]
    fn a_limit_needs_only_the_first_files() {
        let tasks = vec![task("a", 1, 10), task("b", 1, 10), task("c", 1, 10)];
        assert_eq!(enough(tasks.clone(), 10).len(), 1);
        assert_eq!(enough(tasks.clone(), 11).len(), 2);
        assert_eq!(enough(tasks, 100).len(), 3);
    }
}
