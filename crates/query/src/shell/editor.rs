//! The line editor: multi-line statements, history and completion.

use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Helper};

use super::complete::{Names, complete};
use super::leaves;
use crate::statement::split;

/// Entries that the history keeps.
const REMEMBERED: usize = 1000;

pub struct Editor {
    lines: rustyline::Editor<Sql, FileHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    /// Reads what was remembered; a history that cannot be read or written is no reason not to work.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn new(history: Option<PathBuf>) -> Result<Self, ReadlineError> {
        let config = Config::builder()
            .max_history_size(REMEMBERED)?
            .completion_type(CompletionType::List)
            .build();
        let mut lines = rustyline::Editor::with_config(config)?;
        lines.set_helper(Some(Sql::default()));
        if let Some(file) = &history {
            if let Some(folder) = file.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            let _ = lines.load_history(file);
        }
        Ok(Self { lines, history })
    }

    /// Reads a command, or lines up to a semicolon.
    ///
    /// # Errors
    /// `Interrupted` by Ctrl-C, `Eof` by Ctrl-D, and those of the terminal.
    pub fn read(&mut self, prompt: &str) -> Result<String, ReadlineError> {
        self.lines.readline(prompt)
    }

    /// Written at once, so that no crash takes it.
    pub fn remember(&mut self, line: &str) {
        let _ = self.lines.add_history_entry(line.trim_end());
        if let Some(file) = &self.history {
            let _ = self.lines.append_history(file);
        }
    }

    /// What completion offers from now on.
    pub fn offer(&mut self, names: Names) {
        if let Some(helper) = self.lines.helper_mut() {
            helper.names = names;
        }
    }
}

/// What the editor knows of SQL.
#[derive(Debug, Default)]
struct Sql {
    names: Names,
}

impl Completer for Sql {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&self.names, line, at))
    }
}

impl Validator for Sql {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if whole(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

/// Whether a line can be answered, or needs another one.
fn whole(text: &str) -> bool {
    if text.trim_start().starts_with('\\') || leaves(text) {
        return true;
    }
    match split(text) {
        Ok(statements) => statements.last().is_none_or(|last| last.ended),
        Err(error) => !error.unfinished(),
    }
}

impl Hinter for Sql {
    type Hint = String;
}

impl Highlighter for Sql {}
impl Helper for Sql {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_goes_on_until_its_semicolon() {
        assert!(!whole("SELECT 1"));
        assert!(!whole("SELECT ';"));
        assert!(whole("SELECT 1;"));
        assert!(!whole("SELECT 1; SELECT"));
        assert!(whole("\\d"));
        assert!(whole("exit"), "as in other shells");
        assert!(whole(""), "an empty line asks nothing");
    }
}
