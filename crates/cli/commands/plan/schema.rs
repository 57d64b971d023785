//! `plan --subject` and `plan --schema`: what would become of a table if its records had this schema.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use console::style;
use serde_json::{Value, json};
use tabletopic_decode::{DecodeSettings, Format, WriterSchemas, imported};
use tabletopic_ingest::plan::{Action, NextSchema, next_schema};
use tabletopic_ingest::run::RunError;
use tabletopic_ingest::{Job, imports};
use tabletopic_registry::{Answer, RegisteredSchema, Registry, Versioned};

use super::text::harmless;
use super::wanted;
use crate::args::{Output, Plan as Asked, SubjectVersion};
use crate::commands::runtime;
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::{jobs, parts};

/// Which schema is meant.
pub enum AskedFor<'a> {
    Subject(&'a str, SubjectVersion),
    File(&'a Path),
}

/// A schema, or why it is none that a table can follow.
struct Found {
    /// `orders-value version 3`, or the file.
    name: String,
    writers: Result<WriterSchemas, String>,
}

pub fn asked(asked: &Asked) -> Option<AskedFor<'_>> {
    let subject = asked.subject.as_deref();
    let subject = subject.map(|subject| AskedFor::Subject(subject, asked.version));
    subject.or_else(|| asked.schema.as_deref().map(AskedFor::File))
}

pub fn run(config: &Config, asked: &Asked, asked_for: &AskedFor<'_>) -> anyhow::Result<Exit> {
    let job = job(config, &asked.topics, asked_for)?;
    let (found, next) = runtime()?.block_on(async {
        let found = find(config, &job, asked_for).await?;
        let next = match &found.writers {
            Ok(writers) => {
                let lake = parts::lake_as_it_is(config).await?;
                next_schema(&lake, &job, writers.clone())
                    .await
                    .map_err(RunError::from)?
            }
            Err(why) => NextSchema::unusable(why.clone()),
        };
        anyhow::Ok((found, next))
    })?;
    let exit = match next.refused.is_empty() {
        true => Exit::Done,
        false => Exit::Halted,
    };
    let mut out = io::stdout().lock();
    match asked.output {
        Output::Text => print(&job, &found.name, &next, &mut out)?,
        Output::Json => writeln!(out, "{:#}", document(exit, &job, &found.name, &next))?,
    }
    Ok(exit)
}

/// The one topic whose records are to have the schema: the one that is named, or that the subject is named for.
fn job(config: &Config, topics: &[String], asked_for: &AskedFor<'_>) -> anyhow::Result<Arc<Job>> {
    let jobs = jobs::jobs(config)?;
    let of_subject = |job: &&Arc<Job>| match asked_for {
        AskedFor::Subject(subject, _) => subject.strip_suffix("-value") == Some(&*job.topic),
        AskedFor::File(_) => false,
    };
    let job = match (topics, jobs.as_slice(), jobs.iter().find(of_subject)) {
        ([], _, Some(job)) | ([], [job], None) => job.clone(),
        ([_], ..) => wanted(jobs, topics)?.remove(0),
        _ => {
            return Err(
                UsageError("name the one topic whose records are to have the schema".to_owned()).into(),
            );
        }
    };
    if !matches!(job.decode.format, Format::Raw | Format::Json) {
        return Ok(job);
    }
    let message = format!(
        "topic {} is not of format = \"avro\", \"json-schema\" or \"protobuf\": its records have no schema to compare \
         with a table",
        job.topic
    );
    Err(UsageError(message).into())
}

async fn find(config: &Config, job: &Job, asked_for: &AskedFor<'_>) -> anyhow::Result<Found> {
    let (subject, version) = match asked_for {
        AskedFor::File(file) => {
            return Ok(Found {
                name: file.display().to_string(),
                writers: of_file(file, config, job)?,
            });
        }
        AskedFor::Subject(subject, version) => (*subject, *version),
    };
    let number = match version {
        SubjectVersion::Latest => None,
        SubjectVersion::Number(number) => Some(number),
    };
    let registry = parts::registry(config)?;
    let registry = registry.ok_or_else(|| UsageError("the configuration has no [registry]".to_owned()))?;
    let found = registry.version(subject, number).await.map_err(RunError::from)?;
    let Versioned::Version(number, answer) = found else {
        let version = number.map_or_else(String::new, |number| format!("version {number} of "));
        return Err(UsageError(format!("the registry has no {version}subject {subject}")).into());
    };
    let writers = match answer {
        Answer::Schema(schema) => of_registered(schema, &job.decode),
        Answer::Unusable(why) => Err(why),
        Answer::NoSuchId => Err("the registry has nothing under it".to_owned()),
    };
    Ok(Found {
        name: format!("{subject} version {number}"),
        writers,
    })
}

