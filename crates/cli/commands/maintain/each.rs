//! One table after the other: the failure of one does not keep the next from being done, nor what is done from being told.

use std::io::{self, Write};

use iceberg::TableIdent;
use serde::Serialize;

use crate::args::Output;
use crate::exit::Exit;
use crate::sentence::sentence;

/// Does `one` to each table and shows what came of it. Failures go to standard error; answers the worst exit code.
///
/// # Errors
/// What is told cannot be written.
pub async fn each<T: Serialize>(
    tables: &[TableIdent],
    output: Output,
    text: impl Fn(&T) -> String,
    one: impl AsyncFn(&TableIdent) -> anyhow::Result<(T, Exit)>,
) -> anyhow::Result<Exit> {
    let mut exits = Vec::new();
    let mut documents = Vec::new();
    for table in tables {
        match one(table).await {
            Ok((document, exit)) => {
                exits.push(exit);
                match output {
                    Output::Text => write!(anstream::stdout(), "{}", text(&document))?,
                    Output::Json => documents.push(document),
                }
            }
            Err(error) => exits.push(failed(table, &error)),
        }
    }
    if output == Output::Json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&documents)?)?;
    }
    Ok(Exit::first_of(exits))
}

/// Tells of a table that could not be done.
pub fn failed(table: &TableIdent, error: &anyhow::Error) -> Exit {
    eprintln!("error: {table}: {}", sentence(error));
    Exit::of(error)
}
