//! The interactive shell: a line editor around the engine. No error leaves it.

pub(crate) mod command;
mod complete;
mod describe;
mod editor;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use futures::FutureExt;
use rustyline::error::ReadlineError;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::Engine;
use crate::error::QueryError;
use crate::output::table::Collected;
use crate::statement::{Statement, split};
use command::Command;
use editor::Editor;

const PROMPT: &str = "sql> ";

/// The shell could not go on; no query's doing.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    #[error("the terminal failed: {0}")]
    Terminal(#[from] ReadlineError),
    #[error("cannot set the shell up: {0}")]
    Setup(#[from] std::io::Error),
}

/// Runs until `\q` or the end of the input.
///
/// `history` is the file that remembers lines from one shell to the next; without one, they are forgotten.
///
/// # Errors
/// Those of the terminal.
pub fn run(engine: &Engine, runtime: &Runtime, history: Option<PathBuf>) -> Result<(), ShellError> {
    let mut editor = Editor::new(history)?;
    editor.offer(runtime.block_on(complete::names(engine)));
    let mut shell = Shell {
        engine: engine.clone(),
        runtime,
        queries: crate::runtime::runtime()?,
        // From here on Ctrl-C ends a query, never the process.
        interrupt: runtime.block_on(async { signal(SignalKind::interrupt()) })?,
        timing: true,
    };
    println!(
        "tabletopic {}; \\? for help, \\q to leave",
        env!("CARGO_PKG_VERSION")
    );
    loop {
        match editor.read(PROMPT) {
            Ok(line) => {
                editor.remember(&line);
                if shell.answer(line.trim()).is_break() {
                    return Ok(());
                }
                // Who asks what there is gets what is new there completed, too.
                if line.starts_with("\\d") {
                    editor.offer(runtime.block_on(complete::names(engine)));
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

type Flow = std::ops::ControlFlow<()>;

/// What people of other shells type to leave.
fn leaves(line: &str) -> bool {
    let word = line.trim().trim_end_matches(';').trim_end();
    ["exit", "quit"]
        .iter()
        .any(|leave| word.eq_ignore_ascii_case(leave))
}

struct Shell<'a> {
    engine: Engine,
    /// Where the shell waits, and sees Ctrl-C.
    runtime: &'a Runtime,
    /// Where queries run.
    queries: Runtime,
    interrupt: Signal,
    timing: bool,
}

impl Shell<'_> {
    fn answer(&mut self, line: &str) -> Flow {
        // What was pressed when nothing ran is not for what runs now.
        while self.interrupt.recv().now_or_never().flatten().is_some() {}
        if leaves(line) {
            return Flow::Break(());
        }
        if line.starts_with('\\') {
            return self.command(line);
        }
        match split(line) {
            Ok(statements) => {
                // As in a script, what follows a failure is not run.
                let _ = statements.iter().try_for_each(|statement| self.query(statement));
            }
            Err(error) => eprintln!("error: {error}"),
        }
        Flow::Continue(())
    }

    fn command(&mut self, line: &str) -> Flow {
        let command = match line.parse::<Command>() {
            Ok(command) => command,
            Err(error) => {
                eprintln!("error: {error}");
                return Flow::Continue(());
            }
        };
        let out = &mut std::io::stdout();
        let done = match command {
            Command::Quit => return Flow::Break(()),
            Command::Timing => {
                self.timing = !self.timing;
                let state = if self.timing { "on" } else { "off" };
                writeln!(out, "timing is {state}").map_err(QueryError::from)
            }
            Command::Show(what) => self.runtime.block_on(what.print(&self.engine, out)),
        };
        if let Err(error) = done {
            eprintln!("error: {error}");
        }
        Flow::Continue(())
    }

    /// Runs a statement until it is answered or somebody presses Ctrl-C. Breaks where it was not answered.
    ///
    /// A join may compare rows for hours without letting go of its threads. A query that is given up is left alone with
    /// them, and ends with the shell at the latest.
    fn query(&mut self, statement: &Statement) -> Flow {
        let started = Instant::now();
        let Self {
            engine,
            runtime,
            queries,
            interrupt,
            timing,
        } = self;
        let (engine, statement) = (engine.clone(), statement.clone());
        let mut running = queries.spawn(async move { Collected::of(engine.run(&statement).await?).await });
        let answered = runtime.block_on(async {
            tokio::select! {
                answered = &mut running => Some(answered),
                _ = interrupt.recv() => None,
            }
        });
        let note = match timing {
            true => format!(", {} ms", started.elapsed().as_millis()),
            false => String::new(),
        };
        let printed = match answered {
            Some(Ok(answer)) => answer.and_then(|rows| rows.print(&note, &mut std::io::stdout())),
            Some(Err(died)) => Err(QueryError::Engine(format!("the query died: {died}"))),
            None => {
                eprintln!("cancelled");
                running.abort();
                match crate::runtime::runtime() {
                    Ok(fresh) => std::mem::replace(queries, fresh).shutdown_background(),
                    Err(error) => eprintln!("error: cannot leave the query alone: {error}"),
                }
                return Flow::Break(());
            }
        };
        match printed {
            Ok(()) => Flow::Continue(()),
            Err(error) => {
                eprintln!("error: {error}");
                Flow::Break(())
            }
        }
    }
}
