//! `[[topic]]`: one job, that is one topic that feeds one table; or, with a pattern, one for each topic that it matches.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use iceberg::spec::Schema;
use serde::Deserialize;
use tabletopic_decode::{DecodeSettings, Evolution, Format, KafkaColumns, Limits, NamedColumns, Recursive};
use tabletopic_ingest::PartitionBy;
use tabletopic_shape::{Fate, Shape};
use tabletopic_table::partition::{PartitionError, parse_partition_by, partitioned_column};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::formats::{Formats, ONLY_PROTOBUF, ONLY_SCHEMAS, has_schemas};
use super::kafka::{Assignment, Kafka};
use super::key::Key;
use super::pattern::Pattern;
use super::reference::References;
use super::registry::Registry;
use super::retain::Retain;
use super::start::{Backfill, Start};
use super::subject::SubjectStrategy;
use super::table_name::TableName;
use super::units::{CommitInterval, Size};
use super::{pattern, raw, required, shape};

#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    pub name: String,
    /// The pattern that matches it, if it has no `[[topic]]` of its own.
    pub pattern: Option<String>,
    pub table: TableName,
    /// The job's id, under which the table keeps the progress.
    pub job: String,
    pub start: Start,
    pub backfill: Backfill,
    /// Not empty; `None` when the group shares the partitions out.
    pub partitions: Option<Vec<i32>>,
    /// A SQL file with the table's columns; then nothing is inferred.
    pub ddl: Option<PathBuf>,
    /// A file with the schema of every record; else each record names its own in the registry.
    pub schema_file: Option<PathBuf>,
    /// Which message of a Protobuf `schema_file` the records are; `None` if it has only one.
    pub message: Option<String>,
    /// Under which subjects the schemas of the values are.
    pub subject_strategy: SubjectStrategy,
    /// Else keys are bytes.
    pub key: Option<Key>,
    pub partition_by: PartitionBy,
    /// For how long rows stay; `None` for good.
    pub retain: Option<Retain>,
    pub decode: DecodeSettings,
    /// What becomes of records before they are rows.
    pub shape: Option<Shape>,
    pub commit: Commit,
}

/// A `[[topic]]` as it is written.
#[derive(Debug)]
pub enum Declared {
    /// With `name`.
    Topic(Topic),
    /// With `pattern`.
    Pattern(Pattern),
}

/// One of the optional ones.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaColumn {
    /// `_kafka_topic`
    Topic,
    /// `_kafka_key`
    Key,
    /// `_kafka_headers`
    Headers,
}

/// A kind of change that the table follows.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaStep {
    /// New columns.
    Add,
    /// Wider types.
    Widen,
    /// Nulls in columns that had to have a value.
    Optional,
    /// Other names, by aliases.
    Rename,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Files are closed and committed this often.
    pub interval: Duration,
    /// A file that reaches this many bytes is closed.
    pub target_file_size: u64,
}

