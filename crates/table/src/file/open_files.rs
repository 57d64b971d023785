//! The open files of one job, by partition value.

use std::sync::Arc;

use arrow::array::RecordBatch;
use iceberg::spec::Struct;
use tabletopic_clock::Entropy;

use super::{EncodedFile, Encodings, FileError, FileNames, FileSchema, FileSettings, FileWriter};

/// A batch with fewer rows does not change the choice of encodings that an earlier one led to.
const SAMPLE_ROWS: usize = 1000;

/// Every file that a job has open, one for each partition value at most. The module's documentation
/// says which one closes when there are too many. Files come back in the order of their closing, which
/// depends on nothing but the calls made.
#[derive(Debug)]
pub struct OpenFiles {
    settings: FileSettings,
    schema: Arc<FileSchema>,
    names: FileNames,
    encodings: Option<Encodings>,
    files: Vec<OpenFile>,
    /// Batches written so far.
    batches: u64,
}

#[derive(Debug)]
struct OpenFile {
    writer: FileWriter,
    last_batch: u64,
    /// As of `last_batch`.
    heat: u64,
}

impl OpenFile {
    /// Rows taken, halved for each batch since.
    fn heat_at(&self, batch: u64) -> u64 {
        u32::try_from(batch - self.last_batch)
            .ok()
            .and_then(|batches| self.heat.checked_shr(batches))
            .unwrap_or(0)
    }
}

impl OpenFiles {
    pub fn new(settings: FileSettings, schema: Arc<FileSchema>, names: FileNames) -> Self {
        Self {
            settings,
            schema,
            names,
            encodings: None,
            files: Vec::new(),
            batches: 0,
        }
    }

    pub fn schema(&self) -> &Arc<FileSchema> {
        &self.schema
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Bytes of memory held by all open files.
    pub fn memory_size(&self) -> usize {
        self.files.iter().map(|file| file.writer.memory_size()).sum()
    }

    /// Appends one batch, as [`crate::partition::Splitter::split`] left it. Returns the files that had
    /// to close: those that reached their target size, and those that made room for others.
    ///
    /// # Errors
    /// Some of the rows may have been written then: the caller drops the open files, and reads their
    /// offsets again.
    pub fn write(
        &mut self,
        parts: &[(Struct, RecordBatch)],
        entropy: &dyn Entropy,
    ) -> Result<Vec<EncodedFile>, FileError> {
        self.batches += 1;
        let mut closed = Vec::new();
        for (partition, rows) in parts {
            let index = match self
                .files
                .iter()
                .position(|file| file.writer.partition() == partition)
            {
                Some(index) => index,
                None => {
                    closed.extend(self.make_room()?);
                    self.open(partition, rows, entropy)?
                }
            };
            let file = &mut self.files[index];
            file.writer.write(rows)?;
            file.heat = file.heat_at(self.batches) + rows.num_rows() as u64;
            file.last_batch = self.batches;
            if file.writer.encoded_size() >= self.settings.target_file_size {
                closed.push(self.files.remove(index).writer.finish()?);
            }
        }
        Ok(closed)
    }

    /// Closes the file that holds the most memory; `None` when none is open.
    pub fn close_largest(&mut self) -> Result<Option<EncodedFile>, FileError> {
        let sizes = self.files.iter().map(|file| file.writer.memory_size());
        match sizes.enumerate().max_by_key(|(_, size)| *size) {
            Some((index, _)) => self.files.remove(index).writer.finish().map(Some),
            None => Ok(None),
        }
    }

    /// Closes every file: a cut.
    pub fn close_all(&mut self) -> Result<Vec<EncodedFile>, FileError> {
        self.files.drain(..).map(|file| file.writer.finish()).collect()
    }

    fn make_room(&mut self) -> Result<Option<EncodedFile>, FileError> {
        if self.files.len() < self.settings.max_open_files {
            return Ok(None);
        }
        let heats = self
            .files
            .iter()
            .map(|file| (file.heat_at(self.batches), file.last_batch));
        match heats.enumerate().min_by_key(|(_, heat)| *heat) {
            Some((coldest, _)) => self.files.remove(coldest).writer.finish().map(Some),
            None => Ok(None),
        }
    }

    fn open(
        &mut self,
        partition: &Struct,
        rows: &RecordBatch,
        entropy: &dyn Entropy,
    ) -> Result<usize, FileError> {
        let encodings = match self.encodings.take() {
            Some(chosen) if rows.num_rows() < SAMPLE_ROWS => chosen,
            _ => Encodings::choose(&self.schema, rows),
        };
        let path = self.names.next(&self.schema, partition, entropy)?;
        let writer = FileWriter::new(
            &self.settings,
            Arc::clone(&self.schema),
            &encodings,
            partition.clone(),
            path,
        )?;
        self.encodings = Some(encodings);
        self.files.push(OpenFile {
            writer,
            last_batch: self.batches,
            heat: 0,
        });
        Ok(self.files.len() - 1)
    }
}
