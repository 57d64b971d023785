//! What became of queries, for a person: a line for each, then what is wrong, then their number.

use std::fmt;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use tabletopic_query::assert::junit::Told;
use tabletopic_query::assert::{Difference, Judged, Line, Outcome, Side};
use tabletopic_query::output::table::harmless;
use tabletopic_query::{Engine, QueryError};

use crate::commands::columns::{Cell, Columns};

/// Letters of a value that are shown.
const WIDEST: usize = 60;

/// What stands for null, as in the answers of `sql`.
const NULL: &str = "∅";

/// What is about to be done.
pub async fn heading(number: usize, engine: &Engine) -> Result<String, QueryError> {
    let queries = counted(number as u64, "query", "queries");
    Ok(match engine.default_namespace().await? {
        Some(namespace) => format!("{queries}; tables without a namespace are those of {namespace}"),
        None => queries,
    })
}

/// How a line ends.
pub struct Verdict<'a>(pub &'a Judged);

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = match &self.0.outcome {
            Outcome::Passed => AnsiColor::Green.on_default(),
            Outcome::Updated => AnsiColor::Yellow.on_default(),
            Outcome::Differs(_) | Outcome::CannotRun(_) => AnsiColor::Red.on_default(),
        };
        let word = match word(&self.0.outcome) {
            "cannot_run" => "cannot be run",
            word => word,
        };
        write!(f, "{style}{word}{style:#} ({})", seconds(self.0.took))?;
        match (&self.0.outcome, &self.0.assertion.expected) {
            (Outcome::Updated, Some(expected)) => write!(f, ": wrote {}", expected.display()),
            _ => Ok(()),
        }
    }
}

/// For people and machines.
pub fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Updated => "updated",
        Outcome::Differs(_) => "differs",
        Outcome::CannotRun(_) => "cannot_run",
    }
}

/// One sentence on what is wrong, if something is.
pub fn says(judged: &Judged) -> Option<String> {
    let expected = &judged.assertion.expected;
    Some(match (&judged.outcome, expected) {
        (Outcome::Passed | Outcome::Updated, _) => return None,
        (Outcome::CannotRun(error), _) => harmless(&error.to_string()),
        (Outcome::Differs(Difference::Rows { unexpected, .. }), None) => {
            format!(
                "{}, where no rows are expected",
                counted(*unexpected, "row", "rows")
            )
        }
        (Outcome::Differs(difference), Some(expected)) => {
            format!("the answer is not {}: {}", expected.display(), what(difference))
        }
        (Outcome::Differs(difference), None) => what(difference),
    })
}

fn what(difference: &Difference) -> String {
    match difference {
        Difference::Columns { expected, found } => format!(
            "its columns are {}, and {} are expected",
            harmless(&found.join(", ")),
            harmless(&expected.join(", "))
        ),
        Difference::Rows {
            missing, unexpected, ..
        } => match (missing, unexpected) {
            (missing, 0) => lacks(*missing),
            (0, unexpected) => beyond(*unexpected),
            (missing, unexpected) => format!("{}, {}", lacks(*missing), beyond(*unexpected)),
        },
        Difference::Order { row, .. } => format!("the same rows in another order, from row {row} on"),
    }
}

fn lacks(rows: u64) -> String {
    format!("{} missing", counted(rows, "row is", "rows are"))
}

fn beyond(rows: u64) -> String {
    format!("{} not expected", counted(rows, "row is", "rows are"))
}

/// The rows of a difference: `-` was expected, `+` is there.
struct Rows<'a>(&'a Difference);

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (columns, lines, all) = match self.0 {
            Difference::Columns { .. } => return Ok(()),
            Difference::Order { columns, lines, .. } => (columns, lines, 2),
            Difference::Rows {
                columns,
                missing,
                unexpected,
                lines,
            } => (columns, lines, missing + unexpected),
        };
        let heading = columns.iter().map(|column| cell(Some(column), Style::new()));
        let heading = [Cell::word(" ")].into_iter().chain(heading).collect();
        let mut shown: Vec<Vec<Cell>> = vec![heading];
        shown.extend(lines.iter().map(line));
        write!(f, "{}", Columns(shown))?;
        match all - lines.len() as u64 {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

fn line(line: &Line) -> Vec<Cell> {
    let (sign, colour) = match line.side {
        Side::Expected => ("-", AnsiColor::Red.on_default()),
        Side::Found => ("+", AnsiColor::Green.on_default()),
    };
    let cells = line.row.iter().map(|value| cell(value.as_deref(), colour));
    let sign = Cell::word(sign).styled(colour);
    [sign].into_iter().chain(cells).collect()
}

/// A value in one line.
fn cell(value: Option<&str>, style: Style) -> Cell {
    let text = match value {
        None => NULL.to_owned(),
        Some(value) => {
            let text = harmless(value).replace('\n', "\\n");
            match text.char_indices().nth(WIDEST) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    };
    Cell::word(text).styled(style)
}

/// All that is wrong, and the numbers.
pub struct Details<'a>(pub &'a [Judged]);

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for judged in self.0 {
            let Some(says) = says(judged) else {
                continue;
            };
            writeln!(f, "\n{}: {says}", judged.assertion.name)?;
            if let Outcome::Differs(difference) = &judged.outcome {
                write!(f, "{}", Rows(difference))?;
            }
        }
        let number = |wanted: &str| {
            let of_kind = self.0.iter().filter(|judged| word(&judged.outcome) == wanted);
            of_kind.count() as u64
        };
        let mut numbers = vec![format!("{} as expected", number("ok"))];
        for (kind, says) in [
            ("updated", "updated"),
            ("differs", "not"),
            ("cannot_run", "could not be run"),
        ] {
            if number(kind) > 0 {
                numbers.push(format!("{} {says}", number(kind)));
            }
        }
        let took = self.0.iter().map(|judged| judged.took).sum();
        writeln!(f, "\n{}; {}", numbers.join(", "), seconds(took))
    }
}

/// For the JUnit report.
pub fn told(judged: &Judged) -> Option<Told> {
    let message = says(judged)?;
    let rows = match &judged.outcome {
        Outcome::Differs(difference) => Rows(difference).to_string(),
        _ => String::new(),
    };
    let rows = anstream::adapter::strip_str(&rows);
    let details = format!("{message}\n{rows}");
    Some(Told { message, details })
}

fn counted(number: u64, one: &str, more: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {more}"),
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}
