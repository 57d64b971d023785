//! What is written in the place of a piece: streamed, so that memory holds a row group and not a file.

use std::sync::Arc;

use arrow::array::RecordBatch;
use iceberg::io::FileWrite;
use iceberg::spec::{DataFile, Struct};
use tabletopic_table::Lake;
use tabletopic_table::file::{Encodings, FileNames, FileSchema, FileSettings, FileWriter};

use crate::MaintainError;

/// Files of one partition value, one after the other.
pub struct Output<'a> {
    lake: &'a Lake,
    settings: FileSettings,
    schema: Arc<FileSchema>,
    names: FileNames,
    partition: Struct,
    open: Option<Open>,
    written: Vec<DataFile>,
}

struct Open {
    writer: FileWriter,
    file: Box<dyn FileWrite>,
}

impl<'a> Output<'a> {
    pub fn new(
        lake: &'a Lake,
        settings: FileSettings,
        schema: Arc<FileSchema>,
        location: &str,
        partition: Struct,
    ) -> Self {
        Self {
            lake,
            settings,
            schema,
            names: FileNames::new(location),
            partition,
            open: None,
            written: Vec::new(),
        }
    }

    pub async fn write(&mut self, rows: &RecordBatch) -> Result<(), MaintainError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(
                open(
                    self.lake,
                    &self.settings,
                    &self.schema,
                    &self.names,
                    &self.partition,
                    rows,
                )
                .await?,
            ),
        };
        open.writer.write(rows)?;
        for block in open.writer.take_encoded() {
            open.file.write(block).await?;
        }
        match open.writer.encoded_size() >= self.settings.target_file_size {
            true => self.close().await,
            false => Ok(()),
        }
    }

    /// The files, the last one closed.
    pub async fn finish(mut self) -> Result<Vec<DataFile>, MaintainError> {
        self.close().await?;
        Ok(self.written)
    }

    async fn close(&mut self) -> Result<(), MaintainError> {
        let Some(Open { writer, mut file }) = self.open.take() else {
            return Ok(());
        };
        let rest = writer.finish()?;
        for block in rest.payload {
            file.write(block).await?;
        }
        file.close().await?;
        self.written.push(rest.data_file);
        Ok(())
    }
}

async fn open(
    lake: &Lake,
    settings: &FileSettings,
    schema: &Arc<FileSchema>,
    names: &FileNames,
    partition: &Struct,
    first: &RecordBatch,
) -> Result<Open, MaintainError> {
    let path = names.next(schema, partition, lake.entropy.as_ref())?;
    let file = lake.file_io.new_output(&path)?.writer().await?;
    let encodings = Encodings::choose(schema, first);
    let writer = FileWriter::new(settings, schema.clone(), &encodings, partition.clone(), path)?;
    Ok(Open { writer, file })
}
