//! What a job decides about decoding. Plain data: `decoder` checks it against the table's schema.

use std::str::FromStr;

use serde::Deserialize;

use crate::former_names::FormerNames;
use crate::ignored::Ignored;
use crate::key::Key;
use crate::named_columns::NamedColumns;
use crate::writer_schemas::WriterSchemas;

/// How the bytes of a record's value are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Key and value as they are, in two binary columns.
    Raw,
    /// One JSON object (RFC 8259) per value.
    Json,
    /// One JSON object per value, with the JSON Schema in a registry or a file.
    JsonSchema,
    /// Avro's binary encoding of one record per value, with the schema in a registry or a file.
    Avro,
    /// Protobuf's wire format of one message per value, with the schema in a registry or a file.
    Protobuf,
}

/// What happens to a record that does not fit the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBadRecord {
    /// The partition stops there. (The decoder reports it like `DeadLetter`; the caller halts.)
    #[default]
    Halt,
    /// The record goes to the dead-letter table.
    DeadLetter,
    /// Only the field to blame becomes null, where one is to blame, its column is optional and it is
    /// not the event time; any other bad record is a dead letter.
    NullField,
}

/// The unit of a number in a `timestamp` or `timestamptz` column: time since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampUnit {
    S,
    #[default]
    Ms,
    Us,
}

/// Iceberg v2 keeps microseconds: what happens to a time with digits below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nanos {
    /// It is a bad value.
    #[default]
    Refuse,
    /// The digits below a microsecond are cut off (towards the past).
    Truncate,
}

/// The type of an inferred column whose values are JSON numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum JsonNumbers {
    /// Integers are `long`, fractions and exponents `double`.
    #[default]
    Infer,
    /// All are `double`: integers above 2^53 lose digits.
    Double,
    /// All are `decimal(precision, scale)`.
    Decimal { precision: u32, scale: u32 },
}

impl FromStr for JsonNumbers {
    type Err = String;

    /// `infer`, `double` or `decimal(p,s)` with 1 <= p <= 38 and s <= p.
    fn from_str(text: &str) -> Result<Self, String> {
        let decimal = |text: &str| {
            let (precision, scale) = text
                .strip_prefix("decimal(")?
                .strip_suffix(')')?
                .split_once(',')?;
            let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
            ((1..=38).contains(&precision) && scale <= precision)
                .then_some(Self::Decimal { precision, scale })
        };
        match text {
            "infer" => Ok(Self::Infer),
            "double" => Ok(Self::Double),
            _ => decimal(text).ok_or_else(|| {
                format!("{text:?} is none of \"infer\", \"double\", \"decimal(p,s)\" with s <= p <= 38")
            }),
        }
    }
}

impl TryFrom<String> for JsonNumbers {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Where the serializers of a registry say which schema a value was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// In front of the value, as Confluent's do by default.
    #[default]
    Confluent,
    /// In a header, as Confluent's `HeaderSchemaIdSerializer` does; where there is none, in front of the value.
    ConfluentHeader,
    /// In headers, or in front of the value, as Apicurio's do.
    Apicurio(ApicurioIds),
}

/// What the ids in front of a value are, when Apicurio's serializers wrote it. Headers say it themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApicurioIds {
    Global,
    Content,
}

/// Which part of a Kafka record is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    Key,
    #[default]
    Value,
}

/// What a column of a Protobuf enum holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtobufEnums {
    /// The value's name; its number as text if the schema has no name for it.
    #[default]
    Name,
    /// The value's number.
    Number,
}

/// What becomes of a field whose type contains itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recursive {
    /// Its schema is refused: columns have to end somewhere.
    #[default]
    Refuse,
    /// It is kept as JSON text.
    Json,
}

/// Which changes of a writer's schema the table follows by itself. A value that would need another one is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evolution {
    /// New columns, also in structs, lists and maps.
    pub add: bool,
    /// int to long, float to double, and decimals of more digits.
    pub widen: bool,
    /// Required columns take nulls where the schema makes their fields nullable, or leaves them out.
    pub optional: bool,
    /// A column takes the name of the field that has the column's name among its aliases.
    pub rename: bool,
}

