//! Rows that a table has deleted without rewriting their files: position deletes name a file and a row in it,
//! equality deletes name values.
//!
//! The caller has chosen the delete files that apply to a data file, by partition and sequence number. Each of them
//! is read once, however many data files it applies to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use arrow::error::ArrowError;
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, DataFile, TableMetadataRef};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use tokio::sync::OnceCell;

use super::ReadError;
use super::columns::{Columns, column_id};
use super::deletion_vector::{DeletionVector, VectorBlob};
use super::file::OpenFile;
use super::memory::{Memory, Reservation};
use super::positions::DeletedPositions;
use super::values::Values;

/// Field ids of the columns of position delete files (Iceberg's reserved field ids).
const FILE_PATH: i32 = i32::MAX - 101;
const POSITION: i32 = i32::MAX - 102;

/// One of these columns, with its id as iceberg's conversion of a schema has it.
fn reserved(id: i32, name: &str, ty: DataType) -> FieldRef {
    let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
    Arc::new(Field::new(name, ty, false).with_metadata(id))
}

/// A delete file that applies to a data file, as its manifest entry has it.
#[derive(Debug, Clone)]
pub struct DeleteFile {
    pub path: String,
    /// Bytes of the file.
    pub size: u64,
    /// Whether it names positions or values.
    pub content: DataContentType,
    /// The field ids of the columns whose values it names; none where it names positions.
    pub equality_ids: Vec<i32>,
    /// Where it is a deletion vector.
    pub vector: Option<VectorBlob>,
}

impl DeleteFile {
    /// Of a manifest entry.
    ///
    /// # Errors
    /// A deletion vector whose place in its file the entry does not tell.
    pub fn of(file: &DataFile) -> Result<Self, ReadError> {
        Ok(Self {
            path: file.file_path().to_owned(),
            size: file.file_size_in_bytes(),
            content: file.content_type(),
            equality_ids: match file.content_type() {
                DataContentType::EqualityDeletes => file.equality_ids().unwrap_or_default(),
                _ => Vec::new(),
            },
            vector: VectorBlob::of(file)?,
        })
    }

    fn source(&self) -> Source {
        Source {
            path: self.path.clone(),
            offset: self.vector.as_ref().map(|vector| vector.offset),
        }
    }

    fn unfit(&self, error: &ArrowError) -> ReadError {
        ReadError::DeleteFile {
            file: self.path.clone(),
            reason: error.to_string(),
        }
    }
}

/// What is read once: a file, or one of the deletion vectors in it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Source {
    path: String,
    offset: Option<u64>,
}

/// The delete files of one snapshot, read when they are first asked for. What they say is held until this is dropped.
#[derive(Debug)]
pub struct DeleteFiles {
    file_io: FileIO,
    metadata: TableMetadataRef,
    read: Mutex<HashMap<Source, Arc<OnceCell<Arc<Deleted>>>>>,
}

/// What one delete file says.
#[derive(Debug)]
enum Deleted {
    Positions {
        /// Row numbers by data file.
        by_file: HashMap<String, Vec<u64>>,
        _memory: Box<dyn Reservation>,
    },
    Vector(Arc<DeletionVector>),
    Values(Arc<Values>),
}

/// What is deleted from one data file.
#[derive(Debug, Default)]
pub struct Deletes {
    pub(super) positions: DeletedPositions,
    pub(super) values: Vec<Arc<Values>>,
}

impl DeleteFiles {
    /// `metadata` is the table's: equality deletes may compare columns that are no longer in its current schema.
    pub fn new(file_io: FileIO, metadata: TableMetadataRef) -> Self {
        Self {
            file_io,
            metadata,
            read: Mutex::default(),
        }
    }

    /// What `files` delete from the data file at `path`. What is read of them is taken from `memory`.
    ///
    /// # Errors
    /// A delete file that cannot be read; no memory for what it says. It is read again when it is asked for again.
    pub async fn of(
        &self,
        path: &str,
        files: &[DeleteFile],
        memory: &dyn Memory,
    ) -> Result<Deletes, ReadError> {
        let mut deletes = Deletes::default();
        for file in files {
            match self.read(file, memory).await?.as_ref() {
                Deleted::Positions { by_file, .. } => {
                    let these = by_file.get(path).into_iter().flatten();
                    deletes.positions.listed.extend(these);
                }
                Deleted::Vector(vector) => deletes.positions.vector = Some(vector.clone()),
                Deleted::Values(values) => deletes.values.push(values.clone()),
            }
        }
        deletes.positions.listed.sort_unstable();
        deletes.positions.listed.dedup();
        Ok(deletes)
    }

