//! `test-sql`: queries that say what they have to answer.

mod text;

use std::io::Write;
use std::path::Path;

use chrono::DateTime;
use serde::Serialize;
use tabletopic_catalog::CatalogError;
use tabletopic_clock::{Clock, Millis, SystemClock};
use tabletopic_query::assert::{
    AssertError, Assertion, Difference, Expectations, Judged, Outcome, Rules, find, judge, junit,
};
use tabletopic_query::output::WholeFile;
use tabletopic_query::{Engine, QueryError, runtime};

use super::environment;
use super::sql::{engine, on_stack};
use crate::args::{Output, TestSql};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::logging;
use crate::progress::Progress;

pub fn run(file: &Path, asked: &TestSql) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    let assertions = wanted(asked)?;
    // Before anything is asked, which may take long.
    let junit = asked.junit.as_deref().map(report).transpose()?;
    let began = SystemClock.now();
    let tested = on_stack(|| test(&config, asked, assertions, &progress));
    let all = match (tested, junit) {
        (Ok(all), None) => all,
        (Ok(all), Some(mut junit)) => {
            junit::write(&all, &iso(began), text::told, &mut junit)?;
            junit.finish()?;
            all
        }
        (Err(error), junit) => {
            if let Some(junit) = junit {
                junit.abandon();
            }
            return Err(error);
        }
    };
    let exit = Exit::first_of(all.iter().map(exit));
    if asked.output == Output::Json {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{}", serde_json::to_string_pretty(&document(&all, exit))?)?;
    }
    Ok(exit)
}

/// What is asked for; never nothing.
fn wanted(asked: &TestSql) -> Result<Vec<Assertion>, UsageError> {
    let mut assertions = find(&asked.paths).map_err(|error| UsageError(error.to_string()))?;
    if let Some(filter) = &asked.filter {
        let found = assertions.len();
        assertions.retain(|assertion| assertion.name.contains(filter.as_str()));
        if assertions.is_empty() {
            let words = format!("none of the {found} queries has {filter:?} in its path");
            return Err(UsageError(words));
        }
    }
    Ok(assertions)
}

fn report(file: &Path) -> Result<WholeFile, UsageError> {
    WholeFile::create(file)
        .map_err(|error| UsageError(format!("cannot write the report {}: {error}", file.display())))
}

fn test(
    config: &Config,
    asked: &TestSql,
    assertions: Vec<Assertion>,
    progress: &Progress,
) -> anyhow::Result<Vec<Judged>> {
    let rules = Rules {
        timeout: asked.timeout,
        expectations: match asked.update {
            true => Expectations::Updated,
            false => Expectations::Kept,
        },
    };
    runtime()?.block_on(async {
        let engine = in_namespace(engine(config).await?, asked.namespace.as_deref()).await?;
        let number = assertions.len();
        let mut all = Vec::with_capacity(number);
        match asked.output {
            Output::Json => {
                let shown = progress.of_counted("testing".to_owned());
                for assertion in assertions {
                    all.push(judge(&engine, assertion, rules).await);
                    shown.set("queries", all.len() as u64, number as u64);
                }
            }
            Output::Text => {
                let mut out = anstream::stdout().lock();
                writeln!(out, "{}\n", text::heading(number, &engine).await?)?;
                for assertion in assertions {
                    write!(out, "{} ... ", assertion.name)?;
                    out.flush()?;
                    let judged = judge(&engine, assertion, rules).await;
                    writeln!(out, "{}", text::Verdict(&judged))?;
                    all.push(judged);
                }
                write!(out, "{}", text::Details(&all))?;
            }
        }
        Ok(all)
    })
}

async fn in_namespace(engine: Engine, namespace: Option<&str>) -> anyhow::Result<Engine> {
    let Some(namespace) = namespace else {
        return Ok(engine);
    };
    engine.in_namespace(namespace).await.map_err(|error| match error {
        unknown @ QueryError::UnknownNamespace { .. } => UsageError(unknown.to_string()).into(),
        other => other.into(),
    })
}

fn exit(judged: &Judged) -> Exit {
    match &judged.outcome {
        Outcome::Passed | Outcome::Updated => Exit::Done,
        Outcome::Differs(_) => Exit::Differs,
        Outcome::CannotRun(AssertError::Query {
            error: QueryError::Catalog(CatalogError::Unavailable { .. }),
            ..
        }) => Exit::Later,
        Outcome::CannotRun(_) => Exit::Failed,
    }
}

fn iso(at: Millis) -> String {
    let at = DateTime::from_timestamp_millis(at).unwrap_or_default();
    at.format("%Y-%m-%dT%H:%M:%S").to_string()
}

#[derive(Serialize)]
struct Document<'a> {
    exit_code: u8,
    tests: Vec<Test<'a>>,
}

#[derive(Serialize)]
struct Test<'a> {
    name: &'a str,
    query: &'a Path,
    /// `None`: no rows are expected.
    expected: Option<&'a Path>,
    seconds: f64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<&'a Difference>,
}

fn document(all: &[Judged], exit: Exit) -> Document<'_> {
    Document {
        exit_code: exit as u8,
        tests: all.iter().map(entry).collect(),
    }
}

fn entry(judged: &Judged) -> Test<'_> {
    Test {
        name: &judged.assertion.name,
        query: &judged.assertion.query,
        expected: judged.assertion.expected.as_deref(),
        seconds: judged.took.as_secs_f64(),
        outcome: text::word(&judged.outcome),
        says: text::says(judged),
        difference: match &judged.outcome {
            Outcome::Differs(difference) => Some(difference),
            _ => None,
        },
    }
}
