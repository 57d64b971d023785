//! Several statements, one after the other, up to the first that fails.

use std::io::Write;

use crate::engine::Engine;
use crate::error::QueryError;
use crate::output::{self, Format};
use crate::shell::command::Command;
use crate::statement::split;

/// The statement that failed. Those before it have answered, those behind it were not run.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", place(.file, *.line))]
pub struct ScriptError {
    /// The script's name; `None` for text of the command line.
    pub file: Option<String>,
    /// The line that the statement begins in, from 1.
    pub line: u64,
    pub error: QueryError,
}

fn place(file: &Option<String>, line: u64) -> String {
    match (file, line) {
        (Some(file), line) => format!("{file}:{line}: "),
        (None, 1) => String::new(),
        (None, line) => format!("line {line}: "),
    }
}

/// Runs the statements of `text`, which is that of `file` or of the command line.
///
/// # Errors
/// The first statement that fails. Parquet has room for the answer of one statement only.
pub async fn run(
    engine: &Engine,
    file: Option<&str>,
    text: &str,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), ScriptError> {
    let failed = |line, error| ScriptError {
        file: file.map(str::to_owned),
        line,
        error,
    };
    if text.trim_start().starts_with('\\') {
        return show(engine, text, out).await.map_err(|error| failed(1, error));
    }
    let statements =
        split(text).map_err(|error| failed(error.line, QueryError::Engine(error.to_string())))?;
    if let (Format::Parquet, [_, second, ..]) = (format, statements.as_slice()) {
        let error = "a Parquet file holds the answer of one statement; run the others by themselves";
        return Err(failed(second.line, QueryError::Engine(error.to_owned())));
    }
    for statement in &statements {
        let answered = async {
            output::write(engine.run(statement).await?, format, out).await?;
            Ok(out.flush()?)
        };
        answered.await.map_err(|error| failed(statement.line, error))?;
    }
    Ok(())
}

/// `-c '\d'`, as in psql: a command of the shell by itself.
async fn show(engine: &Engine, text: &str, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    match text.parse::<Command>() {
        Ok(Command::Show(what)) => what.print(engine, out).await,
        Ok(_) => Err(QueryError::Engine(format!(
            "{} does something only in the shell",
            text.trim()
        ))),
        Err(unknown) => Err(QueryError::Engine(unknown.to_string())),
    }
}
