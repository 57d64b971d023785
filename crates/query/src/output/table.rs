//! A table for people.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use futures::TryStreamExt;

use crate::engine::Answer;
use crate::error::QueryError;

/// A table is as wide as its widest value, so that all of it has to be held; nobody reads more than this.
const MOST_ROWS: usize = 10_000;

/// What stands for null: nothing that a text is likely to be.
const NULL: &str = "∅";

/// Rows of an answer that fit into a table.
#[derive(Debug)]
pub struct Collected {
    /// At least one, for the header.
    batches: Vec<RecordBatch>,
    rows: usize,
    /// Whether the answer has more rows.
    more: bool,
}

impl Collected {
    /// Takes what fits, and ends the query there.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn of(mut answer: Answer) -> Result<Self, QueryError> {
        let mut collected = Self {
            batches: vec![RecordBatch::new_empty(answer.schema.clone())],
            rows: 0,
            more: false,
        };
        while let Some(batch) = answer.batches.try_next().await.map_err(QueryError::of)? {
            let room = MOST_ROWS - collected.rows;
            if batch.num_rows() > room {
                collected.more = true;
                collected.batches.push(batch.slice(0, room));
                collected.rows += room;
                break;
            }
            collected.rows += batch.num_rows();
            collected.batches.push(batch);
        }
        Ok(collected)
    }

    /// Rows that are here already.
    pub fn ready(batch: RecordBatch) -> Self {
        Self {
            rows: batch.num_rows(),
            batches: vec![batch],
            more: false,
        }
    }

    /// Prints the table, and below it how many rows it has; `note` is added to that.
    ///
    /// # Errors
    /// Those of writing; values that have no text.
    pub fn print(&self, note: &str, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
        let options = FormatOptions::new().with_null(NULL);
        let text = pretty_format_batches_with_options(&self.batches, &options)?;
        let rows = self.rows;
        let count = match (self.more, rows) {
            (true, _) => format!(
                "the first {rows} rows; there are more: add LIMIT, or write all of them with --output csv"
            ),
            (false, 1) => "1 row".to_owned(),
            (false, _) => format!("{rows} rows"),
        };
        writeln!(out, "{}\n({count}{note})", harmless(&text.to_string()))?;
        Ok(())
    }
}

/// Values are what somebody has sent: what a terminal would obey is shown instead.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if letter.is_control() && letter != '\n' => shown.extend(letter.escape_default()),
            letter => shown.push(letter),
        }
    }
    shown
}

pub async fn write(answer: Answer, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    Collected::of(answer).await?.print("", out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_nothing_to_obey() {
        assert_eq!(
            harmless("a\u{1b}[2Jb\tc\nd\u{9b}é"),
            "a\\u{1b}[2Jb\\tc\nd\\u{9b}é"
        );
    }
}
