//! Why an assertion could not be judged.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::QueryError;
use crate::statement::split;

#[derive(Debug, thiserror::Error)]
pub enum AssertError {
    #[error("cannot read {}: {error}", .file.display())]
    Read { file: PathBuf, error: io::Error },

    #[error("cannot write {}: {error}", .file.display())]
    Write { file: PathBuf, error: io::Error },

    #[error("{} has more than {most} bytes, which is more than is read here", .file.display())]
    TooLarge { file: PathBuf, most: u64 },

    #[error("{}:{line}: {reason}", .file.display())]
    Expected {
        file: PathBuf,
        line: usize,
        reason: String,
    },

    #[error("{}:{line}: {error}", .file.display())]
    Query {
        file: PathBuf,
        /// The line that the statement begins in, from 1.
        line: u64,
        error: QueryError,
    },

    #[error("{}: no answer after {}; --timeout gives it longer", .query.display(), humantime(*.limit))]
    Timeout { query: PathBuf, limit: Duration },
}

impl AssertError {
    /// What went wrong with the query of a file, whose text this is.
    pub fn query(file: &Path, text: &str, error: QueryError) -> Self {
        let line = match split(text) {
            Ok(statements) => statements.first().map_or(1, |first| first.line),
            Err(unreadable) => unreadable.line,
        };
        Self::Query {
            file: file.to_owned(),
            line,
            error,
        }
    }
}

fn humantime(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{} s", duration.as_secs()),
        _ => format!("{} ms", duration.as_millis()),
    }
}