impl Topic {
    pub fn validate(
        raw: Spanned<raw::Topic>,
        kafka: &Kafka,
        registry: Option<&Option<Registry>>,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Declared, Problem> {
        let section = Some(raw.span());
        let mut raw = raw.into_inner();
        let (name, regex) = match (raw.name.take(), raw.pattern.take()) {
            (Some(_), Some(pattern)) => {
                let message = "it has a name already; remove one of the two, or write two [[topic]]";
                return Err(document.problem_at(pattern.span(), message.to_owned()));
            }
            (None, Some(pattern)) => {
                let regex = pattern::regex(document, &pattern, kafka.assignment, raw.job.as_ref())?;
                (pattern, Some(regex))
            }
            (name, None) => {
                let advice = "write the topic's name such as name = \"orders\", or a pattern such as \
                              pattern = \"^shop\\\\.\"";
                let name = required(document, name, section.clone(), "topic.name", advice)?;
                check_topic_name(document, &name)?;
                (name, None)
            }
        };
        let table = required(
            document,
            raw.table.take(),
            section.clone(),
            "topic.table",
            "write the table that it feeds such as table = \"shop.orders\"",
        )?;
        let table = match &regex {
            Some(_) => table.into_inner(),
            None => table
                .get_ref()
                .of_topic(name.get_ref())
                .map_err(|message| document.problem_at(table.span(), message))?,
        };
        let format = required(
            document,
            raw.format.take(),
            section.clone(),
            "topic.format",
            "write format = \"json\", \"json-schema\", \"avro\" or \"protobuf\", or \"raw\" for the bytes as they are",
        )?;
        let key_span = raw.key.as_ref().map(Spanned::span);
        let key = raw.key.take().map(|key| {
            let (span, no_registry) = (key.span(), registry.is_some_and(Option::is_none));
            Key::validate(key.into_inner(), Some(span), no_registry, document, references)
        });
        let key = key.transpose()?.flatten();
        let formats = Formats {
            value: format,
            key: key.as_ref().map(|key| key.format),
        };
        formats.check_raw(document, &raw)?;
        if let Some(json) = &raw.json {
            formats.check_json(document, json)?;
        }
        if let Some(protobuf) = &raw.protobuf {
            formats.check_protobuf(document, protobuf)?;
        }
        let protobuf_enums = raw.protobuf.and_then(|protobuf| protobuf.into_inner().enums);
        let schema = schema(document, raw.schema, formats, references)?;
        let has_schemas = has_schemas(format);
        if has_schemas && schema.file.is_none() && registry.is_some_and(Option::is_none) {
            return Err(document.problem_in(
                section,
                "topic.schema.file",
                "is missing; where no file says the schema, add [registry] with urls = [\"http://localhost:8081\"]"
                    .to_owned(),
            ));
        }
        if let Some(job) = raw.job.as_ref().filter(|job| job.get_ref().trim().is_empty()) {
            return Err(document.problem_at(
                job.span(),
                "is empty; write a name, or leave the key out for the topic's name".to_owned(),
            ));
        }
        let partitions = partitions(document, raw.partitions, kafka.assignment, section)?;
        let event_time = raw.event_time.map(Spanned::into_inner);
        let kafka_columns = raw.kafka_columns.unwrap_or_default();
        let deepest = match raw.ddl {
            Some(_) => Limits::DEEPEST,
            // The records' depth becomes that of the table's types.
            None => Limits::DEEPEST_TYPE,
        };
        let decode = DecodeSettings {
            on_bad_record: raw.on_bad_record.unwrap_or_default(),
            event_time,
            timestamp_unit: raw.timestamp_unit.map(Spanned::into_inner).unwrap_or_default(),
            nanos: raw.nanos.map(Spanned::into_inner).unwrap_or_default(),
            limits: limits(document, raw.limits, deepest)?,
            json_numbers: raw
                .json
                .and_then(|json| json.into_inner().numbers)
                .unwrap_or_default(),
            protobuf_enums: protobuf_enums.unwrap_or_default(),
            infer: raw.ddl.is_none(),
            evolution: schema.evolution,
            framing: registry
                .and_then(Option::as_ref)
                .map(|registry| registry.framing)
                .unwrap_or_default(),
            recursive: schema.recursive,
            kafka_columns: KafkaColumns {
                topic: kafka_columns.contains(&KafkaColumn::Topic),
                key: kafka_columns.contains(&KafkaColumn::Key),
                headers: kafka_columns.contains(&KafkaColumn::Headers),
            },
            ..DecodeSettings::new(name.get_ref().as_str(), format)
        };
        let shape = shape::shape(
            document,
            shape::Raw {
                unwrap: raw.unwrap,
                keep: raw.keep,
                otherwise: raw.otherwise,
                columns: raw.columns,
            },
            &decode,
            key.as_ref(),
            raw.ddl.as_ref().map(Spanned::span),
        )?;
        if let (Some(key), Some(shape), Some(span)) = (&key, &shape, key_span) {
            fits_shape(document, key, shape, span)?;
        }
        let event_time = match (&shape, &decode.event_time) {
            (Some(shape), Some(field)) => shape::table_column(shape, field),
            (_, field) => field.clone(),
        };
        let partition_by = match raw.partition_by {
            Some(fields) => PartitionBy::Said(partition_fields(document, fields)?),
            None => PartitionBy::Usual(vec![format!(
                "day({})",
                event_time.as_deref().unwrap_or("_kafka_timestamp")
            )]),
        };
        let retain = Retain::validate(document, raw.retain, &partition_by)?;
        let decode = DecodeSettings {
            named: partitioning(&partition_by),
            ..decode
        };
        let start = raw.start.unwrap_or(kafka.start);
        let backfill = backfill(document, raw.backfill, start)?;
        let name = name.into_inner();
        let topic = Self {
            pattern: regex.as_ref().map(|regex| regex.as_str().to_owned()),
            table,
            job: raw.job.map_or_else(|| name.clone(), Spanned::into_inner),
            start,
            backfill,
            partitions,
            ddl: raw.ddl.map(|path| references.folder.join(path.get_ref())),
            schema_file: schema.file,
            message: schema.message,
            subject_strategy: schema.subject_strategy,
            key,
            partition_by,
            retain,
            decode,
            shape,
            commit: Commit {
                interval: raw
                    .commit
                    .interval
                    .map_or(Duration::from_secs(60), |CommitInterval(interval)| interval),
                target_file_size: raw.commit.target_file_size.unwrap_or(Size::mib(256)).0,
            },
            name,
        };
        Ok(match regex {
            Some(regex) => Declared::Pattern(Pattern::new(regex, topic)),
            None => Declared::Topic(topic),
        })
    }
}

/// A decoded key is a column that shapes leave as it is.
fn fits_shape(document: &Document<'_>, key: &Key, shape: &Shape, span: Range<usize>) -> Result<(), Problem> {
    let column = &key.column;
    let problem = if shape.unwrap.is_some() {
        "can't be decoded where `unwrap` makes the columns; remove it, or write kafka_columns = [\"key\"] for its bytes"
            .to_owned()
    } else if shape.fate(column) != Fate::Kept(column.clone()) {
        format!("[topic.columns] says something else of `{column}`; write another `column` for the key")
    } else {
        return Ok(());
    };
    Err(document.problem_at(span, problem))
}

/// When what is before the live edge is read, if anything is.
fn backfill(
    document: &Document<'_>,
    raw: Option<Spanned<Backfill>>,
    start: Start,
) -> Result<Backfill, Problem> {
    match (raw, start) {
        (Some(backfill), Start::Latest) if *backfill.get_ref() == Backfill::Behind => {
            let message = "with start = \"latest\" nothing is behind; remove it, or write where history begins, such as \
                           start = \"earliest\"";
            Err(document.problem_at(backfill.span(), message.to_owned()))
        }
        (raw, _) => Ok(raw.map_or(Backfill::First, Spanned::into_inner)),
    }
}

struct SchemaSettings {
    file: Option<PathBuf>,
    message: Option<String>,
    subject_strategy: SubjectStrategy,
    evolution: Evolution,
    recursive: Recursive,
}

/// The schema's file, and what the table follows.
fn schema(
    document: &Document<'_>,
    raw: Option<Spanned<raw::Schema>>,
    formats: Formats,
    references: &References<'_>,
) -> Result<SchemaSettings, Problem> {
    let raw::Schema {
        file,
        message,
        subject_strategy,
        evolution,
        recursive,
    } = raw.map(Spanned::into_inner).unwrap_or_default();
    let steps = evolution
        .as_ref()
        .map_or(&[SchemaStep::Add, SchemaStep::Widen][..], |steps| {
            steps.get_ref().as_slice()
        });
    let follows = Evolution {
        add: steps.contains(&SchemaStep::Add),
        widen: steps.contains(&SchemaStep::Widen),
        optional: steps.contains(&SchemaStep::Optional),
        rename: steps.contains(&SchemaStep::Rename),
    };
    if let Some(recursive) = &recursive {
        formats.check_recursive(document, recursive)?;
    }
    let (file, message) = schema_file(document, file, message, formats.value, references)?;
    if let Some(evolution) = &evolution {
        formats.check_evolution(document, evolution, follows)?;
    }
    Ok(SchemaSettings {
        file,
        message,
        subject_strategy: subject_strategy.unwrap_or_default(),
        evolution: follows,
        recursive: recursive.map(Spanned::into_inner).unwrap_or_default(),
    })
}

/// The file of a schema, and which of its messages is meant.
pub(super) fn schema_file(
    document: &Document<'_>,
    file: Option<Spanned<String>>,
    message: Option<Spanned<String>>,
    format: Format,
    references: &References<'_>,
) -> Result<(Option<PathBuf>, Option<String>), Problem> {
    if let Some(file) = file.as_ref().filter(|_| !has_schemas(format)) {
        return Err(document.problem_at(file.span(), ONLY_SCHEMAS.to_owned()));
    }
    if let Some(message) = &message {
        let problem = match (format, &file) {
            (Format::Protobuf, Some(_)) => None,
            (Format::Protobuf, None) => {
                Some("goes with `file`: each framed record says itself what it is; remove it")
            }
            _ => Some(ONLY_PROTOBUF),
        };
        if let Some(problem) = problem {
            return Err(document.problem_at(message.span(), problem.to_owned()));
        }
    }
    let path = file.as_ref().map(|file| references.folder.join(file.get_ref()));
    if let (Format::Protobuf, Some(file), Some(path)) = (format, &file, &path)
        && ProtobufFile::of(path).is_none()
    {
        let message = "is no Protobuf schema; write a .proto file, or a compiled FileDescriptorSet that ends with \
                       .desc or .binpb";
        return Err(document.problem_at(file.span(), message.to_owned()));
    }
    Ok((path, message.map(Spanned::into_inner)))
}

/// What a Protobuf schema's file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtobufFile {
    Proto,
    /// As `protoc --descriptor_set_out` writes it.
    DescriptorSet,
}

