//! What is written in the place of a piece: streamed, so that memory holds a row group and not a file.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use iceberg::io::FileWrite;
use iceberg::spec::{DataFile, Struct};
use tabletopic_table::Lake;
use tabletopic_table::file::{
    EncodedFile, Encodings, FileCopier, FileError, FileNames, FileSchema, FileSettings, FileWriter,
};
use tabletopic_table::read::RowGroup;

use crate::MaintainError;

/// Files one after the other, each of one partition value.
pub struct Output<'a> {
    lake: &'a Lake,
    settings: FileSettings,
    schema: Arc<FileSchema>,
    names: FileNames,
    open: Option<Open>,
    written: Vec<DataFile>,
}

struct Open {
    partition: Struct,
    writer: Writer,
    file: Box<dyn FileWrite>,
    /// Bytes that it has taken.
    put: usize,
}

/// Rows come first, row groups of other files after them.
enum Writer {
    Rows(FileWriter),
    RowGroups(FileCopier),
}

impl Writer {
    fn finish(self) -> Result<EncodedFile, FileError> {
        match self {
            Self::Rows(writer) => writer.finish(),
            Self::RowGroups(copier) => copier.finish(),
        }
    }
}

impl<'a> Output<'a> {
    pub fn new(lake: &'a Lake, settings: FileSettings, schema: Arc<FileSchema>, location: &str) -> Self {
        Self {
            lake,
            settings,
            schema,
            names: FileNames::new(location),
            open: None,
            written: Vec::new(),
        }
    }

    /// Rows of one partition value, which is another one than that of the rows before where a new file is to begin.
    pub async fn write(&mut self, partition: &Struct, rows: &RecordBatch) -> Result<(), MaintainError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let mut open = match self.taken(partition).await? {
            Some(open) if matches!(open.writer, Writer::Rows(_)) => open,
            other => {
                self.open = other;
                self.close().await?;
                self.begin(partition, rows).await?
            }
        };
        if let Writer::Rows(writer) = &mut open.writer {
            writer.write(rows)?;
            let encoded = writer.take_encoded();
            let size = writer.encoded_size();
            put(&mut open, encoded).await?;
            self.open = Some(open);
            if size >= self.settings.target_file_size {
                self.close().await?;
            }
        }
        Ok(())
    }

    /// A row group of another file, after all rows of its partition value.
    pub async fn append(&mut self, partition: &Struct, group: RowGroup) -> Result<(), MaintainError> {
        let open = match self.taken(partition).await? {
            Some(open) => open,
            None => {
                let empty = RecordBatch::new_empty(self.schema.arrow().clone());
                self.begin(partition, &empty).await?
            }
        };
        let mut copier = match open.writer {
            Writer::Rows(writer) => writer.into_copier()?,
            Writer::RowGroups(copier) => copier,
        };
        copier.append(group)?;
        let encoded = copier.take_encoded();
        let mut open = Open {
            writer: Writer::RowGroups(copier),
            ..open
        };
        put(&mut open, encoded).await?;
        let full = open.put >= self.settings.target_file_size;
        self.open = Some(open);
        match full {
            true => self.close().await,
            false => Ok(()),
        }
    }

    /// The files, the last one closed.
    pub async fn finish(mut self) -> Result<Vec<DataFile>, MaintainError> {
        if let Err(error) = self.close().await {
            self.discard().await;
            return Err(error);
        }
        Ok(self.written)
    }

    /// Removes what is written: nobody will name it.
    pub async fn discard(self) {
        // An upload that is under way ends with it.
        drop(self.open);
        discard(self.lake, self.written.iter()).await;
    }

    /// The open file, if it is of this partition value; one of another is closed.
    async fn taken(&mut self, partition: &Struct) -> Result<Option<Open>, MaintainError> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.partition != *partition)
        {
            self.close().await?;
        }
        Ok(self.open.take())
    }

    async fn begin(&mut self, partition: &Struct, sample: &RecordBatch) -> Result<Open, MaintainError> {
        let path = self
            .names
            .next(&self.schema, partition, self.lake.entropy.as_ref())?;
        let file = self.lake.file_io.new_output(&path)?.writer().await?;
        let encodings = Encodings::choose(&self.schema, sample);
        let (schema, partition) = (self.schema.clone(), partition.clone());
        let writer = FileWriter::new(&self.settings, schema, &encodings, partition.clone(), path)?;
        Ok(Open {
            partition,
            writer: Writer::Rows(writer),
            file,
            put: 0,
        })
    }

    async fn close(&mut self) -> Result<(), MaintainError> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let rest = open.writer.finish()?;
        for block in rest.payload {
            open.file.write(block).await?;
        }
        open.file.close().await?;
        self.written.push(rest.data_file);
        Ok(())
    }
}

async fn put(open: &mut Open, encoded: impl IntoIterator<Item = Bytes>) -> Result<(), MaintainError> {
    for block in encoded {
        open.put += block.len();
        open.file.write(block).await?;
    }
    Ok(())
}

/// Removes files that no snapshot will name.
pub async fn discard(lake: &Lake, files: impl Iterator<Item = &DataFile> + Send) {
    for file in files {
        if let Err(error) = lake.file_io.delete(file.file_path()).await {
            tracing::warn!(
                file = file.file_path(),
                "a file that nothing needs is left: {error}"
            );
        }
    }
}
