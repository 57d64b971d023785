//! What the parser says, word for word, and what it never says.

use std::path::Path;
use std::time::Duration;

use tabletopic_decode::{
    ApicurioIds, DecodeSettings, Evolution, Format, FormerNames, Framing, Ignored, JsonNumbers, KafkaColumns,
    Limits, NamedColumns, Nanos, OnBadRecord, Part, ProtobufEnums, Recursive, TimestampUnit, WriterSchemas,
};
use tabletopic_ingest::PartitionBy;
use tabletopic_server::Listen;
use tabletopic_source::{GroupProtocol, PropertyFiles};
use tabletopic_table::storage::StorageSettings;

use super::kafka::Assignment;
use super::reference::References;
use super::retain::Retain;
use super::serve::Serve;
use super::start::Start;
use super::topic::Commit;
use super::*;

mod catalog;
mod maintenance;
mod patterns;
mod reference;
mod rest;
mod shaping;
mod storage;
mod verify;

const SMALLEST: &str = r#"
[kafka]
bootstrap = "localhost:9092"

[catalog]
type = "sqlite"
uri = "lake/catalog.db"
warehouse = "lake/warehouse"

[[topic]]
name = "orders"
table = "shop.orders"
format = "json"
"#;

fn parse_with(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, String> {
    let file = Path::new("/etc/tabletopic/tabletopic.toml");
    let references = References {
        env,
        folder: Path::new("/etc/tabletopic"),
    };
    Config::parse(text, &references, Changes::default()).map_err(|problems| {
        ConfigError {
            file: file.to_owned(),
            problems,
        }
        .to_string()
    })
}

fn parse(text: &str) -> Result<Config, String> {
    parse_with(text, &|_| None)
}

/// The message for the smallest file with `from` replaced by `to`.
fn refusal(from: &str, to: &str) -> String {
    assert!(SMALLEST.contains(from), "{from} is not in the smallest file");
    parse(&SMALLEST.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn the_smallest_file_has_these_values() {
    let config = parse(SMALLEST).unwrap();
    assert_eq!(config.kafka.bootstrap, "localhost:9092");
    assert_eq!(config.kafka.group, "tabletopic");
    assert_eq!(config.kafka.start, Start::Earliest);
    assert_eq!(
        config.catalog.kind,
        CatalogKind::Sqlite("/etc/tabletopic/lake/catalog.db".into())
    );
    assert_eq!(
        config.catalog.warehouse,
        Warehouse::Folder("/etc/tabletopic/lake/warehouse".into())
    );
    assert_eq!(config.storage, Storage::Warehouse(StorageSettings::Local.into()));
    let [topic] = config.topics.as_slice() else {
        panic!("{:?}", config.topics)
    };
    assert_eq!(
        topic.table,
        TableName {
            namespace: vec!["shop".to_owned()],
            name: "orders".to_owned()
        }
    );
    assert_eq!(topic.job, "orders");
    assert_eq!(
        topic.partition_by,
        PartitionBy::Usual(vec!["day(_kafka_timestamp)".to_owned()])
    );
    assert_eq!(topic.commit.interval, Duration::from_secs(60));
}

#[test]
fn records_name_their_schemas_as_the_serializers_of_the_registry_do() {
    let framing = |registry: &str| {
        let text = SMALLEST.replace("[catalog]", &format!("[registry]\n{registry}\n\n[catalog]"));
        let config = parse(&text).unwrap();
        let framing = config.registry.unwrap().framing;
        assert_eq!(config.topics[0].decode.framing, framing);
        framing
    };
    let (global, content) = (ApicurioIds::Global, ApicurioIds::Content);
    let apicurio =
        |version: u8| format!("api = \"apicurio\"\nurls = [\"http://r/apis/registry/v{version}\"]");
    for (registry, expected) in [
        ("urls = [\"http://r\"]".to_owned(), Framing::Confluent),
        (
            "urls = [\"http://r\"]\nframing = \"confluent-header\"".to_owned(),
            Framing::ConfluentHeader,
        ),
        (
            "urls = [\"http://r\"]\nframing = \"apicurio\"".to_owned(),
            Framing::Apicurio(content),
        ),
        (apicurio(2), Framing::Apicurio(global)),
        (apicurio(3), Framing::Apicurio(content)),
        (
            format!("{}\nids = \"content\"", apicurio(2)),
            Framing::Apicurio(content),
        ),
        (
            format!("{}\nids = \"global\"", apicurio(3)),
            Framing::Apicurio(global),
        ),
        (
            format!("{}\nframing = \"confluent\"", apicurio(3)),
            Framing::Confluent,
        ),
    ] {
        assert_eq!(framing(&registry), expected, "{registry}");
    }
}

#[test]
fn keys_have_a_format_and_a_column_of_their_own() {
    let key = |key: &str| {
        let topic = parse(&format!("{SMALLEST}\n{key}\n")).unwrap().topics.remove(0);
        topic
            .key
            .map(|key| (key.format, key.column, key.schema_file.is_some()))
    };
    assert_eq!(key("key.column = \"id\""), None);
    assert_eq!(
        key("key.format = \"json\""),
        Some((Format::Json, "key".to_owned(), false))
    );
    assert_eq!(
        key("key.format = \"avro\"\nkey.column = \"id\"\nkey.file = \"key.avsc\""),
        Some((Format::Avro, "id".to_owned(), true))
    );
}

#[test]
fn a_topic_has_its_schemas_from_a_registry_or_from_a_file() {
    let config = parse(
        r#"
kafka.bootstrap = "a:9092"
catalog = { type = "sqlite", uri = "c.db", warehouse = "w" }

[registry]
urls = ["http://a:8081", "http://b:8081/api"]
username = "me"
password = "hush"
timeout = "2s"

[[topic]]
name = "orders"
table = "shop.orders"
format = "avro"
schema.evolution = ["widen", "optional", "rename"]

[[topic]]
name = "payments"
table = "shop.payments"
format = "avro"
schema.file = "payments.avsc"

[[topic]]
name = "refunds"
table = "shop.refunds"
format = "protobuf"
protobuf.enums = "number"
schema.file = "refunds.binpb"
schema.message = "shop.Refund"

[[topic]]
name = "trees"
table = "shop.trees"
format = "json-schema"
json.numbers = "double"
schema.recursive = "json"
"#,
    )
    .unwrap();
    let registry = config.registry.as_ref().unwrap();
    assert_eq!(registry.urls, ["http://a:8081", "http://b:8081/api"]);
    assert_eq!(registry.timeout, Duration::from_secs(2));
    assert!(!format!("{config:?} {:?}", registry.settings()).contains("hush"));
    let [orders, payments, refunds, trees] = config.topics.as_slice() else {
        panic!("{:?}", config.topics)
    };
    let widen = Evolution {
        add: false,
        widen: true,
        optional: true,
        rename: true,
    };
    assert_eq!((&orders.schema_file, orders.decode.evolution), (&None, widen));
    assert_eq!(
        payments.schema_file.as_deref(),
        Some(Path::new("/etc/tabletopic/payments.avsc"))
    );
    assert_eq!(payments.decode.evolution, Evolution::default());
    assert_eq!(refunds.message.as_deref(), Some("shop.Refund"));
    assert_eq!(refunds.decode.protobuf_enums, ProtobufEnums::Number);
    assert_eq!(trees.decode.json_numbers, JsonNumbers::Double);
    assert_eq!(
        (payments.decode.recursive, trees.decode.recursive),
        (Recursive::Refuse, Recursive::Json)
    );
}

#[test]
fn settings_that_the_keys_alone_have_a_use_for_can_be_said() {
    let topic = |value: &str, settings: &str| {
        let smallest = SMALLEST.replace("format = \"json\"", value);
        let mut config =
            parse(&format!("{smallest}{settings}\n")).unwrap_or_else(|problem| panic!("{problem}"));
        config.topics.remove(0).decode
    };
    let avro = "key.format = \"avro\"\nkey.file = \"key.avsc\"\nschema.recursive = \"json\"\n\
                schema.evolution = [\"optional\", \"rename\"]";
    let protobuf = "key.format = \"protobuf\"\nkey.file = \"key.proto\"\nprotobuf.enums = \"number\"";
    let json = "key.format = \"json\"\njson.numbers = \"double\"";
    let values = [
        "format = \"json\"",
        "format = \"raw\"",
        "format = \"avro\"\nschema.file = \"a.avsc\"",
        "format = \"protobuf\"\nschema.file = \"a.proto\"",
    ];
    for value in values {
        let decode = topic(value, avro);
        assert_eq!(decode.recursive, Recursive::Json, "{value}");
        assert!(decode.evolution.rename && !decode.evolution.add, "{value}");
        assert_eq!(
            topic(value, protobuf).protobuf_enums,
            ProtobufEnums::Number,
            "{value}"
        );
        assert_eq!(topic(value, json).json_numbers, JsonNumbers::Double, "{value}");
    }
    let times = topic(
        values[1],
        "key.format = \"json\"\nnanos = \"truncate\"\ntimestamp_unit = \"s\"",
    );
    assert_eq!(
        (times.nanos, times.timestamp_unit),
        (Nanos::Truncate, TimestampUnit::S)
    );
}

#[test]
fn every_key_can_be_set() {
    let config = parse(
        r#"
[kafka]
bootstrap = "a:9092,b:9092"
group = "lake"
group_protocol = "consumer"
assignment = "static"
start = "latest"
properties = { "security.protocol" = "ssl", fetch.wait.max.ms = 50, "socket.keepalive.enable" = true }

[catalog]
type = "sqlite"
name = "prod"
uri = "/lake/catalog.db"
warehouse = "file:///lake/warehouse"

[[topic]]
name = "orders"
table = "company.shop.orders"
job = "orders-eu"
start = 2026-01-31T01:00:00+01:00
partitions = [3, 1]
format = "json"
ddl = "sql/orders.sql"
event_time = "created_at"
timestamp_unit = "us"
backfill = "behind"
partition_by = ["hour(created_at)", "bucket(16, id)"]
retain = "90d"
on_bad_record = "null-field"
nanos = "truncate"
kafka_columns = ["key", "topic"]
json.numbers = "decimal(18, 4)"
limits = { max_record_bytes = "1MB", max_depth = 8, max_fields = 20, max_columns = 10, first_year = 2000, last_year = 2100 }

[topic.commit]
interval = "1m 30s"
target_file_size = "128MiB"

[memory]
budget = "2GiB"

[workers]
count = 3
backfill_rate = "5MiB"

[admin]
listen = "[::]:9000"
token = "0123456789abcdef"

[log]
format = "json"
level = "debug"
"#,
    )
    .unwrap();
    let properties: Vec<(&str, &str)> = config
        .kafka
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.reveal()))
        .collect();
    assert_eq!(
        properties,
        [
            ("fetch.wait.max.ms", "50"),
            ("security.protocol", "ssl"),
            ("socket.keepalive.enable", "true")
        ]
    );
    assert_eq!(config.kafka.group_protocol, GroupProtocol::Consumer);
    assert_eq!(config.kafka.assignment, Assignment::Static);
    assert_eq!(
        config.catalog.warehouse,
        Warehouse::Folder("/lake/warehouse".into())
    );
    assert_eq!(config.memory_budget, 2 * 1024 * 1024 * 1024);
    assert_eq!((config.workers.get(), config.backfill_rate), (3, 5 << 20));
    assert_eq!(
        config.admin.listen,
        Some(Listen::At("[::]:9000".parse().unwrap()))
    );
    assert_eq!(
        config.admin.token.as_ref().map(secret::Secret::reveal),
        Some("0123456789abcdef")
    );
    assert_eq!(
        config.log,
        Log {
            format: LogFormat::Json,
            level: LogLevel::Debug
        }
    );
    assert_eq!(
        config.topics,
        [Topic {
            pattern: None,
            name: "orders".to_owned(),
            table: TableName {
                namespace: vec!["company".to_owned(), "shop".to_owned()],
                name: "orders".to_owned()
            },
            job: "orders-eu".to_owned(),
            start: Start::Timestamp(1_769_817_600_000),
            backfill: Backfill::Behind,
            partitions: Some(vec![1, 3]),
            ddl: Some("/etc/tabletopic/sql/orders.sql".into()),
            schema_file: None,
            message: None,
            subject_strategy: SubjectStrategy::Topic,
            key: None,
            partition_by: PartitionBy::Said(
                vec!["hour(created_at)".to_owned(), "bucket(16, id)".to_owned(),]
            ),
            retain: Some(Retain {
                age: Duration::from_secs(90 * 24 * 60 * 60),
                column: "created_at".to_owned(),
            }),
            decode: DecodeSettings {
                topic: "orders".to_owned(),
                format: Format::Json,
                on_bad_record: OnBadRecord::NullField,
                event_time: Some("created_at".to_owned()),
                timestamp_unit: TimestampUnit::Us,
                nanos: Nanos::Truncate,
                limits: Limits {
                    max_record_bytes: 1_000_000,
                    max_depth: 8,
                    max_fields: 20,
                    max_columns: 10,
                    first_year: 2000,
                    last_year: 2100,
                },
                json_numbers: JsonNumbers::Decimal {
                    precision: 18,
                    scale: 4
                },
                protobuf_enums: ProtobufEnums::Name,
                recursive: Recursive::Refuse,
                infer: false,
                evolution: Evolution::default(),
                former_names: FormerNames::default(),
                writers: WriterSchemas::default(),
                framing: Framing::default(),
                part: Part::default(),
                named: NamedColumns::new(vec![vec!["created_at".to_owned()], vec!["id".to_owned()]]),
                ignored: Ignored::default(),
                kafka_columns: KafkaColumns {
                    topic: true,
                    key: true,
                    headers: false
                },
                key: None,
            },
            shape: None,
            commit: Commit {
                interval: Duration::from_secs(90),
                target_file_size: 128 * 1024 * 1024
            },
        }]
    );
}

/// (what the smallest file says, what it says instead, the whole message without the file's name)
const REFUSALS: &[(&str, &str, &str)] = &[
    (
        "warehouse = \"lake",
        "warehous = \"lake",
        "8: catalog.warehous: `warehous` is no such key; did you mean `warehouse`?",
    ),
    (
        "[kafka]",
        "[kafak]",
        "2: kafak: `kafak` is no such key; did you mean `kafka`?",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nzzz = 1",
        "14: topic.zzz: `zzz` is no such key; write one of name, pattern, table, job, start, backfill, partitions, format, ddl, \
         event_time, timestamp_unit, nanos, partition_by, retain, on_bad_record, kafka_columns, unwrap, where, otherwise, columns, json, protobuf, schema, key, \
         limits, commit",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\ncommit.intervall = \"60s\"",
        "14: topic.commit.intervall: `intervall` is no such key; did you mean `interval`?",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\non_bad_record = \"dead_letter\"",
        "14: topic.on_bad_record: `dead_letter` is not a value for this key; did you mean `dead-letter`?",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nkafka_columns = [\"keys\"]",
        "14: topic.kafka_columns: `keys` is not a value for this key; did you mean `key`?",
    ),
    (
        "\"sqlite\"",
        "\"hive\"",
        "6: catalog.type: `hive` is not a value for this key; write one of sqlite, postgres, rest",
    ),
    (
        "\"lake/warehouse\"",
        "\"s3a://bucket/lake\"",
        "8: catalog.warehouse: s3a:// is no store that is known; write a path on this machine, or \"s3://bucket/lake\", \
         \"gs://bucket/lake\" or \"abfss://container@account.dfs.core.windows.net/lake\"",
    ),
    (
        "\"lake/catalog.db\"",
        "\"s3://bucket/catalog.db\"",
        "7: catalog.uri: s3:// is not supported here, only paths on this machine are; write a file such as \
         \"./lake/catalog.db\"",
    ),
    (
        "[catalog]",
        "[storage]\ns3.region = \"eu-central-1\"\n\n[catalog]",
        "6: storage.s3.region: is for an object store, and the warehouse is a folder; remove it, or write a warehouse \
         such as \"s3://bucket/lake\"",
    ),
    (
        "[catalog]",
        "[storage]\ns3.regoin = \"eu-central-1\"\n\n[catalog]",
        "6: storage.s3.regoin: is no such property; did you mean s3.region?",
    ),
    (
        "bootstrap = \"localhost:9092\"",
        "",
        "2: kafka.bootstrap: is missing; write the brokers to start from, such as bootstrap = \"localhost:9092\"",
    ),
    (
        "bootstrap = \"localhost:9092\"",
        "bootstrap = 9092",
        "3: kafka.bootstrap: invalid type: integer `9092`, expected a string",
    ),
    (
        "format = \"json\"",
        "",
        "10: topic.format: is missing; write format = \"json\", \"json-schema\", \"avro\" or \"protobuf\", \
         or \"raw\" for the bytes as they are",
    ),
    (
        "format = \"json\"",
        "format = \"raw\"\nevent_time = \"at\"",
        "14: topic.event_time: format \"raw\" looks into no record, so event_time has no meaning; remove it, or write \
         format = \"json\"",
    ),
    (
        "format = \"json\"",
        "format = \"avro\"",
        "10: topic.schema.file: is missing; where no file says the schema, add [registry] with urls = \
         [\"http://localhost:8081\"]",
    ),
    (
        "format = \"json\"",
        "format = \"avro\"\nschema.file = \"a.avsc\"\njson.numbers = \"double\"",
        "15: topic.json: format \"avro\" has numbers of its own, so json has no meaning; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nschema.file = \"a.avsc\"",
        "14: topic.schema.file: is for format = \"avro\", \"json-schema\" or \"protobuf\"; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nschema.evolution = [\"add\"]",
        "14: topic.schema.evolution: is for format = \"avro\", \"json-schema\" or \"protobuf\"; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"avro\"\nschema = { file = \"a.avsc\", message = \"shop.Order\" }",
        "14: topic.schema.message: is for format = \"protobuf\"; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"protobuf\"\nschema.message = \"shop.Order\"",
        "14: topic.schema.message: goes with `file`: each framed record says itself what it is; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"protobuf\"\nschema.file = \"orders.avsc\"",
        "14: topic.schema.file: is no Protobuf schema; write a .proto file, or a compiled FileDescriptorSet that ends \
         with .desc or .binpb",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nprotobuf.enums = \"number\"",
        "14: topic.protobuf: is for format = \"protobuf\"; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nschema.recursive = \"json\"",
        "14: topic.schema.recursive: is for format = \"avro\", \"json-schema\" or \"protobuf\"; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"protobuf\"\nschema.file = \"order.proto\"\nschema.evolution = [\"rename\"]",
        "15: topic.schema.evolution: `optional` and `rename` are for format = \"avro\"; remove them",
    ),
    (
        "[catalog]",
        "[registry]\nurls = [\"http://registry:8081\"]\ntls.ca = \"ca.pem\"\n\n[catalog]",
        "7: registry.tls: none of `urls` begins with https://, so tls has no meaning; remove it",
    ),
    (
        "[catalog]",
        "[registry]\nurls = [\"https://registry:8081\"]\ntls.key = \"key.pem\"\n\n[catalog]",
        "7: registry.tls.key: write certificate and key, each the path of a PEM file, or neither",
    ),
    (
        "[catalog]",
        "[registry]\napi = \"apicurio\"\nurls = [\"http://registry:8081\"]\n\n[catalog]",
        "7: registry.urls: `http://registry:8081/` does not end as the URLs of Apicurio's own API do, with \
         /apis/registry/v2 or /apis/registry/v3",
    ),
    (
        "[catalog]",
        "[registry]\nurls = [\"http://registry:8081\"]\nids = \"content\"\n\n[catalog]",
        "7: registry.ids: is for framing = \"apicurio\"; remove it",
    ),
    (
        "[catalog]",
        "[registry]\nurls = [\"http://registry:8081\"]\nframing = \"apicurio\"\nids = \"global\"\n\n[catalog]",
        "8: registry.ids: Confluent's API knows no global ids; write api = \"apicurio\" and the URLs of Apicurio's own \
         API",
    ),
    (
        "[catalog]",
        "[registry]\napi = \"apicurio\"\nurls = [\"http://r/apis/registry/v2\"]\nframing = \"confluent-header\"\n\n\
         [catalog]",
        "8: registry.framing: has GUIDs of Confluent's, which Apicurio's API does not know; write api = \"confluent\"",
    ),
    (
        "format = \"json\"",
        "format = \"raw\"\nkey.format = \"json\"\nevent_time = \"at\"",
        "15: topic.event_time: format \"raw\" looks into no record, so event_time has no meaning; remove it, or write \
         format = \"json\"",
    ),
    (
        "format = \"json\"",
        "format = \"raw\"\nkey = { format = \"avro\", file = \"key.avsc\" }\njson.numbers = \"double\"",
        "15: topic.json: format \"avro\" has numbers of its own, so json has no meaning; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nkey = { format = \"protobuf\", file = \"key.proto\" }\nschema.evolution = [\"rename\"]",
        "15: topic.schema.evolution: `optional` and `rename` are for format = \"avro\"; remove them",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nkey = { format = \"avro\", file = \"key.avsc\" }\nschema.file = \"a.avsc\"",
        "15: topic.schema.file: is for format = \"avro\", \"json-schema\" or \"protobuf\"; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nkey.format = \"avro\"",
        "14: topic.key.file: is missing; where no file says the schema, add [registry] with urls = \
         [\"http://localhost:8081\"]",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nkey.file = \"key.avsc\"",
        "14: topic.key.file: is for format = \"avro\", \"json-schema\" or \"protobuf\"; remove it",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nkey.format = \"json\"\nkey.column = \"_Kafka_key\"",
        "15: topic.key.column: `_Kafka_key` begins with _kafka_, which is reserved; write another name",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nkey.format = \"json\"\nkey.column = \"a.b\"",
        "15: topic.key.column: `a.b` is no name of a column; write one without dots",
    ),
    (
        "[catalog]",
        "[registry]\nurls = [\"ftp://registry:8081\"]\n\n[catalog]",
        "6: registry.urls: `ftp://registry:8081` is not a URL; write for example \"http://localhost:8081\"",
    ),
    (
        "[catalog]",
        "[registry]\nurls = [\"http://me:hush@registry:8081\"]\n\n[catalog]",
        "6: registry.urls: the URL holds a password, and URLs are shown; write it as `password` instead",
    ),
    (
        "[catalog]",
        "[registry]\nurls = [\"http://registry:8081\"]\nusername = \"me\"\n\n[catalog]",
        "7: registry.username: write username and password, or a token alone",
    ),
    (
        "[catalog]",
        "[registry]\ntoken = \"hush\"\n\n[catalog]",
        "6: registry.token: there is no registry to log in to; add urls = [\"http://localhost:8081\"]",
    ),
    (
        "\"shop.orders\"",
        "\"orders\"",
        "12: topic.table: `orders` is not a table; write its namespace and name such as \"shop.orders\"",
    ),
    (
        "\"shop.orders\"",
        "\"shop.orders__ledger\"",
        "12: topic.table: `shop.orders__ledger` is the name of a table that tabletopic keeps beside another one; write \
         one that does not end in __ledger",
    ),
    (
        "name = \"orders\"",
        "name = \"or ders\"",
        "11: topic.name: `or ders` cannot be a topic; write 1 to 249 letters, digits, dots, underscores and hyphens",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\npartitions = [0]",
        "14: topic.partitions: the group shares the partitions out; remove it, or write assignment = \"static\" in [kafka]",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nstart = \"yesterday\"",
        "14: topic.start: `yesterday` is not a start; write \"earliest\", \"latest\" or a timestamp with its zone such as \
         \"2026-01-31T00:00:00Z\"",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\ncommit.interval = \"60 bananas\"",
        "14: topic.commit.interval: `60 bananas` is not a duration (unknown time unit \"bananas\", supported units: ns, \
         us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations)); write for example \"60s\" or \"5m\"",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\ncommit.interval = \"13h\"",
        "14: topic.commit.interval: `13h` is too long: files have to be in the table a day after their first record; write \
         at most \"12h\"",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\ncommit.target_file_size = \"big\"",
        "14: topic.commit.target_file_size: `big` is not a size; write for example \"128MiB\" or \"512KiB\"",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\njson.numbers = \"decimal(39, 2)\"",
        "14: topic.json.numbers: \"decimal(39, 2)\" is none of \"infer\", \"double\", \"decimal(p,s)\" with s <= p <= 38",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\npartition_by = [\"daily(at)\"]",
        "14: topic.partition_by: `daily(at)` is not a partition: there is no transform `daily`; write a column, or one of \
         year(column), month(column), day(column), hour(column), bucket(n, column), truncate(width, column), identity(column)",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\npartition_by = [\"day(at)\", \"day(at)\"]",
        "14: topic.partition_by: `day(at)` stands here twice; remove one of them",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\n[[topic]]\nname = \"orders\"\njob = \"again\"\ntable = \"shop.orders\"\nformat = \"raw\"",
        "14: topic.table: `orders` feeds table shop.orders by another [[topic]]; remove one of the two, or write another \
         table",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\n[[topic]]\nname = \"orders\"\ntable = \"shop.again\"\nformat = \"raw\"",
        "14: topic.job: `orders` is the job of another [[topic]]; write a job of its own",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\n[[topic]]\nname = \"other\"\njob = \"orders\"\ntable = \"shop.again\"\nformat = \"raw\"",
        "14: topic.job: `orders` is the job of another [[topic]]; write a job of its own",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\npartition_by = [\"day(at)\"]\n[[topic]]\nname = \"other\"\ntable = \"shop.orders\"\nformat = \"json\"\npartition_by = []",
        "15: topic.partition_by: table shop.orders is partitioned otherwise by another topic; write the same for both, or \
         once",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\npartition_by = [\"bucket(8, id)\"]\nretain = \"90d\"",
        "15: topic.retain: needs a partition by time, since whole partitions leave; write for example partition_by = \
         [\"day(created_at)\"]",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\npartition_by = [\"day(at)\", \"hour(sent)\"]\nretain = \"90d\"",
        "15: topic.retain: can't tell how old a row is by several columns, at and sent; partition by the time of one",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nretain = \"90d\"\n[[topic]]\nname = \"other\"\ntable = \"shop.orders\"\nformat = \"json\"\nretain = \"9d\"",
        "15: topic.retain: table shop.orders keeps its rows otherwise by another topic; write the same for both, or once",
    ),
    (
        "\"localhost:9092\"",
        "\"${env:NOWHERE}\"",
        "3: kafka.bootstrap: the environment variable NOWHERE is not set; set it",
    ),
    (
        "\"localhost:9092\"",
        "\"${vault:x}\"",
        "3: kafka.bootstrap: `${vault:x}` is not a reference; write `${env:NAME}` or `${file:path}`",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nlimits.max_depth = 33",
        "14: topic.limits.max_depth: 33 is too deep to be safe; write at most 32 where columns are inferred, 200 with a \
         `ddl`",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nddl = \"orders.sql\"\nlimits.max_depth = 201",
        "15: topic.limits.max_depth: 201 is too deep to be safe; write at most 32 where columns are inferred, 200 with a \
         `ddl`",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\n[memory]\nbudget = \"1KiB\"",
        "15: memory.budget: the budget has to be between 16MiB and 4TiB; write for example \"1024MiB\"",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\n[memory]\nbudget = \"5TiB\"",
        "15: memory.budget: the budget has to be between 16MiB and 4TiB; write for example \"1024MiB\"",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nstart = \"latest\"\nbackfill = \"behind\"",
        "15: topic.backfill: with start = \"latest\" nothing is behind; remove it, or write where history begins, such as \
         start = \"earliest\"",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\n[workers]\ncount = 100000",
        "15: workers.count: 100000 are too many; write at most 256, or leave the key out for one for each CPU",
    ),
    (
        "format = \"json\"",
        "format = \"json\"\nlimits.last_year = 1969",
        "14: topic.limits.last_year: 1969 comes before first_year, which is 1970; write a later year",
    ),
    (
        "\"localhost:9092\"",
        "\"localhost:9092\"\n[kafka.properties]\nclient.rack = \"a\"\nsasl.kerberos.kinit.cmd = \"rm\"",
        "6: kafka.properties.sasl.kerberos.kinit.cmd: kafka property \"sasl.kerberos.kinit.cmd\" cannot be set: it runs \
         code or loads code from files",
    ),
    (
        "\"localhost:9092\"",
        "\"localhost:9092\"\nassignment = \"static\"\ninstance_id = \"a\"",
        "5: kafka.instance_id: static membership is for groups; remove it, or write assignment = \"group\"",
    ),
];

#[test]
fn refusals_name_line_key_and_remedy() {
    for (from, to, expected) in REFUSALS {
        assert_eq!(
            refusal(from, to),
            format!("/etc/tabletopic/tabletopic.toml:{expected}")
        );
    }
}

#[test]
fn one_problem_of_each_section_is_shown() {
    let text = SMALLEST
        .replace("type = \"sqlite\"\n", "")
        .replace("table = \"shop.orders\"\n", "");
    assert_eq!(
        parse(&text).unwrap_err(),
        "/etc/tabletopic/tabletopic.toml:5: catalog.type: is missing; write type = \"sqlite\", \"postgres\" or \"rest\"\n\
         /etc/tabletopic/tabletopic.toml:9: topic.table: is missing; write the table that it feeds such as table = \
         \"shop.orders\""
    );
}

#[test]
fn an_empty_file_says_where_to_begin() {
    assert_eq!(
        parse("").unwrap_err(),
        "/etc/tabletopic/tabletopic.toml: kafka: is missing; add [kafka] with bootstrap = \"localhost:9092\""
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/tabletopic.toml"), &|_| None)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/nowhere/tabletopic.toml: cannot be read: "),
        "{error}"
    );
    assert!(error.contains("--config"), "{error}");
}

const HUSH: &str = "correct-horse-battery-staple";

/// The smallest file with a password in its properties, written as `value`.
fn with_password(value: &str) -> String {
    SMALLEST.replace(
        "\n[catalog]",
        &format!("properties.sasl.password = {value}\n\n[catalog]"),
    )
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), format!("{HUSH}\n")).unwrap();
    let references = References {
        env: &|name| (name == "PASSWORD").then(|| HUSH.to_owned()),
        folder: folder.path(),
    };
    for (value, expected) in [
        ("\"${env:PASSWORD}\"", HUSH.to_owned()),
        ("\"${file:password}\"", HUSH.to_owned()),
        ("\"user:${env:PASSWORD}!\"", format!("user:{HUSH}!")),
    ] {
        let config = Config::parse(&with_password(value), &references, Changes::default()).unwrap();
        assert_eq!(config.kafka.properties["sasl.password"].reveal(), expected);
    }
}

#[test]
fn a_password_that_toml_takes_for_a_date_is_not_shown() {
    let refused = parse(&with_password("2020-01-01")).unwrap_err().to_string();
    assert!(
        refused.contains("quotes") && !refused.contains("2020"),
        "{refused}"
    );
}

#[test]
fn secrets_are_never_shown() {
    let config = parse(&with_password(&format!("\"{HUSH}\""))).unwrap();
    assert_eq!(config.kafka.properties["sasl.password"].reveal(), HUSH);
    assert_eq!(config.kafka.properties["sasl.password"].to_string(), "***");
    let shown = format!("{config:?}\n{config:#?}");
    assert!(
        shown.contains("sasl.password") && !shown.contains(HUSH),
        "{shown}"
    );
}

#[test]
fn messages_about_a_secret_do_not_quote_it() {
    for value in [
        HUSH.to_owned(),
        format!("\"{HUSH}"),
        format!("[\"{HUSH}\"]"),
        format!("\"{HUSH}${{env:NOWHERE}}\""),
        format!("\"{HUSH}${{env:\""),
    ] {
        let message = parse(&with_password(&value)).unwrap_err();
        assert!(
            message.starts_with("/etc/tabletopic/tabletopic.toml:4: "),
            "{message}"
        );
        assert!(!message.contains(HUSH), "{message}");
    }
}

/// The smallest file with an `[admin]` section.
fn admin(section: &str) -> Result<Admin, String> {
    parse(&format!("{SMALLEST}\n[admin]\n{section}")).map(|config| config.admin)
}

#[test]
fn the_admin_server_is_on_this_host_unless_there_is_a_token() {
    let at = |address: &str| Some(Listen::At(address.parse().unwrap()));
    assert_eq!(parse(SMALLEST).unwrap().admin.listen, Some(Listen::Preferred));
    assert_eq!(admin("listen = \"off\"").unwrap().listen, None);
    assert_eq!(
        admin("listen = \"127.0.0.1:0\"").unwrap().listen,
        at("127.0.0.1:0")
    );
    assert_eq!(admin("listen = \"[::1]:80\"").unwrap().listen, at("[::1]:80"));
    assert_eq!(
        admin("listen = \"0.0.0.0:80\"").unwrap_err(),
        "/etc/tabletopic/tabletopic.toml:16: admin.listen: other hosts can reach `0.0.0.0:80`; add a token, such as \
         token = \"${env:TABLETOPIC_TOKEN}\", or listen on 127.0.0.1"
    );
    assert_eq!(
        admin("listen = \"8484\"").unwrap_err(),
        "/etc/tabletopic/tabletopic.toml:16: admin.listen: `8484` is no address; write for example \
         \"127.0.0.1:8484\", \"[::1]:8484\", or \"off\""
    );
}

#[test]
fn a_token_is_long_enough_and_never_shown() {
    for token in [
        "\"shortsecret\"",
        "12345678",
        "{ short = \"secret\" }",
        "\"0123456789abcdef \"",
    ] {
        let error = admin(&format!("token = {token}")).unwrap_err();
        assert!(
            error.starts_with("/etc/tabletopic/tabletopic.toml:16: admin.token: "),
            "{error}"
        );
        assert!(!error.contains("secret") && !error.contains("1234"), "{error}");
    }
    let good = admin("token = \"0123456789abcdef\"").unwrap();
    assert!(!format!("{good:?}").contains("0123"), "{good:?}");
}

/// The smallest file with a `[catalog.serve]` section.
fn serve(section: &str) -> Result<Serve, String> {
    parse(&format!("{SMALLEST}\n[catalog.serve]\n{section}")).map(|config| config.catalog.serve)
}

#[test]
fn the_catalog_is_served_on_this_host_unless_there_is_a_token() {
    let default = parse(SMALLEST).unwrap().catalog.serve;
    assert_eq!(default.listen, "127.0.0.1:8181".parse().unwrap());
    let open = serve("listen = \"0.0.0.0:80\"\ntoken = \"0123456789abcdef\"").unwrap();
    assert_eq!(open.listen, "0.0.0.0:80".parse().unwrap());
    assert!(!format!("{open:?}").contains("0123"), "{open:?}");
    assert_eq!(
        serve("listen = \"0.0.0.0:80\"").unwrap_err(),
        "/etc/tabletopic/tabletopic.toml:16: catalog.serve.listen: other hosts can reach `0.0.0.0:80`; add a token, such \
         as token = \"${env:TABLETOPIC_TOKEN}\", or listen on 127.0.0.1"
    );
    assert_eq!(
        serve("listen = \"off\"").unwrap_err(),
        "/etc/tabletopic/tabletopic.toml:16: catalog.serve.listen: `off` is no address; write for example \
         \"127.0.0.1:8181\", or \"[::1]:8181\""
    );
    let error = serve("token = \"shortsecret\"").unwrap_err();
    assert!(
        error.starts_with("/etc/tabletopic/tabletopic.toml:16: catalog.serve.token: ")
            && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn locations_of_engines_are_uris_and_paths() {
    let places = serve("locations = [\"s3://bucket/lake\", \"/data\", \"more\"]")
        .unwrap()
        .locations;
    assert_eq!(places, ["s3://bucket/lake", "/data", "/etc/tabletopic/more"]);
    assert_eq!(
        serve("locations = [\"\"]").unwrap_err(),
        "/etc/tabletopic/tabletopic.toml:16: catalog.serve.locations: is no place; write a URI or a folder such as \
         \"/data/lake\""
    );
}

#[test]
fn what_stands_in_files_is_read_again_and_paths_start_at_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "old\n").unwrap();
    let text = SMALLEST.replace(
        "\n[catalog]",
        "properties.sasl.password = \"${file:password}\"\nproperties.ssl.ca.location = \"ca.pem\"\n\n[catalog]",
    );
    let references = References {
        env: &|_| None,
        folder: folder.path(),
    };
    let kafka = Config::parse(&text, &references, Changes::default())
        .unwrap()
        .kafka;
    assert_eq!(kafka.properties["sasl.password"].reveal(), "old");
    let ca = folder.path().join("ca.pem");
    assert_eq!(kafka.properties["ssl.ca.location"].reveal(), ca.to_str().unwrap());
    std::fs::write(&password, "new\n").unwrap();
    let read = kafka.files.read().unwrap();
    assert_eq!(
        read,
        BTreeMap::from([("sasl.password".to_owned(), "new".to_owned())])
    );
    std::fs::remove_file(&password).unwrap();
    assert!(
        kafka.files.read().unwrap_err().contains("cannot read"),
        "it names the file"
    );
}

#[test]
fn a_login_that_is_not_said_whole_is_refused() {
    let with =
        |properties: &str| parse(&SMALLEST.replace("\n[catalog]", &format!("{properties}\n\n[catalog]")));
    let refused = with("properties.security.protocol = \"sasl_ssl\"").unwrap_err();
    assert!(
        refused.contains("kafka.properties.security.protocol: ") && refused.contains("write sasl.mechanism"),
        "{refused}"
    );
    let kerberos = "properties.security.protocol = \"sasl_ssl\"\nproperties.sasl.mechanism = \"GSSAPI\"";
    let refused = with(kerberos).unwrap_err();
    let words = if cfg!(feature = "gssapi") {
        "wants sasl.kerberos.principal as well"
    } else {
        "cannot log in by GSSAPI (Kerberos): build it with `cargo build --release --features gssapi`"
    };
    assert!(
        refused.contains("kafka.properties.sasl.mechanism: ") && refused.contains(words),
        "{refused}"
    );
}