impl ProtobufFile {
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "proto" => Some(Self::Proto),
            "desc" | "binpb" => Some(Self::DescriptorSet),
            _ => None,
        }
    }
}

fn limits(document: &Document<'_>, raw: raw::Limits, deepest: usize) -> Result<Limits, Problem> {
    let defaults = Limits::default();
    if let Some(depth) = raw
        .max_depth
        .as_ref()
        .filter(|depth| depth.get_ref().get() > deepest)
    {
        let message = format!(
            "{} is too deep to be safe; write at most {} where columns are inferred, {} with a `ddl`",
            depth.get_ref(),
            Limits::DEEPEST_TYPE,
            Limits::DEEPEST
        );
        return Err(document.problem_at(depth.span(), message));
    }
    let first_year = raw.first_year.unwrap_or(defaults.first_year);
    if let Some(last) = raw.last_year.as_ref().filter(|last| *last.get_ref() < first_year) {
        let message = format!(
            "{} comes before first_year, which is {first_year}; write a later year",
            last.get_ref()
        );
        return Err(document.problem_at(last.span(), message));
    }
    Ok(Limits {
        max_record_bytes: match raw.max_record_bytes {
            Some(Size(bytes)) => usize::try_from(bytes).unwrap_or(usize::MAX),
            None => defaults.max_record_bytes,
        },
        max_depth: raw
            .max_depth
            .map_or(defaults.max_depth, |depth| depth.into_inner().get()),
        max_fields: raw.max_fields.map_or(defaults.max_fields, NonZeroUsize::get),
        max_columns: raw.max_columns.map_or(defaults.max_columns, NonZeroUsize::get),
        first_year,
        last_year: raw.last_year.map_or(defaults.last_year, Spanned::into_inner),
    })
}

