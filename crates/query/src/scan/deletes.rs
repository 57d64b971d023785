//! Rows that a table has deleted without rewriting their files: position deletes name a file and a row in it,
//! equality deletes name values.
//!
//! Planning has chosen the delete files that apply to a data file, by partition and sequence number. Each of them
//! is read once for a scan, however many data files it applies to.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type, Int64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::scan::FileScanTaskDeleteFile;
use iceberg::spec::{DataContentType, TableMetadataRef};
use tokio::sync::OnceCell;

use super::columns::{Columns, column_id};
use super::file::OpenFile;
use crate::error::QueryError;

/// Field ids of the columns of position delete files (Iceberg's reserved field ids).
const FILE_PATH: i32 = i32::MAX - 101;
const POSITION: i32 = i32::MAX - 102;

/// The delete files of one scan, read when they are first asked for.
#[derive(Debug)]
pub struct DeleteFiles {
    file_io: FileIO,
    metadata: TableMetadataRef,
    read: Mutex<HashMap<String, Arc<OnceCell<Arc<Deleted>>>>>,
}

/// What one delete file says.
#[derive(Debug)]
enum Deleted {
    Positions {
        /// Row numbers by data file.
        by_file: HashMap<String, Vec<u64>>,
        _memory: MemoryReservation,
    },
    Values(Arc<Values>),
}

/// Rows with one of these values are deleted.
#[derive(Debug)]
pub struct Values {
    /// The columns that are compared, with field ids, in the order of the keys.
    pub columns: Vec<FieldRef>,
    converter: RowConverter,
    keys: HashSet<Box<[u8]>>,
    _memory: MemoryReservation,
}

/// What is deleted from one data file.
#[derive(Debug, Default)]
pub struct Deletes {
    /// Sorted, and each once.
    pub positions: Vec<u64>,
    pub values: Vec<Arc<Values>>,
}

impl DeleteFiles {
    pub fn new(file_io: FileIO, metadata: TableMetadataRef) -> Self {
        Self {
            file_io,
            metadata,
            read: Mutex::default(),
        }
    }

