//! `plan --subject` and `plan --schema`: what would become of a table if its records had this schema.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use console::style;
use serde_json::{Value, json};
use tabletopic_decode::{Format, Part, WriterSchemas};
use tabletopic_ingest::Job;
use tabletopic_ingest::plan::{Action, NextSchema, next_schema};
use tabletopic_ingest::run::RunError;
use tabletopic_registry::{Answer, Versioned};

use super::text::harmless;
use super::wanted;
use crate::args::{Output, Plan as Asked, SubjectVersion};
use crate::commands::runtime;
use crate::config::{Config, SubjectStrategy, Topic};
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
    let (job, part) = job(config, &asked.topics, asked_for)?;
    let (found, next) = runtime()?.block_on(async {
        let found = find(config, part, asked_for).await?;
        let next = match &found.writers {
            Ok(writers) => {
                let lake = parts::lake_as_it_is(config).await?;
                next_schema(&lake, &job, part, writers.clone())
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

/// The one topic whose values or keys are to have the schema: the one that is named, or that the subject is named for.
fn job(config: &Config, topics: &[String], asked_for: &AskedFor<'_>) -> anyhow::Result<(Arc<Job>, Part)> {
    let jobs = jobs::jobs(config)?;
    let of_subject = match asked_for {
        AskedFor::Subject(subject, _) => topic_of(config, subject),
        AskedFor::File(_) => None,
    };
    let of_subject = of_subject.and_then(|topic| jobs.iter().find(|job| *job.topic == *topic.name));
    let job = match (topics, jobs.as_slice(), of_subject) {
        ([], _, Some(job)) | ([], [job], None) => job.clone(),
        ([_], ..) => wanted(jobs, topics)?.remove(0),
        _ => {
            return Err(
                UsageError("name the one topic whose records are to have the schema".to_owned()).into(),
            );
        }
    };
    let (part, format) = match (asked_for, &job.decode.key) {
        (AskedFor::Subject(subject, _), Some(key)) if is_of_keys(subject, &job.topic) => {
            (Part::Key, key.format)
        }
        _ => (Part::Value, job.decode.format),
    };
    if format == Format::Avro {
        return Ok((job, part));
    }
    let message = format!(
        "topic {} is not of {}format = \"avro\": only Avro schemas can be compared with a table",
        job.topic,
        match part {
            Part::Key => "key.",
            Part::Value => "",
        }
    );
    Err(UsageError(message).into())
}

/// Keys have their subject by the topic, unless somebody sets it otherwise for them alone.
fn is_of_keys(subject: &str, topic: &str) -> bool {
    subject.strip_suffix("-key") == Some(topic)
}

/// The topic that a subject is named for, if there is no doubt. A record's name alone names no topic: it is left to one
/// that is alone in having such subjects.
fn topic_of<'c>(config: &'c Config, subject: &str) -> Option<&'c Topic> {
    let of_keys = |topic: &&Topic| topic.key.is_some() && is_of_keys(subject, &topic.name);
    if let Some(topic) = config.topics.iter().find(of_keys) {
        return Some(topic);
    }
    let candidates = |names_records: bool| {
        let mut topics = config.topics.iter().filter(move |topic| {
            (topic.subject_strategy == SubjectStrategy::Record) == names_records
                && topic.subject_strategy.may_have(&topic.name, subject)
        });
        topics.next().map(|first| (first, topics.next().is_some()))
    };
    match candidates(false).or_else(|| candidates(true)) {
        Some((topic, false)) => Some(topic),
        _ => None,
    }
}

async fn find(config: &Config, part: Part, asked_for: &AskedFor<'_>) -> anyhow::Result<Found> {
    let (subject, version) = match asked_for {
        AskedFor::File(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            return Ok(Found {
                name: file.display().to_string(),
                writers: WriterSchemas::of_avro_file(&text, part),
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
        Answer::Schema(schema) if schema.kind == "AVRO" => {
            let references = schema.references.into_iter().map(|reference| reference.text);
            WriterSchemas::of_avro(&schema.text, &references.collect::<Vec<_>>(), part)
        }
        Answer::Schema(schema) => Err(format!("it is registered as {}, and not as AVRO", schema.kind)),
        Answer::Unusable(why) => Err(why),
        Answer::NoSuchId => Err("the registry has nothing under it".to_owned()),
    };
    Ok(Found {
        name: format!("{subject} version {number}"),
        writers,
    })
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
