//! What a query answers, as text, as far as it is needed.

use std::mem::size_of;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;

use super::difference::{Difference, Line, SHOWN, Side};
use super::rows::{Cell, Row, Rows};
use crate::engine::Answer;
use crate::error::{QueryError, quoted};

/// Bytes of memory that an answer's cells may take.
const MOST_BYTES: usize = 64 << 20;

/// All rows of an answer.
///
/// # Errors
/// Those of the query; nested columns, which have no text that could be told apart; more rows than fit.
pub async fn whole(mut answer: Answer) -> Result<Rows, QueryError> {
    let columns = columns(&answer)?;
    let mut rows = Vec::new();
    let mut bytes = 0;
    while let Some(batch) = answer.batches.try_next().await.map_err(QueryError::of)? {
        for row in text(&batch)? {
            let row = row?;
            bytes += row.iter().map(size).sum::<usize>();
            if bytes > MOST_BYTES {
                let most = MOST_BYTES >> 20;
                return Err(QueryError::Engine(format!(
                    "the answer takes more than {most} MiB, after {} rows; ask for counts or sums, or in several files",
                    rows.len()
                )));
            }
            rows.push(row);
        }
    }
    Ok(Rows { columns, rows })
}

fn size(cell: &Cell) -> usize {
    size_of::<Cell>() + cell.as_ref().map_or(0, String::len)
}

/// The difference to an answer without rows: the first of them, and their number.
///
/// # Errors
/// Those of the query; nested columns.
pub async fn counted(mut answer: Answer) -> Result<Option<Difference>, QueryError> {
    let columns = columns(&answer)?;
    let mut lines = Vec::new();
    let mut unexpected = 0;
    while let Some(batch) = answer.batches.try_next().await.map_err(QueryError::of)? {
        unexpected += batch.num_rows() as u64;
        let room = SHOWN - lines.len();
        for row in text(&batch)?.take(room) {
            lines.push(Line {
                side: Side::Found,
                row: row?,
            });
        }
    }
    Ok((unexpected > 0).then_some(Difference::Rows {
        columns,
        missing: 0,
        unexpected,
        lines,
    }))
}

fn columns(answer: &Answer) -> Result<Vec<String>, QueryError> {
    let fields = answer.schema.fields();
    match fields.iter().find(|field| field.data_type().is_nested()) {
        Some(nested) => Err(QueryError::Engine(format!(
            "column {} is nested, and has no text to compare; name its fields",
            quoted(nested.name())
        ))),
        None => Ok(fields.iter().map(|field| field.name().clone()).collect()),
    }
}

/// The rows of a batch, each value as `tabletopic sql --output csv` writes it.
fn text(batch: &RecordBatch) -> Result<impl Iterator<Item = Result<Row, QueryError>>, QueryError> {
    let options = FormatOptions::new();
    let formatters: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()?;
    Ok((0..batch.num_rows()).map(move |row| {
        let cells = batch.columns().iter().zip(&formatters);
        let cells = cells.map(|(column, formatter)| match column.is_null(row) {
            true => Ok(None),
            false => Ok(Some(formatter.value(row).try_to_string()?)),
        });
        cells.collect()
    }))
}
