//! The data files of a snapshot that may have rows of a log, and how their row groups are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream::{BoxStream, iter};
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{DataFile, DataFileFormat, ManifestContentType, PrimitiveLiteral, Schema, SnapshotRef};
use tabletopic_catalog::LoadedTable;
use tabletopic_maintain::Allowance;
use tabletopic_offsets::OffsetRange;
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;
use tabletopic_table::read::{DeleteFile, DeleteFiles, Deletes, OpenFile, ReadError};
use tabletopic_table::snapshot::deletes::{Data, DeleteIndex, Place, place};
use tabletopic_table::snapshot::live;

use crate::HistoryError;
use crate::columns::{Columns, OFFSET, PARTITION, Wanted};
use crate::extents::Group;

/// Manifests that are read at a time.
const AT_ONCE: usize = 8;

/// Bytes that may be held of what delete files say, by each that reads.
const DELETES: usize = 64 << 20;

/// Row groups that are read with what their delete files say, before these are let go.
const MOST_IN_RUN: usize = 64;

/// Bytes of a batch of records, about.
const BATCH_BYTES: u64 = 4 << 20;

/// A data file.
#[derive(Debug, Clone)]
pub struct File {
    pub path: String,
    pub bytes: u64,
    place: Place,
    pub sequence_number: i64,
    file_sequence_number: Option<i64>,
}

/// The files of one snapshot.
#[derive(Debug)]
pub struct Files {
    pub lake: Lake,
    pub table: LoadedTable,
    pub columns: Columns,
    /// Those that may have rows of the log.
    pub data: Vec<File>,
    deletes: DeleteIndex,
}

impl Files {
    /// Reads the manifests. Files without rows of the partitions in `log` are left out.
    ///
    /// # Errors
    /// Those of reading; files of a format that is not read.
    pub async fn of(
        lake: Lake,
        table: LoadedTable,
        snapshot: &SnapshotRef,
        columns: Columns,
        log: &BTreeMap<i32, OffsetRange>,
    ) -> Result<Self, HistoryError> {
        let metadata = table.metadata.clone();
        let bounds = Bounds::of(snapshot.schema(&metadata)?.as_ref());
        let manifests = live::manifests(&lake, &metadata, snapshot).await?;
        let (mut data, mut deletes) = (Vec::new(), Vec::new());
        let reading: Vec<_> = manifests
            .iter()
            .map(|manifest| {
                let lake = &lake;
                async move {
                    let files = live::files(lake, manifest).await?;
                    Ok::<_, CommitError>((manifest.content, files))
                }
            })
            .collect();
        let mut reading = iter(reading).buffered(AT_ONCE);
        while let Some((content, files)) = reading.try_next().await? {
            for live in files {
                if content == ManifestContentType::Deletes {
                    deletes.push(live);
                    continue;
                }
                if !bounds.may_have(&live.file, log) {
                    continue;
                }
                let path = live.file.file_path().to_owned();
                if live.file.file_format() != DataFileFormat::Parquet {
                    return Err(HistoryError::OtherFormat { file: path });
                }
                data.push(File {
                    path,
                    bytes: live.file.file_size_in_bytes(),
                    place: place(&metadata, live.spec_id, live.file.partition())?,
                    sequence_number: live.sequence_number,
                    file_sequence_number: live.file_sequence_number,
                });
            }
        }
        drop(reading);
        Ok(Self {
            deletes: DeleteIndex::new(&metadata, deletes)?,
            lake,
            table,
            columns,
            data,
        })
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Those of reading its footer.
    pub async fn open(&self, file: &File) -> Result<OpenFile, ReadError> {
        OpenFile::open(&self.lake.file_io, &file.path, file.bytes).await
    }

    fn deletes_of<'a>(&'a self, file: &'a File) -> Result<Vec<DeleteFile>, ReadError> {
        let data = Data {
            place: &file.place,
            path: &file.path,
            sequence_number: file.sequence_number,
            file_sequence_number: file.file_sequence_number,
        };
        let files = self.deletes.of(data);
        files.map(|delete| DeleteFile::of(&delete.file)).collect()
    }
}

/// Reads row groups without the rows that delete files take. What those say is read once for some of them.
#[derive(Debug)]
pub struct RowGroupReader {
    files: Arc<Files>,
    deletes: DeleteFiles,
    memory: Allowance,
    read: usize,
}

impl RowGroupReader {
    pub fn new(files: Arc<Files>) -> Self {
        Self {
            deletes: DeleteFiles::new(files.lake.file_io.clone(), files.table.metadata.clone()),
            memory: Allowance::new(DELETES),
            read: 0,
            files,
        }
    }

    /// The rows of a row group, as these columns.
    ///
    /// # Errors
    /// Those of reading the file's footer and its delete files.
    pub async fn rows(
        &mut self,
        group: &Group,
        wanted: &Wanted,
    ) -> Result<BoxStream<'static, Result<RecordBatch, ReadError>>, ReadError> {
        if self.read == MOST_IN_RUN {
            *self = Self::new(self.files.clone());
        }
        self.read += 1;
        let file = &self.files.data[group.file];
        let applied = self.files.deletes_of(file)?;
        let deletes = self.deletes.of(&file.path, &applied, &self.memory).await?;
        let each = (group.bytes / group.rows.max(1)).max(1);
        let rows = usize::try_from(BATCH_BYTES / each).unwrap_or(usize::MAX);
        let opened = self.files.open(file).await?.in_batches_of(rows);
        opened.rows(&wanted.fields, wanted.schema.clone(), vec![group.index], deletes)
    }
}

/// Reads a whole file with all rows that it has, deleted ones too.
///
/// # Errors
/// Those of reading.
pub fn all_rows(
    opened: OpenFile,
    wanted: &Wanted,
) -> Result<BoxStream<'static, Result<RecordBatch, ReadError>>, ReadError> {
    let groups = (0..opened.metadata.metadata().num_row_groups()).collect();
    opened.rows(&wanted.fields, wanted.schema.clone(), groups, Deletes::default())
}

/// The field ids of the columns that tell where a row is from.
struct Bounds {
    partition: Option<i32>,
    offset: Option<i32>,
}

impl Bounds {
    fn of(schema: &Schema) -> Self {
        Self {
            partition: schema.field_id_by_name(PARTITION),
            offset: schema.field_id_by_name(OFFSET),
        }
    }

    /// Whether a file may have rows of a partition within its offsets, by its entry.
    fn may_have(&self, file: &DataFile, log: &BTreeMap<i32, OffsetRange>) -> bool {
        let all = (i64::MIN, i64::MAX);
        let (lowest, highest) = of_column(file, self.partition).unwrap_or(all);
        let (first, last) = of_column(file, self.offset).unwrap_or(all);
        log.iter().any(|(partition, offsets)| {
            (lowest..=highest).contains(&i64::from(*partition))
                && first < offsets.end
                && last >= offsets.start
        })
    }
}

/// The lowest and the highest value of a column of whole numbers.
fn of_column(file: &DataFile, id: Option<i32>) -> Option<(i64, i64)> {
    let id = id?;
    let number = |literal: &PrimitiveLiteral| match literal {
        PrimitiveLiteral::Int(value) => Some(i64::from(*value)),
        PrimitiveLiteral::Long(value) => Some(*value),
        _ => None,
    };
    let (low, high) = (file.lower_bounds().get(&id)?, file.upper_bounds().get(&id)?);
    Some((number(low.literal())?, number(high.literal())?))
}
