//! Writes files again without the rows of some offsets.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef as ArrowSchemaRef};
use arrow::error::ArrowError;
use futures::TryStreamExt;
use iceberg::scan::FileScanTask;
use iceberg::spec::{DataFile, DataFileFormat, PartitionSpecRef, Struct, TableMetadata};

use crate::commit::CommitError;
use crate::file::{Encodings, FileError, FileNames, FileSchema, FileSettings, FileWriter};
use crate::lake::Lake;
use crate::rows::{self, Deleted, Offsets};

/// A live file that is written again, without the rows that go.
#[derive(Debug, Clone)]
pub struct Rewrite {
    /// Reads the file, without the rows that delete files took.
    pub(super) task: FileScanTask,
    pub(super) file: DataFile,
    /// What it was written under.
    pub(super) spec_id: i32,
    pub(super) gone: Arc<Offsets>,
    /// The columns that tell a row's topic partition number and offset.
    pub(super) place: [&'static str; 2],
}

impl Rewrite {
    /// Where the file is that goes.
    pub fn path(&self) -> &str {
        self.file.file_path()
    }

    /// It with the deletes that apply to it: what is written of it stays the same as long as these do.
    pub(crate) fn as_deleted(&self) -> Deleted {
        Deleted::of(&self.task)
    }

    /// Of another table, whose columns have the ids of this one's: what is written goes into the partition spec `spec_id`.
    pub(crate) fn under(self, spec_id: i32) -> Self {
        Self { spec_id, ..self }
    }
}

/// Writes the rows that stay into new files, each of the partition value and spec of the files whose place it takes, and under
/// the table's current schema. Neighbours of one partition value become one file. At most one file is in memory at a time.
///
/// # Errors
/// Those of reading and writing; a file that this table could not have got from us and that cannot be written again:
/// another format than Parquet, or under a partition spec whose columns are gone.
pub async fn write(
    lake: &Lake,
    metadata: &TableMetadata,
    rewrites: &[Rewrite],
) -> Result<Vec<(i32, DataFile)>, CommitError> {
    let mut written = Vec::new();
    let is_beside = |one: &Rewrite, other: &Rewrite| {
        one.spec_id == other.spec_id && one.file.partition() == other.file.partition()
    };
    for neighbours in rewrites.chunk_by(is_beside) {
        let Some(first) = neighbours.first() else {
            continue;
        };
        let failed = |problem: &dyn std::fmt::Display| first.failed(problem);
        let spec = metadata.partition_spec_by_id(first.spec_id).cloned();
        let spec = spec.ok_or_else(|| failed(&format!("partition spec {} is gone", first.spec_id)))?;
        let schema = FileSchema::new(metadata.current_schema().clone(), spec.clone());
        let mut output = Output {
            lake,
            schema: schema.map_err(|error| failed(&error))?,
            names: FileNames::new(metadata.location()),
            partition: first.file.partition(),
            open: None,
            written: Vec::new(),
        };
        for rewrite in neighbours {
            rewrite.pour(metadata, &spec, &mut output).await?;
        }
        output.close().await.map_err(|error| error.or(failed))?;
        written.extend(output.written.into_iter().map(|file| (first.spec_id, file)));
    }
    Ok(written)
}

/// How many rows stay. Reads the two columns that tell it.
///
/// # Errors
/// Those of reading.
pub async fn staying(lake: &Lake, rewrites: &[Rewrite]) -> Result<u64, CommitError> {
    let mut staying = 0;
    for rewrite in rewrites {
        let schema = &rewrite.task.schema;
        let ids = rewrite.place.map(|name| schema.field_id_by_name(name));
        let [Some(partition), Some(offset)] = ids else {
            return Err(rewrite.failed(&format!("it has no columns {:?}", rewrite.place)));
        };
        let task = FileScanTask {
            project_field_ids: vec![partition, offset],
            ..rewrite.task.clone()
        };
        let mut batches = rows::read(lake, task)?;
        while let Some(batch) = batches.try_next().await? {
            let stays = stays(&batch, rewrite).map_err(|error| rewrite.failed(&error))?;
            staying += stays.true_count() as u64;
        }
    }
    Ok(staying)
}

impl Rewrite {
    fn failed(&self, problem: &dyn std::fmt::Display) -> CommitError {
        CommitError::Encode(format!(
            "{} cannot be written again without some of its rows: {problem}",
            self.path()
        ))
    }

