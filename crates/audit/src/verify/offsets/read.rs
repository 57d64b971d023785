//! Reads where rows are from: the columns of Kafka alone, without the rows that delete files take, as runs of offsets.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use futures::TryStreamExt;
use iceberg::spec::{Schema, SnapshotRef};
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::OffsetRange;
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;
use tabletopic_table::read::{DeleteFile, DeleteFiles, Deletes, OpenFile, ReadError, row_schema};
use tabletopic_table::schema::arrow_schema;
use tabletopic_table::snapshot::deletes::DeleteIndex;

use super::lines::Run;
use crate::verify::budget::Budget;
use crate::verify::error::VerifyError;
use crate::verify::files::File;
use crate::verify::{OFFSET, PARTITION, TOPIC};

/// Reads files of one snapshot.
pub struct Rows<'a> {
    pub lake: &'a Lake,
    index: &'a DeleteIndex,
    deletes: DeleteFiles,
    memory: Budget,
    /// With their field ids.
    wanted: Vec<FieldRef>,
    schema: SchemaRef,
    pub tell_topics: bool,
}

impl<'a> Rows<'a> {
    /// `None`: the table has no column for the offset of a row.
    ///
    /// # Errors
    /// A schema with types that only later versions of the format have.
    pub fn of(
        lake: &'a Lake,
        table: &LoadedTable,
        snapshot: &SnapshotRef,
        index: &'a DeleteIndex,
        memory: Budget,
    ) -> Result<Option<Self>, VerifyError> {
        let schema: Arc<Schema> = snapshot.schema(&table.metadata)?;
        let plain = row_schema(&schema)?;
        let with_ids = arrow_schema(&schema).map_err(|error| CommitError::Encode(error.to_string()))?;
        let at = |name: &str| with_ids.index_of(name).ok();
        let (Some(partition), Some(offset)) = (at(PARTITION), at(OFFSET)) else {
            return Ok(None);
        };
        let topic = at(TOPIC);
        let columns: Vec<usize> = [partition, offset].into_iter().chain(topic).collect();
        let fields: Vec<FieldRef> = columns.iter().map(|at| plain.fields()[*at].clone()).collect();
        Ok(Some(Self {
            lake,
            index,
            deletes: DeleteFiles::new(lake.file_io.clone(), table.metadata.clone()),
            memory,
            wanted: columns.iter().map(|at| with_ids.fields()[*at].clone()).collect(),
            schema: Arc::new(ArrowSchema::new(fields)),
            tell_topics: topic.is_some(),
        }))
    }

    /// Whether delete files may take rows of a file.
    pub fn has_deletes(&self, file: &File) -> bool {
        self.index.of(file.data()).next().is_some()
    }

    /// The rows of a file that nobody deleted, as runs. Answers how many rows are without an offset: somebody else's.
    ///
    /// # Errors
    /// Those of reading the file and its delete files.
    pub async fn live(&self, file: &File, each: impl FnMut(Run)) -> Result<u64, VerifyError> {
        let applied: Vec<DeleteFile> = self
            .index
            .of(file.data())
            .map(|delete| DeleteFile::of(&delete.file))
            .collect::<Result<_, _>>()?;
        let deletes = self.deletes.of(&file.path, &applied, &self.memory).await?;
        self.read(file, deletes, each).await
    }

    /// All rows of a file.
    ///
    /// # Errors
    /// Those of reading the file.
    pub async fn all(&self, file: &File, each: impl FnMut(Run)) -> Result<u64, VerifyError> {
        self.read(file, Deletes::default(), each).await
    }

    async fn read(
        &self,
        file: &File,
        deletes: Deletes,
        mut each: impl FnMut(Run),
    ) -> Result<u64, VerifyError> {
        let opened = OpenFile::open(&self.lake.file_io, &file.path, file.bytes).await?;
        let groups = (0..opened.metadata.metadata().num_row_groups()).collect();
        let mut batches = opened.rows(&self.wanted, self.schema.clone(), groups, deletes)?;
        let mut without = 0;
        while let Some(batch) = batches.try_next().await? {
            let places = Places::of(&batch).map_err(|error| ReadError::File {
                file: file.path.clone(),
                reason: error.to_string(),
            })?;
            without += places.runs(&mut each);
        }
        Ok(without)
    }
}

/// Where the rows of a batch are from.
struct Places {
    partitions: Int64Array,
    offsets: Int64Array,
    topics: Option<StringArray>,
}

impl Places {
    /// Anybody may widen a column as Iceberg allows.
    fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let number = |at: usize| -> Result<Int64Array, ArrowError> {
            Ok(cast(batch.column(at), &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone())
        };
        let text = |column: &ArrayRef| -> Result<StringArray, ArrowError> {
            Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        Ok(Self {
            partitions: number(0)?,
            offsets: number(1)?,
            topics: batch.columns().get(2).map(text).transpose()?,
        })
    }

    /// Hands the rows out as runs. Answers how many have no place of Kafka's: somebody else's.
    fn runs(&self, each: &mut impl FnMut(Run)) -> u64 {
        let (mut without, mut open) = (0, None::<Run>);
        for row in 0..self.offsets.len() {
            let Some((partition, offset)) = self.place(row) else {
                without += 1;
                continue;
            };
            let topic = self.topic(row);
            match &mut open {
                Some(run)
                    if run.offsets.end == offset
                        && run.partition == partition
                        && run.topic.as_deref() == topic =>
                {
                    run.offsets.end += 1;
                }
                _ => {
                    let run = Run {
                        topic: topic.map(Arc::from),
                        partition,
                        offsets: OffsetRange::new(offset, offset + 1),
                    };
                    open.replace(run).into_iter().for_each(&mut *each);
                }
            }
        }
        open.into_iter().for_each(each);
        without
    }

    fn place(&self, row: usize) -> Option<(i32, i64)> {
        if self.partitions.is_null(row) || self.offsets.is_null(row) {
            return None;
        }
        let (partition, offset) = (
            i32::try_from(self.partitions.value(row)).ok()?,
            self.offsets.value(row),
        );
        (partition >= 0 && (0..i64::MAX).contains(&offset)).then_some((partition, offset))
    }

    fn topic(&self, row: usize) -> Option<&str> {
        let topics = self.topics.as_ref()?;
        topics.is_valid(row).then(|| topics.value(row))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;

    use super::*;

    #[test]
    fn rows_whose_offsets_follow_each_other_are_one_run() {
        let batch = RecordBatch::try_from_iter([
            (
                PARTITION,
                Arc::new(Int32Array::from(vec![
                    Some(0),
                    Some(0),
                    None,
                    Some(0),
                    Some(1),
                    Some(1),
                ])) as ArrayRef,
            ),
            (
                OFFSET,
                Arc::new(Int64Array::from(vec![
                    Some(5),
                    Some(6),
                    Some(9),
                    Some(8),
                    Some(9),
                    Some(-1),
                ])),
            ),
        ]);
        let mut runs = Vec::new();
        let places = Places::of(&batch.unwrap()).unwrap();
        let without =
            places.runs(&mut |run: Run| runs.push((run.partition, run.offsets.start, run.offsets.end)));
        assert_eq!(runs, [(0, 5, 7), (0, 8, 9), (1, 9, 10)]);
        assert_eq!(
            without, 2,
            "without a partition, and with an offset that Kafka does not have"
        );
    }
}
