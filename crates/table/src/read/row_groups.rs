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
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;

use super::ReadError;
use crate::file::FileSchema;

/// Encoded bytes that a file's row groups have on average, if they are worth copying: engines read a file of smaller ones
/// slower, and rows that are encoded together are smaller.
pub const LEAST: u64 = 16 << 20;

/// Encoded bytes of a row group at most: one is in memory, twice while it is copied.
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
        // Which pages have a dictionary: readers skip row groups by it.
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let footer = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_metadata_options(Some(options));
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
        let extents: Option<Vec<_>> = groups.iter().map(extent).collect();
        let bytes = extents.map(|all| all.iter().map(|extent| extent.end - extent.start).sum::<u64>());
        let Some(pages) = self
            .metadata
            .offset_index()
            .filter(|pages| pages.len() == groups.len())
        else {
            return false;
        };
        ours.root_schema().get_fields() == theirs.root_schema().get_fields()
            && bytes.is_some_and(|bytes| bytes >= LEAST * groups.len() as u64)
            && groups.iter().zip(pages).all(|(group, pages)| {
                let columns = group.columns();
                pages.len() == columns.len()
                    && columns
                        .iter()
                        .zip(pages)
                        .all(|(chunk, pages)| fits(chunk) && leads(chunk, pages, group.num_rows()))
            })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.metadata.num_row_groups()
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

/// Whether a column chunk means the same in another file: compressed as ours are, in this file, and not encrypted; and
/// minimum and maximum are not those of old writers, which do not tell in which order they are.
fn fits(chunk: &ColumnChunkMetaData) -> bool {
    let bounded = |statistics: &&Statistics| {
        statistics.min_bytes_opt().is_some() || statistics.max_bytes_opt().is_some()
    };
    let bounds = chunk.statistics().filter(bounded);
    matches!(chunk.compression(), Compression::ZSTD(_))
        && chunk.crypto_metadata().is_none()
        && chunk.file_path().is_none()
        && bounds.is_none_or(|statistics| !statistics.is_min_max_deprecated())
}

/// Whether a chunk's pages are where the footer says that the chunk is: nothing is decoded, so that a wrong offset would
/// not be seen otherwise. The writer needs the page indexes of all row groups or of none, and readers skip pages by them.
fn leads(chunk: &ColumnChunkMetaData, pages: &OffsetIndexMetaData, rows: i64) -> bool {
    let Some(range) = range(chunk) else {
        return false;
    };
    let pages = pages.page_locations();
    let inside = |page: &PageLocation| {
        let ends = page.offset.checked_add(i64::from(page.compressed_page_size));
        let (start, end) = (
            u64::try_from(page.offset),
            ends.and_then(|end| u64::try_from(end).ok()),
        );
        start.is_ok_and(|start| start >= range.start) && end.is_some_and(|end| end <= range.end)
    };
    let first = pages.first();
    first.is_some_and(|first| first.offset == chunk.data_page_offset() && first.first_row_index == 0)
        && pages.iter().all(inside)
        && pages.is_sorted_by(|a, b| a.first_row_index < b.first_row_index && a.offset < b.offset)
        && pages.last().is_some_and(|last| last.first_row_index < rows)
}

/// Where a column chunk is in its file. `None`: what the footer says cannot be.
fn range(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let data = u64::try_from(chunk.data_page_offset()).ok()?;
    let start = match chunk.dictionary_page_offset() {
        // Behind the magic bytes, before the data.
        Some(dictionary) => u64::try_from(dictionary)
            .ok()
            .filter(|dictionary| (4..data).contains(dictionary))?,
        None => data,
    };
    let length = u64::try_from(chunk.compressed_size()).ok()?;
    Some(start..start.checked_add(length)?)
}

/// Where a row group is in its file. `None`: it is too large, or has other things between its columns.
fn extent(group: &RowGroupMetaData) -> Option<Range<u64>> {
    let ranges: Option<Vec<_>> = group.columns().iter().map(range).collect();
    let ranges = ranges?;
    let start = ranges.iter().map(|range| range.start).min()?;
    let end = ranges.iter().map(|range| range.end).max()?;
    let encoded: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    (end - start <= MOST.min(encoded.saturating_mul(2))).then_some(start..end)
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
