//! One open data file that takes whole row groups of other files, as they are.

use std::collections::HashMap;

use object_store::PutPayload;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use super::FileError;
use super::encoded::{EncodedFile, Identity};
use super::metrics::Metrics;
use super::sink::Sink;
use crate::read::RowGroup;

/// Appends encoded row groups to one Parquet file. Made of a [`FileWriter`](super::FileWriter), whose rows come first.
///
/// NaNs are not counted in what is copied, so that the file says nothing of them, which means that there may be some.
pub struct FileCopier {
    identity: Identity,
    parquet: SerializedFileWriter<Sink>,
    rows: u64,
    /// Bytes that were taken before the end.
    taken: usize,
}

impl FileCopier {
    pub(super) fn new(
        identity: Identity,
        parquet: SerializedFileWriter<Sink>,
        rows: u64,
        taken: usize,
    ) -> Self {
        Self {
            identity,
            parquet,
            rows,
            taken,
        }
    }

    /// Appends a row group of a file with the very same columns ([`RowGroups::fit`](crate::read::RowGroups::fit)).
    ///
    /// # Errors
    /// Other columns. The file is lost then.
    pub fn append(&mut self, group: RowGroup) -> Result<(), FileError> {
        self.rows += group.rows();
        spliced(&mut self.parquet, group).map_err(|source| self.identity.failed(source))
    }

    /// What is encoded so far and was not taken yet.
    pub fn take_encoded(&mut self) -> PutPayload {
        let encoded = std::mem::take(self.parquet.inner_mut());
        self.taken += encoded.len();
        encoded.into_payload()
    }

    /// Closes the file. The payload is the rest of it, if some was taken before.
    ///
    /// # Errors
    /// Those of describing the file.
    pub fn finish(mut self) -> Result<EncodedFile, FileError> {
        let metadata = self
            .parquet
            .finish()
            .map_err(|source| self.identity.failed(source))?;
        let metrics = Metrics::new(&metadata, self.identity.schema.schema(), HashMap::new());
        let rest = std::mem::take(self.parquet.inner_mut());
        self.identity.encoded(self.rows, self.taken, rest, metrics)
    }
}

fn spliced(parquet: &mut SerializedFileWriter<Sink>, group: RowGroup) -> Result<(), ParquetError> {
    let mut writer = parquet.next_row_group()?;
    let (chunks, bytes) = group.into_chunks();
    for chunk in chunks {
        writer.append_column(&bytes, chunk)?;
    }
    writer.close()?;
    Ok(())
}
