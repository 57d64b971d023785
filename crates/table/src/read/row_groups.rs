//! Whole row groups of a file, as they are: for whoever puts them into another file without decoding them.

use std::io;
use std::ops::Range;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use iceberg::arrow::ArrowFileReader;
use iceberg::io::{FileIO, FileMetadata};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::Compression;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::ReadError;
use crate::file::FileSchema;

/// Encoded bytes of a row group that is worth copying: engines read a file of smaller ones slower, and rows that are
/// encoded together are smaller.
pub const LEAST: u64 = 16 << 20;

/// Encoded bytes of a row group at most: one is in memory.
const MOST: u64 = 128 << 20;

/// A file whose footer has been read, with the page indexes.
pub struct RowGroups {
    path: String,
    reader: ArrowFileReader,
    metadata: ParquetMetaData,
}

impl RowGroups {
    /// Reads the footer. `size` is the file's, as the manifest has it.
    ///
    /// # Errors
    /// A file that cannot be read, or is not Parquet.
    pub async fn open(file_io: &FileIO, path: &str, size: u64) -> Result<Self, ReadError> {
        let input = file_io.new_input(path)?.reader().await?;
        let mut reader = ArrowFileReader::new(FileMetadata { size }, input);
        let footer = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = footer.load_and_finish(&mut reader, size).await;
        Ok(Self {
            metadata: metadata.map_err(|error| unreadable(path, &error))?,
            path: path.to_owned(),
            reader,
        })
    }

    /// Whether they can be row groups of a file that is written under `schema`: the same columns, bit by bit, compressed
    /// as ours are, and neither too small nor too large.
    pub fn fit(&self, schema: &FileSchema) -> bool {
        let (ours, theirs) = (schema.parquet(), self.metadata.file_metadata().schema_descr());
        let groups = self.metadata.row_groups();
        let bytes: u64 = groups.iter().map(encoded).sum();
        ours.root_schema().get_fields() == theirs.root_schema().get_fields()
            && bytes >= LEAST * groups.len() as u64
            && groups.iter().all(|group| extent(group).is_some())
            && groups.iter().flat_map(RowGroupMetaData::columns).all(fits)
    }

    pub fn len(&self) -> usize {
        self.metadata.num_row_groups()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads one of them.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn read(&mut self, at: usize) -> Result<RowGroup, ReadError> {
        let group = self.metadata.row_group(at);
        let extent = extent(group).ok_or_else(|| ReadError::File {
            file: self.path.clone(),
            reason: format!("row group {at} says nothing of where it is"),
        })?;
        let bytes = self.reader.get_bytes(extent.clone()).await;
        let indexes = self.metadata.column_index().and_then(|all| all.get(at));
        let offsets = self.metadata.offset_index().and_then(|all| all.get(at));
        let chunk = |(number, metadata): (usize, &ColumnChunkMetaData)| ColumnCloseResult {
            bytes_written: metadata.compressed_size().unsigned_abs(),
            rows_written: group.num_rows().unsigned_abs(),
            metadata: metadata.clone(),
            bloom_filter: None,
            column_index: indexes
                .and_then(|columns| columns.get(number))
                .filter(|index| !matches!(index, ColumnIndexMetaData::NONE))
                .cloned(),
            offset_index: offsets.and_then(|columns| columns.get(number)).cloned(),
        };
        Ok(RowGroup {
            rows: group.num_rows().unsigned_abs(),
            chunks: group.columns().iter().enumerate().map(chunk).collect(),
            bytes: Extent {
                start: extent.start,
                bytes: bytes.map_err(|error| unreadable(&self.path, &error))?,
            },
        })
    }
}

fn unreadable(path: &str, error: &ParquetError) -> ReadError {
    ReadError::File {
        file: path.to_owned(),
        reason: error.to_string(),
    }
}

/// Page indexes are what readers skip pages by, and the writer has them of all row groups or of none. Minimum and maximum
/// of old writers do not tell in which order they are.
fn fits(chunk: &ColumnChunkMetaData) -> bool {
    let statistics = chunk.statistics();
    matches!(chunk.compression(), Compression::ZSTD(_))
        && chunk.offset_index_offset().is_some()
        && statistics.is_none_or(|statistics| !statistics.is_min_max_deprecated())
}

fn encoded(group: &RowGroupMetaData) -> u64 {
    let sizes = group.columns().iter().map(ColumnChunkMetaData::compressed_size);
    sizes.map(i64::unsigned_abs).sum()
}

/// Where a row group is in its file. `None`: it is too large, or has other things between its columns.
fn extent(group: &RowGroupMetaData) -> Option<Range<u64>> {
    let ranges = group.columns().iter().map(ColumnChunkMetaData::byte_range);
    let (start, end) = ranges
        .map(|(start, length)| (start, start.saturating_add(length)))
        .reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))?;
    (end - start <= MOST.min(encoded(group) * 2)).then_some(start..end)
}

/// The bytes of one row group, with what the footer says of them.
pub struct RowGroup {
    rows: u64,
    chunks: Vec<ColumnCloseResult>,
    bytes: Extent,
}

impl RowGroup {
    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.bytes.len() as u64
    }

    /// The column chunks in the order of the schema, and what they are read from.
    pub(crate) fn into_chunks(self) -> (Vec<ColumnCloseResult>, Extent) {
        (self.chunks, self.bytes)
    }
}

/// A part of a file, by the file's offsets.
pub(crate) struct Extent {
    start: u64,
    bytes: Bytes,
}

impl Extent {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let at = start
            .checked_sub(self.start)
            .and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at <= self.bytes.len());
        let at =
            at.ok_or_else(|| ParquetError::General(format!("offset {start} is not in the row group")))?;
        Ok(self.bytes.slice(at..))
    }
}

impl Length for Extent {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Extent {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        match bytes.len() >= length {
            true => Ok(bytes.slice(..length)),
            false => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}
