//! A configuration file as it stands: every key, none of the rules. serde refuses unknown keys and wrong types;
//! what depends on more than one key is checked by each section's own file.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::Deserialize;
use tabletopic_decode::{
    ApicurioIds, Format, JsonNumbers, Nanos, OnBadRecord, ProtobufEnums, Recursive, TimestampUnit,
};
use tabletopic_registry::Api;
use toml::Spanned;

use super::catalog::CatalogType;
use super::kafka::{Assignment, RawGroupProtocol};
use super::log::{LogFormat, LogLevel};
use super::registry::Framing;
use super::secret::{Secret, Secrets};
use super::shape::{RawOtherwise, RawUnwrap};
use super::start::{Backfill, Start};
use super::subject::SubjectStrategy;
use super::table_name::TableName;
use super::topic::{KafkaColumn, SchemaStep};
use super::units::{CommitInterval, Interval, Size};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub kafka: Option<Spanned<Kafka>>,
    pub catalog: Option<Spanned<Catalog>>,
    pub storage: Secrets,
    pub registry: Registry,
    pub topic: Vec<Spanned<Topic>>,
    pub memory: Memory,
    pub workers: Workers,
    pub maintenance: Maintenance,
    pub verify: Verify,
    pub admin: Admin,
    pub log: Log,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    pub bootstrap: Option<Spanned<String>>,
    pub group: Option<Spanned<String>>,
    pub group_protocol: Option<RawGroupProtocol>,
    pub instance_id: Option<Spanned<String>>,
    pub assignment: Option<Assignment>,
    pub start: Option<Start>,
    pub topic_refresh: Option<Spanned<Interval>>,
    pub properties: Option<Secrets>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    #[serde(rename = "type")]
    pub kind: Option<CatalogType>,
    pub name: Option<Spanned<String>>,
    pub uri: Option<Spanned<String>>,
    pub warehouse: Option<Spanned<String>>,
    pub password: Option<Spanned<Secret>>,
    pub tls: Option<Spanned<Tls>>,
    #[serde(default)]
    pub properties: Secrets,
    #[serde(default)]
    pub serve: Serve,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    pub listen: Option<Spanned<String>>,
    pub token: Option<Spanned<Secret>>,
    pub locations: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Registry {
    pub urls: Option<Spanned<Vec<String>>>,
    pub api: Option<Api>,
    pub framing: Option<Spanned<Framing>>,
    pub ids: Option<Spanned<ApicurioIds>>,
    pub username: Option<Spanned<String>>,
    pub password: Option<Spanned<Secret>>,
    pub token: Option<Spanned<Secret>>,
    pub timeout: Option<Interval>,
    pub tls: Option<Spanned<Tls>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    pub ca: Option<Spanned<String>>,
    pub certificate: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    pub name: Option<Spanned<String>>,
    pub pattern: Option<Spanned<String>>,
    pub table: Option<Spanned<TableName>>,
    pub job: Option<Spanned<String>>,
    pub start: Option<Start>,
    pub backfill: Option<Spanned<Backfill>>,
    pub partitions: Option<Spanned<Vec<i32>>>,
    pub format: Option<Format>,
    pub ddl: Option<Spanned<String>>,
    pub event_time: Option<Spanned<String>>,
    pub timestamp_unit: Option<Spanned<TimestampUnit>>,
    pub nanos: Option<Spanned<Nanos>>,
    pub partition_by: Option<Spanned<Vec<String>>>,
    pub retain: Option<Spanned<Interval>>,
    pub on_bad_record: Option<OnBadRecord>,
    pub kafka_columns: Option<Vec<KafkaColumn>>,
    pub unwrap: Option<Spanned<RawUnwrap>>,
    #[serde(rename = "where")]
    pub keep: Option<Spanned<String>>,
    pub otherwise: Option<Spanned<RawOtherwise>>,
    pub columns: Option<Spanned<Columns>>,
    pub json: Option<Spanned<Json>>,
    pub protobuf: Option<Spanned<Protobuf>>,
    pub schema: Option<Spanned<Schema>>,
    pub key: Option<Spanned<Key>>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub commit: Commit,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    pub drop: Vec<Spanned<String>>,
    pub rename: BTreeMap<String, Spanned<String>>,
    pub flatten: Vec<Spanned<String>>,
    pub hash: Vec<Spanned<String>>,
    pub hash_key: Option<Spanned<Secret>>,
    pub compute: BTreeMap<String, Spanned<String>>,
    pub types: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Json {
    pub numbers: Option<JsonNumbers>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protobuf {
    pub enums: Option<ProtobufEnums>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Schema {
    pub file: Option<Spanned<String>>,
    pub message: Option<Spanned<String>>,
    pub subject_strategy: Option<SubjectStrategy>,
    pub evolution: Option<Spanned<Vec<SchemaStep>>>,
    pub recursive: Option<Spanned<Recursive>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub format: Option<Format>,
    pub column: Option<Spanned<String>>,
    pub file: Option<Spanned<String>>,
    pub message: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub max_record_bytes: Option<Size>,
    pub max_depth: Option<Spanned<NonZeroUsize>>,
    pub max_fields: Option<NonZeroUsize>,
    pub max_columns: Option<NonZeroUsize>,
    pub first_year: Option<i32>,
    pub last_year: Option<Spanned<i32>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Commit {
    pub interval: Option<CommitInterval>,
    pub target_file_size: Option<Size>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    pub budget: Option<Spanned<Size>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    pub enabled: Option<bool>,
    pub interval: Option<Interval>,
    pub hot_for: Option<Interval>,
    pub processor: Option<Spanned<f64>>,
    pub read_rate: Option<Size>,
    pub orphans: Option<Spanned<Interval>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    pub every: Option<Interval>,
    pub whole_every: Option<Interval>,
    pub processor: Option<Spanned<f64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    pub count: Option<Spanned<NonZeroUsize>>,
    pub backfill_rate: Option<Size>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    pub listen: Option<Spanned<String>>,
    pub token: Option<Spanned<Secret>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: Option<LogFormat>,
    pub level: Option<LogLevel>,
}
