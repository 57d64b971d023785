//! `maintain --engine`: the calls that another engine does the work by, printed for Spark, run in Trino.

use std::future::pending;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::OnceLock;

use anyhow::Context;
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_maintain::MaintainError;
use tabletopic_maintain::compact::Options;
use tabletopic_maintain::engine::trino::{Connection, Settings};
use tabletopic_maintain::engine::{Wanted, spark, trino};
use tabletopic_maintain::orphans::{LEAST_AGE, OrphansError};
use tabletopic_table::Lake;
use tokio::sync::watch;
use tokio::time::Instant;

use super::expire::millis;
use super::{each, tables};
use crate::args::{Maintain, Output, Trino};
use crate::commands::confirm;
use crate::config::Config;
use crate::exit::{Exit, UsageError};

/// What one table is to become.
async fn wanted(lake: &Lake, table: &TableIdent, asked: &Maintain) -> anyhow::Result<Wanted> {
    let orphans = asked.orphans.then(|| millis(asked.orphans_older_than()));
    if orphans.is_some_and(|age| age < LEAST_AGE) {
        // Engines would take what waits to be committed.
        return Err(OrphansError::TooYoung.into());
    }
    let loaded = lake.catalog.load(table).await.map_err(MaintainError::from)?;
    let policy = Options::BY_HAND.policy(&loaded, lake.clock.now());
    Ok(Wanted {
        table: table.clone(),
        target: policy.target,
        older_than: asked.older_than.map(millis),
        orphans,
    })
}

/// What the engine calls the catalog.
fn catalog_name<'a>(config: &'a Config, asked: &'a Maintain) -> &'a str {
    asked.catalog_name.as_deref().unwrap_or(&config.catalog.name)
}

/// The calls for one table.
#[derive(Debug, Serialize)]
struct Printed {
    table: String,
    engine: &'static str,
    statements: Vec<String>,
}

/// Prints the calls, which Spark's SQL shell takes as a file.
pub async fn spark(config: &Config, asked: &Maintain) -> anyhow::Result<Exit> {
    let (lake, tables) = tables(config, &asked.table).await?;
    each(&tables, asked.output, text_of_calls, async |table| {
        let wanted = wanted(&lake, table, asked).await?;
        let printed = Printed {
            table: table.to_string(),
            engine: "spark",
            statements: spark::statements(catalog_name(config, asked), &wanted, lake.clock.now()),
        };
        Ok((printed, Exit::Done))
    })
    .await
}

fn text_of_calls(printed: &Printed) -> String {
    format!("-- {}\n{}\n", printed.table, printed.statements.join("\n"))
}

/// What Trino was asked to do to one table, or would be.
#[derive(Debug, Serialize)]
struct Asked {
    table: String,
    engine: &'static str,
    dry_run: bool,
    statements: Vec<Statement>,
}

#[derive(Debug, Serialize)]
struct Statement {
    statement: String,
    /// `null`: it was not run.
    query_id: Option<String>,
    seconds: Option<f64>,
}

/// Has Trino do it, one statement after the other.
pub async fn trino(config: &Config, asked: &Maintain) -> anyhow::Result<Exit> {
    let connection = Connection::new(settings(&asked.trino)?)?;
    // Not before there is a query to cancel: Ctrl-C ends a question.
    let stop = OnceLock::new();
    let (lake, tables) = tables(config, &asked.table).await?;
    each(&tables, asked.output, text_of_asked, async |table| {
        let wanted = wanted(&lake, table, asked).await?;
        let statements = trino::statements(catalog_name(config, asked), &wanted);
        let statements = match asked.dry_run {
            true => statements.into_iter().map(not_run).collect(),
            false => {
                if asked.orphans && !asked.yes {
                    writeln!(
                        io::stderr(),
                        "{table}: Trino removes the files that nothing leads to"
                    )?;
                    confirm(&table.to_string())?;
                }
                let stop = stop.get_or_init(Stop::listen).clone();
                all(&connection, statements, asked.output, stop).await?
            }
        };
        let done = Asked {
            table: table.to_string(),
            engine: "trino",
            dry_run: asked.dry_run,
            statements,
        };
        Ok((done, Exit::Done))
    })
    .await
}

fn settings(asked: &Trino) -> anyhow::Result<Settings> {
    let password = match &asked.trino_password_file {
        None => None,
        Some(file) => {
            let read = std::fs::read_to_string(file)
                .map_err(|error| UsageError(format!("--trino-password-file {}: {error}", file.display())))?;
            Some(read.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    Ok(Settings {
        url: asked
            .trino_url
            .clone()
            .context("--engine trino needs a --trino-url")?,
        user: asked.trino_user.clone(),
        password,
    })
}

fn not_run(statement: String) -> Statement {
    Statement {
        statement,
        query_id: None,
        seconds: None,
    }
}

/// Those behind one that fails are not run.
async fn all(
    connection: &Connection,
    statements: Vec<String>,
    output: Output,
    stop: Stop,
) -> anyhow::Result<Vec<Statement>> {
    let mut stop = pin!(stop.heard());
    let mut done = Vec::new();
    for statement in statements {
        if output == Output::Text {
            writeln!(io::stdout(), "{statement}")?;
        }
        let began = Instant::now();
        let query_id = connection.run(&statement, &mut stop).await?;
        done.push(Statement {
            statement,
            query_id: Some(query_id),
            seconds: Some(began.elapsed().as_secs_f64()),
        });
    }
    Ok(done)
}

/// Hears of Ctrl-C, for all tables: once it is listened for, it does not end the process.
#[derive(Debug, Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    fn listen() -> Self {
        let (told, stopped) = watch::channel(false);
        tokio::spawn(async move {
            // Where it can't be listened for, the process ends by it.
            if tokio::signal::ctrl_c().await.is_ok() {
                told.send_replace(true);
            }
        });
        Self(stopped)
    }

    async fn heard(mut self) {
        if self.0.wait_for(|stopped| *stopped).await.is_err() {
            pending().await
        }
    }
}

fn text_of_asked(asked: &Asked) -> String {
    let told = asked
        .statements
        .iter()
        .map(|each| match (&each.query_id, each.seconds) {
            (Some(query_id), Some(seconds)) => {
                format!("  {seconds:.1} s in query {query_id}: {}\n", each.statement)
            }
            _ => format!("  would run: {}\n", each.statement),
        });
    let what = match asked.dry_run {
        true => "would be done by Trino",
        false => "done by Trino",
    };
    format!("{}: {what}\n{}", asked.table, told.collect::<String>())
}
