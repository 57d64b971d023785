//! `sql`: the tables of the catalog, asked in SQL.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, bail};
use tabletopic_query::output::{Format, WholeFile};
use tabletopic_query::script::{self, ScriptError};
use tabletopic_query::{Engine, QueryError, STACK, runtime, shell};

use super::environment;
use crate::args::{Rows, Sql};
use crate::config::Config;
use crate::exit::Exit;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &Sql) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, io::stderr);
    on_stack(|| answer(&config, asked))
}

/// Runs what plans statements with the stack that it takes: the main thread's is the system's choice.
pub(super) fn on_stack<T: Send>(answer: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    thread::scope(|scope| {
        let answering = thread::Builder::new().stack_size(STACK);
        let answered = answering.spawn_scoped(scope, answer)?.join();
        answered.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn answer(config: &Config, asked: &Sql) -> anyhow::Result<Exit> {
    let runtime = runtime()?;
    let engine = runtime.block_on(engine(config))?;
    let Some((file, text)) = text(asked)? else {
        if asked.output != Rows::Table || asked.output_file.is_some() {
            bail!("the shell prints tables; --output and --output-file need --command or --file");
        }
        shell::run(&engine, &runtime, history())?;
        return Ok(Exit::Done);
    };
    let format = format(asked.output);
    let answered = match &asked.output_file {
        Some(path) => {
            let mut out =
                WholeFile::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            let answered = runtime.block_on(script::run(&engine, file.as_deref(), &text, format, &mut out));
            match answered {
                Ok(()) => out
                    .finish()
                    .with_context(|| format!("cannot write {}", path.display()))?,
                Err(_) => out.abandon(),
            }
            answered
        }
        None => {
            let mut out = BufWriter::new(io::stdout());
            runtime.block_on(script::run(&engine, file.as_deref(), &text, format, &mut out))
        }
    };
    match answered {
        Ok(()) => Ok(Exit::Done),
        // Who reads the answer, `head` for one, has had enough of it.
        Err(ScriptError {
            error: QueryError::Write(error),
            ..
        }) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(error.into()),
    }
}

/// Answers questions about the tables of this configuration's catalog.
pub(super) async fn engine(config: &Config) -> anyhow::Result<Engine> {
    let lake = parts::lake_to_ask(config).await?;
    let memory = usize::try_from(config.memory_budget).unwrap_or(usize::MAX);
    Ok(Engine::new(lake.catalog, lake.file_io, memory)?)
}

/// What is to be answered, and the file that it is from; nothing where a person sits in front of the shell.
fn text(asked: &Sql) -> anyhow::Result<Option<(Option<String>, String)>> {
    Ok(match (&asked.command, &asked.file) {
        (Some(command), _) => Some((None, command.clone())),
        (None, Some(file)) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Some((Some(file.display().to_string()), text))
        }
        (None, None) if io::stdin().is_terminal() => None,
        (None, None) => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .context("cannot read statements from standard input")?;
            Some((Some("standard input".to_owned()), text))
        }
    })
}

fn format(rows: Rows) -> Format {
    match rows {
        Rows::Table => Format::Table,
        Rows::Csv => Format::Csv,
        Rows::Json => Format::Json,
        Rows::Parquet => Format::Parquet,
    }
}

/// The shell's history, in the user's state folder (XDG Base Directory Specification).
fn history() -> Option<PathBuf> {
    let state = match environment("XDG_STATE_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(environment("HOME")?).join(".local/state"),
    };
    Some(state.join("tabletopic/history"))
}
