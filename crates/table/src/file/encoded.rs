//! A data file that is closed, and what a manifest says about it.

use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, Struct};
use object_store::PutPayload;
use parquet::errors::ParquetError;

use super::metrics::Metrics;
use super::sink::Sink;
use super::{FileError, FileSchema};

/// A whole data file, in memory.
#[derive(Debug, Clone)]
pub struct EncodedFile {
    /// Where it is to be put; the same as `data_file.file_path()`.
    pub path: String,
    /// Its bytes, in blocks that can be uploaded as they are.
    pub payload: PutPayload,
    /// What a manifest says about it.
    pub data_file: DataFile,
}

impl EncodedFile {
    /// Stores it, block by block as it was encoded: joined, it would be copied once more.
    ///
    /// # Errors
    /// Those of the store. The file is not there then, or whole.
    pub async fn store(&self, file_io: &FileIO) -> iceberg::Result<()> {
        let mut writer = file_io.new_output(&self.path)?.writer().await?;
        for block in &self.payload {
            writer.write(block.clone()).await?;
        }
        writer.close().await
    }
}

/// What is known of a file before its first row.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) schema: Arc<FileSchema>,
    pub(super) partition: Struct,
    pub(super) path: String,
    /// The id of the table's sort order that its rows come in.
    pub(super) sort_order: Option<i32>,
}

impl Identity {
    /// `taken` bytes of the file were taken before, `rest` is what is left.
    pub(super) fn encoded(
        self,
        rows: u64,
        taken: usize,
        rest: Sink,
        metrics: Metrics,
    ) -> Result<EncodedFile, FileError> {
        let path = self.path;
        let payload = rest.into_payload();
        let mut data_file = DataFileBuilder::default();
        data_file
            .content(DataContentType::Data)
            .file_path(path.clone())
            .file_format(DataFileFormat::Parquet)
            .partition(self.partition)
            .partition_spec_id(self.schema.spec().spec_id())
            .record_count(rows)
            .file_size_in_bytes((taken + payload.content_length()) as u64);
        if let Some(sort_order) = self.sort_order {
            data_file.sort_order_id(sort_order);
        }
        metrics.describe(&mut data_file);
        let data_file = data_file.build().map_err(|error| FileError::DataFile {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        Ok(EncodedFile {
            path,
            payload,
            data_file,
        })
    }

    pub(super) fn failed(&self, source: ParquetError) -> FileError {
        FileError::Parquet {
            path: self.path.clone(),
            source,
        }
    }
}