impl Default for Evolution {
    fn default() -> Self {
        Self {
            add: true,
            widen: true,
            // A promise that somebody made to readers of the table.
            optional: false,
            // Whatever asks for the column by its name would have to change at that moment.
            rename: false,
        }
    }
}

/// Which of the optional Kafka columns a new table gets. `_kafka_partition`, `_kafka_offset` and
/// `_kafka_timestamp` are always there. A decoder fills whichever columns its table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaColumns {
    pub topic: bool,
    pub key: bool,
    pub headers: bool,
}

/// What one record may cost before it is a bad record, so that no input can exhaust memory or stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a record's value (for `raw`: of key and value together).
    pub max_record_bytes: usize,
    /// Objects and arrays within each other; at most [`Limits::DEEPEST`], and where columns are inferred at most
    /// [`Limits::DEEPEST_TYPE`].
    pub max_depth: usize,
    /// Object keys, plus for each element of an array the columns it fills.
    pub max_fields: usize,
    /// Columns (nested ones included) up to which inference grows a table; further new fields are
    /// counted as unknown.
    pub max_columns: usize,
    /// Event times outside these years (first and last included, UTC) are absurd.
    pub first_year: i32,
    pub last_year: i32,
}

impl Limits {
    /// What `max_depth` can be at most: the stack is the limit, not the input.
    pub const DEEPEST: usize = 200;

    /// How deep a table's types go, counted as the records that fill them are: 1 is a table of plain columns. Each
    /// level takes up to three of the 127 that JSON parsers follow, serde_json for one, and what surrounds them in a
    /// table's metadata takes five.
    pub const DEEPEST_TYPE: usize = 32;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_record_bytes: 16 << 20,
            max_depth: Self::DEEPEST_TYPE,
            max_fields: 100_000,
            max_columns: 2_000,
            first_year: 1970,
            last_year: 2200,
        }
    }
}

/// Everything a decoder needs to know besides the table's schema.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeSettings {
    pub topic: String,
    pub format: Format,
    pub on_bad_record: OnBadRecord,
    /// The field (dotted when nested in objects) that says when the event happened; `None` is the
    /// record's Kafka timestamp.
    pub event_time: Option<String>,
    pub timestamp_unit: TimestampUnit,
    pub nanos: Nanos,
    pub limits: Limits,
    pub json_numbers: JsonNumbers,
    pub protobuf_enums: ProtobufEnums,
    pub recursive: Recursive,
    /// Whether fields that the table lacks become columns. Off when a DDL file states the schema.
    pub infer: bool,
    /// How far the table follows the schemas of a format that has them.
    pub evolution: Evolution,
    /// What is known of these schemas.
    pub writers: WriterSchemas,
    /// How records name them, unless a file has the one of all records.
    pub framing: Framing,
    pub part: Part,
    /// Of the table's columns, as it is now.
    pub former_names: FormerNames,
    /// Columns that keep their names.
    pub named: NamedColumns,
    /// Fields that get no column.
    pub ignored: Ignored,
    pub kafka_columns: KafkaColumns,
    /// How keys are decoded, if they are: else a key is bytes, for those who ask for them.
    pub key: Option<Key>,
}

impl DecodeSettings {
    /// The defaults for a topic.
    pub fn new(topic: impl Into<String>, format: Format) -> Self {
        Self {
            topic: topic.into(),
            format,
            on_bad_record: OnBadRecord::default(),
            event_time: None,
            timestamp_unit: TimestampUnit::default(),
            nanos: Nanos::default(),
            limits: Limits::default(),
            json_numbers: JsonNumbers::default(),
            protobuf_enums: ProtobufEnums::default(),
            recursive: Recursive::default(),
            infer: true,
            evolution: Evolution::default(),
            writers: WriterSchemas::default(),
            framing: Framing::default(),
            part: Part::default(),
            former_names: FormerNames::default(),
            named: NamedColumns::default(),
            ignored: Ignored::default(),
            kafka_columns: KafkaColumns::default(),
            key: None,
        }
    }
}
