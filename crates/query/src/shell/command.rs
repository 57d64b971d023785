//! Commands of the shell, named as psql names them.

use std::io::Write;
use std::str::FromStr;

use super::describe;
use crate::engine::Engine;
use crate::error::QueryError;

pub const HELP: &str = r#"Statements end with a semicolon and may span lines; Ctrl-C clears the line or ends a query.

  \d            all tables (also \dt, or SHOW TABLES)
  \d TABLE      a table's columns, partitions and state
  \dt NAME      the tables of this name; * stands for any letters
  \timing       show how long queries take, or stop showing it
  \?            this
  \q            leave (also Ctrl-D)

  "orders$snapshots"   also $history, $refs, $manifests, $files, $partitions, $offsets, $dead_letters
  "orders@8839"        the table at a snapshot; "orders@2026-01-31T00:00:00Z" at a time"#;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Show(Show),
    Timing,
    Quit,
}

/// What only prints something, and so has its place in a script as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    Help,
    /// Those whose name fits, where one is given: see [`describe::tables`].
    Tables(Option<String>),
    Table(String),
}

impl Show {
    /// # Errors
    /// A table that does not exist; those of the catalog and of writing.
    pub async fn print(&self, engine: &Engine, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
        match self {
            Self::Help => Ok(writeln!(out, "{HELP}")?),
            Self::Tables(name) => describe::tables(engine, name.as_deref(), out).await,
            Self::Table(name) => describe::table(engine, name, out).await,
        }
    }
}

/// A line that begins with a backslash and is no command.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no command of this shell; \\? lists them all")]
pub struct UnknownCommand(String);

impl FromStr for Command {
    type Err = UnknownCommand;

    fn from_str(line: &str) -> Result<Self, UnknownCommand> {
        // A semicolon out of habit is no part of a name.
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Ok(match (name, argument.trim()) {
            ("\\d" | "\\dt", "") => Self::Show(Show::Tables(None)),
            ("\\dt", name) => Self::Show(Show::Tables(Some(name.to_owned()))),
            ("\\d", table) => Self::Show(Show::Table(table.to_owned())),
            ("\\timing", "") => Self::Timing,
            ("\\?", "") => Self::Show(Show::Help),
            ("\\q", "") => Self::Quit,
            _ => return Err(UnknownCommand(line.to_owned())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_and_without_a_semicolon() {
        let describe = Command::Show(Show::Table("shop.orders".to_owned()));
        assert_eq!("\\d  shop.orders;".parse::<Command>().unwrap(), describe);
        let tables = |name: Option<&str>| Command::Show(Show::Tables(name.map(str::to_owned)));
        assert_eq!("\\dt".parse::<Command>().unwrap(), tables(None));
        assert_eq!("\\dt ord*;".parse::<Command>().unwrap(), tables(Some("ord*")));
        assert_eq!("\\q".parse::<Command>().unwrap(), Command::Quit);
        let error = "\\x".parse::<Command>().unwrap_err().to_string();
        assert!(error.contains("\\?"), "{error}");
    }
}