fn of_file(file: &Path, config: &Config, job: &Job) -> anyhow::Result<Result<WriterSchemas, String>> {
    let recursive = job.decode.recursive;
    match job.decode.format {
        Format::JsonSchema => jobs::json_schema(file, recursive),
        // Framed records say themselves which message they are, so that none is configured.
        Format::Protobuf if job.decode.writers.is_framed() => jobs::first_message(file, recursive),
        Format::Protobuf => {
            let topic = config.topics.iter().find(|topic| topic.job == job.id.as_str());
            jobs::protobuf(file, topic.and_then(|topic| topic.message.as_deref()), recursive)
        }
        _ => jobs::avro(file, recursive),
    }
}

fn of_registered(schema: RegisteredSchema, decode: &DecodeSettings) -> Result<WriterSchemas, String> {
    let RegisteredSchema {
        kind,
        text,
        references,
    } = schema;
    let wanted = match decode.format {
        Format::JsonSchema => "JSON",
        Format::Protobuf => "PROTOBUF",
        _ => "AVRO",
    };
    if kind != wanted {
        return Err(format!("it is registered as {kind}, and not as {wanted}"));
    }
    let imports = imports(references);
    let writers = match decode.format {
        Format::JsonSchema => WriterSchemas::of_json_schema(&text, &imports),
        Format::Protobuf => WriterSchemas::of_first_message(&text, move |name| imported(&imports, name)),
        _ => {
            let texts = imports.into_iter().map(|import| import.text);
            WriterSchemas::of_avro(&text, &texts.collect::<Vec<_>>())
        }
    };
    writers?.allowed(decode.recursive)
}

fn document(exit: Exit, job: &Job, name: &str, next: &NextSchema) -> Value {
    let refused = next.refused.iter();
    json!({
        "exit_code": exit as u8,
        "topic": &*job.topic,
        "table": job.table.to_string(),
        "schema": name,
        "verdict": Verdict::of(next).to_string(),
        "changes": next.changes,
        "refused": refused
            .map(|misfit| json!({ "column": misfit.column, "why": misfit.why }))
            .collect::<Vec<_>>(),
        "left_out": next.left_out,
    })
}

fn print(job: &Job, name: &str, next: &NextSchema, out: &mut dyn Write) -> io::Result<()> {
    let verdict = Verdict::of(next);
    let words = verdict.to_string();
    writeln!(
        out,
        "{} -> {}: {}",
        style(harmless(name)).bold(),
        style(&job.table).bold(),
        match verdict {
            Verdict::Refused => style(words).red().bold(),
            Verdict::Changes => style(words).yellow(),
            Verdict::Compatible | Verdict::New => style(words).green(),
        }
    )?;
    for change in &next.changes {
        writeln!(out, "  {}", harmless(change))?;
    }
    for misfit in &next.refused {
        let column = match misfit.column.as_str() {
            "" => String::new(),
            column => format!("{}: ", harmless(column)),
        };
        writeln!(
            out,
            "  {} {column}{}",
            style("refused:").red().bold(),
            harmless(&misfit.why)
        )?;
    }
    for field in &next.left_out {
        writeln!(
            out,
            "  {} {}",
            style("left out:").yellow().bold(),
            harmless(field)
        )?;
    }
    Ok(())
}

/// In one word.
#[derive(Clone, Copy)]
enum Verdict {
    /// The table has everything.
    Compatible,
    Changes,
    /// There is no table yet.
    New,
    Refused,
}

impl Verdict {
    fn of(next: &NextSchema) -> Self {
        match (next.refused.is_empty(), next.action) {
            (false, _) => Self::Refused,
            (_, Action::Create) => Self::New,
            (_, Action::Change) => Self::Changes,
            (_, Action::Nothing) => Self::Compatible,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compatible => "compatible",
            Self::Changes => "changes",
            Self::New => "new",
            Self::Refused => "refused",
        })
    }
}