    async fn read(&self, file: &DeleteFile, memory: &dyn Memory) -> Result<Arc<Deleted>, ReadError> {
        let cell = self
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(file.source())
            .or_default()
            .clone();
        let read = async {
            if let Some(blob) = &file.vector {
                let vector = DeletionVector::read(&self.file_io, &file.path, blob, memory).await?;
                return Ok(Arc::new(Deleted::Vector(vector)));
            }
            let memory = memory.reserve();
            let deleted = match file.content {
                DataContentType::EqualityDeletes => {
                    Deleted::Values(Arc::new(self.values(file, memory).await?))
                }
                DataContentType::PositionDeletes => self.positions(file, memory).await?,
                DataContentType::Data => {
                    return Err(ReadError::DeleteFile {
                        file: file.path.clone(),
                        reason: "its manifest has it as a data file".to_owned(),
                    });
                }
            };
            Ok(Arc::new(deleted))
        };
        cell.get_or_try_init(|| read).await.cloned()
    }

    async fn positions(
        &self,
        file: &DeleteFile,
        mut memory: Box<dyn Reservation>,
    ) -> Result<Deleted, ReadError> {
        let opened = OpenFile::open(&self.file_io, &file.path, file.size).await?;
        if [FILE_PATH, POSITION]
            .iter()
            .any(|id| opened.columns.index(*id).is_none())
        {
            return Err(ReadError::DeleteFile {
                file: file.path.clone(),
                reason: "it does not have the columns file_path and pos".to_owned(),
            });
        }
        let wanted = [
            reserved(FILE_PATH, "file_path", DataType::Utf8),
            reserved(POSITION, "pos", DataType::Int64),
        ];
        let roots = opened.roots(&wanted);
        let make = Columns::new(&wanted, &opened.fields(&roots), &file.path)?;
        let mut by_file = HashMap::<String, Vec<u64>>::new();
        let mut batches = opened.read(&roots, None)?;
        while let Some(batch) = batches.try_next().await? {
            memory.try_grow(batch.num_rows() * size_of::<u64>())?;
            let columns = make.make(batch.columns(), batch.num_rows());
            let columns = columns.map_err(|error| file.unfit(&error))?;
            let paths = columns[0].as_string::<i32>();
            let positions = columns[1].as_primitive::<Int64Type>();
            for (path, position) in paths.iter().zip(positions) {
                let (Some(path), Some(position)) = (path, position.and_then(|at| u64::try_from(at).ok()))
                else {
                    return Err(ReadError::DeleteFile {
                        file: file.path.clone(),
                        reason: "it has a row without a file or a position".to_owned(),
                    });
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

    async fn values(&self, file: &DeleteFile, memory: Box<dyn Reservation>) -> Result<Values, ReadError> {
        let ids = &file.equality_ids;
        let columns = ids.iter().map(|id| self.column(*id, &file.path));
        let columns: Vec<FieldRef> = columns.collect::<Result<_, _>>()?;
        if columns.is_empty() {
            return Err(ReadError::DeleteFile {
                file: file.path.clone(),
                reason: "it names no columns to compare".to_owned(),
            });
        }
        let opened = OpenFile::open(&self.file_io, &file.path, file.size).await?;
        if let Some(missing) = ids.iter().find(|id| opened.columns.index(**id).is_none()) {
            return Err(ReadError::DeleteFile {
                file: file.path.clone(),
                reason: format!("it does not have the field {missing}, which it is to be compared by"),
            });
        }
        let roots = opened.roots(&columns);
        let make = Columns::new(&columns, &opened.fields(&roots), &file.path)?;
        let unfit = |error: ArrowError| file.unfit(&error);
        let mut values = Values::new(columns, memory).map_err(unfit)?;
        let mut batches = opened.read(&roots, None)?;
        while let Some(batch) = batches.try_next().await? {
            let columns = make.make(batch.columns(), batch.num_rows()).map_err(unfit)?;
            let keys = values.keys_of(columns).map_err(unfit)?;
            values.add(&keys)?;
        }
        Ok(values)
    }

    /// A top-level column that may have been dropped since, as the newest schema that has it says.
    fn column(&self, id: i32, path: &str) -> Result<FieldRef, ReadError> {
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
        Err(ReadError::DeleteFile {
            file: path.to_owned(),
            reason: format!("it compares the field {id}, which is no top-level column of a simple type"),
        })
    }
}
