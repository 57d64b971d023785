//! Assertions in SQL: a query in a file, and what it has to answer. `docs/test-sql.md` has the rules.

mod answer;
mod csv;
mod difference;
mod error;
mod files;
pub mod junit;
mod rows;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::Engine;
use crate::output::WholeFile;
use crate::statement::Statement;

pub use difference::{Difference, Line, Side};
pub use error::AssertError;
pub use files::{FindError, find};
pub use rows::{Cell, Row};

use rows::Rows;

/// A query's file, and what it is expected to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The path without `.sql`, as it was found.
    pub name: String,
    pub query: PathBuf,
    /// A CSV file; without one the query must answer no rows.
    pub expected: Option<PathBuf>,
}

/// How queries are judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long each query may take.
    pub timeout: Duration,
    /// Whether expectations that differ are written anew.
    pub expectations: Expectations,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectations {
    Kept,
    Updated,
}

/// What became of one assertion.
#[derive(Debug)]
pub struct Judged {
    pub assertion: Assertion,
    pub outcome: Outcome,
    pub took: Duration,
}

#[derive(Debug)]
pub enum Outcome {
    Passed,
    /// The expectation was another one, and is now what the query answered.
    Updated,
    Differs(Difference),
    /// Neither holds nor fails: nothing could be judged.
    CannotRun(AssertError),
}

/// Asks, and compares.
pub async fn judge(engine: &Engine, assertion: Assertion, rules: Rules) -> Judged {
    let began = Instant::now();
    let judged = tokio::time::timeout(rules.timeout, outcome(engine, &assertion, rules.expectations));
    let outcome = match judged.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::CannotRun(error),
        Err(_) => Outcome::CannotRun(AssertError::Timeout {
            query: assertion.query.clone(),
            limit: rules.timeout,
        }),
    };
    Judged {
        assertion,
        outcome,
        took: began.elapsed(),
    }
}

async fn outcome(
    engine: &Engine,
    assertion: &Assertion,
    expectations: Expectations,
) -> Result<Outcome, AssertError> {
    let text = files::query(&assertion.query)?;
    let failed = |error| AssertError::query(&assertion.query, &text, error);
    let statement: Statement = text.parse().map_err(failed)?;
    let ordered = statement.is_ordered().map_err(failed)?;
    let Some(file) = &assertion.expected else {
        let found = answer::counted(engine.run(&statement).await.map_err(failed)?);
        let found = found.await.map_err(failed)?;
        return Ok(found.map_or(Outcome::Passed, Outcome::Differs));
    };
    let found = answer::whole(engine.run(&statement).await.map_err(failed)?);
    let found = found.await.map_err(failed)?;
    let difference = files::expected(file).map(|expected| difference::between(&expected, &found, ordered));
    match (difference, expectations) {
        (Ok(None), _) => Ok(Outcome::Passed),
        (Ok(Some(difference)), Expectations::Kept) => Ok(Outcome::Differs(difference)),
        (Err(error), Expectations::Kept) => Err(error),
        // What cannot be read is written anew, too: an empty file is how an expectation is begun.
        (_, Expectations::Updated) => {
            let found = if ordered { found } else { found.sorted() };
            write(file, &found).map_err(|error| AssertError::Write {
                file: file.clone(),
                error,
            })?;
            Ok(Outcome::Updated)
        }
    }
}

fn write(file: &Path, rows: &Rows) -> std::io::Result<()> {
    let mut whole = WholeFile::create(file)?;
    match whole.write_all(csv::print(rows).as_bytes()) {
        Ok(()) => whole.finish(),
        Err(error) => {
            whole.abandon();
            Err(error)
        }
    }
}
