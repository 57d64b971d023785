//! One open data file.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use iceberg::spec::Struct;
use object_store::PutPayload;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, LogicalType, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};

use super::bounds::LONGEST_IN_PARQUET;
use super::copier::FileCopier;
use super::encoded::{EncodedFile, Identity};
use super::metrics::Metrics;
use super::nan_counts::NanCounts;
use super::sink::Sink;
use super::{Encodings, FileError, FileSchema, FileSettings};

/// Encodes the rows of one partition value into one Parquet file.
#[derive(Debug)]
pub struct FileWriter {
    identity: Identity,
    parquet: ArrowWriter<Sink>,
    nan_counts: NanCounts,
    rows: u64,
    /// Bytes that were taken before the end.
    taken: usize,
}

impl FileWriter {
    pub fn new(
        settings: &FileSettings,
        schema: Arc<FileSchema>,
        encodings: &Encodings,
        partition: Struct,
        path: String,
    ) -> Result<Self, FileError> {
        let level = ZstdLevel::try_new(settings.zstd_level).map_err(|_| FileError::ZstdLevel {
            level: settings.zstd_level,
        })?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("tabletopic ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_bytes(Some(settings.row_group_size))
            .set_statistics_truncate_length(Some(LONGEST_IN_PARQUET))
            .set_column_index_truncate_length(Some(LONGEST_IN_PARQUET));
        let options = ArrowWriterOptions::new()
            .with_properties(without_misread(&schema, encodings.set(properties)).build())
            .with_parquet_schema(schema.parquet().clone())
            // Iceberg readers go by field ids and Parquet types.
            .with_skip_arrow_metadata(true);
        let parquet = ArrowWriter::try_new_with_options(Sink::default(), Arc::clone(schema.arrow()), options)
            .map_err(|source| FileError::Parquet {
                path: path.clone(),
                source,
            })?;
        Ok(Self {
            nan_counts: NanCounts::new(schema.schema()),
            identity: Identity {
                schema,
                partition,
                path,
                sort_order: settings.sort_order,
            },
            parquet,
            rows: 0,
            taken: 0,
        })
    }

    pub fn partition(&self) -> &Struct {
        &self.identity.partition
    }

    pub fn path(&self) -> &str {
        &self.identity.path
    }

    /// Appends the rows of `batch`, which has the schema of [`FileSchema::arrow`].
    ///
    /// # Errors
    /// On a batch of another schema nothing is written. After any other error the file is lost.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), FileError> {
        self.check(batch)?;
        self.parquet
            .write(batch)
            .map_err(|source| self.identity.failed(source))?;
        self.nan_counts.add(batch);
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Bytes of memory held: finished row groups, and the pages and dictionaries in progress.
    pub fn memory_size(&self) -> usize {
        self.parquet.inner().len() + self.parquet.memory_size()
    }

    /// Bytes that the file would about have if it were finished now.
    pub fn encoded_size(&self) -> usize {
        self.parquet.bytes_written() + self.parquet.in_progress_size()
    }

    /// What is encoded so far and was not taken yet: finished row groups. A file that is larger than memory is put
    /// bit by bit.
    pub fn take_encoded(&mut self) -> PutPayload {
        let encoded = std::mem::take(self.parquet.inner_mut());
        self.taken += encoded.len();
        encoded.into_payload()
    }

    /// Closes the file. The payload is the rest of it, if some was taken before.
    pub fn finish(mut self) -> Result<EncodedFile, FileError> {
        let metadata = self
            .parquet
            .finish()
            .map_err(|source| self.identity.failed(source))?;
        let metrics = Metrics::new(
            &metadata,
            self.identity.schema.schema(),
            self.nan_counts.by_field_id(),
        );
        // Not `into_inner`, which would write a second footer.
        let rest = std::mem::take(self.parquet.inner_mut());
        self.identity.encoded(self.rows, self.taken, rest, metrics)
    }

    /// What is appended from now on are whole row groups of other files.
    ///
    /// # Errors
    /// Those of encoding the rows that are in progress. The file is lost then.
    pub fn into_copier(self) -> Result<FileCopier, FileError> {
        let Self {
            identity,
            parquet,
            rows,
            taken,
            ..
        } = self;
        match parquet.into_serialized_writer() {
            Ok((parquet, _)) => Ok(FileCopier::new(identity, parquet, rows, taken)),
            Err(source) => Err(identity.failed(source)),
        }
    }

    /// The Parquet writer would take surplus columns, and nulls in required ones, without a word.
    fn check(&self, batch: &RecordBatch) -> Result<(), FileError> {
        let wrong = |problem: String| FileError::WrongBatch {
            path: self.identity.path.clone(),
            problem,
        };
        let expected = self.identity.schema.arrow().fields();
        if batch.num_columns() != expected.len() {
            return Err(wrong(format!(
                "{} columns instead of {}",
                batch.num_columns(),
                expected.len()
            )));
        }
        for (field, column) in expected.iter().zip(batch.columns()) {
            let name = field.name();
            if !field.data_type().equals_datatype(column.data_type()) {
                let (found, expected) = (column.data_type(), field.data_type());
                return Err(wrong(format!("column `{name}` is {found} instead of {expected}")));
            }
            if !field.is_nullable() && column.null_count() > 0 {
                let nulls = column.null_count();
                return Err(wrong(format!(
                    "column `{name}` is required and holds {nulls} nulls"
                )));
            }
        }
        Ok(())
    }
}

/// Parquet's own statistics of UUIDs are left out, as their bounds are: Iceberg's Java library compares these as signed
/// numbers, and would skip row groups that hold what is asked for.
fn without_misread(schema: &FileSchema, properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    let columns = schema.parquet().columns().iter();
    columns
        .filter(|column| column.logical_type_ref() == Some(&LogicalType::Uuid))
        .fold(properties, |properties, column| {
            properties.set_column_statistics_enabled(column.path().clone(), EnabledStatistics::None)
        })
}