    /// Writes the rows that stay.
    async fn pour(
        &self,
        metadata: &TableMetadata,
        spec: &PartitionSpecRef,
        output: &mut Output<'_>,
    ) -> Result<(), CommitError> {
        let failed = |problem: &dyn std::fmt::Display| self.failed(problem);
        if self.file.file_format() != DataFileFormat::Parquet {
            return Err(failed(&format!("it is {}, not parquet", self.file.file_format())));
        }
        let columns = metadata.current_schema().as_struct().fields();
        let mut batches = rows::read(
            output.lake,
            FileScanTask {
                schema: metadata.current_schema().clone(),
                project_field_ids: columns.iter().map(|column| column.id).collect(),
                // Other writers may leave columns out whose value the partition tells.
                partition_spec: Some(spec.clone()),
                ..self.task.clone()
            },
        )?;
        while let Some(batch) = batches.try_next().await? {
            let kept = kept(&batch, self, output.schema.arrow()).map_err(|error| failed(&error))?;
            output.write(&kept).await.map_err(|error| error.or(failed))?;
        }
        Ok(())
    }
}

/// The rows that stay, in the layout of the files to be.
fn kept(batch: &RecordBatch, rewrite: &Rewrite, schema: &ArrowSchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            // A value that the partition tells comes run-end encoded, others in the reader's own words for the type.
            cast(column, field.data_type())
        });
    let batch = RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)?;
    match rewrite.gone.is_empty() {
        true => Ok(batch),
        false => filter_record_batch(&batch, &stays(&batch, rewrite)?),
    }
}

/// Which rows stay.
fn stays(batch: &RecordBatch, rewrite: &Rewrite) -> Result<BooleanArray, ArrowError> {
    let Rewrite {
        gone,
        place: [partition, offset],
        ..
    } = rewrite;
    let column = |name: &str| {
        let column = batch.column_by_name(name);
        let column = column.ok_or_else(|| ArrowError::SchemaError(format!("it has no column `{name}`")))?;
        // Anybody may have widened it.
        cast(column, &DataType::Int64)
    };
    let (partitions, offsets) = (column(partition)?, column(offset)?);
    let places = partitions
        .as_primitive::<Int64Type>()
        .iter()
        .zip(offsets.as_primitive::<Int64Type>());
    let stays = places.map(|place| match place {
        (Some(partition), Some(offset)) => i32::try_from(partition).map_or(true, |partition| {
            gone.get(&partition).is_none_or(|gone| !gone.contains(offset))
        }),
        // Somebody else's row.
        _ => true,
    });
    Ok(stays.map(Some).collect())
}

/// What is written for neighbours.
struct Output<'a> {
    lake: &'a Lake,
    schema: Arc<FileSchema>,
    names: FileNames,
    partition: &'a Struct,
    open: Option<FileWriter>,
    written: Vec<DataFile>,
}

/// Why writing failed: the store, or the rows.
enum OutputError {
    Store(iceberg::Error),
    File(FileError),
}

impl OutputError {
    fn or(self, failed: impl FnOnce(&dyn std::fmt::Display) -> CommitError) -> CommitError {
        match self {
            Self::Store(error) => error.into(),
            Self::File(error) => failed(&error),
        }
    }
}

impl From<FileError> for OutputError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl Output<'_> {
    async fn write(&mut self, rows: &RecordBatch) -> Result<(), OutputError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let settings = FileSettings::default();
        let mut writer = match self.open.take() {
            Some(writer) => writer,
            None => {
                let partition = self.partition;
                let path = self
                    .names
                    .next(&self.schema, partition, self.lake.entropy.as_ref())?;
                let encodings = Encodings::choose(&self.schema, rows);
                FileWriter::new(
                    &settings,
                    self.schema.clone(),
                    &encodings,
                    partition.clone(),
                    path,
                )?
            }
        };
        writer.write(rows)?;
        let full = writer.encoded_size() >= settings.target_file_size;
        self.open = Some(writer);
        match full {
            true => self.close().await,
            false => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<(), OutputError> {
        let Some(writer) = self.open.take() else {
            return Ok(());
        };
        let file = writer.finish()?;
        file.store(&self.lake.file_io).await.map_err(OutputError::Store)?;
        self.written.push(file.data_file);
        Ok(())
    }
}
