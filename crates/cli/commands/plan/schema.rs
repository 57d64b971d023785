//! `plan --subject` and `plan --schema`: what would become of a table if its records had this schema.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use console::style;
use serde_json::{Value, json};
use tabletopic_decode::{DecodeSettings, Format, Part, WriterSchemas, imported};
use tabletopic_ingest::plan::{Action, NextSchema, next_schema};
use tabletopic_ingest::run::RunError;
use tabletopic_ingest::{Job, Matched, imports};
use tabletopic_registry::{Answer, RegisteredSchema, Versioned};

use super::text::harmless;
use super::wanted;
use crate::args::{Output, Plan as Asked, SubjectVersion};
use crate::commands::runtime;
use crate::config::{Config, SubjectStrategy, Topic};
use crate::exit::{Exit, UsageError};
use crate::jobs::{self, Jobs};
use crate::parts;

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
        let found = find(config, &job, part, asked_for).await?;
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

/// The job whose values or keys are to have the schema: of the topic that is named, or that the subject is named for. Of
/// one topic's jobs, the one that reads by schemas there.
fn job(config: &Config, topics: &[String], asked_for: &AskedFor<'_>) -> anyhow::Result<(Arc<Job>, Part)> {
    let broker = parts::broker(&config.kafka)?;
    let now = Jobs::new(config).now(&broker)?;
    let of_subject = match asked_for {
        AskedFor::Subject(subject, _) => topic_of(config, &now.jobs, subject),
        AskedFor::File(_) => None,
    };
    let named = now.jobs.iter().map(|job| &*job.topic).collect::<BTreeSet<_>>();
    let topic = match (topics, of_subject, named.first()) {
        ([topic], ..) => topic.clone(),
        ([], Some(topic), _) => topic,
        ([], None, Some(topic)) if named.len() == 1 => (*topic).to_owned(),
        _ => {
            return Err(
                UsageError("name the one topic whose records are to have the schema".to_owned()).into(),
            );
        }
    };
    let Matched { jobs, refused } = wanted(now, std::slice::from_ref(&topic))?;
    if let Some(why) = refused.get(topic.as_str()) {
        return Err(UsageError(why.clone()).into());
    }
    let part = match asked_for {
        AskedFor::Subject(subject, _) if is_of_keys(subject, &topic) => Part::Key,
        _ => Part::Value,
    };
    let by_schema = jobs.iter().filter(|job| {
        !matches!(
            format_of(&job.decode, part),
            None | Some(Format::Raw | Format::Json)
        )
    });
    let key = match part {
        Part::Key => "key.",
        Part::Value => "",
    };
    match by_schema.collect::<Vec<_>>().as_slice() {
        [job] => Ok((Arc::clone(job), part)),
        [] => Err(UsageError(format!(
            "topic {topic} is not of {key}format = \"avro\", \"json-schema\" or \"protobuf\": its records have no \
             schema to compare with a table"
        ))
        .into()),
        several => {
            let tables: Vec<String> = several.iter().map(|job| job.table.to_string()).collect();
            Err(UsageError(format!(
                "topic {topic} feeds several tables by schemas: {}; ask with a configuration that has one of them",
                tables.join(", ")
            ))
            .into())
        }
    }
}

/// Keys have their subject by the topic, unless somebody sets it otherwise for them alone.
fn is_of_keys(subject: &str, topic: &str) -> bool {
    subject.strip_suffix("-key") == Some(topic)
}

/// The topic that a subject is named for, if there is no doubt. A record's name alone names no topic: it is left to one
/// that is alone in having such subjects.
fn topic_of(config: &Config, jobs: &[Arc<Job>], subject: &str) -> Option<String> {
    let names: Vec<Arc<str>> = jobs.iter().map(|job| job.topic.clone()).collect();
    let matched = config.matched(&names, &BTreeSet::new()).topics;
    let topics: Vec<&Topic> = config.topics.iter().chain(&matched).collect();
    let of_keys = |topic: &&&Topic| topic.key.is_some() && is_of_keys(subject, &topic.name);
    if let Some(topic) = topics.iter().find(of_keys) {
        return Some(topic.name.clone());
    }
    let candidates = |names_records: bool| {
        let topics = topics.iter().filter(|topic| {
            (topic.subject_strategy == SubjectStrategy::Record) == names_records
                && topic.subject_strategy.may_have(&topic.name, subject)
        });
        topics.map(|topic| topic.name.clone()).collect::<BTreeSet<_>>()
    };
    let mut candidates = [candidates(false), candidates(true)]
        .into_iter()
        .find(|candidates| !candidates.is_empty())?;
    match candidates.len() {
        1 => candidates.pop_first(),
        _ => None,
    }
}

async fn find(config: &Config, job: &Job, part: Part, asked_for: &AskedFor<'_>) -> anyhow::Result<Found> {
    let (subject, version) = match asked_for {
        AskedFor::File(file) => {
            return Ok(Found {
                name: file.display().to_string(),
                writers: of_file(file, config, job, part)?,
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
        Answer::Schema(schema) => of_registered(schema, &job.decode, part),
        Answer::Unusable(why) => Err(why),
        Answer::NoSuchId => Err("the registry has nothing under it".to_owned()),
    };
    Ok(Found {
        name: format!("{subject} version {number}"),
        writers,
    })
}

/// `None` for the keys of a topic whose keys are not decoded.
fn format_of(decode: &DecodeSettings, part: Part) -> Option<Format> {
    match part {
        Part::Key => decode.key.as_ref().map(|key| key.format),
        Part::Value => Some(decode.format),
    }
}

fn of_file(
    file: &Path,
    config: &Config,
    job: &Job,
    part: Part,
) -> anyhow::Result<Result<WriterSchemas, String>> {
    let recursive = job.decode.recursive;
    match format_of(&job.decode, part) {
        Some(Format::JsonSchema) => jobs::json_schema(file, recursive),
        // Framed records say themselves which message they are, so that none is configured.
        Some(Format::Protobuf) if job.decode.writers.is_framed() => jobs::first_message(file, recursive),
        Some(Format::Protobuf) => {
            let named = config.topics.iter().find(|topic| topic.job == job.id.as_str());
            let topic = named.cloned().or_else(|| {
                let matched = config.matched(std::slice::from_ref(&job.topic), &BTreeSet::new());
                matched.topics.into_iter().next()
            });
            jobs::protobuf(file, topic.and_then(|topic| topic.message).as_deref(), recursive)
        }
        _ => jobs::avro(file, part, recursive),
    }
}

fn of_registered(
    schema: RegisteredSchema,
    decode: &DecodeSettings,
    part: Part,
) -> Result<WriterSchemas, String> {
    let RegisteredSchema {
        kind,
        text,
        references,
    } = schema;
    let format = format_of(decode, part);
    let wanted = match format {
        Some(Format::JsonSchema) => "JSON",
        Some(Format::Protobuf) => "PROTOBUF",
        _ => "AVRO",
    };
    if kind != wanted {
        return Err(format!("it is registered as {kind}, and not as {wanted}"));
    }
    let imports = imports(references);
    let writers = match format {
        Some(Format::JsonSchema) => WriterSchemas::of_json_schema(&text, &imports),
        Some(Format::Protobuf) => {
            WriterSchemas::of_first_message(&text, move |name| imported(&imports, name))
        }
        _ => {
            let texts = imports.into_iter().map(|import| import.text);
            WriterSchemas::of_avro(&text, &texts.collect::<Vec<_>>(), part)
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
