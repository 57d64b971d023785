//! Several statements, one after the other, up to the first that fails. Between them, lines that are commands of the
//! shell, as in psql.

use std::io::Write;

use crate::engine::Engine;
use crate::error::QueryError;
use crate::output::{self, Format};
use crate::shell::command::{Command, Show};
use crate::statement::{Statement, split};

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
    let steps = steps(text).map_err(|(line, error)| failed(line, error))?;
    let mut statements = steps.iter().filter(|(_, step)| matches!(step, Step::Ask(_)));
    if let (Format::Parquet, Some((line, _))) = (format, statements.nth(1)) {
        let error = "a Parquet file holds the answer of one statement; run the others by themselves";
        return Err(failed(*line, QueryError::Engine(error.to_owned())));
    }
    for (line, step) in &steps {
        let done = async {
            match step {
                Step::Ask(statement) => output::write(engine.run(statement).await?, format, out).await?,
                Step::Show(show) => show.print(engine, out).await?,
            }
            Ok(out.flush()?)
        };
        done.await.map_err(|error| failed(*line, error))?;
    }
    Ok(())
}

enum Step {
    Ask(Statement),
    Show(Show),
}

/// Everything that a script does, each with the line that it begins in; nothing is run of one that can't be read.
fn steps(text: &str) -> Result<Vec<(u64, Step)>, (u64, QueryError)> {
    let mut steps = Vec::new();
    let mut sql = String::new();
    let mut began = 1;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let command = line.trim_start().starts_with('\\') && is_at_rest(&sql);
        if !command {
            sql.push_str(line);
            continue;
        }
        ask(&mut steps, &sql, began)?;
        sql.clear();
        began = number + 1;
        match line.parse::<Command>() {
            Ok(Command::Show(show)) => steps.push((number, Step::Show(show))),
            Ok(_) => {
                let error = format!("{} does something only in the shell", line.trim());
                return Err((number, QueryError::Engine(error)));
            }
            Err(unknown) => return Err((number, QueryError::Engine(unknown.to_string()))),
        }
    }
    ask(&mut steps, &sql, began)?;
    Ok(steps)
}

/// Adds the statements of `sql`, which begins in line `began` of the script.
fn ask(steps: &mut Vec<(u64, Step)>, sql: &str, began: u64) -> Result<(), (u64, QueryError)> {
    let in_script = |line: u64| began + line.saturating_sub(1);
    let statements =
        split(sql).map_err(|error| (in_script(error.line), QueryError::Engine(error.to_string())))?;
    steps.extend(
        statements
            .into_iter()
            .map(|statement| (in_script(statement.line), Step::Ask(statement))),
    );
    Ok(())
}

/// Whether no statement is under way, which a line with a backslash would belong to.
fn is_at_rest(sql: &str) -> bool {
    split(sql).is_ok_and(|statements| statements.iter().all(|statement| statement.ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_between_statements_and_each_has_its_line() {
        let text = "\\dt\nSELECT 1;\n-- note\n\\d orders\n\nSELECT '\n\\d\n';\nSELECT 2";
        let steps = steps(text).unwrap();
        let seen: Vec<(u64, bool)> = steps
            .iter()
            .map(|(line, step)| (*line, matches!(step, Step::Show(_))))
            .collect();
        assert_eq!(seen, [(1, true), (2, false), (4, true), (6, false), (9, false)]);
    }

    #[test]
    fn what_cannot_be_read_names_its_line_in_the_script() {
        for (text, line) in [
            ("\\d\nSELECT 1;\n\\x", 3),
            ("\\d\n\nSELECT 'a", 3),
            ("SELECT 1;\n\\q", 2),
        ] {
            assert_eq!(steps(text).map(|_| ()).unwrap_err().0, line, "{text}");
        }
    }
}