    /// What `files` delete from the data file at `path`. Memory is taken from `pool`.
    ///
    /// # Errors
    /// A delete file that cannot be read; a pool without memory for what it says.
    pub async fn of(
        &self,
        path: &str,
        files: &[FileScanTaskDeleteFile],
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Deletes, DataFusionError> {
        let mut deletes = Deletes::default();
        for file in files {
            match self.read(file, pool).await?.as_ref() {
                Deleted::Positions { by_file, .. } => {
                    deletes.positions.extend(by_file.get(path).into_iter().flatten());
                }
                Deleted::Values(values) => deletes.values.push(values.clone()),
            }
        }
        deletes.positions.sort_unstable();
        deletes.positions.dedup();
        Ok(deletes)
    }

    async fn read(
        &self,
        file: &FileScanTaskDeleteFile,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Arc<Deleted>, DataFusionError> {
        let cell = self
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(file.file_path.clone())
            .or_default()
            .clone();
        let read = async {
            let memory = MemoryConsumer::new("delete files").register(pool);
            let deleted = match file.file_type {
                DataContentType::EqualityDeletes => {
                    Deleted::Values(Arc::new(self.values(file, memory).await?))
                }
                _ => self.positions(file, memory).await?,
            };
            Ok::<_, DataFusionError>(Arc::new(deleted))
        };
        cell.get_or_try_init(|| read).await.cloned()
    }

    async fn positions(
        &self,
        file: &FileScanTaskDeleteFile,
        memory: MemoryReservation,
    ) -> Result<Deleted, DataFusionError> {
        let opened = OpenFile::open(&self.file_io, &file.file_path, file.file_size_in_bytes).await?;
        let index = |id| {
            opened.columns.index(id).ok_or_else(|| QueryError::DeleteFile {
                file: file.file_path.clone(),
                reason: "it does not have the columns file_path and pos".to_owned(),
            })
        };
        let (mut paths_at, mut positions_at) = (0, 1);
        let roots = [index(FILE_PATH)?, index(POSITION)?];
        if roots[0] > roots[1] {
            (paths_at, positions_at) = (1, 0);
        }
        let mut by_file = HashMap::<String, Vec<u64>>::new();
        let mut batches = opened.read(&roots, None)?;
        while let Some(batch) = batches.try_next().await? {
            memory.try_grow(batch.num_rows() * size_of::<u64>())?;
            let paths = batch.column(paths_at).as_string::<i32>();
            let positions = batch.column(positions_at).as_primitive::<Int64Type>();
            for (path, position) in paths.iter().zip(positions) {
                let (Some(path), Some(position)) = (path, position.and_then(|at| u64::try_from(at).ok()))
                else {
                    return Err(QueryError::DeleteFile {
                        file: file.file_path.clone(),
                        reason: "it has a row without a file or a position".to_owned(),
                    }
                    .into());
                };
                match by_file.get_mut(path) {
                    Some(positions) => positions.push(position),
                    None => {
                        by_file.insert(path.to_owned(), vec![position]);
                    }
                }
            }
        }
        Ok(Deleted::Positions {
            by_file,
            _memory: memory,
        })
    }

    async fn values(
        &self,
        file: &FileScanTaskDeleteFile,
        memory: MemoryReservation,
    ) -> Result<Values, DataFusionError> {
        let ids = file.equality_ids.as_deref().unwrap_or_default();
        let columns = ids.iter().map(|id| self.column(*id, &file.file_path));
        let columns: Vec<FieldRef> = columns.collect::<Result<_, _>>()?;
        if columns.is_empty() {
            return Err(QueryError::DeleteFile {
                file: file.file_path.clone(),
                reason: "it names no columns to compare".to_owned(),
            }
            .into());
        }
        let opened = OpenFile::open(&self.file_io, &file.file_path, file.file_size_in_bytes).await?;
        if let Some(missing) = ids.iter().find(|id| opened.columns.index(**id).is_none()) {
            return Err(QueryError::DeleteFile {
                file: file.file_path.clone(),
                reason: format!("it does not have the field {missing}, which it is to be compared by"),
            }
            .into());
        }
        let roots = opened.roots(&columns);
        let make = Columns::new(&columns, &opened.fields(&roots), &file.file_path)?;
        let sort = columns
            .iter()
            .map(|column| SortField::new(column.data_type().clone()));
        let converter = RowConverter::new(sort.collect())?;
        let mut keys = HashSet::new();
        let mut batches = opened.read(&roots, None)?;
        while let Some(batch) = batches.try_next().await? {
            let rows = keys_of(&converter, make.make(batch.columns(), batch.num_rows())?)?;
            memory.try_grow(rows.size() + batch.num_rows() * size_of::<Box<[u8]>>())?;
            keys.extend(rows.iter().map(|row| Box::<[u8]>::from(row.data())));
        }
        Ok(Values {
            columns,
            converter,
            keys,
            _memory: memory,
        })
    }

    /// A top-level column that may have been dropped since, as the newest schema that has it says.
    fn column(&self, id: i32, path: &str) -> Result<FieldRef, QueryError> {
        let newest_first = {
            let mut schemas: Vec<_> = self.metadata.schemas_iter().collect();
            schemas.sort_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
            schemas
        };
        for schema in std::iter::once(self.metadata.current_schema()).chain(newest_first) {
            let arrow = schema_to_arrow_schema(schema)?;
            let found = arrow.fields().iter().find(|field| column_id(field) == Some(id));
            if let Some(found) = found.filter(|field| !field.data_type().is_nested()) {
                return Ok(found.clone());
            }
        }
        Err(QueryError::DeleteFile {
            file: path.to_owned(),
            reason: format!("it compares the field {id}, which is no top-level column of a simple type"),
        })
    }
}

impl Values {
    /// Whether each row, given by its key columns, is kept.
    ///
    /// # Errors
    /// None in practice: the columns have the types of the keys.
    pub fn keep(&self, columns: Vec<ArrayRef>) -> Result<BooleanArray, ArrowError> {
        let rows = keys_of(&self.converter, columns)?;
        Ok(rows
            .iter()
            .map(|row| Some(!self.keys.contains(row.data())))
            .collect())
    }
}

/// The rows of key columns as bytes that are equal where the rows are. The specification lets no float be compared, but
/// Iceberg's Java library, by which such files are written all the same, compares floats as `Float.compare` does: one
/// NaN equals all others, and -0.0 is not 0.0. It is not for us to delete more than was meant.
fn keys_of(converter: &RowConverter, mut columns: Vec<ArrayRef>) -> Result<Rows, ArrowError> {
    for column in &mut columns {
        match column.data_type() {
            DataType::Float32 => {
                let of = |x: f32| if x.is_nan() { f32::NAN } else { x };
                *column = Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(of));
            }
            DataType::Float64 => {
                let of = |x: f64| if x.is_nan() { f64::NAN } else { x };
                *column = Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(of));
            }
            _ => {}
        }
    }
    converter.convert_columns(&columns)
}

