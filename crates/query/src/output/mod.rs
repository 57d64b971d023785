//! Answers as text or files.

mod csv;
mod json;
mod parquet;
pub mod table;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::engine::Answer;
use crate::error::QueryError;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// With a header; null is an empty field.
    Csv,
    /// One array of objects.
    Json,
    /// A file; never standard output.
    Parquet,
}

/// Writes a whole answer.
///
/// # Errors
/// Those of the query, which may come after part of it has been written; those of writing.
pub async fn write(answer: Answer, format: Format, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    match format {
        Format::Table => table::write(answer, out).await,
        Format::Csv => csv::write(answer, out).await,
        Format::Json => json::write(answer, out).await,
        Format::Parquet => parquet::write(answer, out).await,
    }
}

/// Writes to a file that is there whole or not at all, whatever was there before.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    partial: PathBuf,
    file: std::fs::File,
}

impl WholeFile {
    /// Follows a link to the file that it stands for.
    ///
    /// # Errors
    /// A folder that cannot be written to; a path that is there and no file, such as `/dev/stdout`, which the new file
    /// would take the place of.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let path = &match std::fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            there => there?,
        };
        if path.exists() && !path.is_file() {
            return Err(std::io::Error::new(
                ErrorKind::InvalidInput,
                "it is there already, and is no file that could be replaced",
            ));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let partial = path.with_file_name(name);
        Ok(Self {
            file: std::fs::File::create(&partial)?,
            path: path.to_owned(),
            partial,
        })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn finish(self) -> std::io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.partial, &self.path)
    }

    /// Removes what was written.
    pub fn abandon(self) {
        let _ = std::fs::remove_file(&self.partial);
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
