//! One Parquet file: opened, its columns and row groups chosen, its deleted rows left out.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{and, filter_record_batch};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use iceberg::arrow::ArrowFileReader;
use iceberg::io::{FileIO, FileMetadata, FileRead};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::basic::Type as Physical;
use parquet::errors::ParquetError;

use super::ReadError;
use super::columns::{Columns, FileColumns, column_id};
use super::deletes::Deletes;
use super::lineage::{Inherit, Lineage};
use super::paged::{self, Reading};
use super::positions::{DeletedPositions, Positions};
use super::values::Values;

/// Rows of a batch, as DataFusion has them everywhere.
const BATCH: usize = 8192;

/// A file whose footer has been read.
pub struct OpenFile {
    path: String,
    /// Bytes of the file.
    size: u64,
    input: Arc<dyn FileRead>,
    lineage: Option<Lineage>,
    /// Rows of a batch.
    batch: usize,
    pub metadata: ArrowReaderMetadata,
    pub columns: FileColumns,
}

impl OpenFile {
    /// Reads the footer. `size` is the file's, as the manifest has it.
    ///
    /// # Errors
    /// A file that cannot be read, is not Parquet, or has no field ids.
    pub async fn open(file_io: &FileIO, path: &str, size: u64) -> Result<Self, ReadError> {
        let unreadable = |reason: String| ReadError::File {
            file: path.to_owned(),
            reason,
        };
        let input = file_io.new_input(path)?.reader().await;
        let input = input.map_err(|error| unreadable(error.to_string()))?;
        let input: Arc<dyn FileRead> = Arc::from(input);
        let mut reader = whole(&input, size);
        // What a writer's own Arrow schema says of a column is its business; the specification maps Parquet's types.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load_async(&mut reader, options)
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        let columns = FileColumns::of(metadata.schema()).ok_or_else(|| {
            unreadable("its columns have no field ids; rewrite it with an Iceberg writer".to_owned())
        })?;
        Ok(Self {
            path: path.to_owned(),
            size,
            input,
            lineage: None,
            batch: BATCH,
            metadata,
            columns,
        })
    }

    /// With what its rows inherit, for those who want the columns of [`with_lineage`](super::with_lineage).
    pub fn inheriting(self, lineage: Lineage) -> Self {
        Self {
            lineage: Some(lineage),
            ..self
        }
    }

    /// With batches of fewer rows, for those whose rows may be large: `most` is between 1 and 8,192.
    pub fn in_batches_of(self, most: usize) -> Self {
        Self {
            batch: most.clamp(1, BATCH),
            ..self
        }
    }

    /// Whether it has a column of a simple type, at the top or inside of a struct.
    pub fn has_leaf(&self, id: i32) -> bool {
        let columns = self.metadata.parquet_schema().columns();
        let mut infos = columns.iter().map(|column| column.self_type().get_basic_info());
        infos.any(|info| info.has_id() && info.id() == id)
    }