/// Walks over the rows of the row groups that are read, and tells which of them are deleted by position.
#[derive(Debug)]
pub struct Positions {
    /// What is still to come, as row numbers of the file.
    ahead: std::vec::IntoIter<Range<u64>>,
    at: Range<u64>,
    deleted: Vec<u64>,
}

impl Positions {
    /// `read` are the rows that are read, in order; `deleted` is sorted.
    pub fn new(read: Vec<Range<u64>>, deleted: Vec<u64>) -> Self {
        Self {
            ahead: read.into_iter(),
            at: 0..0,
            deleted,
        }
    }

    /// Whether each row of the next batch is kept.
    pub fn keep(&mut self, batch: &RecordBatch) -> BooleanArray {
        let mut keep = Vec::with_capacity(batch.num_rows());
        while keep.len() < batch.num_rows() {
            let Some(position) = self.at.next() else {
                match self.ahead.next() {
                    Some(range) => self.at = range,
                    // More rows than the footer says: none of them can be named by a delete file.
                    None => keep.push(true),
                }
                continue;
            };
            keep.push(self.deleted.binary_search(&position).is_err());
        }
        BooleanArray::from(keep)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, Int64Array, RecordBatchOptions, StringArray};
    use arrow::datatypes::Schema;
    use datafusion::execution::memory_pool::UnboundedMemoryPool;

    use super::*;

    fn columns(rows: &[(i64, Option<&str>)]) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id))),
            Arc::new(StringArray::from_iter(rows.iter().map(|(_, text)| *text))),
        ]
    }

    fn values(types: &[DataType], deleted: Vec<ArrayRef>) -> Values {
        let fields = types.iter().cloned().map(SortField::new);
        let converter = RowConverter::new(fields.collect()).unwrap();
        let rows = keys_of(&converter, deleted).unwrap();
        let keys = rows.iter().map(|row| row.data().into()).collect();
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        Values {
            columns: Vec::new(),
            converter,
            keys,
            _memory: MemoryConsumer::new("test").register(&pool),
        }
    }

    /// In Iceberg a null equals a null here, and nothing else.
    #[test]
    fn a_row_is_deleted_where_all_values_are_equal() {
        let types = [DataType::Int64, DataType::Utf8];
        let values = values(&types, columns(&[(1, Some("a")), (2, None)]));
        let rows = [
            (1, Some("a")),
            (1, None),
            (2, None),
            (2, Some("a")),
            (3, Some("a")),
        ];
        let kept = values.keep(columns(&rows)).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![false, true, false, true, true]));
    }

    /// As Java's `Float.compare` and `Double.compare` have it.
    #[test]
    fn a_nan_deletes_all_nans_and_a_zero_none_of_the_other_sign() {
        let doubles =
            |values: &[f64]| -> Vec<ArrayRef> { vec![Arc::new(Float64Array::from(values.to_vec()))] };
        let values64 = values(&[DataType::Float64], doubles(&[f64::NAN, 0.0]));
        let other_nan = f64::from_bits(0xfff8_0000_0000_0001);
        let kept = values64.keep(doubles(&[other_nan, 0.0, -0.0, 1.0])).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![false, false, true, true]));

        let floats =
            |values: &[f32]| -> Vec<ArrayRef> { vec![Arc::new(Float32Array::from(values.to_vec()))] };
        let values32 = values(&[DataType::Float32], floats(&[-f32::NAN, -0.0]));
        let kept = values32.keep(floats(&[f32::NAN, 0.0, -0.0, 1.0])).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![false, true, false, true]));
    }

    fn rows(count: usize) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap()
    }

    #[test]
    fn positions_count_from_the_start_of_the_file_also_when_row_groups_are_left_out() {
        // The row groups 0..10 and 20..30 are read, 10..20 is pruned; batches do not end with them.
        let mut positions = Positions::new(vec![0..10, 20..30], vec![0, 9, 15, 20, 29]);
        let deleted = |keep: BooleanArray| -> Vec<usize> {
            let rows = keep.iter().enumerate();
            rows.filter_map(|(at, keep)| (keep == Some(false)).then_some(at))
                .collect()
        };
        assert_eq!(deleted(positions.keep(&rows(12))), [0, 9, 10]);
        assert_eq!(deleted(positions.keep(&rows(8))), [7]);
    }
}
