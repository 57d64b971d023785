//! The open files of one job, by partition value.

use std::sync::Arc;

use arrow::array::RecordBatch;
use iceberg::spec::Struct;
use tabletopic_clock::Entropy;

use super::waiting::WaitingRows;
use super::{EncodedFile, Encodings, FileError, FileNames, FileSchema, FileSettings, FileWriter};

/// A batch with fewer rows does not change the choice of encodings that an earlier one led to.
const SAMPLE_ROWS: usize = 1000;

/// Rows of a partition value that come before a file is opened for it. An open file takes a few hundred KiB before its
/// first page is full, as much as some thousand rows do, and holds no better what is only a few.
const ROWS_BEFORE_FILE: usize = 4096;

/// Every file that a job has open, one for each partition value at most, and the rows of those that have none. The
/// module's documentation says which are open when there are too many. Files come back in the order of their closing,
/// which depends on nothing but the calls made.
#[derive(Debug)]
pub struct OpenFiles {
    settings: FileSettings,
    schema: Arc<FileSchema>,
    names: FileNames,
    encodings: Option<Encodings>,
    files: Vec<OpenFile>,
    waiting: WaitingRows,
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

enum Room {
    Free,
    /// That of this file, which takes fewer rows.
    InPlaceOf(usize),
    None,
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
            waiting: WaitingRows::default(),
            batches: 0,
        }
    }

    pub fn schema(&self) -> &Arc<FileSchema> {
        &self.schema
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is neither an open file nor a row that waits for one.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.waiting.is_empty()
    }

    /// Bytes of memory held by all open files, and by the rows that wait for one.
    pub fn memory_size(&self) -> usize {
        let files = self.files.iter().map(|file| file.writer.memory_size());
        files.sum::<usize>() + self.waiting.memory_size()
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
        let mut waiting = Vec::new();
        for part in parts {
            let (partition, rows) = part;
            let index = match self.index_of(partition) {
                Some(index) => index,
                None => {
                    let room = match self.waiting.rows_of(partition) + rows.num_rows() {
                        few if few < ROWS_BEFORE_FILE => Room::None,
                        _ => self.room_for(rows.num_rows()),
                    };
                    match room {
                        Room::Free => {}
                        Room::InPlaceOf(coldest) => closed.push(self.files.remove(coldest).writer.finish()?),
                        Room::None => {
                            waiting.push(part);
                            continue;
                        }
                    }
                    let index = self.open(partition, rows, entropy)?;
                    if let Some(waited) = self.waiting.remove(partition, self.schema.arrow())? {
                        self.files[index].writer.write(&waited)?;
                    }
                    index
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
        self.waiting.add(self.schema.arrow(), &waiting)?;
        Ok(closed)
    }

    /// Frees memory: closes the largest file; or, where the rows that wait hold more than all files do, makes files of
    /// them. Empty when nothing is held.
    pub fn close_largest(&mut self, entropy: &dyn Entropy) -> Result<Vec<EncodedFile>, FileError> {
        let waiting = self.waiting.memory_size();
        if waiting > self.memory_size() - waiting {
            return self.write_waiting(entropy);
        }
        let sizes = self.files.iter().map(|file| file.writer.memory_size());
        match sizes.enumerate().max_by_key(|(_, size)| *size) {
            Some((index, _)) => Ok(vec![self.files.remove(index).writer.finish()?]),
            None => Ok(Vec::new()),
        }
    }

    /// Closes every file: a cut.
    pub fn close_all(&mut self, entropy: &dyn Entropy) -> Result<Vec<EncodedFile>, FileError> {
        let mut closed = self.write_waiting(entropy)?;
        for file in self.files.drain(..) {
            closed.push(file.writer.finish()?);
        }
        Ok(closed)
    }

    /// The rows that wait become a file for each partition value, one at a time.
    fn write_waiting(&mut self, entropy: &dyn Entropy) -> Result<Vec<EncodedFile>, FileError> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut closed = Vec::new();
        for (partition, rows) in waiting.into_parts(self.schema.arrow().clone()) {
            let rows = rows?;
            let index = self.open(&partition, &rows, entropy)?;
            let mut file = self.files.remove(index);
            file.writer.write(&rows)?;
            closed.push(file.writer.finish()?);
        }
        Ok(closed)
    }

    fn index_of(&self, partition: &Struct) -> Option<usize> {
        let mut partitions = self.files.iter().map(|file| file.writer.partition());
        partitions.position(|open| open == partition)
    }

    /// Whether a file can be opened for a partition value that comes with so many rows.
    fn room_for(&self, rows: usize) -> Room {
        if self.files.len() < self.settings.max_open_files {
            return Room::Free;
        }
        let heats = self
            .files
            .iter()
            .map(|file| (file.heat_at(self.batches), file.last_batch));
        match heats.enumerate().min_by_key(|(_, heat)| *heat) {
            Some((coldest, (heat, _))) if heat < rows as u64 => Room::InPlaceOf(coldest),
            _ => Room::None,
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