    /// The indices of those of `wanted` (with field ids) that the file has, in the file's order.
    pub(super) fn roots(&self, wanted: &[FieldRef]) -> Vec<usize> {
        let ids = wanted.iter().filter_map(|field| column_id(field));
        let mut roots: Vec<usize> = ids.filter_map(|id| self.columns.index(id)).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// The file's own fields at `roots`.
    pub(super) fn fields(&self, roots: &[usize]) -> Vec<FieldRef> {
        let fields = self.metadata.schema().fields();
        roots.iter().map(|at| fields[*at].clone()).collect()
    }

    /// Reads top-level columns, in the file's order, of all row groups or of some.
    ///
    /// # Errors
    /// Columns of a kind that cannot be read without loss.
    pub(super) fn read(
        self,
        roots: &[usize],
        row_groups: Option<Vec<usize>>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, ReadError>>, ReadError> {
        let path = self.path;
        let schema = self.metadata.parquet_schema();
        let mask = ProjectionMask::roots(schema, roots.iter().copied());
        // Nanoseconds since 1970 in 64 bits end in 2262, and dates beyond would come out as others.
        let ancient = schema.columns().iter().enumerate();
        let ancient = ancient
            .filter(|(at, column)| mask.leaf_included(*at) && column.physical_type() == Physical::INT96);
        if let Some((_, column)) = ancient.into_iter().next() {
            return Err(ReadError::File {
                file: path,
                reason: format!("column {} has timestamps as INT96; rewrite it", column.path()),
            });
        }
        let unreadable = {
            let file = path.clone();
            move |error: ParquetError| ReadError::File {
                file: file.clone(),
                reason: error.to_string(),
            }
        };
        let row_groups =
            row_groups.unwrap_or_else(|| (0..self.metadata.metadata().num_row_groups()).collect());
        if paged::is_large(&self.metadata, &mask, &row_groups) {
            let reading = Reading {
                input: self.input,
                size: self.size,
                metadata: self.metadata,
                mask,
                row_groups,
                batch: self.batch,
            };
            return Ok(reading.batches().map_err(unreadable).boxed());
        }
        let reader = whole(&self.input, self.size);
        let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, self.metadata)
            .with_projection(mask)
            .with_batch_size(self.batch)
            .with_row_groups(row_groups)
            .build()
            .map_err(&unreadable)?;
        Ok(stream.map_err(unreadable).boxed())
    }

    /// The rows of some row groups as row numbers of the file.
    fn rows_of(&self, row_groups: &[usize]) -> Vec<Range<u64>> {
        let mut start = 0;
        let all = self.metadata.metadata().row_groups().iter().map(|group| {
            let range = start..start + group.num_rows() as u64;
            start = range.end;
            range
        });
        let all: Vec<Range<u64>> = all.collect();
        row_groups.iter().map(|at| all[*at].clone()).collect()
    }

    /// The rows of `row_groups` (indices, ascending) that are not deleted, as the table's columns `wanted` (with field
    /// ids), in batches of `schema`, which has the same columns without the ids ([`row_schema`](super::row_schema)).
    ///
    /// # Errors
    /// Columns that the file has with another type.
    pub fn rows(
        self,
        wanted: &[FieldRef],
        schema: SchemaRef,
        row_groups: Vec<usize>,
        deletes: Deletes,
    ) -> Result<BoxStream<'static, Result<RecordBatch, ReadError>>, ReadError> {
        let keys = deletes.values.iter().flat_map(|values| values.columns());
        let needed: Vec<FieldRef> = wanted.iter().chain(keys).cloned().collect();
        let roots = self.roots(&needed);
        let read = self.fields(&roots);
        let inherit = self.lineage.and_then(|lineage| Inherit::new(lineage, wanted));
        let counted = inherit.is_some() || !deletes.positions.is_empty();
        let filter = Rows {
            schema,
            columns: Columns::new(wanted, &read, &self.path)?,
            positions: counted.then(|| Positions::new(self.rows_of(&row_groups))),
            deleted: deletes.positions,
            inherit,
            values: deletes
                .values
                .into_iter()
                .map(|values| Ok((Columns::new(values.columns(), &read, &self.path)?, values)))
                .collect::<Result<_, ReadError>>()?,
        };
        let path = self.path.clone();
        let batches = self.read(&roots, Some(row_groups))?;
        let rows = batches.scan(filter, move |filter, batch| {
            let rows = batch.and_then(|batch| {
                filter.of(&batch).map_err(|error| ReadError::File {
                    file: path.clone(),
                    reason: error.to_string(),
                })
            });
            futures::future::ready(Some(rows))
        });
        Ok(rows.boxed())
    }
}

/// Fetches each row group as a whole.
fn whole(input: &Arc<dyn FileRead>, size: u64) -> ArrowFileReader {
    ArrowFileReader::new(FileMetadata { size }, Box::new(input.clone()))
}

/// Turns what is read of a file into rows of the table.
struct Rows {
    schema: SchemaRef,
    columns: Columns,
    /// Where deleted rows or row ids are counted by them.
    positions: Option<Positions>,
    deleted: DeletedPositions,
    inherit: Option<Inherit>,
    values: Vec<(Columns, Arc<Values>)>,
}

impl Rows {
    fn of(&mut self, read: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = read.num_rows();
        let positions = match &mut self.positions {
            Some(positions) => positions.next(rows)?,
            None => Vec::new(),
        };
        let mut keep: Option<BooleanArray> =
            (!self.deleted.is_empty()).then(|| self.deleted.keep(&positions));
        for (columns, values) in &self.values {
            let these = values.keep(columns.make(read.columns(), rows)?)?;
            keep = Some(match keep {
                Some(keep) => and(&keep, &these)?,
                None => these,
            });
        }
        let mut made = self.columns.make(read.columns(), rows)?;
        if let Some(inherit) = &self.inherit {
            inherit.fill(&mut made, &positions)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), made, &options)?;
        match keep {
            Some(keep) => filter_record_batch(&batch, &keep),
            None => Ok(batch),
        }
    }
}