/// Kafka's own rule.
fn check_topic_name(document: &Document<'_>, name: &Spanned<String>) -> Result<(), Problem> {
    let text = name.get_ref();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=249).contains(&text.len()) && text.chars().all(legal) && text != "." && text != ".." {
        return Ok(());
    }
    Err(document.problem_at(
        name.span(),
        format!("`{text}` cannot be a topic; write 1 to 249 letters, digits, dots, underscores and hyphens"),
    ))
}

fn partitions(
    document: &Document<'_>,
    raw: Option<Spanned<Vec<i32>>>,
    assignment: Assignment,
    section: Option<Range<usize>>,
) -> Result<Option<Vec<i32>>, Problem> {
    match (assignment, raw) {
        (Assignment::Group, None) => Ok(None),
        (Assignment::Group, Some(raw)) => Err(document.problem_at(
            raw.span(),
            "the group shares the partitions out; remove it, or write assignment = \"static\" in [kafka]".to_owned(),
        )),
        (Assignment::Static, None) => Err(document.problem_in(
            section,
            "topic.partitions",
            "is missing; with assignment = \"static\" write the partitions to read such as partitions = [0, 1]"
                .to_owned(),
        )),
        (Assignment::Static, Some(raw)) => {
            let sorted: BTreeSet<i32> = raw.get_ref().iter().copied().collect();
            if sorted.is_empty() || sorted.len() != raw.get_ref().len() || sorted.iter().any(|p| *p < 0) {
                return Err(document.problem_at(
                    raw.span(),
                    "these are not partitions; write numbers from 0 on, each once, such as [0, 1]".to_owned(),
                ));
            }
            Ok(Some(sorted.into_iter().collect()))
        }
    }
}

/// The columns that `partition_by` names.
fn partitioning(partition_by: &PartitionBy) -> NamedColumns {
    let PartitionBy::Said(fields) = partition_by else {
        return NamedColumns::default();
    };
    let columns = fields.iter().filter_map(|field| partitioned_column(field).ok());
    let path = |column: &str| column.split('.').map(str::to_owned).collect();
    NamedColumns::new(columns.map(path).collect())
}

/// Syntax only: which columns there are, the table or the DDL file says.
fn partition_fields(document: &Document<'_>, fields: Spanned<Vec<String>>) -> Result<Vec<String>, Problem> {
    for (index, field) in fields.get_ref().iter().enumerate() {
        if fields.get_ref()[..index].contains(field) {
            let message = format!("`{field}` stands here twice; remove one of them");
            return Err(document.problem_at(fields.span(), message));
        }
        let no_columns = Schema::builder().build();
        if let Ok(schema) = no_columns
            && let Err(error @ PartitionError::Syntax { .. }) = parse_partition_by(&[field], &schema)
        {
            return Err(document.problem_at(fields.span(), error.to_string()));
        }
    }
    Ok(fields.into_inner())
}
